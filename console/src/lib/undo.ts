/** What was done last and how to take it back: `z` instead of "are you sure". */
import { toast } from '../ui/toast'

interface Step {
  label: string
  revert: () => Promise<void>
}

const STEPS_MAX = 50
const steps: Step[] = []

export function pushUndo(step: Step): void {
  steps.push(step)
  if (steps.length > STEPS_MAX) steps.shift()
}

export async function undoLast(): Promise<void> {
  const step = steps.pop()
  if (!step) {
    toast({ tone: 'plain', text: 'Nothing to undo' })
    return
  }
  try {
    await step.revert()
    toast({ tone: 'plain', text: `Undone: ${step.label}` })
  } catch (error) {
    toast({ tone: 'error', text: `Could not undo: ${step.label}`, error })
  }
}
