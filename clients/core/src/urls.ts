// Signed addresses of attachments: asked for once, kept until shortly before they end.
import type { SupabaseClient } from '@supabase/supabase-js'

const SECONDS = 3600
/** Renewed so long before the end, so that what is on the screen does not break. */
const MARGIN_MS = 5 * 60_000

export interface Shape { width: number; height?: number }

export class Urls {
  private readonly known = new Map<string, { url: Promise<string>; until: number }>()

  constructor(private readonly supabase: SupabaseClient, private readonly bucket: string) {}

  /** The address of an object; `shape` asks for a smaller picture, `download` for a file with this name. */
  get(path: string, { shape, download }: { shape?: Shape; download?: string } = {}): Promise<string> {
    const key = JSON.stringify([path, shape, download])
    const known = this.known.get(key)
    if (known && known.until > Date.now()) return known.url
    const url = this.sign(path, shape, download)
    this.known.set(key, { url, until: Date.now() + SECONDS * 1000 - MARGIN_MS })
    url.catch(() => this.known.delete(key))
    return url
  }

  /** An address stopped working: the next question is asked anew. */
  forget(path: string): void {
    for (const key of this.known.keys()) if ((JSON.parse(key) as [string])[0] === path) this.known.delete(key)
  }

  private async sign(path: string, shape?: Shape, download?: string): Promise<string> {
    const { data, error } = await this.supabase.storage.from(this.bucket).createSignedUrl(path, SECONDS, {
      ...(shape ? { transform: { ...shape, resize: 'contain' as const } } : {}),
    })
    if (error) throw error
    // Added here, since the library encodes a name twice.
    return download ? `${data.signedUrl}&download=${encodeURIComponent(download)}` : data.signedUrl
  }
}
