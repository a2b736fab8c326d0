// Files on their way to the bucket. They start when they are chosen, so that most are there when the message is sent.
import type { OutgoingFile } from '@dovetail/chat/state'
import type { Api } from './api.ts'
import { Problem } from './problem.ts'
import type { Store } from './store.ts'

/** What the bucket takes; the server looks again, at the content. Neither SVG nor HTML: both run scripts of whoever wrote them. */
const TYPES = /^(image\/(png|jpeg|gif|webp|avif)|video\/(mp4|webm|quicktime)|audio\/(mpeg|mp4|ogg|webm|wav)|text\/(plain|csv)|application\/(pdf|zip|rtf|msword|vnd\.ms-(excel|powerpoint)|vnd\.openxmlformats-officedocument\.[\w.]+|vnd\.oasis\.opendocument\.\w+))$/
export const ACCEPT = 'image/png,image/jpeg,image/gif,image/webp,image/avif,video/*,audio/*,text/plain,text/csv,application/pdf,application/zip,application/rtf,.doc,.docx,.xls,.xlsx,.ppt,.pptx,.odt,.ods,.odp'
const PICTURE = /^image\/(png|jpeg|gif|webp|avif)$/

interface Running { file: OutgoingFile; blob: Blob; preview?: string; done: Promise<string>; stop: AbortController }

export type Complaint = { what: 'fileTooLarge' | 'fileType' | 'fileEmpty' | 'tooManyFiles'; name: string }

export class Files {
  private readonly running = new Map<string, Running>()

  constructor(private readonly api: Api, private readonly store: Store, private readonly folder: string) {}

  /** Begins what may be sent, and gives what may not. */
  async add(list: File[]): Promise<Complaint | null> {
    const { max_attachments, max_attachment_bytes } = this.store.state.settings
    let complaint: Complaint | null = null
    for (const blob of list) {
      const { name } = blob
      if (this.store.view.files.length >= max_attachments) return { what: 'tooManyFiles', name }
      if (blob.size === 0) complaint = { what: 'fileEmpty', name }
      else if (blob.size > max_attachment_bytes) complaint = { what: 'fileTooLarge', name }
      else if (!TYPES.test(blob.type.split(';')[0] ?? '')) complaint = { what: 'fileType', name }
      else await this.begin(blob)
    }
    return complaint
  }

  private async begin(blob: File): Promise<void> {
    const file: OutgoingFile = { key: crypto.randomUUID(), name: blob.name.slice(-255) || 'file', size: blob.size, mime_type: blob.type, ...(await dimensions(blob)) }
    this.start(file, blob)
    this.store.set({ files: [...this.store.view.files, file.key] })
  }

  describe = (key: string): OutgoingFile | undefined => this.running.get(key)?.file

  /** An address under which this page shows a picture that is on its way. */
  preview = (key: string): string | null => {
    const known = this.running.get(key)
    if (!known || !PICTURE.test(known.file.mime_type)) return null
    known.preview ??= URL.createObjectURL(known.blob)
    return known.preview
  }

  /** The path in the bucket, as soon as it is there. A second question after a failure tries again. */
  arrival(file: OutgoingFile): Promise<string> {
    const known = this.running.get(file.key)
    if (!known) return Promise.reject(new Problem('the file is not there any more', 410, 'lost'))
    if (this.store.state.uploads[file.key]?.state !== 'failed') return known.done
    return this.start(file, known.blob, known.preview).done
  }

  retry(key: string): void {
    const known = this.running.get(key)
    if (known) this.start(known.file, known.blob, known.preview)
  }

  cancel(key: string): void {
    this.running.get(key)?.stop.abort()
    this.store.set({ files: this.store.view.files.filter((k) => k !== key) })
    this.forget(key)
  }

  forget(key: string): void {
    const preview = this.running.get(key)?.preview
    // Drawn once more before the picture of the server is there.
    if (preview) setTimeout(() => URL.revokeObjectURL(preview), 10_000)
    this.running.delete(key)
    this.store.dispatch({ type: 'upload-forgotten', key })
  }

  private start(file: OutgoingFile, blob: Blob, preview?: string): Running {
    const path = `${this.folder}/${file.key}/${safeName(file.name)}`
    const stop = new AbortController()
    let sent = 0
    const tell = (state: 'uploading' | 'done' | 'failed', error: string | null = null) => {
      if (stop.signal.aborted) return
      this.store.dispatch({ type: 'upload', upload: { key: file.key, name: file.name, size: file.size, sent, state, error } })
    }
    tell('uploading')
    const done = this.api.upload(path, blob, file.mime_type, (bytes) => { sent = bytes; tell('uploading') }, stop.signal).then(
      () => {
        sent = file.size
        tell('done')
        return path
      },
      (error: unknown) => {
        tell('failed', error instanceof Error ? error.message : String(error))
        throw error
      })
    // Whoever waits for it hears of it; nobody may be waiting yet.
    done.catch(() => {})
    const running: Running = { file, blob, done, stop, ...(preview ? { preview } : {}) }
    this.running.set(file.key, running)
    return running
  }

  stop(): void {
    for (const { stop, preview } of this.running.values()) {
      stop.abort()
      if (preview) URL.revokeObjectURL(preview)
    }
  }
}

/** Names of objects take fewer letters than names of files; the name that people see is kept with the message. */
function safeName(name: string): string {
  const plain = name.normalize('NFKD').replace(/[^\w.-]+/g, '_').replace(/\.{2,}/g, '.').replace(/^[._]+/, '')
  return plain.slice(-100) || 'file'
}

/** Known before it is shown, so that nothing jumps when it arrives. */
async function dimensions(blob: Blob): Promise<{ width?: number; height?: number }> {
  if (!PICTURE.test(blob.type)) return {}
  try {
    const bitmap = await createImageBitmap(blob)
    const found = { width: bitmap.width, height: bitmap.height }
    bitmap.close()
    return found
  } catch {
    return {}
  }
}
