// What can happen.
import type { SeenThreads } from './state.ts'
import type { Connection, Conversation, Id, Message, MessageRow, Outgoing, Person, Profile, Reaction, Settings, Time, Upload } from './types.ts'

export type Event =
  | { type: 'signed-in'; me: Profile; settings: Settings }
  | { type: 'signed-out' }
  | { type: 'connection'; connection: Connection }
  // The list
  | { type: 'list-loading'; filter: string; search: string }
  | { type: 'list-loaded'; filter: string; search: string; conversations: Conversation[]; hasMore: boolean; append: boolean }
  | { type: 'list-failed'; error: string }
  | { type: 'conversations-known'; conversations: Conversation[] }
  | { type: 'conversation-row'; row: Partial<Conversation> & { id: Id } }
  | { type: 'participation-row'; row: ParticipationRow }
  | { type: 'unread'; total: number; conversations: Record<Id, number> }
  | { type: 'people'; conversation: Id; people: Person[] }
  | { type: 'live'; conversation: Id; live: boolean }
  | { type: 'opened'; conversation: Id | null }
  // Messages
  | { type: 'timeline-loading'; key: string }
  | { type: 'timeline-failed'; key: string; error: string }
  | { type: 'timeline-page'; key: string; messages: Message[]; where: 'latest' | 'before' | 'after' | 'around'; hasBefore?: boolean; hasAfter?: boolean }
  | { type: 'message'; message: Message }
  | { type: 'message-row'; row: MessageRow }
  | { type: 'reaction'; message_id: Id; reaction: Reaction }
  | { type: 'reaction-gone'; id: Id }
  | { type: 'reacting'; message_id: Id; emoji: string | null }
  | { type: 'reacted'; message_id: Id; reactions: Reaction[] | null }
  | { type: 'read'; conversation: Id; user_id: Id; last_read_at: Time | null }
  // On the way
  | { type: 'outbox'; items: Outgoing[] }
  | { type: 'queued'; item: Outgoing }
  | { type: 'sending'; client_id: string }
  | { type: 'send-delayed'; client_id: string; error: string }
  | { type: 'send-failed'; client_id: string; error: string }
  | { type: 'sent'; client_id: string; message: Message }
  | { type: 'discarded'; client_id: string }
  | { type: 'file-arrived'; client_id: string; key: string; path: string; width?: number; height?: number }
  | { type: 'upload'; upload: Upload }
  | { type: 'upload-forgotten'; key: string }
  | { type: 'draft'; key: string; text: string }
  | { type: 'threads'; threads: SeenThreads }
  | { type: 'thread-seen'; root: Id; at: Time }
  // People
  | { type: 'typing'; conversation: Id; user_id: Id; until: number }
  | { type: 'stopped-typing'; conversation: Id; user_id: Id }
  | { type: 'typing-tick'; now: number }
  | { type: 'presence'; online: Record<Id, { away: boolean }>; seen: Time }
  /** Of guests, who are on no channel of the organisation. */
  | { type: 'last-seen'; user_id: Id; online: boolean; at: Time }

export interface ParticipationRow {
  conversation_id: Id
  user_id: Id
  role: string
  left_at: Time | null
  last_read_at: Time | null
  last_read_message_id: Id | null
  muted_until: Time | null
  notify: 'all' | 'mentions' | 'none'
  pinned_at: Time | null
  archived_at: Time | null
}
