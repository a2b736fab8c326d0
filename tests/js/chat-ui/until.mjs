import assert from 'node:assert/strict'

/** Waits until something is true; says what it was instead. */
export async function until(what, check, ms = 10_000) {
  const deadline = Date.now() + ms
  let seen
  do {
    seen = await check()
    if (seen === true) return
    await new Promise((done) => setTimeout(done, 50))
  } while (Date.now() < deadline)
  assert.fail(`${what}: ${JSON.stringify(seen)}`)
}
