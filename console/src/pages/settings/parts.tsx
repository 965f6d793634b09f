/** The shape that all lists of the settings share: a heading, rows or what to do, and how to add one. */
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { ListOf } from '../../api/types'
import { Section } from '../../ui/Page'
import { Problem, SkeletonRows } from '../../ui/Trouble'

interface ListSectionProps<T> {
  title: string
  note?: ReactNode
  tools?: ReactNode
  query: UseQueryResult<ListOf<T>>
  empty: string
  heads: string[]
  row: (item: T) => ReactNode
}

export function ListSection<T>({ title, note, tools, query, empty, heads, row }: ListSectionProps<T>) {
  const { data, error, refetch } = query
  return (
    <Section title={title} note={note} tools={tools}>
      {error && !data ? (
        <Problem what={`${title} did not load`} error={error} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={4} />
      ) : data.items.length === 0 ? (
        <p className="muted quiet">{empty}</p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head || <span className="hidden-text">Actions</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{data.items.map(row)}</tbody>
        </table>
      )}
    </Section>
  )
}
