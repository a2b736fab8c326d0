// Text as text: only addresses become links, and mentions names. Nothing is ever taken for HTML.
import { useShared } from './context.ts'

const PART = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])|@\[([^\]]{1,200})\]\([0-9a-f-]{36}\)/g

export function MessageText({ text }: { text: string }) {
  const parts: (string | { href: string } | { name: string })[] = []
  let end = 0
  for (const found of text.matchAll(PART)) {
    parts.push(text.slice(end, found.index))
    if (found[1]) parts.push({ href: found[1] })
    else parts.push({ name: found[2] ?? '' })
    end = found.index + found[0].length
  }
  parts.push(text.slice(end))
  return (
    <>
      {parts.map((part) => {
        if (typeof part === 'string') return part
        if ('name' in part) return <b>@{part.name}</b>
        return <a href={part.href} target="_blank" rel="noopener noreferrer nofollow">{part.href}</a>
      })}
    </>
  )
}

/** A few emoji alone are shown large. */
export const isEmojiOnly = (text: string): boolean => text.length <= 24 && /^(\p{Extended_Pictographic}|\p{Emoji_Component}|\s)+$/u.test(text) && /\p{Extended_Pictographic}/u.test(text)

export function Deleted() {
  const { language: { t } } = useShared()
  return <div class="bubble gone">{t('deleted')}</div>
}
