// Events may come late, twice and in any order; what is shown at the end is the same.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareTimes, insertInOrder, reactionGroups, type Event, type Message } from '../src/state/index.ts'
import { at, BEN, ME, message, opened, outgoing, PLACE, play, reaction, row, shown } from './worlds.ts'

/** Every event at least once, some twice, in any order. */
const shuffled = (events: Event[]) => fc.shuffledSubarray([...events, ...events], { minLength: events.length, maxLength: 2 * events.length })
  .map((some) => [...some, ...events.filter((event) => !some.includes(event))])

describe('messages', () => {
  const edited = { content: 'edited', edited_at: at(30) }
  const again = { content: 'edited again', edited_at: at(31) }
  const events: Event[] = [
    { type: 'message-row', row: row('a', { created_at: at(1) }) },
    { type: 'message-row', row: row('b', { created_at: at(1, 5) }) },
    { type: 'message-row', row: row('c', { created_at: at(1, 5) }) },
    { type: 'message-row', row: row('b', { created_at: at(1, 5), ...edited }) },
    { type: 'message-row', row: row('b', { created_at: at(1, 5), ...again }) },
    { type: 'message', message: message('c', { created_at: at(1, 5), ...edited }) },
    { type: 'message-row', row: row('c', { created_at: at(1, 5), content: '', deleted_at: at(40) }) },
    { type: 'message-row', row: row('a', { is_read: true, read_at: at(20) }) },
    { type: 'message-row', row: row('mine', { sender_id: ME, client_id: 'k', created_at: at(9) }) },
    { type: 'sent', client_id: 'k', message: message('mine', { sender_id: ME, client_id: 'k', created_at: at(9) }) },
  ]

  test('in any order give one list without gaps and doubles', () => {
    fc.assert(fc.property(shuffled(events), (some) => {
      const state = play(some, play([{ type: 'queued', item: outgoing('k') }], opened()))
      expect(shown(state)).toEqual(['a', 'b', 'c', 'mine'])
      expect(state.messages.b?.content).toBe('edited again')
      expect(state.messages.c).toMatchObject({ content: '', deleted_at: at(40) })
      expect(state.messages.a).toMatchObject({ is_read: true, read_at: at(20) })
      expect(state.outbox).toEqual({})
    }))
  })

  test('pages overlap with what came live', () => {
    const all = Array.from({ length: 40 }, (_, i) => message(`m${String(i).padStart(2, '0')}`, { created_at: at(i) }))
    fc.assert(fc.property(fc.shuffledSubarray(all), fc.nat(39), (live, from) => {
      const rows = live.map((m): Event => ({ type: 'message-row', row: m }))
      const page: Event = { type: 'timeline-page', key: PLACE, messages: all.slice(from), where: 'latest', hasBefore: false }
      const rest: Event = { type: 'timeline-page', key: PLACE, messages: all.slice(0, from), where: 'before', hasBefore: false }
      expect(shown(play([...rows, page, rest], opened()))).toEqual(all.map((m) => m.id))
    }))
  })

  test('what is outside of the stretch that is shown is not put beside it', () => {
    const around: Message[] = [message('m', { created_at: at(10) })]
    const state = play([
      { type: 'timeline-page', key: PLACE, messages: around, where: 'around', hasBefore: true, hasAfter: true },
      { type: 'message-row', row: row('new', { created_at: at(50) }) },
      { type: 'message-row', row: row('old', { created_at: at(1) }) },
    ], opened())
    expect(shown(state)).toEqual(['m'])
    expect(state.messages.new).toBeDefined()
  })

  test('a page that does not touch what is shown takes its place', () => {
    const state = play([{ type: 'timeline-page', key: PLACE, messages: [message('z', { created_at: at(50) })], where: 'latest', hasBefore: true }], opened([message('a')]))
    expect(shown(state)).toEqual(['z'])
    expect(state.timelines[PLACE]?.hasBefore).toBe(true)
  })

  test('a row quotes what is known', () => {
    const state = play([{ type: 'message-row', row: row('b', { reply_to: 'a', created_at: at(3) }) }], opened([message('a', { content: 'Hi  @[Ana](00000000-0000-4000-8000-000000000001)' })]))
    expect(state.messages.b?.quoted).toMatchObject({ id: 'a', preview: 'Hi @Ana' })
  })
})

describe('reactions', () => {
  test('a removed one does not come back, however late it is heard of again', () => {
    const events: Event[] = [
      { type: 'reaction', message_id: 'a', reaction: reaction('r1', '👍') },
      { type: 'reaction-gone', id: 'r1' },
      { type: 'message', message: message('a', { reactions: [reaction('r1', '👍')] }) },
    ]
    fc.assert(fc.property(shuffled(events), (some) => {
      expect(play(some, opened([message('a')])).messages.a?.reactions).toEqual([])
    }))
  })

  test('one of each person: the later row stays', () => {
    const events: Event[] = [
      { type: 'reaction', message_id: 'a', reaction: reaction('r1', '👍') },
      { type: 'reaction', message_id: 'a', reaction: reaction('r2', '😂', { created_at: at(3) }) },
    ]
    fc.assert(fc.property(shuffled(events), (some) => {
      expect(play(some, opened([message('a')])).messages.a?.reactions.map((r) => r.emoji)).toEqual(['😂'])
    }))
  })

  test('one\'s own choice shows before the server knows it, and is gone when it was refused', () => {
    const me = { id: ME, display_name: 'Ana' }
    const start = opened([message('a', { reactions: [reaction('r1', '👍'), reaction('mine', '👍', { reactor_id: ME, created_at: at(3) })] })])
    const chosen = play([{ type: 'reacting', message_id: 'a', emoji: '😂' }], start)
    const groups = (state: typeof chosen) => reactionGroups(state.messages.a as Message, me, state.reacting.a).map((g) => [g.emoji, g.count, g.mine])
    expect(groups(chosen)).toEqual([['👍', 1, false], ['😂', 1, true]])
    expect(groups(play([{ type: 'reacted', message_id: 'a', reactions: null }], chosen))).toEqual([['👍', 2, true]])
    const answered = play([{ type: 'reacted', message_id: 'a', reactions: [reaction('mine', '😂', { reactor_id: ME, created_at: at(3) })] }], chosen)
    expect(groups(answered)).toEqual([['👍', 1, false], ['😂', 1, true]])
  })
})

describe('threads', () => {
  test('a reply is shown in its thread, and in the main line only when it is meant for both', () => {
    const thread = `${PLACE}/a`
    const state = play([
      { type: 'timeline-page', key: thread, messages: [], where: 'latest', hasBefore: false },
      { type: 'message-row', row: row('r1', { thread_id: 'a', in_main_line: false, created_at: at(3) }) },
      { type: 'message-row', row: row('r2', { thread_id: 'a', in_main_line: true, created_at: at(4) }) },
      { type: 'message-row', row: row('r2', { thread_id: 'a', in_main_line: true, created_at: at(4) }) },
    ], opened([message('a')]))
    expect(shown(state)).toEqual(['a', 'r2'])
    expect(shown(state, thread)).toEqual(['r1', 'r2'])
    expect(state.messages.a).toMatchObject({ reply_count: 2, reply_users: [BEN], last_reply: { id: 'r2' } })
  })
})

describe('times', () => {
  const micros = fc.integer({ min: 0, max: 10_000_000 })
  const write = (n: number, digits: number) => {
    const fraction = String(n % 1_000_000).padStart(6, '0').slice(0, digits).replace(/0+$/, '')
    return `2026-05-01T12:00:${String(Math.floor(n / 1_000_000)).padStart(2, '0')}${fraction ? `.${fraction}` : ''}+00:00`
  }
  test('are compared to the microsecond, however many digits are written', () => {
    fc.assert(fc.property(micros, micros, (a, b) => {
      expect(Math.sign(compareTimes(write(a, 6), write(b, 6)))).toBe(Math.sign(a - b))
    }))
  })
  test('a list stays sorted, and takes each only once', () => {
    fc.assert(fc.property(fc.array(fc.tuple(micros, fc.nat(3)), { maxLength: 60 }), (pairs) => {
      const known = new Map(pairs.map(([n, i]) => [`${n}-${i}`, { id: `${n}-${i}`, created_at: write(n, 6) }]))
      const ids = pairs.reduce<string[]>((list, [n, i]) => insertInOrder(list, known.get(`${n}-${i}`) as { id: string; created_at: string }, (id) => known.get(id)), [])
      expect(new Set(ids).size).toBe(ids.length)
      expect(ids.length).toBe(known.size)
      ids.slice(1).forEach((id, i) => expect(compareTimes(known.get(ids[i] as string)?.created_at as string, known.get(id)?.created_at as string)).toBeLessThanOrEqual(0))
    }))
  })
})
