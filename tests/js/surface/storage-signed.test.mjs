// Signed URLs: whoever has one may, without a key, until it expires.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anonKey, ann, asUser, data, mint, serviceKey, service, url } from './support.mjs'
import { bucket, png, size } from './storage-support.mjs'

test('a signed URL gives the file to anybody', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  await data(files.upload('a b/c.txt', 'secret'))
  const { signedUrl } = await data(files.createSignedUrl('a b/c.txt', 60))
  const got = await fetch(signedUrl)
  assert.equal(await got.text(), 'secret')
  assert.equal(got.headers.get('cache-control'), null)
  assert.ok(Date.parse(got.headers.get('expires')) > Date.now())
  const named = await data(files.createSignedUrl('a b/c.txt', 60, { download: 'x.txt', cacheNonce: '1' }))
  assert.match((await fetch(named.signedUrl)).headers.get('content-disposition'), /^attachment; filename="x.txt"/)
  assert.equal((await files.createSignedUrl('none', 60)).error.statusCode, '404')
  for (const seconds of [0, -5, 1e18]) assert.equal((await files.createSignedUrl('a b/c.txt', seconds)).error.statusCode, '400')
})

test('several at once, each with its own answer', async (t) => {
  const files = service(t).storage.from(await bucket(t))
  await data(files.upload('a', 'one'))
  const [a, none] = await data(files.createSignedUrls(['a', 'none'], 60, { download: true }))
  const got = await fetch(a.signedUrl)
  assert.deepEqual([await got.text(), got.headers.get('content-disposition'), a.error], ['one', 'attachment', null])
  assert.deepEqual([none.signedUrl, none.path], [null, 'none'])
  assert.match(none.error, /does not exist or you do not have access/)
})

test('a signed URL of a smaller image cannot be made one of the whole', async (t) => {
  const name = await bucket(t)
  const files = service(t).storage.from(name)
  await data(files.upload('a.png', png(40, 20), { contentType: 'image/png' }))
  const { signedUrl } = await data(files.createSignedUrl('a.png', 60, { transform: { width: 10, height: 10, resize: 'contain' } }))
  assert.match(signedUrl, /\/render\/image\/sign\//)
  assert.deepEqual(await size(await (await fetch(signedUrl)).blob()), [10, 5])
  assert.deepEqual(await size(await (await fetch(`${signedUrl}&width=40&resize=fill`)).blob()), [10, 5])
})

test('a token is for one file, one purpose and a while, and no token of the API', async (t) => {
  const name = await bucket(t)
  const files = service(t).storage.from(name)
  await data(files.upload('a', 'one'))
  await data(files.upload('b', 'two'))
  const token = new URL((await data(files.createSignedUrl('a', 60))).signedUrl).searchParams.get('token')
  const status = async (path, token, init) => {
    const got = await fetch(`${url}/storage/v1/object/${path}?token=${token}`, init)
    return got.ok ? got.status : Number((await got.json()).statusCode)
  }
  assert.equal(await status(`sign/${name}/a`, token), 200)
  assert.equal(await status(`sign/${name}/b`, token), 400)
  assert.equal(await status(`sign/${name}/a`, `${token}x`), 400)
  assert.equal(await status(`sign/${name}/a`, serviceKey), 400)
  assert.equal(await status(`sign/${name}/a`, mint({ url: `${name}/a`, scope: 'download', role: 'service_role' })), 400)
  assert.equal(await status(`upload/sign/${name}/a`, token, { method: 'PUT', body: 'x' }), 400)
  const upload = (await data(files.createSignedUploadUrl('c'))).token
  assert.equal(await status(`sign/${name}/c`, upload), 400)
  for (const bearer of [token, upload]) {
    const asked = await fetch(`${url}/storage/v1/object/list/${name}`, {
      method: 'POST', headers: { apikey: anonKey, authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }, body: '{"prefix":""}',
    })
    assert.equal((await asked.json()).statusCode, '403')
    const user = await fetch(`${url}/auth/v1/user`, { headers: { apikey: anonKey, authorization: `Bearer ${bearer}` } })
    assert.ok([401, 403].includes(user.status), `${user.status}`)
  }
  assert.equal(await (await data(files.download('a'))).text(), 'one')
})

test('a signed URL takes a file from anybody, once or over what is there', async (t) => {
  const name = await bucket(t)
  const files = service(t).storage.from(name)
  const nobody = asUser(t, ann).storage.from(name)
  const signed = await data(files.createSignedUploadUrl('in/a.txt'))
  assert.deepEqual([signed.path, new URL(signed.signedUrl).searchParams.get('token')], ['in/a.txt', signed.token])
  const put = await data(nobody.uploadToSignedUrl('in/a.txt', signed.token, new Blob(['text'], { type: 'text/plain' }), { metadata: { n: 1 } }))
  assert.deepEqual(put, { path: 'in/a.txt', fullPath: `${name}/in/a.txt` })
  assert.deepEqual((await data(files.info('in/a.txt'))).metadata, { n: 1 })
  assert.equal((await nobody.uploadToSignedUrl('in/a.txt', signed.token, 'again', { upsert: true })).error.statusCode, '409')
  assert.equal((await nobody.uploadToSignedUrl('in/b.txt', signed.token, 'other')).error.statusCode, '400')
  assert.equal((await files.createSignedUploadUrl('in/a.txt')).error.statusCode, '409')
  const over = await data(files.createSignedUploadUrl('in/a.txt', { upsert: true }))
  await data(nobody.uploadToSignedUrl('in/a.txt', over.token, 'new'))
  assert.equal(await (await data(files.download('in/a.txt'))).text(), 'new')
})
