// Email and password; and where the server is a demonstration, its users.
import type { SupabaseClient } from '@supabase/supabase-js'
import { Avatar, Spinner } from '@dovetail/chat-react'
import { useEffect, useState } from 'react'
import { textsFor } from './texts.ts'

interface DemoUser { id: string; email: string; password: string; displayName: string; kind: string; orgName: string | null }

export function SignIn({ supabase, locale }: { supabase: SupabaseClient; locale: string }) {
  const t = textsFor(locale)
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const [state, setState] = useState<'idle' | 'busy' | 'wrong' | 'unreachable'>('idle')
  const [demo, setDemo] = useState<DemoUser[]>([])
  useEffect(() => {
    fetch('/chat/v1/demo').then(async (answer) => {
      if (answer.ok) setDemo(((await answer.json()) as { users: DemoUser[] }).users)
    }).catch(() => {})
  }, [])
  const signIn = async (who: { email: string; password: string }) => {
    setState('busy')
    const { error } = await supabase.auth.signInWithPassword({ email: who.email, password: who.password })
    if (error) setState(error.status && error.status < 500 ? 'wrong' : 'unreachable')
  }
  return (
    <main className="app-sign-in">
      <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width={64} height={64} />
      <h1>Messages</h1>
      <p>{t.tagline}</p>
      <form onSubmit={(event) => { event.preventDefault(); void signIn({ email, password }) }}>
        <label className="dt-field"><span>{t.email}</span><input type="email" name="email" autoComplete="username" required value={email} onChange={(event) => setEmail(event.target.value)} /></label>
        <label className="dt-field"><span>{t.password}</span><input type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} /></label>
        {(state === 'wrong' || state === 'unreachable') && <p className="app-wrong" role="alert">{t[state]}</p>}
        <button type="submit" className="dt-button dt-button-main" disabled={state === 'busy'}>{state === 'busy' ? <Spinner label={t.signingIn} /> : t.signIn}</button>
      </form>
      {demo.length > 0 && (
        <section className="app-demo">
          <h2>{t.demo}</h2>
          <ul>
            {demo.map((user) => (
              <li key={user.id}>
                <button type="button" disabled={state === 'busy'} onClick={() => void signIn(user)}>
                  <Avatar id={user.id} name={user.displayName} size={36} />
                  <span><strong>{user.displayName}</strong><small>{[user.kind, user.orgName].filter(Boolean).join(' · ')}</small></span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </main>
  )
}
