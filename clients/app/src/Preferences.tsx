// How somebody wants to be told, and how the pages look to them.
import type { SupabaseClient } from '@supabase/supabase-js'
import type { NotificationPreferences, PushState } from '@dovetail/chat'
import { HintProvider, IconButton, Spinner, useAttempt, useChat, useChatState, useSurroundings } from '@dovetail/chat-react'
import { useEffect, useState, type ReactNode } from 'react'
import type { Choices } from './choices.ts'
import { go } from './route.ts'
import type { AppTexts } from './texts.ts'

interface Props { t: AppTexts; supabase: SupabaseClient; choices: Choices; onChoose: (change: Partial<Choices>) => void; onSignOut: () => void }

export function Preferences({ t, supabase, choices, onChoose, onSignOut }: Props) {
  return (
    <HintProvider>
      <main className="app-page">
        <header className="dt-header"><IconButton icon="back" label={t.back} onClick={() => go('#/')} /><h1>{t.preferences}</h1></header>
        <div className="app-preferences">
          <ProfileSection t={t} supabase={supabase} />
          <section>
            <h2>{t.appearance}</h2>
            <Line label={t.language}>
              <select value={choices.locale} onChange={(event) => onChoose({ locale: event.target.value })}>
                <option value="">{t.automatic}</option><option value="en">English</option><option value="de">Deutsch</option>
              </select>
            </Line>
            <Line label={t.theme}>
              <select value={choices.theme} onChange={(event) => onChoose({ theme: event.target.value as Choices['theme'] })}>
                <option value="auto">{t.automatic}</option><option value="light">{t.light}</option><option value="dark">{t.dark}</option>
              </select>
            </Line>
          </section>
          <NotificationSection t={t} />
          <button type="button" className="dt-button" onClick={onSignOut}>{t.signOut}</button>
        </div>
      </main>
    </HintProvider>
  )
}

function Line({ label, children, hint }: { label: string; children: ReactNode; hint?: string }) {
  return <label className="app-line"><span>{label}{hint && <small>{hint}</small>}</span>{children}</label>
}

function ProfileSection({ t, supabase }: { t: AppTexts; supabase: SupabaseClient }) {
  const chat = useChat()
  const { notify } = useSurroundings()
  const attempt = useAttempt()
  const me = useChatState((s) => s.me)
  const settings = useChatState((s) => s.settings)
  const [name, setName] = useState(me?.display_name ?? '')
  useEffect(() => setName(me?.display_name ?? ''), [me?.display_name])
  const save = async () => {
    if (!me) return
    const done = await attempt(Promise.resolve(supabase.from('profiles').update({ display_name: name.trim() }).eq('id', me.id).throwOnError()))
    if (!done) return
    chat.store.dispatch({ type: 'signed-in', me: { ...me, display_name: name.trim() }, settings })
    notify(t.saved)
  }
  return (
    <section>
      <h2>{t.profile}</h2>
      <form className="app-line" onSubmit={(event) => { event.preventDefault(); void save() }}>
        <label className="dt-field dt-grow"><span>{t.displayName}</span><input value={name} maxLength={200} required onChange={(event) => setName(event.target.value)} /></label>
        <button type="submit" className="dt-button" disabled={!name.trim() || name.trim() === me?.display_name}>{t.save}</button>
      </form>
    </section>
  )
}

function NotificationSection({ t }: { t: AppTexts }) {
  const chat = useChat()
  const attempt = useAttempt()
  const { notify } = useSurroundings()
  const [known, setKnown] = useState<NotificationPreferences | null>(null)
  const [push, setPush] = useState<PushState | null>(null)
  useEffect(() => {
    void attempt(chat.actions.preferences()).then((p) => { if (p) setKnown(p) })
    void chat.push.state().then(setPush, () => setPush('unsupported'))
  }, [chat, attempt])
  const change = async (wish: Parameters<typeof chat.actions.savePreferences>[0]) => {
    const saved = await attempt(chat.actions.savePreferences(wish))
    if (!saved) return
    setKnown(saved)
    notify(t.saved)
  }
  if (!known) return <section><h2>{t.notifications}</h2><Spinner /></section>
  const time = (value: string | null) => value?.slice(0, 5) ?? ''
  const quiet = (start: string, end: string) => change(start && end
    ? { quiet_start: start, quiet_end: end, time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone }
    : { no_quiet_hours: true })
  const pushText = { on: t.pushOn, off: t.pushOff, denied: t.pushDenied, unsupported: t.pushUnsupported }
  return (
    <section>
      <h2>{t.notifications}</h2>
      <div className="app-line">
        <span>{t.push}<small>{push && pushText[push]}</small></span>
        {(push === 'on' || push === 'off') && (
          <button type="button" className="dt-button" onClick={() => void attempt(push === 'on' ? chat.push.disable() : chat.push.enable()).then((state) => { if (state) setPush(state) })}>{push === 'on' ? t.disable : t.enable}</button>
        )}
      </div>
      <Line label={t.allPush}><input type="checkbox" role="switch" checked={known.push} onChange={(event) => void change({ push: event.target.checked })} /></Line>
      <Line label={t.preview}><input type="checkbox" role="switch" checked={known.preview} onChange={(event) => void change({ preview: event.target.checked })} /></Line>
      <Line label={t.sound}><input type="checkbox" role="switch" checked={known.sound} onChange={(event) => void change({ sound: event.target.checked })} /></Line>
      <Line label={t.quiet} hint={t.quietHint}>
        <input type="checkbox" role="switch" checked={known.quiet_start !== null} onChange={(event) => void (event.target.checked ? quiet('22:00', '07:00') : quiet('', ''))} />
      </Line>
      {known.quiet_start !== null && (
        <div className="app-line app-times">
          <label>{t.from} <input type="time" value={time(known.quiet_start)} onChange={(event) => void quiet(event.target.value, time(known.quiet_end))} /></label>
          <label>{t.until} <input type="time" value={time(known.quiet_end)} onChange={(event) => void quiet(time(known.quiet_start), event.target.value)} /></label>
        </div>
      )}
      <Line label={t.digest}>
        <select value={known.email_digest} onChange={(event) => void change({ email_digest: event.target.value as NotificationPreferences['email_digest'] })}>
          <option value="none">{t.none}</option><option value="daily">{t.daily}</option><option value="weekly">{t.weekly}</option>
        </select>
      </Line>
    </section>
  )
}
