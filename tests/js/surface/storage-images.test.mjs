// Images in the size a page wants.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { data, service } from './support.mjs'
import { bucket, png, size } from './storage-support.mjs'

test('each way of fitting', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  await data(files.upload('a.png', png(80, 40), { contentType: 'image/png' }))
  for (const [transform, expected] of [
    [{ width: 20 }, [20, 10]],
    [{ height: 20 }, [40, 20]],
    [{ width: 20, height: 20 }, [20, 20]],
    [{ width: 20, height: 20, resize: 'cover' }, [20, 20]],
    [{ width: 20, height: 20, resize: 'contain' }, [20, 10]],
    [{ width: 20, height: 30, resize: 'fill' }, [20, 30]],
    [{ width: 500 }, [80, 40]],
    [{ width: 20, quality: 50, format: 'origin' }, [20, 10]],
  ]) {
    assert.deepEqual(await size(await data(files.download('a.png', { transform }))), expected, JSON.stringify(transform))
  }
})

test('a public image has an address in each size', async (t) => {
  const files = service(t).storage.from(await bucket(t, { public: true }))
  await data(files.upload('a.png', png(80, 40), { contentType: 'image/png' }))
  const { publicUrl } = files.getPublicUrl('a.png', { transform: { width: 10, format: 'webp' } }).data
  const got = await fetch(publicUrl)
  assert.deepEqual([got.status, got.headers.get('content-type'), got.headers.get('x-content-type-options')], [200, 'image/webp', 'nosniff'])
  const again = await fetch(publicUrl, { headers: { 'if-none-match': got.headers.get('etag') } })
  assert.equal(again.status, 304)
  const other = await fetch(publicUrl.replace('width=10', 'width=11'), { headers: { 'if-none-match': got.headers.get('etag') } })
  assert.equal(other.status, 200)
})

test('what is no image, or asks for too much, is refused', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  await data(files.upload('a.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>', { contentType: 'image/svg+xml' }))
  await data(files.upload('a.txt', 'text'))
  await data(files.upload('a.png', png(8, 4), { contentType: 'image/png' }))
  const code = async (path, transform) => (await files.download(path, { transform })).error?.statusCode
  assert.equal(await code('a.svg', { width: 10 }), '422')
  assert.equal(await code('a.txt', { width: 10 }), '422')
  assert.equal(await code('none', { width: 10 }), '404')
  assert.equal(await code('a.png', { width: 10, quality: 1 }), '400')
  assert.equal(await code('a.png', { width: 10, resize: 'stretch' }), '400')
  assert.equal(await code('a.png', { width: 10, format: 'avif' }), '501')
  assert.equal(await code('a.png', { width: 'wide' }), '400')
})
