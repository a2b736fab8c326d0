// How two accounts of one message become one. Events may come twice, late, and in any order; the result is the same:
// each rule takes the greater of two values, so it does not matter which came first.
import { compareTimes, later } from './order.ts'
import type { Message, MessageRow, Quote, Reaction } from './types.ts'

/** A row of `postgres_changes` as a message of which nothing else is known. */
export function fromRow(row: MessageRow): Message {
  return { ...row, attachments: row.attachments ?? [], mentions: row.mentions ?? [], metadata: row.metadata ?? {}, reactions: [], quoted: null, reply_count: 0, last_reply: null, reply_users: [] }
}

/** What an answer shows of the message that it answers. */
export function quoteOf(message: Message): Quote {
  const text = message.content.replace(/@\[([^\]]{1,200})\]\([0-9a-f-]{36}\)/g, '@$1').replace(/\s+/g, ' ').trim()
  return {
    id: message.id, sender_id: message.sender_id, sender_name: message.sender_name, content_type: message.content_type,
    preview: [...(text || (message.attachments[0]?.name ?? ''))].slice(0, 100).join(''), deleted_at: message.deleted_at,
  }
}

/** The newer of what two accounts say of the text: deleted is final, then the later edit. */
function newest<T extends MessageRow>(a: T, b: T): T {
  if (a.deleted_at !== b.deleted_at) return b.deleted_at ? b : a
  if (a.edited_at !== b.edited_at) return later(a.edited_at, b.edited_at) === b.edited_at ? b : a
  return b
}

/** What the row says, merged; reactions, quote and replies stay those of `known`. */
export function mergeRow(known: Message, row: MessageRow): Message {
  const text = newest<MessageRow>(known, row)
  return {
    ...known,
    content: text.content,
    attachments: text.attachments ?? [],
    mentions: text.mentions ?? [],
    metadata: text.metadata ?? {},
    content_type: text.content_type,
    edited_at: later(known.edited_at, row.edited_at),
    deleted_at: later(known.deleted_at, row.deleted_at),
    is_read: known.is_read || row.is_read,
    read_at: later(known.read_at, row.read_at),
    reactions: known.deleted_at || row.deleted_at ? [] : known.reactions,
  }
}

/** A message of get_messages over what is known: it also says what hangs on it. */
export function mergeSnapshot(known: Message | undefined, message: Message, gone: Readonly<Record<string, true>>): Message {
  const reactions = withoutGone(message.reactions ?? [], gone)
  if (!known) return { ...message, reactions }
  const merged = mergeRow(known, message)
  const fresher = !known.last_reply || (message.last_reply && compareTimes(message.last_reply.created_at, known.last_reply.created_at) >= 0)
  return {
    ...merged,
    reactions: merged.deleted_at ? [] : reactions,
    quoted: message.quoted ?? known.quoted,
    ...(fresher || message.reply_count > known.reply_count
      ? { reply_count: message.reply_count, last_reply: message.last_reply, reply_users: message.reply_users }
      : {}),
  }
}

function withoutGone(reactions: Reaction[], gone: Readonly<Record<string, true>>): Reaction[] {
  return reactions.some((r) => gone[r.id]) ? reactions.filter((r) => !gone[r.id]) : reactions
}

export function withReaction(reactions: Reaction[], reaction: Reaction): Reaction[] {
  // One person has one reaction: another row of the same person is older or newer, and the later one stays.
  const same = reactions.find((r) => r.reactor_id === reaction.reactor_id)
  if (same && same.id !== reaction.id && compareTimes(same.created_at, reaction.created_at) > 0) return reactions
  const others = reactions.filter((r) => r.id !== reaction.id && r.reactor_id !== reaction.reactor_id)
  return [...others, reaction].sort((a, b) => compareTimes(a.created_at, b.created_at) || (a.id < b.id ? -1 : 1))
}

/** A reply was heard of: the root counts it at once, and asks the server for the exact number later. */
export function withReply(root: Message, reply: MessageRow): Message {
  if (reply.deleted_at) return root
  const last = root.last_reply
  const newer = !last || compareTimes(reply.created_at, last.created_at) > 0
  return {
    ...root,
    reply_count: newer ? root.reply_count + 1 : root.reply_count,
    last_reply: newer ? { id: reply.id, sender_id: reply.sender_id, sender_name: reply.sender_name, preview: reply.content.slice(0, 100), created_at: reply.created_at } : last,
    reply_users: reply.sender_id && !root.reply_users.includes(reply.sender_id) ? [...root.reply_users, reply.sender_id] : root.reply_users,
  }
}
