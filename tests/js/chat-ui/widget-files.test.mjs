// Pictures and files in the widget: checked before they are sent, shown on both sides, readable by participants only.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import zlib from 'node:zlib'
import { fine, server, service } from './people.mjs'
import { conversationOf, launcher, link, open, until, visit } from './widget-support.mjs'

/** A picture of one colour: the least that a browser and a server take for a PNG. */
function png(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc(body))
    return Buffer.concat([length, body, sum])
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2, 0, 0, 0], 8)
  const rows = Buffer.alloc((width * 3 + 1) * height, 0x60)
  for (let y = 0; y < height; y++) rows[y * (width * 3 + 1)] = 0
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])
}

function crc(data) {
  let value = ~0
  for (const byte of data) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  }
  return ~value >>> 0
}

const choose = (page, ...files) => page.getByTestId('chooser').setInputFiles(files.map(({ name, mimeType, buffer }) => ({ name, mimeType, buffer })))

describe('attachments', () => {
  test('C-611: a picture is shown before it has arrived, then to the advisor, and to nobody else', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await choose(page, { name: 'Größe & Weg.png', mimeType: 'image/png', buffer: png(600, 300) })
    await page.getByTestId('upload').locator('img').waitFor()
    await page.getByTestId('send').click()
    const picture = page.getByRole('link', { name: 'Image Größe & Weg.png' })
    await picture.waitFor()
    const box = await picture.boundingBox()
    assert.deepEqual([Math.round(box.width), Math.round(box.height)], [220, 110])
    const conversation = await conversationOf(guest)
    const [message] = (await guest.ada.rpc('get_messages', { conversation_id: conversation })).messages
    const [attachment] = message.attachments
    assert.deepEqual([attachment.name, attachment.width, attachment.height, message.content_type], ['Größe & Weg.png', 600, 300, 'image'])
    assert.match(attachment.path, new RegExp(`^${conversation}/${guest.client}/[0-9a-f-]{36}/[\\w.-]+$`))
    const blob = fine(await guest.ada.client.storage.from('chat-attachments').download(attachment.path))
    assert.equal(blob.size, png(600, 300).length)
    const stranger = await fetch(`${server}/storage/v1/object/chat-attachments/${attachment.path}`)
    assert.notEqual(stranger.status, 200)
    await until('the picture is that of the server', () => picture.locator('img').evaluate((e) => (e.src.includes('/object/sign/') && e.naturalWidth > 0) || e.src))
    await page.fine()
  })

  test('a file of the advisor can be downloaded', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await launcher(page).waitFor()
    const conversation = await conversationOf(guest)
    const path = `${conversation}/${guest.ada.id}/plan.pdf`
    fine(await guest.ada.client.storage.from('chat-attachments').upload(path, new Blob(['%PDF-1.4 plan'], { type: 'application/pdf' })))
    await guest.ada.rpc('send_message', { conversation_id: conversation, content: '', attachments: [{ name: 'plan.pdf', path, size: 13, mime_type: 'application/pdf' }] })
    await open(page)
    const card = page.getByTestId('window').locator('a.card')
    await until('it has an address', async () => Boolean(await card.getAttribute('href')))
    const answer = await fetch(await card.getAttribute('href'))
    assert.equal(await answer.text(), '%PDF-1.4 plan')
    assert.match(answer.headers.get('content-disposition'), /attachment.*plan\.pdf/)
    await page.fine()
  })

  test('what cannot be sent is said before anything is sent', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, { before: (p) => p.route('**/chat/v1/config', async (route) => {
      const response = await route.fetch()
      const config = await response.json()
      await route.fulfill({ response, json: { ...config, limits: { ...config.limits, maxAttachmentBytes: 1000, maxAttachments: 2 } } })
    }) })
    await open(page)
    const sent = []
    page.on('request', (request) => { if (request.url().includes('/storage/')) sent.push(request.url()) })
    for (const [file, said] of [
      [{ name: 'page.svg', mimeType: 'image/svg+xml', buffer: Buffer.from('<svg/>') }, 'page.svg is of a kind that cannot be sent.'],
      [{ name: 'large.pdf', mimeType: 'application/pdf', buffer: Buffer.alloc(2000) }, 'large.pdf is larger than 1 kB.'],
      [{ name: 'empty.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) }, 'empty.txt is empty.'],
    ]) {
      await choose(page, file)
      await page.getByRole('alert').filter({ hasText: said }).waitFor()
    }
    assert.deepEqual(sent, [])
    const small = (n) => ({ name: `${n}.txt`, mimeType: 'text/plain', buffer: Buffer.from(`file ${n}`) })
    await choose(page, small(1), small(2), small(3))
    await page.getByRole('alert').filter({ hasText: 'At most 2 files in one message.' }).waitFor()
    await page.getByRole('button', { name: 'Remove 1.txt' }).click()
    await until('one is left', async () => (await page.getByTestId('upload').count()) === 1)
    await page.fine()
  })

  test('an upload that fails can be tried again', async (t) => {
    const guest = await link()
    let fails = true
    const page = await visit(t, guest, { before: (p) => p.route('**/storage/v1/object/chat-attachments/**', (route) => (fails ? route.abort() : route.continue())) })
    await open(page)
    await choose(page, { name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('a note') })
    await page.getByText('note.txt could not be uploaded').waitFor()
    fails = false
    await page.getByRole('button', { name: 'Upload note.txt again' }).click()
    await page.getByText('note.txt could not be uploaded').waitFor({ state: 'detached' })
    await page.getByTestId('send').click()
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    const { data } = await service.from('messages').select('attachment_name').eq('conversation_id', await conversationOf(guest))
    assert.deepEqual(data, [{ attachment_name: 'note.txt' }])
    await page.fine()
  })
})
