-- What the database says on private topics, and who may join them (C-302, C-305, C-307).
drop policy if exists "chat: topics one may join" on realtime.messages;
create policy "chat: topics one may join" on realtime.messages for select to authenticated, chat_guest
  using (extension in ('broadcast', 'presence') and (select chat.may_read_topic((select realtime.topic()))));
drop policy if exists "chat: topics one may send to" on realtime.messages;
create policy "chat: topics one may send to" on realtime.messages for insert to authenticated, chat_guest
  with check (chat.may_write_topic((select realtime.topic()), extension));

-- As the other client roles, which have these from the schema itself.
do $$
begin
  grant usage on schema realtime to chat_guest;
  grant select, insert, update on realtime.messages to chat_guest;
  grant execute on function realtime.topic() to chat_guest;
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (
      'guests cannot join private channels; run as the owner of schema realtime: grant usage on schema realtime to chat_guest; grant select, insert, update on realtime.messages to chat_guest');
end
$$;

-- What realtime.broadcast_changes writes, for many topics in one statement: a call for each participant was most of what
-- a message to a large group cost. As there, a failure is a warning: the message matters more than the word of it.
create or replace function chat.tell(topics text[], event text, payload jsonb) returns void
language plpgsql volatile security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  insert into realtime.messages (id, payload, event, topic, private, extension)
  select one.id, tell.payload || jsonb_build_object('id', one.id), tell.event, one.topic, true, 'broadcast'
  from (select gen_random_uuid() as id, t as topic from unnest(topics) t) one;
exception
  when others then
    raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end
$$;
comment on function chat.tell(text[], text, jsonb) is 'Puts a private message for each topic into realtime.messages.';

-- A conversation that has changed is told to each participant on conversations:<user>.
create or replace function chat.broadcast_conversation() returns trigger
language plpgsql security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  perform chat.tell(
    array(
      select 'conversations:' || p.user_id from public.conversation_participants p
      where p.conversation_id = new.id and p.left_at is null),
    tg_op,
    jsonb_build_object('operation', tg_op, 'schema', tg_table_schema, 'table', tg_table_name, 'record', to_jsonb(new), 'old_record', to_jsonb(old)));
  return null;
end
$$;
drop trigger if exists broadcast_conversation on public.conversations;
create trigger broadcast_conversation after update on public.conversations for each row
  when (old.* is distinct from new.*) execute function chat.broadcast_conversation();

-- One's own participation (joined, read elsewhere, muted, removed) is told to oneself; how far one has read, to everybody.
create or replace function chat.broadcast_participant() returns trigger
language plpgsql security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  before public.conversation_participants := case when tg_op <> 'INSERT' then old end;
  after public.conversation_participants := case when tg_op <> 'DELETE' then new end;
begin
  perform realtime.broadcast_changes('conversations:' || coalesce(after.user_id, before.user_id), tg_op, tg_op, tg_table_name, tg_table_schema,
    after, before, tg_level);
  -- What somebody marks as unread is their own affair, and who comes back has not read what was said meanwhile.
  if tg_op = 'UPDATE' and after.last_read_at > coalesce(before.last_read_at, '-infinity') and before.left_at is null then
    perform realtime.send(
      jsonb_build_object('type', 'read_receipt', 'conversation_id', after.conversation_id, 'user_id', after.user_id,
        'last_read_at', after.last_read_at, 'last_read_message_id', after.last_read_message_id),
      'read_receipt', 'messages:' || after.conversation_id);
  end if;
  return null;
end
$$;
drop trigger if exists broadcast_participant on public.conversation_participants;
create trigger broadcast_participant after insert or update or delete on public.conversation_participants for each row
  execute function chat.broadcast_participant();

revoke all on function chat.tell(text[], text, jsonb), chat.broadcast_conversation(), chat.broadcast_participant() from public;
