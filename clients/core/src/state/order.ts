// The order of messages: (created_at, id), as the server pages through them.
import type { Id, Time } from './types.ts'

const FRACTION = /\.(\d+)/

/** Compares two times to the microsecond; Date keeps only milliseconds. */
export function compareTimes(a: Time, b: Time): number {
  if (a === b) return 0
  const coarse = Math.floor(Date.parse(a) / 1000) - Math.floor(Date.parse(b) / 1000)
  if (coarse !== 0) return coarse
  return micros(a) - micros(b)
}

function micros(time: Time): number {
  return Number((FRACTION.exec(time)?.[1] ?? '0').padEnd(6, '0').slice(0, 6))
}

export function compareMessages(a: { created_at: Time; id: Id }, b: { created_at: Time; id: Id }): number {
  return compareTimes(a.created_at, b.created_at) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/** The later of two times, either of which may be missing. */
export function later(a: Time | null | undefined, b: Time | null | undefined): Time | null {
  if (!a) return b ?? null
  if (!b) return a
  return compareTimes(a, b) >= 0 ? a : b
}

/** Puts an id where its message belongs; gives the same list when it is there already. */
export function insertInOrder(ids: Id[], message: { created_at: Time; id: Id }, find: (id: Id) => { created_at: Time; id: Id } | undefined): Id[] {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >> 1
    const id = ids[middle] as Id
    if (id === message.id) return ids
    const other = find(id)
    if (other && compareMessages(other, message) < 0) low = middle + 1
    else high = middle
  }
  if (ids[low] === message.id) return ids
  return [...ids.slice(0, low), message.id, ...ids.slice(low)]
}
