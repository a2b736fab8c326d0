// The colour that belongs to somebody without a picture, the same wherever they are shown.
import type { Id } from './types.ts'

/** Dark enough for white letters. */
const COLOURS = ['#b3261e', '#9a3b00', '#7a5200', '#3f6600', '#00695c', '#00628f', '#3949ab', '#6a3ab2', '#9c27b0', '#ad1457', '#455a64', '#5d4037']

export function colourOf(id: Id): string {
  // FNV-1a, its upper bits brought down: ids in a row get colours of all kinds.
  let hash = 0x811c9dc5
  for (const c of id) hash = Math.imul(hash ^ (c.codePointAt(0) ?? 0), 0x01000193)
  hash ^= hash >>> 15
  return COLOURS[(hash >>> 0) % COLOURS.length] as string
}
