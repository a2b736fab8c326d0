// Questions to the state that more than one view asks.
import { compareTimes, later } from './order.ts'
import { EMPTY_TIMELINE, timelineKey, type State } from './state.ts'
import type { Conversation, Id, Message, Outgoing, Person, Time, Timeline } from './types.ts'

export const timelineOf = (state: State, conversation: Id, thread?: Id | null): Timeline => state.timelines[timelineKey(conversation, thread)] ?? EMPTY_TIMELINE

/** What waits to be sent, in order. Replies of a thread wait in that thread. */
export function outgoingOf(state: State, conversation: Id, thread?: Id | null): Outgoing[] {
  return Object.values(state.outbox)
    .filter((item) => item.conversation_id === conversation && (item.thread_id ?? null) === (thread ?? null))
    .sort((a, b) => a.order - b.order)
}

export const waitingCount = (state: State): number => Object.values(state.outbox).filter((item) => item.state !== 'failed').length

export const activity = (c: Conversation): string => c.last_message_at ?? c.created_at

/** Pinned first, then the latest activity. */
export function sortedList(state: State): Conversation[] {
  const found = state.list.ids.map((id) => state.conversations[id]).filter((c): c is Conversation => c !== undefined)
  const archived = state.list.filter === 'archived'
  return found
    .filter((c) => archived === isArchived(c))
    .sort((a, b) => Number(Boolean(b.pinned_at)) - Number(Boolean(a.pinned_at)) || compareTimes(activity(b), activity(a)) || (a.id < b.id ? 1 : -1))
}

/** What was put away comes back with the next message. */
export const isArchived = (c: Conversation): boolean => Boolean(c.archived_at) && compareTimes(c.archived_at as string, activity(c)) >= 0

export const isMuted = (c: Conversation, now: number): boolean => Boolean(c.muted_until) && (c.muted_until === 'infinity' || Date.parse(c.muted_until as string) > now)

export const othersOf = (state: State, conversation: Id): Person[] =>
  (state.people[conversation] ?? state.conversations[conversation]?.participants ?? []).filter((p) => p.user_id !== state.me?.id)

export function isOnline(state: State, person: Person): boolean {
  return state.presence[person.user_id]?.online ?? person.online
}

/** Who has read a message, with when they had. */
export function readersOf(state: State, message: Message): Person[] {
  return othersOf(state, message.conversation_id).filter(
    (p) => p.user_id !== message.sender_id && p.last_read_at !== null && compareTimes(p.last_read_at, message.created_at) >= 0)
}

export type Receipt = 'sent' | 'delivered' | 'read'

/** Delivered: somebody of the others is, or has been since, connected. */
export function receiptOf(state: State, message: Message): Receipt {
  const others = othersOf(state, message.conversation_id)
  if (message.is_read || readersOf(state, message).length > 0) return 'read'
  const arrived = others.some((p) => {
    if (isOnline(state, p)) return true
    const seen = state.presence[p.user_id]?.lastSeen ?? p.last_seen_at
    return seen !== null && compareTimes(seen, message.created_at) >= 0
  })
  return arrived ? 'delivered' : 'sent'
}

/** Until when the replies to a message have been seen; null where nothing is known yet. */
export const repliesSeen = (state: State, root: Id): Time | null => later(state.threads.since, state.threads.seen[root] ?? null)

/** Somebody else has answered since. */
export function hasNewReplies(state: State, root: Message): boolean {
  const seen = repliesSeen(state, root.id)
  const last = root.last_reply
  return seen !== null && last !== null && last.sender_id !== state.me?.id && compareTimes(last.created_at, seen) > 0
}

export interface ReactionGroup { emoji: string; count: number; mine: boolean; names: string[] }

/** Reactions with one's own latest choice, which the server may not know yet: an emoji, null for none, undefined for no choice. */
export function reactionGroups(message: Message, me: { id: Id; display_name: string } | null, chosen: string | null | undefined): ReactionGroup[] {
  const all = message.reactions
    .filter((r) => chosen === undefined || r.reactor_id !== me?.id)
    .map((r) => ({ emoji: r.emoji, mine: r.reactor_id === me?.id, name: r.reactor_name ?? '' }))
  if (chosen) all.push({ emoji: chosen, mine: true, name: me?.display_name ?? '' })
  const groups = new Map<string, ReactionGroup>()
  for (const r of all) {
    const group = groups.get(r.emoji) ?? { emoji: r.emoji, count: 0, mine: false, names: [] }
    groups.set(r.emoji, { emoji: r.emoji, count: group.count + 1, mine: group.mine || r.mine, names: [...group.names, r.name] })
  }
  return [...groups.values()]
}

export function typingIn(state: State, conversation: Id): Id[] {
  return Object.keys(state.typing[conversation] ?? {}).filter((id) => id !== state.me?.id)
}
