// Messages as rows of a list: dividers after silence, the line above what is unread, groups of one sender.
import { compareTimes, type Message, type Outgoing } from '@dovetail/chat'

export type Item = { kind: 'message'; message: Message } | { kind: 'outgoing'; item: Outgoing }

export interface BubbleRow {
  kind: 'bubble'
  key: string
  item: Item
  own: boolean
  /** Place in its group: the first has the name and the avatar, the last the corner. */
  first: boolean
  last: boolean
}

export type Row =
  | { kind: 'divider'; key: string; at: string }
  | { kind: 'unread'; key: string; count: number }
  | { kind: 'system'; key: string; message: Message }
  | BubbleRow

const GROUP_MS = 60_000
const SILENCE_MS = 5 * 60_000

interface Facts { at: number; sender: string | null; own: boolean; system: boolean; key: string; item: Item }

function factsOf(item: Item, me: string): Facts {
  if (item.kind === 'outgoing') {
    const { created_at, client_id } = item.item
    return { at: Date.parse(created_at), sender: me, own: true, system: false, key: client_id, item }
  }
  const { message } = item
  const own = message.sender_id === me
  // The key of an own message stays what it was while it waited, so that the bubble is not drawn anew.
  return { at: Date.parse(message.created_at), sender: message.sender_id, own, system: message.content_type === 'system', key: (own && message.client_id) || message.id, item }
}

/**
 * `unread` is where the reader had read to when the conversation was opened. With `hasBefore` the first message here is not
 * the first of all, so the line is drawn only where something read is above it.
 */
export function rowsOf(messages: Message[], outgoing: Outgoing[], me: string, unread: { since: string | null; count: number } | null, hasBefore = false): Row[] {
  const items: Item[] = [...messages.map((message): Item => ({ kind: 'message', message })), ...outgoing.map((item): Item => ({ kind: 'outgoing', item }))]
  const facts = items.map((item) => factsOf(item, me))
  const rows: Row[] = []
  const first = messages[0]
  const isUnread = (m: Message) => unread !== null && (unread.since === null || compareTimes(m.created_at, unread.since) > 0)
  let lineDrawn = !unread || unread.count === 0 || (hasBefore && first !== undefined && isUnread(first))
  let broken = true
  facts.forEach((fact, i) => {
    const before = facts[i - 1]
    if (!before || fact.at - before.at > SILENCE_MS) {
      rows.push({ kind: 'divider', key: `at-${fact.key}`, at: fact.item.kind === 'message' ? fact.item.message.created_at : fact.item.item.created_at })
      broken = true
    }
    if (!lineDrawn && unread && fact.item.kind === 'message' && !fact.own && !fact.system && isUnread(fact.item.message)) {
      rows.push({ kind: 'unread', key: 'unread', count: unread.count })
      lineDrawn = true
      broken = true
    }
    if (fact.system) {
      if (fact.item.kind === 'message') rows.push({ kind: 'system', key: fact.key, message: fact.item.message })
      broken = true
      return
    }
    const previous = rows[rows.length - 1]
    const joins = !broken && before !== undefined && before.sender === fact.sender && fact.at - before.at < GROUP_MS
    if (joins && previous?.kind === 'bubble') previous.last = false
    rows.push({ kind: 'bubble', key: fact.key, item: fact.item, own: fact.own, first: !joins, last: true })
    broken = false
  })
  return rows
}
