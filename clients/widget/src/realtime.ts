// The library that hears: loaded after the button is there. In a module build this is a chunk of its own.
export const loadRealtime = () => import('@supabase/realtime-js')
