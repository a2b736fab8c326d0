// Who is online: one presence channel for the organisation, one key for a person however many tabs there are.
import type { RealtimeChannel } from '@supabase/supabase-js'
import type { Context } from './context.ts'
import type { Id } from './state/index.ts'

/** Without a key or a movement for so long somebody is away. */
const AWAY_MS = 5 * 60_000

export class Presence {
  private channel: RealtimeChannel | undefined
  private away = false
  private idle: ReturnType<typeof setTimeout> | undefined
  private readonly remove: () => void

  constructor(private readonly context: Context, org: Id) {
    const { channels, store, me } = context
    const { channel } = channels.hold(`presence:${org}`, (made) => {
      made.on('presence', { event: 'sync' }, () => {
        const online: Record<Id, { away: boolean }> = {}
        for (const [key, tabs] of Object.entries(made.presenceState<{ away?: boolean }>())) {
          // Away only when every tab is.
          online[key] = { away: tabs.every((tab) => tab.away === true) }
        }
        store.dispatch({ type: 'presence', online, seen: new Date().toISOString() })
      })
    }, (status) => {
      if (status === 'SUBSCRIBED') this.track()
    }, { presence: { key: me, enabled: true } })
    this.channel = channel
    const active = () => this.active()
    const events = ['pointerdown', 'keydown', 'focus'] as const
    events.forEach((event) => globalThis.addEventListener?.(event, active, { passive: true }))
    this.remove = () => events.forEach((event) => globalThis.removeEventListener?.(event, active))
    this.active()
  }

  private active(): void {
    clearTimeout(this.idle)
    this.idle = setTimeout(() => this.set(true), AWAY_MS)
    if (this.away) this.set(false)
  }

  private set(away: boolean): void {
    this.away = away
    this.track()
  }

  private track(): void {
    if (this.channel?.state === 'joined') void this.channel.track({ user_id: this.context.me, away: this.away, online_at: new Date().toISOString() })
  }

  stop(): void {
    clearTimeout(this.idle)
    this.remove()
  }
}
