/** The frame of the pages before sign-in. */
import type { ReactNode } from 'react'
import { Logo } from '../ui/Logo'

export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="door">
      <div className="door-card">
        <div className="brand door-brand">
          <Logo size={24} />
          <span>Watchfloor</span>
        </div>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  )
}
