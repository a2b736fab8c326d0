// Which message shows its buttons: the one under the mouse, else the one that the keyboard is at or that was pressed for long.
import { useEffect, useRef, useState, type FocusEvent, type PointerEvent, type RefObject } from 'react'

const LONG_PRESS_MS = 450

const keyOf = (target: EventTarget | null): string | undefined => (target instanceof Element ? target.closest<HTMLElement>('[data-key]')?.dataset.key : undefined)

export interface Active {
  active: string | null
  /** Where the keyboard is, or was last. */
  focused: string | null
  setFocused: (key: string) => void
  menuOpen: boolean
  setMenuOpen: (open: boolean) => void
  /** For each message. */
  handlers: (key: string) => object
  /** For the list. */
  onPointerDown: (event: PointerEvent) => void
}

export function useActive(list: RefObject<HTMLElement | null>): Active {
  const [chosen, setChosen] = useState<string | null>(null)
  const [hovered, setHovered] = useState<string | null>(null)
  const [focused, setFocused] = useState<string | null>(null)
  const [menuOpen, setMenuOpen] = useState(false)

  // Heard at the document: to React, dialogs and menus are inside of the message that opened them, so that the mouse never leaves it.
  useEffect(() => {
    // A menu that is open belongs to its message, wherever the mouse is.
    if (menuOpen) return
    const onOver = ({ target, pointerType }: globalThis.PointerEvent) => {
      // After a tap a phone has a mouse there too.
      if (pointerType === 'mouse' && matchMedia('(any-hover: hover)').matches) setHovered(list.current?.contains(target as Node) ? (keyOf(target) ?? null) : null)
    }
    const onLeave = () => setHovered(null)
    document.addEventListener('pointerover', onOver)
    document.documentElement.addEventListener('pointerleave', onLeave)
    return () => {
      document.removeEventListener('pointerover', onOver)
      document.documentElement.removeEventListener('pointerleave', onLeave)
    }
  }, [list, menuOpen])

  const press = useRef<ReturnType<typeof setTimeout>>(undefined)
  const release = () => clearTimeout(press.current)
  const handlers = (key: string) => ({
    // By keyboard: focus that comes back when a dialog closes opens nothing.
    onFocus: ({ target, currentTarget }: FocusEvent) => {
      if (!currentTarget.contains(target)) return
      setFocused(key)
      if (target.matches(':focus-visible')) setChosen(key)
    },
    // Into a menu or a dialog it has not left.
    onBlur: ({ relatedTarget }: FocusEvent) => {
      if (relatedTarget && keyOf(relatedTarget) !== key && !relatedTarget.closest('[role=menu], [role=dialog]')) setChosen((known) => (known === key ? null : known))
    },
    onTouchStart: () => { press.current = setTimeout(() => { setChosen(key); navigator.vibrate?.(10) }, LONG_PRESS_MS) },
    onTouchEnd: release,
    onTouchMove: release,
  })
  const onPointerDown = ({ pointerType, target }: PointerEvent) => {
    if (pointerType === 'touch' && !menuOpen && keyOf(target) !== chosen) setChosen(null)
  }
  return { active: hovered ?? chosen, focused, setFocused, menuOpen, setMenuOpen, handlers, onPointerDown }
}
