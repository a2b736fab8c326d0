// Takes the pictures of docs/images anew: `node tests/js/bench/pictures.mjs [binary]`. Look at them before they are kept.
import fs from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { launch } from '../chromium.mjs'
import { startDemo } from './demo.mjs'

const images = fileURLToPath(new URL('../../../docs/images/', import.meta.url))
const { url, stop } = await startDemo(process.argv[2] ?? 'target/release/dovetail')
const browser = await launch()

async function keep(page, name) {
  // Away from whatever it would light up.
  await page.mouse.move(700, 3)
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))))
  const png = (await page.screenshot()).toString('base64')
  const blank = await browser.newPage()
  const webp = await blank.evaluate(async (data) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob())
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
    canvas.getContext('2d').drawImage(bitmap, 0, 0)
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.85 })
    return [...new Uint8Array(await blob.arrayBuffer())]
  }, png)
  await blank.close()
  await fs.writeFile(`${images}${name}.webp`, Buffer.from(webp))
}

const context = async (options) => (await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', timezoneId: 'Europe/Berlin', reducedMotion: 'reduce', ...options })).newPage()
const composer = (page) => page.locator('.dt-thread-main .dt-composer textarea')
const bubble = (page, text) => page.locator('[data-testid=bubble]').filter({ hasText: text })

async function signedIn(who, options) {
  const page = await context(options)
  await page.goto(`${url}/chat/`)
  await page.getByRole('button', { name: who }).click()
  // The last row is drawn when all are measured.
  await page.locator('.dt-conversation').filter({ hasText: 'Welcome' }).waitFor()
  return page
}
const opened = async (page, name) => {
  await page.locator('.dt-conversation').filter({ hasText: name }).first().click()
  await page.locator('.dt-thread[data-live=true]').waitFor({ state: 'attached' })
}
const say = async (page, text, to) => {
  await composer(page).fill(text)
  await composer(page).press('Enter')
  await bubble(to, text).waitFor()
}

try {
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
  const emma = await signedIn(/Emma Brown/, {})
  const claire = await signedIn(/Claire Dubois/, {})
  await opened(emma, 'Claire Dubois')
  await opened(claire, 'Emma Brown')
  await say(emma, 'Do we need a reservation for the train to Sintra?', claire)
  await say(claire, 'No, it goes every 20 minutes. I would take the one at nine.', emma)
  await bubble(claire, 'reservation for the train').hover()
  await claire.locator('.dt-bar').getByRole('button', { name: /👍/ }).click()
  await claire.locator('.dt-receipt').filter({ hasText: 'Seen' }).waitFor()

  const guest = await context({ viewport: { width: 900, height: 640 } })
  await guest.goto(`${url}/widget/demo.html`)
  await guest.getByTestId('launcher').click()
  const field = guest.getByTestId('window').locator('textarea')
  await field.fill('Which tram goes up to the castle?')
  await field.press('Enter')
  await claire.locator('.dt-conversation').filter({ hasText: 'Which tram' }).locator('.dt-dot-online').waitFor()
  await keep(claire, 'chat')
  await opened(claire, 'Which tram')
  await say(claire, 'The 28, from Martim Moniz. Sit on the right.', guest)
  await bubble(guest, 'The 28').waitFor()
  await keep(guest, 'chat-widget')
  const small = await context({ ...phone, viewport: { width: 390, height: 700 }, deviceScaleFactor: 2, colorScheme: 'dark' })
  await small.goto(`${url}/widget/demo.html`)
  await small.getByTestId('launcher').tap()
  await bubble(small, 'The 28').waitFor()
  await keep(small, 'chat-widget-phone')

  const dark = await signedIn(/Emma Brown/, { colorScheme: 'dark' })
  await opened(dark, 'every 20')
  await bubble(dark, 'every 20 minutes').hover()
  await dark.locator('.dt-bar').getByRole('button', { name: /thread/i }).click()
  const side = dark.locator('.dt-side textarea')
  await side.fill('Nine it is. Thank you!')
  await side.press('Enter')
  await dark.locator('.dt-side').getByTestId('bubble').filter({ hasText: 'Nine it is' }).waitFor()
  await dark.getByText('No replies yet').waitFor({ state: 'detached' })
  await keep(dark, 'chat-thread-dark')

  const pocket = await signedIn(/Emma Brown/, phone)
  await keep(pocket, 'chat-phone-list')
  await opened(pocket, 'Nine it is')
  await bubble(pocket, 'every 20 minutes').waitFor()
  await keep(pocket, 'chat-phone')

  const german = await signedIn(/Claire Dubois/, { locale: 'de-DE' })
  await german.getByTestId('list-search').fill('Sintra')
  await german.locator('.dt-search-messages').click()
  await german.locator('.dt-hit').first().waitFor()
  await keep(german, 'chat-search-de')
} finally {
  await browser.close()
  await stop()
}
