// What one message shows and what can be done with it: its look, its links, its readers, its thread.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, ready, until, write } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

async function pair() {
  const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
  return { ana, ben, conversation: await direct(ana, ben) }
}

const choose = async (page, text, what) => {
  await bubble(page, text).hover()
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: what }).click()
}

describe('how it looks', () => {
  test('what a guest said of themselves is shown as text below their message, and nothing that is no text', async (t) => {
    const { ana, ben, conversation } = await pair()
    await say(ben, conversation, 'Introduced.', { metadata: { visitor: { name: '<b>Cleo</b>', email: 'cleo@example.com', phone: '1' } } })
    await say(ben, conversation, 'Not introduced.', { metadata: { visitor: { name: { toString: 'x' }, email: 5 } } })
    await say(ben, conversation, 'Nor here.', { metadata: { visitor: 'Cleo' } })
    const page = await browserOf(t, ana, { conversation })
    await bubble(page, 'Nor here.').waitFor()
    assert.deepEqual(await page.locator('.dt-stack .dt-edited').allTextContents(), ['Introduced as <b>Cleo</b> · cleo@example.com'])
    await page.fine()
  })

  test('C-503: colours, width, and the corner of the last bubble of a group', async (t) => {
    const { ana, ben, conversation } = await pair()
    for (const text of ['One.', 'Two.', `Three ${'and much more '.repeat(40)}`]) await say(ben, conversation, text)
    for (const text of ['Mine.', 'Mine too.']) await say(ana, conversation, text)
    const page = await browserOf(t, ana, { conversation })
    const look = (text) => bubble(page, text).evaluate((e) => {
      const style = getComputedStyle(e)
      return {
        colours: [style.backgroundColor, style.color], left: style.borderBottomLeftRadius, right: style.borderBottomRightRadius, top: style.borderTopLeftRadius,
        share: e.getBoundingClientRect().width / e.closest('.dt-scroll').clientWidth, face: e.closest('.dt-row').querySelectorAll('.dt-avatar').length,
      }
    })
    const [first, last, mine, mineToo] = [await look('One.'), await look('Three'), await look(/^Mine\.$/), await look('Mine too.')]
    assert.deepEqual(first.colours, ['rgb(233, 233, 235)', 'rgb(0, 0, 0)'])
    assert.deepEqual(mine.colours, ['rgb(0, 122, 255)', 'rgb(255, 255, 255)'])
    assert.deepEqual([first.left, first.right, first.top, first.face], ['16px', '16px', '16px', 1])
    assert.deepEqual([last.left, last.right, last.face], ['4px', '16px', 0])
    assert.deepEqual([mine.right, mineToo.right, mineToo.left], ['16px', '4px', '16px'])
    assert.ok(last.share > 0.5 && last.share <= 0.75, `${last.share}`)
    // When it was said, in full.
    await bubble(page, 'One.').hover()
    await page.locator('.dt-row').filter({ hasText: 'One.' }).locator('.dt-meta').hover()
    await page.getByRole('tooltip').filter({ hasText: new Date().getFullYear().toString() }).waitFor()
    await page.fine()
  })

  test('C-503: in the dark the colours are another pair', async (t) => {
    const { ana, ben, conversation } = await pair()
    await say(ben, conversation, 'Theirs')
    await say(ana, conversation, 'Mine')
    const page = await browserOf(t, ana, { conversation, colorScheme: 'dark' })
    const colours = (text) => bubble(page, text).evaluate((e) => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color])
    assert.deepEqual(await colours('Theirs'), ['rgb(44, 44, 49)', 'rgb(243, 243, 245)'])
    assert.deepEqual(await colours('Mine'), ['rgb(10, 99, 204)', 'rgb(255, 255, 255)'])
    await page.fine()
  })

  test('who has reacted is told on hover and to screen readers', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
    const conversation = await group(ana, 'Reactions', [ben, cleo])
    const { id } = await say(ana, conversation, 'Well?')
    for (const one of [ben, cleo]) await one.rpc('toggle_reaction', { message_id: id, emoji: '👍' })
    const page = await browserOf(t, ana, { conversation })
    const pill = page.getByRole('button', { name: '👍 2. Ben and Cleo reacted with 👍' })
    await pill.hover()
    await page.getByRole('tooltip').filter({ hasText: 'Ben and Cleo reacted with 👍' }).waitFor()
    await pill.click()
    await page.getByRole('button', { name: '👍 3. Ben, Cleo, and You reacted with 👍' }).waitFor()
    await page.fine()
  })
})

describe('what can be done', () => {
  test('its text and its link are copied, and the link shows it, marked', async (t) => {
    const { ana, ben, conversation } = await pair()
    const { id } = await say(ben, conversation, `Copy this, @[Ana](${ana.id})`)
    const page = await browserOf(t, ana, { conversation })
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    const copied = () => page.evaluate(() => navigator.clipboard.readText())
    await choose(page, 'Copy this', 'Copy text')
    await until('the text', async () => (await copied()) === 'Copy this, @Ana' || copied())
    await choose(page, 'Copy this', 'Copy link')
    await until('the link', async () => (await copied()).endsWith(`#/c/${conversation}/${id}`) || copied())
    const link = await copied()
    // In another place first, so that the link has to lead somewhere.
    await page.evaluate(() => { location.hash = '#/' })
    await page.locator('.dt-thread-blank').waitFor()
    await page.goto(link)
    await page.locator('.dt-highlight').filter({ hasText: 'Copy this' }).waitFor()
    await page.fine()
  })

  test('it is marked as unread from here on, and the line in front of it is taken away again', async (t) => {
    const { ana, ben, conversation } = await pair()
    for (const text of ['First.', 'Second.', 'Third.']) await say(ben, conversation, text)
    const page = await browserOf(t, ana, { conversation })
    await until('all is read', async () => (await page.title()) === 'Messages' || page.title())
    await choose(page, 'Second.', 'Mark as unread from here')
    await page.getByTestId('unread').filter({ hasText: '2' }).waitFor()
    await page.evaluate(() => { location.hash = '#/' })
    await page.locator('.dt-thread-blank').waitFor()
    assert.equal(await page.title(), '(2) Messages')
    await page.locator('.dt-conversation').click()
    const line = page.getByTestId('unread-line')
    await line.filter({ hasText: '2 unread messages' }).waitFor()
    const [above, here, below] = await Promise.all([bubble(page, 'First.'), line, bubble(page, 'Second.')].map((e) => e.boundingBox()))
    assert.ok(above.y < here.y && here.y < below.y, JSON.stringify([above, here, below]))
    await line.getByRole('button', { name: 'Mark as read' }).click()
    await line.waitFor({ state: 'detached' })
    await until('all is read', async () => (await page.title()) === 'Messages' || page.title())
    await page.fine()
  })

  test('everybody is mentioned at once', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
    const conversation = await group(ana, 'All of us', [ben, cleo])
    const [one, other] = await Promise.all([browserOf(t, ana, { conversation }), browserOf(t, cleo)])
    await composer(one).pressSequentially('Listen @al')
    await one.getByRole('option', { name: '@all' }).click()
    await composer(one).press('Enter')
    await other.locator('.dt-conversation').filter({ hasText: 'Listen @all' }).locator('.dt-badge-mention').click()
    await other.locator('.dt-mention-me').filter({ hasText: '@all' }).waitFor()
    await other.fine()
  })
})

describe('what became of it', () => {
  test('C-508: waiting, sent, delivered, and when it was seen', async (t) => {
    const { ana, ben, conversation } = await pair()
    const page = await browserOf(t, ana, { serviceWorkers: 'block', conversation })
    const receipt = page.getByTestId('receipt')
    await page.route('**/rpc/send_message', (route) => route.abort())
    await composer(page).fill('On its way')
    await composer(page).press('Enter')
    const waiting = page.locator('[data-state] .dt-receipt')
    await waiting.getByRole('img', { name: 'Sending' }).waitFor()
    await waiting.filter({ hasText: 'Waiting for the connection' }).waitFor()
    await page.unroute('**/rpc/send_message')
    await receipt.filter({ hasText: 'Sent' }).waitFor()
    await receipt.getByRole('img', { name: 'Sent' }).waitFor()
    const other = await browserOf(t, ben, { serviceWorkers: 'block' })
    await receipt.filter({ hasText: 'Delivered' }).waitFor()
    await other.locator('.dt-conversation').click()
    await until('it was seen', async () => /^Seen \d?\d:\d\d\s[AP]M$/.test(await receipt.textContent()) || receipt.textContent())
    await receipt.getByRole('img', { name: 'Seen' }).waitFor()
    await page.fine()
  })

  test('who types is named: one, two, several', async (t) => {
    const [ana, ...others] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client', Dan: 'client' })
    const conversation = await group(ana, 'Typists', others)
    const page = await browserOf(t, ana, { conversation })
    const status = page.getByTestId('status')
    const channels = []
    t.after(() => Promise.all(others.map(({ client }) => client.removeAllChannels())))
    for (const { client } of others) {
      await client.realtime.setAuth()
      channels.push(await new Promise((done, failed) => {
        const channel = client.channel(`typing:${conversation}`, { config: { private: true } })
        channel.subscribe((said, error) => { if (said === 'SUBSCRIBED') done(channel); else if (error) failed(error) })
      }))
    }
    const types = (n) => Promise.all(others.slice(0, n).map(({ id }, i) => channels[i].send({ type: 'broadcast', event: 'typing', payload: { type: 'typing', user_id: id, is_typing: true } })))
    for (const [n, line] of [[1, 'Ben is typing'], [2, 'Ben and Cleo are typing'], [3, 'Several people are typing']]) {
      await types(n)
      await status.filter({ hasText: line }).waitFor()
    }
    // Who sends has stopped.
    await say(others[0], conversation, 'Done.')
    await until('two are left', async () => /^Cleo and Dan are typing$/.test(await status.textContent()) || status.textContent(), 3000)
    await page.fine()
  })
})

describe('its thread', () => {
  test('new replies are marked below the root and by a line; who has seen them sees no mark, also after a reload', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
    const conversation = await group(ana, 'Threads', [ben, cleo])
    const root = await say(ana, conversation, 'Who comes?')
    const page = await browserOf(t, ana, { conversation })
    const summary = page.locator('.dt-thread-summary')
    const side = page.getByTestId('side')
    const reply = (person, text) => say(person, conversation, text, { thread_id: root.id })
    await reply(ben, 'I do')
    await summary.filter({ hasText: 'New replies' }).waitFor()
    await summary.click()
    await side.getByTestId('unread-line').filter({ hasText: '1 unread message' }).waitFor()
    await summary.filter({ hasText: 'New replies' }).waitFor({ state: 'detached' })
    await reply(cleo, 'Me too')
    await side.locator('[data-testid=bubble]').filter({ hasText: 'Me too' }).waitFor()
    await until('it is seen as it comes', async () => !(await summary.textContent()).includes('New replies'))
    await page.keyboard.press('Escape')
    await page.reload()
    await ready(page)
    await summary.filter({ hasText: '2 replies' }).waitFor()
    assert.equal(await summary.filter({ hasText: 'New replies' }).count(), 0)
    await reply(ben, 'And my brother')
    await summary.filter({ hasText: 'New replies' }).waitFor()
    // One's own answer, from elsewhere, is no news; what is above it is.
    await reply(ana, 'Good')
    await summary.filter({ hasText: '4 replies' }).waitFor()
    await summary.click()
    await side.getByTestId('unread-line').waitFor()
    assert.match(await side.locator('.dt-messages-area').textContent(), /Me too.*1 unread message.*And my brother.*Good/)
    await page.fine()
  })

  test('replies, faces and the last answer stand below the root, and a reply is edited and quoted there', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await group(ana, 'Threads', [ben])
    const root = await say(ana, conversation, 'Plans?')
    await say(ben, conversation, 'None', { thread_id: root.id })
    const page = await browserOf(t, ana, { conversation })
    const summary = page.locator('.dt-thread-summary')
    assert.equal(await summary.locator('.dt-avatar').count(), 1)
    await summary.filter({ hasText: '1 reply' }).filter({ hasText: /last reply (this minute|\d+ minutes? ago)/ }).waitFor()
    await summary.click()
    const side = page.getByTestId('side')
    await side.locator('textarea').fill('Mnie')
    await side.locator('textarea').press('Enter')
    await side.locator('[data-testid=bubble]').filter({ hasText: 'Mnie' }).waitFor()
    await summary.filter({ hasText: '2 replies' }).waitFor()
    // Who writes in a thread is seen to write.
    const other = await browserOf(t, ben, { conversation })
    await side.locator('textarea').press('x')
    await other.getByTestId('status').filter({ hasText: 'Ana is typing' }).waitFor()
    await side.locator('textarea').fill('')
    await side.locator('textarea').press('ArrowUp')
    await side.locator('textarea').fill('Mine')
    await side.locator('textarea').press('Enter')
    await side.locator('[data-testid=bubble]').filter({ hasText: 'Mine' }).waitFor()
    await side.locator('.dt-edited').waitFor()
    await page.fine()
  })
})

describe('its place', () => {
  test('what comes below is not read before it is seen, and one\'s own message brings the end back', async (t) => {
    const { ana, ben, conversation } = await pair()
    for (let n = 0; n < 60; n++) await say(ben, conversation, `Number ${n}.`)
    const page = await browserOf(t, ana, { conversation })
    await until('the end is read', async () => (await page.title()) === 'Messages' && (await ana.rpc('get_unread_count')).total === 0)
    await page.locator('.dt-scroll').hover()
    await until('it is scrolled up', async () => {
      await page.mouse.wheel(0, -400)
      return page.getByTestId('to-end').isVisible()
    })
    // What came below is not read before it is seen.
    await say(ben, conversation, 'Below')
    await page.getByTestId('to-end').filter({ hasText: '1 new message' }).waitFor()
    await until('it counts', async () => (await page.title()) === '(1) Messages' || page.title())
    await write(page, 'Mine, at the end')
    await bubble(page, 'Mine, at the end').waitFor()
    await page.getByTestId('to-end').waitFor({ state: 'detached' })
    await until('it is read', async () => (await page.title()) === 'Messages' || page.title())
    await page.fine()
  })

  test('nothing is read in a window that is behind another; when it comes to the front, it is', async (t) => {
    const { ana, ben, conversation } = await pair()
    const page = await browserOf(t, ana, { conversation })
    const session = await page.context().newCDPSession(page)
    const inFront = page.context().pages()[0]
    const behind = await page.context().newPage()
    await behind.bringToFront()
    await session.send('Emulation.setFocusEmulationEnabled', { enabled: false })
    await until('it has no focus', () => page.evaluate(() => !document.hasFocus()))
    await say(ben, conversation, 'Seen later')
    await bubble(page, 'Seen later').waitFor()
    await until('it counts', async () => (await page.title()) === '(1) Messages' || page.title())
    // Nothing comes that could be awaited: twice the time after which it would have been read.
    await page.evaluate(() => new Promise((done) => { setTimeout(done, 700) }))
    assert.equal((await ana.rpc('get_unread_count')).total, 1)
    await inFront.bringToFront()
    await session.send('Emulation.setFocusEmulationEnabled', { enabled: true })
    await until('it is read', async () => (await page.title()) === 'Messages' || page.title())
    await page.fine()
  })

  test('C-518: on their way messages have a place that is kept free; what did not come, in a thread or a search, is asked for again', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await group(ana, 'Slow', [ben])
    const root = await say(ben, conversation, 'At last')
    await say(ben, conversation, 'Reply', { thread_id: root.id })
    const page = await browserOf(t, ana, { serviceWorkers: 'block' })
    let come
    const coming = new Promise((done) => { come = done })
    await page.route('**/rpc/get_messages', (route) => coming.then(() => route.continue()))
    await page.locator('.dt-conversation').click()
    await page.locator('.dt-skeleton-messages').waitFor()
    come()
    await bubble(page, 'At last').waitFor()
    await page.locator('.dt-skeleton-messages').waitFor({ state: 'detached' })
    await ready(page)
    await say(ben, conversation, 'Live')
    // From here on the page asks for nothing by itself.
    await bubble(page, 'Live').waitFor()

    const side = page.getByTestId('side')
    await page.unroute('**/rpc/get_messages')
    await page.route('**/rpc/get_messages', (route) => route.abort())
    await page.locator('.dt-thread-summary').click()
    await side.getByText('This could not be loaded.').waitFor()
    await page.unroute('**/rpc/get_messages')
    await side.getByRole('button', { name: 'Try again' }).click()
    await side.locator('[data-testid=bubble]').filter({ hasText: 'Reply' }).waitFor()

    await page.route('**/rpc/search_messages', (route) => route.abort())
    await page.getByRole('button', { name: 'Search messages' }).click()
    await side.getByText('Words, or beginnings of words.').waitFor()
    await side.getByRole('searchbox').fill('last')
    await side.getByText('This could not be loaded.').waitFor()
    await page.unroute('**/rpc/search_messages')
    await side.getByRole('button', { name: 'Try again' }).click()
    await side.locator('.dt-hit').filter({ hasText: 'At last' }).waitFor()
    await side.getByRole('searchbox').fill('nothing like it')
    await side.getByText('Nothing found').waitFor()
    await page.fine()
  })
})
