/**
 * `@name` in a note, as the server reads it: letters, digits, `.`, `-` and `_` after an `@` that does
 * not stand inside a word.
 */

const NAME = /[\p{Alphabetic}\p{N}._-]/u
const NAMES_MAX = 8

export interface Mentioning {
  /** Where the `@` stands. */
  start: number
  /** Where the word ends, behind the caret too. */
  end: number
  /** What stands between the `@` and the caret. */
  typed: string
}

/** The mention that the caret stands in, if it stands in one. */
export function mentionAt(text: string, caret: number): Mentioning | null {
  let start = caret
  while (start > 0 && NAME.test(text.charAt(start - 1))) start -= 1
  if (text.charAt(start - 1) !== '@' || NAME.test(text.charAt(start - 2))) return null
  let end = caret
  while (end < text.length && NAME.test(text.charAt(end))) end += 1
  return { start: start - 1, end, typed: text.slice(start, caret) }
}

/** Whether the server finds a name in a note: one with a blank, say, it does not. */
function isMentionable(name: string): boolean {
  return [...name].every((letter) => NAME.test(letter)) && !/[.-]$/.test(name)
}

interface Person {
  name: string
  disabled: boolean
}

/** Who may be meant: names that begin so first, then those that hold it. */
export function peopleFor<T extends Person>(people: readonly T[], typed: string): T[] {
  const wanted = typed.toLowerCase()
  const place = (person: T) => person.name.toLowerCase().indexOf(wanted)
  return people
    .filter((person) => !person.disabled && isMentionable(person.name) && place(person) >= 0)
    .sort((a, b) => Number(place(a) > 0) - Number(place(b) > 0) || a.name.localeCompare(b.name))
    .slice(0, NAMES_MAX)
}

/** The text with a name put in, and where the caret stands then. */
export function putMention(text: string, at: Mentioning, name: string): { text: string; caret: number } {
  const after = text.slice(at.end)
  const isParted = /^\s/.test(after)
  const before = `${text.slice(0, at.start)}@${name}${isParted ? '' : ' '}`
  return { text: before + after, caret: before.length + (isParted ? 1 : 0) }
}
