-- What holds for every message, however it is written: by send_message, by an insert of a client, by the service.

-- SQLSTATEs of all functions here, chosen so that PostgREST gives each the right status: 42501 not allowed (403), PT404 not
-- there or not for the caller's eyes (404), 22023 a wrong argument (400), 22001 too long (400), 23514 a limit or a state
-- that forbids it (400), PT429 too often (429).

create or replace function chat.fail(code text, message text, hint text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  raise exception '%', message using errcode = code, hint = coalesce(hint, '');
end
$$;
comment on function chat.fail(text, text, text) is 'Raises an error from within an expression.';

create or replace function chat.settings() returns public.chat_settings
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  limits public.chat_settings;
begin
  select * into limits from public.chat_settings;
  return limits;
end
$$;
comment on function chat.settings() is 'The limits that hold.';

-- Counts what a guest does in this minute, and refuses what is too much.
create or replace function chat.count_guest(action text, at_most integer) returns void
language plpgsql security definer set search_path = '' as $$
declare
  used integer;
  this_minute timestamptz := date_trunc('minute', clock_timestamp());
begin
  delete from chat.guest_usage g where g.client_id = auth.uid() and g.minute < this_minute;
  insert into chat.guest_usage as g (client_id, what, minute) values (auth.uid(), action, this_minute)
  on conflict (client_id, what, minute) do update set count = g.count + 1
  returning g.count into used;
  if used > at_most then
    perform chat.fail('PT429', 'too many requests', format('guests may do this %s times a minute', at_most));
  end if;
end
$$;
comment on function chat.count_guest(text, integer) is 'Limits of guests per minute.';

create or replace function chat.check_attachments(attachments jsonb, conversation uuid, settings public.chat_settings) returns void
language plpgsql stable set search_path = '' as $$
declare
  item jsonb;
  known constant text[] := array['name', 'url', 'path', 'size', 'mime_type', 'width', 'height', 'thumbnail_url', 'thumbnail_path',
    'preview_path', 'blurhash', 'duration'];
  key text;
begin
  if jsonb_typeof(attachments) is distinct from 'array' then
    perform chat.fail('22023', 'attachments must be an array', 'give [{"name": ..., "path": ..., "size": ..., "mime_type": ...}]');
  end if;
  if jsonb_array_length(attachments) > settings.max_attachments then
    perform chat.fail('23514', 'too many attachments', format('at most %s in one message', settings.max_attachments));
  end if;
  for item in select value from jsonb_array_elements(attachments) loop
    if jsonb_typeof(item) <> 'object' or item ->> 'name' is null or coalesce(item ->> 'path', item ->> 'url') is null then
      perform chat.fail('22023', 'an attachment is not described', 'each needs a name and a path in the bucket, or a url');
    end if;
    for key in select k from jsonb_object_keys(item) k loop
      if key <> all (known) then
        perform chat.fail('22023', format('an attachment has no %s', left(key, 50)), 'see chat.md for what describes an attachment');
      end if;
      if key in ('size', 'width', 'height', 'duration') then
        if jsonb_typeof(item -> key) not in ('number', 'null') then
          perform chat.fail('22023', format('%s of an attachment must be a number', key), 'bytes, pixels or seconds');
        elsif (item ->> key)::numeric < 0 then
          perform chat.fail('22023', format('%s of an attachment is negative', key), 'bytes, pixels or seconds');
        end if;
      elsif jsonb_typeof(item -> key) not in ('string', 'null') or char_length(item ->> key) > 2000 then
        perform chat.fail('22023', format('%s of an attachment must be text', key), 'of at most 2000 characters');
      end if;
    end loop;
    if char_length(item ->> 'name') not between 1 and 255 then
      perform chat.fail('22023', 'the name of an attachment is empty or too long', 'at most 255 characters');
    end if;
    if (item ->> 'size')::numeric > settings.max_attachment_bytes then
      perform chat.fail('23514', 'an attachment is too large', format('at most %s bytes', settings.max_attachment_bytes));
    end if;
    -- Somebody else's object would be shown under the rights of who reads the message, but its name would be told.
    foreach key in array array['path', 'thumbnail_path', 'preview_path'] loop
      if item ->> key not like conversation::text || '/%' or item ->> key like '%..%' then
        perform chat.fail('22023', format('%s of an attachment is outside of its conversation', key),
          format('upload to chat-attachments/%s/<user id>/', conversation));
      end if;
    end loop;
    -- Shown as links: nothing that a browser would run.
    foreach key in array array['url', 'thumbnail_url'] loop
      if item ->> key !~ '^(https?://|/[^/])' then
        perform chat.fail('22023', format('%s of an attachment is no address', key), 'https, http, or a path of this server');
      end if;
    end loop;
  end loop;
end
$$;
comment on function chat.check_attachments(jsonb, uuid, public.chat_settings) is 'Refuses attachments that are not well described.';

-- What a client writes: whoever may not is told so before anything is locked, and what only the server knows is taken back.
create or replace function chat.accept_message() returns trigger
language plpgsql security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  limits public.chat_settings := chat.settings();
  pair record;
begin
  if new.sender_id is distinct from auth.uid() or not chat.is_mine(new.conversation_id) then
    perform chat.fail('42501', 'not a participant of this conversation', 'only participants write, and in their own name');
  end if;
  if auth.role() = 'chat_guest' then
    perform chat.count_guest('message', limits.guest_messages_per_minute);
  end if;
  if new.content_type = 'system' then
    perform chat.fail('42501', 'system messages are written by the server', 'use text, image, file or video');
  end if;
  if new.content_type not in ('text', 'image', 'file', 'video') then
    perform chat.fail('22023', 'there is no such content_type', 'text, image, file or video');
  end if;
  if char_length(new.client_id) not between 1 and 200 then
    perform chat.fail('22023', 'the client_id is empty or too long', 'at most 200 characters, for example a UUID');
  end if;
  if jsonb_typeof(new.metadata) <> 'object' then
    perform chat.fail('22023', 'metadata must be an object', 'for example {"also_in_main": true}');
  end if;
  if char_length(new.content) > limits.max_message_length then
    perform chat.fail('22001', 'the message is too long', format('at most %s characters', limits.max_message_length));
  end if;
  if new.attachments = '[]' and new.attachment_url is not null then
    new.attachments := jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'name', coalesce(nullif(new.attachment_name, ''), 'attachment'), 'url', new.attachment_url, 'mime_type', new.attachment_type)));
  end if;
  if new.attachments <> '[]' then
    perform chat.check_attachments(new.attachments, new.conversation_id, limits);
  elsif btrim(new.content, E' \t\r\n') = '' then
    perform chat.fail('22023', 'the message is empty', 'give content or attachments');
  end if;
  if pg_column_size(new.metadata) > 8192 then
    perform chat.fail('23514', 'metadata is too large', 'at most 8 kB');
  end if;
  select c.participant_1_id as one, c.participant_2_id as other into pair
  from public.conversations c where c.id = new.conversation_id and c.type = 'direct';
  if pair.one is not null and chat.is_blocked(pair.one, pair.other) then
    perform chat.fail('42501', 'the message cannot be delivered', 'one of you has blocked the other');
  end if;
  new.is_read := false;
  new.read_at := null;
  new.seen_at := null;
  new.edited_at := null;
  new.deleted_at := null;
  new.created_at := now();
  return new;
end
$$;

-- Fills in what follows from the rest. The conversation's row stays locked until the end of the transaction: so messages of
-- one conversation become visible in the order of created_at, and who asks for what came after a message misses none.
create or replace function chat.complete_message() returns trigger
language plpgsql security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  conversation record;
  sender record;
  root record;
begin
  select c.last_message_at into conversation from public.conversations c where c.id = new.conversation_id for no key update;
  if not found then
    perform chat.fail('PT404', 'there is no such conversation', 'only participants write in it');
  end if;
  -- A time of its own is kept: somebody moves messages here from elsewhere.
  if new.created_at is null or new.created_at = now() then
    new.created_at := greatest(clock_timestamp(), conversation.last_message_at + interval '1 microsecond');
  end if;
  if new.thread_id is not null then
    select m.conversation_id, m.thread_id, m.deleted_at into root from public.messages m where m.id = new.thread_id;
    if root.conversation_id is distinct from new.conversation_id then
      perform chat.fail('PT404', 'there is no such message to answer', 'thread_id must be a message of the same conversation');
    elsif root.thread_id is not null then
      perform chat.fail('22023', 'a thread has no threads', 'thread_id must be the first message of the thread');
    elsif root.deleted_at is not null then
      perform chat.fail('23514', 'the message was deleted', 'threads of deleted messages do not go on');
    end if;
  end if;
  if new.reply_to is not null
     and not exists (select from public.messages m where m.id = new.reply_to and m.conversation_id = new.conversation_id) then
    perform chat.fail('PT404', 'there is no such message to quote', 'reply_to must be a message of the same conversation');
  end if;
  new.in_main_line := new.thread_id is null or coalesce(new.metadata -> 'also_in_main' = 'true', false);
  if new.content_type = 'system' then
    new.sender_type := 'system';
    return new;
  end if;
  select p.display_name, p.kind into sender from public.profiles p where p.id = new.sender_id;
  new.sender_name := sender.display_name;
  new.sender_type := coalesce(sender.kind, 'member');
  if new.attachments <> '[]' then
    new.attachment_name := new.attachments -> 0 ->> 'name';
    new.attachment_type := new.attachments -> 0 ->> 'mime_type';
    new.attachment_url := coalesce(new.attachments -> 0 ->> 'url',
      '/storage/v1/object/authenticated/chat-attachments/' || (new.attachments -> 0 ->> 'path'));
    if new.content_type = 'text' then
      new.content_type := case
        when new.attachment_type like 'image/%' then 'image'
        when new.attachment_type like 'video/%' then 'video'
        else 'file'
      end;
    end if;
  end if;
  new.mentions := chat.mentions(new.content, new.conversation_id, new.sender_id);
  return new;
end
$$;

create or replace function chat.mentions(content text, conversation uuid, sender uuid) returns uuid[]
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  if content not like '%@%' then
    return '{}';
  end if;
  return coalesce((
    select array_agg(p.user_id order by p.user_id)
    from public.conversation_participants p
    where p.conversation_id = conversation and p.left_at is null and p.user_id is distinct from sender
      and (content ~ '(^|\s)@all($|\W)'
           or p.user_id::text in (select part[1] from regexp_matches(content, '@\[[^\]]{1,200}\]\(([0-9a-f-]{36})\)', 'g') part))), '{}');
end
$$;
comment on function chat.mentions(text, uuid, uuid) is 'Participants that a text names: @[Name](id), or @all.';

create or replace function chat.preview(content text, content_type text, attachment_name text) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return case
    when btrim(content) <> '' then left(regexp_replace(regexp_replace(content, '@\[([^\]]{1,200})\]\([0-9a-f-]{36}\)', '@\1', 'g'), '\s+', ' ', 'g'), 100)
    else left(coalesce(case content_type when 'image' then '📷 ' when 'video' then '🎬 ' else '📎 ' end || attachment_name, ''), 100)
  end;
end
$$;
comment on function chat.preview(text, text, text) is 'A message in at most 100 characters of one line.';

create or replace function chat.note_message() returns trigger
language plpgsql security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  update public.conversations c
  set last_message_at = new.created_at,
      last_message_preview = chat.preview(new.content, new.content_type, new.attachment_name),
      last_message_sender_id = new.sender_id,
      last_message_sender_name = new.sender_name,
      updated_at = now()
  where c.id = new.conversation_id and (c.last_message_at is null or c.last_message_at <= new.created_at);
  return null;
end
$$;

drop trigger if exists a_accept_message on public.messages;
create trigger a_accept_message before insert on public.messages for each row
  when (current_user in ('authenticated', 'chat_guest')) execute function chat.accept_message();
drop trigger if exists b_complete_message on public.messages;
create trigger b_complete_message before insert on public.messages for each row execute function chat.complete_message();
drop trigger if exists a_note_message on public.messages;
create trigger a_note_message after insert on public.messages for each row execute function chat.note_message();

create or replace function chat.complete_reaction() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  limits public.chat_settings := chat.settings();
  target record;
  person record;
begin
  select m.conversation_id, m.deleted_at, m.content_type into target from public.messages m where m.id = new.message_id;
  if target.conversation_id is null or (auth.uid() is not null and not chat.is_mine(target.conversation_id)) then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  end if;
  if tg_op = 'INSERT' then
    -- Whoever deletes the message meanwhile has done so before this, or removes this too.
    select m.deleted_at into target.deleted_at from public.messages m where m.id = new.message_id for share;
  end if;
  if target.deleted_at is not null or target.content_type = 'system' then
    perform chat.fail('23514', 'nobody can react to this message', 'it was deleted, or written by the server');
  end if;
  if new.emoji is null or (new.emoji <> all (limits.allowed_emoji) and limits.allowed_emoji <> '{}') then
    perform chat.fail('22023', 'this emoji is not allowed', 'allowed: ' || array_to_string(limits.allowed_emoji, ' '));
  end if;
  if tg_op = 'UPDATE' then
    return new;
  end if;
  if (select count(*) from public.message_reactions r where r.message_id = new.message_id) >= limits.max_reactions_per_message then
    perform chat.fail('23514', 'the message has too many reactions', format('at most %s', limits.max_reactions_per_message));
  end if;
  select p.display_name, p.kind, p.org_id into person from public.profiles p where p.id = new.reactor_id;
  new.conversation_id := target.conversation_id;
  new.org_id := person.org_id;
  new.reactor_name := person.display_name;
  new.reactor_type := coalesce(person.kind, 'member');
  new.created_at := clock_timestamp();
  return new;
end
$$;
drop trigger if exists complete_reaction on public.message_reactions;
create trigger complete_reaction before insert or update on public.message_reactions for each row execute function chat.complete_reaction();

do $$
declare
  signature text;
begin
  foreach signature in array array['fail(text, text, text)', 'settings()', 'count_guest(text, integer)',
    'check_attachments(jsonb, uuid, public.chat_settings)', 'accept_message()', 'complete_message()', 'mentions(text, uuid, uuid)',
    'preview(text, text, text)', 'note_message()', 'complete_reaction()'] loop
    execute format('revoke all on function chat.%s from public', signature);
  end loop;
end
$$;
grant execute on function chat.fail(text, text, text), chat.settings(), chat.preview(text, text, text) to authenticated, chat_guest, service_role;
