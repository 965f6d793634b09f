import { keyCaps } from '../lib/keys'

export function Kbd({ keys }: { keys: string }) {
  return (
    <span className="kbd-group">
      {keyCaps(keys).map((cap, i) => (
        <kbd key={i}>{cap}</kbd>
      ))}
    </span>
  )
}
