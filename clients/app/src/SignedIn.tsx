// The pages of somebody who is signed in, over one chat.
import type { SupabaseClient } from '@supabase/supabase-js'
import { Chat } from '@dovetail/chat'
import { ChatProvider, IconButton, Spinner, useAttempt, useChat, Messages } from '@dovetail/chat-react'
import { useCallback, useEffect, useState } from 'react'
import { useBadges } from './badges.ts'
import { localeOf, type Choices } from './choices.ts'
import { ClientPage } from './ClientPage.tsx'
import type { Config } from './config.ts'
import { Preferences } from './Preferences.tsx'
import { go, useRoute } from './route.ts'
import { useSound } from './sound.ts'
import { textsFor, type AppTexts } from './texts.ts'

interface Props { supabase: SupabaseClient; user: string; config: Config; choices: Choices; onChoose: (change: Partial<Choices>) => void }

export function SignedIn({ supabase, user, config, choices, onChoose }: Props) {
  const [chat, setChat] = useState<Chat | null>(null)
  useEffect(() => {
    let gone = false
    let started: Chat | null = null
    void Chat.start(supabase, user, { bucket: config.bucket, vapidPublicKey: config.vapidPublicKey }).then((made) => {
      started = made
      if (gone) made.stop()
      else setChat(made)
    })
    return () => { gone = true; started?.stop() }
  }, [supabase, user, config])
  const locale = localeOf(choices)
  if (!chat) return <div className="app-loading"><Spinner /></div>
  const signOut = () => {
    void chat.leave().finally(async () => {
      await supabase.auth.signOut({ scope: 'local' })
      // Where one was is nothing for who comes next.
      go('#/')
    })
  }
  return (
    <ChatProvider chat={chat} locale={locale} theme={choices.theme}>
      <Pages t={textsFor(locale)} supabase={supabase} choices={choices} onChoose={onChoose} onSignOut={signOut} />
    </ChatProvider>
  )
}

interface PagesProps { t: AppTexts; supabase: SupabaseClient; choices: Choices; onChoose: (change: Partial<Choices>) => void; onSignOut: () => void }

function Pages({ t, supabase, choices, onChoose, onSignOut }: PagesProps) {
  const route = useRoute()
  const chat = useChat()
  const attempt = useAttempt()
  useBadges()
  useSound()
  const open = useCallback((conversation: string | null, message?: string) => go(conversation ? `#/c/${conversation}${message ? `/${message}` : ''}` : '#/'), [])
  const token = route.page === 'invite' ? route.token : null
  useEffect(() => {
    if (!token) return
    void attempt(chat.actions.acceptInvite(token)).then((joined) => {
      void chat.list.reload()
      go(joined ? `#/c/${joined.id}` : '#/')
    })
  }, [chat, attempt, token])
  // A push message that was clicked while this is open.
  useEffect(() => {
    const onMessage = ({ data }: MessageEvent<{ type?: string; hash?: string }>) => { if (data.type === 'open' && data.hash) go(data.hash) }
    navigator.serviceWorker?.addEventListener('message', onMessage)
    return () => navigator.serviceWorker?.removeEventListener('message', onMessage)
  }, [])
  if (route.page === 'client') return <ClientPage key={route.id} id={route.id} t={t} />
  if (route.page === 'preferences') return <Preferences t={t} supabase={supabase} choices={choices} onChoose={onChoose} onSignOut={onSignOut} />
  return (
    <Messages conversationId={route.page === 'messages' ? route.conversation : null} messageId={route.page === 'messages' ? route.message : undefined} onOpen={open}
      menu={<IconButton icon="settings" label={t.preferences} onClick={() => go('#/preferences')} />} />
  )
}
