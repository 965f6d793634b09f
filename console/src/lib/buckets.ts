/** The server leaves empty buckets out; a gap in the data must be drawn as a gap. */
import type { Bucket } from '../api/types'

const BUCKETS_MAX = 2000

export function fillBuckets(
  buckets: readonly Bucket[],
  seconds: number,
  from?: string,
  to?: string,
): Bucket[] {
  const width = seconds * 1000
  const counts = new Map(buckets.map((b) => [Math.floor(Date.parse(b.start) / width), b.count]))
  const known = [...counts.keys()]
  if (width <= 0 || (known.length === 0 && !from)) return [...buckets]
  const low = from ? Math.floor(Date.parse(from) / width) : Math.min(...known)
  const high = to ? Math.ceil(Date.parse(to) / width) - 1 : Math.max(...known, low)
  if (high - low >= BUCKETS_MAX) return [...buckets]
  return Array.from({ length: high - low + 1 }, (_, i) => ({
    start: new Date((low + i) * width).toISOString(),
    count: counts.get(low + i) ?? 0,
  }))
}
