// The list, receipts, typing and presence.
import { describe, expect, test } from 'vitest'
import { isOnline, receiptOf, sortedList, typingIn, waitingCount, type Conversation, type Event, type Message, type Person } from '../src/state/index.ts'
import { at, BEN, ME, message, opened, outgoing, PLACE, play } from './worlds.ts'

const ben: Person = { user_id: BEN, display_name: 'Ben', avatar_url: null, kind: 'client', role: 'member', online: false, last_seen_at: null, last_read_at: null }
const conversation = (id: string, more: Partial<Conversation> = {}): Conversation => ({
  id, type: 'direct', name: null, org_id: null, project_id: null, subject: null, created_by: null, created_at: at(0), last_message_at: at(1), last_message_preview: 'Hi', last_message_sender_id: BEN,
  last_message_sender_name: 'Ben', role: 'member', unread_count: 0, mention_count: 0, last_read_at: at(1), last_read_message_id: null, muted_until: null, notify: 'all', pinned_at: null,
  archived_at: null, participant_count: 2, participants: [ben], ...more,
})
const listed = (...conversations: Conversation[]) => play([{ type: 'list-loaded', filter: 'all', search: '', conversations, hasMore: false, append: false }], opened([message('a', { sender_id: ME })]))
const names = (state: ReturnType<typeof listed>) => sortedList(state).map((c) => c.id)

describe('the list', () => {
  test('the latest activity is first, pinned ones above, archived ones away until the next message', () => {
    let state = listed(conversation('x', { last_message_at: at(1) }), conversation('y', { last_message_at: at(2) }), conversation('p', { pinned_at: at(0), last_message_at: null }))
    expect(names(state)).toEqual(['p', 'y', 'x'])
    state = play([{ type: 'conversation-row', row: { id: 'x', last_message_at: at(9), last_message_preview: 'New', last_message_sender_id: BEN } }], state)
    expect(names(state)).toEqual(['p', 'x', 'y'])
    const mine = { conversation_id: 'x', user_id: ME, role: 'member', left_at: null, last_read_at: at(9), last_read_message_id: null, muted_until: null, notify: 'all' as const, pinned_at: null, archived_at: at(10) }
    state = play([{ type: 'participation-row', row: mine }], state)
    expect(names(state)).toEqual(['p', 'y'])
    state = play([{ type: 'conversation-row', row: { id: 'x', last_message_at: at(20), last_message_sender_id: BEN } }], state)
    expect(names(state)).toEqual(['p', 'x', 'y'])
  })

  test('an older row changes nothing, one\'s own message is not unread, a second telling counts once', () => {
    const row = (second: number, sender: string): Event => ({ type: 'conversation-row', row: { id: 'x', last_message_at: at(second), last_message_preview: String(second), last_message_sender_id: sender } })
    const state = play([row(5, BEN), row(5, BEN), row(3, BEN), row(6, ME)], listed(conversation('x')))
    expect(state.conversations.x).toMatchObject({ unread_count: 1, last_message_preview: '6' })
  })

  test('an answer to an earlier question is not shown', () => {
    const state = play([{ type: 'list-loading', filter: 'clients', search: '' }, { type: 'list-loaded', filter: 'all', search: '', conversations: [conversation('z')], hasMore: false, append: false }], listed(conversation('x')))
    expect(names(state)).toEqual(['x'])
  })

  test('who was removed loses the conversation', () => {
    const state = play([{ type: 'participation-row', row: { conversation_id: 'x', user_id: ME, role: 'member', left_at: at(9), last_read_at: null, last_read_message_id: null, muted_until: null, notify: 'all', pinned_at: null, archived_at: null } }], listed(conversation('x')))
    expect(names(state)).toEqual([])
  })
})

describe('receipts', () => {
  const start = () => listed(conversation(PLACE))
  const own = (state: ReturnType<typeof start>) => receiptOf(state, state.messages.a as Message)

  test('sent, delivered when the other is there, read when they have read; never back', () => {
    let state = start()
    expect(own(state)).toBe('sent')
    state = play([{ type: 'presence', online: { [BEN]: { away: false } }, seen: at(3) }], state)
    expect(own(state)).toBe('delivered')
    state = play([{ type: 'presence', online: {}, seen: at(4) }], state)
    expect(own(state)).toBe('delivered')
    state = play([{ type: 'read', conversation: PLACE, user_id: BEN, last_read_at: at(2) }, { type: 'read', conversation: PLACE, user_id: BEN, last_read_at: at(0) }], state)
    expect(own(state)).toBe('read')
  })
})

describe('who is there', () => {
  const there = (state: ReturnType<typeof listed>) => isOnline(state, state.conversations.x?.participants[0] as Person)
  const told = (online: boolean, second: number): Event => ({ type: 'last-seen', user_id: BEN, online, at: at(second) })
  const channel = (online: boolean): Event => ({ type: 'presence', online: online ? { [BEN]: { away: false } } : {}, seen: at(5) })

  test('a guest, who is on no channel, comes and goes by what is told; what the channel says of others changes nothing', () => {
    let state = play([told(true, 3)], listed(conversation('x')))
    expect(there(state)).toBe(true)
    state = play([channel(false)], state)
    expect(there(state)).toBe(true)
    state = play([told(false, 6)], state)
    expect(there(state)).toBe(false)
    expect(state.conversations.x?.participants[0]?.last_seen_at).toBe(at(6))
  })

  test('who has left the channel and is a guest now is there', () => {
    const state = play([channel(true), channel(false), told(true, 7)], listed(conversation('x')))
    expect(there(state)).toBe(true)
  })

  test('who is on the channel is there, whatever else is told', () => {
    expect(there(play([channel(true), told(false, 3)], listed(conversation('x'))))).toBe(true)
  })
})

describe('typing and what waits', () => {
  test('is forgotten when its time is over, and when the message comes', () => {
    const typing: Event = { type: 'typing', conversation: PLACE, user_id: BEN, until: 5000 }
    expect(typingIn(play([typing, { type: 'typing-tick', now: 4000 }], opened()), PLACE)).toEqual([BEN])
    expect(typingIn(play([typing, { type: 'typing-tick', now: 6000 }], opened()), PLACE)).toEqual([])
    expect(typingIn(play([typing, { type: 'message-row', row: message('n') }], opened()), PLACE)).toEqual([])
  })

  test('a refused message stays, with its reason, and does not count as waiting', () => {
    const state = play([
      { type: 'queued', item: outgoing('k') }, { type: 'queued', item: outgoing('l', { order: 2 }) }, { type: 'sending', client_id: 'k' },
      { type: 'send-failed', client_id: 'k', error: 'the message is too long' },
    ], opened())
    expect(state.outbox.k).toMatchObject({ state: 'failed', error: 'the message is too long', content: 'k', attempts: 1 })
    expect(waitingCount(state)).toBe(1)
  })
})
