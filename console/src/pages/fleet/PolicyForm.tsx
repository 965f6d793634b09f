/** Every setting of a policy as a field: what it does, its unit, its range, and what the server said of it. */
import { useQuery } from '@tanstack/react-query'
import { mappingsQuery } from '../../api/queries'
import { count } from '../../lib/format'
import {
  type AgentPolicy,
  emptyIntegrity,
  emptyLog,
  FIGURES,
  PROCESS_WORDS,
  type ProcessEvents,
  SPAN_MAX_S,
} from '../../lib/policy'
import {
  CheckField,
  type Faults,
  LinesField,
  NumberField,
  Rows,
  SelectField,
  SpanField,
  TextField,
} from '../../ui/Form'
import { Section } from '../../ui/Page'
import { Artifacts, Checks } from './PolicyLists'

export interface PolicyPartProps {
  policy: AgentPolicy
  set: (change: Partial<AgentPolicy>) => void
  faults: Faults
}

export function PolicyForm(props: PolicyPartProps) {
  return (
    <>
      <Use {...props} />
      <Watch {...props} />
      <LogFiles {...props} />
      <Integrity {...props} />
      <Checks {...props} />
      <Artifacts {...props} />
    </>
  )
}

function Use({ policy, set, faults }: PolicyPartProps) {
  return (
    <Section title="What an agent may use">
      <div className="form-grid">
        {FIGURES.map(({ name, label, unit, min, max, about }) => (
          <NumberField
            key={name}
            label={label}
            unit={unit}
            min={min}
            max={max}
            hint={`${count(min)} to ${count(max)}. ${about}`}
            fault={faults.get(name)}
            value={policy[name]}
            onChange={(value) => set({ [name]: value })}
          />
        ))}
      </div>
    </Section>
  )
}

function Watch({ policy, set, faults }: PolicyPartProps) {
  return (
    <Section title="What it tells">
      <div className="form-grid">
        <SelectField
          label="Starts and ends of processes"
          className="grow"
          options={PROCESS_WORDS}
          fault={faults.get('processes')}
          value={policy.processes}
          onChange={(processes) => set({ processes: processes as ProcessEvents })}
        />
        <SpanField
          label="Inventory every"
          hint="Up to 30 days; 0 for never. Processes, accounts, packages, services, modules, ports."
          fault={faults.get('inventory_every_s')}
          max={SPAN_MAX_S}
          zero="never"
          value={policy.inventory_every_s}
          onChange={(inventory_every_s) => set({ inventory_every_s })}
        />
        <SpanField
          label="Configuration checks every"
          hint="Up to 30 days; 0 for never."
          fault={faults.get('checks_every_s')}
          max={SPAN_MAX_S}
          zero="never"
          value={policy.checks_every_s}
          onChange={(checks_every_s) => set({ checks_every_s })}
        />
        <CheckField
          label="Journal of systemd"
          hint="Where there is one."
          value={policy.journald}
          onChange={(journald) => set({ journald })}
        />
        <CheckField
          label="Logins"
          hint="From utmp, wtmp and btmp."
          value={policy.logins}
          onChange={(logins) => set({ logins })}
        />
        <CheckField
          label="Network"
          hint="New listening ports and connections, and whose they are."
          value={policy.network}
          onChange={(network) => set({ network })}
        />
      </div>
    </Section>
  )
}

function LogFiles({ policy, set, faults }: PolicyPartProps) {
  const packs = useQuery(mappingsQuery).data?.packs ?? []
  return (
    <Section title="Log files" note="with rotation and kept positions">
      <datalist id="mapping-packs">
        {packs.map((pack) => (
          <option key={pack.name} value={pack.name}>
            {pack.title}
          </option>
        ))}
      </datalist>
      <Rows
        one="log file"
        items={policy.log_files}
        onChange={(log_files) => set({ log_files })}
        make={emptyLog}
        nameOf={(file) => file.path}
        empty="No log file is read."
      >
        {(file, change, i) => (
          <>
            <TextField
              label="Path"
              hint="Absolute, with * and ? within names."
              isMono
              isRequired
              className="grow"
              fault={faults.get(`log_files.${i}`)}
              value={file.path}
              onChange={(path) => change({ ...file, path })}
            />
            <TextField
              label="Product (optional)"
              hint="Mapping pack, where lines do not say."
              isMono
              list="mapping-packs"
              value={file.product ?? ''}
              onChange={(product) => change({ ...file, product })}
            />
          </>
        )}
      </Rows>
    </Section>
  )
}

function Integrity({ policy, set, faults }: PolicyPartProps) {
  return (
    <Section title="Files and folders" note="created, changed, deleted, renamed, other rights">
      <Rows
        one="path"
        items={policy.integrity}
        onChange={(integrity) => set({ integrity })}
        make={emptyIntegrity}
        nameOf={(one) => one.path}
        empty="No changes of files are told."
      >
        {(one, change, i) => (
          <>
            <TextField
              label="Path"
              hint="Absolute."
              isMono
              isRequired
              className="grow"
              fault={faults.get(`integrity.${i}`)}
              value={one.path}
              onChange={(path) => change({ ...one, path })}
            />
            <LinesField
              label="Passed over (optional)"
              hint="Names, one a line, with * and ?."
              rows={1}
              value={one.exclude}
              onChange={(exclude) => change({ ...one, exclude })}
            />
            <div className="stack-tight">
              <CheckField
                label="with all below it"
                value={one.is_recursive}
                onChange={(is_recursive) => change({ ...one, is_recursive })}
              />
              <CheckField
                label="with the difference of texts, up to 64 KiB"
                value={one.with_diff}
                onChange={(with_diff) => change({ ...one, with_diff })}
              />
            </div>
          </>
        )}
      </Rows>
    </Section>
  )
}
