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
