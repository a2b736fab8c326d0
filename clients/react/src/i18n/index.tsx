// Texts, numbers and dates in the reader's language.
import { createContext, useContext, useMemo, type ReactNode } from 'react'
import { de } from './de.ts'
import { en, type Key, type Text, type Texts } from './en.ts'
import { createDates, type Dates } from './dates.ts'

const LANGUAGES: Record<string, Texts> = { en, de }
const RIGHT_TO_LEFT = /^(ar|dv|fa|he|ku|ps|sd|ug|ur|yi)\b/

export interface Language {
  locale: string
  direction: 'ltr' | 'rtl'
  t: (key: Key, values?: Record<string, string | number>) => string
  list: (names: string[]) => string
  bytes: (size: number) => string
  percent: (share: number) => string
  dates: Dates
}

export function createLanguage(locale: string, more: Partial<Texts> = {}): Language {
  const texts = { ...(LANGUAGES[locale.split('-')[0] ?? 'en'] ?? en), ...more }
  const plural = new Intl.PluralRules(locale)
  const number = new Intl.NumberFormat(locale)
  const names = new Intl.ListFormat(locale, { type: 'conjunction' })
  const percent = new Intl.NumberFormat(locale, { style: 'percent' })
  const form = (text: Text, values: Record<string, string | number>): string => {
    if (typeof text === 'string') return text
    const rule = plural.select(Number(values.count ?? 0))
    return (rule === 'one' ? text.one : undefined) ?? text.other
  }
  return {
    locale,
    direction: RIGHT_TO_LEFT.test(locale) ? 'rtl' : 'ltr',
    t: (key, values = {}) => form(texts[key], values).replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name]
      return typeof value === 'number' ? number.format(value) : (value ?? '')
    }),
    list: (list) => names.format(list),
    bytes: (size) => {
      const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte']
      const step = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), units.length - 1)
      return new Intl.NumberFormat(locale, { style: 'unit', unit: units[step], unitDisplay: 'short', maximumFractionDigits: step > 1 ? 1 : 0 }).format(size / 1000 ** step)
    },
    percent: (share) => percent.format(share),
    dates: createDates(locale),
  }
}

const Context = createContext<Language>(createLanguage('en'))

export function LanguageProvider({ locale, texts, children }: { locale: string; texts?: Partial<Texts>; children: ReactNode }) {
  const language = useMemo(() => createLanguage(locale, texts), [locale, texts])
  return <Context value={language}>{children}</Context>
}

export const useLanguage = (): Language => useContext(Context)
export type { Key, Texts }
