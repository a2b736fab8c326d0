// Opens the emoji beside where one writes.
import * as Popover from '@radix-ui/react-popover'
import { useState } from 'react'
import { useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'
import { EmojiPicker } from './EmojiPicker.tsx'

/** `onClosed` is where the focus goes. */
export function EmojiButton({ onChoose, onClosed }: { onChoose: (emoji: string) => void; onClosed: () => void }) {
  const { t } = useLanguage()
  const { portal } = useSurroundings()
  const [open, setOpen] = useState(false)
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild><IconButton icon="smile" label={t('emoji')} /></Popover.Trigger>
      <Popover.Portal container={portal}>
        <Popover.Content className="dt-popover dt-emoji-popover" side="top" align="start" sideOffset={8} collisionPadding={8} aria-label={t('emoji')}
          onCloseAutoFocus={(event) => { event.preventDefault(); onClosed() }}>
          <EmojiPicker onChoose={(emoji) => { onChoose(emoji); setOpen(false) }} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
