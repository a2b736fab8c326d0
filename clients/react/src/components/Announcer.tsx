// Reads out what arrives in the open conversation; several at once as one, so that nobody is talked over.
import { useEffect, useRef, useState } from 'react'
import { useChat } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { plainText } from './MessageText.tsx'

const EVERY_MS = 1500

export function Announcer({ conversationId }: { conversationId: string }) {
  const chat = useChat()
  const { t } = useLanguage()
  const [text, setText] = useState('')
  const told = useRef<string | null>(null)
  useEffect(() => {
    told.current = null
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = () => {
      timer = undefined
      const { timelines, messages, me } = chat.store.get()
      const timeline = timelines[conversationId]
      if (!timeline || timeline.status !== 'ready') return
      const last = timeline.ids[timeline.ids.length - 1] ?? ''
      const from = told.current === null ? timeline.ids.length : timeline.ids.indexOf(told.current) + 1
      const fresh = timeline.ids.slice(from).map((id) => messages[id]).filter((m) => m !== undefined && m.sender_id !== me?.id)
      told.current = last
      if (fresh.length === 0 || fresh.length > 20) return
      const latest = fresh[fresh.length - 1]
      if (!latest) return
      setText(fresh.length === 1
        ? t('incoming', { name: latest.sender_name ?? '', text: plainText(latest.content).slice(0, 200) || latest.attachments.map((a) => a.name).join(', ') })
        : t('newMessages', { count: fresh.length }))
    }
    look()
    const stop = chat.store.subscribe(() => {
      // What is there first is not news.
      if (told.current === null) look()
      else timer ??= setTimeout(look, EVERY_MS)
    })
    return () => { stop(); clearTimeout(timer) }
  }, [chat, conversationId, t])
  return <div className="dt-hidden" aria-live="polite" data-testid="announcer">{text}</div>
}
