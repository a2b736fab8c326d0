// What happens while the page is open: rows and receipts on one channel, typing on another.
import type { RealtimeChannel, RealtimeClient } from '@supabase/realtime-js'
import type { MessageRow, ParticipationRow, Reaction } from '@dovetail/chat/state'
import type { Api } from './api.ts'
import { loadRealtime } from './realtime.ts'

export interface PresenceRow { user_id: string; is_online: boolean; last_seen_at: string }

export interface Heard {
  message: (row: MessageRow) => void
  reaction: (row: Reaction & { message_id: string }) => void
  reactionGone: (id: string) => void
  participation: (row: ParticipationRow) => void
  read: (user: string, at: string | null) => void
  presence: (row: PresenceRow) => void
  typing: (user: string, isTyping: boolean) => void
  /** From now on changes are heard; what came before has to be asked for. */
  live: () => void
  lost: () => void
}

const LONGEST_DELAY_MS = 30_000
/** How often the server is asked where nothing can be heard: a policy of the page may allow one script and no other. */
const POLL_MS = 10_000

export class Live {
  private client: RealtimeClient | undefined
  private readonly params: { apikey: string }
  private poll: ReturnType<typeof setInterval> | undefined
  private stopped = false
  private channels: RealtimeChannel[] = []
  private typing: RealtimeChannel | undefined
  private again: ReturnType<typeof setTimeout> | undefined
  private failures = 0
  private generation = 0

  constructor(private readonly api: Api, private readonly conversation: string, private readonly guest: string, private readonly heard: Heard) {
    const jwt = api.tokens.session?.jwt ?? ''
    this.params = { apikey: api.anonKey ?? jwt }
  }

  async start(): Promise<void> {
    const generation = ++this.generation
    try {
      const made = await loadRealtime()
      this.client ??= new made.RealtimeClient(`${this.api.url.replace(/^http/, 'ws')}/realtime/v1`, {
        params: this.params,
        // Spread, so that after a restart of the server not everybody comes back at the same moment.
        reconnectAfterMs: (tries: number) => Math.min(1000 * 2 ** (tries - 1), 10_000) * (0.75 + Math.random() / 2),
        accessToken: async () => {
          const { jwt } = await this.api.tokens.fresh()
          if (!this.api.anonKey) this.params.apikey = jwt
          return jwt
        },
      })
    } catch {
      if (!this.stopped) this.poll ??= setInterval(this.heard.live, POLL_MS)
      return
    }
    // A channel that is joined before there is a token is joined as a visitor.
    await this.client.setAuth().catch(() => {})
    if (generation === this.generation && !this.stopped) this.join(this.client, generation)
  }

  /** A new token: the channels that are joined go on with it, and so does the next connection. */
  renewed(): void {
    void this.client?.setAuth().catch(() => {})
  }

  /** The network is back: nobody waits for the end of a delay. */
  hurry(): void {
    // Where there is no channel yet, joining connects.
    if (this.channels.length > 0 && this.client?.isConnected() === false) this.client.connect()
  }

  private join(client: RealtimeClient, generation: number): void {
    const messages = client.channel(`messages:${this.conversation}`, { config: { private: true } })
    // Guests are in no organisation whose presence they could join: they are present where they write.
    const typing = client.channel(`typing:${this.conversation}`, { config: { private: true, broadcast: { self: false }, presence: { key: this.guest, enabled: true } } })
    this.channels = [messages, typing]
    this.typing = typing
    this.listen(messages)
    typing.on('broadcast', { event: 'typing' }, ({ payload }) => {
      const { user_id, is_typing } = (payload ?? {}) as { user_id?: string; is_typing?: boolean }
      if (user_id) this.heard.typing(user_id, is_typing === true)
    })
    messages.subscribe((status) => {
      if (generation !== this.generation) return
      if (status === 'SUBSCRIBED') {
        this.failures = 0
        this.heard.live()
        return
      }
      this.heard.lost()
      // Closed by the server, for example because a token ended while the computer slept: the library does not come back by itself.
      if (status === 'CLOSED') this.rejoin()
    })
    typing.subscribe((status) => {
      if (status === 'SUBSCRIBED') void typing.track({ user_id: this.guest, online_at: new Date().toISOString() })
    })
  }

  private rejoin(): void {
    clearTimeout(this.again)
    const delay = Math.min(1000 * 2 ** this.failures++, LONGEST_DELAY_MS)
    this.again = setTimeout(() => {
      void this.leave()
      void this.start()
    }, delay * (0.75 + Math.random() / 2))
  }

  private listen(channel: RealtimeChannel): void {
    const { heard } = this
    const filter = `conversation_id=eq.${this.conversation}`
    const rows = { schema: 'public', filter }
    channel
      .on('postgres_changes', { event: 'INSERT', table: 'messages', ...rows }, (change) => heard.message(change.new as unknown as MessageRow))
      .on('postgres_changes', { event: 'UPDATE', table: 'messages', ...rows }, (change) => heard.message(change.new as unknown as MessageRow))
      .on('postgres_changes', { event: 'INSERT', table: 'message_reactions', ...rows }, (change) => heard.reaction(change.new as unknown as Reaction & { message_id: string }))
      .on('postgres_changes', { event: 'UPDATE', table: 'message_reactions', ...rows }, (change) => heard.reaction(change.new as unknown as Reaction & { message_id: string }))
      // A deleted row has only its id, so that no filter finds it; what is not known here is not looked at.
      .on('postgres_changes', { event: 'DELETE', schema: 'public', table: 'message_reactions' }, (change) => heard.reactionGone(String((change.old as { id?: string }).id)))
      .on('postgres_changes', { event: 'UPDATE', table: 'conversation_participants', ...rows }, (change) => heard.participation(change.new as unknown as ParticipationRow))
      .on('postgres_changes', { event: '*', schema: 'public', table: 'user_presence' }, (change) => {
        if (change.eventType !== 'DELETE') heard.presence(change.new as unknown as PresenceRow)
      })
      .on('broadcast', { event: 'read_receipt' }, ({ payload }) => {
        const { user_id, last_read_at } = payload as { user_id: string; last_read_at: string | null }
        heard.read(user_id, last_read_at)
      })
      .on('system', {}, (said: { status?: string }) => {
        if (said.status === 'ok') heard.live()
      })
  }

  sayTyping(user: string, isTyping: boolean): void {
    // Not joined means nobody hears it; the library would take the detour over HTTP.
    if (this.typing?.state !== 'joined') return
    void this.typing.send({ type: 'broadcast', event: 'typing', payload: { type: 'typing', user_id: user, is_typing: isTyping } })
  }

  /** Somebody else's token, with other rights: everything is joined anew. */
  async restart(): Promise<void> {
    clearTimeout(this.again)
    await this.leave()
    if (!this.stopped) await this.start()
  }

  private async leave(): Promise<void> {
    this.generation++
    const { channels } = this
    this.channels = []
    this.typing = undefined
    await Promise.all(channels.map((channel) => this.client?.removeChannel(channel)))
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.again)
    clearInterval(this.poll)
    void this.leave()
    void this.client?.disconnect()
  }
}
