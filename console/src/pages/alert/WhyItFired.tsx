import { Link } from '@tanstack/react-router'
import type { AlertDetail } from '../../api/types'
import { tacticWord } from '../../lib/attack'
import { valueText, visible, visibleBlock } from '../../lib/text'
import { Section } from '../../ui/Page'

/** Enough of a hash to tell two versions apart. */
const HASH_SHOWN = 12

export function WhyItFired({ alert }: { alert: AlertDetail }) {
  const { rule } = alert
  return (
    <Section
      title="Why it fired"
      note={
        <>
          <Link to="/rules/$id" params={{ id: alert.rule_id }}>
            {visible(rule?.title ?? alert.rule_title)}
          </Link>
          {alert.rule_version && (
            <>
              {' · '}
              <Link
                to="/rules/$id"
                params={{ id: alert.rule_id }}
                search={{ version: alert.rule_version }}
                title="The text of exactly this version"
              >
                version <span className="mono">{visible(alert.rule_version).slice(0, HASH_SHOWN)}</span>
              </Link>
            </>
          )}
          {rule?.version && rule.version !== alert.rule_version && ' · the rule was changed since'}
          {!rule && ' · not loaded any more'}
        </>
      }
    >
      {rule?.description && <p className="prose">{visible(rule.description)}</p>}
      {alert.reasons.length > 0 && (
        <table className="table reasons">
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Value in the event</th>
              <th scope="col">Rule asks for</th>
              <th scope="col">Selection</th>
            </tr>
          </thead>
          <tbody>
            {alert.reasons.map((reason, i) => (
              <tr key={i}>
                <td className="mono">{reason.field || <span className="muted">anywhere</span>}</td>
                <td className="mono wrap">
                  <mark>{visible(valueText(reason.value))}</mark>
                </td>
                <td className="mono wrap muted">{visible(reason.pattern ?? '')}</td>
                <td className="muted">{visible(reason.selection ?? '')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <div className="tags">
        {alert.tactics.map((tactic) => (
          <span key={tactic} className="tag">
            {tacticWord(tactic)}
          </span>
        ))}
        {alert.techniques.map((technique) => (
          <span key={technique} className="tag mono">
            {technique}
          </span>
        ))}
      </div>
      {rule?.falsepositives && rule.falsepositives.length > 0 && (
        <p className="small muted">Known to be harmless when: {visible(rule.falsepositives.join('; '))}</p>
      )}
      {rule && (rule.yaml || (rule.references?.length ?? 0) > 0) && (
        <details>
          <summary>Rule {rule.id}</summary>
          {rule.references?.map((reference) => (
            <div key={reference} className="small mono wrap">
              {visible(reference)}
            </div>
          ))}
          {rule.yaml && (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
            <pre className="raw" tabIndex={0} role="region" aria-label="Rule source">
              {visibleBlock(rule.yaml)}
            </pre>
          )}
        </details>
      )}
    </Section>
  )
}
