// What the page is told, and what it says.

export interface Told {
  ready: { conversationId: string }
  open: undefined
  close: undefined
  message: { id: string; text: string; own: boolean; at: string }
  unread: { count: number }
  /** The guest has ended the chat. */
  end: undefined
  error: { status: number; code: string; message: string }
}

export interface Options {
  url: string
  subject: string
  shareToken: string
  anonKey: string | null
  tell: <K extends keyof Told>(event: K, detail: Told[K]) => void
  changed: () => void
  /** Whether the focus is in the widget. */
  hasFocus: () => boolean
}
