// The Chromium of this machine.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { chromium } from 'playwright-core'

const PLACES = [
  '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

export function launch() {
  const executablePath = process.env.CHROME_BIN ?? PLACES.find((path) => fs.existsSync(path))
  assert.ok(executablePath, 'Chromium is missing: `scripts/ensure chromium` installs it')
  // Without a language, as on a bare machine, it cannot write names of files that have umlauts.
  return chromium.launch({ executablePath, env: { ...process.env, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' } })
}
