// The connection: where to, with which token, how it is, and why it ended.
import { byId, explained, h, say } from './dom.mjs'
import { explain } from './explain.mjs'
import { clean, decode, expiry, remarks } from './token.mjs'

const STORED = 'dovetail inspector token'

const STATES = {
  idle: 'Not connected',
  connecting: 'Connecting …',
  asking: 'Refused. Asking the server why …',
  open: 'Connected',
  closed: 'Not connected',
}

export class ConnectView {
  #drawn = null

  constructor(client) {
    this.client = client
    this.token = byId('token')
    byId('server').value = location.protocol.startsWith('http') ? location.origin : ''
    const kept = stored()
    if (kept) {
      this.token.value = kept
      byId('keep').checked = true
    }
    this.token.addEventListener('input', () => { this.#keep(); this.draw() })
    byId('keep').addEventListener('change', () => this.#keep())
    byId('connect-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.#connect()
    })
    byId('disconnect').addEventListener('click', () => client.disconnect())
    byId('refresh').addEventListener('click', () => client.refresh(clean(this.token.value)))
    this.#facts()
  }

  #connect() {
    try {
      this.client.connect(byId('server').value, byId('path').value, clean(this.token.value))
      byId('server').setCustomValidity('')
    } catch (error) {
      byId('server').setCustomValidity(error.message)
      byId('server').reportValidity()
      byId('server').setCustomValidity('')
    }
  }

  /** Only when asked to, and only for this tab. */
  #keep() {
    try {
      if (byId('keep').checked) sessionStorage.setItem(STORED, clean(this.token.value))
      else sessionStorage.removeItem(STORED)
    } catch {
      // Storage may be switched off: then nothing is kept.
    }
  }

  draw() {
    const { state, ended, roundTrip } = this.client
    const trip = state === 'open' && roundTrip !== null ? ` · ${Math.max(1, Math.round(roundTrip))} ms` : ''
    say(byId('status-text'), `${STATES[state]}${trip}${state === 'closed' && ended ? `: ${ended.text}` : ''}`)
    byId('status').dataset.state = state
    byId('disconnect').disabled = state === 'idle' || state === 'closed'
    say(byId('connect-button'), state === 'open' ? 'Connect again' : 'Connect')
    const joined = [...this.client.channels.values()].some((channel) => channel.state === 'joined')
    byId('refresh').disabled = state !== 'open' || !joined || clean(this.token.value) === this.client.token
    byId('join-button').disabled = state !== 'open'
    if (this.#drawn !== ended) {
      this.#drawn = ended
      const box = ended && explained(ended.text, explain(ended.kind, ended.what, this.client.who()))
      byId('ended').replaceChildren(...(box ? [box] : []))
    }
    this.#facts()
  }

  #said = undefined

  /** What the token says; its parts are made anew only when it changed, the time every second. */
  #facts() {
    const text = this.token.value
    const box = byId('token-says')
    if (this.#said?.text !== text) {
      const { claims, problem } = decode(text)
      this.#said = { text, claims, time: null }
      if (problem) {
        box.replaceChildren(h('p', { class: clean(text) === '' ? '' : 'bad' }, problem))
      } else {
        const time = h('span', { 'aria-live': 'off' })
        this.#said.time = time
        const named = (name) => (claims[name] === undefined ? null : [' · ', name, ' ', h('strong', {}, String(claims[name]))])
        box.replaceChildren(
          h('p', {}, 'role ', h('strong', {}, String(claims.role ?? 'none')), named('sub'), ' · ', time),
          ...remarks(claims).map((remark) => h('p', { class: 'soon' }, remark)),
          h('details', {}, h('summary', {}, 'All claims'), h('pre', { tabindex: '0' }, JSON.stringify(claims, null, 2))),
        )
      }
    }
    if (this.#said.time) {
      const { level, text: until } = expiry(this.#said.claims, Math.floor(Date.now() / 1000))
      say(this.#said.time, until)
      this.#said.time.className = level
    }
  }

  /** Role of the token in the field. */
  get role() { return this.#said?.claims?.role }
}

function stored() {
  try {
    return sessionStorage.getItem(STORED)
  } catch {
    return null
  }
}
