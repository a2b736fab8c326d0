// Pictures with their own shape kept free, videos, and cards for everything else.
import type { Attachment } from '@dovetail/chat'
import { decodeBlurHash } from 'fast-blurhash'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useAttempt, useChat } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Icon } from './Icon.tsx'

const LARGEST = 320

/** SVG is never shown in the page: it can carry scripts. */
export const isPicture = (a: Attachment): boolean => /^image\/(png|jpe?g|gif|webp|avif)$/.test(a.mime_type ?? '')
const isVideo = (a: Attachment): boolean => /^video\/(mp4|webm|ogg)$/.test(a.mime_type ?? '')

/** The address of an attachment, renewed when it stops working. `turn` is another for each, so that the same address is tried again too. */
export function useAddress(attachment: Attachment, small: boolean): { url: string | null; turn: number; failed: boolean; renew: () => void } {
  const { urls } = useChat()
  const [{ url, turn }, setFound] = useState<{ url: string | null; turn: number }>({ url: null, turn: 0 })
  const [tries, setTries] = useState(0)
  const { path, thumbnail_path, preview_path } = attachment
  useEffect(() => {
    let gone = false
    const ready = small ? (preview_path ?? thumbnail_path) : undefined
    const ask = () => {
      if (!path) return Promise.resolve(attachment.url ?? '')
      if (ready) return urls.get(ready)
      // The server makes a smaller picture of what it can; the rest is shown as it is.
      return small ? urls.get(path, { shape: { width: LARGEST * 2 } }) : urls.get(path)
    }
    ask().then((made) => { if (!gone) setFound({ url: made, turn: tries }) }, () => { if (!gone) setTries((n) => n + 1) })
    return () => { gone = true }
  }, [urls, path, thumbnail_path, preview_path, attachment.url, small, tries])
  const renew = useCallback(() => {
    if (tries >= 2 || !path) return setTries(3)
    for (const one of [path, thumbnail_path, preview_path]) if (one) urls.forget(one)
    setTries((n) => n + 1)
  }, [tries, path, thumbnail_path, preview_path, urls])
  return { url, turn, failed: tries >= 3, renew }
}

const BLUR = 24

/** A few colours of the picture until it is there. */
function Blur({ hash }: { hash: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const pen = canvas.current?.getContext('2d')
    if (!pen) return
    try {
      const image = pen.createImageData(BLUR, BLUR)
      image.data.set(decodeBlurHash(hash, BLUR, BLUR))
      pen.putImageData(image, 0, 0)
    } catch {
      // Somebody's own idea of a hash.
    }
  }, [hash])
  return <canvas className="dt-blur" ref={canvas} width={BLUR} height={BLUR} aria-hidden="true" />
}

function Picture({ attachment, onOpen }: { attachment: Attachment; onOpen: () => void }) {
  const { t } = useLanguage()
  const [shown, setShown] = useState(false)
  const { url, turn, failed, renew } = useAddress(attachment, true)
  const width = attachment.width ?? LARGEST
  const height = attachment.height ?? LARGEST * 0.75
  const scale = Math.min(1, LARGEST / width, LARGEST / height)
  if (failed) return <Card attachment={attachment} />
  return (
    <button type="button" className="dt-picture" style={{ width: Math.max(64, Math.round(width * scale)), aspectRatio: `${width} / ${height}` }} onClick={onOpen} aria-label={t('openImage', { name: attachment.name })}>
      {attachment.blurhash && !shown && <Blur hash={attachment.blurhash} />}
      {url && <img key={turn} src={url} alt={attachment.name} className={shown ? 'dt-shown' : ''} onLoad={() => setShown(true)} onError={renew} />}
    </button>
  )
}

function Video({ attachment }: { attachment: Attachment }) {
  const { url, turn, renew } = useAddress(attachment, false)
  const { width, height } = attachment
  // Some browsers show a picture of it only when asked for a moment after its beginning.
  return (
    <video key={turn} className="dt-video" src={url ? `${url}#t=0.001` : undefined} controls playsInline preload="metadata" onError={url ? renew : undefined} aria-label={attachment.name}
      style={width && height ? { aspectRatio: `${width} / ${height}` } : undefined} />
  )
}

function Card({ attachment }: { attachment: Attachment }) {
  const { t, bytes } = useLanguage()
  const { urls } = useChat()
  const attempt = useAttempt()
  const open = async () => {
    const url = attachment.path ? await attempt(urls.get(attachment.path, { download: attachment.name })) : attachment.url
    if (!url) return
    const link = document.createElement('a')
    link.href = url
    link.rel = 'noopener noreferrer'
    link.download = attachment.name
    link.click()
  }
  const ending = /\.([a-z0-9]{1,5})$/i.exec(attachment.name)?.[1]?.toUpperCase()
  return (
    <button type="button" className="dt-card" onClick={() => void open()}>
      <span className="dt-hidden">{t('download')}: </span>
      <span className="dt-card-icon"><Icon name="file" size={28} /></span>
      <span className="dt-card-text">
        <span className="dt-card-name">{attachment.name}</span>
        <span className="dt-card-size">{[ending, attachment.size ? bytes(attachment.size) : ''].filter(Boolean).join(' · ')}</span>
      </span>
      <Icon name="download" size={18} />
    </button>
  )
}

export function Attachments({ attachments, onOpen }: { attachments: Attachment[]; onOpen: (index: number) => void }) {
  return (
    <div className={`dt-attachments${attachments.filter(isPicture).length > 1 ? ' dt-attachments-many' : ''}`}>
      {attachments.map((a, i) => (isPicture(a)
        ? <Picture key={i} attachment={a} onOpen={() => onOpen(i)} />
        : isVideo(a) ? <Video key={i} attachment={a} /> : <Card key={i} attachment={a} />))}
    </div>
  )
}
