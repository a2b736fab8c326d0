// Pictures of a message, large; arrows go from one to the next, Escape closes.
import type { Attachment } from '@dovetail/chat'
import * as Dialog from '@radix-ui/react-dialog'
import { useState, type KeyboardEvent } from 'react'
import { useAttempt, useChat, useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { isPicture, useAddress } from './Attachments.tsx'
import { IconButton, Spinner } from './controls.tsx'
import { focusWhole } from './Dialogs.tsx'

export function Lightbox({ attachments, start, onClose }: { attachments: Attachment[]; start: number; onClose: () => void }) {
  const { t, direction } = useLanguage()
  const { portal } = useSurroundings()
  const { urls } = useChat()
  const attempt = useAttempt()
  const pictures = attachments.filter(isPicture)
  const [index, setIndex] = useState(() => Math.max(0, pictures.indexOf(attachments[start] as Attachment)))
  const current = pictures[index]
  if (!current) return null
  const go = (step: number) => setIndex((i) => (i + step + pictures.length) % pictures.length)
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'ArrowRight') go(direction === 'rtl' ? -1 : 1)
    if (event.key === 'ArrowLeft') go(direction === 'rtl' ? 1 : -1)
  }
  const download = async () => {
    const url = current.path ? await attempt(urls.get(current.path, { download: current.name })) : current.url
    if (url) location.assign(url)
  }
  return (
    <Dialog.Root open onOpenChange={(open) => { if (!open) onClose() }}>
      <Dialog.Portal container={portal}>
        <Dialog.Overlay className="dt-overlay dt-overlay-dark" />
        <Dialog.Content className="dt-lightbox" onOpenAutoFocus={focusWhole} onKeyDown={onKey} aria-describedby={undefined}>
          <header>
            <Dialog.Title className="dt-lightbox-title">{current.name}</Dialog.Title>
            {pictures.length > 1 && <span>{t('imageOf', { index: index + 1, total: pictures.length })}</span>}
            <IconButton icon="download" label={t('download')} onClick={() => void download()} />
            <Dialog.Close asChild><IconButton icon="close" label={t('close')} /></Dialog.Close>
          </header>
          <Large key={index} attachment={current} />
          {pictures.length > 1 && (
            <>
              <IconButton icon="back" label={t('previous')} className="dt-lightbox-previous" onClick={() => go(-1)} />
              <IconButton icon="next" label={t('next')} className="dt-lightbox-next" onClick={() => go(1)} />
            </>
          )}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

function Large({ attachment }: { attachment: Attachment }) {
  const { url, turn, renew } = useAddress(attachment, false)
  return <div className="dt-lightbox-picture">{url ? <img key={turn} src={url} alt={attachment.name} onError={renew} /> : <Spinner />}</div>
}
