// The few requests that a guest makes, with fetch alone.
import { ask, Problem, problemOf } from './problem.ts'
import type { Tokens } from './tokens.ts'

const BUCKET = 'chat-attachments'
const SIGNED_SECONDS = 3600

export interface Limits { maxMessageLength: number; maxAttachments: number; maxAttachmentBytes: number; allowedEmoji: string[] }

const encoded = (path: string) => path.split('/').map(encodeURIComponent).join('/')

export class Api {
  private readonly signed = new Map<string, { url: Promise<string>; until: number }>()

  /** Without the public key of a project the guest's own token stands for it, which this server takes. */
  constructor(readonly url: string, readonly anonKey: string | null, readonly tokens: Tokens) {}

  private async headers(): Promise<Record<string, string>> {
    const { jwt } = await this.tokens.fresh()
    return { apikey: this.anonKey ?? jwt, authorization: `Bearer ${jwt}` }
  }

  private async post<T>(path: string, body: unknown): Promise<T> {
    const send = async () => ask(this.url + path, {
      method: 'POST', headers: { ...(await this.headers()), 'content-type': 'application/json' }, body: JSON.stringify(body),
    })
    let response: Response
    try {
      response = await send()
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error
      await this.tokens.renew()
      response = await send()
    }
    const text = await response.text()
    return (text ? JSON.parse(text) : null) as T
  }

  rpc<T>(name: string, args: Record<string, unknown> = {}): Promise<T> {
    return this.post<T>(`/rest/v1/rpc/${name}`, args)
  }

  async limits(): Promise<Limits> {
    const { limits } = (await (await ask(`${this.url}/chat/v1/config`)).json()) as { limits: Limits }
    return limits
  }

  /** An address under which an object can be seen for a while; asked for once. */
  signedUrl(path: string, download?: string): Promise<string> {
    const key = `${download ?? ''}|${path}`
    const known = this.signed.get(key)
    if (known && known.until > Date.now()) return known.url
    const url = this.post<{ signedURL: string }>(`/storage/v1/object/sign/${BUCKET}/${encoded(path)}`, { expiresIn: SIGNED_SECONDS })
      .then(({ signedURL }) => `${this.url}/storage/v1${signedURL}${download ? `&download=${encodeURIComponent(download)}` : ''}`)
    this.signed.set(key, { url, until: Date.now() + (SIGNED_SECONDS - 300) * 1000 })
    url.catch(() => this.signed.delete(key))
    return url
  }

  /** fetch does not tell how much has been sent; XMLHttpRequest does. */
  async upload(path: string, blob: Blob, type: string, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const fields = await this.headers()
    await new Promise<void>((done, failed) => {
      const request = new XMLHttpRequest()
      request.open('POST', `${this.url}/storage/v1/object/${BUCKET}/${encoded(path)}`)
      for (const [name, value] of Object.entries({ ...fields, 'content-type': type })) request.setRequestHeader(name, value)
      request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, blob.size))
      request.onload = () => {
        const problem = request.status < 300 ? null : problemOf(request.status, request.responseText)
        // There already: an earlier try has arrived, and only its answer was lost.
        if (!problem || problem.status === 409) done()
        else failed(problem)
      }
      request.onerror = () => failed(new Problem('no connection', 0, 'network'))
      request.onabort = () => failed(new Problem('cancelled', 499))
      signal.addEventListener('abort', () => request.abort())
      if (signal.aborted) failed(new Problem('cancelled', 499))
      else request.send(blob)
    })
  }
}
