// For everybody: with the keyboard alone, with a screen reader, in the dark, from right to left, in another language.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, ready, until, visit } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Serious and critical findings of axe. The blue of sent bubbles is given by the design; who asks for more contrast gets a darker one. */
async function findings(page) {
  // Evaluated in the page's own world: no script element is needed, which the policy would refuse.
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run({ exclude: [['.dt-own .dt-bubble']] }, { resultTypes: ['violations'] }))
  return violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`)
}

async function world() {
  const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'client' })
  const conversation = await group(ana, 'The team', [ben, cleo])
  const root = await say(ana, conversation, 'Who comes on Sunday?')
  await say(ben, conversation, 'Me', { thread_id: root.id })
  const answer = await say(cleo, conversation, `@[Ana](${ana.id}) I do, see https://example.com/run`, { reply_to: root.id })
  await ana.rpc('toggle_reaction', { message_id: answer.id, emoji: '👍' })
  await say(cleo, conversation, '', { attachments: [{ name: 'plan.pdf', url: 'https://example.com/plan.pdf', mime_type: 'application/pdf', size: 1000 }] })
  await say(ben, await direct(ana, ben), 'And directly')
  return { ana, ben, cleo, conversation }
}

describe('axe finds nothing serious', () => {
  for (const colorScheme of ['light', 'dark']) {
    test(`on all screens in ${colorScheme}`, async (t) => {
      const { ana, ben, conversation } = await world()
      const page = await browserOf(t, ana, { conversation, colorScheme, reducedMotion: 'reduce' })
      await page.locator('.dt-conversation').nth(1).waitFor()
      const look = async (where) => assert.deepEqual(await findings(page), [], where)
      await look('list and conversation')
      await bubble(page, 'I do, see').hover()
      await page.getByRole('toolbar').waitFor()
      await look('the bar of a message')
      await page.getByRole('button', { name: 'More', exact: true }).click()
      await page.getByRole('menu').waitFor()
      await look('the menu of a message')
      await page.keyboard.press('Escape')
      await page.locator('.dt-thread-summary').click()
      await page.getByTestId('side').locator('[data-testid=bubble]').filter({ hasText: /^Me$/ }).waitFor()
      await look('a thread')
      await page.getByRole('button', { name: 'Details' }).click()
      await page.getByTestId('side').getByText('Leave group').waitFor()
      await look('details')
      await page.getByRole('button', { name: 'Search messages' }).click()
      await page.getByTestId('side').getByRole('searchbox').fill('run')
      await page.locator('.dt-hit').first().waitFor()
      await look('search')
      await page.getByRole('button', { name: 'New conversation' }).click()
      await page.getByRole('dialog').getByText('Cleo').waitFor()
      await look('new conversation')
      await page.keyboard.press('Escape')
      await page.evaluate(() => { location.hash = '#/preferences' })
      await page.getByLabel('Quiet hours').waitFor()
      await look('preferences')
      await page.evaluate((id) => { location.hash = `#/client/${id}` }, ben.id)
      await page.getByRole('button', { name: 'Message', exact: true }).waitFor()
      await look('a client')
      const nobody = await visit(t, { colorScheme })
      await nobody.getByLabel('Email').waitFor()
      assert.deepEqual(await findings(nobody), [], 'signing in')
      await page.fine()
    })
  }
})

describe('with the keyboard alone', () => {
  test('from the list to a message, a reaction, an answer, and back', async (t) => {
    const { ana } = await world()
    const page = await browserOf(t, ana)
    const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.getAttribute('placeholder') ?? document.activeElement.querySelector('.dt-hidden')?.textContent ?? document.activeElement.textContent)
    await page.getByTestId('list-search').focus()
    await page.keyboard.press('ArrowDown')
    await until('the first conversation', async () => /^Ben\./.test(await focus()) || focus())
    await page.keyboard.press('ArrowDown')
    await until('the second', async () => /^The team\./.test(await focus()) || focus())
    await page.keyboard.press('Enter')
    await ready(page)
    await until('the composer', async () => (await focus()) === 'Message The team' || focus())
    await page.keyboard.press('Shift+Tab')
    await until('the button for files', async () => (await focus()) === 'Attach files' || focus())
    await page.keyboard.press('Shift+Tab')
    await until('the file of the last message', async () => /^Download/.test(await focus()) || focus())
    await page.keyboard.press('Shift+Tab')
    await until('a message', async () => /plan\.pdf$/.test(await focus()) || focus())
    await page.keyboard.press('ArrowUp')
    await until('the one before', async () => /I do, see/.test(await focus()) || focus())
    await page.keyboard.press('Enter')
    await until('its first emoji', async () => (await focus()) === 'React with ❤️' || focus())
    await page.keyboard.press('Enter')
    await page.locator('.dt-reaction-mine').filter({ hasText: '❤️' }).waitFor()
    await page.keyboard.press('Escape')
    await until('back at the message', async () => /I do, see/.test(await focus()) || focus())
    await composer(page).focus()
    await page.keyboard.type('Written by keys')
    await page.keyboard.press('Enter')
    await bubble(page, 'Written by keys').waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('ben')
    await page.keyboard.press('Enter')
    await bubble(page, 'And directly').waitFor()
    await page.keyboard.press('Alt+ArrowDown')
    await bubble(page, 'Written by keys').waitFor()
    await page.locator('.dt-conversation').first().focus()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.fine()
  })

  test('what arrives is read out, once', async (t) => {
    const { ana, ben, conversation } = await world()
    const page = await browserOf(t, ana, { conversation })
    await page.getByRole('log', { name: 'Messages' }).waitFor()
    await say(ben, conversation, 'Hear me')
    await page.getByTestId('announcer').filter({ hasText: 'Ben: Hear me' }).waitFor()
    await page.fine()
  })
})

describe('other readers', () => {
  test('in German, with its plurals and dates', async (t) => {
    const { ben, ana, conversation } = await world()
    const page = await browserOf(t, ben, { conversation, locale: 'de-DE' })
    await page.locator('.dt-thread-summary').filter({ hasText: '1 Antwort' }).waitFor()
    await say(ben, conversation, 'Ich auch', { thread_id: (await ana.rpc('get_messages', { conversation_id: conversation })).messages.find((m) => m.reply_count).id })
    await page.locator('.dt-thread-summary').filter({ hasText: '2 Antworten' }).waitFor()
    assert.match(await page.locator('.dt-divider').first().textContent(), /^Heute \d?\d:\d\d$/)
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'de-DE')
    await page.fine()
  })

  test('from right to left: own messages are on the left, and nothing is cut off', async (t) => {
    const { ana, conversation } = await world()
    const page = await browserOf(t, ana, { conversation, locale: 'ar' })
    const own = await bubble(page, 'Who comes').boundingBox()
    const other = await bubble(page, 'I do, see').boundingBox()
    assert.ok(own.x < other.x, JSON.stringify({ own, other }))
    const list = await page.locator('.dt-list').boundingBox()
    assert.ok(list.x > own.x)
    await page.fine()
  })
})
