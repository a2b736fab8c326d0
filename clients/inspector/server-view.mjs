// The topics of the server, for tokens of service_role: GET /api/channels.
import { byId, h, short } from './dom.mjs'
import { clean } from './token.mjs'

export class ServerView {
  #next = null

  /** `role()` is the role of the token in the field; `chosen(topic, isPrivate)` takes a topic to the form. */
  constructor(role, chosen) {
    this.role = role
    this.chosen = chosen
    byId('server-load').addEventListener('click', () => this.#load(null))
    byId('server-more').addEventListener('click', () => this.#load(this.#next))
  }

  draw() { byId('server-section').hidden = this.role() !== 'service_role' }

  async #load(after) {
    const list = byId('server-topics')
    if (after === null) list.replaceChildren()
    try {
      const { channels, next } = await fetchPage(after)
      this.#next = next
      byId('server-more').hidden = next === null
      list.append(...channels.map((channel) => this.#row(channel)))
      if (channels.length === 0 && after === null) list.replaceChildren(h('p', { class: 'empty' }, 'Nobody is anywhere.'))
    } catch (error) {
      list.replaceChildren(h('p', { class: 'problem' }, error.message))
      byId('server-more').hidden = true
    }
  }

  #row({ topic, private: isPrivate, subscribers }) {
    const button = h('button', { type: 'button', class: 'small', title: 'Take it to the form above' }, short(topic, 80))
    button.addEventListener('click', () => this.chosen(topic, isPrivate))
    const words = `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}${isPrivate ? ', private' : ''}`
    return h('p', { class: 'server-topic' }, button, h('span', { class: 'muted' }, words))
  }
}

async function fetchPage(after) {
  const base = byId('path').value.startsWith('/realtime/v1') ? '/realtime/v1/api' : '/api'
  const url = new URL(`${byId('server').value.replace(/\/+$/, '')}${base}/channels`)
  if (after !== null) url.searchParams.set('after', after)
  let answer
  try {
    answer = await fetch(url, {
      headers: { authorization: `Bearer ${clean(byId('token').value)}` }, cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer',
    })
  } catch {
    throw new Error('No answer. Of another origin the list cannot be read: open the inspector of that server itself.')
  }
  const body = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Error(`HTTP ${answer.status}: ${short(body.message ?? '')}`)
  return body
}
