// Elements from data. Whatever comes from the network becomes text, never markup: nothing here or elsewhere sets HTML,
// and the page's policy (Trusted Types) would not let it.

/** An element: properties, then children (text, elements, or nothing). */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue
    if (name === 'class') element.className = value
    else if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener)
    else if (name in element && typeof value !== 'string') element[name] = value
    else element.setAttribute(name, value)
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

export const byId = (id) => document.getElementById(id)

/** Sets text only where it differs, so that selections and screen readers are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

const two = (number) => String(number).padStart(2, '0')

/** `14:03:59.123` in local time. */
export function clock(time) {
  const date = new Date(time)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** `512 B`, `1.2 kB`. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** A button that copies text and says so. */
export function copyButton(text, label = 'Copy') {
  const button = h('button', { type: 'button', class: 'small' }, label)
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(typeof text === 'function' ? text() : text)
      button.textContent = 'Copied'
    } catch {
      button.textContent = 'Select and copy'
    }
    setTimeout(() => { button.textContent = label }, 1500)
  })
  return button
}

/** One line of JSON, cut at `most` characters. */
export function short(value, most = 300) {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.length > most ? `${text.slice(0, most)}…` : text
}

/** Runs `draw` with the next frame, once however often it is asked for. */
export function eachFrame(draw) {
  let asked = false
  return () => {
    if (asked) return
    asked = true
    requestAnimationFrame(() => {
      asked = false
      draw()
    })
  }
}

/** Runs `draw` with the next frame, but not more often than every `pause` milliseconds. */
export function nowAndThen(draw, pause) {
  let asked = false
  let last = -Infinity
  return () => {
    if (asked) return
    asked = true
    setTimeout(() => requestAnimationFrame(() => {
      asked = false
      last = performance.now()
      draw()
    }), Math.max(0, last + pause - performance.now()))
  }
}

/** The box that explains a refusal. */
export function explained(text, { title, means, todo, snippets, good }, time) {
  return h('div', { class: good ? 'note good' : 'note bad' },
    h('p', { class: 'note-title' }, h('strong', {}, title), time ? h('time', {}, clock(time)) : null),
    h('p', { class: 'said' }, h('code', {}, text)),
    h('p', {}, means),
    todo.length > 0 ? h('ul', {}, todo.map((line) => h('li', {}, line))) : null,
    snippets.map((snippet) => h('div', { class: 'snippet' },
      h('div', { class: 'snippet-head' }, h('span', {}, snippet.label), copyButton(snippet.text)),
      h('pre', { tabindex: '0' }, snippet.text))))
}
