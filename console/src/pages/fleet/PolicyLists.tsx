/** Checks and artifacts that a group has besides the program's own. */
import {
  type ArtifactDefinition,
  type CheckDefinition,
  type CheckProbe,
  emptyArtifact,
  emptyCheck,
  emptyProbe,
  PROBES,
  type ProbeValue,
  SEVERITY_WORDS,
  STATE_WORDS,
} from '../../lib/policy'
import { CheckField, LinesField, NumberField, Rows, SelectField, TextField } from '../../ui/Form'
import { Section } from '../../ui/Page'
import type { PolicyPartProps } from './PolicyForm'

const PROBE_OPTIONS = Object.entries(PROBES).map(([kind, { word }]) => [kind, word] as const)
const SEVERITY_OPTIONS = SEVERITY_WORDS.map((word) => [word, word] as const)
const MIB = 1_048_576

export function Checks({ policy, set }: PolicyPartProps) {
  return (
    <Section
      title="Checks of your own"
      note="besides the program's; one with the id of a built-in takes its place"
    >
      <Rows
        one="check"
        items={policy.checks}
        onChange={(checks) => set({ checks })}
        make={emptyCheck}
        nameOf={(check) => check.id}
      >
        {(check, change) => <Check check={check} change={change} />}
      </Rows>
    </Section>
  )
}

function Check({ check, change }: { check: CheckDefinition; change: (check: CheckDefinition) => void }) {
  const text = (name: 'id' | 'title' | 'rationale' | 'remediation') => ({
    isRequired: true,
    value: check[name],
    onChange: (value: string) => change({ ...check, [name]: value }),
  })
  return (
    <>
      <TextField label="Id" hint="Stable, such as ssh-root-login." isMono {...text('id')} />
      <TextField label="Title" hint="One line." className="grow" {...text('title')} />
      <SelectField
        label="Severity"
        options={SEVERITY_OPTIONS}
        value={check.severity}
        onChange={(severity) => change({ ...check, severity })}
      />
      <TextField label="Why it matters" className="half" {...text('rationale')} />
      <TextField label="How it is mended" className="half" {...text('remediation')} />
      <LinesField
        label="References (optional)"
        hint="One a line, such as CIS Debian Linux 12, 5.1.20."
        rows={1}
        className="half"
        value={check.references}
        onChange={(references) => change({ ...check, references })}
      />
      <div className="whole">
        <p className="strong small">All of these must hold</p>
        <Rows
          one="condition"
          items={check.all}
          onChange={(all) => change({ ...check, all })}
          make={() => emptyProbe('file')}
          nameOf={(probe) => PROBES[probe.probe]?.word ?? probe.probe}
        >
          {(probe, changeProbe) => <Probe probe={probe} change={changeProbe} />}
        </Rows>
      </div>
    </>
  )
}

function Probe({ probe, change }: { probe: CheckProbe; change: (probe: CheckProbe) => void }) {
  const put = (name: string, value: ProbeValue) => change({ ...probe, [name]: value })
  return (
    <>
      <SelectField
        label="Looks at"
        options={PROBE_OPTIONS}
        value={probe.probe}
        onChange={(kind) => change(emptyProbe(kind))}
      />
      {(PROBES[probe.probe]?.fields ?? []).map(({ name, label, type, hint, isOptional }) => {
        const value = probe[name]
        const shared = { label: isOptional ? `${label} (optional)` : label, hint }
        if (type === 'flag')
          return (
            <CheckField key={name} label={label} value={value === true} onChange={(on) => put(name, on)} />
          )
        if (type === 'number')
          return (
            <NumberField
              key={name}
              {...shared}
              min={0}
              isRequired={!isOptional}
              value={typeof value === 'number' ? value : null}
              onChange={(number) => put(name, number)}
            />
          )
        if (type === 'lines')
          return (
            <LinesField
              key={name}
              {...shared}
              isRequired
              value={Array.isArray(value) ? value : []}
              onChange={(lines) => put(name, lines)}
            />
          )
        return (
          <TextField
            key={name}
            {...shared}
            isMono
            isRequired={!isOptional}
            value={typeof value === 'string' ? value : ''}
            onChange={(text) => put(name, text)}
          />
        )
      })}
    </>
  )
}

export function Artifacts({ policy, set }: PolicyPartProps) {
  const rows = Object.entries(policy.artifacts)
  const put = (next: [string, ArtifactDefinition][]) => set({ artifacts: Object.fromEntries(next) })
  return (
    <Section
      title="Artifacts of your own"
      note="what can be collected besides the program's; one with the name of a built-in takes its place"
    >
      <Rows
        one="artifact"
        items={rows}
        onChange={put}
        make={() => [freeName(policy.artifacts), emptyArtifact()] as [string, ArtifactDefinition]}
        nameOf={([name]) => name}
      >
        {([name, one], change) => (
          <>
            <TextField
              label="Name"
              hint="As the action collect triage takes it."
              isMono
              isRequired
              value={name}
              // A name that another has would swallow it.
              onChange={(next) => (next === name || !(next in policy.artifacts)) && change([next, one])}
            />
            <TextField
              label="Description"
              hint="One line."
              className="grow"
              value={one.description}
              onChange={(description) => change([name, { ...one, description }])}
            />
            <NumberField
              label="Largest file (optional)"
              unit="MiB"
              hint="Longer ones are named and left."
              min={0}
              isRequired={false}
              isWhole={false}
              value={one.file_bytes_max === null ? null : one.file_bytes_max / MIB}
              onChange={(mib) =>
                change([name, { ...one, file_bytes_max: mib === null ? null : Math.round(mib * MIB) }])
              }
            />
            <LinesField
              label="Paths"
              hint="Absolute, one a line, with *, ? and **."
              className="half"
              value={one.paths}
              onChange={(paths) => change([name, { ...one, paths }])}
            />
            <fieldset className="plain-fieldset half">
              <legend className="strong small">State that the agent writes down itself</legend>
              <div className="inline-fields">
                {STATE_WORDS.map((word) => (
                  <CheckField
                    key={word}
                    label={word}
                    value={one.states.includes(word)}
                    onChange={(on) =>
                      change([
                        name,
                        {
                          ...one,
                          states: STATE_WORDS.filter((each) =>
                            each === word ? on : one.states.includes(each),
                          ),
                        },
                      ])
                    }
                  />
                ))}
              </div>
            </fieldset>
          </>
        )}
      </Rows>
    </Section>
  )
}

function freeName(taken: Record<string, unknown>): string {
  for (let i = 1; ; i += 1) if (!(`artifact-${i}` in taken)) return `artifact-${i}`
}
