// The channels: one button each, and for the chosen one its state, notices, broadcasts, people and row changes.
import { byId, clock, explained, h, say, short } from './dom.mjs'
import { fromHex, hex } from './frames.mjs'

const TABS = { messages: 'messages', presence: 'people', changes: 'rows' }
/** Rows that are drawn. */
const DRAWN = 100

export class ChannelView {
  #chosen = null
  #tab = 'messages'
  #buttons = new Map()
  #drawn = {}

  constructor(client) {
    this.client = client
    for (const name of Object.keys(TABS)) byId(`tab-${name}`).addEventListener('click', () => this.#show(name))
    document.querySelector('.tabs').addEventListener('keydown', (event) => this.#arrows(event))
    byId('leave').addEventListener('click', () => client.leave(this.#chosen))
    byId('rejoin').addEventListener('click', () => client.rejoin(this.#chosen))
    byId('forget').addEventListener('click', () => client.forget(this.#chosen))
    byId('send-form').addEventListener('submit', (event) => { event.preventDefault(); this.#send() })
    byId('track-form').addEventListener('submit', (event) => { event.preventDefault(); this.#track() })
    byId('untrack').addEventListener('click', () => client.untrack(this.#chosen))
  }

  /** Shows a channel. */
  choose(channel) {
    this.#chosen = channel
    this.#drawn = {}
    if (channel.options.bindings.length > 0) this.#show('changes')
    this.draw()
  }

  #show(name) {
    this.#tab = name
    for (const [tab, panel] of Object.entries(TABS)) {
      const chosen = tab === name
      byId(`tab-${tab}`).setAttribute('aria-selected', String(chosen))
      byId(`tab-${tab}`).tabIndex = chosen ? 0 : -1
      byId(panel).hidden = !chosen
    }
    this.draw()
  }

  #arrows(event) {
    const names = Object.keys(TABS)
    const step = { ArrowRight: 1, ArrowLeft: names.length - 1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    this.#show(names[(names.indexOf(this.#tab) + step) % names.length])
    byId(`tab-${this.#tab}`).focus()
  }

  #send() {
    const problem = byId('payload-problem')
    say(problem, '')
    const text = byId('payload').value
    const form = byId('form').value
    try {
      const payload = form === 'hex' ? fromHex(text) : JSON.parse(text)
      if (payload === null && form === 'hex') throw new SyntaxError('Not hexadecimal. Write bytes as de ad be ef.')
      if (form === 'text' && (payload === null || typeof payload !== 'object' || Array.isArray(payload))) throw new SyntaxError('The payload must be a JSON object: { … }.')
      this.client.broadcast(this.#chosen, byId('event').value, payload, form !== 'text')
    } catch (error) {
      say(problem, error.message)
    }
  }

  #track() {
    const problem = byId('meta-problem')
    say(problem, '')
    try {
      this.client.track(this.#chosen, JSON.parse(byId('meta').value))
    } catch (error) {
      say(problem, error.message)
    }
  }

  draw() {
    const { channels } = this.client
    if (this.#chosen && channels.get(this.#chosen.topic) !== this.#chosen) this.#chosen = null
    this.#chosen ??= channels.values().next().value ?? null
    this.#list()
    const channel = this.#chosen
    byId('no-channels').hidden = channels.size > 0
    byId('channel').hidden = channel === null
    if (channel === null) return
    this.#head(channel)
    this.#notices(channel)
    say(byId('count-messages'), count(channel.counts.messages))
    say(byId('count-changes'), count(channel.counts.changes))
    say(byId('count-presence'), count(channel.presence.keys.size))
    if (this.#tab === 'messages') this.#messages(channel)
    else if (this.#tab === 'presence') this.#people(channel)
    else this.#changes(channel)
  }

  #list() {
    const { channels } = this.client
    for (const [channel, button] of this.#buttons) {
      if (channels.get(channel.topic) !== channel) { button.remove(); this.#buttons.delete(channel) }
    }
    for (const channel of channels.values()) {
      let button = this.#buttons.get(channel)
      if (!button) {
        button = h('button', { type: 'button', role: 'tab', 'aria-controls': 'channel', on: { click: () => this.choose(channel) } },
          h('i', { 'aria-hidden': 'true' }), h('span', {}, short(channel.name, 80)))
        this.#buttons.set(channel, button)
        byId('channel-tabs').append(button)
      }
      button.dataset.state = channel.state
      button.title = channel.state
      button.setAttribute('aria-selected', String(channel === this.#chosen))
    }
  }

  #head(channel) {
    const open = this.client.state === 'open'
    say(byId('channel-name'), channel.name)
    say(byId('channel-state'), channel.state)
    byId('channel-state').dataset.state = channel.state
    const { isPrivate, self, ack, presence, key, bindings, since } = channel.options
    const words = [isPrivate ? 'private' : 'public', self && 'self', ack && 'ack', presence && (key ? `presence as ${key}` : 'presence'), bindings.length > 0 && `${bindings.length} ${bindings.length === 1 ? 'table' : 'tables'}`, since !== undefined && 'replay']
    say(byId('channel-options'), words.filter(Boolean).join(', '))
    byId('leave').disabled = !open || channel.state !== 'joined'
    byId('rejoin').disabled = !open || channel.open
    byId('forget').disabled = channel.state === 'joining' && open
    for (const form of ['send-form', 'track-form']) {
      for (const button of byId(form).querySelectorAll('button')) button.disabled = !open || channel.state !== 'joined'
    }
  }

  #notices(channel) {
    const [newest, ...older] = channel.notices
    if (this.#drawn.notice === newest && this.#drawn.channel === channel) return
    Object.assign(this.#drawn, { notice: newest, channel })
    byId('notice').replaceChildren(...(newest ? [explained(newest.text, newest.explanation, newest.time)] : []))
    byId('older').hidden = older.length === 0
    say(byId('older-title'), `${older.length} earlier`)
    byId('older-list').replaceChildren(...older.map(({ text, explanation, time }) => explained(text, explanation, time)))
  }

  #messages(channel) {
    byId('no-messages').hidden = channel.messages.length > 0
    this.#table('message-rows', channel.counts.messages, channel.messages, ({ time, event, payload, bytes, meta }) => [
      h('td', { class: 'tight' }, clock(time)),
      h('td', { class: 'key' }, short(event ?? '', 120)),
      h('td', {}, bytes ? h('pre', {}, hex(bytes, 256)) : short(payload ?? null, 1000), meta ? h('div', { class: 'muted' }, short(meta)) : null),
    ])
  }

  #people(channel) {
    const { presence } = channel
    const rows = presence.rows()
    byId('no-people').hidden = rows.length > 0
    say(byId('no-people'), channel.options.presence ? 'Nobody is here.' : 'Presence was not asked for at the join: only who comes and goes from now on is seen.')
    const version = rows.map(({ key, ref }) => `${key} ${ref}`).join('\n')
    this.#table('people-rows', version, rows, ({ key, meta, ref }) => [
      h('td', { class: 'key' }, short(key, 200)), h('td', {}, short(meta, 1000)), h('td', { class: 'tight muted' }, short(ref ?? '', 40)),
    ])
  }

  #changes(channel) {
    byId('no-changes').hidden = channel.changes.length > 0
    say(byId('no-changes'), channel.options.bindings.length > 0 ? 'No row has changed yet.' : 'No table was asked for at the join. Add one under “Join a topic” and join again.')
    this.#table('change-rows', channel.counts.changes, channel.changes, (change) => [
      h('td', { class: 'tight' }, short(change.commit_timestamp ? clock(Date.parse(change.commit_timestamp)) : clock(change.time))),
      h('td', { class: `tight ${['INSERT', 'UPDATE', 'DELETE'].includes(change.type) ? change.type : ''}` }, short(change.type ?? '')),
      h('td', { class: 'name', title: short(`${change.schema}.${change.table}`) }, short(`${change.schema}.${change.table}`)),
      h('td', {}, this.#columns(change), change.errors ? h('div', { class: 'problem' }, short(change.errors)) : null),
    ])
  }

  /** The row, one column after the other; what an UPDATE changed is marked where the old value is known. */
  #columns({ type, record, old_record: old }) {
    const row = type === 'DELETE' ? old : record
    return Object.entries(row ?? {}).flatMap(([name, value], n) => {
      const text = `${name}: ${short(value ?? null, 200)}`
      const changed = type === 'UPDATE' && old && name in old && JSON.stringify(old[name]) !== JSON.stringify(value)
      return [n > 0 ? ', ' : '', changed ? h('mark', { title: `was ${short(old[name] ?? null, 200)}` }, text) : text]
    })
  }

  /** Draws a table anew when its version changed. */
  #table(id, version, rows, cells) {
    if (this.#drawn[id] === version) return
    this.#drawn[id] = version
    const drawn = rows.slice(0, DRAWN).map((row) => h('tr', {}, cells(row)))
    if (rows.length > DRAWN) drawn.push(h('tr', {}, h('td', { colSpan: 4, class: 'muted' }, `${rows.length - DRAWN} more are not shown`)))
    byId(id).replaceChildren(...drawn)
    byId(id).closest('.scroll').hidden = drawn.length === 0
  }
}

const count = (number) => (number > 0 ? number.toLocaleString('en') : '')
