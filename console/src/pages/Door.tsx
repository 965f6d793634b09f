/** The frame of the pages before sign-in. */
import type { ReactNode } from 'react'

export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="door">
      <div className="door-card">
        <div className="brand door-brand">
          <svg width="24" height="24" viewBox="0 0 32 32" aria-hidden="true">
            <path
              d="M4 8l5.500 15L16 10l6.500 13L28 8"
              fill="none"
              stroke="currentColor"
              strokeWidth="3.500"
              strokeLinecap="round"
              strokeLinejoin="round"
            />
          </svg>
          <span>Watchfloor</span>
        </div>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  )
}
