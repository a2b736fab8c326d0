// The whole page: list and conversation side by side, or one after the other on a phone.
import { sortedList } from '@dovetail/chat'
import { useCallback, useEffect, useState, type ReactNode } from 'react'
import { useChat, useChatState } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { ConversationList } from './ConversationList.tsx'
import { Blank, HintProvider } from './controls.tsx'
import { Help } from './Help.tsx'
import { SearchPanel } from './SearchPanel.tsx'
import { Switcher } from './Switcher.tsx'
import { Thread } from './Thread.tsx'

export interface MessagesProps {
  conversationId: string | null
  messageId?: string
  onOpen: (conversation: string | null, message?: string) => void
  tabs?: string[]
  menu?: ReactNode
}

export function Messages({ conversationId, messageId, onOpen, tabs, menu }: MessagesProps) {
  const chat = useChat()
  const { t } = useLanguage()
  const [dialog, setDialog] = useState<'switcher' | 'help' | null>(null)
  const [searching, setSearching] = useState<string | null>(null)
  const open = useCallback((id: string) => {
    setSearching(null)
    onOpen(id)
  }, [onOpen])
  const hasAny = useChatState((s) => s.list.ids.length > 0)

  useEffect(() => {
    chat.store.dispatch({ type: 'opened', conversation: conversationId })
  }, [chat, conversationId])

  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      const writing = (event.target as HTMLElement).closest?.('input, textarea, select, [contenteditable]')
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') setDialog('switcher')
      else if (event.key === '?' && !writing) setDialog('help')
      else if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
        const all = sortedList(chat.store.get())
        const down = event.key === 'ArrowDown'
        const at = all.findIndex((c) => c.id === conversationId)
        const after = down ? [...all.slice(at + 1), ...all.slice(0, Math.max(0, at))] : [...all.slice(0, Math.max(0, at)).reverse(), ...all.slice(at + 1).reverse()]
        // Unread ones first; without any, the neighbour.
        const next = after.find((c) => c.unread_count > 0) ?? after[0]
        if (next) onOpen(next.id)
      } else return
      event.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [chat, conversationId, onOpen])

  return (
    <HintProvider>
      <main className={`dt-page${conversationId || searching !== null ? ' dt-page-open' : ''}`}>
        <ConversationList current={conversationId} onOpen={open} tabs={tabs} menu={menu} onSearch={setSearching} />
        {searching !== null ? (
          <section className="dt-thread dt-thread-search">
            <SearchPanel key={searching} start={searching} onClose={() => setSearching(null)} onOpen={(c, m) => { setSearching(null); onOpen(c, m) }} />
          </section>
        ) : conversationId
          ? <Thread conversationId={conversationId} messageId={messageId} onBack={() => onOpen(null)} onOpen={(c, m) => onOpen(c, m)} />
          : <section className="dt-thread dt-thread-blank">{hasAny && <Blank icon="thread" title={t('pickConversation')} hint={t('pickConversationHint')} />}</section>}
        {dialog === 'switcher' && <Switcher onClose={() => setDialog(null)} onOpen={open} />}
        {dialog === 'help' && <Help onClose={() => setDialog(null)} />}
      </main>
    </HintProvider>
  )
}
