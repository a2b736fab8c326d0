// Styles as objects: a page whose policy forbids style elements still has them.
import base from './styles/base.css?inline'
import bubble from './styles/bubble.css?inline'
import composer from './styles/composer.css?inline'
import theme from './styles/theme.css?inline'
import frame from './styles/window.css?inline'

const TEXT = [theme, base, frame, bubble, composer].join('\n')
let shared: CSSStyleSheet | null = null

export function sheets(root: ShadowRoot): void {
  if (root.adoptedStyleSheets?.length || root.querySelector('style')) return
  try {
    if (!shared) {
      shared = new CSSStyleSheet()
      shared.replaceSync(TEXT)
    }
    root.adoptedStyleSheets = [shared]
  } catch {
    // Safari before 16.4.
    const style = document.createElement('style')
    style.textContent = TEXT
    root.append(style)
  }
}
