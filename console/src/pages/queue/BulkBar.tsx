import type { AlertVerbs } from '../../actions/useAlertKeys'
import { plural } from '../../lib/format'
import { Kbd } from '../../ui/Kbd'

export function BulkBar({ size, verbs, clear }: { size: number; verbs: AlertVerbs; clear: () => void }) {
  return (
    <div className="bulk" role="toolbar" aria-label="Selected alerts">
      <strong className="tabular">{plural(size, 'alert')} selected</strong>
      <button type="button" className="button" onClick={verbs.acknowledge}>
        Acknowledge <Kbd keys="a" />
      </button>
      <button type="button" className="button" onClick={verbs.assign}>
        Assign to me <Kbd keys="c" />
      </button>
      <button type="button" className="button" onClick={verbs.close}>
        Close <Kbd keys="e" />
      </button>
      <button type="button" className="button" onClick={verbs.falsePositive}>
        False positive <Kbd keys="f" />
      </button>
      <button type="button" className="button" onClick={verbs.attach}>
        Attach <Kbd keys="m" />
      </button>
      <span className="spacer" />
      <button type="button" className="button" onClick={clear}>
        Clear <Kbd keys="Escape" />
      </button>
    </div>
  )
}
