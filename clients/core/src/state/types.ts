// What the messaging system speaks of. Shapes are those of the server: sql/chat, get_messages and get_conversations.

export type Id = string
/** An ISO time as the server writes it, with microseconds. */
export type Time = string

export type ContentType = 'text' | 'image' | 'file' | 'video' | 'system'

export interface Attachment {
  name: string
  path?: string | null
  url?: string | null
  size?: number | null
  mime_type?: string | null
  width?: number | null
  height?: number | null
  thumbnail_url?: string | null
  thumbnail_path?: string | null
  preview_path?: string | null
  blurhash?: string | null
  duration?: number | null
}

export interface Reaction {
  id: Id
  emoji: string
  reactor_id: Id
  reactor_name: string | null
  created_at: Time
}

export interface Quote {
  id: Id
  sender_id: Id | null
  sender_name: string | null
  content_type: ContentType
  preview: string
  deleted_at: Time | null
}

export interface LastReply {
  id: Id
  sender_id: Id | null
  sender_name: string | null
  preview: string
  created_at: Time
}

export interface Message {
  id: Id
  conversation_id: Id
  sender_id: Id | null
  sender_name: string | null
  content: string
  content_type: ContentType
  thread_id: Id | null
  reply_to: Id | null
  attachments: Attachment[]
  is_read: boolean
  read_at: Time | null
  edited_at: Time | null
  deleted_at: Time | null
  mentions: Id[]
  client_id: string | null
  metadata: Record<string, unknown>
  in_main_line: boolean
  created_at: Time
  reactions: Reaction[]
  quoted: Quote | null
  reply_count: number
  last_reply: LastReply | null
  reply_users: Id[]
}

/** A row as `postgres_changes` brings it: without what is attached by get_messages. */
export type MessageRow = Omit<Message, 'reactions' | 'quoted' | 'reply_count' | 'last_reply' | 'reply_users'>

export interface Person {
  user_id: Id
  display_name: string | null
  avatar_url: string | null
  kind: string | null
  role: string
  online: boolean
  last_seen_at: Time | null
  last_read_at: Time | null
}

export interface Conversation {
  id: Id
  type: 'direct' | 'group' | 'project'
  name: string | null
  org_id: Id | null
  project_id: string | null
  /** What a direct conversation is about: the title of its share link, or else its project_id. */
  subject: string | null
  created_by: Id | null
  created_at: Time
  last_message_at: Time | null
  last_message_preview: string | null
  last_message_sender_id: Id | null
  last_message_sender_name: string | null
  role: string
  unread_count: number
  mention_count: number
  last_read_at: Time | null
  last_read_message_id: Id | null
  muted_until: Time | null
  notify: 'all' | 'mentions' | 'none'
  pinned_at: Time | null
  archived_at: Time | null
  participant_count: number
  participants: Person[]
}

export interface Profile {
  id: Id
  display_name: string
  avatar_url: string | null
  kind: string
  org_id: Id | null
}

export interface Settings {
  max_message_length: number
  max_attachments: number
  max_attachment_bytes: number
  allowed_emoji: string[]
}

export const DEFAULT_SETTINGS: Settings = {
  max_message_length: 10_000,
  max_attachments: 10,
  max_attachment_bytes: 52_428_800,
  allowed_emoji: ['❤️', '👍', '😂', '😮', '😢', '👎'],
}

/**
 * What the bucket takes; the server looks again, at the content. Neither SVG nor HTML: both run scripts of whoever wrote them.
 * The list is that of sql/chat/016_attachments.sql: who is signed in may not read the bucket's own.
 */
export const ATTACHMENT_TYPES: readonly string[] = [
  'image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif',
  'video/mp4', 'video/webm', 'video/quicktime',
  'audio/mpeg', 'audio/mp4', 'audio/ogg', 'audio/webm', 'audio/wav',
  'text/plain', 'text/csv', 'application/pdf', 'application/zip', 'application/rtf',
  'application/msword', 'application/vnd.ms-excel', 'application/vnd.ms-powerpoint',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  'application/vnd.oasis.opendocument.text', 'application/vnd.oasis.opendocument.spreadsheet', 'application/vnd.oasis.opendocument.presentation',
]

/** A type may name a charset or a codec after it. */
export const isAttachable = (type: string): boolean => ATTACHMENT_TYPES.includes((type.split(';')[0] ?? '').trim().toLowerCase())

/** A file on its way. What is kept in IndexedDB with the message, so that it survives a reload. */
export interface OutgoingFile {
  key: string
  name: string
  size: number
  mime_type: string
  width?: number
  height?: number
  /** Set once it has arrived. */
  path?: string
}

/** A message on its way. */
export interface Outgoing {
  client_id: string
  conversation_id: Id
  thread_id: Id | null
  reply_to: Id | null
  quoted: Quote | null
  content: string
  files: OutgoingFile[]
  metadata: Record<string, unknown>
  created_at: Time
  /** Order within the conversation. */
  order: number
  attempts: number
  state: 'waiting' | 'sending' | 'failed'
  /** Why the last try did not work, in the words of the server. */
  error: string | null
}

/** Messages in the order in which they are shown: one stretch of a conversation's main line, or of a thread. */
export interface Timeline {
  ids: Id[]
  status: 'idle' | 'loading' | 'ready' | 'error'
  error: string | null
  /** There are older messages. */
  hasBefore: boolean
  /** There are newer messages: what is shown is not the end, so what arrives is not appended. */
  hasAfter: boolean
}

export interface Upload {
  key: string
  name: string
  size: number
  sent: number
  state: 'uploading' | 'done' | 'failed' | 'cancelled'
  error: string | null
}

export type Connection = 'connecting' | 'online' | 'reconnecting' | 'offline'
