import { describe, expect, it } from 'vitest'
import { fillBuckets } from '../buckets'

const at = (s: number) => new Date(s * 1000).toISOString()

describe('fillBuckets', () => {
  const shown = (...args: Parameters<typeof fillBuckets>) => fillBuckets(...args).map((b) => b.count)
  it('draws gaps as gaps', () => {
    expect(
      shown(
        [
          { start: at(0), count: 2 },
          { start: at(30), count: 1 },
        ],
        10,
      ),
    ).toEqual([2, 0, 0, 1])
  })
  it('reaches to the bounds of the question', () => {
    expect(shown([{ start: at(10), count: 5 }], 10, at(0), at(40))).toEqual([0, 5, 0, 0])
  })
  it('has nothing to fill where nothing is known, and does not explode', () => {
    expect(shown([], 10)).toEqual([])
    expect(
      shown(
        [
          { start: at(0), count: 1 },
          { start: at(1e9), count: 1 },
        ],
        1,
      ),
    ).toEqual([1, 1])
  })
})
