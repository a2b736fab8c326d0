// One topic that was joined, or that the server would not let in: its state, and what arrived on it.
import { explain } from './explain.mjs'
import { Presence } from './presence.mjs'

/** How much of each kind is kept. */
const KEPT = { notices: 20, messages: 200, changes: 300 }

/** The payload of a join, from the options of the form (protocol.md §3.2). */
export function joinPayload(options, token) {
  const { isPrivate, self, ack, presence, key, bindings, since, limit } = options
  const broadcast = { self, ack }
  if (since !== undefined) broadcast.replay = { since, ...(limit !== undefined && { limit }) }
  return {
    config: {
      private: isPrivate,
      broadcast,
      presence: { enabled: presence, key: key ?? '' },
      postgres_changes: bindings,
    },
    access_token: token,
  }
}

/** See the file. `state` is joining, joined, refused, closed, lost or left. */
export class Channel {
  presence = new Presence()
  /** Messages of the server and refusals, newest first: `{ time, text, kind, explanation, bad }`. */
  notices = []
  /** Broadcasts, newest first. */
  messages = []
  /** Row changes, newest first. */
  changes = []
  counts = { messages: 0, changes: 0 }
  state = 'joining'
  joinRef = null

  /** `name` is the topic without `realtime:`; `who()` gives role and claims of the token. */
  constructor(name, options, who) {
    this.name = name
    this.topic = `realtime:${name}`
    this.options = options
    this.who = who
  }

  get open() { return this.state === 'joined' || this.state === 'joining' }

  /** A join is on its way. */
  joining(ref) {
    this.joinRef = ref
    this.state = 'joining'
    this.presence = new Presence()
  }

  /** The answer to the join. */
  answered(status, response) {
    if (status === 'ok') {
      this.state = 'joined'
      return
    }
    this.state = 'refused'
    this.note('join', String(response?.reason ?? JSON.stringify(response)))
  }

  /** Everything the server sends on the topic but replies. `message` is a decoded frame. */
  received(message) {
    const { event, payload } = message
    if (event === 'presence_state') this.presence.state(payload)
    else if (event === 'presence_diff') this.presence.diff(payload, this.options.presence)
    else if (event === 'system') this.#system(payload)
    else if (event === 'broadcast') this.#broadcast(message)
    else if (event === 'postgres_changes') this.#change(payload)
    else if (event === 'phx_close' || event === 'phx_error') this.#ended(message)
  }

  #system(payload) {
    const text = String(payload?.message ?? JSON.stringify(payload))
    this.note('system', text, payload?.status === 'ok')
  }

  #broadcast({ payload, userEvent, bytes, meta, json }) {
    const entry = userEvent === undefined
      ? { event: payload?.event, payload: payload?.payload, meta: payload?.meta }
      : { event: userEvent, payload: json ? payload : undefined, bytes: json ? undefined : bytes, meta }
    this.counts.messages += 1
    keep(this.messages, { time: Date.now(), number: this.counts.messages, ...entry }, KEPT.messages)
  }

  #change(payload) {
    const data = payload?.data ?? {}
    this.counts.changes += 1
    keep(this.changes, { time: Date.now(), number: this.counts.changes, ids: payload?.ids, ...data }, KEPT.changes)
  }

  #ended({ event, ref, joinRef }) {
    // The close of a predecessor that a new join replaced carries the old ref.
    if ((joinRef ?? ref) !== this.joinRef) return
    if (this.state === 'left' || this.state === 'refused') return
    const said = this.notices[0]
    this.state = event === 'phx_close' ? 'closed' : 'lost'
    // Where the server said why, that stays on top.
    if (!said?.bad || Date.now() - said.time > 5000) this.note('channel', event)
  }

  /** Keeps a message with its explanation. */
  note(kind, text, good = false) {
    const context = { topic: this.name, bindings: this.options.bindings, ...this.who() }
    const explanation = explain(kind, text, context)
    keep(this.notices, { time: Date.now(), kind, text, explanation, bad: !good }, KEPT.notices)
  }
}

function keep(list, entry, most) {
  list.unshift(entry)
  if (list.length > most) list.length = most
}
