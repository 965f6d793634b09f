/** Who is on call: now, next, and over the next four weeks; who stands in, and how people are reached. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../../api/client'
import { contactsQuery, onCallQuery } from '../../api/queries'
import type { Contact, Roster, Turn } from '../../api/types'
import { useSession } from '../../frame/session'
import { useKeys } from '../../lib/keys'
import { visible } from '../../lib/text'
import { localClock, localDateTime } from '../../lib/time'
import { openDialog } from '../../ui/Dialog'
import { FormDialog, TextField } from '../../ui/Form'
import { Kbd } from '../../ui/Kbd'
import { PageHead, Section } from '../../ui/Page'
import { Time } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { toastError } from '../../ui/toast'

const DAY_MS = 86_400_000
const DAYS = 28

export default function OnCall() {
  const query = useQuery(onCallQuery)
  const client = useQueryClient()
  const { user } = useSession()
  const mayManage = user.role === 'lead' || user.role === 'admin'
  const refresh = () => void client.invalidateQueries({ queryKey: ['on-call'] })
  const edit = (roster?: Roster) =>
    openDialog((close) => <RotationDialog roster={roster} close={close} onDone={refresh} />)
  const rosters = query.data?.items ?? []
  const standIn = (roster = rosters[0]) =>
    roster && openDialog((close) => <StandInDialog roster={roster} close={close} onDone={refresh} />)
  useKeys('On call', [
    ...(mayManage ? [{ keys: 'i', label: 'New rotation', run: () => edit() }] : []),
    { keys: 'e', label: 'Stand in', run: () => standIn() },
  ])
  return (
    <div className="page">
      <PageHead title="On call">
        {mayManage && (
          <button type="button" className="button" onClick={() => edit()}>
            New rotation <Kbd keys="i" />
          </button>
        )}
      </PageHead>
      {query.error && !query.data ? (
        <Problem what="The roster did not load" error={query.error} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <SkeletonRows rows={8} />
      ) : rosters.length === 0 ? (
        <Empty title="Nobody is on call">
          {mayManage
            ? 'Make a rotation: its members take turns, and escalation under Settings, Clocks tells whoever is on call.'
            : 'A lead makes rotations here; then this page shows who is on call.'}
        </Empty>
      ) : (
        rosters.map((roster) => (
          <Section
            key={roster.rotation.id}
            title={visible(roster.rotation.name)}
            note={ruleWords(roster)}
            tools={
              <>
                <button type="button" className="button" onClick={() => standIn(roster)}>
                  Stand in…
                </button>
                {mayManage && (
                  <button type="button" className="button" onClick={() => edit(roster)}>
                    Edit…
                  </button>
                )}
              </>
            }
          >
            <Now roster={roster} />
            <Calendar roster={roster} />
            <StandIns roster={roster} onDone={refresh} />
          </Section>
        ))
      )}
      <Contacts mayManage={mayManage} me={user.name} />
    </div>
  )
}

const clock = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

function ruleWords({ rotation }: Roster): string {
  const length = rotation.turn_hours % 24 === 0 ? `${rotation.turn_hours / 24} d` : `${rotation.turn_hours} h`
  return `turns of ${length} from ${clock(rotation.handover_minute)} ${rotation.zone}: ${rotation.members.map(visible).join(', ')}`
}

function Who({ turn }: { turn: Turn }) {
  return (
    <>
      <strong>{visible(turn.name)}</strong>
      {turn.instead_of && <span className="muted small"> for {visible(turn.instead_of)}</span>}
    </>
  )
}

function Now({ roster }: { roster: Roster }) {
  if (!roster.now) return <p className="muted quiet">Nobody yet: the first turn lies ahead.</p>
  return (
    <p className="duty-now">
      Now <Who turn={roster.now} /> until <Time iso={roster.now.to} />
      {roster.next && (
        <span className="muted">
          {' '}
          · next {visible(roster.next.name)} from <Time iso={roster.next.from} show="short" />
        </span>
      )}
    </p>
  )
}

/** Four weeks as a list of days: what stands in each is who begins there, and who goes on. */
function Calendar({ roster }: { roster: Roster }) {
  const start = new Date()
  start.setHours(0, 0, 0, 0)
  start.setDate(start.getDate() - ((start.getDay() + 6) % 7))
  const names = [...new Set(roster.turns.map((turn) => turn.name))].sort()
  const days = Array.from({ length: DAYS + 7 }, (_, i) => {
    const day = new Date(start)
    day.setDate(start.getDate() + i)
    const next = new Date(start)
    next.setDate(start.getDate() + i + 1)
    return { day, next }
  })
  const today = new Date().toDateString()
  return (
    <div className="calendar" role="list" aria-label={`Turns of ${roster.rotation.name}, five weeks`}>
      {days.map(({ day, next }) => {
        const inside = roster.turns.filter(
          (turn) => Date.parse(turn.from) < next.getTime() && Date.parse(turn.to) > day.getTime(),
        )
        return (
          <div
            key={day.toISOString()}
            role="listitem"
            className="calendar-day"
            data-today={day.toDateString() === today}
          >
            <span className="muted small tabular">
              {day.toLocaleDateString(undefined, { weekday: 'short', day: 'numeric', month: 'short' })}
            </span>
            {inside.map((turn) => (
              <span
                key={turn.from}
                className={`calendar-turn turn-${(names.indexOf(turn.name) % 6) + 1}`}
                title={`${localDateTime(turn.from)} to ${localDateTime(turn.to)}`}
              >
                {Date.parse(turn.from) >= day.getTime() ? (
                  <span className="tabular">{localClock(turn.from).slice(0, 5)}</span>
                ) : (
                  <span aria-hidden="true">…</span>
                )}{' '}
                {visible(turn.name)}
                {turn.instead_of ? ` (for ${visible(turn.instead_of)})` : ''}
              </span>
            ))}
          </div>
        )
      })}
    </div>
  )
}

function StandIns({ roster, onDone }: { roster: Roster; onDone: () => void }) {
  if (roster.stand_ins.length === 0) return null
  return (
    <ul className="plain-list small">
      {roster.stand_ins.map((one) => (
        <li key={one.id}>
          <strong>{visible(one.name)}</strong> stands in for{' '}
          {one.instead_of ? visible(one.instead_of) : 'whoever is on call'} from <Time iso={one.from} /> to{' '}
          <Time iso={one.to} />{' '}
          <button
            type="button"
            className="link-button"
            onClick={() =>
              void api.delete(`/stand-ins/${one.id}`).then(onDone).catch(toastError('It was not taken back'))
            }
          >
            Take back
          </button>
        </li>
      ))}
    </ul>
  )
}

interface DialogProps {
  close: () => void
  onDone: () => void
}

function RotationDialog({ roster, close, onDone }: DialogProps & { roster?: Roster }) {
  const known = roster?.rotation
  const [form, setForm] = useState({
    name: known?.name ?? '',
    members: known?.members.join(', ') ?? '',
    starts_on: known?.starts_on ?? localDay(new Date()),
    at: clock(known?.handover_minute ?? 480),
    hours: String(known?.turn_hours ?? 168),
    zone: known?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
  })
  const send = async () => {
    const [hour = 0, minute = 0] = form.at.split(':').map(Number)
    const body = {
      name: form.name,
      members: form.members
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
      starts_on: form.starts_on,
      handover_minute: hour * 60 + minute,
      turn_hours: Number(form.hours),
      zone: form.zone,
    }
    if (known) await api.put(`/rotations/${known.id}`, body, known.version)
    else await api.post('/rotations', body)
    onDone()
  }
  const field = (
    key: keyof typeof form,
    label: string,
    type: 'text' | 'date' | 'time' | 'number' = 'text',
  ) => (
    <TextField
      label={label}
      type={type}
      isRequired
      isFirst={key === 'name'}
      value={form[key]}
      onChange={(value) => setForm({ ...form, [key]: value })}
    />
  )
  const remove = () =>
    known &&
    void api
      .delete(`/rotations/${known.id}`)
      .then(() => {
        onDone()
        close()
      })
      .catch(toastError('The rotation was not removed'))
  return (
    <FormDialog
      title={known ? 'Edit rotation' : 'New rotation'}
      close={close}
      word="Save rotation"
      send={send}
      tools={
        known && (
          <button type="button" className="button" onClick={remove}>
            Remove
          </button>
        )
      }
    >
      {field('name', 'Name')}
      {field('members', 'Members: names of users, in the order of their turns')}
      {field('starts_on', 'First day', 'date')}
      {field('at', 'Turns begin at', 'time')}
      {field('hours', 'Length of a turn in hours (12 for shifts, 24 a day, 168 a week)', 'number')}
      {field('zone', 'Time zone')}
    </FormDialog>
  )
}

const localDay = (date: Date) =>
  `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`

const localInput = (date: Date) =>
  `${localDay(date)}T${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`

function StandInDialog({ roster, close, onDone }: DialogProps & { roster: Roster }) {
  const { user } = useSession()
  const [name, setName] = useState(user.name)
  const [whom, setWhom] = useState('')
  const [from, setFrom] = useState(localInput(new Date()))
  const [to, setTo] = useState(localInput(new Date(Date.now() + DAY_MS)))
  const send = async () => {
    await api.post(`/rotations/${roster.rotation.id}/stand-ins`, {
      name,
      instead_of: whom || null,
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
    })
    onDone()
  }
  return (
    <FormDialog
      title={`Stand in: ${visible(roster.rotation.name)}`}
      close={close}
      word="Stand in"
      send={send}
    >
      <TextField label="Who stands in" isFirst value={name} onChange={setName} />
      <label className="field">
        For
        <select className="input" value={whom} onChange={(e) => setWhom(e.target.value)}>
          <option value="">whoever is on call</option>
          {roster.rotation.members.map((member) => (
            <option key={member}>{member}</option>
          ))}
        </select>
      </label>
      <TextField label="From" type="datetime-local" value={from} onChange={setFrom} />
      <TextField label="To" type="datetime-local" value={to} onChange={setTo} />
    </FormDialog>
  )
}

function Contacts({ mayManage, me }: { mayManage: boolean; me: string }) {
  const query = useQuery(contactsQuery)
  const client = useQueryClient()
  const edit = (contact: Contact) =>
    openDialog((close) => (
      <ContactDialog
        contact={contact}
        mayRename={mayManage}
        close={close}
        onDone={() => void client.invalidateQueries({ queryKey: ['contacts'] })}
      />
    ))
  const contacts = query.data?.items ?? []
  const own = contacts.find((one) => one.name === me) ?? { name: me, email: '', mention: '' }
  return (
    <Section
      title="How people are reached"
      note="by escalation, through a connector"
      tools={
        <button type="button" className="button" onClick={() => edit(own)}>
          {mayManage ? 'Set a contact…' : 'Set mine…'}
        </button>
      }
    >
      {contacts.length === 0 ? (
        <p className="muted quiet">
          Nobody set a contact yet. Mail needs an address; a channel names people as they are written here.
        </p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">E-mail</th>
              <th scope="col">In channels</th>
            </tr>
          </thead>
          <tbody>
            {contacts.map((one) => (
              <tr key={one.name}>
                <td className="strong">{visible(one.name)}</td>
                <td>{visible(one.email) || <span className="faint">—</span>}</td>
                <td>{visible(one.mention) || <span className="faint">—</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}

function ContactDialog({
  contact,
  mayRename,
  close,
  onDone,
}: DialogProps & { contact: Contact; mayRename: boolean }) {
  const [form, setForm] = useState(contact)
  const send = async () => {
    await api.put('/contacts', form)
    onDone()
  }
  return (
    <FormDialog title="Contact" close={close} word="Save contact" send={send}>
      <label className="field">
        User
        <input
          className="input"
          disabled={!mayRename}
          value={form.name}
          onChange={(e) => setForm({ ...form, name: e.target.value })}
        />
      </label>
      <TextField
        label="E-mail address"
        type="email"
        isFirst
        value={form.email}
        onChange={(value) => setForm({ ...form, email: value })}
      />
      <TextField
        label="Name in channels, such as @mara"
        value={form.mention}
        onChange={(value) => setForm({ ...form, mention: value })}
      />
    </FormDialog>
  )
}
