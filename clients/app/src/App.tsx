// Signed in or not.
import type { Session, SupabaseClient } from '@supabase/supabase-js'
import { LanguageProvider } from '@dovetail/chat-react'
import { useEffect, useState } from 'react'
import { localeOf, useChoices } from './choices.ts'
import type { Config } from './config.ts'
import { SignedIn } from './SignedIn.tsx'
import { SignIn } from './SignIn.tsx'

export function App({ supabase, config }: { supabase: SupabaseClient; config: Config }) {
  const [session, setSession] = useState<Session | null | undefined>(undefined)
  const [choices, choose] = useChoices()
  const locale = localeOf(choices)
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_, next) => setSession(next))
    return () => data.subscription.unsubscribe()
  }, [supabase])
  useEffect(() => {
    document.documentElement.lang = locale
    document.documentElement.dataset.theme = choices.theme
  }, [locale, choices.theme])
  if (session === undefined) return null
  // Another user is another chat: nothing of the one before is left.
  if (session) return <SignedIn key={session.user.id} supabase={supabase} user={session.user.id} config={config} choices={choices} onChoose={choose} />
  return (
    <LanguageProvider locale={locale}>
      <div className="dt-chat" data-theme={choices.theme}><SignIn supabase={supabase} locale={locale} /></div>
    </LanguageProvider>
  )
}
