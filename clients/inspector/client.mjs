// One connection to the server: heartbeats, joins, replies, and the token. It does not come back by itself: the
// inspector shows that a connection was lost, and why.
import { Channel, joinPayload } from './channel.mjs'
import { decodeBinary, decodeText, encodeText, encodeUserBroadcast } from './frames.mjs'
import { decode } from './token.mjs'

const HEARTBEAT = 25_000
/** How long an answer may take: a refused join is answered after 5 s. */
const PATIENCE = { phx_join: 12_000, phx_leave: 5_000, broadcast: 5_000, presence: 8_000, heartbeat: 20_000 }

/** The URLs of a server: `{ ws, http }`, both with the token in their query. Throws when `server` is not a URL. */
export function addresses(server, path, token) {
  const base = new URL(server)
  if (!['http:', 'https:', 'ws:', 'wss:'].includes(base.protocol)) throw new TypeError('the URL must begin with http:// or https://')
  const secure = base.protocol === 'https:' || base.protocol === 'wss:'
  const query = new URLSearchParams({ apikey: token, vsn: '2.0.0' })
  const rest = `//${base.host}${base.pathname.replace(/\/+$/, '')}${path}?${query}`
  return { ws: `${secure ? 'wss' : 'ws'}:${rest}`, http: `${secure ? 'https' : 'http'}:${rest}` }
}

/**
 * Events: `frame` (detail: a frame), `change` (something to draw anew).
 *
 * A frame is `{ number, time, direction, topic, event, size, text or bytes, message }`. `state` is idle, connecting,
 * open, asking (why it was refused) or closed; `ended` says how the last connection ended.
 */
export class Client extends EventTarget {
  state = 'idle'
  ended = null
  roundTrip = null
  /** Wire topic to channel, in the order of their first join. */
  channels = new Map()
  token = ''
  #socket = null
  #ref = 0
  #frames = 0
  #waiting = new Map()
  #heart = null

  /** Role and claims of the present token, for explanations. */
  who = () => {
    const { claims } = decode(this.token)
    return { claims, role: typeof claims?.role === 'string' ? claims.role : undefined }
  }

  /** Opens a connection; joins again what a lost one had joined. */
  connect(server, path, token) {
    this.disconnect()
    const { ws, http } = addresses(server, path, token)
    this.token = token
    this.ended = null
    const socket = new WebSocket(ws)
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    let opened = false
    socket.addEventListener('open', () => {
      opened = true
      this.#set('open')
      this.#heart = setInterval(() => this.#push(null, 'phoenix', 'heartbeat', {}), HEARTBEAT)
      this.#push(null, 'phoenix', 'heartbeat', {})
      for (const channel of this.channels.values()) if (channel.rejoin) this.#join(channel)
    })
    socket.addEventListener('message', ({ data }) => { if (this.#socket === socket) this.#received(data) })
    socket.addEventListener('close', ({ code }) => {
      if (this.#socket !== socket) return
      this.#forget()
      if (opened) {
        this.ended = { kind: 'close', what: code, text: `close code ${code}` }
        this.#set('closed')
      } else {
        this.#ask(http)
      }
    })
    this.#set('connecting')
  }

  /** Browsers do not tell why an upgrade was refused: the same request without an upgrade is answered the same. */
  async #ask(http) {
    this.#set('asking')
    const asked = (this.asked = Symbol('asked'))
    let what
    try {
      const answer = await fetch(http, { cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' })
      what = { status: answer.status, body: (await answer.text()).slice(0, 2000) }
    } catch {
      what = { status: 0, body: '' }
    }
    if (this.asked !== asked || this.state !== 'asking') return
    const text = what.status === 0 ? 'no answer' : `HTTP ${what.status} ${what.body}`.trim()
    this.ended = { kind: 'connect', what, text }
    this.#set('closed')
  }

  /** Closes the connection, if there is one. */
  disconnect() {
    const socket = this.#socket
    this.#forget()
    this.asked = null
    socket?.close(1000)
    this.ended = null
    this.#set('idle')
  }

  #forget() {
    clearInterval(this.#heart)
    for (const { timer } of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
    this.#socket = null
    this.roundTrip = null
    for (const channel of this.channels.values()) {
      if (channel.open) { channel.state = 'lost'; channel.rejoin = true }
    }
  }

  /** Joins a topic; a channel of the same topic is replaced. */
  join(name, options) {
    const channel = new Channel(name, options, this.who)
    this.channels.set(channel.topic, channel)
    this.#join(channel)
    return channel
  }

  /** Joins a topic that was refused, closed or left once more, with what arrived on it kept. */
  rejoin(channel) { this.#join(channel) }

  #join(channel) {
    channel.rejoin = false
    const ref = String(this.#ref + 1)
    channel.joining(ref)
    const payload = joinPayload(channel.options, this.token)
    this.#push(ref, channel.topic, 'phx_join', payload, channel)
    this.#changed()
  }

  leave(channel) {
    this.#push(channel.joinRef, channel.topic, 'phx_leave', {}, channel)
    channel.state = 'left'
    this.#changed()
  }

  /** Takes a channel that is over off the list. */
  forget(channel) {
    if (channel.open) this.leave(channel)
    this.channels.delete(channel.topic)
    this.#changed()
  }

  /** Sends a broadcast: JSON as text, or in a binary frame; bytes always in a binary frame. */
  broadcast(channel, event, payload, binary = false) {
    if (!binary && !(payload instanceof Uint8Array)) {
      this.#push(channel.joinRef, channel.topic, 'broadcast', { type: 'broadcast', event, payload }, channel)
      return
    }
    const ref = String(++this.#ref)
    const frame = encodeUserBroadcast({ joinRef: channel.joinRef, ref, topic: channel.topic, event, payload })
    this.#wait(ref, 'broadcast', channel)
    this.#send(frame, { ...decodeBinary(frame, 'out') })
  }

  track(channel, payload) {
    this.#push(channel.joinRef, channel.topic, 'presence', { type: 'presence', event: 'track', payload }, channel)
  }

  untrack(channel) {
    this.#push(channel.joinRef, channel.topic, 'presence', { type: 'presence', event: 'untrack' }, channel)
  }

  /** Sends a new token to every joined channel; success is not answered. Returns to how many. */
  refresh(token) {
    this.token = token
    const joined = [...this.channels.values()].filter((channel) => channel.state === 'joined')
    for (const channel of joined) this.#push(channel.joinRef, channel.topic, 'access_token', { access_token: token }, channel)
    return joined.length
  }

  #push(joinRef, topic, event, payload, channel) {
    const ref = String(++this.#ref)
    this.#wait(ref, event, channel)
    const message = { joinRef, ref, topic, event, payload }
    this.#send(encodeText(message), message)
  }

  /** Remembers what an answer belongs to. A broadcast is answered only when the join asked for that. */
  #wait(ref, event, channel) {
    const patience = PATIENCE[event]
    if (!patience || (event === 'broadcast' && !channel.options.ack)) return
    const timer = setTimeout(() => {
      this.#waiting.delete(ref)
      if (event === 'phx_join' && channel.joinRef === ref) channel.answered('error', { reason: 'no answer to the join' })
      else if (event === 'broadcast' || event === 'presence') channel.note('reply', `${event}: no answer`)
      this.#changed()
    }, patience)
    this.#waiting.set(ref, { event, channel, timer, sent: performance.now() })
  }

  #send(data, message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return
    this.#socket.send(data)
    this.#record('out', data, message)
  }

  #received(data) {
    const bytes = typeof data === 'string' ? null : new Uint8Array(data)
    const message = bytes ? decodeBinary(bytes, 'in') : decodeText(data)
    this.#record('in', bytes ?? data, message)
    if (message.malformed) return
    if (message.event === 'phx_reply') this.#replied(message)
    else this.channels.get(message.topic)?.received(message)
    this.#changed()
  }

  #replied({ ref, payload }) {
    const waiting = this.#waiting.get(ref)
    if (!waiting) return
    this.#waiting.delete(ref)
    clearTimeout(waiting.timer)
    const { event, channel, sent } = waiting
    const { status, response } = payload ?? {}
    if (event === 'heartbeat') this.roundTrip = performance.now() - sent
    else if (event === 'phx_join') { if (channel.joinRef === ref) channel.answered(status, response) }
    else if (status !== 'ok') {
      const reason = typeof response === 'string' ? response : (response?.reason ?? '')
      channel.note('reply', `${event}: ${reason}`)
    }
  }

  #record(direction, data, message) {
    // What is shown may be copied and passed on: the token is left out of it.
    const secret = direction === 'out' && this.token !== '' && (message.event === 'phx_join' || message.event === 'access_token')
    const text = typeof data !== 'string' ? undefined : secret ? data.replaceAll(this.token, '‹token›') : data
    const frame = {
      number: ++this.#frames,
      time: Date.now(),
      direction,
      topic: message.topic ?? '',
      event: message.malformed ? 'malformed' : (message.userEvent === undefined ? (message.event ?? '') : `${message.event} ${message.userEvent}`),
      size: text === undefined ? data.length : byteLength(data),
      text,
      bytes: text === undefined ? data : undefined,
    }
    this.dispatchEvent(new CustomEvent('frame', { detail: frame }))
  }

  #set(state) {
    this.state = state
    this.#changed()
  }

  #changed() { this.dispatchEvent(new Event('change')) }
}

/** Length in UTF-8. */
function byteLength(text) {
  let length = text.length
  for (let n = 0; n < text.length; n++) {
    const code = text.charCodeAt(n)
    if (code > 0x7f) length += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return length
}
