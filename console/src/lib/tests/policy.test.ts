import { describe, expect, it } from 'vitest'
import { ApiError } from '../../api/client'
import { faultsOf } from '../../ui/Form'
import {
  emptyIntegrity,
  emptyProbe,
  fieldOfPath,
  policyDiffers,
  policyOf,
  policyToSend,
  shapeFault,
} from '../policy'

const refused = (field: string, reason: string) =>
  new ApiError(400, { detail: 'the request does not do', fields: [{ field, reason }] })

describe('the policy of a group', () => {
  it('is whole where the server leaves the standard out, and has no revision', () => {
    const policy = policyOf({ cpu_percent: 7, revision: 3 })
    expect(policy.cpu_percent).toBe(7)
    expect(policy.records_per_second).toBe(500)
    expect('revision' in policy).toBe(false)
    expect(policyDiffers(policy, policyOf({}))).toEqual(['cpu_percent'])
  })

  it('is the same whatever the order of its names', () => {
    const a = policyOf({ log_files: [{ path: '/a', product: null }] })
    const b = policyOf({ log_files: [{ product: null, path: '/a' }] })
    expect(policyDiffers(a, b)).toEqual([])
  })

  it('is sent without what writing leaves behind', () => {
    const policy = policyOf({
      integrity: [{ ...emptyIntegrity(), path: ' /etc ', exclude: ['', '*.swp', ' '] }],
      log_files: [{ path: '/var/log/a', product: ' ' }],
    })
    const sent = policyToSend(policy)
    expect(sent.integrity[0]).toMatchObject({ path: '/etc', exclude: ['*.swp'] })
    expect(sent.log_files[0]?.product).toBeNull()
  })

  it('is shown as a form only where it has the shape', () => {
    expect(shapeFault({ log_files: 5 })).toBe('log_files must be a list')
    expect(shapeFault({ artifacts: [] })).toBe('artifacts must be an object')
    expect(shapeFault([])).toBe('a policy is an object')
    expect(shapeFault({ cpu_percent: 5, later: true })).toBeNull()
  })

  it('has every field of a kind of probe', () => {
    expect(emptyProbe('mode')).toEqual({ probe: 'mode', path: '', forbidden: '', owner: null })
  })
})

describe('what the server refused', () => {
  it('stands at the field that the sentence names first', () => {
    const { faults, rest } = faultsOf(refused('settings', 'timeout_s must be from 1 to 120'), [
      'from',
      'timeout_s',
    ])
    expect([...faults]).toEqual([['timeout_s', 'timeout_s must be from 1 to 120']])
    expect(rest).toBeNull()
  })

  it('stands at the entry whose place it says', () => {
    const error = refused('policy', "log_files[1].path 'var/b' is not an absolute path")
    const { faults } = faultsOf(error, ['log_files'], fieldOfPath)
    expect([...faults.keys()]).toEqual(['log_files.1'])
  })

  it('stands below the form where it names no field', () => {
    const error = refused('policy', 'must be at most 65536 bytes')
    expect(faultsOf(error, ['cpu_percent']).rest).toBe(error)
  })
})
