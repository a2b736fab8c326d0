// The one function by which the state changes. Pure: no network, no clock; the same events give the same state.
import type { Event } from './events.ts'
import { onMessage, onPage, onReacted, onReaction, onReactionGone, onRow, withTimeline } from './reduce-messages.ts'
import { onConversationRow, onLastSeen, onParticipation, onRead, onUnread } from './reduce-list.ts'
import { later } from './order.ts'
import { EMPTY, type State } from './state.ts'
import type { Outgoing, Time } from './types.ts'

export function reduce(state: State, event: Event): State {
  switch (event.type) {
    case 'signed-in': return { ...state, me: event.me, settings: event.settings }
    case 'signed-out': return EMPTY
    case 'connection': return state.connection === event.connection ? state : { ...state, connection: event.connection }

    case 'list-loading': return { ...state, list: { ...state.list, status: state.list.status === 'ready' ? 'ready' : 'loading', filter: event.filter, search: event.search, error: null } }
    case 'list-failed': return { ...state, list: { ...state.list, status: 'error', error: event.error } }
    case 'list-loaded': {
      // An answer to a question that is asked no more.
      if (event.filter !== state.list.filter || event.search !== state.list.search) return state
      const conversations = { ...state.conversations }
      for (const c of event.conversations) conversations[c.id] = c
      const page = event.conversations.map((c) => c.id)
      const ids = event.append ? [...new Set([...state.list.ids, ...page])] : page
      return { ...state, conversations, list: { ...state.list, status: 'ready', error: null, hasMore: event.hasMore, ids } }
    }
    case 'conversations-known': {
      const conversations = { ...state.conversations }
      for (const c of event.conversations) conversations[c.id] = c
      return { ...state, conversations }
    }
    case 'conversation-row': return onConversationRow(state, event.row)
    case 'participation-row': return onParticipation(state, event.row)
    case 'unread': return onUnread(state, event.total, event.conversations)
    case 'people': return { ...state, people: { ...state.people, [event.conversation]: event.people } }
    case 'live': return state.live[event.conversation] === event.live ? state : { ...state, live: { ...state.live, [event.conversation]: event.live } }
    case 'opened': return { ...state, open: event.conversation }

    case 'timeline-loading': return withTimeline(state, event.key, { status: state.timelines[event.key]?.ids.length ? 'ready' : 'loading', error: null })
    case 'timeline-failed': return withTimeline(state, event.key, state.timelines[event.key]?.ids.length ? {} : { status: 'error', error: event.error })
    case 'timeline-page': return onPage(state, event.key, event.messages, event.where, event.hasBefore, event.hasAfter)
    case 'message': return onMessage(state, event.message)
    case 'message-row': return onRow(state, event.row)
    case 'reaction': return onReaction(state, event.message_id, event.reaction)
    case 'reaction-gone': return onReactionGone(state, event.id)
    case 'reacting': return { ...state, reacting: { ...state.reacting, [event.message_id]: event.emoji } }
    case 'reacted': return onReacted(state, event.message_id, event.reactions)
    case 'read': return onRead(state, event.conversation, event.user_id, event.last_read_at)

    case 'outbox': return { ...state, outbox: { ...Object.fromEntries(event.items.map((i) => [i.client_id, i])), ...state.outbox } }
    case 'queued': return { ...state, outbox: { ...state.outbox, [event.item.client_id]: event.item } }
    case 'sending': return changeOutgoing(state, event.client_id, (i) => ({ ...i, state: 'sending', attempts: i.attempts + 1 }))
    case 'send-delayed': return changeOutgoing(state, event.client_id, (i) => ({ ...i, state: 'waiting', error: event.error }))
    case 'send-failed': return changeOutgoing(state, event.client_id, (i) => ({ ...i, state: 'failed', error: event.error }))
    case 'file-arrived': {
      const { path, width, height } = event
      return changeOutgoing(state, event.client_id, (i) => ({ ...i, files: i.files.map((f) => (f.key === event.key ? { ...f, path, width: width ?? f.width, height: height ?? f.height } : f)) }))
    }
    case 'sent': return onMessage(without(state, event.client_id), event.message)
    case 'discarded': return without(state, event.client_id)
    case 'upload': return { ...state, uploads: { ...state.uploads, [event.upload.key]: event.upload } }
    case 'upload-forgotten': {
      const { [event.key]: _, ...uploads } = state.uploads
      return { ...state, uploads }
    }
    case 'draft': {
      if (event.text) return { ...state, drafts: { ...state.drafts, [event.key]: event.text } }
      const { [event.key]: _, ...drafts } = state.drafts
      return { ...state, drafts }
    }

    case 'threads': return { ...state, threads: event.threads }
    case 'thread-seen': return { ...state, threads: { ...state.threads, seen: { ...state.threads.seen, [event.root]: later(state.threads.seen[event.root] ?? null, event.at) as Time } } }

    case 'typing': return { ...state, typing: { ...state.typing, [event.conversation]: { ...state.typing[event.conversation], [event.user_id]: event.until } } }
    case 'stopped-typing': {
      const { [event.user_id]: _, ...rest } = state.typing[event.conversation] ?? {}
      return { ...state, typing: { ...state.typing, [event.conversation]: rest } }
    }
    case 'typing-tick': return forgetTyping(state, event.now)
    case 'presence': {
      const presence = { ...state.presence }
      for (const [id, was] of Object.entries(presence)) {
        if (was.online && !event.online[id]) presence[id] = { online: false, away: false, lastSeen: event.seen }
      }
      for (const [id, { away }] of Object.entries(event.online)) presence[id] = { online: true, away, lastSeen: event.seen }
      return { ...state, presence }
    }
    case 'last-seen': {
      const { [event.user_id]: known, ...rest } = state.presence
      // Of who is there the channel knows better; of who has left it what was told later.
      return { ...onLastSeen(state, event.user_id, event.online, event.at), presence: known?.online ? state.presence : rest }
    }
  }
}

function changeOutgoing(state: State, id: string, change: (item: Outgoing) => Outgoing): State {
  const item = state.outbox[id]
  return item ? { ...state, outbox: { ...state.outbox, [id]: change(item) } } : state
}

function without(state: State, id: string): State {
  if (!state.outbox[id]) return state
  const { [id]: _, ...outbox } = state.outbox
  return { ...state, outbox }
}

function forgetTyping(state: State, now: number): State {
  let changed = false
  const typing: State['typing'] = {}
  for (const [conversation, people] of Object.entries(state.typing)) {
    const rest = Object.fromEntries(Object.entries(people).filter(([, until]) => until > now))
    if (Object.keys(rest).length !== Object.keys(people).length) changed = true
    if (Object.keys(rest).length > 0) typing[conversation] = rest
  }
  return changed ? { ...state, typing } : state
}
