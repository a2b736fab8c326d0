// What lies beside the script: no more of the library than is used.
export { RealtimeClient } from '@supabase/realtime-js'
