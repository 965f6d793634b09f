/** The 14 enterprise tactics of MITRE ATT&CK in kill-chain order. Source: attack.mitre.org, v17. */

// The soft hyphen lets the longest word break where the path is narrow.
export const TACTICS: readonly [string, string][] = [
  ['reconnaissance', 'Recon\u00adnaissance'],
  ['resource-development', 'Resource development'],
  ['initial-access', 'Initial access'],
  ['execution', 'Execution'],
  ['persistence', 'Persistence'],
  ['privilege-escalation', 'Privilege escalation'],
  ['defense-evasion', 'Defense evasion'],
  ['credential-access', 'Credential access'],
  ['discovery', 'Discovery'],
  ['lateral-movement', 'Lateral movement'],
  ['collection', 'Collection'],
  ['command-and-control', 'Command and control'],
  ['exfiltration', 'Exfiltration'],
  ['impact', 'Impact'],
]

const WORD = new Map(TACTICS)

/** Tactics of version 19 that were one before; the path shows them in its place. */
const PARTS: Record<string, string> = { stealth: 'defense-evasion', 'defense-impairment': 'defense-evasion' }

/** Rules write `credential_access`, `Credential Access` or `attack.credential-access`; one form is used here. */
export const tacticKey = (tactic: string): string => {
  const key = tactic
    .toLowerCase()
    .replace(/^attack\./, '')
    .replace(/[ _]/g, '-')
  return PARTS[key] ?? key
}

export const tacticWord = (tactic: string): string => WORD.get(tacticKey(tactic)) ?? tactic
