// Every emoji, by group or by word, in the reader's language. The list is loaded when it is opened for the first time.
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react'
import { useLanguage } from '../i18n/index.tsx'
import { Failed, Spinner } from './controls.tsx'

interface Emoji { unicode: string; label: string; group?: number; order?: number; tags?: string[] }
interface Known { emoji: Emoji[]; groups: { order: number; message: string }[] }

const COLUMNS = 8
const MOST = 80
/** Skin tones and parts of other emoji. */
const COMPONENTS = 2

type Loaded = [{ default: Emoji[] }, { default: Pick<Known, 'groups'> }]
const LANGUAGES: Record<string, () => Promise<Loaded>> = {
  en: () => Promise.all([import('emojibase-data/en/compact.json'), import('emojibase-data/en/messages.json')]),
  de: () => Promise.all([import('emojibase-data/de/compact.json'), import('emojibase-data/de/messages.json')]),
}

async function load(locale: string): Promise<Known> {
  const [emoji, { default: { groups } }] = await (LANGUAGES[locale.split('-')[0] ?? ''] ?? (LANGUAGES.en as () => Promise<Loaded>))()
  return {
    emoji: emoji.default.filter((e) => e.group !== undefined && e.group !== COMPONENTS).sort((a, b) => (a.order ?? 0) - (b.order ?? 0)),
    groups: groups.filter((g) => g.order !== COMPONENTS),
  }
}

const wordsOf = (text: string) => text.toLocaleLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean)
const fits = (emoji: Emoji, word: string) => wordsOf([emoji.label, ...(emoji.tags ?? [])].join(' ')).some((w) => w.startsWith(word))

export function EmojiPicker({ onChoose }: { onChoose: (emoji: string) => void }) {
  const { t, locale, direction } = useLanguage()
  const [known, setKnown] = useState<Known | 'failed' | null>(null)
  const [text, setText] = useState('')
  const [group, setGroup] = useState(0)
  const [at, setAt] = useState(0)
  const grid = useRef<HTMLDivElement>(null)

  const begin = useCallback(() => {
    setKnown(null)
    load(locale).then(setKnown, () => setKnown('failed'))
  }, [locale])
  useEffect(begin, [begin])

  const words = useMemo(() => wordsOf(text), [text])
  const searching = words.length > 0
  const shown = useMemo(() => {
    if (!known || known === 'failed') return []
    if (!searching) return known.emoji.filter((e) => e.group === group)
    return known.emoji.filter((e) => words.every((word) => fits(e, word))).slice(0, MOST)
  }, [known, words, searching, group])

  if (known === 'failed') return <Failed onRetry={begin} />
  if (!known) return <div className="dt-blank"><Spinner /></div>

  const focus = (index: number) => {
    setAt(index)
    grid.current?.querySelectorAll<HTMLElement>('button')[index]?.focus()
  }
  const onKey = (event: KeyboardEvent) => {
    const along = direction === 'rtl' ? -1 : 1
    const step = { ArrowRight: along, ArrowLeft: -along, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key]
    const goal = step !== undefined ? at + step : { Home: 0, End: shown.length - 1 }[event.key]
    if (goal === undefined) return
    event.preventDefault()
    if (shown[goal]) focus(goal)
  }
  const names = Object.fromEntries(known.groups.map((g) => [g.order, g.message]))
  return (
    <div className="dt-emoji">
      <input type="search" className="dt-input" autoFocus value={text} placeholder={t('searchEmoji')} aria-label={t('searchEmoji')} maxLength={50}
        onChange={(event) => { setText(event.target.value); setAt(0) }}
        onKeyDown={(event) => {
          const first = shown[0]
          if (event.key === 'ArrowDown') focus(0)
          else if (event.key === 'Enter' && searching && first) onChoose(first.unicode)
          else return
          event.preventDefault()
        }} />
      {!searching && (
        <div className="dt-emoji-groups" role="group" aria-label={t('emoji')}>
          {known.groups.map(({ order, message }) => (
            <button type="button" key={order} aria-pressed={order === group} aria-label={message} title={message} onClick={() => { setGroup(order); setAt(0) }}>
              <span aria-hidden="true">{known.emoji.find((e) => e.group === order)?.unicode}</span>
            </button>
          ))}
        </div>
      )}
      <div className="dt-emoji-grid" role="group" aria-label={searching ? t('searchEmoji') : names[group]} ref={grid} onKeyDown={onKey}>
        {shown.map((e, i) => (
          <button type="button" key={e.unicode} aria-label={e.label} title={e.label} tabIndex={i === at ? 0 : -1} onClick={() => onChoose(e.unicode)}>
            <span aria-hidden="true">{e.unicode}</span>
          </button>
        ))}
      </div>
      {shown.length === 0 && <p className="dt-system" role="status">{t('nothingFound')}</p>}
    </div>
  )
}
