// What the page sets by attributes, besides who it is about.
import { Hours } from './hours.ts'
import { language, type Language, type Overrides } from './texts.ts'

export type Field = { name: 'name' | 'email'; optional: boolean }

export interface Settings {
  language: Language
  /** Shown while there are no messages. */
  greeting: string
  hours: Hours | null
  /** Shown outside of the hours instead of a text of ours. */
  away: string
  /** What a guest is asked before the first message. */
  ask: Field[]
  /** Of the button, of what one sends, and of the text on both. */
  colours: { colour: string; text: string } | null
}

/** "name email?": the question mark says that it may be left out. */
function fields(text: string): Field[] | null {
  const found: Field[] = []
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const name = word.replace('?', '')
    if (name !== 'name' && name !== 'email') return null
    found.push({ name, optional: word.endsWith('?') })
  }
  return found
}

/** Contrast of text (WCAG 2.1). */
const AA = 4.5

/** White where it can be read, otherwise black. */
function textOn(colour: string): string {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
  const white = 1.05 / (light + 0.05)
  return white >= AA || white >= (light + 0.05) / 0.05 ? '#ffffff' : '#000000'
}

function colours(text: string): Settings['colours'] {
  const short = /^#([\da-f])([\da-f])([\da-f])$/i.exec(text)
  const colour = short ? `#${short.slice(1).map((digit) => digit + digit).join('')}` : text
  return /^#[\da-f]{6}$/i.test(colour) ? { colour, text: textOn(colour) } : null
}

function overrides(text: string): Overrides | null {
  try {
    const given = JSON.parse(text) as unknown
    return typeof given === 'object' && given !== null ? (given as Overrides) : null
  } catch {
    return null
  }
}

/** Attributes that make no sense are left out, and the page is told which. */
export function settingsOf(element: HTMLElement, wrong: (attribute: string) => void): Settings {
  const text = (name: string) => element.getAttribute(name)?.trim() ?? ''
  const read = <T>(name: string, reader: (given: string) => T | null): T | null => {
    const given = text(name)
    const value = given ? reader(given) : null
    if (given && value === null) wrong(name)
    return value
  }
  return {
    language: language(text('locale') || document.documentElement.lang || navigator.language, read('texts', overrides) ?? {}),
    greeting: text('greeting'),
    away: text('away'),
    hours: read('hours', (given) => Hours.read(given, text('time-zone') || undefined)),
    ask: read('ask', fields) ?? [],
    colours: read('colour', colours),
  }
}
