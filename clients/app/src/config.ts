// Where the server is and by which key: from the server that serves this page.

export interface Config { url: string; anonKey: string; vapidPublicKey: string | null; bucket: string }

const KEPT = 'dovetail-config'

export async function loadConfig(): Promise<Config> {
  const asked = new URLSearchParams(location.search)
  const url = asked.get('url') ?? (import.meta.env.VITE_SUPABASE_URL as string | undefined)
  const key = asked.get('key') ?? (import.meta.env.VITE_SUPABASE_ANON_KEY as string | undefined)
  if (url && key) return { url, anonKey: key, vapidPublicKey: null, bucket: 'chat-attachments' }
  try {
    const answer = await fetch('/chat/v1/app-config')
    if (!answer.ok) throw new Error(`the server has no configuration for this page (status ${answer.status})`)
    const said = (await answer.json()) as Partial<Config>
    const config = { url: said.url || location.origin, anonKey: said.anonKey ?? '', vapidPublicKey: said.vapidPublicKey ?? null, bucket: said.bucket ?? 'chat-attachments' }
    localStorage.setItem(KEPT, JSON.stringify(config))
    return config
  } catch (error) {
    // Without a network the last answer still holds.
    const kept = localStorage.getItem(KEPT)
    if (kept) return JSON.parse(kept) as Config
    throw error
  }
}
