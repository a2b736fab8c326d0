// In the script build, in place of realtime.ts: a script is one file, so the library lies beside it.
const script = document.currentScript
const address = script instanceof HTMLScriptElement ? new URL('widget/realtime.mjs', script.src).href : ''

export const loadRealtime = (): Promise<typeof import('@supabase/realtime-js')> => import(/* @vite-ignore */ address)
