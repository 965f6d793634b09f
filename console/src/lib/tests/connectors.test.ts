import { describe, expect, it } from 'vitest'
import type { ActionKind } from '../../api/types'
import { fieldOfSetting, servable, settingsToSend } from '../connectors'

const ALL: ActionKind[] = ['block_address', 'call_webhook', 'send_email', 'open_ticket', 'run_program']

describe('connectors', () => {
  it('serve what their kind can', () => {
    expect(servable('webhook', ALL)).toEqual(['block_address', 'call_webhook'])
    expect(servable('program', ALL)).toEqual(['block_address', 'run_program'])
    expect(servable('jira', ALL)).toEqual(['open_ticket'])
  })

  it('are sent without what is empty or the standard', () => {
    const settings = {
      url: ' https://gate.example ',
      honors_idempotency_key: false,
      timeout_s: 15,
      allowed_networks: ['10.7.0.0/16', ' ', ''],
    }
    expect(settingsToSend('webhook', settings)).toEqual({
      url: 'https://gate.example',
      allowed_networks: ['10.7.0.0/16'],
    })
    const program = { name: 'fw', path: '/bin/fw', serves: [], arguments: ['--address', '{address}', ''] }
    expect(settingsToSend('program', { programs: [program] })).toEqual({
      programs: [{ ...program, arguments: ['--address', '{address}'] }],
    })
    expect(settingsToSend('smtp', { host: 'm', port: 587, username: '' })).toEqual({ host: 'm' })
  })

  it('know which field the server means', () => {
    expect(fieldOfSetting('http', 'ftp://a/ is no http or https URL')).toBe('base_url')
    expect(fieldOfSetting('smtp', "'10' is no network such as 10.0.0.0/8")).toBe('allowed_networks')
    expect(fieldOfSetting('jira', 'the settings do not do: missing field `project`')).toBe('project')
    expect(fieldOfSetting('program', 'programs: name at least one')).toBe('programs')
    expect(fieldOfSetting('smtp', 'from: no address')).toBeUndefined()
  })
})
