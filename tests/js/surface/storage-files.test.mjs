// Every operation of storage-js on files: with the key of servers here; what policies do is tested in storage-policies.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { data, service, url } from './support.mjs'
import { bucket, png } from './storage-support.mjs'

test('a file of every kind of body arrives as it was', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  const bytes = Buffer.from([0, 1, 2, 253, 254, 255])
  const form = new FormData()
  form.append('cacheControl', '60')
  form.append('file', new Blob([bytes]), 'x.bin')
  const bodies = {
    blob: new Blob([bytes], { type: 'application/x-own' }),
    file: new File([bytes], 'a.bin'),
    form,
    buffer: bytes,
    arrayBuffer: new Uint8Array(bytes).buffer,
    view: new Uint8Array(bytes),
    node: Readable.from([bytes.subarray(0, 2), bytes.subarray(2)]),
    web: new Blob([bytes]).stream(),
  }
  for (const [kind, body] of Object.entries(bodies)) {
    const path = `kinds/${kind}.bin`
    const put = await data(files.upload(path, body, { contentType: 'application/x-own' }))
    assert.equal(put.path, path)
    assert.match(put.id, /^[0-9a-f-]{36}$/)
    assert.match(put.fullPath, new RegExp(`/${path}$`))
    const got = await data(files.download(path))
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), bytes, kind)
  }
  await data(files.upload('kinds/text.txt', 'grüße'))
  assert.equal(await (await data(files.download('kinds/text.txt'))).text(), 'grüße')
  await data(files.upload('kinds/params.txt', new URLSearchParams({ a: 'b' })))
  await data(files.upload('kinds/empty', ''))
  assert.equal((await data(files.download('kinds/empty'))).size, 0)
})

test('a large file goes through in pieces, both ways', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  const piece = Buffer.alloc(1024 * 1024, 'x')
  async function* pieces() { for (let n = 0; n < 24; n++) yield piece }
  await data(files.upload('large.bin', Readable.from(pieces()), { contentType: 'application/octet-stream' }))
  const stream = await data(files.download('large.bin').asStream())
  let size = 0
  for await (const part of stream) size += part.length
  assert.equal(size, 24 * piece.length)
  assert.equal((await data(files.info('large.bin'))).size, 24 * piece.length)
})

test('what is said about a file is kept', async (t) => {
  const name = await bucket(t)
  const files = service(t).storage.from(name)
  const metadata = { who: 'me', tags: ['a', 'ü'], nested: { n: 1 } }
  for (const [path, body] of [['blob.png', new Blob([png(2, 2)], { type: 'image/png' })], ['raw.png', png(2, 2)]]) {
    await data(files.upload(path, body, { cacheControl: '77', contentType: 'image/png', metadata }))
    const info = await data(files.info(path))
    assert.equal(info.name, path)
    assert.equal(info.bucketId, name)
    assert.equal(info.contentType, 'image/png')
    assert.equal(info.cacheControl, 'max-age=77')
    assert.equal(info.size, png(2, 2).length)
    assert.deepEqual(info.metadata, metadata)
    assert.match(info.etag, /^"[0-9a-f]{32}"$/)
    assert.match(info.lastModified, /Z$/)
    assert.match(info.createdAt, /Z$/)
    assert.match(info.version, /^[0-9a-f-]{36}$/)
  }
})

test('a file is there or not', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  await data(files.upload('here', 'x'))
  assert.equal((await files.exists('here')).data, true)
  const missing = await files.exists('there')
  assert.equal(missing.data, false)
  assert.equal(missing.error.code, 'NoSuchKey')
  const { error } = await files.download('there')
  assert.equal(error.statusCode, '404')
  assert.equal((await files.info('there')).error.message, 'Object not found')
  const elsewhere = await service(t).storage.from('no-such-bucket').upload('a', 'x')
  assert.equal(elsewhere.error.message, 'Bucket not found')
})

test('a file is replaced only on purpose, and stays the same object', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  const first = await data(files.upload('a.txt', 'one', { metadata: { n: 1 } }))
  const again = await files.upload('a.txt', 'two')
  assert.equal(again.error.message, 'The resource already exists')
  assert.equal(again.error.statusCode, '409')
  assert.equal(await (await data(files.download('a.txt'))).text(), 'one')
  const over = await data(files.upload('a.txt', 'two', { upsert: true }))
  assert.equal(over.id, first.id)
  assert.equal(await (await data(files.download('a.txt'))).text(), 'two')
  const updated = await data(files.update('a.txt', 'three', { contentType: 'text/markdown' }))
  assert.equal(updated.id, first.id)
  const info = await data(files.info('a.txt'))
  assert.deepEqual([info.contentType, info.metadata, info.size], ['text/markdown', {}, 5])
})

test('files are listed by folder', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  for (const path of ['b.txt', 'A.txt', 'dir/one.txt', 'dir/two.md', 'dir/sub/three.txt', 'dir2/x']) await data(files.upload(path, path))
  const names = async (...query) => (await data(files.list(...query))).map((each) => each.name)
  assert.deepEqual(await names(), ['A.txt', 'b.txt', 'dir', 'dir2'])
  assert.deepEqual(await names('dir'), ['one.txt', 'sub', 'two.md'])
  assert.deepEqual(await names('dir/'), ['one.txt', 'sub', 'two.md'])
  assert.deepEqual(await names('dir/sub'), ['three.txt'])
  assert.deepEqual(await names('nowhere'), [])
  assert.deepEqual(await names('', { sortBy: { column: 'name', order: 'desc' } }), ['dir2', 'dir', 'b.txt', 'A.txt'])
  assert.deepEqual(await names('', { limit: 2, offset: 1 }), ['b.txt', 'dir'])
  assert.deepEqual(await names('dir', { search: 'T' }), ['two.md'])
  assert.deepEqual(await names('', { sortBy: { column: 'created_at', order: 'asc' } }), ['dir', 'dir2', 'b.txt', 'A.txt'])
  assert.deepEqual(await names('', { sortBy: { column: 'updated_at', order: 'desc' } }), ['dir2', 'dir', 'A.txt', 'b.txt'])
  const [folder, file] = [(await data(files.list())).find((each) => each.name === 'dir'), (await data(files.list('dir')))[0]]
  assert.deepEqual([folder.id, folder.metadata, folder.created_at], [null, null, null])
  assert.match(file.id, /^[0-9a-f-]{36}$/)
  assert.deepEqual([file.metadata.size, file.metadata.mimetype, file.metadata.cacheControl], [11, 'text/plain;charset=UTF-8', 'max-age=3600'])
  assert.equal((await files.list('', { sortBy: { column: 'owner' } })).error.statusCode, '400')
})

test('files are listed page by page', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  const paths = ['a/1', 'a/2', 'a/b/3', 'c', 'd', 'e/4']
  for (const path of paths) await data(files.upload(path, 'x'))
  const flat = await data(files.listV2())
  assert.deepEqual(flat.objects.map((each) => each.name), paths)
  assert.deepEqual([flat.folders, flat.hasNext, flat.nextCursor], [[], false, undefined])
  const tree = await data(files.listV2({ with_delimiter: true }))
  assert.deepEqual([tree.folders.map((each) => each.name), tree.objects.map((each) => each.name)], [['a/', 'e/'], ['c', 'd']])
  const inner = await data(files.listV2({ with_delimiter: true, prefix: 'a/' }))
  assert.deepEqual([inner.folders.map((each) => each.name), inner.objects.map((each) => each.key)], [['a/b/'], ['1', '2']])
  for (const sortBy of [undefined, { column: 'created_at', order: 'desc' }, { column: 'name', order: 'desc' }]) {
    const seen = []
    let cursor
    do {
      const page = await data(files.listV2({ limit: 2, cursor, sortBy }))
      assert.ok(page.objects.length <= 2)
      seen.push(...page.objects.map((each) => each.name))
      cursor = page.nextCursor
      assert.equal(page.hasNext, cursor !== undefined)
    } while (cursor)
    assert.deepEqual(seen, sortBy ? [...paths].reverse() : paths)
  }
  assert.equal((await files.listV2({ cursor: 'nonsense' })).error.statusCode, '400')
})

test('files are moved, also to another bucket', async (t) => {
  const [one, two] = [await bucket(t), await bucket(t)]
  const { storage } = service(t)
  const { id } = await data(storage.from(one).upload('a.txt', 'text', { metadata: { n: 1 }, cacheControl: '5' }))
  assert.equal((await data(storage.from(one).move('a.txt', 'b/c.txt'))).message, 'Successfully moved')
  assert.equal((await storage.from(one).exists('a.txt')).data, false)
  await data(storage.from(one).move('b/c.txt', 'd.txt', { destinationBucket: two }))
  const info = await data(storage.from(two).info('d.txt'))
  assert.deepEqual([info.id, info.metadata, info.cacheControl], [id, { n: 1 }, 'max-age=5'])
  assert.equal(await (await data(storage.from(two).download('d.txt'))).text(), 'text')
  await data(storage.from(two).upload('taken', 'x'))
  assert.equal((await storage.from(two).move('d.txt', 'taken')).error.statusCode, '409')
  assert.equal((await storage.from(two).move('none', 'x')).error.statusCode, '404')
  await data(storage.from(two).move('d.txt', 'd.txt'))
})

test('files are copied, also to another bucket', async (t) => {
  const [one, two] = [await bucket(t), await bucket(t, { public: false, allowedMimeTypes: ['image/*'] })]
  const { storage } = service(t)
  await data(storage.from(one).upload('a.txt', 'text', { metadata: { n: 1 } }))
  assert.deepEqual(await data(storage.from(one).copy('a.txt', 'b.txt')), { path: `${one}/b.txt` })
  await data(storage.from(one).update('a.txt', 'other'))
  assert.equal(await (await data(storage.from(one).download('b.txt'))).text(), 'text')
  assert.deepEqual((await data(storage.from(one).info('b.txt'))).metadata, { n: 1 })
  await data(storage.from(one).copy('a.txt', 'c.txt', { copyMetadata: false, metadata: { mimetype: 'text/markdown', cacheControl: 'max-age=9' } }))
  const info = await data(storage.from(one).info('c.txt'))
  assert.deepEqual([info.contentType, info.cacheControl], ['text/markdown', 'max-age=9'])
  assert.equal((await storage.from(one).copy('a.txt', 'b.txt')).error.statusCode, '409')
  const other = await storage.from(one).copy('a.txt', 'a.txt', { destinationBucket: two })
  assert.equal(other.error.statusCode, '415')
  assert.equal((await storage.from(one).move('a.txt', 'a.txt', { destinationBucket: two })).error.statusCode, '415')
  await data(storage.from(one).upload('a.png', png(1, 1), { contentType: 'image/png' }))
  assert.deepEqual(await data(storage.from(one).copy('a.png', 'x/a.png', { destinationBucket: two })), { path: `${two}/x/a.png` })
})

test('files are removed', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  for (const path of ['a', 'b', 'c/d']) await data(files.upload(path, path))
  const removed = await data(files.remove(['a', 'c/d', 'never there']))
  assert.deepEqual(removed.map((each) => each.name).sort(), ['a', 'c/d'])
  assert.deepEqual((await data(files.list())).map((each) => each.name), ['b'])
  assert.equal((await files.download('a')).error.statusCode, '404')
  assert.equal((await files.remove([])).error.statusCode, '400')
})

test('limits of a bucket hold', async (t) => {
  const files = service(t).storage.from(await bucket(t, { public: false, fileSizeLimit: 10, allowedMimeTypes: ['text/plain', 'image/*'] }))
  await data(files.upload('ten', '0123456789'))
  for (const body of ['0123456789a', new Blob(['0123456789a'], { type: 'text/plain' }), Readable.from([Buffer.alloc(100_000)])]) {
    const { error } = await files.upload('eleven', body, { contentType: 'text/plain' })
    assert.equal(error.statusCode, '413')
    assert.equal(error.message, 'The object exceeded the maximum allowed size')
  }
  const { error } = await files.upload('html', '<p>', { contentType: 'text/html' })
  assert.equal(error.statusCode, '415')
  assert.equal(error.message, 'mime type text/html is not supported')
  assert.equal((await files.upload('fake', 'no image', { contentType: 'image/png' })).error.statusCode, '415')
  assert.deepEqual((await data(files.list())).map((each) => each.name), ['ten'])
})

test('a public file has an address that needs no key', async (t) => {
  const name = await bucket(t, { public: true })
  const files = service(t).storage.from(name)
  await data(files.upload('dir/with space.png', png(3, 2), { contentType: 'image/png', cacheControl: '60' }))
  const { publicUrl } = files.getPublicUrl('dir/with space.png').data
  const got = await fetch(publicUrl)
  assert.equal(got.status, 200)
  assert.equal(got.headers.get('content-type'), 'image/png')
  assert.equal(got.headers.get('cache-control'), 'max-age=60')
  assert.equal(got.headers.get('x-content-type-options'), 'nosniff')
  assert.match(got.headers.get('content-security-policy'), /sandbox; default-src 'none'/)
  assert.equal(got.headers.get('content-disposition'), 'inline')
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), png(3, 2))
  const named = await fetch(files.getPublicUrl('dir/with space.png', { download: 'ü "x".png' }).data.publicUrl)
  assert.equal(named.headers.get('content-disposition'), `attachment; filename="_ _x_.png"; filename*=UTF-8''%C3%BC%20%22x%22.png`)
  const saved = await fetch(files.getPublicUrl('dir/with space.png', { download: true }).data.publicUrl)
  assert.equal(saved.headers.get('content-disposition'), 'attachment')
  const unchanged = await fetch(publicUrl, { headers: { 'if-none-match': got.headers.get('etag') } })
  assert.equal(unchanged.status, 304)
  const part = await fetch(publicUrl, { headers: { range: 'bytes=1-3' } })
  assert.deepEqual([part.status, await part.text(), part.headers.get('content-range')], [206, 'PNG', `bytes 1-3/${png(3, 2).length}`])
  const info = await fetch(`${url}/storage/v1/object/info/public/${name}/dir/with%20space.png`)
  assert.equal((await info.json()).content_type, 'image/png')
})
