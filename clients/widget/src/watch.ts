// What happens to the page: the network comes and goes, somebody looks at it.

export interface Seen { online: () => void; offline: () => void; focus: () => void; visible: () => void }

export function watchPage(seen: Seen): () => void {
  const visible = () => { if (document.visibilityState === 'visible') seen.visible() }
  const all: [EventTarget, string, () => void][] = [
    [globalThis, 'online', seen.online], [globalThis, 'offline', seen.offline], [globalThis, 'focus', seen.focus], [document, 'visibilitychange', visible],
  ]
  for (const [target, event, run] of all) target.addEventListener(event, run)
  return () => { for (const [target, event, run] of all) target.removeEventListener(event, run) }
}
