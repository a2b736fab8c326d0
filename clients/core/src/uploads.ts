// Files on their way to the bucket: they start when they are chosen, so that most are there when the message is sent.
import type { Context } from './context.ts'
import { Problem } from './problem.ts'
import { sendResumable, sendWhole, type Transfer } from './transfer.ts'
import type { Id, OutgoingFile } from './state/index.ts'

/** From this size on an upload can go on where it stopped. */
const RESUMABLE_FROM = 6 * 1024 * 1024

interface Running {
  file: OutgoingFile
  blob: Blob
  preview?: string
  conversation: Id
  /** The file with its shape, where it has one. */
  measured: Promise<OutgoingFile>
  /** The path in the bucket. */
  done: Promise<string>
  abort: () => void
}

export class Uploads {
  private readonly running = new Map<string, Running>()

  constructor(private readonly context: Context) {}

  /** Begins; gives the key by which the message names it. */
  begin(conversation: Id, blob: File): string {
    const file: OutgoingFile = { key: crypto.randomUUID(), name: blob.name.slice(-255) || 'file', size: blob.size, mime_type: blob.type || 'application/octet-stream' }
    // A message that is sent while this is on its way survives a reload with its file.
    void this.context.kept.putFile(file.key, blob).catch(() => {})
    this.start(file, blob, conversation)
    return file.key
  }

  describe(key: string): OutgoingFile | undefined {
    return this.running.get(key)?.file
  }

  /** An address under which this page shows a picture that is on its way. */
  preview(key: string): string | null {
    const known = this.running.get(key)
    if (!known || !/^image\/(png|jpeg|gif|webp|avif)$/.test(known.file.mime_type)) return null
    known.preview ??= URL.createObjectURL(known.blob)
    return known.preview
  }

  /** The file with its shape and its path in the bucket, as soon as it is there; after a reload the upload begins again. */
  async arrival(file: OutgoingFile, conversation: Id): Promise<OutgoingFile & { path: string }> {
    let known = this.running.get(file.key)
    if (known && this.context.store.get().uploads[file.key]?.state === 'failed') {
      this.retry(file.key)
      known = this.running.get(file.key)
    }
    if (!known) {
      const blob = await this.context.kept.file(file.key)
      if (!blob) throw new Problem('the file is not there any more', 'lost', false)
      known = this.start(file, blob, conversation)
    }
    const [measured, path] = await Promise.all([known.measured, known.done])
    return { ...measured, path }
  }

  retry(key: string): void {
    const known = this.running.get(key)
    if (known) this.start(known.file, known.blob, known.conversation)
  }

  cancel(key: string): void {
    this.running.get(key)?.abort()
    this.forget(key)
    void this.context.kept.dropFile(key).catch(() => {})
  }

  forget(key: string): void {
    const preview = this.running.get(key)?.preview
    if (preview) URL.revokeObjectURL(preview)
    this.running.delete(key)
    this.context.store.dispatch({ type: 'upload-forgotten', key })
  }

  private start(file: OutgoingFile, blob: Blob, conversation: Id): Running {
    const { store, bucket, me } = this.context
    const path = `${conversation}/${me}/${file.key}/${safeName(file.name)}`
    let sent = 0
    const tell = (state: 'uploading' | 'done' | 'failed', error: string | null = null) =>
      store.dispatch({ type: 'upload', upload: { key: file.key, name: file.name, size: file.size, sent, state, error } })
    tell('uploading')
    const stop = new AbortController()
    const transfer: Transfer = {
      supabase: this.context.supabase, bucket, path, blob, type: file.mime_type, signal: stop.signal,
      onProgress: (bytes) => {
        sent = bytes
        tell('uploading')
      },
    }
    const done = (blob.size >= RESUMABLE_FROM ? sendResumable(transfer) : sendWhole(transfer)).then(
      () => {
        sent = file.size
        tell('done')
        return path
      },
      (error: unknown) => {
        if (this.running.get(file.key)?.abort === running.abort) tell('failed', error instanceof Error ? error.message : String(error))
        throw error
      })
    // Whoever waits for it hears of it; nobody may be waiting yet.
    done.catch(() => {})
    const running: Running = { file, blob, conversation, done, measured: Promise.resolve(file), abort: () => stop.abort() }
    if (file.width === undefined) running.measured = dimensions(blob).then((shape) => (running.file = { ...file, ...shape }))
    this.running.set(file.key, running)
    return running
  }

  stop(): void {
    for (const { abort } of this.running.values()) abort()
  }
}

/** Names of objects take fewer letters than names of files; the name that people see is kept with the message. */
export function safeName(name: string): string {
  const plain = name.normalize('NFKD').replace(/[^\w.-]+/g, '_').replace(/\.{2,}/g, '.').replace(/^[._]+/, '')
  return plain.slice(-100) || 'file'
}

/** Known before it is shown, so that nothing jumps when it arrives. */
async function dimensions(blob: Blob): Promise<{ width?: number; height?: number }> {
  if (/^video\/(mp4|webm)\b/.test(blob.type) && typeof document !== 'undefined') return videoDimensions(blob)
  if (!/^image\/(png|jpeg|gif|webp|avif)$/.test(blob.type) || typeof createImageBitmap === 'undefined') return {}
  try {
    const bitmap = await createImageBitmap(blob)
    const found = { width: bitmap.width, height: bitmap.height }
    bitmap.close()
    return found
  } catch {
    return {}
  }
}

/** What a browser does not play, or does not tell about in time, is sent without. */
function videoDimensions(blob: Blob): Promise<{ width?: number; height?: number }> {
  return new Promise((done) => {
    const video = document.createElement('video')
    const tell = () => {
      clearTimeout(timer)
      const { videoWidth: width, videoHeight: height } = video
      URL.revokeObjectURL(video.src)
      done(width && height ? { width, height } : {})
    }
    const timer = setTimeout(tell, 2000)
    video.preload = 'metadata'
    video.muted = true
    video.onloadedmetadata = video.onerror = tell
    video.src = URL.createObjectURL(blob)
  })
}
