// People of an organisation, and what a test prepares for them, through the same API that the pages use.
import crypto from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'

const need = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set; \`cargo test --test it chat_pages\` sets it`)
  return process.env[name]
}

export const server = need('SURFACE_URL')
export const anonKey = need('ANON_KEY')
const serviceKey = need('SERVICE_KEY')

const options = { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }, realtime: { transport: WebSocket } }
export const service = createClient(server, serviceKey, options)

export function fine({ data, error }) {
  if (error) throw new Error(`${error.message} ${error.hint ?? ''} ${error.code ?? ''}`)
  return data
}

/** The bucket of attachments, until the migrations make it. */
export async function bucket(database) {
  const { error } = await service.storage.getBucket('chat-attachments')
  if (!error) return
  fine(await service.storage.createBucket('chat-attachments', { public: false }))
  await database.query(`
    create policy "chat pages read" on storage.objects for select to authenticated
      using (bucket_id = 'chat-attachments' and (storage.foldername(name))[1]::uuid in (select chat.my_conversations()));
    create policy "chat pages write" on storage.objects for insert to authenticated
      with check (bucket_id = 'chat-attachments' and (storage.foldername(name))[1]::uuid in (select chat.my_conversations())
        and (storage.foldername(name))[2] = auth.uid()::text);
    create policy "chat pages change" on storage.objects for update to authenticated
      using (bucket_id = 'chat-attachments' and (storage.foldername(name))[2] = auth.uid()::text)`)
}

/** People of one organisation: `await people({ Ana: 'trainer', Ben: 'client' })` gives one for each, with a client of their own. */
export async function people(kinds, org = crypto.randomUUID()) {
  const made = []
  for (const [name, kind] of Object.entries(kinds)) {
    const email = `${name.toLowerCase().replace(/\W/g, '')}-${crypto.randomUUID().slice(0, 8)}@example.com`
    const password = crypto.randomUUID()
    const { user } = fine(await service.auth.admin.createUser({ email, password, email_confirm: true, user_metadata: { display_name: name }, app_metadata: { kind, org_id: org } }))
    // Whatever made the profile: it says what the test needs.
    fine(await service.from('profiles').upsert({ id: user.id, display_name: name, kind, org_id: org }))
    const client = createClient(server, anonKey, options)
    fine(await client.auth.signInWithPassword({ email, password }))
    made.push({ id: user.id, name, kind, email, password, client, rpc: async (what, args) => fine(await client.rpc(what, args)) })
  }
  return made
}

export const direct = async (one, other) => (await one.rpc('start_conversation', { user_id: other.id })).id
export const group = async (owner, name, others) => (await owner.rpc('create_group', { name, user_ids: others.map((p) => p.id) })).id
export const say = (person, conversation, content, more = {}) => person.rpc('send_message', { conversation_id: conversation, content, client_id: crypto.randomUUID(), ...more })
