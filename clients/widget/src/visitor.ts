// What is said of who writes, by the page or by themselves. It goes with one message, and proves nothing.
import type { Kept } from './kept.ts'

export interface About { name?: string; email?: string }

const LONGEST = 200

export class Visitor {
  private unsaid: About | null
  about: About

  constructor(private readonly tab: Kept) {
    this.unsaid = tab.get<About>('visitor')
    this.about = this.unsaid ?? {}
  }

  say({ name, email }: About): void {
    const given = { ...(name ? { name: String(name).slice(0, LONGEST) } : {}), ...(email ? { email: String(email).slice(0, LONGEST) } : {}) }
    this.about = { ...this.about, ...given }
    this.unsaid = this.about
    this.tab.set('visitor', this.about)
  }

  /** For the metadata of a message: once. */
  take(): Record<string, unknown> {
    const said = this.unsaid && Object.keys(this.unsaid).length > 0 ? { visitor: this.unsaid } : {}
    this.unsaid = null
    this.tab.drop('visitor')
    return said
  }

  forget(): void {
    this.take()
    this.about = {}
  }
}
