// A short sound for what arrives elsewhere than before one's eyes.
import { useChat } from '@dovetail/chat-react'
import { useEffect } from 'react'

const QUIET_MS = 3000

function play(): void {
  const context = new AudioContext()
  const gain = context.createGain()
  gain.gain.setValueAtTime(0.08, context.currentTime)
  gain.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 0.35)
  gain.connect(context.destination)
  for (const [frequency, at] of [[660, 0], [880, 0.09]] as const) {
    const tone = context.createOscillator()
    tone.frequency.value = frequency
    tone.connect(gain)
    tone.start(context.currentTime + at)
    tone.stop(context.currentTime + 0.36)
  }
  setTimeout(() => void context.close(), 600)
}

export function useSound(): void {
  const chat = useChat()
  useEffect(() => {
    let wanted = false
    let last = Date.now()
    let before = chat.store.get().unreadTotal
    void chat.actions.preferences().then((p) => { wanted = p.sound }, () => {})
    return chat.store.subscribe(() => {
      const { unreadTotal } = chat.store.get()
      const more = unreadTotal > before
      before = unreadTotal
      // Browsers keep a page silent that nobody has touched.
      if (!more || !wanted || Date.now() - last < QUIET_MS || !navigator.userActivation?.hasBeenActive) return
      last = Date.now()
      play()
    })
  }, [chat])
}
