// Messages by words, in all conversations or one, with what narrows it down; and the people who are called like that.
import type { Hit, Profile, SearchQuestion } from '@dovetail/chat'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useAttempt, useChat, useChatState } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar } from './Avatar.tsx'
import { Blank, Failed, Spinner } from './controls.tsx'
import { plainText } from './MessageText.tsx'
import { Side } from './Side.tsx'

interface Props { conversationId?: string; start?: string; onClose: () => void; onOpen: (conversation: string, message?: string) => void }

type Found = { state: 'idle' | 'loading' | 'failed' } | { state: 'ready'; hits: Hit[]; more: boolean; people: Profile[] }

const WAIT_MS = 200
const MOST_PEOPLE = 5
/** Pieces are cut out of the stored text, so that a mention may be cut as well. */
const readable = (text: string): string => plainText(text).replace(/^…[0-9a-f-]{1,36}\)/, '…').replace(/@\[([^\]]{1,200})\](\([0-9a-f-]{0,36})?…$/, '@$1…')
const day = (value: string, days = 0) => (value ? new Date(new Date(`${value}T00:00`).getTime() + days * 86_400_000).toISOString() : null)

export function SearchPanel({ conversationId, start = '', onClose, onOpen }: Props) {
  const chat = useChat()
  const { t, dates } = useLanguage()
  const people = useChatState(useCallback((s) => (conversationId ? s.people[conversationId] : undefined), [conversationId]))
  const me = useChatState((s) => s.me?.id)
  const [query, setQuery] = useState(start)
  const [here, setHere] = useState(Boolean(conversationId))
  const [from, setFrom] = useState('')
  const [has, setHas] = useState('')
  const [after, setAfter] = useState('')
  const [before, setBefore] = useState('')
  const [found, setFound] = useState<Found>({ state: 'idle' })
  const asked = useRef(0)
  const attempt = useAttempt()

  const search = useCallback(async () => {
    const mine = ++asked.current
    if (!/[\p{L}\p{N}]/u.test(query)) return setFound({ state: 'idle' })
    setFound((known) => (known.state === 'ready' ? known : { state: 'loading' }))
    const question: SearchQuestion = {
      query, conversation_id: here && conversationId ? conversationId : null, sender_id: from || null,
      has: (has || null) as SearchQuestion['has'], after: day(after), before: day(before),
    }
    try {
      // Who narrows it down looks for a message.
      const anybody = !question.conversation_id && !from && !has && !after && !before
      const [{ results, has_more }, people] = await Promise.all([chat.actions.search(question), anybody ? chat.list.findPeople(query.trim(), MOST_PEOPLE) : []])
      if (asked.current === mine) setFound({ state: 'ready', hits: results, more: has_more, people })
    } catch {
      if (asked.current === mine) setFound({ state: 'failed' })
    }
  }, [chat, query, here, conversationId, from, has, after, before])
  useEffect(() => {
    const timer = setTimeout(() => void search(), WAIT_MS)
    return () => clearTimeout(timer)
  }, [search])

  const write = async (person: Profile) => {
    const conversation = await attempt(chat.actions.startConversation(person.id))
    if (conversation) onOpen(conversation.id)
  }

  return (
    <Side title={t('searchMessages')} onClose={onClose}>
      <form className="dt-search-form" role="search" onSubmit={(event) => { event.preventDefault(); void search() }}>
        <input type="search" className="dt-input" value={query} placeholder={t('searchMessages')} aria-label={t('searchMessages')} maxLength={200} autoFocus onChange={(event) => setQuery(event.target.value)} />
        <div className="dt-filters">
          {conversationId && (
            <label>{t('searchIn')}
              <select value={here ? 'here' : 'all'} onChange={(event) => { setHere(event.target.value === 'here'); setFrom('') }}>
                <option value="here">{t('thisConversation')}</option><option value="all">{t('everywhere')}</option>
              </select>
            </label>
          )}
          {here && people && (
            <label>{t('from')}
              <select value={from} onChange={(event) => setFrom(event.target.value)}>
                <option value="">{t('anybody')}</option>
                {people.map((p) => <option key={p.user_id} value={p.user_id}>{p.user_id === me ? t('you') : (p.display_name ?? t('somebody'))}</option>)}
              </select>
            </label>
          )}
          <label>{t('has')}
            <select value={has} onChange={(event) => setHas(event.target.value)}>
              <option value="">{t('anything')}</option><option value="image">{t('hasImage')}</option><option value="video">{t('hasVideo')}</option><option value="file">{t('hasFile')}</option>
            </select>
          </label>
          <label>{t('after')}<input type="date" value={after} onChange={(event) => setAfter(event.target.value)} /></label>
          <label>{t('before')}<input type="date" value={before} onChange={(event) => setBefore(event.target.value)} /></label>
        </div>
      </form>
      <div className="dt-results" aria-live="polite">
        {found.state === 'idle' && <Blank icon="search" title={t('searchMessages')} hint={t('searchHint')} />}
        {found.state === 'loading' && <div className="dt-blank"><Spinner /></div>}
        {found.state === 'failed' && <Failed onRetry={() => void search()} />}
        {found.state === 'ready' && found.people.length > 0 && (
          <ul className="dt-people dt-hit-people" aria-label={t('people')}>
            {found.people.map((person) => (
              <li key={person.id}>
                <button type="button" className="dt-person-button" onClick={() => void write(person)}>
                  <Avatar id={person.id} name={person.display_name} url={person.avatar_url} size={36} />{person.display_name}
                </button>
              </li>
            ))}
          </ul>
        )}
        {found.state === 'ready' && (found.hits.length === 0
          ? found.people.length === 0 && <Blank icon="search" title={t('nothingFound')} />
          : (
            <>
              <p className="dt-results-count">{t('results', { count: found.hits.length })}{found.more && ` · ${t('moreResults')}`}</p>
              <ul>
                {found.hits.map((hit) => (
                  <li key={hit.id}>
                    <button type="button" className="dt-hit" onClick={() => onOpen(hit.conversation_id, hit.id)}>
                      <span className="dt-hit-head">
                        <strong>{hit.sender_id === me ? t('you') : hit.sender_name}</strong>
                        {!here && hit.conversation_name && <span> · {hit.conversation_name}</span>}
                        <time dateTime={hit.created_at}>{dates.divider(hit.created_at)}</time>
                      </span>
                      <span className="dt-hit-text">{hit.snippet.map((piece, i) => (piece.hit ? <mark key={i}>{readable(piece.text)}</mark> : <span key={i}>{readable(piece.text)}</span>))}</span>
                      {hit.attachments.length > 0 && <span className="dt-hit-files">{hit.attachments.map((a) => a.name).join(', ')}</span>}
                    </button>
                  </li>
                ))}
              </ul>
            </>
          ))}
      </div>
    </Side>
  )
}
