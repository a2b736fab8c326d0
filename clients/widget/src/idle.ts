// Later, when it disturbs nobody.

const LATEST_MS = 1000

/** Calls once what was just rendered has been drawn and the page has nothing better to do, or after a second. */
export function afterPaint(what: () => void): void {
  const idle = () => {
    if ('requestIdleCallback' in globalThis) requestIdleCallback(what, { timeout: LATEST_MS })
    else setTimeout(what, 50)
  }
  // A page that is not shown draws nothing.
  if (document.visibilityState === 'hidden') idle()
  // The first comes before the button is drawn, the second behind it; the third lets a page that waits for a frame go first.
  else requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(idle)))
}
