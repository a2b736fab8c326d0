// How much is unread: in the title, on the icon of the tab, on the icon of the installed app.
import { useChatState, useLanguage } from '@dovetail/chat-react'
import { useEffect, useRef } from 'react'

const SIZE = 64

/** The icon with a red dot and a number, drawn once per number. */
async function drawIcon(count: number): Promise<string> {
  const plain = `${import.meta.env.BASE_URL}icon.svg`
  if (count === 0) return plain
  const image = new Image(SIZE, SIZE)
  image.src = plain
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIZE
  const pen = canvas.getContext('2d')
  if (!pen) return plain
  pen.drawImage(image, 0, 0, SIZE, SIZE)
  pen.fillStyle = '#d92d20'
  pen.beginPath()
  pen.arc(44, 20, 20, 0, Math.PI * 2)
  pen.fill()
  pen.fillStyle = '#ffffff'
  pen.font = `bold ${count > 9 ? 22 : 28}px system-ui, sans-serif`
  pen.textAlign = 'center'
  pen.textBaseline = 'middle'
  pen.fillText(count > 99 ? '99' : String(count), 44, 21)
  return canvas.toDataURL()
}

/** What was read here, or on another device, needs no notice any more. */
async function closeNotices(conversations: string[]): Promise<void> {
  const worker = await navigator.serviceWorker?.getRegistration()
  for (const tag of conversations) for (const notice of (await worker?.getNotifications({ tag })) ?? []) notice.close()
}

function useNotices(): void {
  const unread = useChatState((s) => Object.values(s.conversations).filter((c) => c.unread_count > 0).map((c) => c.id))
  const before = useRef<string[]>([])
  useEffect(() => {
    const read = before.current.filter((id) => !unread.includes(id))
    before.current = unread
    if (read.length > 0) void closeNotices(read).catch(() => {})
  }, [unread])
}

export function useBadges(): void {
  useNotices()
  const unread = useChatState((s) => s.unreadTotal)
  const { t } = useLanguage()
  useEffect(() => {
    document.title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) ${t('messages')}` : t('messages')
    const link = document.querySelector<HTMLLinkElement>('link[rel=icon]')
    let gone = false
    void drawIcon(unread).then((address) => { if (link && !gone) link.href = address }, () => {})
    void (unread > 0 ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.())?.catch(() => {})
    return () => { gone = true }
  }, [unread, t])
}
