// What <script src=".../widget.js" data-subject-id data-share-token async> runs.
import { define, setOrigin, type DovetailChatElement } from './element.ts'
import { mount, type MountOptions } from './index.ts'

const METHODS = ['open', 'close', 'toggle', 'identify', 'setUser', 'end', 'setTheme', 'setLocale', 'on'] as const

type Global = { mount: typeof mount; element: DovetailChatElement | null } & Pick<DovetailChatElement, (typeof METHODS)[number]>

const script = document.currentScript instanceof HTMLScriptElement ? document.currentScript : null
if (script?.src) setOrigin(new URL(script.src).origin)
define()

const options = { ...script?.dataset } as Partial<MountOptions>
const page = globalThis as unknown as { DovetailChat?: Global }

// A page that includes it twice has it once.
if (!page.DovetailChat) {
  const global = {
    mount,
    get element() {
      return document.querySelector<DovetailChatElement>('dovetail-chat')
    },
  } as Global
  for (const method of METHODS) {
    (global as unknown as Record<string, unknown>)[method] = (...given: never[]) => (global.element?.[method] as ((...all: never[]) => unknown) | undefined)?.(...given)
  }
  page.DovetailChat = global
}

function begin(): void {
  if (!options.subjectId || document.querySelector('dovetail-chat')) return
  mount({ ...options, subjectId: options.subjectId, shareToken: options.shareToken ?? '' })
}

if (document.body) begin()
else document.addEventListener('DOMContentLoaded', begin, { once: true })
