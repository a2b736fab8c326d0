// The widget in places that are not kind to it: strict policies, styles at war, HTML in names, a link that is switched off.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { fine, say, server, service } from './people.mjs'
import { bubble, built, conversationOf, field, launcher, link, open, scripts, texts, turn, until, visit, write } from './widget-support.mjs'

const strict = () => `default-src 'none'; script-src ${scripts()}; connect-src ${server} ${server.replace(/^http/, 'ws')}; img-src ${server} blob: data:; `
  + 'require-trusted-types-for \'script\'; trusted-types \'none\''

/** What somebody sees of the widget, in numbers. */
const look = (page) => page.evaluate(() => {
  const root = document.querySelector('dovetail-chat').shadowRoot
  const of = (selector) => {
    const element = root.querySelector(selector)
    const { width, height, right, bottom } = element.getBoundingClientRect()
    const s = getComputedStyle(element)
    return { width, height, right, bottom, font: s.fontSize, family: s.fontFamily, spacing: s.letterSpacing, transform: s.textTransform, colour: s.color, line: s.lineHeight, align: s.textAlign, cursor: s.cursor, shown: s.display, visible: s.visibility, box: s.boxSizing }
  }
  return Object.fromEntries(['.launcher', '.window', 'h2', 'textarea', '.send', '.bubble', '.log'].map((selector) => [selector, of(selector)]))
})

test('a strict policy of the page: no style element, no eval, nothing that is not trusted', async (t) => {
  const guest = await link()
  const page = await visit(t, guest, { policy: strict(), reducedMotion: 'reduce', data: { 'data-ask': 'name', 'data-colour': '#7a1f5c', 'data-hours': 'Mo 09:00-09:01' } })
  await open(page)
  await page.getByLabel('Your name').fill('Cleo')
  await page.getByRole('button', { name: 'Start chat' }).click()
  assert.equal(await launcher(page).evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(122, 31, 92)')
  await write(page, 'Under a policy')
  await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
  await say(guest.ada, await conversationOf(guest), 'Heard')
  await bubble(page, 'Heard').waitFor()
  const box = await page.getByTestId('window').boundingBox()
  assert.deepEqual([box.width, box.height], [360, 480])
  await page.fine()
})

test('a policy that allows one file only: messages come all the same, a little later', async (t) => {
  const guest = await link()
  const page = await visit(t, guest, { policy: strict().replace(scripts(), `${scripts()}/widget.js`) })
  await open(page)
  await say(guest.ada, await conversationOf(guest), 'Not live, but here')
  await bubble(page, 'Not live, but here').waitFor()
  assert.equal(await page.getByTestId('banner').count(), 0)
})

describe('styles of the page', () => {
  test('nothing of them comes through', async (t) => {
    const guest = await link()
    const looks = []
    const css = fs.readFileSync(path.join(built, 'demo.css'), 'utf8')
    for (const head of ['', `<style>${css}</style>`]) {
      const page = await visit(t, guest, { head, body: '<main><h1>Lisbon</h1></main><div class="greedy">Mine</div>', reducedMotion: 'reduce' })
      await launcher(page).click()
      if (looks.length === 0) await write(page, 'How do I look?')
      await bubble(page, 'How do I look?').waitFor()
      await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
      // A click at its place reaches it: it is above everything.
      await launcher(page).click()
      await page.getByTestId('window').waitFor({ state: 'detached' })
      await launcher(page).click()
      await page.mouse.move(5, 5)
      looks.push(await look(page))
      await page.fine()
      await page.close()
    }
    assert.deepEqual(looks[1], looks[0])
    assert.equal(looks[1]['.launcher'].width, 56)
    assert.equal(looks[1]['.window'].height, 480)
  })

  test('and nothing of its own goes out', async (t) => {
    const page = await visit(t, await link(), { body: '<h2>Title</h2><button class="launcher icon">Mine</button>' })
    const before = await page.evaluate(() => getComputedStyle(document.querySelector('h2')).fontSize + getComputedStyle(document.querySelector('.launcher')).width)
    await open(page)
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('h2')).fontSize + getComputedStyle(document.querySelector('.launcher')).width), before)
  })
})

test('HTML in names, subjects, messages and files is text', async (t) => {
  const html = '<img src=x onerror="window.hacked=1"><b>bold</b>'
  const guest = await link({ advisor: 'Eve <script>alert(1)</script>', subject: html })
  const page = await visit(t, guest)
  await launcher(page).waitFor()
  const conversation = await conversationOf(guest)
  await say(guest.ada, conversation, html)
  await say(guest.ada, conversation, 'javascript:alert(1) https://example.com/?q=<script>')
  await say(guest.ada, conversation, '', { attachments: [{ name: html, url: 'https://example.com/x.pdf', mime_type: 'application/pdf', size: 1 }] })
  await page.getByTestId('peek').filter({ hasText: '<' }).waitFor()
  await open(page)
  await bubble(page, html).waitFor()
  await page.getByText(`Re: ${html}`).waitFor()
  await page.getByText('Eve <script>alert(1)</script>').first().waitFor()
  const links = await page.getByTestId('window').locator('a').evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target]))
  assert.deepEqual(links.map(([href]) => href), ['https://example.com/?q=', 'https://example.com/x.pdf'])
  assert.ok(links.every(([, rel, target]) => rel.includes('noopener') && target === '_blank'))
  assert.equal(await page.evaluate(() => window.hacked), undefined)
  assert.equal(await page.getByTestId('window').locator('b, script').count(), 0)
  await page.fine()
})

describe('a link that is switched off while the page is open', () => {
  test('is said, what was not sent stays, and with the link the chat comes back', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'Before')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    await turn(guest, false)
    await write(page, 'Not sent any more')
    await page.getByTestId('closed').filter({ hasText: 'This chat has been closed.' }).waitFor()
    await page.getByText('Not delivered').waitFor()
    assert.deepEqual(await texts(page), ['Before', 'Not sent any more'])
    assert.equal(await field(page).getAttribute('readonly'), '')
    assert.equal(await page.getByTestId('send').isDisabled(), true)
    await turn(guest, true)
    await page.getByTestId('closed').getByRole('button', { name: 'Try again' }).click()
    await page.getByTestId('closed').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    assert.deepEqual(await texts(page), ['Before', 'Not sent any more'])
    await page.fine()
  })

  test('the button goes when nobody looks and nothing waits', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await launcher(page).waitFor()
    await until('it is connected', async () => (await service.from('client_chat_tokens').select('id').eq('client_id', guest.client)).data.length === 1)
    await turn(guest, false)
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await launcher(page).waitFor({ state: 'detached' })
    await page.fine()
  })
})

test('who writes more than a guest may in a minute waits, and loses nothing', async (t) => {
  const limit = async (count) => fine(await service.from('chat_settings').update({ guest_messages_per_minute: count }).not('guest_messages_per_minute', 'is', null))
  const { data: [{ guest_messages_per_minute: usual }] } = await service.from('chat_settings').select('guest_messages_per_minute')
  t.after(() => limit(usual))
  await limit(2)
  const guest = await link()
  const page = await visit(t, guest)
  await open(page)
  const refused = page.waitForResponse((response) => response.url().endsWith('/send_message') && response.status() === 429)
  for (const text of ['One', 'Two', 'Three']) await write(page, text)
  await refused
  assert.deepEqual(await texts(page), ['One', 'Two', 'Three'])
  assert.equal(await page.getByText('Not delivered').count(), 0)
  await limit(usual)
  await until('the third arrives', async () => (await guest.ada.rpc('get_messages', { conversation_id: await conversationOf(guest) })).messages.map((m) => m.content).join() === 'One,Two,Three')
  await page.fine()
})

test('a page that takes the element out and puts it back has it once', async (t) => {
  const guest = await link()
  const page = await visit(t, guest)
  await open(page)
  await page.evaluate(() => { const element = document.querySelector('dovetail-chat'); element.remove(); document.body.prepend(element) })
  await launcher(page).waitFor()
  assert.equal(await launcher(page).count(), 1)
  await page.evaluate(() => document.querySelector('dovetail-chat').remove())
  assert.equal(await launcher(page).count(), 0)
  await page.fine()
})
