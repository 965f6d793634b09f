/** The mark of Watchfloor. */
export function Logo({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <path
        d="M4 8l5.500 15L16 10l6.500 13L28 8"
        fill="none"
        stroke="currentColor"
        strokeWidth="3.500"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  )
}
