// Policies on storage.objects decide about every operation of a person's client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ann, anon, asUser, bob, data, service, sql } from './support.mjs'
import { bucket, png } from './storage-support.mjs'

/** A bucket where everybody has a folder, which only its owner may use in these ways. */
async function folders(t, commands = ['select', 'insert', 'update', 'delete']) {
  const name = await bucket(t)
  const session = await sql(t)
  const own = `bucket_id = '${name}' and (storage.foldername(name))[1] = (select auth.uid())::text`
  for (const command of commands) {
    const policy = `${name}_${command}`
    await session.query(`create policy ${policy} on storage.objects for ${command} to authenticated ${command === 'insert' ? 'with check' : 'using'} (${own})`)
    t.after(async () => (await sql()).query(`drop policy ${policy} on storage.objects`))
  }
  return name
}

const denied = async (asked, code = '403') => {
  const { error } = await asked
  assert.equal(error?.statusCode, code, error?.message ?? 'it was allowed')
}

test('an owner does everything in her folder', async (t) => {
  const name = await folders(t)
  const mine = asUser(t, ann).storage.from(name)
  await data(mine.upload(`${ann}/a.png`, png(4, 2), { contentType: 'image/png' }))
  await data(mine.upload(`${ann}/a.png`, png(4, 4), { contentType: 'image/png', upsert: true }))
  await data(mine.copy(`${ann}/a.png`, `${ann}/b.png`))
  await data(mine.move(`${ann}/b.png`, `${ann}/c.png`))
  assert.deepEqual((await data(mine.list(ann))).map((each) => each.name), ['a.png', 'c.png'])
  assert.equal((await data(mine.download(`${ann}/a.png`, { transform: { width: 2 } }))).type, 'image/png')
  assert.ok((await data(mine.createSignedUrl(`${ann}/a.png`, 60))).signedUrl)
  await data(mine.uploadToSignedUrl(`${ann}/d`, (await data(mine.createSignedUploadUrl(`${ann}/d`))).token, 'x'))
  assert.equal((await data(mine.remove([`${ann}/a.png`, `${ann}/c.png`, `${ann}/d`]))).length, 3)
})

test('what is uploaded belongs to who uploaded it', async (t) => {
  const name = await folders(t)
  await data(asUser(t, ann).storage.from(name).upload(`${ann}/a`, 'x'))
  const { rows } = await (await sql(t)).query('select owner, owner_id from storage.objects where bucket_id = $1', [name])
  assert.deepEqual(rows, [{ owner: ann, owner_id: ann }])
})

test('nobody else finds, reads, changes or takes it', async (t) => {
  const name = await folders(t)
  await data(asUser(t, ann).storage.from(name).upload(`${ann}/a.png`, png(4, 2), { contentType: 'image/png' }))
  const path = `${ann}/a.png`
  for (const supabase of [asUser(t, bob), anon(t)]) {
    const files = supabase.storage.from(name)
    await denied(files.download(path), '404')
    await denied(files.download(path, { transform: { width: 2 } }), '404')
    await denied(files.info(path), '404')
    assert.equal((await files.exists(path)).data, false)
    assert.deepEqual(await data(files.list(ann)), [])
    assert.deepEqual((await data(files.listV2())).objects, [])
    await denied(files.createSignedUrl(path, 60), '404')
    assert.equal((await data(files.createSignedUrls([path], 60)))[0].signedUrl, null)
    await denied(files.createSignedUploadUrl(`${ann}/new`))
    await denied(files.createSignedUploadUrl(path, { upsert: true }))
    await denied(files.upload(`${ann}/new`, 'x'))
    await denied(files.upload(path, png(1, 1), { contentType: 'image/png', upsert: true }))
    await denied(files.update(path, png(1, 1), { contentType: 'image/png' }))
    await denied(files.move(path, `${bob}/a.png`), '404')
    await denied(files.copy(path, `${bob}/a.png`), '404')
    assert.deepEqual(await data(files.remove([path])), [])
  }
  const bobs = asUser(t, bob).storage.from(name)
  await data(bobs.upload(`${bob}/mine`, 'x'))
  await denied(bobs.move(`${bob}/mine`, `${ann}/stolen`))
  await denied(bobs.copy(`${bob}/mine`, `${ann}/stolen`))
  assert.deepEqual(Buffer.from(await (await data(service(t).storage.from(name).download(path))).arrayBuffer()), png(4, 2))
  assert.equal(await (await data(bobs.download(`${bob}/mine`))).text(), 'x')
})

test('each right is one of its own', async (t) => {
  const insertOnly = await folders(t, ['insert'])
  const drop = asUser(t, ann).storage.from(insertOnly)
  await data(drop.upload(`${ann}/a`, 'x'))
  await denied(drop.download(`${ann}/a`), '404')
  await denied(drop.upload(`${ann}/a`, 'y', { upsert: true }))

  const readOnly = await folders(t, ['select'])
  await data(service(t).storage.from(readOnly).upload(`${ann}/a`, 'x'))
  const read = asUser(t, ann).storage.from(readOnly)
  assert.equal(await (await data(read.download(`${ann}/a`))).text(), 'x')
  await denied(read.move(`${ann}/a`, `${ann}/b`), '404')
  await denied(read.copy(`${ann}/a`, `${ann}/b`))
  assert.deepEqual(await data(read.remove([`${ann}/a`])), [])
})

test('a policy can tell which operation runs', async (t) => {
  const name = await bucket(t)
  const session = await sql(t)
  await session.query(`create policy ${name}_op on storage.objects for select to anon using (bucket_id = '${name}' and storage.allow_only_operation('object.get_authenticated'))`)
  t.after(async () => (await sql()).query(`drop policy ${name}_op on storage.objects`))
  await data(service(t).storage.from(name).upload('a', 'x'))
  const files = anon(t).storage.from(name)
  assert.equal(await (await data(files.download('a'))).text(), 'x')
  assert.deepEqual(await data(files.list()), [])
})
