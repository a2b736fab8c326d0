// Starts the pages.
import '@dovetail/chat-react/styles.css'
import './app.css'
import { createClient } from '@supabase/supabase-js'
import { createRoot } from 'react-dom/client'
import { App } from './App.tsx'
import { loadConfig } from './config.ts'
import { registerWorker } from './worker.ts'

const root = createRoot(document.getElementById('root') as HTMLElement)

/** Quick at first, since most interruptions are short; spread, so that everybody does not come back at once. */
const reconnectAfterMs = (tries: number): number => ([250, 500, 1000, 2000, 4000][tries - 1] ?? 8000) * (0.75 + Math.random() / 2)

try {
  const config = await loadConfig()
  const supabase = createClient(config.url, config.anonKey, {
    auth: { storageKey: 'dovetail-auth', detectSessionInUrl: false },
    realtime: { heartbeatIntervalMs: 15_000, reconnectAfterMs },
  })
  root.render(<App supabase={supabase} config={config} />)
  registerWorker()
} catch (error) {
  root.render(<p className="app-error" role="alert">{error instanceof Error ? error.message : String(error)}</p>)
}
