// What every view may need.
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Chat } from '../chat.ts'
import type { Settings } from '../settings.ts'
import type { Language } from '../texts.ts'

export interface Shared { chat: Chat; settings: Settings; language: Language }

export const SharedContext = createContext<Shared | null>(null)

export function useShared(): Shared {
  const shared = useContext(SharedContext)
  if (!shared) throw new Error('a view outside of the widget')
  return shared
}
