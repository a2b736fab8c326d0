// Which replies in threads somebody has seen in this browser. The server counts what is unread of a conversation as a whole,
// and seeing its main line reads it; so that replies are found all the same, threads are remembered here, one by one.
import { throttled, type Context } from './context.ts'
import { compareTimes, timelineOf, type Id, type Time } from './state/index.ts'

const DELAY_MS = 300

export class Threads {
  private at: { conversation: Id; root: Id } | null = null
  private readonly soon = throttled(DELAY_MS, () => this.mark())
  private readonly remove: () => void

  constructor(private readonly context: Context) {
    const look = () => this.soon()
    globalThis.addEventListener?.('focus', look)
    globalThis.document?.addEventListener('visibilitychange', look)
    const unsubscribe = context.store.subscribe(() => { if (this.at) look() })
    this.remove = () => {
      globalThis.removeEventListener?.('focus', look)
      globalThis.document?.removeEventListener('visibilitychange', look)
      unsubscribe()
    }
  }

  async restore(): Promise<void> {
    const { store, kept } = this.context
    const known = await kept.threads().catch(() => undefined)
    // In a browser that is new here, everything up to now counts as seen.
    const threads = known ?? { since: new Date().toISOString(), seen: {} }
    store.dispatch({ type: 'threads', threads })
    if (!known) await kept.putThreads(threads).catch(() => {})
  }

  /** A thread is on the screen, and its end is; null when it is not any more. */
  seeing(conversation: Id, root: Id | null): void {
    this.at = root ? { conversation, root } : null
    this.soon()
  }

  private mark(): void {
    const { at } = this
    if (!at || document.visibilityState !== 'visible' || !document.hasFocus()) return
    const { store, kept } = this.context
    const state = store.get()
    const { ids, status, hasAfter } = timelineOf(state, at.conversation, at.root)
    const last: Time | undefined = state.messages[ids[ids.length - 1] ?? '']?.created_at
    const known = state.threads.seen[at.root]
    if (status !== 'ready' || hasAfter || !last || (known && compareTimes(known, last) >= 0)) return
    store.dispatch({ type: 'thread-seen', root: at.root, at: last })
    void kept.putThreads(store.get().threads).catch(() => {})
  }

  stop(): void {
    this.soon.cancel()
    this.remove()
  }
}
