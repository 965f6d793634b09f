import type { FormEvent } from 'react'
import { useState } from 'react'

/** Runs a submit once at a time and keeps its error beside the form. */
export function useSubmit(run: () => Promise<void>) {
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const submit = async (event?: FormEvent) => {
    event?.preventDefault()
    if (isBusy) return
    setBusy(true)
    setError(null)
    try {
      await run()
    } catch (cause) {
      setError(cause)
    } finally {
      setBusy(false)
    }
  }
  const forget = () => setError(null)
  return { submit, isBusy, error, forget }
}
