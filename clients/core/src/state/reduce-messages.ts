// Events about messages, threads and reactions.
import { fromRow, mergeRow, mergeSnapshot, quoteOf, withReaction, withReply } from './messages.ts'
import { compareMessages, insertInOrder } from './order.ts'
import { EMPTY_TIMELINE, timelineKey, type State } from './state.ts'
import type { Id, Message, MessageRow, Reaction, Timeline } from './types.ts'

export function withTimeline(state: State, key: string, change: Partial<Timeline>): State {
  return { ...state, timelines: { ...state.timelines, [key]: { ...(state.timelines[key] ?? EMPTY_TIMELINE), ...change } } }
}

/** Where a message is shown: the main line, its thread, or both. */
function places(message: Message): string[] {
  const found: string[] = []
  if (message.in_main_line) found.push(timelineKey(message.conversation_id))
  if (message.thread_id) found.push(timelineKey(message.conversation_id, message.thread_id))
  return found
}

/** Puts a message at the end of the timelines that reach to the end; what lies within their stretch is put in place. */
function place(state: State, message: Message): State {
  let timelines = state.timelines
  for (const key of places(message)) {
    const timeline = timelines[key]
    if (!timeline || timeline.status === 'idle') continue
    const find = (id: Id) => (id === message.id ? message : state.messages[id])
    const first = timeline.ids[0] && find(timeline.ids[0])
    const last = timeline.ids.length > 0 ? find(timeline.ids[timeline.ids.length - 1] as Id) : undefined
    const older = first && compareMessages(message, first) < 0
    const newer = last && compareMessages(message, last) > 0
    if ((older && timeline.hasBefore) || (newer && timeline.hasAfter)) continue
    const ids = insertInOrder(timeline.ids, message, find)
    if (ids !== timeline.ids) timelines = { ...timelines, [key]: { ...timeline, ids } }
  }
  return timelines === state.timelines ? state : { ...state, timelines }
}

function settle(state: State, message: Message): State {
  // One's own message, heard of before the answer to its sending: it waits no more.
  const id = message.client_id
  if (!id || !state.outbox[id] || message.sender_id !== state.me?.id) return state
  const { [id]: _, ...outbox } = state.outbox
  return { ...state, outbox }
}

function countReply(state: State, message: Message, isNew: boolean): State {
  const root = message.thread_id ? state.messages[message.thread_id] : undefined
  if (!root || !isNew) return state
  return { ...state, messages: { ...state.messages, [root.id]: withReply(root, message) } }
}

function stopTyping(state: State, message: Message): State {
  const typing = state.typing[message.conversation_id]
  if (!message.sender_id || !typing?.[message.sender_id]) return state
  const { [message.sender_id]: _, ...rest } = typing
  return { ...state, typing: { ...state.typing, [message.conversation_id]: rest } }
}

/** A message as get_messages gives it. */
export function onMessage(state: State, message: Message): State {
  const merged = mergeSnapshot(state.messages[message.id], message, state.gone)
  const next = settle({ ...state, messages: { ...state.messages, [message.id]: merged } }, merged)
  return place(next, merged)
}

/** A row of `postgres_changes`. */
export function onRow(state: State, row: MessageRow): State {
  const known = state.messages[row.id]
  const joined = known ? mergeRow(known, row) : fromRow(row)
  // A row does not carry what it quotes; where that is known, nothing has to be asked.
  const answered = !joined.quoted && joined.reply_to ? state.messages[joined.reply_to] : undefined
  const merged = answered ? { ...joined, quoted: quoteOf(answered) } : joined
  let next: State = { ...state, messages: { ...state.messages, [row.id]: merged } }
  next = countReply(next, merged, !known)
  next = settle(next, merged)
  if (!known) next = stopTyping(next, merged)
  return place(next, merged)
}

export function onPage(
  state: State, key: string, messages: Message[], where: 'latest' | 'before' | 'after' | 'around', hasBefore?: boolean, hasAfter?: boolean,
): State {
  const timeline = state.timelines[key] ?? EMPTY_TIMELINE
  const known = { ...state.messages }
  for (const message of messages) known[message.id] = mergeSnapshot(known[message.id], message, state.gone)
  let next: State = { ...state, messages: known }
  for (const message of messages) next = settle(next, message)
  const find = (id: Id) => known[id]
  const page = [...messages].sort(compareMessages).map((m) => m.id)
  let ids: Id[]
  let before = hasBefore ?? timeline.hasBefore
  let after = hasAfter ?? timeline.hasAfter
  if (where === 'around') {
    ids = page
  } else if (where === 'latest') {
    const oldest = messages[0]
    const newestKnown = timeline.ids.length > 0 ? find(timeline.ids[timeline.ids.length - 1] as Id) : undefined
    // A gap between what is shown and the latest page: what is shown would lie, so it begins anew.
    const apart = !newestKnown || (oldest && compareMessages(newestKnown, oldest) < 0 && (hasBefore ?? false))
    ids = apart ? page : union(timeline.ids, page, find)
    if (!apart && timeline.ids.length > 0) {
      const first = find(timeline.ids[0] as Id)
      if (first && oldest && compareMessages(first, oldest) < 0) before = timeline.hasBefore
    }
    after = false
  } else {
    ids = union(timeline.ids, page, find)
  }
  next = withTimeline(next, key, { ids, status: 'ready', error: null, hasBefore: before, hasAfter: after })
  return next
}

function union(a: Id[], b: Id[], find: (id: Id) => Message | undefined): Id[] {
  let ids = a
  for (const id of b) {
    const message = find(id)
    if (message) ids = insertInOrder(ids, message, find)
  }
  return ids
}

export function onReaction(state: State, messageId: Id, reaction: Reaction): State {
  const message = state.messages[messageId]
  if (!message || state.gone[reaction.id] || message.deleted_at) return state
  return { ...state, messages: { ...state.messages, [messageId]: { ...message, reactions: withReaction(message.reactions, reaction) } } }
}

export function onReactionGone(state: State, id: Id): State {
  const next: State = { ...state, gone: { ...state.gone, [id]: true } }
  // A deleted row carries only its id, so the message is found by it.
  const message = Object.values(state.messages).find((m) => m.reactions.some((r) => r.id === id))
  if (!message) return next
  return { ...next, messages: { ...state.messages, [message.id]: { ...message, reactions: message.reactions.filter((r) => r.id !== id) } } }
}

/** The answer to a toggle settles one's own reaction; those of others come by events, which are in order. */
export function onReacted(state: State, messageId: Id, reactions: Reaction[] | null): State {
  const { [messageId]: _, ...reacting } = state.reacting
  let next: State = { ...state, reacting }
  if (!reactions || !state.me) return next
  const me = state.me.id
  const mine = reactions.find((r) => r.reactor_id === me)
  for (const old of state.messages[messageId]?.reactions ?? []) {
    if (old.reactor_id === me && old.id !== mine?.id) next = onReactionGone(next, old.id)
  }
  return mine ? onReaction(next, messageId, mine) : next
}
