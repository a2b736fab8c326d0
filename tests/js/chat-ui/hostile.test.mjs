// What people write is text, however it looks; what is too much is refused and kept.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, database, texts, until, write } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

const hostile = (what) => `<img src=x onerror="window.hacked='${what}'">`

describe('hostile text', () => {
  test('in names, messages, quotes, files, reactions and searches stays text', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', [`Ben ${hostile('name')}`]: 'client' })
    const conversation = await group(ana, hostile('group'), [ben])
    const first = await say(ben, conversation, `${hostile('message')} javascript:alert(1) https://example.com/"onmouseover="hack() @[${hostile('mention')}](${ana.id})`)
    await say(ben, conversation, hostile('reply'), { reply_to: first.id })
    await say(ben, conversation, '', { attachments: [
      { name: `${hostile('file')}.html`, url: 'https://example.com/x', mime_type: 'text/html', size: 10 },
      { name: 'picture.svg', url: 'https://example.com/x.svg', mime_type: 'image/svg+xml', size: 10 },
    ] })
    await ben.rpc('toggle_reaction', { message_id: first.id, emoji: '👍' })
    const page = await browserOf(t, ana, { conversation })
    await bubble(page, hostile('message')).waitFor()
    await page.locator('.dt-quote').filter({ hasText: '<img' }).waitFor()
    await page.locator('.dt-card').filter({ hasText: 'picture.svg' }).waitFor()
    assert.equal(await page.locator('.dt-scroll img').count(), 0)
    const links = await page.locator('.dt-bubble a').evaluateAll((all) => all.map((a) => [a.href, a.rel]))
    assert.deepEqual(links, [['https://example.com/', 'noopener noreferrer nofollow']])
    await page.getByRole('button', { name: 'Search messages' }).click()
    await page.getByTestId('side').getByRole('searchbox').fill('img')
    await page.locator('.dt-hit').first().waitFor()
    assert.equal(await page.evaluate(() => window.hacked), undefined)
    await page.fine()
  })

  test('a message of 100 kB is refused before it is sent, and its text is kept', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const page = await browserOf(t, ana, { conversation: await direct(ana, ben) })
    const long = 'x'.repeat(100_000)
    await composer(page).fill(long)
    await page.getByRole('alert').filter({ hasText: '90,000 characters too many' }).waitFor()
    assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true)
    await composer(page).press('Enter')
    assert.equal((await composer(page).inputValue()).length, 100_000)
    await composer(page).fill('short')
    await composer(page).press('Enter')
    await bubble(page, 'short').waitFor()
    await page.fine()
  })

  test('and where only the server knows the limit, the text is kept beside the reason', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const page = await browserOf(t, ana, { serviceWorkers: 'block', conversation: await direct(ana, ben) })
    await page.route('**/rest/v1/rpc/send_message', (route) => {
      const body = JSON.parse(route.request().postData())
      return route.continue({ postData: JSON.stringify({ ...body, content: 'x'.repeat(100_000) }) })
    })
    await write(page, 'Mine')
    await page.locator('.dt-undelivered').filter({ hasText: 'the message is too long' }).waitFor()
    assert.deepEqual(await texts(page), ['Mine'])
    await page.fine()
  })

  test('Enter that ends a composition of an input method does not send', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const page = await browserOf(t, ana, { conversation: await direct(ana, ben) })
    await composer(page).fill('にほん')
    await composer(page).evaluate((e) => e.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })))
    await composer(page).press('Shift+Enter')
    await composer(page).pressSequentially('two')
    assert.equal(await composer(page).inputValue(), 'にほん\ntwo')
    assert.deepEqual(await texts(page), [])
    await composer(page).press('Enter')
    await bubble(page, 'two').waitFor()
    await page.fine()
  })

  test('who is removed while looking loses the conversation', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await group(ana, 'Closed', [ben])
    const page = await browserOf(t, ben, { conversation })
    await ana.rpc('remove_participant', { conversation_id: conversation, user_id: ben.id })
    await page.locator('.dt-conversation').waitFor({ state: 'detached' })
    await say(ana, conversation, 'Among ourselves')
    await until('the message is there', async () => (await database.query('select from messages where conversation_id = $1', [conversation])).rowCount >= 2)
    assert.equal(await page.getByText('Among ourselves').count(), 0)
    await page.fine()
  })
})
