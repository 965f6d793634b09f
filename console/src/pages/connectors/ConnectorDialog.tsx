/** Opening and changing a connector: a form for its kind, secrets that are written and never read. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useRefreshResponse } from '../../actions/response'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { policiesQuery } from '../../api/queries'
import type { ActionKind, Connector, ConnectorKind } from '../../api/types'
import {
  emptyProgram,
  fieldOfSetting,
  firstSettings,
  KIND_OPTIONS,
  KINDS,
  programsOf,
  type SecretField,
  type SettingField,
  type Settings,
  servable,
  settingsToSend,
  TIMEOUT_S,
} from '../../lib/connectors'
import { kindWord } from '../../lib/response'
import { visible } from '../../lib/text'
import { Dialog } from '../../ui/Dialog'
import {
  CheckField,
  type Faults,
  Field,
  Foot,
  FormOrJson,
  faultsOf,
  LinesField,
  NumberField,
  Rows,
  SelectField,
  TextField,
} from '../../ui/Form'
import { FormError } from '../../ui/FormError'

interface DialogProps {
  /** The one to change; a new one without. */
  connector?: Connector
  close: () => void
}

type Secrets = Record<string, string | null>

export function ConnectorDialog({ connector, close }: DialogProps) {
  const refresh = useRefreshResponse()
  const all = useQuery(policiesQuery).data?.items.map((one) => one.kind) ?? []
  const [kind, setKind] = useState<ConnectorKind>(connector?.kind ?? 'webhook')
  const [name, setName] = useState(connector?.name ?? '')
  const [settings, setSettings] = useState<Settings>(
    () => (connector?.settings as Settings | undefined) ?? firstSettings('webhook'),
  )
  const [serves, setServes] = useState<readonly ActionKind[] | null>(connector?.serves ?? null)
  const [secrets, setSecrets] = useState<Secrets>({})
  const [text, setText] = useState<string | null>(null)
  const form = KINDS[kind]
  const can = servable(kind, all)

  const { submit, isBusy, error, forget } = useSubmit(async () => {
    const sent = text === null ? settingsToSend(kind, settings) : (JSON.parse(text) as Settings)
    const body = { name: name.trim(), settings: sent, secrets, ...(serves ? { serves } : {}) }
    if (connector) await api.patch(`/connectors/${encodeURIComponent(connector.id)}`, body)
    else await api.post('/connectors', { ...body, kind })
    await refresh()
    close()
  })
  const names = [
    ...form.fields.map((field) => field.name),
    'timeout_s',
    'allowed_networks',
    'programs',
    'name',
  ]
  const secretNames = form.secrets.map((secret) => `secret ${secret.name}`)
  const { faults, rest } = faultsOf(error, text === null ? [...secretNames, ...names] : [], (reason) =>
    text === null ? fieldOfSetting(kind, reason) : 'json',
  )
  const toJson = () => setText(JSON.stringify(settingsToSend(kind, settings), null, 2))
  const toForm = useSubmit(async () => {
    const given: unknown = JSON.parse(text ?? '{}')
    if (!given || typeof given !== 'object' || Array.isArray(given))
      throw new Error('Settings are an object.')
    setSettings(given as Settings)
    setText(null)
  })
  return (
    <Dialog
      title={connector ? `Connector ${visible(connector.name)}` : 'Open a connector'}
      onClose={close}
      width={720}
    >
      <form className="stack" onSubmit={submit}>
        <div className="form-grid">
          {connector ? (
            <div className="field">
              Kind <span className="plain">{form.word}</span>
            </div>
          ) : (
            <SelectField
              label="Kind"
              options={KIND_OPTIONS}
              hint={form.about}
              value={kind}
              onChange={(next) => {
                setKind(next as ConnectorKind)
                setSettings(firstSettings(next as ConnectorKind))
                setServes(null)
                setSecrets({})
                setText(null)
                forget()
              }}
            />
          )}
          <TextField
            label="Name"
            hint="As actions and playbooks name it."
            isFirst
            isRequired
            fault={faults.get('name')}
            value={name}
            onChange={setName}
          />
        </div>
        <div className="row">
          <strong>Settings</strong>
          <span className="spacer" />
          <FormOrJson
            label="Settings shown"
            isJson={text !== null}
            toForm={() => void toForm.submit()}
            toJson={toJson}
          />
        </div>
        {text === null ? (
          <SettingsForm kind={kind} all={all} settings={settings} set={setSettings} faults={faults} />
        ) : (
          <Field
            label="Settings (JSON)"
            fault={faults.get('json') ?? (toForm.error ? String(toForm.error) : undefined)}
          >
            {(wired) => (
              <textarea
                {...wired}
                className="mono"
                rows={10}
                spellCheck={false}
                value={text}
                onChange={(e) => setText(e.target.value)}
              />
            )}
          </Field>
        )}
        {form.secrets.length > 0 && (
          <div className="form-grid">
            {form.secrets.map((secret) => (
              <Secret
                key={secret.name}
                secret={secret}
                isSet={connector?.secrets.includes(secret.name) ?? false}
                fault={faults.get(`secret ${secret.name}`)}
                value={secrets[secret.name]}
                set={(value) =>
                  setSecrets(({ [secret.name]: _, ...others }) =>
                    value === undefined ? others : { ...others, [secret.name]: value },
                  )
                }
              />
            ))}
          </div>
        )}
        {can.length > 1 && (
          <fieldset className="plain-fieldset stack-tight">
            <legend className="strong small">May do</legend>
            <div className="inline-fields">
              {can.map((action) => (
                <CheckField
                  key={action}
                  label={kindWord(action)}
                  value={(serves ?? can).includes(action)}
                  onChange={(on) =>
                    setServes(can.filter((one) => (one === action ? on : (serves ?? can).includes(one))))
                  }
                />
              ))}
            </div>
          </fieldset>
        )}
        <FormError error={rest} />
        <Foot close={close} isBusy={isBusy} word={connector ? 'Save' : 'Open'} />
      </form>
    </Dialog>
  )
}

interface SettingsFormProps {
  kind: ConnectorKind
  all: readonly ActionKind[]
  settings: Settings
  set: (settings: Settings) => void
  faults: Faults
}

function SettingsForm({ kind, all, settings, set, faults }: SettingsFormProps) {
  const { fields, hasNetworks } = KINDS[kind]
  const put = (name: string, value: unknown) => set({ ...settings, [name]: value })
  const networks = settings.allowed_networks
  return (
    <>
      {kind === 'program' && <Programs all={all} settings={settings} set={set} faults={faults} />}
      <div className="form-grid">
        {fields.map((field) => (
          <Setting
            key={field.name}
            field={field}
            fault={faults.get(field.name)}
            value={settings[field.name]}
            put={(value) => put(field.name, value)}
          />
        ))}
        <NumberField
          label="Waits for an answer"
          unit="seconds"
          hint={`${TIMEOUT_S.min} to ${TIMEOUT_S.max}.`}
          min={TIMEOUT_S.min}
          max={TIMEOUT_S.max}
          fault={faults.get('timeout_s')}
          value={
            (settings.timeout_s as number | null | undefined) === undefined
              ? TIMEOUT_S.standard
              : (settings.timeout_s as number | null)
          }
          onChange={(seconds) => put('timeout_s', seconds)}
        />
        {hasNetworks && (
          <LinesField
            label="Networks besides public ones (optional)"
            hint="One a line, such as 10.7.0.0/16. Others inside are never called."
            rows={1}
            fault={faults.get('allowed_networks')}
            value={Array.isArray(networks) ? networks.map(String) : []}
            onChange={(lines) => put('allowed_networks', lines)}
          />
        )}
      </div>
    </>
  )
}

interface SettingProps {
  field: SettingField
  fault?: string
  value: unknown
  put: (value: unknown) => void
}

function Setting({ field, fault, value, put }: SettingProps) {
  const { label, type, hint, placeholder, choices = [], min, max, standard, isOptional } = field
  if (type === 'flag')
    return <CheckField label={label} hint={hint} value={(value ?? standard) === true} onChange={put} />
  if (type === 'choice')
    return (
      <SelectField
        label={label}
        hint={hint}
        fault={fault}
        options={choices}
        value={String(value ?? standard ?? '')}
        onChange={put}
      />
    )
  if (type === 'number')
    return (
      <NumberField
        label={label}
        hint={hint}
        fault={fault}
        min={min}
        max={max}
        value={value === undefined ? Number(standard) : (value as number | null)}
        onChange={put}
      />
    )
  const isFree = isOptional || standard !== undefined
  return (
    <TextField
      label={isFree ? `${label} (optional)` : label}
      hint={[hint, standard === undefined ? '' : `${standard} where nothing is written.`]
        .filter(Boolean)
        .join(' ')}
      type={type}
      placeholder={placeholder}
      isMono={type === 'url'}
      isRequired={!isFree}
      fault={fault}
      value={typeof value === 'string' ? value : ''}
      onChange={put}
    />
  )
}

interface SecretProps {
  secret: SecretField
  isSet: boolean
  fault?: string
  /** `null` forgets it, `undefined` leaves it. */
  value: string | null | undefined
  set: (value: string | null | undefined) => void
}

/** A secret is written and never read: what is there shows only that it is there. */
function Secret({ secret, isSet, fault, value, set }: SecretProps) {
  const isForgotten = value === null
  return (
    <div className="stack-tight">
      <TextField
        label={`Secret: ${secret.label}`}
        hint={
          isForgotten
            ? 'It is forgotten when you save.'
            : `${isSet ? 'It is set; what you write takes its place. ' : ''}${secret.hint}`
        }
        type="password"
        autoComplete="new-password"
        isMono
        placeholder={isSet && !isForgotten ? 'set, and not shown' : undefined}
        fault={fault}
        value={value ?? ''}
        onChange={(next) => set(next === '' ? undefined : next)}
      />
      {isSet && (
        <CheckField
          label={`Forget ${secret.label.charAt(0).toLowerCase()}${secret.label.slice(1)}`}
          value={isForgotten}
          onChange={(on) => set(on ? null : undefined)}
        />
      )}
    </div>
  )
}

function Programs({ all, settings, set, faults }: Omit<SettingsFormProps, 'kind'>) {
  const can = servable('program', all).filter((action) => action !== 'run_program')
  const fault = faults.get('programs')
  return (
    <div className="stack-tight">
      <Rows
        one="program"
        items={programsOf(settings)}
        onChange={(programs) => set({ ...settings, programs })}
        make={emptyProgram}
        nameOf={(program) => program.name}
      >
        {(program, change) => (
          <>
            <TextField
              label="Program name"
              hint="By which actions name it."
              isRequired
              value={program.name}
              onChange={(name) => change({ ...program, name })}
            />
            <TextField
              label="Path"
              hint="Absolute; no shell."
              isMono
              isRequired
              placeholder="/usr/local/bin/fw-block"
              value={program.path}
              onChange={(path) => change({ ...program, path })}
            />
            <LinesField
              label="Arguments"
              hint="One a line; {address} stands for one whole argument of the action."
              className="whole"
              value={program.arguments}
              onChange={(lines) => change({ ...program, arguments: lines })}
            />
            <fieldset className="plain-fieldset whole stack-tight">
              <legend className="strong small">Does, besides run program</legend>
              <div className="inline-fields">
                {can.map((action) => (
                  <CheckField
                    key={action}
                    label={kindWord(action)}
                    value={program.serves.includes(action)}
                    onChange={(on) =>
                      change({
                        ...program,
                        serves: can.filter((one) => (one === action ? on : program.serves.includes(one))),
                      })
                    }
                  />
                ))}
              </div>
            </fieldset>
          </>
        )}
      </Rows>
      {fault && (
        <p className="fault small" role="alert">
          {visible(fault)}
        </p>
      )}
    </div>
  )
}
