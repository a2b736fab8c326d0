// What somebody chose for this browser: language and theme.
import type { Theme } from '@dovetail/chat-react'
import { useCallback, useState } from 'react'

export interface Choices { locale: string; theme: Theme }

const KEPT = 'dovetail-choices'

function load(): Choices {
  try {
    return { locale: '', theme: 'auto', ...(JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Partial<Choices>) }
  } catch {
    return { locale: '', theme: 'auto' }
  }
}

export const localeOf = (choices: Choices): string => choices.locale || navigator.language || 'en'

export function useChoices(): [Choices, (change: Partial<Choices>) => void] {
  const [choices, setChoices] = useState(load)
  const change = useCallback((wish: Partial<Choices>) => setChoices((known) => {
    const next = { ...known, ...wish }
    localStorage.setItem(KEPT, JSON.stringify(next))
    return next
  }), [])
  return [choices, change]
}
