// Files: chosen, dropped, pasted; on their way, there, seen by the other.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, until, write } from './browser.mjs'
import { anonKey, direct, people, server } from './people.mjs'

/** A picture made by the browser itself: noise, so that it stays large. */
const picture = (page, width, height) => page.evaluate(async ([w, h]) => {
  const canvas = new OffscreenCanvas(w, h)
  const pen = canvas.getContext('2d')
  const image = pen.createImageData(w, h)
  for (let i = 0; i < image.data.length; i += 65_536) crypto.getRandomValues(image.data.subarray(i, Math.min(i + 65_536, image.data.length)))
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255
  pen.putImageData(image, 0, 0)
  const blob = await canvas.convertToBlob({ type: 'image/png' })
  const reader = new FileReader()
  reader.readAsDataURL(blob)
  await new Promise((done) => { reader.onload = done })
  return reader.result.split(',')[1]
}, [width, height]).then((base64) => Buffer.from(base64, 'base64'))

async function pair(t) {
  const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
  const conversation = await direct(ana, ben)
  const [one, other] = await Promise.all([browserOf(t, ana, { conversation }), browserOf(t, ben, { conversation })])
  return { ana, ben, conversation, one, other }
}

describe('files', () => {
  test('several at once: a picture with a place of its own shape, a document as a card; the lightbox; the download', async (t) => {
    const { one, other } = await pair(t)
    await one.getByTestId('file-input').setInputFiles([
      { name: 'sunrise.png', mimeType: 'image/png', buffer: await picture(one, 300, 200) },
      { name: 'Plan für März.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n%%EOF\n') },
    ])
    await one.locator('.dt-staged li').nth(1).waitFor()
    await write(one, 'Two files')
    await bubble(other, 'Two files').waitFor()
    const shown = other.locator('.dt-picture img.dt-shown')
    await shown.waitFor()
    const { width, height } = await other.locator('.dt-picture').boundingBox()
    assert.ok(Math.abs(width / height - 1.5) < 0.02, `${width} x ${height}`)
    await other.locator('.dt-picture').click()
    const large = other.getByRole('dialog').locator('img')
    await until('the picture is large', () => large.evaluate((i) => i.complete && i.naturalWidth === 300))
    await other.keyboard.press('Escape')
    const download = other.waitForEvent('download')
    await other.locator('.dt-card').filter({ hasText: 'Plan für März.pdf' }).click()
    assert.equal((await download).suggestedFilename(), 'Plan für März.pdf')
    await one.fine()
    await other.fine()
  })

  test('C-611: a picture of 12 MB: progress, a smaller version for the other, and nobody else has it', async (t) => {
    const { conversation, one, other } = await pair(t)
    const buffer = await picture(one, 2048, 1536)
    assert.ok(buffer.length > 9_000_000, `${buffer.length} bytes`)
    await one.evaluate(() => {
      window.shares = []
      new MutationObserver(() => document.querySelectorAll('[role=progressbar][aria-valuenow]').forEach((e) => window.shares.push(Number(e.ariaValueNow)))).observe(document.body, { subtree: true, childList: true, attributes: true })
    })
    await one.getByTestId('file-input').setInputFiles([{ name: 'large.png', mimeType: 'image/png', buffer }])
    await one.locator('.dt-staged li').waitFor()
    // Sent while it is on its way.
    await write(one, 'Look at the size')
    await bubble(other, 'Look at the size').waitFor({ timeout: 30_000 })
    await other.locator('.dt-picture img.dt-shown').waitFor({ timeout: 30_000 })
    const steps = [...new Set(await one.evaluate(() => window.shares))]
    assert.ok(steps.some((s) => s > 0 && s < 100), `progress was shown: ${steps}`)
    const shown = await other.locator('.dt-picture img').evaluate((i) => i.naturalWidth)
    assert.ok(shown <= 1024, `a smaller version is shown: ${shown}`)
    const [cleo] = await people({ Cleo: 'client' })
    const { messages } = await other.evaluate(async ([url, key, id]) => {
      const { access_token } = JSON.parse(localStorage['dovetail-auth'])
      return (await fetch(`${url}/rest/v1/rpc/get_messages`, { method: 'POST', headers: { apikey: key, authorization: `Bearer ${access_token}`, 'content-type': 'application/json' }, body: JSON.stringify({ conversation_id: id }) })).json()
    }, [server, anonKey, conversation])
    const { path } = messages[0].attachments[0]
    assert.ok((await cleo.client.storage.from('chat-attachments').download(path)).error)
    await one.fine()
    await other.fine()
  })

  test('dropped and pasted; taken back before it is sent; too large is said before it is sent', async (t) => {
    const { one, other } = await pair(t)
    const give = (kind) => one.evaluate((type) => {
      const data = new DataTransfer()
      data.items.add(new File(['hello'], `${type}.txt`, { type: 'text/plain' }))
      const event = type === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })
      document.querySelector('.dt-composer textarea').dispatchEvent(event)
    }, kind)
    await give('dragenter')
    await one.getByText('Drop files to attach them').waitFor()
    await give('drop')
    await give('paste')
    await one.locator('.dt-staged li').nth(1).waitFor()
    await one.getByRole('button', { name: 'Remove drop.txt' }).click()
    await one.locator('.dt-staged li').nth(1).waitFor({ state: 'detached' })
    await composer(one).press('Enter')
    await other.locator('.dt-card').filter({ hasText: 'paste.txt' }).waitFor()
    await one.getByTestId('file-input').setInputFiles([{ name: 'empty.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) }])
    await one.getByRole('alert').filter({ hasText: 'empty.txt is empty.' }).waitFor()
    await one.fine()
  })
})
