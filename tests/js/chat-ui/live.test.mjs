// What happens in one browser shows in the other.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, texts, until, visit, write } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

/** Two people in one conversation, each in a browser. */
async function pair(t) {
  const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
  const conversation = await direct(ana, ben)
  const [one, other] = await Promise.all([browserOf(t, ana, { conversation }), browserOf(t, ben, { conversation })])
  return { ana, ben, conversation, one, other }
}

describe('two people', () => {
  test('sign in by email and password, and find their conversations', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    await say(ben, await direct(ana, ben), 'Hello from the list')
    const page = await visit(t)
    await page.fill('[name=email]', ana.email)
    await page.fill('[name=password]', 'wrong')
    await page.click('button[type=submit]')
    await page.getByRole('alert').filter({ hasText: 'wrong' }).waitFor()
    await page.fill('[name=password]', ana.password)
    await page.click('button[type=submit]')
    const row = page.locator('.dt-conversation').filter({ hasText: 'Ben' })
    await row.filter({ hasText: 'Hello from the list' }).waitFor()
    assert.match(await row.locator('.dt-hidden').textContent(), /^Ben\..*1 unread message\. Last message from Ben: Hello from the list$/)
    await until('the title counts', async () => (await page.title()) === '(1) Messages' || page.title())
    await row.click()
    await bubble(page, 'Hello from the list').waitFor()
    await until('it is read', async () => (await page.title()) === 'Messages' || page.title())
    await page.fine()
  })

  test('C-601: a message sent in one browser appears in the other within a second', async (t) => {
    const { one, other } = await pair(t)
    // C-505: how many bubbles there are of it, in each frame.
    await one.evaluate(() => {
      window.counts = []
      const look = () => {
        window.counts.push([...document.querySelectorAll('[data-testid=bubble]')].filter((bubble) => bubble.textContent === 'Does it arrive?').length)
        requestAnimationFrame(look)
      }
      look()
    })
    await composer(one).fill('Does it arrive?')
    const began = Date.now()
    await composer(one).press('Enter')
    await bubble(other, 'Does it arrive?').waitFor({ timeout: 1000 })
    t.diagnostic(`painted after ${Date.now() - began} ms`)
    await other.locator('.dt-conversation').filter({ hasText: 'Does it arrive?' }).waitFor()
    assert.deepEqual(await texts(one), ['Does it arrive?'])
    await one.locator('.dt-receipt').filter({ hasText: /Sent|Delivered|Seen/ }).first().waitFor()
    const counts = await one.evaluate(() => window.counts)
    assert.deepEqual(new Set(counts.slice(counts.findIndex((count) => count > 0))), new Set([1]))
    await one.fine()
    await other.fine()
  })

  test('C-602: typing shows within half a second of the first key and is gone within two of the last', async (t) => {
    const { one, other } = await pair(t)
    await composer(one).press('H')
    await other.getByTestId('typing').waitFor({ timeout: 500 })
    // C-507: a bubble as of a message that was received, with three dots one after the other.
    const look = other.locator('.dt-bubble-typing').evaluate((e) => [getComputedStyle(e).backgroundColor, ...[...e.children].map((dot) => getComputedStyle(dot).animationDelay)])
    await composer(one).pressSequentially('ello', { delay: 150 })
    const last = Date.now()
    assert.match(await other.getByTestId('status').textContent(), /Ana is typing/)
    await other.getByTestId('typing').waitFor({ state: 'detached', timeout: 2000 })
    t.diagnostic(`gone after ${Date.now() - last} ms`)
    assert.deepEqual(await look, ['rgb(233, 233, 235)', '0s', '0.15s', '0.3s'])
    await other.fine()
  })

  test('C-603: a reaction appears below in both, and a second click takes it back in both', async (t) => {
    const { ben, conversation, one, other } = await pair(t)
    await say(ben, conversation, 'React to this')
    await bubble(one, 'React to this').hover()
    await one.getByRole('button', { name: 'React with 👍' }).click()
    for (const page of [one, other]) await page.locator('.dt-reaction').filter({ hasText: '👍' }).waitFor()
    assert.equal(await one.locator('.dt-reaction').getAttribute('aria-pressed'), 'true')
    assert.equal(await other.locator('.dt-reaction').getAttribute('aria-pressed'), 'false')
    // Another emoji takes its place.
    await bubble(one, 'React to this').hover()
    await one.getByRole('button', { name: 'React with ❤️' }).click()
    for (const page of [one, other]) {
      await page.locator('.dt-reaction').filter({ hasText: '❤️' }).waitFor()
      await page.locator('.dt-reaction').filter({ hasText: '👍' }).waitFor({ state: 'detached' })
    }
    await one.locator('.dt-reaction').click()
    for (const page of [one, other]) await page.locator('.dt-reaction').waitFor({ state: 'detached' })
    await one.fine()
    await other.fine()
  })

  test('edits and deletions are seen by the other', async (t) => {
    const { one, other } = await pair(t)
    await write(one, 'With a tpyo')
    await bubble(other, 'With a tpyo').waitFor()
    await composer(one).press('ArrowUp')
    await until('the last message is in the composer', async () => (await composer(one).inputValue()) === 'With a tpyo')
    await write(one, 'Without a typo')
    await bubble(other, 'Without a typo').waitFor()
    await other.locator('.dt-edited').waitFor()
    await bubble(one, 'Without a typo').hover()
    await one.getByRole('button', { name: 'More', exact: true }).click()
    await one.getByRole('menuitem', { name: 'Delete' }).click()
    await one.getByRole('button', { name: 'Delete' }).click()
    await other.locator('.dt-bubble-deleted').waitFor()
    assert.equal(await bubble(other, 'typo').count(), 0)
    await one.fine()
  })

  test('a reply quotes, and the quote leads to what it answers', async (t) => {
    const { ana, conversation, one, other } = await pair(t)
    await say(ana, conversation, 'The first of many')
    for (let n = 0; n < 30; n++) await say(ana, conversation, `Filler ${n}`)
    await bubble(other, 'Filler 29').waitFor()
    const { messages: [first] } = await ana.rpc('get_messages', { conversation_id: conversation })
    await say(ana, conversation, 'An answer', { reply_to: first.id })
    const quote = other.locator('.dt-quote').filter({ hasText: 'The first of many' })
    await quote.click()
    await other.locator('.dt-highlight').filter({ hasText: 'The first of many' }).waitFor()
    await until('it is on the screen', () => bubble(other, 'The first of many').evaluate((e) => {
      const { top, bottom } = e.getBoundingClientRect()
      return top > 0 && bottom < innerHeight
    }))
    await one.fine()
  })
})

describe('several people', () => {
  test('C-612: read by 0, 1, then all of them, live', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
    const conversation = await group(ana, 'The three', [ben, cleo])
    const page = await browserOf(t, ana, { conversation })
    await write(page, 'Who has read this?')
    const receipt = page.getByTestId('receipt')
    await receipt.filter({ hasText: 'Read by 0/2' }).waitFor()
    await ben.rpc('mark_as_read', { conversation_id: conversation })
    await receipt.filter({ hasText: 'Read by 1/2' }).waitFor({ timeout: 1500 })
    await cleo.rpc('mark_as_read', { conversation_id: conversation })
    await receipt.filter({ hasText: 'Read by 2/2' }).waitFor({ timeout: 1500 })
    await receipt.getByRole('button').click()
    const who = page.locator('.dt-readers')
    await who.getByText('Read by', { exact: true }).waitFor()
    for (const name of ['Ben', 'Cleo']) await who.locator('li').filter({ hasText: name }).getByRole('time').waitFor()
    await page.fine()
  })

  test('a thread: replies, their number below the root, and one of them also in the conversation', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
    const conversation = await group(ana, 'Threads', [ben, cleo])
    const root = await say(ana, conversation, 'Who comes?')
    const [one, other] = await Promise.all([browserOf(t, ana, { conversation }), browserOf(t, ben, { conversation })])
    await say(cleo, conversation, 'Me', { thread_id: root.id })
    const summary = (page) => page.locator('.dt-thread-summary')
    await summary(one).filter({ hasText: '1 reply' }).waitFor()
    await summary(one).click()
    const side = one.getByTestId('side')
    await side.locator('[data-testid=bubble]').filter({ hasText: /^Me$/ }).waitFor()
    await side.getByLabel('Also send to the conversation').check()
    await side.locator('textarea').fill('Good to know')
    await side.locator('textarea').press('Enter')
    await summary(other).filter({ hasText: '2 replies' }).waitFor()
    await other.locator('.dt-thread-main [data-testid=bubble]').filter({ hasText: 'Good to know' }).waitFor()
    assert.equal(await other.locator('.dt-thread-main [data-testid=bubble]').filter({ hasText: /^Me$/ }).count(), 0)
    await one.keyboard.press('Escape')
    await side.waitFor({ state: 'detached' })
    await one.fine()
    await other.fine()
  })

  test('a mention is chosen by its first letters, shown with its name, and stands out for whom it names', async (t) => {
    const [ana, ben, cleo] = await people({ 'Ana Maria': 'trainer', 'Ben Ito': 'client', Cleo: 'client' })
    const conversation = await group(ana, 'Mentions', [ben, cleo])
    const [one, other] = await Promise.all([browserOf(t, ana, { conversation }), browserOf(t, ben)])
    await composer(one).pressSequentially('Hi @be')
    await one.getByRole('option', { name: 'Ben Ito' }).waitFor()
    await composer(one).press('Enter')
    assert.equal(await composer(one).inputValue(), 'Hi @Ben Ito ')
    await composer(one).pressSequentially('look')
    await composer(one).press('Enter')
    const row = other.locator('.dt-conversation').filter({ hasText: 'Hi @Ben Ito look' })
    await row.locator('.dt-badge-mention').waitFor()
    await row.click()
    await other.locator('.dt-mention-me').filter({ hasText: '@Ben Ito' }).waitFor()
    await other.fine()
  })

  test('renaming, adding and leaving are told in the reader\'s language', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
    const conversation = await group(ana, 'Before', [ben])
    const page = await browserOf(t, ben, { conversation, locale: 'de-DE' })
    await page.locator('.dt-system').filter({ hasText: 'Ana hat „Before“ angelegt' }).waitFor()
    await ana.rpc('rename_conversation', { conversation_id: conversation, name: 'After' })
    await page.locator('.dt-header h2').filter({ hasText: 'After' }).waitFor()
    await ana.rpc('add_participants', { conversation_id: conversation, user_ids: [cleo.id] })
    await page.locator('.dt-system').filter({ hasText: 'Ana hat Cleo hinzugefügt' }).waitFor()
    await page.getByTestId('status').filter({ hasText: '3 Mitglieder' }).waitFor()
    await cleo.rpc('leave_conversation', { conversation_id: conversation })
    await page.locator('.dt-system').filter({ hasText: 'Cleo hat die Gruppe verlassen' }).waitFor()
    await page.fine()
  })
})
