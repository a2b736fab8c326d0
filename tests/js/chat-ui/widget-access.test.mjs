// The widget for everybody: with the keyboard alone, with a screen reader, in the dark, on a phone, in another language.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findings } from './axe.mjs'
import { say } from './people.mjs'
import { bubble, conversationOf, field, launcher, link, open, until, visit, write } from './widget-support.mjs'

/** What has the focus inside of the widget: its name. */
const focused = (page) => page.evaluate(() => {
  const at = document.activeElement?.shadowRoot?.activeElement
  return at ? (at.getAttribute('aria-label') ?? at.textContent) : document.activeElement?.tagName
})

async function talk(guest) {
  const conversation = await conversationOf(guest)
  const first = await say(guest.ada, conversation, 'See https://example.com/lisbon, it is lovely')
  await guest.ada.rpc('toggle_reaction', { message_id: first.id, emoji: '👍' })
  await say(guest.ada, conversation, '', { attachments: [{ name: 'plan.pdf', url: 'https://example.com/plan.pdf', mime_type: 'application/pdf', size: 1000 }] })
  return conversation
}

describe('axe finds nothing serious', () => {
  for (const colorScheme of ['light', 'dark']) {
    test(`in ${colorScheme}`, async (t) => {
      const guest = await link()
      const page = await visit(t, guest, { colorScheme, reducedMotion: 'reduce' })
      await launcher(page).waitFor()
      assert.deepEqual(await findings(page), [], 'closed')
      await open(page)
      await page.getByText('Send a message to your advisor').waitFor()
      assert.deepEqual(await findings(page), [], 'empty')
      await talk(guest)
      await write(page, 'An answer')
      await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
      await bubble(page, 'it is lovely').hover()
      await page.getByRole('button', { name: 'React', exact: true }).first().click()
      await page.getByTestId('picker').waitFor()
      assert.deepEqual(await findings(page), [], 'with messages')
      await page.fine()
    })
  }
})

describe('with the keyboard alone', () => {
  test('open, write, send, move, react, close; the focus comes back', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, { body: '<a href="#before">Before</a>' })
    await launcher(page).waitFor()
    const conversation = await conversationOf(guest)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    assert.equal(await focused(page), 'Open chat with Ada Vance')
    assert.notEqual(await launcher(page).evaluate((e) => getComputedStyle(e).outlineStyle), 'none')
    await page.keyboard.press('Enter')
    await until('the field has the focus', async () => (await focused(page)) === 'Write a message' || focused(page))
    await page.keyboard.type('Line one')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('line two')
    await page.keyboard.press('Enter')
    await bubble(page, 'Line one\nline two').waitFor()
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    await say(guest.ada, conversation, 'A nice question')
    await bubble(page, 'A nice question').waitFor()
    await page.keyboard.press('Shift+Tab')
    assert.equal(await focused(page), 'Attach files')
    await page.keyboard.press('Shift+Tab')
    assert.equal(await focused(page), 'Messages')
    await page.keyboard.press('ArrowUp')
    assert.match(await focused(page), /^Ada Vance, /)
    await page.keyboard.press('ArrowUp')
    assert.match(await focused(page), /^You, /)
    await page.keyboard.press('End')
    await page.keyboard.press('Enter')
    await until('the first emoji has the focus', async () => (await focused(page)) === 'React with ❤️' || focused(page))
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Enter')
    await page.getByTestId('reaction').filter({ hasText: '👍' }).waitFor()
    assert.match(await focused(page), /^Ada Vance, /)
    await page.keyboard.press('Enter')
    await page.getByTestId('picker').waitFor()
    await page.keyboard.press('Escape')
    await page.getByTestId('picker').waitFor({ state: 'detached' })
    await page.getByTestId('window').waitFor()
    await page.keyboard.press('Escape')
    await page.getByTestId('window').waitFor({ state: 'detached' })
    assert.equal(await focused(page), 'Open chat with Ada Vance')
    await page.fine()
  })

  test('shortcuts of the page do not go off while somebody writes', async (t) => {
    const page = await visit(t, await link())
    await page.evaluate(() => { window.keys = 0; document.addEventListener('keydown', () => { window.keys++ }) })
    await open(page)
    await field(page).pressSequentially('search?')
    assert.equal(await page.evaluate(() => window.keys), 0)
  })

  test('roles and names: a dialog, a log, a region that is read aloud', async (t) => {
    const page = await visit(t, await link())
    await open(page)
    await page.getByRole('dialog', { name: 'Chat with Ada Vance' }).waitFor()
    await page.getByRole('log', { name: 'Messages' }).waitFor()
    assert.equal(await page.getByTestId('aloud').getAttribute('aria-live'), 'polite')
    assert.equal(await launcher(page).getAttribute('aria-expanded'), 'true')
  })
})

describe('on a phone', () => {
  const phone = { viewport: { width: 390, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }

  test('it fills the screen, brings up no keyboard by itself, and keeps Tab inside', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, phone)
    await launcher(page).waitFor()
    await launcher(page).tap()
    await page.getByTestId('window').waitFor()
    await until('it fills the screen', () => page.getByTestId('window').evaluate((e) => { const { x, y, width, height } = e.getBoundingClientRect(); return (x === 0 && y === 0 && width === 390 && height === 740) || [x, y, width, height] }))
    assert.equal(await launcher(page).isVisible(), false)
    assert.equal(await focused(page), 'Chat with Ada Vance')
    assert.ok(Number.parseFloat(await field(page).evaluate((e) => getComputedStyle(e).fontSize)) >= 16, 'a phone would zoom in')
    for (let n = 0; n < 8; n++) {
      await page.keyboard.press('Tab')
      assert.notEqual(await focused(page), 'BODY')
      assert.notEqual(await focused(page), 'HTML')
    }
    await page.getByTestId('close').tap()
    await launcher(page).waitFor()
    await page.fine()
  })

  test('a long press brings up the reactions', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, phone)
    await launcher(page).waitFor()
    await say(guest.ada, await conversationOf(guest), 'Press me')
    await launcher(page).tap()
    await bubble(page, 'Press me').dispatchEvent('pointerdown', { pointerType: 'touch' })
    await page.getByTestId('picker').waitFor()
    const box = await page.getByTestId('picker').boundingBox()
    assert.ok(box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box))
    await page.getByTestId('picker').getByRole('button', { name: 'React with 😂' }).tap()
    await page.getByTestId('reaction').filter({ hasText: '😂' }).waitFor()
    await page.fine()
  })
})

describe('as the reader wishes', () => {
  test('who asks for less motion gets none', async (t) => {
    const page = await visit(t, await link(), { reducedMotion: 'reduce' })
    await open(page)
    assert.equal(await page.getByTestId('window').evaluate((e) => getComputedStyle(e).animationName), 'none')
    assert.equal(await launcher(page).evaluate((e) => getComputedStyle(e).transitionProperty), 'none')
  })

  test('German, from the page\'s own language', async (t) => {
    const page = await visit(t, await link(), { lang: 'de' })
    await open(page)
    await page.getByText('Betrifft: Lisbon in May').waitFor()
    assert.equal(await field(page).getAttribute('placeholder'), 'Nachricht schreiben')
  })

  test('from right to left it is on the left', async (t) => {
    const page = await visit(t, await link(), { dir: 'rtl', lang: 'ar' })
    await open(page)
    const box = await launcher(page).boundingBox()
    assert.equal(Math.round(box.x + box.width / 2), 52)
    const shown = await page.getByTestId('window').boundingBox()
    assert.equal(Math.round(shown.x), 24)
    await write(page, 'مرحبا')
    await bubble(page, 'مرحبا').waitFor()
    await page.fine()
  })

  test('a page that is not as high as the window', async (t) => {
    const page = await visit(t, await link(), { viewport: { width: 1000, height: 420 }, reducedMotion: 'reduce' })
    await open(page)
    const box = await page.getByTestId('window').boundingBox()
    assert.ok(box.y >= 0 && box.height > 250, JSON.stringify(box))
  })
})
