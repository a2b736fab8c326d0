// Channels are shared: several views of one conversation hold one channel, and all channels one socket.
import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js'

interface Held { channel: RealtimeChannel; holders: number; leaving: ReturnType<typeof setTimeout> | undefined }

/** A view that goes and comes back within this time finds its channel still joined. */
const LINGER_MS = 3000

export class Channels {
  private readonly held = new Map<string, Held>()

  constructor(private readonly supabase: SupabaseClient) {}

  /** Joins a private topic, or counts one more holder. `prepare` adds what is listened to, before it is joined. */
  hold(
    topic: string, prepare: (channel: RealtimeChannel) => void, onStatus: (status: string) => void = () => {},
    config: Record<string, unknown> = {},
  ): { channel: RealtimeChannel; release: () => void } {
    let held = this.held.get(topic)
    if (held) {
      clearTimeout(held.leaving)
      held.leaving = undefined
      held.holders++
    } else {
      const channel = this.supabase.channel(topic, { config: { private: true, ...config } })
      prepare(channel)
      held = { channel, holders: 1, leaving: undefined }
      this.held.set(topic, held)
      channel.subscribe(onStatus)
    }
    const mine = held
    let released = false
    return {
      channel: mine.channel,
      release: () => {
        if (released) return
        released = true
        mine.holders--
        if (mine.holders > 0) return
        mine.leaving = setTimeout(() => {
          this.held.delete(topic)
          void this.supabase.removeChannel(mine.channel)
        }, LINGER_MS)
      },
    }
  }

  get(topic: string): RealtimeChannel | undefined {
    return this.held.get(topic)?.channel
  }

  closeAll(): void {
    for (const { channel, leaving } of this.held.values()) {
      clearTimeout(leaving)
      void this.supabase.removeChannel(channel)
    }
    this.held.clear()
  }
}
