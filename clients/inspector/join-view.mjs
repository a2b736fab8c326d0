// The form that joins a topic.
import { byId, h } from './dom.mjs'

export class JoinView {
  #bindings = []
  #number = 0

  /** `joined(channel)` is told of each join. */
  constructor(client, joined) {
    byId('add-binding').addEventListener('click', () => this.#add().event.focus())
    byId('join-form').addEventListener('submit', (event) => {
      event.preventDefault()
      const name = byId('topic').value.replace(/^realtime:/, '')
      joined(client.join(name, this.#options()))
    })
  }

  /** Fields for one entry of `postgres_changes`. */
  #add() {
    const id = ++this.#number
    const field = (name, label, control, wide) => {
      control.id = `binding-${id}-${name}`
      const cell = h('div', wide ? { class: 'wide' } : {}, h('label', { for: control.id }, label), control)
      return [cell, control]
    }
    const text = (placeholder, value = '') => h('input', { placeholder, value, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' })
    const options = ['*', 'INSERT', 'UPDATE', 'DELETE'].map((name) => h('option', {}, name))
    const [eventCell, event] = field('event', 'Event', h('select', {}, options))
    const [schemaCell, schema] = field('schema', 'Schema', text('public', 'public'))
    const [tableCell, table] = field('table', 'Table', text('* for all'))
    const [selectCell, select] = field('select', 'Columns', text('all, or id,title'))
    const [filterCell, filter] = field('filter', 'Filter', text('user_id=eq.7'), true)
    const remove = h('button', { type: 'button', class: 'small', 'aria-label': `Remove table ${id}` }, 'Remove')
    const box = h('div', { class: 'binding', role: 'group', 'aria-label': `Table ${id}` }, eventCell, schemaCell, tableCell, selectCell, filterCell, remove)
    const entry = { event, schema, table, filter, select }
    remove.addEventListener('click', () => {
      box.remove()
      this.#bindings = this.#bindings.filter((other) => other !== entry)
      byId('add-binding').focus()
    })
    this.#bindings.push(entry)
    byId('bindings').append(box)
    return entry
  }

  #options() {
    const since = Date.parse(byId('since').value)
    const limit = Number.parseInt(byId('limit').value, 10)
    return {
      isPrivate: byId('private').checked,
      self: byId('self').checked,
      ack: byId('ack').checked,
      presence: byId('presence').checked,
      key: byId('key').value,
      ...(!Number.isNaN(since) && { since, ...(!Number.isNaN(limit) && { limit }) }),
      bindings: this.#bindings.map((binding) => {
        const value = (name) => binding[name].value.trim()
        const columns = value('select').split(',').map((column) => column.trim()).filter((column) => column !== '')
        return {
          event: binding.event.value,
          ...(value('schema') && { schema: value('schema') }),
          ...(value('table') && { table: value('table') }),
          ...(value('filter') && { filter: value('filter') }),
          ...(columns.length > 0 && { select: columns }),
        }
      }),
    }
  }
}
