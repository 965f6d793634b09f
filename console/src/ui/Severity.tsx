/** Severity: the only loud colour, and never colour alone: shape and word say the same. */
import type { Severity as Level } from '../api/types'
import { SEVERITY_WORD } from '../lib/format'

const SHAPES: Record<Level, React.ReactNode> = {
  critical: (
    <>
      <path d="M4.4 0.8h5.200l3.600 3.600v5.200l-3.600 3.600H4.400L0.800 9.600V4.400z" fill="currentColor" />
      <path
        d="M7 3.600v4.200M7 9.700v0.800"
        stroke="var(--on-severity)"
        strokeWidth="1.700"
        strokeLinecap="round"
      />
    </>
  ),
  high: <path d="M7 1.200l6.200 11.300H0.800z" fill="currentColor" strokeLinejoin="round" />,
  medium: <path d="M7 0.800l6.200 6.200L7 13.200 0.800 7z" fill="currentColor" />,
  low: (
    <path
      d="M1 3.200h12L7 12.200z"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.700"
      strokeLinejoin="round"
    />
  ),
  informational: <circle cx="7" cy="7" r="4.800" fill="none" stroke="currentColor" strokeWidth="1.600" />,
}

export function SeverityIcon({ level, size = 12 }: { level: Level; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 14 14" aria-hidden="true" className={`sev-${level}`}>
      {SHAPES[level] ?? SHAPES.informational}
    </svg>
  )
}

export function Severity({ level }: { level: Level }) {
  return (
    <span className={`severity sev-${level}`}>
      <SeverityIcon level={level} />
      <span>{SEVERITY_WORD[level] ?? level}</span>
    </span>
  )
}
