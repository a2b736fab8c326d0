// Who is typing. Told by broadcasts that may get lost, so each is believed for a few seconds only.
import type { RealtimeChannel } from '@supabase/supabase-js'
import type { Context } from './context.ts'
import type { Id } from './state/index.ts'

/** At most one message in this time while somebody types. */
const EVERY_MS = 2000
/** So long without a key means stopped. */
const PAUSE_MS = 2000 - 400
/** So long after the last message somebody is forgotten. */
const FORGET_MS = 5000

interface Own { lastSent: number; stop: ReturnType<typeof setTimeout> }

export class Typing {
  private readonly own = new Map<Id, Own>()
  private readonly tick: ReturnType<typeof setInterval>

  constructor(private readonly context: Context) {
    this.tick = setInterval(() => context.store.dispatch({ type: 'typing-tick', now: Date.now() }), 1000)
  }

  listen(channel: RealtimeChannel, conversation: Id): void {
    channel.on('broadcast', { event: 'typing' }, ({ payload }) => {
      const { user_id, is_typing } = (payload ?? {}) as { user_id?: Id; is_typing?: boolean }
      if (!user_id || user_id === this.context.me) return
      if (is_typing) this.context.store.dispatch({ type: 'typing', conversation, user_id, until: Date.now() + FORGET_MS })
      else this.context.store.dispatch({ type: 'stopped-typing', conversation, user_id })
    })
  }

  /** A key was pressed. */
  pressed(conversation: Id): void {
    const now = Date.now()
    const known = this.own.get(conversation)
    if (known) clearTimeout(known.stop)
    const stop = setTimeout(() => this.stopped(conversation), PAUSE_MS)
    if (!known || now - known.lastSent >= EVERY_MS) {
      this.say(conversation, true)
      this.own.set(conversation, { lastSent: now, stop })
    } else {
      this.own.set(conversation, { ...known, stop })
    }
  }

  /** Sent, emptied, or paused. */
  stopped(conversation: Id): void {
    const known = this.own.get(conversation)
    if (!known) return
    clearTimeout(known.stop)
    this.own.delete(conversation)
    this.say(conversation, false)
  }

  private say(conversation: Id, isTyping: boolean): void {
    const channel = this.context.channels.get(`typing:${conversation}`)
    // Not joined means nobody hears it; the library would take the detour over HTTP.
    if (channel?.state !== 'joined') return
    void channel.send({ type: 'broadcast', event: 'typing', payload: { type: 'typing', user_id: this.context.me, is_typing: isTyping } })
  }

  stop(): void {
    clearInterval(this.tick)
    for (const { stop } of this.own.values()) clearTimeout(stop)
  }
}
