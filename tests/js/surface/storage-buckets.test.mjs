// Every operation of storage-js on buckets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anon, data, fresh, service } from './support.mjs'
import { bucket } from './storage-support.mjs'

test('a bucket is made, read, listed, changed and deleted', async (t) => {
  const { storage } = service(t)
  const name = fresh('made')
  assert.deepEqual(await data(storage.createBucket(name, { public: true, allowedMimeTypes: ['image/png'], fileSizeLimit: '1MB' })), { name })
  const made = await data(storage.getBucket(name))
  assert.equal(made.id, name)
  assert.equal(made.public, true)
  assert.equal(made.type, 'STANDARD')
  assert.equal(made.file_size_limit, 1_000_000)
  assert.deepEqual(made.allowed_mime_types, ['image/png'])
  assert.match(made.created_at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)

  assert.deepEqual(await data(storage.updateBucket(name, { public: false, fileSizeLimit: null, allowedMimeTypes: null })), { message: 'Successfully updated' })
  const changed = await data(storage.getBucket(name))
  assert.deepEqual([changed.public, changed.file_size_limit, changed.allowed_mime_types], [false, null, null])
  await data(storage.updateBucket(name, { public: true, fileSizeLimit: 1024 }))
  assert.equal((await data(storage.getBucket(name))).file_size_limit, 1024)

  const listed = await data(storage.listBuckets())
  assert.ok(listed.some((each) => each.id === name))
  assert.deepEqual(await data(storage.deleteBucket(name)), { message: 'Successfully deleted' })
  const { error } = await storage.getBucket(name)
  assert.equal(error.message, 'Bucket not found')
  assert.equal(error.statusCode, '404')
})

test('buckets are listed in pages, by a part of their name, in an order', async (t) => {
  const { storage } = service(t)
  const names = [await bucket(t), await bucket(t), await bucket(t)]
  const options = { search: names[0].slice(0, -2), sortColumn: 'name', sortOrder: 'desc' }
  const all = (await data(storage.listBuckets(options))).map((each) => each.name)
  assert.ok(names.every((name) => all.includes(name)))
  assert.deepEqual(all, [...all].sort().reverse())
  const page = await data(storage.listBuckets({ ...options, limit: 1, offset: 1 }))
  assert.deepEqual(page.map((each) => each.name), [all[1]])
})

test('a bucket that is not empty stays until it is', async (t) => {
  const { storage } = service(t)
  const name = await bucket(t)
  await data(storage.from(name).upload('a/b.txt', 'text'))
  const refused = await storage.deleteBucket(name)
  assert.equal(refused.error.message, 'The bucket you tried to delete is not empty')
  assert.equal(refused.error.statusCode, '409')
  assert.deepEqual(await data(storage.emptyBucket(name)), { message: 'Successfully emptied' })
  assert.deepEqual(await data(storage.from(name).list('a')), [])
  await data(storage.deleteBucket(name))
  await data(storage.createBucket(name))
})

test('names and settings that cannot be are refused', async (t) => {
  const { storage } = service(t)
  const name = await bucket(t)
  assert.equal((await storage.createBucket(name)).error.statusCode, '409')
  assert.equal((await storage.createBucket('a/b')).error.statusCode, '400')
  assert.equal((await storage.createBucket(fresh('x'), { public: false, fileSizeLimit: '999999GB' })).error.statusCode, '413')
  assert.equal((await storage.createBucket(fresh('x'), { public: false, fileSizeLimit: 'lots' })).error.statusCode, '400')
  assert.equal((await storage.createBucket(fresh('x'), { public: false, allowedMimeTypes: ['png'] })).error.statusCode, '415')
  assert.equal((await storage.updateBucket(fresh('none'), { public: true })).error.statusCode, '404')
  assert.equal((await storage.emptyBucket(fresh('none'))).error.statusCode, '404')
})

test('what this server has not says so', async (t) => {
  const { storage } = service(t)
  const name = await bucket(t)
  for (const asked of [
    storage.createBucket(fresh('x'), { public: false, type: 'ANALYTICS' }),
    storage.createBucket(fresh('x'), { public: false, versioningStatus: 'ENABLED' }),
    storage.getBucketLifecycle(name),
    storage.updateBucketLifecycle(name, { rules: [] }),
    storage.deleteBucketLifecycle(name),
    storage.purgeBucketCache(name),
    storage.from(name).purgeCache('a'),
    storage.analytics.listBuckets(),
    storage.vectors.listBuckets(),
    storage.from(name).info('a', { versionId: '1' }),
  ]) {
    const { error } = await asked
    assert.equal(error.status, 501)
    assert.match(error.message, /not supported/)
  }
})

test('a visitor sees no bucket and makes none', async (t) => {
  const name = await bucket(t, { public: true })
  const { storage } = anon(t)
  assert.deepEqual(await data(storage.listBuckets()), [])
  assert.equal((await storage.getBucket(name)).error.message, 'Bucket not found')
  const { error } = await storage.createBucket(fresh('mine'))
  assert.equal(error.message, 'new row violates row-level security policy')
  assert.equal(error.statusCode, '403')
  assert.equal((await storage.updateBucket(name, { public: false })).error.statusCode, '404')
  assert.equal((await storage.deleteBucket(name)).error.statusCode, '404')
  assert.equal((await storage.emptyBucket(name)).error.statusCode, '404')
})
