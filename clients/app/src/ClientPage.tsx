// The page of one person, as another product would have it: its "Message" button opens the conversation beside it.
import type { Profile } from '@dovetail/chat'
import { Avatar, Blank, HintProvider, IconButton, Sheet, Spinner, Thread, useAttempt, useChat } from '@dovetail/chat-react'
import { useEffect, useState } from 'react'
import { go } from './route.ts'
import type { AppTexts } from './texts.ts'

export function ClientPage({ id, t }: { id: string; t: AppTexts }) {
  const chat = useChat()
  const attempt = useAttempt()
  const [profile, setProfile] = useState<Profile | null | undefined>(undefined)
  const [conversation, setConversation] = useState<string | null>(null)
  useEffect(() => {
    void chat.actions.profile(id).then(setProfile, () => setProfile(null))
  }, [chat, id])
  const message = async () => {
    const made = await attempt(chat.actions.startConversation(id))
    if (made) setConversation(made.id)
  }
  return (
    <HintProvider>
      <main className="app-page">
        <header className="dt-header"><IconButton icon="back" label={t.back} onClick={() => go('#/')} /><h1>{profile?.display_name ?? t.client}</h1></header>
        {profile === undefined && <div className="dt-blank"><Spinner /></div>}
        {profile === null && <Blank icon="search" title={t.noClient} />}
        {profile && (
          <section className="app-client">
            <Avatar id={profile.id} name={profile.display_name} url={profile.avatar_url} size={96} />
            <h2>{profile.display_name}</h2>
            <p>{profile.kind}</p>
            <button type="button" className="dt-button dt-button-main" onClick={() => void message()}>{t.message}</button>
          </section>
        )}
        {conversation && profile && (
          <Sheet title={profile.display_name} onClose={() => setConversation(null)}>
            <Thread conversationId={conversation} onClose={() => setConversation(null)} onOpen={(c, m) => go(`#/c/${c}${m ? `/${m}` : ''}`)} />
          </Sheet>
        )}
      </main>
    </HintProvider>
  )
}
