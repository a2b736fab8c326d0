// Puts the page together: one client, and the views of it.
import { ChannelView } from './channel-view.mjs'
import { Client } from './client.mjs'
import { ConnectView } from './connect-view.mjs'
import { byId, h, nowAndThen } from './dom.mjs'
import { FrameList } from './frame-list.mjs'
import { JoinView } from './join-view.mjs'
import { REASONS } from './reasons.mjs'
import { ServerView } from './server-view.mjs'

const client = new Client()
const connectView = new ConnectView(client)
const channelView = new ChannelView(client)
const frameList = new FrameList()
new JoinView(client, (channel) => {
  channelView.choose(channel)
  show('channels')
})

const serverView = new ServerView(() => connectView.role, (topic, isPrivate) => {
  byId('topic').value = topic
  byId('private').checked = isPrivate
  byId('topic').focus()
})

// Tables of a busy channel are made anew: five times a second is as fast as anybody reads.
const draw = nowAndThen(() => {
  connectView.draw()
  serverView.draw()
  channelView.draw()
}, 200)
client.addEventListener('change', draw)
byId('token').addEventListener('input', draw)
client.addEventListener('frame', ({ detail }) => frameList.add(detail))
setInterval(() => { frameList.tick(); draw() }, 1000)
draw()

/** On narrow screens one section is seen at a time. */
function show(view) {
  document.body.dataset.view = view
  for (const button of byId('views').children) {
    if (button.dataset.view === view) button.setAttribute('aria-current', 'true')
    else button.removeAttribute('aria-current')
  }
}
byId('views').addEventListener('click', ({ target }) => { if (target.dataset.view) show(target.dataset.view) })

const KINDS = {
  connect: 'The connection is refused', close: 'The connection is closed', join: 'A join is refused', system: 'system messages',
  reply: 'A message is refused', channel: 'A channel ends',
}

/** The list of everything that can be said, made when it is first opened. */
function reasons() {
  const wanted = byId('reasons-filter').value.trim().toLowerCase()
  const parts = Object.entries(KINDS).flatMap(([kind, title]) => {
    const found = REASONS[kind].map(article).filter((element) => element.textContent.toLowerCase().includes(wanted))
    return found.length > 0 ? [h('h3', {}, title), ...found] : []
  })
  byId('reasons-list').replaceChildren(...(parts.length > 0 ? parts : [h('p', { class: 'empty' }, 'Nothing found.')]))
}

function article({ status, code, match, title, means, todo }) {
  const number = status ?? code
  const pattern = match ? beginning(match.source) : ''
  const said = [number === undefined || number === 0 ? '' : String(number), pattern].filter(Boolean).join(' ')
  return h('article', {}, h('strong', {}, title), said ? h('p', {}, h('code', {}, said)) : null, h('p', {}, means), todo.map((line) => h('p', { class: 'muted' }, `→ ${line}`)))
}

/** What the message begins with, from a pattern that says so. */
function beginning(source) {
  if (!source.startsWith('^')) return ''
  return source.slice(1).replace(/\(([^|()]*)\|[^)]*\)/g, '$1').replace(/\|\^/g, ' · ').replace(/\\|\$/g, '')
}

byId('reasons-open').addEventListener('click', () => {
  reasons()
  byId('reasons').showModal()
})
byId('reasons-close').addEventListener('click', () => byId('reasons').close())
byId('reasons-filter').addEventListener('input', reasons)
