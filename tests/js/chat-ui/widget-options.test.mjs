// What a page may ask of the widget: hours, a form before the chat, its own words and colours; and what the page does not notice.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findings } from './axe.mjs'
import { say } from './people.mjs'
import { bubble, conversationOf, field, launcher, link, open, until, visit, write } from './widget-support.mjs'

const metadata = async (guest) => (await guest.ada.rpc('get_messages', { conversation_id: await conversationOf(guest) })).messages.map((m) => m.metadata)
const away = (page) => page.getByTestId('away')
const form = (page) => page.getByTestId('form')
const style = (locator, name) => locator.evaluate((e, property) => getComputedStyle(e).getPropertyValue(property), name)

describe('hours', () => {
  // The browser is in Berlin, the office in New York, which is six hours behind.
  const data = { 'data-hours': 'Mo-Fr 09:00-17:00, Sa 10:00-13:00', 'data-time-zone': 'America/New_York' }
  const at = (time) => ({ data, before: (page) => page.clock.install({ time: new Date(time) }) })

  for (const [when, time, said] of [
    ['before they begin', '2026-11-25T12:00:00Z', 'We answer from today 3:00 PM.'],
    ['after they end', '2026-11-25T22:00:00Z', 'We answer from tomorrow 3:00 PM.'],
    ['over a weekend', '2026-11-28T18:00:00Z', 'We answer from Monday 3:00 PM.'],
    // The clocks of New York change in the night to Sunday, those of Berlin have a week before.
    ['over a change of clocks', '2026-10-31T18:00:00Z', 'We answer from Monday 3:00 PM.'],
  ]) {
    test(`${when} the guest reads when somebody answers, and can write all the same`, async (t) => {
      const page = await visit(t, await link(), at(time))
      await open(page)
      await away(page).filter({ hasText: said }).waitFor()
      await write(page, 'For tomorrow')
      await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
      await page.fine()
    })
  }

  test('the word comes when they end and goes when they begin, while the page is open', async (t) => {
    const page = await visit(t, await link(), at('2026-11-25T21:59:00Z'))
    await open(page)
    assert.equal(await away(page).count(), 0)
    await page.clock.fastForward('02:00')
    await away(page).waitFor()
    await page.clock.fastForward('16:00:00')
    await away(page).waitFor({ state: 'detached' })
    await page.fine()
  })

  test('who is there in spite of the hour is not said to be away', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, at('2026-11-28T18:00:00Z'))
    await open(page)
    await away(page).waitFor()
    await guest.ada.rpc('touch_presence', { is_online: true })
    await away(page).waitFor({ state: 'detached' })
    await page.fine()
  })

  test('over midnight, in German, and in the page\'s own words', async (t) => {
    const guest = await link()
    const night = { 'data-hours': 'Su 22:00-02:00', 'data-time-zone': 'Europe/Berlin' }
    const page = await visit(t, guest, { lang: 'de', data: night, before: (p) => p.clock.install({ time: new Date('2026-11-30T00:30:00Z') }) })
    await open(page)
    assert.equal(await away(page).count(), 0, 'half past one on Monday')
    await page.clock.fastForward('01:00:00')
    await away(page).filter({ hasText: 'Wir antworten ab Sonntag 22:00.' }).waitFor()
    await page.evaluate(() => document.querySelector('dovetail-chat').setAttribute('away', '<b>Morgen</b> wieder'))
    await away(page).filter({ hasText: /^<b>Morgen<\/b> wieder$/ }).waitFor()
    await page.fine()
  })

  test('what makes no sense is left out, and the page is told', async (t) => {
    const page = await visit(t, await link(), { data: { 'data-hours': 'Mo-Fr 9 to 5', 'data-ask': 'name shoe-size', 'data-colour': 'url(x)', 'data-texts': '{' }, before: (p) => p.addInitScript(() => {
      window.told = []
      addEventListener('load', () => window.DovetailChat?.on('error', (e) => window.told.push(e.message)))
    }) })
    await open(page)
    await field(page).waitFor()
    assert.equal(await away(page).count(), 0)
    assert.equal(await style(launcher(page), 'background-color'), 'rgb(0, 122, 255)')
    await until('the page is told', async () => {
      const told = await page.evaluate(() => window.told)
      return ['texts', 'hours', 'ask', 'colour'].every((name) => told.includes(`the attribute ${name} cannot be understood`)) || told
    })
    await page.fine()
  })
})

describe('a form before the chat', () => {
  const data = { 'data-ask': 'name email?' }

  test('by keyboard: what is missing is said, and the answers go with the first message', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, { data })
    await launcher(page).focus()
    await page.keyboard.press('Enter')
    const [name, email] = [page.getByLabel('Your name'), page.getByLabel('Your e-mail address (optional)')]
    await until('the first field has the focus', () => name.evaluate((e) => e.getRootNode().activeElement === e))
    assert.equal(await field(page).count(), 0)
    await page.keyboard.press('Enter')
    await page.getByRole('alert').filter({ hasText: 'Please fill this in.' }).waitFor()
    assert.equal(await name.getAttribute('aria-invalid'), 'true')
    await page.keyboard.type('Cleo <b>Marsh</b>')
    await page.keyboard.press('Tab')
    await page.keyboard.type('cleo at example')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').filter({ hasText: 'This is not an e-mail address.' }).waitFor()
    assert.equal(await email.evaluate((e) => e.getRootNode().activeElement === e), true)
    await email.fill('cleo@example.com')
    await page.keyboard.press('Enter')
    await until('the focus is where one writes', () => field(page).evaluate((e) => e.getRootNode().activeElement === e))
    // Kept over a reload, and asked no more.
    await page.reload()
    await field(page).waitFor()
    await write(page, 'Hello')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    await write(page, 'And more')
    await until('both have arrived', async () => (await metadata(guest)).length === 2)
    assert.deepEqual(await metadata(guest), [{ visitor: { name: 'Cleo <b>Marsh</b>', email: 'cleo@example.com' } }, {}])
    await page.fine()
  })

  test('who has written before is not asked, in another tab neither', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'I was here')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    const other = await visit(t, guest, { data })
    await open(other)
    await field(other).waitFor()
    assert.equal(await form(other).count(), 0)
    await other.fine()
  })

  test('on a phone it brings up no keyboard by itself, and keeps Tab inside', async (t) => {
    const page = await visit(t, await link(), { data, viewport: { width: 390, height: 740 }, hasTouch: true, isMobile: true })
    await launcher(page).tap()
    await form(page).waitFor()
    const at = () => page.evaluate(() => { const e = document.activeElement?.shadowRoot?.activeElement; return e?.id || e?.dataset.testid || e?.textContent || e?.getAttribute('aria-label') || '' })
    assert.equal(await at(), 'window')
    const seen = []
    for (let n = 0; n < 6; n++) {
      await page.keyboard.press('Tab')
      seen.push(await at())
    }
    assert.deepEqual(seen, ['close', 'log', 'field-name', 'field-email', 'Start chat', 'close'])
    await page.keyboard.press('Shift+Tab')
    assert.equal(await at(), 'Start chat')
    await page.fine()
  })

  test('what the page knows is not asked', async (t) => {
    const page = await visit(t, await link(), { data: { 'data-ask': 'name email' } })
    await launcher(page).waitFor()
    await page.evaluate(() => { window.DovetailChat.identify({ name: 'Cleo' }); window.DovetailChat.open() })
    await page.getByLabel('Your e-mail address').waitFor()
    assert.equal(await page.getByLabel('Your name').count(), 0)
    await page.evaluate(() => window.DovetailChat.setUser({ email: 'cleo@example.com' }))
    await field(page).waitFor()
    await page.fine()
  })
})

describe('axe finds nothing serious in form, hours and end', () => {
  for (const [colorScheme, lang, dir] of [['light', 'en', 'ltr'], ['dark', 'de', 'rtl']]) {
    test(`${colorScheme}, ${lang}, ${dir}`, async (t) => {
      const data = { 'data-ask': 'name email?', 'data-hours': 'Mo 09:00-09:01', 'data-away': 'Nobody is here' }
      const page = await visit(t, await link(), { data, colorScheme, lang, dir, reducedMotion: 'reduce' })
      await launcher(page).click()
      await form(page).waitFor()
      assert.equal(await style(page.getByTestId('window'), 'background-color'), colorScheme === 'dark' ? 'rgb(23, 23, 26)' : 'rgb(255, 255, 255)')
      const [label, box] = [form(page).locator('label').first(), form(page)].map((l) => l.evaluate((e) => e.getBoundingClientRect().toJSON()))
      const side = dir === 'rtl' ? 'right' : 'left'
      assert.ok(Math.abs((await label)[side] - (await box)[side]) < 20, 'labels begin where lines begin')
      await form(page).getByRole('button').click()
      await form(page).getByRole('alert').waitFor()
      assert.deepEqual(await findings(page), [], 'the form')
      await form(page).locator('input').first().fill('Cleo')
      await form(page).getByRole('button').click()
      await write(page, 'Hello')
      await page.getByTestId('end').click()
      await page.getByTestId('ending').waitFor()
      assert.deepEqual(await findings(page), [], 'the question')
      await page.getByTestId('ending').getByRole('button').first().click()
      await page.getByTestId('ended').waitFor()
      assert.deepEqual(await findings(page), [], 'the end')
      await page.fine()
    })
  }
})

describe('how it looks and what it says', () => {
  test('side, colour and words are the page\'s; text on a light colour is dark', async (t) => {
    const texts = JSON.stringify({ empty: 'Ask <i>us</i>', nothing: 'x' })
    const page = await visit(t, await link(), { data: { 'data-position': 'left', 'data-colour': '#fc0', 'data-texts': texts, 'data-greeting': 'Good day!' }, head: '<style>:root { --colour: red; --colour-text: red }</style>' })
    await open(page)
    await page.getByText('Ask <i>us</i>', { exact: true }).waitFor()
    await page.getByTestId('greeting').filter({ hasText: 'Good day!' }).waitFor()
    await write(page, 'Good evening')
    await page.getByTestId('receipt').waitFor()
    assert.ok(await page.getByTestId('greeting').isVisible(), 'it stays above what is said')
    assert.equal(await style(launcher(page), 'background-color'), 'rgb(255, 204, 0)')
    assert.equal(await style(launcher(page), 'color'), 'rgb(0, 0, 0)')
    // A button under the mouse is a little larger.
    await page.mouse.move(500, 300)
    const left = async (locator) => Math.round((await locator.boundingBox()).x)
    await until('both are on the left', async () => ((await left(launcher(page))) === 24 && (await left(page.getByTestId('window'))) === 24))
    await page.evaluate(() => document.querySelector('dovetail-chat').removeAttribute('colour'))
    await until('the colour is ours again', async () => (await style(launcher(page), 'background-color')) === 'rgb(0, 122, 255)')
    await page.evaluate(() => {
      const { style } = document.querySelector('dovetail-chat')
      style.setProperty('--dovetail-colour', '#006644')
      style.setProperty('--dovetail-offset', '40px')
    })
    await until('what the variables say', async () => ((await style(launcher(page), 'background-color')) === 'rgb(0, 102, 68)' && (await left(launcher(page))) === 40))
    await page.fine()
  })

  test('language of the browser where the page has none, and its dark where nothing else is said', async (t) => {
    const page = await visit(t, await link(), { lang: '', locale: 'de-AT', colorScheme: 'dark' })
    await open(page)
    await page.getByText('Schreiben Sie eine Nachricht').waitFor()
    assert.equal(await style(page.getByTestId('window'), 'background-color'), 'rgb(23, 23, 26)')
    await page.evaluate(() => window.DovetailChat.setTheme('light'))
    await until('light, as the page says', async () => (await style(page.getByTestId('window'), 'background-color')) === 'rgb(255, 255, 255)')
    await page.fine()
  })
})

describe('what the page does not notice', () => {
  test('nothing of it moves, from the first paint to the end of a conversation', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, {
      // In the middle of the page, so that it moves when anything is put beside it.
      head: '<style>body { display: flex; flex-direction: column; justify-content: center; min-height: 90vh }</style>', body: '<h1>A page</h1><p>Text</p>', before: (p) => p.addInitScript(() => {
      window.shifts = []
      new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => e.startTime))).observe({ type: 'layout-shift', buffered: true })
    }) })
    const painted = () => page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)) }))
    await launcher(page).waitFor()
    await say(guest.ada, await conversationOf(guest), 'Hello')
    await page.getByTestId('peek').waitFor()
    // By script: what follows a click at once is not counted.
    await page.evaluate(() => window.DovetailChat.open())
    await bubble(page, 'Hello').waitFor()
    await painted()
    await page.evaluate(() => window.DovetailChat.close())
    await page.getByTestId('window').waitFor({ state: 'detached' })
    await painted()
    // What does move is seen, so that nothing seen means that nothing moved.
    const before = await page.evaluate(() => {
      document.body.prepend(Object.assign(document.createElement('div'), { textContent: 'An advertisement' }))
      return performance.now()
    })
    await until('a shift is seen', () => page.evaluate(() => window.shifts.length > 0))
    assert.deepEqual((await page.evaluate(() => window.shifts)).filter((at) => at < before), [])
  })

  test('what is not the button comes after it', async (t) => {
    const page = await visit(t, await link(), { before: (p) => p.addInitScript(() => {
      const look = () => (document.querySelector('dovetail-chat')?.shadowRoot?.querySelector('.launcher') ? requestAnimationFrame((at) => { window.painted = at }) : requestAnimationFrame(look))
      look()
    }) })
    await page.waitForRequest(/rpc\/get_messages/)
    await until('realtime is loaded', () => page.evaluate(() => performance.getEntriesByType('resource').some((e) => e.name.endsWith('/realtime.mjs'))))
    const early = await page.evaluate(() => performance.getEntriesByType('resource').filter((e) => e.startTime < window.painted).map((e) => new URL(e.name).pathname))
    assert.deepEqual(early, ['/widget.js', '/chat/v1/guest-token'])
    await page.fine()
  })
})
