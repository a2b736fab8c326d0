// The session of a guest: got with the share link, kept for the tab, renewed before it ends (C-401, C-402).
import { ask, Problem } from './problem.ts'
import { Kept } from './kept.ts'

export interface Session {
  chatToken: string
  jwt: string
  conversationId: string
  clientId: string
  clientName: string
  orgId: string | null
  /** Sessions that were kept by an earlier version have none. */
  advisorId?: string
  advisorName: string
  advisorAvatar: string | null
  subjectTitle: string
  expiresAt: string
}

/** Renewed so long before the end. */
const EARLY_MS = 2 * 60_000

/** The token of a user, each time one is needed. */
export type GiveToken = () => string | Promise<string>

function claims(jwt: string): Record<string, unknown> {
  return JSON.parse(atob((jwt.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'))) as Record<string, unknown>
}

/** How long a token lasts. By its own two times, so that a wrong clock of the guest does not matter. */
function lifetime(jwt: string): number {
  try {
    const { exp, iat } = claims(jwt)
    return Math.max(0, Number(exp) - Number(iat)) * 1000
  } catch {
    return 15 * 60_000
  }
}

interface KeptSession { chatToken: string; shareToken: string }

export class Tokens {
  session: Session | null = null
  /** Told of each new token. */
  onRenewed: () => void = () => {}
  /** Told when the server says that it is over: the link is off, the guest has left. */
  onRefused: (problem: Problem) => void = () => {}
  private until = 0
  private renewing: Promise<Session> | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private stopped = false
  /** Who has signed in on the page stands for the guest. */
  private user: GiveToken | null = null
  private readonly kept: Kept

  constructor(private readonly url: string, private readonly subject: string, private readonly shareToken: string) {
    this.kept = new Kept(() => sessionStorage, `dovetail-chat:${url}:`)
  }

  /** Goes on with the session of this tab, or begins one with the link. */
  async begin(): Promise<Session> {
    this.stopped = false
    const known = this.kept.get<KeptSession>(this.subject)
    // Another link to the same subject is another guest.
    if (known && (!this.shareToken || known.shareToken === this.shareToken)) {
      try {
        return await this.renewWith(known.chatToken)
      } catch (error) {
        if (!(error instanceof Problem) || error.temporary && error.status !== 401) throw error
        this.kept.drop(this.subject)
      }
    }
    return this.open()
  }

  private async open(): Promise<Session> {
    if (!this.shareToken) throw new Problem('there is no share token', 400)
    const query = new URLSearchParams({ subject_id: this.subject, share_token: this.shareToken })
    return this.take(await ask(`${this.url}/chat/v1/guest-token?${query}`))
  }

  private async renewWith(chatToken: string): Promise<Session> {
    return this.take(await ask(`${this.url}/chat/v1/guest-token/refresh`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ chatToken }),
    }))
  }

  private async take(response: Response): Promise<Session> {
    const session = (await response.json()) as Session
    this.session = session
    this.until = Date.now() + lifetime(session.jwt)
    this.kept.set(this.subject, { chatToken: session.chatToken, shareToken: this.shareToken } satisfies KeptSession)
    this.plan(this.until - Date.now() - EARLY_MS)
    return session
  }

  private plan(delay: number): void {
    clearTimeout(this.timer)
    if (this.stopped) return
    this.timer = setTimeout(() => {
      // No network at this moment: what needs a token asks again, and so does this.
      this.renew().catch((error: unknown) => {
        if (error instanceof Problem && error.temporary) this.plan(15_000)
      })
    }, Math.max(delay, 1000))
  }

  /** A token that is good for a while. Timers sleep with the computer, so this looks at the clock. */
  async fresh(): Promise<Session> {
    if (this.user && this.session) return { ...this.session, jwt: await this.ask(this.user) }
    if (this.session && Date.now() < this.until - EARLY_MS / 2) return this.session
    try {
      return await this.renew()
    } catch (error) {
      // Still good for a moment.
      if (this.session && error instanceof Problem && error.temporary && Date.now() < this.until) return this.session
      throw error
    }
  }

  /** Asks anew, and learns so whether the session still holds. One request at a time. */
  renew(): Promise<Session> {
    // Whoever asks after the end is not to begin anew.
    if (this.stopped) return Promise.reject(new Problem('the chat is over', 0, 'over'))
    if (this.user) return this.fresh().finally(this.onRenewed)
    this.renewing ??= this.renewNow().finally(() => { this.renewing = null })
    return this.renewing
  }

  private async ask(user: GiveToken): Promise<string> {
    const jwt = await Promise.resolve().then(user).catch(() => '')
    // Signed out meanwhile, or nothing to renew it with at the moment.
    if (!jwt) throw new Problem('the page gives no token', 401, 'no_token')
    return jwt
  }

  /** The server decides what the token may do; another user's would only show that there is nothing. */
  async signIn(user: GiveToken): Promise<void> {
    const jwt = await this.ask(user)
    let sub: unknown
    try {
      sub = claims(jwt)['sub']
    } catch {
      throw new Problem('the token of the user cannot be read', 400, 'bad_token')
    }
    if (sub !== this.session?.clientId) throw new Problem('the user is not the client whom the link is for', 403, 'other_user')
    clearTimeout(this.timer)
    this.user = user
  }

  /** As the guest again. */
  signOut(): void {
    this.user = null
  }

  /** Over, as far as this device is concerned. */
  forget(): void {
    this.stop()
    this.kept.drop(this.subject)
    this.session = null
  }

  private async renewNow(): Promise<Session> {
    if (!this.session) return this.begin()
    try {
      let session: Session
      try {
        session = await this.renewWith(this.session.chatToken)
      } catch (error) {
        // The 24 hours are over; the link may still be good for another.
        if (!(error instanceof Problem) || error.status !== 401) throw error
        session = await this.open()
      }
      this.onRenewed()
      return session
    } catch (error) {
      if (error instanceof Problem && (!error.temporary || error.status === 401)) {
        this.kept.drop(this.subject)
        this.onRefused(error)
      }
      throw error
    }
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
  }
}
