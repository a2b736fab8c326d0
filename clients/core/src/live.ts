// What happens in a conversation while it is on the screen: one channel for rows and receipts, one for typing.
import type { RealtimeChannel } from '@supabase/supabase-js'
import { debounced, type Context } from './context.ts'
import type { History } from './history.ts'
import type { List } from './list.ts'
import type { Typing } from './typing.ts'
import type { Id, MessageRow, ParticipationRow, Reaction, Time } from './state/index.ts'

type Row = Record<string, unknown>

export class Live {
  /** Conversations that are held, so that a reconnect knows what to catch up with. */
  readonly watched = new Map<Id, number>()
  private readonly roots = new Map<Id, ReturnType<typeof debounced>>()

  constructor(private readonly context: Context, private readonly history: History, private readonly list: List, private readonly typing: Typing) {}

  watch(conversation: Id): () => void {
    const { channels } = this.context
    this.watched.set(conversation, (this.watched.get(conversation) ?? 0) + 1)
    const fill = debounced(50, () => this.catchUp(conversation))
    const held = channels.hold(`messages:${conversation}`, (channel) => this.listen(channel, conversation, fill), (status) => {
      this.context.store.dispatch({ type: 'live', conversation, live: status === 'SUBSCRIBED' })
      if (status === 'SUBSCRIBED') fill()
    })
    const typing = channels.hold(`typing:${conversation}`, (channel) => this.typing.listen(channel, conversation), () => {}, { broadcast: { self: false } })
    return () => {
      const holders = (this.watched.get(conversation) ?? 1) - 1
      if (holders > 0) this.watched.set(conversation, holders)
      else this.watched.delete(conversation)
      held.release()
      typing.release()
    }
  }

  /** The main line and the threads that are open. */
  catchUp(conversation: Id): void {
    void this.history.catchUp(conversation)
    for (const key of Object.keys(this.context.store.get().timelines)) {
      const thread = key.startsWith(`${conversation}/`) ? key.slice(conversation.length + 1) : null
      if (thread) void this.history.catchUp(conversation, thread)
    }
    void this.list.people(conversation).catch(() => {})
  }

  catchUpAll(): void {
    for (const conversation of this.watched.keys()) this.catchUp(conversation)
  }

  private listen(channel: RealtimeChannel, conversation: Id, fill: () => void): void {
    const filter = `conversation_id=eq.${conversation}`
    const { store } = this.context
    channel
      .on('postgres_changes', { event: '*', schema: 'public', table: 'messages', filter }, ({ eventType, new: row }) => {
        if (eventType !== 'DELETE') this.onMessage(row as unknown as MessageRow)
      })
      .on('postgres_changes', { event: '*', schema: 'public', table: 'message_reactions', filter }, (change) => {
        // Of what was removed only the id is told.
        if (change.eventType === 'DELETE') store.dispatch({ type: 'reaction-gone', id: (change.old as Row).id as Id })
        else this.onReaction(change.new)
      })
      .on('postgres_changes', { event: '*', schema: 'public', table: 'conversation_participants', filter }, (change) => {
        if (change.eventType === 'DELETE') return
        const row = change.new as unknown as ParticipationRow
        store.dispatch({ type: 'participation-row', row })
        const known = store.get().people[conversation]?.some((p) => p.user_id === row.user_id)
        if (!known || row.left_at) void this.list.people(conversation).catch(() => {})
      })
      .on('broadcast', { event: 'read_receipt' }, ({ payload }) => {
        const { user_id, last_read_at } = payload as { user_id: Id; last_read_at: Time | null }
        store.dispatch({ type: 'read', conversation, user_id, last_read_at })
      })
      // From here on changes are seen: what came before, but after the first page was read, is asked for.
      .on('system', {}, (said: { status?: string }) => {
        if (said.status === 'ok') fill()
      })
  }

  private onReaction(row: Row): void {
    this.context.store.dispatch({ type: 'reaction', message_id: row.message_id as Id, reaction: row as unknown as Reaction })
  }

  private onMessage(row: MessageRow): void {
    const { store } = this.context
    const isNew = !store.get().messages[row.id]
    store.dispatch({ type: 'message-row', row })
    const quoted = row.reply_to ? store.get().messages[row.reply_to] : undefined
    // A row does not carry what it quotes.
    if (isNew && row.reply_to && !quoted) void this.history.one(row.id)
    if (row.thread_id && store.get().messages[row.thread_id]) this.countReplies(row.thread_id)
  }

  /** The exact number of replies, once after a burst. */
  private countReplies(root: Id): void {
    let ask = this.roots.get(root)
    if (!ask) {
      ask = debounced(400, () => {
        this.roots.delete(root)
        void this.history.one(root)
      })
      this.roots.set(root, ask)
    }
    ask()
  }

  stop(): void {
    for (const ask of this.roots.values()) ask.cancel()
  }
}
