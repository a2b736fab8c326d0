import { useLayoutEffect, useRef } from 'preact/hooks'
import type { Chat } from '../chat.ts'
import type { Settings } from '../settings.ts'
import { SharedContext } from './context.ts'
import { Launcher } from './Launcher.tsx'
import { Window } from './Window.tsx'

export function Root({ chat, settings }: { chat: Chat; settings: Settings; version: unknown }) {
  const { session, open, phase, said, draft, state } = chat.store.view
  const button = useRef<HTMLButtonElement>(null)
  const wasOpen = useRef<boolean | null>(null)
  const opened = wasOpen.current === false && open
  useLayoutEffect(() => {
    // A window that was open before a reload takes no focus from the page.
    if (wasOpen.current === true && !open && chat.store.view.hadFocus) button.current?.focus({ preventScroll: true })
    wasOpen.current = open
  }, [open])
  if (!session || phase === 'absent') return null
  // The server has ended it: what was being read stays until it is closed, and what was not sent stays at hand.
  if (phase === 'closed' && !open && !draft && Object.keys(state.outbox).length === 0) return null
  return (
    <SharedContext.Provider value={{ chat, settings, language: settings.language }}>
      {open && <Window session={session} focus={opened} />}
      <Launcher button={button} />
      <div class="aloud" aria-live="polite" aria-atomic="true" data-testid="aloud">{said}</div>
    </SharedContext.Provider>
  )
}
