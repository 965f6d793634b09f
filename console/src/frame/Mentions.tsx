/** Notes that mention whoever is signed in. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { AtSign } from 'lucide-react'
import { api } from '../api/client'
import { mentionsQuery } from '../api/queries'
import { plural } from '../lib/format'
import { visible } from '../lib/text'
import { Menu } from '../ui/Menu'
import { Ago } from '../ui/Time'

const SHOWN = 8
const TEXT_MAX = 70

export function Mentions() {
  const client = useQueryClient()
  const navigate = useNavigate()
  const { data } = useQuery(mentionsQuery)
  const rows = data?.items ?? []
  const unseen = rows.filter((row) => !row.seen_at).length
  if (rows.length === 0) return null
  const seen = () =>
    api.post('/mentions/seen', {}).then(() => client.invalidateQueries({ queryKey: ['mentions'] }))
  return (
    <Menu
      label={unseen > 0 ? `${plural(unseen, 'new mention')}` : 'Mentions'}
      className={`button ${unseen > 0 ? 'mentions-new' : ''}`}
      align="end"
      button={
        <>
          <AtSign size={14} aria-hidden="true" />{' '}
          {unseen > 0 ? <span className="tabular">{unseen}</span> : null}
        </>
      }
      items={[
        ...rows.slice(0, SHOWN).map((row) => ({
          label: (
            <span className="mention">
              <strong>{visible(row.author)}</strong> <Ago iso={row.at} />
              <span className="muted small">{visible(row.text).slice(0, TEXT_MAX)}</span>
            </span>
          ),
          run: () => {
            void seen()
            void navigate(
              row.parent_id.startsWith('inc-')
                ? { to: '/incidents/$id', params: { id: row.parent_id } }
                : { to: '/alerts/$id', params: { id: row.parent_id } },
            )
          },
        })),
        { label: 'Mark all as seen', separated: true, run: () => void seen() },
      ]}
    />
  )
}
