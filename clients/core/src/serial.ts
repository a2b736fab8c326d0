/**
 * Runs one at a time. Asked for while it runs, it runs once more after that: what it was asked for may have come too late for the
 * run that was under way. `run` does not fail.
 */
export function serial(run: () => Promise<void>): () => void {
  let running = false
  let again = false
  const ask = () => {
    if (running) {
      again = true
      return
    }
    running = true
    void run().finally(() => {
      running = false
      if (!again) return
      again = false
      ask()
    })
  }
  return ask
}
