// <dovetail-chat>: attributes and methods outside, everything else in a shadow root.
import { h, render } from 'preact'
import { Chat } from './chat.ts'
import { settingsOf, type Settings } from './settings.ts'
import { sheets } from './sheets.ts'
import type { Told } from './told.ts'
import type { GiveToken } from './tokens.ts'
import { Root } from './views/Root.tsx'
import type { About } from './visitor.ts'

export type Theme = 'auto' | 'light' | 'dark'
/** Who the page says this is. With the token of a user who has signed in, the chat goes on as them. */
export interface User extends About { token?: string | GiveToken | null }
type Listener<K extends keyof Told> = (detail: Told[K]) => void

/** Changes of these begin anew; of the others they only draw anew. */
const IDENTITY = ['subject-id', 'share-token', 'url', 'anon-key']

/** Where the script came from: the server, unless the element says otherwise. */
let origin = ''
export function setOrigin(address: string): void {
  origin = address
}

export class DovetailChatElement extends HTMLElement {
  static readonly observedAttributes = [...IDENTITY, 'locale', 'theme', 'position', 'dir', 'greeting', 'hours', 'time-zone', 'away', 'ask', 'colour', 'texts']

  private chat: Chat | null = null
  private layer: HTMLDivElement | null = null
  private readonly listeners = new Map<keyof Told, Set<Listener<never>>>()
  private settings: Settings | null = null
  private beginning = false
  private about: About = {}
  private token: GiveToken | null = null
  private signing = Promise.resolve(false)

  connectedCallback(): void {
    this.beginSoon()
  }

  disconnectedCallback(): void {
    this.unload()
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (!this.isConnected || before === now) return
    if (IDENTITY.includes(name)) this.beginSoon()
    else {
      this.settings = null
      this.draw()
    }
  }

  /** Several attributes are often set one after the other. */
  private beginSoon(): void {
    if (this.beginning) return
    this.beginning = true
    queueMicrotask(() => {
      this.beginning = false
      this.unload()
      if (this.isConnected) this.load()
    })
  }

  private load(): void {
    const subject = this.getAttribute('subject-id') ?? ''
    const url = (this.getAttribute('url') || origin || location.origin).replace(/\/+$/, '')
    if (!subject) return
    this.chat = new Chat({
      url, subject, shareToken: this.getAttribute('share-token') ?? '', anonKey: this.getAttribute('anon-key'),
      tell: (event, detail) => this.tell(event, detail),
      changed: () => this.draw(),
      hasFocus: () => Boolean(this.shadowRoot?.activeElement),
    })
    this.chat.visitor.say(this.about)
    void this.chat.start()
    this.signing = this.token ? this.chat.signIn(this.token) : Promise.resolve(false)
  }

  private unload(): void {
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
    this.settings ??= settingsOf(this, (name) => this.tell('error', { status: 0, code: 'attribute', message: `the attribute ${name} cannot be understood` }))
    const { language, colours } = this.settings
    layer.dataset.theme = this.theme
    layer.dataset.position = this.getAttribute('position') === 'left' ? 'left' : 'right'
    layer.lang = language.locale
    layer.dir = this.getAttribute('dir') || (document.documentElement.dir || document.body.dir) || 'ltr'
    // Not left out: the page may have variables of these names, which would come through.
    layer.style.setProperty('--colour', colours?.colour ?? 'initial')
    layer.style.setProperty('--colour-text', colours?.text ?? 'initial')
    render(h(Root, { chat, settings: this.settings, version: chat.store.view }), layer)
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

  /** Who the page says this is: goes with the next message. It proves nothing. */
  identify(about: About): void {
    const { name, email } = about
    this.about = { ...this.about, ...(name ? { name } : {}), ...(email ? { email } : {}) }
    this.chat?.visitor.say(about)
    if (this.chat) this.draw()
  }

  /** The same, and with a token the chat goes on as that user; null is nobody again. Gives whether it does. */
  async setUser(user: User | null): Promise<boolean> {
    if (user) this.identify(user)
    const token = user?.token ?? null
    this.token = typeof token === 'string' ? () => token : token
    if (this.chat) this.signing = this.chat.signIn(this.token)
    // Just put into the page: it is about to begin, and with the token.
    else await Promise.resolve()
    return this.signing
  }

  /** The guest goes: this device forgets what was written. */
  async end(): Promise<void> {
    await this.chat?.end()
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
