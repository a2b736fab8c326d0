// What one tells the other while one types.

/** At most one message in this time. */
const EVERY_MS = 2000
/** So long without a key means stopped: a little less than two seconds, the way there included. */
const PAUSE_MS = 1600
/** So long after the last message the other is forgotten: broadcasts may get lost. */
export const FORGET_MS = 5000

export class Typing {
  private lastSent = 0
  private pause: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly say: (isTyping: boolean) => void) {}

  /** A key was pressed. */
  pressed(): void {
    clearTimeout(this.pause)
    this.pause = setTimeout(() => this.stopped(), PAUSE_MS)
    const now = Date.now()
    if (now - this.lastSent < EVERY_MS) return
    this.lastSent = now
    this.say(true)
  }

  /** Sent, emptied, or paused. */
  stopped(): void {
    clearTimeout(this.pause)
    if (!this.lastSent) return
    this.lastSent = 0
    this.say(false)
  }
}
