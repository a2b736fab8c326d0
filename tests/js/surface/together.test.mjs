// The whole story with one address and one key: people sign up, a trigger makes their profile, they write rows that policies
// guard, others hear of it, and a file goes along.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anon, anonKey, data, fresh, ground, Seen, subscribed, url } from './support.mjs'

const bucket = `together-${process.pid}`

const session = await ground('tog_', `
  create table public.tog_profiles (id uuid primary key references auth.users on delete cascade, name text not null, email text);
  alter table public.tog_profiles enable row level security;
  create policy tog_see on public.tog_profiles for select to authenticated using (true);
  create policy tog_edit on public.tog_profiles for update to authenticated using (id = (select auth.uid()));
  create or replace function public.tog_greet() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
    insert into public.tog_profiles (id, name, email) values (new.id, coalesce(new.raw_user_meta_data ->> 'name', 'nobody'), new.email);
    return new;
  end $$;
  create or replace trigger tog_greet after insert on auth.users for each row execute function public.tog_greet();

  create table public.tog_letters (
    id bigint generated always as identity primary key,
    sender uuid not null default auth.uid() references tog_profiles on delete cascade,
    receiver uuid not null references tog_profiles on delete cascade, text text, picture text);
  alter table public.tog_letters enable row level security;
  create policy tog_read on public.tog_letters for select to authenticated using ((select auth.uid()) in (sender, receiver));
  create policy tog_write on public.tog_letters for insert to authenticated with check (sender = (select auth.uid()));
  alter publication supabase_realtime add table public.tog_letters;

  insert into storage.buckets (id, name, public) values ('${bucket}', '${bucket}', false);
  drop policy if exists tog_put on storage.objects;
  drop policy if exists tog_get on storage.objects;
  create policy tog_put on storage.objects for insert to authenticated
    with check (bucket_id = '${bucket}' and (storage.foldername(name))[1] = (select auth.uid())::text);
  create policy tog_get on storage.objects for select to authenticated
    using (bucket_id = '${bucket}' and (storage.foldername(name))[1] = (select auth.uid())::text)`)

/** A person who has just signed up, with a client of her own. */
async function person(t, name) {
  const supabase = anon(t)
  const email = `${fresh(name)}@example.com`
  const { data: { user, session: signedIn }, error } = await supabase.auth.signUp({ email, password: 'correct horse battery', options: { data: { name } } })
  assert.equal(error, null)
  assert.ok(signedIn?.access_token, 'signed in at once')
  return { supabase, email, id: user.id }
}

/** Letters that a person hears of; resolves when they are live. */
async function letters({ supabase }) {
  const [seen, system] = [new Seen(), new Seen()]
  const channel = supabase.channel(fresh('letters'))
  channel.on('system', {}, system.add).on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'tog_letters' }, seen.add)
  await subscribed(channel)
  await system.until((m) => m.extension === 'postgres_changes' && m.status === 'ok', 'the word that changes are live')
  return seen
}

test('sign up, profile, letter, event, file', async (t) => {
  // The trigger is on a table that other tests use as well.
  t.after(() => session.query('drop trigger if exists tog_greet on auth.users'))
  const ann = await person(t, 'ann')
  const bob = await person(t, 'bob')
  const eve = await person(t, 'eve')

  // The trigger made the profiles; a person edits her own and nobody else's.
  assert.deepEqual(await data(ann.supabase.from('tog_profiles').select('id, name, email').eq('id', ann.id).single()), { id: ann.id, name: 'ann', email: ann.email })
  assert.deepEqual(await data(bob.supabase.from('tog_profiles').update({ name: 'Robert' }).in('id', [ann.id, bob.id]).select('name')), [{ name: 'Robert' }])
  assert.deepEqual(await data(anon(t).from('tog_profiles').select()), [])

  // Ann puts a picture into her folder; nobody puts anything into another's.
  const path = `${ann.id}/hello.png`
  const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3])
  const stored = await data(ann.supabase.storage.from(bucket).upload(path, png, { contentType: 'image/png' }))
  assert.equal(stored.path, path)
  const taken = await eve.supabase.storage.from(bucket).upload(`${ann.id}/evil.png`, png, { contentType: 'image/png' })
  assert.match(taken.error.message, /row-level security/)
  assert.notEqual((await bob.supabase.storage.from(bucket).download(path)).error, null)

  // She writes to Bob. He hears of it, so does she, and Eve does not.
  const [hers, his, others] = [await letters(ann), await letters(bob), await letters(eve)]
  const letter = await data(ann.supabase.from('tog_letters').insert({ receiver: bob.id, text: 'hello', picture: path }).select('id, text, to:tog_profiles!receiver(name)').single())
  assert.deepEqual([letter.text, letter.to], ['hello', { name: 'Robert' }])
  const event = await his.until((e) => e.new.id === letter.id, 'the letter')
  assert.deepEqual([event.new.sender, event.new.text], [ann.id, 'hello'])
  await hers.until((e) => e.new.id === letter.id)
  const marker = await data(bob.supabase.from('tog_letters').insert({ receiver: eve.id, text: 'hi eve' }).select('id').single())
  await others.until((e) => e.new.id === marker.id)
  assert.deepEqual(others.items.map((e) => e.new.text), ['hi eve'])
  assert.deepEqual((await data(eve.supabase.from('tog_letters').select('text'))).map((row) => row.text), ['hi eve'])

  // A signed URL shows him what he may not ask for himself.
  const { signedUrl } = await data(ann.supabase.storage.from(bucket).createSignedUrl(path, 60))
  assert.ok(signedUrl.startsWith(url))
  const shown = await fetch(signedUrl)
  assert.equal(shown.status, 200)
  assert.equal(shown.headers.get('content-type'), 'image/png')
  assert.deepEqual(new Uint8Array(await shown.arrayBuffer()), png)
  assert.notEqual((await fetch(`${signedUrl.slice(0, -4)}AAAA`)).status, 200)

  // The token carries who she is through every service; without it she is a visitor again.
  const token = (await ann.supabase.auth.getSession()).data.session.access_token
  const asked = await fetch(`${url}/rest/v1/tog_letters?select=text`, { headers: { apikey: anonKey, authorization: `Bearer ${token}` } })
  assert.deepEqual(await asked.json(), [{ text: 'hello' }])
  await ann.supabase.auth.signOut()
  assert.deepEqual(await data(ann.supabase.from('tog_letters').select()), [])
  assert.equal((await ann.supabase.auth.signInWithPassword({ email: ann.email, password: 'correct horse battery' })).error, null)
  assert.equal((await data(ann.supabase.from('tog_letters').select())).length, 1)
})
