// Events about the list of conversations and how far people have read.
import type { ParticipationRow } from './events.ts'
import { compareTimes, later } from './order.ts'
import type { State } from './state.ts'
import type { Conversation, Id, Person, Time } from './types.ts'

function change(state: State, id: Id, update: (conversation: Conversation) => Conversation): State {
  const known = state.conversations[id]
  return known ? { ...state, conversations: { ...state.conversations, [id]: update(known) } } : state
}

/** A row of conversations: of what it says only what is newer than what is known. */
export function onConversationRow(state: State, row: Partial<Conversation> & { id: Id }): State {
  return change(state, row.id, (known) => {
    const next = { ...known, name: row.name ?? known.name }
    if (!row.last_message_at || (known.last_message_at && compareTimes(row.last_message_at, known.last_message_at) < 0)) return next
    const isNew = row.last_message_at !== known.last_message_at
    const theirs = row.last_message_sender_id && row.last_message_sender_id !== state.me?.id
    const unread = isNew && theirs && (!known.last_read_at || compareTimes(row.last_message_at, known.last_read_at) > 0)
    return {
      ...next,
      last_message_at: row.last_message_at,
      last_message_preview: row.last_message_preview ?? null,
      last_message_sender_id: row.last_message_sender_id ?? null,
      last_message_sender_name: row.last_message_sender_name ?? null,
      // A guess until the server has counted.
      unread_count: known.unread_count + (unread ? 1 : 0),
    }
  })
}

/** One's own participation, or somebody else's in a conversation that is open. */
export function onParticipation(state: State, row: ParticipationRow): State {
  if (row.user_id !== state.me?.id) return onRead(state, row.conversation_id, row.user_id, row.last_read_at)
  if (row.left_at) {
    const { [row.conversation_id]: _, ...conversations } = state.conversations
    return { ...state, conversations, list: { ...state.list, ids: state.list.ids.filter((id) => id !== row.conversation_id) } }
  }
  return change(state, row.conversation_id, (known) => {
    const readAll = row.last_read_at && known.last_message_at && compareTimes(row.last_read_at, known.last_message_at) >= 0
    return {
      ...known,
      role: row.role,
      last_read_at: row.last_read_at,
      last_read_message_id: row.last_read_message_id,
      muted_until: row.muted_until,
      notify: row.notify,
      pinned_at: row.pinned_at,
      archived_at: row.archived_at,
      ...(readAll ? { unread_count: 0, mention_count: 0 } : {}),
    }
  })
}

export function onLastSeen(state: State, user: Id, online: boolean, at: Time): State {
  const update = (people: Person[]) => (people.some((p) => p.user_id === user)
    ? people.map((p) => (p.user_id === user ? { ...p, online, last_seen_at: at } : p))
    : people)
  const conversations = Object.fromEntries(Object.entries(state.conversations).map(([id, known]) => {
    const participants = update(known.participants)
    return [id, participants === known.participants ? known : { ...known, participants }]
  }))
  const people = Object.fromEntries(Object.entries(state.people).map(([id, known]) => [id, update(known)]))
  return { ...state, conversations, people }
}

export function onUnread(state: State, total: number, counts: Record<Id, number>): State {
  const conversations = { ...state.conversations }
  for (const [id, known] of Object.entries(conversations)) {
    const unread = counts[id] ?? 0
    if (known.unread_count !== unread) conversations[id] = { ...known, unread_count: unread, mention_count: Math.min(known.mention_count, unread) }
  }
  return { ...state, conversations, unreadTotal: total }
}

/** Somebody has read: forward only for others, who were told once; for oneself whatever the server says. */
export function onRead(state: State, conversation: Id, user: Id, at: Time | null): State {
  if (user === state.me?.id) return change(state, conversation, (known) => ({ ...known, last_read_at: at }))
  let next = state
  const people = state.people[conversation]
  const person = people?.find((p) => p.user_id === user)
  if (people && person && later(person.last_read_at, at) !== person.last_read_at) {
    next = { ...next, people: { ...next.people, [conversation]: people.map((p) => (p === person ? { ...p, last_read_at: later(p.last_read_at, at) } : p)) } }
  }
  return change(next, conversation, (known) => ({
    ...known,
    participants: known.participants.map((p) => (p.user_id === user ? { ...p, last_read_at: later(p.last_read_at, at) } : p)),
  }))
}
