// Waiting for what a client hears, without sleeping.

/** Subscribes; resolves at SUBSCRIBED, rejects at an error. */
export function subscribed(channel) {
  return new Promise((done, failed) => {
    channel.subscribe((status, err) => {
      if (status === 'SUBSCRIBED') done(channel)
      else if (status !== 'CLOSED') failed(new Error(`${status}: ${err?.message ?? ''}`))
    })
  })
}

/** A list that can be waited on. */
export class Seen {
  constructor() { this.items = []; this.waiting = [] }
  add = (item) => { this.items.push(item); for (const look of this.waiting.splice(0)) look() }

  /** The first item that fits; rejects after 15 seconds. */
  async until(fits, what = 'an event') {
    const deadline = Date.now() + 15_000
    for (;;) {
      const found = this.items.find(fits)
      if (found !== undefined) return found
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`${what} did not come; seen: ${JSON.stringify(this.items).slice(0, 2000)}`)
      let timer
      await Promise.race([
        new Promise((r) => this.waiting.push(r)),
        new Promise((r) => { timer = setTimeout(r, left) }),
      ])
      clearTimeout(timer)
    }
  }
}
