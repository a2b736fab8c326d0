// One file to the Storage API: in one request with progress, or in parts that can go on after an interruption.
import type { SupabaseClient } from '@supabase/supabase-js'
import { Problem } from './problem.ts'

export interface Transfer {
  supabase: SupabaseClient
  bucket: string
  path: string
  blob: Blob
  type: string
  signal: AbortSignal
  onProgress: (bytes: number) => void
}

interface Keys { url: string; key: string }

/** supabase-js keeps these to itself; they are what its own storage client uses. */
function keysOf(supabase: SupabaseClient): Keys {
  const inner = supabase as unknown as { supabaseUrl: string; supabaseKey: string }
  return { url: String(inner.supabaseUrl).replace(/\/$/, ''), key: inner.supabaseKey }
}

async function headers(supabase: SupabaseClient): Promise<Record<string, string>> {
  const { data } = await supabase.auth.getSession()
  const { key } = keysOf(supabase)
  return { authorization: `Bearer ${data.session?.access_token ?? key}`, apikey: key }
}

const cancelled = () => new Problem('cancelled', 'cancelled', false)

/** fetch does not tell how much has been sent; XMLHttpRequest does. */
export async function sendWhole({ supabase, bucket, path, blob, type, signal, onProgress }: Transfer): Promise<void> {
  const { url } = keysOf(supabase)
  const fields = await headers(supabase)
  await new Promise<void>((done, failed) => {
    const request = new XMLHttpRequest()
    request.open('POST', `${url}/storage/v1/object/${bucket}/${path.split('/').map(encodeURIComponent).join('/')}`)
    for (const [name, value] of Object.entries({ ...fields, 'content-type': type, 'cache-control': 'max-age=3600', 'x-upsert': 'true' })) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, blob.size))
    request.onload = () => (request.status < 300 ? done() : failed(refusal(request.status, request.responseText)))
    request.onerror = () => failed(new Problem('no connection', 'network', true))
    request.onabort = () => failed(cancelled())
    signal.addEventListener('abort', () => request.abort())
    if (signal.aborted) failed(cancelled())
    else request.send(blob)
  })
}

/** Loaded only when there is something large to send. */
export async function sendResumable({ supabase, bucket, path, blob, type, signal, onProgress }: Transfer): Promise<void> {
  const { Upload, DetailedError } = await import('tus-js-client')
  const { url } = keysOf(supabase)
  await new Promise<void>((done, failed) => {
    const upload = new Upload(blob as File, {
      endpoint: `${url}/storage/v1/upload/resumable`,
      retryDelays: [0, 1000, 3000, 5000, 10_000, 20_000],
      chunkSize: 6 * 1024 * 1024,
      uploadDataDuringCreation: true,
      removeFingerprintOnSuccess: true,
      metadata: { bucketName: bucket, objectName: path, contentType: type, cacheControl: '3600' },
      // Asked for anew before each part: a token may expire on the way.
      async onBeforeRequest(request) {
        for (const [name, value] of Object.entries({ ...(await headers(supabase)), 'x-upsert': 'true' })) request.setHeader(name, value)
      },
      onProgress,
      onSuccess: () => done(),
      onError(error) {
        const answer = error instanceof DetailedError ? error.originalResponse : null
        failed(answer ? refusal(answer.getStatus(), answer.getBody() ?? '') : new Problem('no connection', 'network', true))
      },
    })
    signal.addEventListener('abort', () => {
      void upload.abort(true).catch(() => {})
      failed(cancelled())
    })
    if (signal.aborted) failed(cancelled())
    else upload.start()
  })
}

/** The Storage API puts the real status into the body of a 400. */
function refusal(status: number, body: string): Problem {
  let said: { message?: string; statusCode?: string; error?: string } = {}
  try {
    said = JSON.parse(body) as typeof said
  } catch {
    // not JSON: a proxy answered
  }
  const real = Number(said.statusCode) || status
  return new Problem(said.message ?? `status ${status}`, said.error ?? String(real), real >= 500 || real === 401 || real === 408 || real === 429)
}
