// Marks as read what somebody really saw: the page visible, the window focused, the end of the conversation on the screen.
import { call, throttled, type Context } from './context.ts'
import { compareTimes, timelineOf, type Id } from './state/index.ts'

const DELAY_MS = 300

export class Reading {
  private at: { conversation: Id; bottom: boolean } | null = null
  private readonly soon = throttled(DELAY_MS, () => void this.mark())
  private readonly remove: () => void
  /** A message was marked as unread by hand: until it is opened again nothing is marked. */
  private held: Id | null = null

  constructor(private readonly context: Context) {
    const look = () => this.soon()
    globalThis.addEventListener?.('focus', look)
    globalThis.document?.addEventListener('visibilitychange', look)
    const unsubscribe = context.store.subscribe(look)
    this.remove = () => {
      globalThis.removeEventListener?.('focus', look)
      globalThis.document?.removeEventListener('visibilitychange', look)
      unsubscribe()
    }
  }

  /** What is on the screen, and whether its end is. */
  seeing(conversation: Id | null, bottom: boolean): void {
    if (conversation !== this.at?.conversation) this.held = null
    this.at = conversation ? { conversation, bottom } : null
    this.soon()
  }

  private async mark(): Promise<void> {
    const { store, me } = this.context
    const at = this.at
    if (!at?.bottom || this.held === at.conversation) return
    if (document.visibilityState !== 'visible' || !document.hasFocus()) return
    const state = store.get()
    const conversation = state.conversations[at.conversation]
    const timeline = timelineOf(state, at.conversation)
    const last = state.messages[timeline.ids[timeline.ids.length - 1] ?? '']
    if (!conversation || !last || timeline.hasAfter) return
    // Replies in threads count as well: everything up to the conversation's last activity is read with it.
    const newest = conversation.last_message_at && compareTimes(conversation.last_message_at, last.created_at) > 0 ? conversation.last_message_at : last.created_at
    if (conversation.last_read_at && compareTimes(conversation.last_read_at, newest) >= 0) return
    try {
      const read = await call<{ last_read_at: string | null }>(this.context, 'mark_as_read', {
        conversation_id: at.conversation, ...(newest === last.created_at ? { up_to_message_id: last.id } : {}),
      })
      store.dispatch({ type: 'read', conversation: at.conversation, user_id: me, last_read_at: read.last_read_at })
      const counted = store.get().conversations
      const total = Object.values(counted).reduce((sum, c) => sum + (c.id === at.conversation ? 0 : c.unread_count), 0)
      store.dispatch({ type: 'unread', total, conversations: Object.fromEntries(Object.values(counted).map((c) => [c.id, c.id === at.conversation ? 0 : c.unread_count])) })
    } catch {
      // Asked again with the next event.
    }
  }

  async markAll(conversation: Id): Promise<void> {
    const read = await call<{ last_read_at: string | null }>(this.context, 'mark_as_read', { conversation_id: conversation })
    this.context.store.dispatch({ type: 'read', conversation, user_id: this.context.me, last_read_at: read.last_read_at })
  }

  async markUnread(conversation: Id, message: Id): Promise<void> {
    this.held = conversation
    const read = await call<{ last_read_at: string | null }>(this.context, 'mark_as_unread', { message_id: message })
    this.context.store.dispatch({ type: 'read', conversation, user_id: this.context.me, last_read_at: read.last_read_at })
  }

  stop(): void {
    this.soon.cancel()
    this.remove()
  }
}
