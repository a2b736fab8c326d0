// Everything that is shown, in one value: what the library's reducers keep, and the widget's own few things.
import { EMPTY, reduce, type Event, type State } from '@dovetail/chat/state'
import type { Complaint } from './files.ts'
import type { Session } from './tokens.ts'

export interface View {
  /** Nothing is shown until there is a session. Closed: the server has ended it while the page was open. Ended: the guest has. */
  phase: 'absent' | 'ready' | 'closed' | 'ended'
  session: Session | null
  open: boolean
  unread: number
  connection: 'online' | 'reconnecting' | 'offline'
  /** The last message that came while the window was closed, next to the button. */
  peek: { name: string; text: string } | null
  /** What a screen reader says. */
  said: string
  /** Why a file was not taken. */
  complaint: Complaint | null
  /** Whether the focus was in the window that was closed: it goes back to the button. */
  hadFocus: boolean
  draft: string
  /** Asked who they are, and answered, or did not want to. */
  introduced: boolean
  /** Asked whether the chat is to end. */
  ending: boolean
  /** Keys of files that are chosen and not sent yet. */
  files: string[]
  state: State
}

export class Store {
  view: View = {
    phase: 'absent', session: null, open: false, unread: 0, connection: 'online', peek: null, said: '', complaint: null, hadFocus: false, draft: '', introduced: false, ending: false, files: [], state: EMPTY,
  }

  private planned = false

  constructor(private readonly changed: () => void) {}

  get state(): State {
    return this.view.state
  }

  set(change: Partial<View>): void {
    this.view = { ...this.view, ...change }
    if (this.planned) return
    this.planned = true
    // Several changes of one moment are drawn once.
    queueMicrotask(() => {
      this.planned = false
      this.changed()
    })
  }

  dispatch = (event: Event): void => {
    const state = reduce(this.view.state, event)
    if (state !== this.view.state) this.set({ state })
  }
}
