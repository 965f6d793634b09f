/** Round time steps for an axis. */
const STEPS_S = [
  1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
]

export function timeTicks(fromMs: number, toMs: number, wanted: number): number[] {
  const span = (toMs - fromMs) / 1000
  const step = (STEPS_S.find((s) => span / s <= wanted) ?? Math.ceil(span / wanted)) * 1000
  const ticks: number[] = []
  for (let at = Math.ceil(fromMs / step) * step; at <= toMs && ticks.length < 50; at += step) ticks.push(at)
  return ticks
}

/** Round numbers from `low` to `high`, both ends covered. */
export function numberTicks(low: number, high: number, wanted: number): number[] {
  const raw = (high - low) / wanted
  if (!(raw > 0) || !Number.isFinite(raw)) return [low]
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5].find((s) => s * power >= raw) ?? 10) * power
  const first = Math.floor(low / step)
  const last = Math.ceil(high / step)
  // Multiplied and not added up, and cut, so that 0.3 is not 0.30000000000000004.
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}
