// tus-js-client, as the guides of Supabase have it.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import * as tus from 'tus-js-client'
import { ann, anonKey, bob, data, service, serviceKey, sql, url, userToken } from './support.mjs'
import { bucket } from './storage-support.mjs'

const endpoint = `${url}/storage/v1/upload/resumable`
const chunkSize = 6 * 1024 * 1024

/** An upload, and a promise of its end. */
function upload(name, path, body, { token = serviceKey, headers = {}, metadata = {}, ...more } = {}) {
  let made
  const end = new Promise((resolve, reject) => {
    made = new tus.Upload(body, {
      endpoint,
      retryDelays: null,
      chunkSize,
      removeFingerprintOnSuccess: true,
      headers: { authorization: `Bearer ${token}`, apikey: anonKey, ...headers },
      metadata: { bucketName: name, objectName: path, contentType: 'application/octet-stream', cacheControl: '60', ...metadata },
      onError: reject,
      onSuccess: resolve,
      ...more,
    })
  })
  end.catch(() => {})
  return { upload: made, end }
}

const bytes = (length) => {
  const all = Buffer.alloc(length)
  for (let at = 0; at < length; at += 4) all.writeUInt32LE(at, at)
  return all
}

const content = async (t, name, path) => Buffer.from(await (await data(service(t).storage.from(name).download(path))).arrayBuffer())

test('a file arrives in parts, with progress', async (t) => {
  const name = await bucket(t)
  const body = bytes(14 * 1024 * 1024)
  const accepted = []
  const { upload: going, end } = upload(name, 'a/big.bin', body, {
    metadata: { metadata: JSON.stringify({ who: 'me' }) },
    onChunkComplete: (_, done) => accepted.push(done),
  })
  going.start()
  await end
  assert.deepEqual(accepted, [chunkSize, 2 * chunkSize, body.length])
  assert.ok((await content(t, name, 'a/big.bin')).equals(body))
  const info = await data(service(t).storage.from(name).info('a/big.bin'))
  assert.deepEqual([info.size, info.metadata, info.cacheControl, info.contentType], [body.length, { who: 'me' }, 'max-age=60', 'application/octet-stream'])
})

/** A way to the server that takes so many bytes and then no more. */
async function narrow(t, limit) {
  let full
  const stuck = new Promise((resolve) => { full = resolve })
  const { hostname, port } = new URL(url)
  const way = net.createServer((near) => {
    const far = net.connect(port, hostname)
    let taken = 0
    far.pipe(near)
    near.on('data', (chunk) => {
      far.write(chunk)
      taken += chunk.length
      if (taken < limit) return
      near.pause()
      full()
    })
    for (const end of [near, far]) end.on('close', () => { near.destroy(); far.destroy() }).on('error', () => {})
  })
  await new Promise((resolve) => way.listen(0, '127.0.0.1', resolve))
  t.after(() => way.close())
  return { stuck, origin: `http://127.0.0.1:${way.address().port}` }
}

test('a pause in the middle of a part keeps what has arrived', async (t) => {
  const name = await bucket(t)
  const body = bytes(40 * 1024 * 1024)
  const way = await narrow(t, 20 * 1024 * 1024)
  const first = upload(name, 'paused.bin', body, { chunkSize: Infinity, endpoint: endpoint.replace(url, way.origin) })
  first.upload.start()
  await way.stuck
  await first.upload.abort()
  const where = first.upload.url.replace(way.origin, url)
  const asked = await fetch(where, { method: 'HEAD', headers: { authorization: `Bearer ${serviceKey}`, 'tus-resumable': '1.0.0' } })
  const offset = Number(asked.headers.get('upload-offset'))
  assert.ok(offset > 0 && offset < body.length, `${offset}`)
  assert.equal(asked.headers.get('upload-length'), String(body.length))
  assert.ok(Date.parse(asked.headers.get('upload-expires')) > Date.now())
  const begun = []
  const second = upload(name, 'paused.bin', body, { uploadUrl: where, onProgress: (sent) => begun.push(sent) })
  second.upload.start()
  await second.end
  assert.ok(begun[0] >= offset, `went on at ${begun[0]}`)
  assert.ok((await content(t, name, 'paused.bin')).equals(body))
})

test('pausing and going on with the same upload', async (t) => {
  const name = await bucket(t)
  const body = bytes(13 * 1024 * 1024)
  let once = true
  const going = upload(name, 'x.bin', body, {
    onChunkComplete: async () => {
      if (!once) return
      once = false
      await going.upload.abort()
      going.upload.start()
    },
  })
  going.upload.start()
  await going.end
  assert.ok((await content(t, name, 'x.bin')).equals(body))
})

test('an empty file, and one that comes with its creation', async (t) => {
  const name = await bucket(t)
  const empty = upload(name, 'empty', Buffer.alloc(0))
  empty.upload.start()
  await empty.end
  assert.equal((await content(t, name, 'empty')).length, 0)
  const small = upload(name, 'small', bytes(1000), { uploadDataDuringCreation: true })
  small.upload.start()
  await small.end
  assert.ok((await content(t, name, 'small')).equals(bytes(1000)))
})

test('what is there is replaced on purpose only', async (t) => {
  const name = await bucket(t)
  await data(service(t).storage.from(name).upload('a', 'old'))
  const plain = upload(name, 'a', bytes(100))
  plain.upload.start()
  await assert.rejects(plain.end, (error) => error.originalResponse.getStatus() === 409)
  const over = upload(name, 'a', bytes(100), { headers: { 'x-upsert': 'true' } })
  over.upload.start()
  await over.end
  assert.ok((await content(t, name, 'a')).equals(bytes(100)))
})

test('an upload that is given up is gone', async (t) => {
  const name = await bucket(t)
  const body = bytes(13 * 1024 * 1024)
  let first
  const arrived = new Promise((resolve) => { first = resolve })
  const going = upload(name, 'gone', body, { onChunkComplete: () => first() })
  going.upload.start()
  await arrived
  await going.upload.abort(true)
  const asked = await fetch(going.upload.url, { method: 'HEAD', headers: { authorization: `Bearer ${serviceKey}`, 'tus-resumable': '1.0.0' } })
  assert.equal(asked.status, 404)
  assert.equal((await service(t).storage.from(name).exists('gone')).data, false)
})

test('policies decide, at the beginning and at the end', async (t) => {
  const name = await bucket(t)
  const session = await sql(t)
  await session.query(`create policy ${name}_tus on storage.objects for insert to authenticated with check (bucket_id = '${name}' and auth.uid() = '${ann}')`)
  const body = bytes(7 * 1024 * 1024)
  const other = upload(name, 'a', body, { token: userToken(bob) })
  other.upload.start()
  await assert.rejects(other.end, (error) => error.originalResponse.getStatus() === 403)
  const mine = upload(name, 'a', body, { token: userToken(ann) })
  mine.upload.start()
  await mine.end
  const { rows } = await session.query('select owner_id from storage.objects where bucket_id = $1', [name])
  assert.deepEqual(rows, [{ owner_id: ann }])
  // The right is taken away between two parts.
  let stopped
  const first = new Promise((resolve) => { stopped = resolve })
  const late = upload(name, 'b', body, { token: userToken(ann), onChunkComplete: async () => { await late.upload.abort(); stopped() } })
  late.upload.start()
  await first
  await session.query(`drop policy ${name}_tus on storage.objects`)
  const again = upload(name, 'b', body, { token: userToken(ann), uploadUrl: late.upload.url })
  again.upload.start()
  await assert.rejects(again.end, (error) => error.originalResponse.getStatus() === 403)
  assert.equal((await service(t).storage.from(name).exists('b')).data, false)
})

test('limits of the bucket hold before anything is sent', async (t) => {
  const name = await bucket(t, { public: false, fileSizeLimit: 100, allowedMimeTypes: ['text/*'] })
  for (const [length, contentType, status] of [[101, 'text/plain', 413], [10, 'image/png', 415]]) {
    const going = upload(name, 'a', bytes(200).subarray(0, length), { metadata: { contentType } })
    going.upload.start()
    await assert.rejects(going.end, (error) => error.originalResponse.getStatus() === status)
  }
})

test('a signed URL takes a resumable upload', async (t) => {
  const name = await bucket(t)
  const { token } = await data(service(t).storage.from(name).createSignedUploadUrl('signed.bin'))
  const body = bytes(7 * 1024 * 1024)
  const signed = { endpoint: `${endpoint}/sign`, headers: { 'x-signature': token } }
  const going = upload(name, 'signed.bin', body, signed)
  going.upload.start()
  await going.end
  assert.ok((await content(t, name, 'signed.bin')).equals(body))
  const other = upload(name, 'other.bin', body, signed)
  other.upload.start()
  await assert.rejects(other.end, (error) => error.originalResponse.getStatus() === 400)
})
