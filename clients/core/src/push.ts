// Push messages of this browser. Permission is asked for only after a gesture, so by whoever calls `enable`.
import { call, type Context } from './context.ts'
import { Problem } from './problem.ts'

export type PushState = 'unsupported' | 'denied' | 'off' | 'on'

const supported = () => typeof Notification !== 'undefined' && 'serviceWorker' in navigator && 'PushManager' in globalThis

export class Push {
  constructor(private readonly context: Context, private readonly vapidPublicKey: string | null) {}

  async state(): Promise<PushState> {
    if (!supported() || !this.vapidPublicKey) return 'unsupported'
    if (Notification.permission === 'denied') return 'denied'
    const worker = await navigator.serviceWorker.getRegistration()
    return (await worker?.pushManager.getSubscription()) ? 'on' : 'off'
  }

  async enable(): Promise<PushState> {
    if (!supported() || !this.vapidPublicKey) return 'unsupported'
    if ((await Notification.requestPermission()) !== 'granted') return this.state()
    const worker = await navigator.serviceWorker.ready
    const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(this.vapidPublicKey) })
    const { endpoint, keys } = made.toJSON()
    if (!endpoint || !keys?.p256dh || !keys.auth) throw new Problem('the browser gave no keys', 'push', false)
    await call(this.context, 'register_push', { endpoint, p256dh: keys.p256dh, auth: keys.auth, user_agent: navigator.userAgent.slice(0, 500) })
    return 'on'
  }

  async disable(): Promise<PushState> {
    const worker = await navigator.serviceWorker.getRegistration()
    const known = await worker?.pushManager.getSubscription()
    if (known) {
      await call(this.context, 'unregister_push', { endpoint: known.endpoint })
      await known.unsubscribe()
    }
    return this.state()
  }
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const plain = atob(base64url.replace(/-/g, '+').replace(/_/g, '/'))
  const made = new Uint8Array(plain.length)
  for (let i = 0; i < plain.length; i++) made[i] = plain.charCodeAt(i)
  return made
}
