import { type ReactNode, useEffect } from 'react'

/** The head of a page; the document title follows it, so that tabs and history read well. */
export function PageHead({
  title,
  children,
  meta,
}: {
  title: string
  children?: ReactNode
  meta?: ReactNode
}) {
  useTitle(title)
  return (
    <header className="page-head">
      <h1>{title}</h1>
      {meta && <div className="page-meta">{meta}</div>}
      <div className="page-tools">{children}</div>
    </header>
  )
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Watchfloor`
  }, [title])
}

interface SectionProps {
  title: string
  note?: ReactNode
  tools?: ReactNode
  className?: string
  children: ReactNode
}

export function Section({ title, note, tools, className = '', children }: SectionProps) {
  return (
    <section className={`section ${className}`} aria-label={title}>
      <header className="section-head">
        <h2>{title}</h2>
        {note && <span className="muted small">{note}</span>}
        {tools && <div className="section-tools">{tools}</div>}
      </header>
      {children}
    </section>
  )
}
