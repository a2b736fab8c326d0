// Messages, rows and events for tests of the reducers.
import type { Event, Message, MessageRow, Outgoing, Reaction, State } from '../src/state/index.ts'
import { EMPTY, reduce } from '../src/state/index.ts'

export const ME = '00000000-0000-4000-8000-000000000001'
export const BEN = '00000000-0000-4000-8000-000000000002'
export const PLACE = '00000000-0000-4000-8000-0000000000aa'

export const at = (second: number, micros = 0): string => `2026-05-01T12:00:${String(second).padStart(2, '0')}.${String(micros).padStart(6, '0')}+00:00`

export function row(id: string, more: Partial<MessageRow> = {}): MessageRow {
  return {
    id, conversation_id: PLACE, sender_id: BEN, sender_name: 'Ben', content: `text of ${id}`, content_type: 'text', thread_id: null, reply_to: null, attachments: [],
    is_read: false, read_at: null, edited_at: null, deleted_at: null, mentions: [], client_id: null, metadata: {}, in_main_line: true, created_at: at(1), ...more,
  }
}

export const message = (id: string, more: Partial<Message> = {}): Message => ({ ...row(id), reactions: [], quoted: null, reply_count: 0, last_reply: null, reply_users: [], ...more })

export const reaction = (id: string, emoji: string, more: Partial<Reaction> = {}): Reaction => ({ id, emoji, reactor_id: BEN, reactor_name: 'Ben', created_at: at(2), ...more })

export const outgoing = (client_id: string, more: Partial<Outgoing> = {}): Outgoing => ({
  client_id, conversation_id: PLACE, thread_id: null, reply_to: null, quoted: null, content: client_id, files: [], metadata: {}, created_at: at(5), order: 1, attempts: 0,
  state: 'waiting', error: null, ...more,
})

export const play = (events: Event[], state: State = EMPTY): State => events.reduce(reduce, state)

/** Signed in, with the end of a conversation on the screen. */
export const opened = (messages: Message[] = []): State => play([
  { type: 'signed-in', me: { id: ME, display_name: 'Ana', avatar_url: null, kind: 'trainer', org_id: null }, settings: EMPTY.settings },
  { type: 'timeline-page', key: PLACE, messages, where: 'latest', hasBefore: false },
])
export const shown = (state: State, key = PLACE): string[] => state.timelines[key]?.ids ?? []
