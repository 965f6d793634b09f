/** The live switch: on, trying, or off; and how far behind the floor is. */
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { connectLive, ledgerTick, liveState } from '../api/live'
import { liveStore } from '../lib/settings'
import { duration } from '../lib/time'

const BEHIND_MS = 5000

export function LiveSwitch() {
  const client = useQueryClient()
  const isOn = liveStore.use()
  const state = liveState.use()
  const tick = ledgerTick.use()
  useEffect(() => (isOn ? connectLive(client) : undefined), [client, isOn])
  const isBehind = (tick?.lag_ms ?? 0) > BEHIND_MS
  const text = !isOn
    ? 'Paused'
    : state !== 'on'
      ? 'Connecting'
      : isBehind
        ? `${duration((tick?.lag_ms ?? 0) / 1000)} behind`
        : 'Live'
  return (
    <button
      type="button"
      role="switch"
      aria-checked={isOn}
      aria-label={`Live updates: ${text}`}
      className="button live"
      data-state={isOn ? state : 'off'}
      title={isOn ? 'New alerts appear by themselves. Press to pause.' : 'Press to receive new alerts again.'}
      onClick={() => liveStore.set(!isOn)}
    >
      <span className="live-dot" aria-hidden="true" />
      {text}
    </button>
  )
}
