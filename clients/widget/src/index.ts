// The guest's chat for pages that are built: import { mount } from '@dovetail/widget'.
import { define, DovetailChatElement, type Theme, type User } from './element.ts'

export interface MountOptions {
  /** Address of the server; that of the page, or of the script, where it is left out. */
  url?: string
  subjectId: string
  shareToken: string
  /** Public key, where a gateway in front of the server asks for it. */
  anonKey?: string
  locale?: string
  theme?: Theme
  position?: 'left' | 'right'
  /** Shown while there are no messages. */
  greeting?: string
  dir?: 'ltr' | 'rtl'
  /** When somebody answers, "Mo-Fr 09:00-17:00, Sa 10:00-13:00", in the time zone of who answers, and what is said at other times. */
  hours?: string
  timeZone?: string
  away?: string
  /** What a guest is asked before the first message: "name email?", where the question mark stands for an answer that may be left out. */
  ask?: string
  /** Of the button and of what the guest sends: #rgb or #rrggbb. */
  colour?: string
  /** Other words, as JSON, by the names of texts.ts. */
  texts?: string
}

const ATTRIBUTES: Record<keyof MountOptions, string> = {
  url: 'url', subjectId: 'subject-id', shareToken: 'share-token', anonKey: 'anon-key', locale: 'locale', theme: 'theme', position: 'position', greeting: 'greeting',
  dir: 'dir', hours: 'hours', timeZone: 'time-zone', away: 'away', ask: 'ask', colour: 'colour', texts: 'texts',
}

/** Puts the button into the page and gives the element, which has the methods. */
export function mount(options: MountOptions, parent: HTMLElement = document.body): DovetailChatElement {
  define()
  const element = document.createElement('dovetail-chat') as DovetailChatElement
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    const value = options[name as keyof MountOptions]
    if (value) element.setAttribute(attribute, value)
  }
  parent.append(element)
  return element
}

export { define, DovetailChatElement }
export type { Theme, User }
export type { Told } from './told.ts'
