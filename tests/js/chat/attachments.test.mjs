// Attachments by unmodified supabase-js and tus-js-client (C-403, C-611).
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { test } from 'node:test'
import zlib from 'node:zlib'
import * as tus from 'tus-js-client'
import { anonKey, asUser, data, Seen, sql, subscribed, url, userToken } from '../surface/support.mjs'

const session = await sql()

/** Two people of one organisation with a conversation, and somebody else of it. */
async function world(t) {
  const [org, ana, ben, eve] = Array.from({ length: 4 }, () => crypto.randomUUID())
  for (const [id, name] of [[ana, 'Ana'], [ben, 'Ben'], [eve, 'Eve']]) {
    await session.query(`insert into public.profiles (id, display_name, kind, org_id) values ($1, $2, 'member', $3)`, [id, name, org])
  }
  const [asAna, asBen, asEve] = [asUser(t, ana), asUser(t, ben), asUser(t, eve)]
  const { id } = await data(asAna.rpc('start_conversation', { user_id: ben }))
  return { ana, ben, eve, asAna, asBen, asEve, conversation: id }
}

/** A PNG of noise, which does not compress: about three bytes a pixel. */
function png(width, height) {
  const chunk = (kind, body) => {
    const bytes = Buffer.concat([Buffer.from(kind), body])
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    size.writeUInt32BE(body.length)
    sum.writeUInt32BE(zlib.crc32(bytes))
    return Buffer.concat([size, bytes, sum])
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2], 8)
  const rows = crypto.randomBytes((width * 3 + 1) * height)
  for (let y = 0; y < height; y++) rows[y * (width * 3 + 1)] = 0
  const pixels = zlib.deflateSync(rows, { level: 0 })
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

/** What somebody hears of changed messages of a conversation. */
async function changes(supabase, conversation) {
  const [seen, system] = [new Seen(), new Seen()]
  await supabase.realtime.setAuth()
  const channel = supabase.channel(`thread-${conversation}`)
  channel
    .on('system', {}, system.add)
    .on('postgres_changes', { event: 'UPDATE', schema: 'public', table: 'messages', filter: `conversation_id=eq.${conversation}` }, seen.add)
  await subscribed(channel)
  await system.until((m) => m.extension === 'postgres_changes' && m.status === 'ok', 'the word that changes are live')
  return seen
}

test('an image of 12 MB goes up in parts, its thumbnail comes, and only the other side sees both', async (t) => {
  const { ana, asAna, asBen, asEve, conversation } = await world(t)
  const body = png(2200, 1850)
  assert.ok(body.length > 12_000_000)
  const path = `${conversation}/${ana}/photo.png`
  const progress = []
  await new Promise((onSuccess, onError) => {
    new tus.Upload(body, {
      endpoint: `${url}/storage/v1/upload/resumable`,
      retryDelays: null,
      chunkSize: 6 * 1024 * 1024,
      headers: { authorization: `Bearer ${userToken(ana)}`, apikey: anonKey },
      metadata: { bucketName: 'chat-attachments', objectName: path, contentType: 'image/png' },
      onChunkComplete: (_, done) => progress.push(done),
      onError,
      onSuccess,
    }).start()
  })
  assert.equal(progress.length, 2)
  const seen = await changes(asBen, conversation)
  const sent = await data(asAna.rpc('send_message', {
    conversation_id: conversation, content: '', attachments: [{ name: 'photo.png', path, size: body.length, mime_type: 'image/png' }],
  }))
  const described = await seen.until((m) => m.new.id === sent.id && m.new.attachments[0].thumbnail_path, 'the thumbnail')
  const [item] = described.new.attachments
  assert.deepEqual([item.width, item.height, item.size], [2200, 1850, body.length])

  const ofBen = asBen.storage.from('chat-attachments')
  const small = await data(ofBen.download(item.thumbnail_path))
  assert.ok(small.size < 60_000 && small.type === 'image/jpeg', `${small.size} ${small.type}`)
  const signed = await data(ofBen.createSignedUrl(path, 60, { download: 'photo.png' }))
  const original = await fetch(signed.signedUrl)
  assert.equal((await original.arrayBuffer()).byteLength, body.length)

  const ofEve = asEve.storage.from('chat-attachments')
  for (const name of [path, item.thumbnail_path, item.preview_path]) {
    assert.ok((await ofEve.download(name)).error, name)
    assert.ok((await ofEve.createSignedUrl(name, 60)).error, name)
  }
  assert.deepEqual(await data(ofEve.list(`${conversation}/${ana}`)), [])
})

test('nobody uploads where they do not take part, in another name, or what runs', async (t) => {
  const { ana, ben, eve, asAna, asEve, conversation } = await world(t)
  const text = new Blob(['text'], { type: 'text/plain' })
  const svg = new Blob(['<svg xmlns="http://www.w3.org/2000/svg"/>'], { type: 'image/svg+xml' })
  for (const [supabase, path, body] of [
    [asEve, `${conversation}/${eve}/x.txt`, text],
    [asAna, `${conversation}/${ben}/x.txt`, text],
    [asAna, `${conversation}/${ana}/x.svg`, svg],
  ]) {
    const { error } = await supabase.storage.from('chat-attachments').upload(path, body)
    assert.ok(error, path)
  }
  assert.equal((await asAna.storage.from('chat-attachments').upload(`${conversation}/${ana}/x.txt`, text)).error, null)
})
