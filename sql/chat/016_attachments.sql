-- Attachments (C-403): the bucket chat-attachments, who may do what with its objects, and the queue of thumbnails.
--
-- Objects are named <conversation>/<user>/<anything>. Smaller versions lie beside: <the same>.thumb-256.jpg.

-- What was attached to messages that were deleted.
create table if not exists chat.withdrawn_objects (
  name text primary key,
  withdrawn_at timestamptz not null default now()
);
comment on table chat.withdrawn_objects is 'Objects of deleted messages: only who uploaded them still sees them.';
alter table chat.withdrawn_objects enable row level security;

create or replace function chat.is_withdrawn(object_name text) returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (
    select from chat.withdrawn_objects w where w.name = regexp_replace(object_name, '\.thumb-(256|1024)\.(jpg|png)$', ''))
$$;
comment on function chat.is_withdrawn(text) is 'Whether an object, or what it is a smaller version of, belonged to a message that was deleted.';

-- Only what its sender uploaded: with a message that names somebody else's object nobody takes that object away.
create or replace function chat.withdraw_attachments() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into chat.withdrawn_objects (name)
  select distinct item ->> 'path' from jsonb_array_elements(old.attachments) item
  where starts_with(item ->> 'path', old.conversation_id || '/' || old.sender_id || '/')
    and not exists (
      select from public.messages m
      where m.conversation_id = old.conversation_id and m.deleted_at is null and m.attachments <> '[]'
        and m.attachments @> jsonb_build_array(jsonb_build_object('path', item ->> 'path')))
  on conflict do nothing;
  return null;
end
$$;
drop trigger if exists d_withdraw_attachments on public.messages;
create trigger d_withdraw_attachments after update on public.messages for each row
  when (old.deleted_at is null and new.deleted_at is not null and old.attachments <> '[]') execute function chat.withdraw_attachments();

do $$
declare
  rule record;
  mine constant text := '(storage.foldername(name))[1] in (select c::text from chat.my_conversations() c)';
  me constant text := '(select auth.uid())::text';
begin
  if to_regclass('storage.buckets') is null or to_regclass('storage.objects') is null then
    insert into pg_temp.dovetail_notes values (
      'there is no storage in this database, so that nothing can be attached; migrate again when it is there');
    return;
  end if;

  -- No SVG and no HTML: both run scripts of whoever wrote them.
  insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
  values ('chat-attachments', 'chat-attachments', false, (select s.max_attachment_bytes from public.chat_settings s), array[
    'image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif',
    'video/mp4', 'video/webm', 'video/quicktime',
    'audio/mpeg', 'audio/mp4', 'audio/ogg', 'audio/webm', 'audio/wav',
    'text/plain', 'text/csv', 'application/pdf', 'application/zip', 'application/rtf',
    'application/msword', 'application/vnd.ms-excel', 'application/vnd.ms-powerpoint',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    'application/vnd.oasis.opendocument.text', 'application/vnd.oasis.opendocument.spreadsheet',
    'application/vnd.oasis.opendocument.presentation'])
  on conflict do nothing;
  if exists (select from storage.buckets b where b.id = 'chat-attachments' and b.public) then
    insert into pg_temp.dovetail_notes values (
      'the bucket chat-attachments is public: everybody who has an address reads what is attached; run: update storage.buckets set public = false where id = ''chat-attachments''');
  end if;

  grant usage on schema storage to chat_guest;
  grant select on storage.buckets to chat_guest;
  grant select, insert, delete on storage.objects to chat_guest;

  -- Each twice: what may be done, and that nothing else may, whatever the host's own policies say of all buckets.
  for rule in
    select * from (values
      ('attachments of one''s conversations', 'select', 'using', mine || ' and ((storage.foldername(name))[2] = ' || me || ' or not chat.is_withdrawn(name))'),
      ('attach in one''s own name', 'insert', 'with check', mine || ' and (storage.foldername(name))[2] = ' || me),
      ('remove what one attached', 'delete', 'using', mine || ' and (storage.foldername(name))[2] = ' || me),
      ('nobody changes what is attached', 'update', 'using', null)
    ) as list (name, command, clause, condition)
  loop
    execute format('drop policy if exists %I on storage.objects', 'chat: ' || rule.name);
    execute format('drop policy if exists %I on storage.objects', 'chat: only ' || rule.name);
    if rule.condition is not null then
      execute format('create policy %I on storage.objects for %s to authenticated, chat_guest %s (bucket_id = ''chat-attachments'' and %s)',
        'chat: ' || rule.name, rule.command, rule.clause, rule.condition);
    end if;
    execute format('create policy %I on storage.objects as restrictive for %s to authenticated, chat_guest %s (bucket_id <> ''chat-attachments'' or (%s))',
      'chat: only ' || rule.name, rule.command, rule.clause, coalesce(rule.condition, 'false'));
  end loop;
  drop policy if exists "chat: nothing for visitors" on storage.objects;
  create policy "chat: nothing for visitors" on storage.objects as restrictive for all to anon
    using (bucket_id <> 'chat-attachments') with check (bucket_id <> 'chat-attachments');
  drop policy if exists "chat: guests only attachments" on storage.objects;
  -- Policies of the host that name no role hold for guests too, and a guest has the id of a client.
  create policy "chat: guests only attachments" on storage.objects as restrictive for all to chat_guest
    using (bucket_id = 'chat-attachments') with check (bucket_id = 'chat-attachments');
  drop policy if exists "chat: guests only attachments" on storage.buckets;
  create policy "chat: guests only attachments" on storage.buckets as restrictive for all to chat_guest
    using (id = 'chat-attachments') with check (false);
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (format(
      'nothing can be attached: %s may not change schema storage (%s); migrate again as a superuser or as supabase_storage_admin',
      current_user, sqlerrm));
end
$$;

-- Smaller versions of images are made by the server. What is claimed and not finished in time is due again, so a crash
-- loses nothing.
create table if not exists chat.thumbnail_jobs (
  id bigint generated always as identity primary key,
  message_id uuid not null references public.messages (id) on delete cascade,
  path text not null,
  due_at timestamptz not null default now(),
  attempts integer not null default 0,
  created_at timestamptz not null default now(),
  unique (message_id, path)
);
create index if not exists thumbnail_jobs_due on chat.thumbnail_jobs (due_at, id);
comment on table chat.thumbnail_jobs is 'Images of messages that have no smaller versions yet.';
comment on column chat.thumbnail_jobs.due_at is 'Not before; moved forward while somebody works on it.';
alter table chat.thumbnail_jobs enable row level security;

create or replace function chat.queue_thumbnails() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into chat.thumbnail_jobs (message_id, path)
  select distinct new.id, item ->> 'path' from jsonb_array_elements(new.attachments) item
  where starts_with(item ->> 'path', new.conversation_id || '/')
    and coalesce(nullif(item ->> 'mime_type', ''), case when item ->> 'name' ~* '\.(png|jpe?g|gif|webp|avif)$' then 'image/' end) ~* '^image/'
  on conflict do nothing;
  if found then
    perform pg_notify('dovetail_chat', 'thumbnails');
  end if;
  return null;
end
$$;
drop trigger if exists d_thumbnails on public.messages;
create trigger d_thumbnails after insert on public.messages for each row
  when (new.attachments <> '[]') execute function chat.queue_thumbnails();

create or replace function chat.claim_thumbnails(most integer, lease interval)
returns table (id bigint, path text, attempts integer)
language sql volatile security definer set search_path = '' as $$
  with due as (
    select j.id from chat.thumbnail_jobs j where j.due_at <= now() order by j.due_at, j.id limit most for update skip locked)
  update chat.thumbnail_jobs j set due_at = now() + lease, attempts = j.attempts + 1
  from due where j.id = due.id
  returning j.id, j.path, j.attempts
$$;
comment on function chat.claim_thumbnails(integer, interval) is 'Takes images to work on; whoever does not finish in time loses them to the next. For the server.';

create or replace function chat.delay_thumbnail(job bigint, wait interval, counts boolean) returns void
language sql volatile security definer set search_path = '' as $$
  update chat.thumbnail_jobs j
  set due_at = clock_timestamp() + wait, attempts = case when counts then j.attempts else greatest(j.attempts - 1, 0) end
  where j.id = job
$$;
comment on function chat.delay_thumbnail(bigint, interval, boolean) is
  'Gives an image back, to be tried again later; counts: whether this was an attempt. For the server.';

create or replace function chat.next_thumbnail() returns double precision
language sql stable security definer set search_path = '' as $$
  -- greatest() takes no notice of null, and nothing to do would be due now.
  select case when min(j.due_at) is not null then greatest(extract(epoch from min(j.due_at) - clock_timestamp()), 0)::double precision end
  from chat.thumbnail_jobs j
$$;
comment on function chat.next_thumbnail() is 'Seconds until an image is due; null when there is none. For the server.';

-- What the server found out about an image; {"error": ...} for what is none. The change of the message reaches its readers.
create or replace function chat.finish_thumbnail(job bigint, facts jsonb) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  done record;
  ours text[] := array['thumbnail_url', 'thumbnail_path', 'preview_path', 'error'];
begin
  delete from chat.thumbnail_jobs j where j.id = job returning j.message_id, j.path into done;
  if not found then
    return;
  end if;
  -- Another image of the same message may be finished at this moment; what it wrote is read below.
  perform from public.messages m where m.id = done.message_id for no key update;
  if facts ? 'error' then
    ours := ours || array['width', 'height', 'blurhash'];
  end if;
  update public.messages m
  set attachments = described.list,
      attachment_type = coalesce(described.list -> 0 ->> 'mime_type', m.attachment_type)
  from (
    select jsonb_agg(case when item.value ->> 'path' = done.path then (item.value - ours) || jsonb_strip_nulls(facts) else item.value end
      order by item.number) as list
    from public.messages n, jsonb_array_elements(n.attachments) with ordinality item (value, number)
    where n.id = done.message_id) described
  where m.id = done.message_id and m.deleted_at is null and described.list is not null;
end
$$;
comment on function chat.finish_thumbnail(bigint, jsonb) is 'Writes what is known of an image into the messages that show it. For the server.';

do $$
declare
  signature text;
begin
  foreach signature in array array['is_withdrawn(text)', 'withdraw_attachments()', 'queue_thumbnails()', 'claim_thumbnails(integer, interval)',
    'delay_thumbnail(bigint, interval, boolean)', 'next_thumbnail()', 'finish_thumbnail(bigint, jsonb)'] loop
    execute format('revoke all on function chat.%s from public, anon, authenticated, chat_guest', signature);
    execute format('grant execute on function chat.%s to service_role', signature);
  end loop;
  -- Asked by a policy, with the rights of who reads.
  grant execute on function chat.is_withdrawn(text) to authenticated, chat_guest;
end
$$;
