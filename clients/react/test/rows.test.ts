// Rows of the list of messages: where a group begins and ends, where a divider stands, and what it says.
import { describe, expect, test } from 'vitest'
import { BEN, ME, message } from '../../core/test/worlds.ts'
import { rowsOf, type Row } from '../src/hooks/rows.ts'
import { createDates } from '../src/i18n/dates.ts'

const seconds = (n: number) => new Date(Date.UTC(2026, 4, 1, 12) + n * 1000).toISOString()
const said = (id: string, second: number, sender = BEN) => message(id, { sender_id: sender, created_at: seconds(second) })
const told = (rows: Row[]) => rows.map((row) => (row.kind === 'bubble' ? `${row.key}${row.first ? ' first' : ''}${row.last ? ' last' : ''}` : row.kind))

describe('C-503 groups', () => {
  test('hold what one sender says less than a minute apart', () => {
    expect(told(rowsOf([said('a', 0), said('b', 59), said('c', 119), said('d', 120, ME), said('e', 121)], [], ME, null)))
      .toEqual(['divider', 'a first', 'b last', 'c first last', 'd first last', 'e first last'])
  })
})

describe('C-504 dividers', () => {
  test('stand before the first message and after more than five minutes of silence', () => {
    expect(told(rowsOf([said('a', 0), said('b', 300), said('c', 601)], [], ME, null))).toEqual(['divider', 'a first last', 'b first last', 'divider', 'c first last'])
  })

  test('say the day as people do, in the language of the reader', () => {
    const now = Date.parse('2026-12-16T20:00:00')
    const plain = (text: string) => text.replaceAll('\u202f', ' ')
    const { divider } = createDates('en-US')
    expect(plain(divider('2026-12-16T14:34:00', now))).toBe('Today 2:34 PM')
    expect(plain(divider('2026-12-15T09:15:00', now))).toBe('Yesterday 9:15 AM')
    expect(plain(divider('2026-12-14T11:00:00', now))).toBe('Mon Dec 14, 11:00 AM')
    expect(plain(divider('2025-12-14T11:00:00', now))).toBe('Sun Dec 14, 2025, 11:00 AM')
    expect(createDates('de-DE').divider('2026-12-15T09:15:00', now)).toBe('Gestern 9:15')
  })

  test('the list has times, weekdays and dates', () => {
    const now = Date.parse('2026-12-16T20:00:00')
    const words = { now: 'now', minutes: (count: number) => `${count} min` }
    const short = (at: string) => createDates('en-US').short(at, words, now).replaceAll('\u202f', ' ')
    expect(['2026-12-16T19:59:30', '2026-12-16T19:20:00', '2026-12-16T08:05:00', '2026-12-15T23:00:00', '2026-12-12T10:00:00', '2026-11-02T10:00:00', '2025-11-02T10:00:00'].map(short))
      .toEqual(['now', '40 min', '8:05 AM', 'Yesterday', 'Sat', 'Nov 2', 'Nov 2, 2025'])
  })
})

describe('the line above what is unread', () => {
  const read = { since: seconds(10), count: 2 }
  const all = [said('a', 0), said('mine', 11, ME), said('b', 12), said('c', 13)]

  test('stands above the first message of somebody else after what was read, and ends a group', () => {
    expect(told(rowsOf(all, [], ME, read))).toEqual(['divider', 'a first last', 'mine first last', 'unread', 'b first', 'c last'])
  })

  test('is not drawn where the first unread message is not loaded', () => {
    expect(told(rowsOf(all.slice(2), [], ME, read, true))).toEqual(['divider', 'b first', 'c last'])
  })
})
