// What all components stand in: the chat, the language, the theme, and a place for what floats above the page.
import { Chat, type State } from '@dovetail/chat'
import { createContext, useCallback, useContext, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from 'react'
import { LanguageProvider, useLanguage, type Texts } from './i18n/index.tsx'
import { Toasts, useToasts, type Notify } from './components/Toasts.tsx'

export type Theme = 'light' | 'dark' | 'auto'

export interface Routes {
  /** The address of a conversation, or of one message in it, for links that people copy. */
  conversation: (id: string, message?: string) => string
  invite?: (token: string) => string
}

interface Surroundings {
  chat: Chat
  routes: Routes
  portal: HTMLElement | null
  notify: Notify
}

const Context = createContext<Surroundings | null>(null)

export interface ChatProviderProps {
  chat: Chat
  locale?: string
  /** Other words than ours. */
  texts?: Partial<Texts>
  theme?: Theme
  routes?: Routes
  children: ReactNode
}

const HASH_ROUTES: Routes = {
  conversation: (id, message) => `#/c/${id}${message ? `/${message}` : ''}`,
  invite: (token) => `#/invite/${token}`,
}

export function ChatProvider({ chat, locale = navigator.language, texts, theme = 'auto', routes = HASH_ROUTES, children }: ChatProviderProps) {
  return (
    <LanguageProvider locale={locale} texts={texts}>
      <Root chat={chat} theme={theme} routes={routes}>{children}</Root>
    </LanguageProvider>
  )
}

function Root({ chat, theme, routes, children }: { chat: Chat; theme: Theme; routes: Routes; children: ReactNode }) {
  const { direction, locale } = useLanguage()
  const [portal, setPortal] = useState<HTMLElement | null>(null)
  const [toasts, notify] = useToasts()
  const value = useMemo(() => ({ chat, routes, portal, notify }), [chat, routes, portal, notify])
  return (
    <div className="dt-chat" data-theme={theme} dir={direction} lang={locale}>
      <Context value={value}>
        {children}
        <Toasts toasts={toasts} />
      </Context>
      <div className="dt-portal" ref={setPortal} />
    </div>
  )
}

export function useSurroundings(): Surroundings {
  const found = useContext(Context)
  if (!found) throw new Error('Put this into a <ChatProvider>')
  return found
}

export const useChat = (): Chat => useSurroundings().chat

/** A part of the state; the component is drawn again when it changes. Lists and records are compared one level deep. */
export function useChatState<T>(select: (state: State) => T): T {
  const { store } = useChat()
  const last = useRef<{ state: State; select: (state: State) => T; value: T } | null>(null)
  const read = useCallback(() => {
    const state = store.get()
    const known = last.current
    if (known && known.state === state && known.select === select) return known.value
    const value = select(state)
    const kept = known && same(known.value, value) ? known.value : value
    last.current = { state, select, value: kept }
    return kept
  }, [store, select])
  return useSyncExternalStore(store.subscribe, read)
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.is((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}

/** Runs something that may fail, and says so. */
export function useAttempt(): <T>(work: Promise<T>) => Promise<T | undefined> {
  const { notify } = useSurroundings()
  const { t } = useLanguage()
  return useCallback(async (work) => {
    try {
      return await work
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      notify(t('failed', { reason: reason === 'no connection' ? t('noConnection') : reason }), 'error')
      return undefined
    }
  }, [notify, t])
}
