// <dovetail-chat>: attributes and methods outside, everything else in a shadow root.
import { h, render } from 'preact'
import { Chat } from './chat.ts'
import { sheets } from './sheets.ts'
import type { Told } from './told.ts'
import { language, type Language } from './texts.ts'
import { Root } from './views/Root.tsx'

export type Theme = 'auto' | 'light' | 'dark'
export interface Visitor { name?: string; email?: string }
type Listener<K extends keyof Told> = (detail: Told[K]) => void

/** Changes of these begin anew; of the others they only draw anew. */
const IDENTITY = ['subject-id', 'share-token', 'url', 'anon-key']

/** Where the script came from: the server, unless the element says otherwise. */
let origin = ''
export function setOrigin(address: string): void {
  origin = address
}

export class DovetailChatElement extends HTMLElement {
  static readonly observedAttributes = [...IDENTITY, 'locale', 'theme', 'position', 'greeting', 'dir']

  private chat: Chat | null = null
  private layer: HTMLDivElement | null = null
  private readonly listeners = new Map<keyof Told, Set<Listener<never>>>()
  private words: Language | null = null
  private beginning = false
  private visitor: Visitor | null = null

  connectedCallback(): void {
    this.beginSoon()
  }

  disconnectedCallback(): void {
    this.end()
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (!this.isConnected || before === now) return
    if (IDENTITY.includes(name)) this.beginSoon()
    else {
      this.words = null
      this.draw()
    }
  }

  /** Several attributes are often set one after the other. */
  private beginSoon(): void {
    if (this.beginning) return
    this.beginning = true
    queueMicrotask(() => {
      this.beginning = false
      this.end()
      if (this.isConnected) this.begin()
    })
  }

  private begin(): void {
    const subject = this.getAttribute('subject-id') ?? ''
    const url = (this.getAttribute('url') || origin || location.origin).replace(/\/+$/, '')
    if (!subject) return
    this.chat = new Chat({
      url, subject, shareToken: this.getAttribute('share-token') ?? '', anonKey: this.getAttribute('anon-key'),
      tell: (event, detail) => this.tell(event, detail),
      changed: () => this.draw(),
      hasFocus: () => Boolean(this.shadowRoot?.activeElement),
    })
    if (this.visitor) this.chat.identify({ ...this.visitor })
    void this.chat.start()
  }

  private end(): void {
    this.chat?.stop()
    this.chat = null
    if (this.layer) render(null, this.layer)
    this.layer?.remove()
    this.layer = null
  }

  /** Made when there is something to show: without a session the page has an empty element without size, and no more. */
  private place(): HTMLDivElement {
    if (this.layer) return this.layer
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' })
    sheets(root)
    const layer = document.createElement('div')
    layer.className = 'layer'
    root.append(layer)
    // Shortcuts of the page must not go off while somebody writes here.
    for (const event of ['keydown', 'keyup', 'keypress'] as const) layer.addEventListener(event, (e) => e.stopPropagation())
    if (typeof layer.showPopover === 'function') {
      // Above everything, whatever z-index, transform or overflow the page has.
      layer.popover = 'manual'
      layer.showPopover()
    }
    this.layer = layer
    return layer
  }

  private draw(): void {
    const { chat } = this
    if (!chat || chat.store.view.phase === 'absent') return
    const layer = this.place()
    this.words ??= language(this.getAttribute('locale') || document.documentElement.lang || navigator.language)
    layer.dataset.theme = this.theme
    layer.dataset.position = this.getAttribute('position') === 'left' ? 'left' : 'right'
    layer.lang = this.words.locale
    layer.dir = this.getAttribute('dir') || (document.documentElement.dir || document.body.dir) || 'ltr'
    render(h(Root, { chat, language: this.words, greeting: this.getAttribute('greeting') ?? '', version: chat.store.view }), layer)
  }

  private tell<K extends keyof Told>(event: K, detail: Told[K]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])] as Listener<K>[]) {
      try {
        listener(detail)
      } catch (error) {
        // The page's own mistake is the page's to hear of, and not ours to stop for.
        setTimeout(() => { throw error })
      }
    }
  }

  get theme(): Theme {
    const theme = this.getAttribute('theme')
    return theme === 'light' || theme === 'dark' ? theme : 'auto'
  }

  get unread(): number {
    return this.chat?.store.view.unread ?? 0
  }

  get isOpen(): boolean {
    return this.chat?.store.view.open ?? false
  }

  open(): void {
    this.chat?.setOpen(true)
  }

  close(): void {
    this.chat?.setOpen(false)
  }

  toggle(): void {
    this.chat?.setOpen(!this.isOpen)
  }

  /** Who the page says this is; the advisor sees it with the next message. It proves nothing. */
  identify({ name, email }: Visitor): void {
    this.visitor = { ...(name ? { name: String(name).slice(0, 200) } : {}), ...(email ? { email: String(email).slice(0, 200) } : {}) }
    this.chat?.identify({ ...this.visitor })
  }

  setTheme(theme: Theme): void {
    this.setAttribute('theme', theme)
  }

  setLocale(locale: string): void {
    this.setAttribute('locale', locale)
  }

  /** Gives the function that ends it. Who asks for `ready` late is told at once. */
  on<K extends keyof Told>(event: K, listener: Listener<K>): () => void {
    const known = this.listeners.get(event) ?? new Set()
    known.add(listener as Listener<never>)
    this.listeners.set(event, known)
    if (event === 'ready' && this.chat && this.chat.store.view.phase !== 'absent') (listener as Listener<'ready'>)({ conversationId: this.chat.conversation })
    return () => known.delete(listener as Listener<never>)
  }
}

export function define(): void {
  if (!customElements.get('dovetail-chat')) customElements.define('dovetail-chat', DovetailChatElement)
}
