// Everything the views show, in one value. It changes only by events (reduce.ts).
import { DEFAULT_SETTINGS } from './types.ts'
import type { Connection, Conversation, Id, Message, Outgoing, Person, Profile, Settings, Time, Timeline, Upload } from './types.ts'

export interface State {
  me: Profile | null
  settings: Settings
  connection: Connection
  conversations: Record<Id, Conversation>
  list: { status: 'idle' | 'loading' | 'ready' | 'error'; error: string | null; hasMore: boolean; filter: string; search: string; ids: Id[] }
  /** What a badge shows, as the server counts it. */
  unreadTotal: number
  people: Record<Id, Person[]>
  messages: Record<Id, Message>
  timelines: Record<string, Timeline>
  outbox: Record<string, Outgoing>
  /** Until when somebody counts as typing, in milliseconds. */
  typing: Record<Id, Record<Id, number>>
  presence: Record<Id, { online: boolean; away: boolean; lastSeen: Time | null }>
  drafts: Record<string, string>
  /** Until when replies have been seen in this browser: everywhere at least until `since`. */
  threads: SeenThreads
  uploads: Record<string, Upload>
  /** What one has just chosen, until the server has answered: the emoji, or null for none. */
  reacting: Record<Id, string | null>
  /** Reactions that were taken back. Their ids never come again, so that a late account of them is recognised. */
  gone: Record<Id, true>
  /** Conversations of which changes are heard at this moment. */
  live: Record<Id, boolean>
  /** The conversation that is on the screen. */
  open: Id | null
}

export interface SeenThreads { since: Time | null; seen: Record<Id, Time> }

export const EMPTY: State = {
  me: null,
  settings: DEFAULT_SETTINGS,
  connection: 'connecting',
  conversations: {},
  list: { status: 'idle', error: null, hasMore: false, filter: 'all', search: '', ids: [] },
  unreadTotal: 0,
  people: {},
  messages: {},
  timelines: {},
  outbox: {},
  typing: {},
  presence: {},
  drafts: {},
  threads: { since: null, seen: {} },
  uploads: {},
  reacting: {},
  gone: {},
  live: {},
  open: null,
}

export const EMPTY_TIMELINE: Timeline = { ids: [], status: 'idle', error: null, hasBefore: false, hasAfter: false }

/** The main line of a conversation, or one of its threads. */
export const timelineKey = (conversation: Id, thread?: Id | null): string => (thread ? `${conversation}/${thread}` : conversation)
