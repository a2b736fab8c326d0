// Messages as they are shown: dividers after silence, groups of one sender (C-503, C-504).
import { outgoingOf, timelineOf, type Message, type Outgoing, type State } from '@dovetail/chat/state'

const GROUP_MS = 60_000
const SILENCE_MS = 5 * 60_000

export interface BubbleRow {
  kind: 'bubble'
  key: string
  message: Message | null
  outgoing: Outgoing | null
  own: boolean
  /** Place in its group: the first has the avatar, the last the corner. */
  first: boolean
  last: boolean
}
export type Row = { kind: 'divider'; key: string; at: string } | BubbleRow

interface Fact { key: string; at: string; sender: string | null; message: Message | null; outgoing: Outgoing | null }

export function rowsOf(state: State, conversation: string, me: string): Row[] {
  const facts: Fact[] = []
  for (const id of timelineOf(state, conversation).ids) {
    const message = state.messages[id]
    if (!message || message.content_type === 'system') continue
    // The key of an own message stays what it was while it waited, so that the bubble is not drawn anew.
    facts.push({ key: (message.sender_id === me && message.client_id) || id, at: message.created_at, sender: message.sender_id, message, outgoing: null })
  }
  for (const outgoing of outgoingOf(state, conversation)) facts.push({ key: outgoing.client_id, at: outgoing.created_at, sender: me, message: null, outgoing })
  const rows: Row[] = []
  facts.forEach((fact, i) => {
    const before = facts[i - 1]
    const silence = before ? Date.parse(fact.at) - Date.parse(before.at) : Infinity
    if (silence > SILENCE_MS) rows.push({ kind: 'divider', key: `at-${fact.key}`, at: fact.at })
    const joins = before !== undefined && before.sender === fact.sender && silence < GROUP_MS
    const previous = rows[rows.length - 1]
    if (joins && previous?.kind === 'bubble') previous.last = false
    rows.push({ kind: 'bubble', key: fact.key, message: fact.message, outgoing: fact.outgoing, own: fact.sender === me, first: !joins, last: true })
  })
  return rows
}
