/** The buttons that judge, beside their keys: above an alert and below a selection. */
import { Kbd } from '../ui/Kbd'
import type { AlertVerbs } from './useAlertKeys'

export function JudgeButtons({ verbs }: { verbs: AlertVerbs }) {
  const buttons = [
    ['Assign to me', 'c', verbs.assign],
    ['Close', 'e', verbs.close],
    ['False positive', 'f', verbs.falsePositive],
  ] as const
  return buttons.map(([word, key, run]) => (
    <button key={key} type="button" className="button" onClick={run}>
      {word} <Kbd keys={key} />
    </button>
  ))
}
