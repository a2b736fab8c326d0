// The frames in both directions: a bounded list of which only the visible rows exist as elements.
import { byId, clock, copyButton, eachFrame, h, say, short, size } from './dom.mjs'
import { hex } from './frames.mjs'

/** Frames kept, and bytes of them. */
const MOST = 5000
const MOST_BYTES = 32_000_000
/** Height of a row in CSS pixels; the style sheet has the same. */
const ROW = 24

export class FrameList {
  #frames = []
  #bytes = 0
  #shown = []
  #pool = []
  #paused = false
  #missed = 0
  #selected = null
  #follow = true
  #second = []

  constructor() {
    this.list = byId('frame-list')
    this.rows = byId('frame-rows')
    this.detail = byId('frame-detail')
    this.draw = eachFrame(() => this.#draw())
    byId('frame-filter').addEventListener('input', () => this.#again())
    byId('frame-direction').addEventListener('change', () => this.#again())
    byId('frame-hide').addEventListener('change', () => this.#again())
    byId('frame-pause').addEventListener('click', () => this.#pause())
    byId('frame-clear').addEventListener('click', () => this.#clear())
    byId('frame-close').addEventListener('click', () => this.#select(null))
    this.list.addEventListener('scroll', () => {
      const { scrollTop, scrollHeight, clientHeight } = this.list
      this.#follow = scrollTop + clientHeight >= scrollHeight - ROW
      this.draw()
    }, { passive: true })
    this.list.addEventListener('keydown', (event) => this.#key(event))
    this.rows.addEventListener('click', (event) => {
      const row = event.target.closest('[data-number]')
      if (row) this.#select(this.#shown.find(({ number }) => number === Number(row.dataset.number)))
    })
    new ResizeObserver(this.draw).observe(this.list)
    this.#again()
  }

  /** Takes a frame. */
  add(frame) {
    this.#frames.push(frame)
    this.#bytes += frame.size
    this.#second.push(frame.time)
    if (this.#paused) this.#missed += 1
    else if (this.#fits(frame)) this.#shown.push(frame)
    this.draw()
  }

  #fits(frame) {
    if (this.#direction && frame.direction !== this.#direction) return false
    if (this.#quiet && (frame.topic === 'phoenix' || frame.event === 'heartbeat')) return false
    return this.#wanted === '' || matches(frame, this.#wanted)
  }

  #wanted = ''
  #direction = ''
  #quiet = true

  /** The filter changed: looks at all frames again. */
  #again() {
    this.#wanted = byId('frame-filter').value.trim().toLowerCase()
    this.#direction = byId('frame-direction').value
    this.#quiet = byId('frame-hide').checked
    this.#shown = this.#frames.filter((frame) => this.#fits(frame))
    this.#missed = 0
    this.draw()
  }

  #pause() {
    this.#paused = !this.#paused
    const button = byId('frame-pause')
    button.setAttribute('aria-pressed', String(this.#paused))
    if (!this.#paused) this.#again()
    this.draw()
  }

  #clear() {
    this.#frames = []
    this.#bytes = 0
    this.#select(null)
    this.#again()
  }

  /** Drops the oldest frames in one go, and keeps what is being read where it is. */
  #trim() {
    let over = Math.max(0, this.#frames.length - MOST)
    for (let n = 0; n < over; n++) this.#bytes -= this.#frames[n].size
    while (this.#bytes > MOST_BYTES && over < this.#frames.length - 1) this.#bytes -= this.#frames[over++].size
    if (over === 0) return
    this.#frames.splice(0, over)
    if (this.#paused) return
    const oldest = this.#frames[0].number
    let gone = 0
    while (gone < this.#shown.length && this.#shown[gone].number < oldest) gone += 1
    if (gone === 0) return
    this.#shown.splice(0, gone)
    if (!this.#follow) this.list.scrollTop -= gone * ROW
  }

  #draw() {
    this.#trim()
    const height = `${this.#shown.length * ROW}px`
    if (this.rows.style.height !== height) this.rows.style.height = height
    if (this.#follow && !this.#paused) this.list.scrollTop = this.list.scrollHeight
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - 4)
    const visible = Math.ceil(this.list.clientHeight / ROW) + 8
    const last = Math.min(this.#shown.length, first + visible)
    while (this.#pool.length < last - first) this.#pool.push(this.#row())
    this.#pool.forEach((row, n) => this.#fill(row, first + n < last ? this.#shown[first + n] : null, first + n))
    byId('frame-empty').hidden = this.#shown.length > 0
    this.#count()
  }

  #row() {
    const cells = ['at', 'way', 'what', 'where', 'big', 'gist'].map((name) => h('span', { class: name }))
    const row = h('div', { role: 'option', class: 'frame' }, cells)
    this.rows.append(row)
    return { row, cells, frame: undefined, top: -1 }
  }

  #fill(slot, frame, index) {
    const { row, cells } = slot
    const top = index * ROW
    if (frame && slot.top !== top) {
      slot.top = top
      row.style.transform = `translateY(${top}px)`
    }
    if (frame) row.setAttribute('aria-selected', String(frame === this.#selected))
    if (slot.frame === frame) return
    slot.frame = frame
    row.hidden = frame === null
    if (frame === null) return
    row.id = `frame-${frame.number}`
    row.dataset.number = frame.number
    row.dataset.direction = frame.direction
    row.dataset.event = frame.event
    frame.gist ??= gist(frame)
    const way = frame.direction === 'in' ? '↓' : '↑'
    const texts = [clock(frame.time), way, frame.event, frame.topic.replace(/^realtime:/, ''), size(frame.size), frame.gist]
    texts.forEach((text, n) => say(cells[n], short(text, 200)))
    row.setAttribute('aria-label', `${frame.direction === 'in' ? 'received' : 'sent'} ${frame.event} ${frame.topic} ${size(frame.size)}`)
  }

  #count() {
    const now = Date.now()
    while (this.#second.length > 0 && this.#second[0] < now - 1000) this.#second.shift()
    const parts = [`${this.#shown.length.toLocaleString('en')} of ${this.#frames.length.toLocaleString('en')}`]
    parts.push(`${this.#second.length}/s`)
    say(byId('frame-count'), parts.join(' · '))
    say(byId('frame-pause'), this.#paused ? (this.#missed > 0 ? `Resume (${this.#missed.toLocaleString('en')} new)` : 'Resume') : 'Pause')
  }

  /** Called now and then, so that the rate falls to zero when nothing comes. */
  tick() { this.#count() }

  #key(event) {
    const at = this.#shown.indexOf(this.#selected)
    const page = Math.max(1, Math.floor(this.list.clientHeight / ROW) - 1)
    const to = {
      ArrowDown: at + 1, ArrowUp: at < 0 ? this.#shown.length - 1 : at - 1,
      PageDown: at + page, PageUp: at - page, Home: 0, End: this.#shown.length - 1,
    }[event.key]
    if (event.key === 'Escape') this.#select(null)
    if (to === undefined || this.#shown.length === 0) return
    event.preventDefault()
    const index = Math.min(this.#shown.length - 1, Math.max(0, to))
    this.#select(this.#shown[index])
  }

  /** Scrolls as far as needed: the text of a frame takes room from the list. */
  #reveal(index) {
    if (index < 0) return
    this.#follow = index === this.#shown.length - 1
    const top = index * ROW
    if (top < this.list.scrollTop) this.list.scrollTop = top
    if (top + ROW > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + ROW - this.list.clientHeight
  }

  #select(frame) {
    this.#selected = frame ?? null
    this.detail.hidden = !frame
    byId('frame-close').hidden = !frame
    if (frame) {
      this.list.setAttribute('aria-activedescendant', `frame-${frame.number}`)
      const text = frame.text === undefined ? hex(frame.bytes) : pretty(frame.text)
      byId('frame-text').textContent = text
      const title = `${frame.direction === 'in' ? 'Received' : 'Sent'} ${clock(frame.time)} · ${frame.event} · ${size(frame.size)}`
      say(byId('frame-title'), short(title, 200))
      byId('frame-copy').replaceChildren(copyButton(frame.text ?? text))
      this.#reveal(this.#shown.indexOf(frame))
    } else {
      this.list.removeAttribute('aria-activedescendant')
    }
    this.draw()
  }
}

function matches(frame, wanted) {
  return frame.topic.toLowerCase().includes(wanted) || frame.event.toLowerCase().includes(wanted) || (frame.text?.toLowerCase().includes(wanted) ?? false)
}

/** What stands in the row: the payload, or the beginning of what is long. */
function gist({ text, bytes, event }) {
  if (text === undefined) return `binary, kind ${bytes[0] ?? 'none'}`
  if (text.length > 20_000 || event === 'malformed') return short(text, 200)
  return short(JSON.parse(text)[4], 200)
}

/** The frame with its payload indented; as it is where it is no JSON, or very long. */
function pretty(text) {
  if (text.length > 500_000) return `${text.slice(0, 500_000)}\n… ${text.length - 500_000} more characters`
  try {
    const value = JSON.parse(text)
    if (!Array.isArray(value) || value.length !== 5) return JSON.stringify(value, null, 2)
    const [joinRef, ref, topic, event, payload] = value.map((part, n) => JSON.stringify(part, null, n === 4 ? 2 : 0))
    return `join_ref  ${joinRef}\nref       ${ref}\ntopic     ${topic}\nevent     ${event}\npayload   ${payload}`
  } catch {
    return text
  }
}
