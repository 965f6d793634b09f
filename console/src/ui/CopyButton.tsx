import { Copy } from 'lucide-react'
import { toast } from './toast'

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    toast({ tone: 'plain', text: 'Copied' })
  } catch {
    toast({ tone: 'error', text: 'The browser did not allow copying. Select the text and copy it by hand.' })
  }
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      title={label}
      onClick={() => copyText(text)}
    >
      <Copy size={14} />
    </button>
  )
}
