-- Writing (C-203, C-204, C-208, C-209): messages, receipts, reactions.
create or replace function public.send_message(
  conversation_id uuid, content text default '', content_type text default 'text', attachments jsonb default '[]',
  thread_id uuid default null, reply_to uuid default null, client_id text default null, metadata jsonb default '{}')
returns json
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  me uuid := auth.uid();
  sent uuid;
  sent_to uuid;
begin
  if send_message.client_id is not null then
    -- Before anything is checked: what was sent could perhaps not be sent any more.
    select m.id, m.conversation_id into sent, sent_to
    from public.messages m where m.sender_id = me and m.client_id = send_message.client_id;
    if sent_to = send_message.conversation_id then
      return public.get_message(sent);
    end if;
  end if;
  insert into public.messages as m (conversation_id, sender_id, content, content_type, attachments, thread_id, reply_to, client_id, metadata)
  values (send_message.conversation_id, me, coalesce(send_message.content, ''), coalesce(send_message.content_type, 'text'),
    coalesce(send_message.attachments, '[]'), send_message.thread_id, send_message.reply_to, send_message.client_id,
    coalesce(send_message.metadata, '{}'))
  on conflict (sender_id, client_id) where client_id is not null do nothing
  returning m.id into sent;
  if sent is null then
    -- Sent before: by a try whose answer was lost, or by another tab.
    select m.id, m.conversation_id into sent, sent_to
    from public.messages m where m.sender_id = me and m.client_id = send_message.client_id;
    if sent_to is distinct from send_message.conversation_id then
      perform chat.fail('22023', 'this client_id was used in another conversation', 'give each message a client_id of its own');
    end if;
  end if;
  return public.get_message(sent);
end
$$;
comment on function public.send_message(uuid, text, text, jsonb, uuid, uuid, text, jsonb) is
  'Sends a message and gives it as get_messages does. Sending again with the same client_id gives the message that is there. content may name participants as @[Name](id) or @all. metadata {"also_in_main": true} shows a reply of a thread in the main line too.';

-- Editing and deleting lock the message and then the conversation, sending the other way round; "no key", since who answers or quotes a
-- message holds its key, and would wait for who waits for them.
create or replace function public.edit_message(message_id uuid, content text) returns json
language plpgsql volatile security definer set search_path = '' as $$
declare
  limits public.chat_settings := chat.settings();
  target public.messages;
  pair record;
begin
  select * into target from public.messages m where m.id = message_id for no key update;
  if target.id is null or not chat.is_mine(target.conversation_id) then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  elsif target.sender_id is distinct from auth.uid() then
    perform chat.fail('42501', 'only own messages can be edited', 'who sent it may');
  elsif target.deleted_at is not null then
    perform chat.fail('23514', 'the message was deleted', 'send another');
  elsif limits.edit_window is not null and target.created_at < now() - limits.edit_window then
    perform chat.fail('23514', 'the message is too old to be edited', format('within %s after sending', limits.edit_window));
  elsif char_length(edit_message.content) > limits.max_message_length then
    perform chat.fail('22001', 'the message is too long', format('at most %s characters', limits.max_message_length));
  elsif target.attachments = '[]' and coalesce(btrim(edit_message.content, E' \t\r\n'), '') = '' then
    perform chat.fail('22023', 'the message is empty', 'delete_message removes it');
  end if;
  select c.participant_1_id as one, c.participant_2_id as other into pair
  from public.conversations c where c.id = target.conversation_id and c.type = 'direct';
  if pair.one is not null and chat.is_blocked(pair.one, pair.other) then
    perform chat.fail('42501', 'the message cannot be changed', 'one of you has blocked the other');
  end if;
  update public.messages m
  set content = coalesce(edit_message.content, ''), edited_at = clock_timestamp(),
      mentions = chat.mentions(edit_message.content, m.conversation_id, m.sender_id)
  where m.id = message_id;
  perform chat.renew_preview(target.conversation_id, target.created_at);
  return public.get_message(message_id);
end
$$;
comment on function public.edit_message(uuid, text) is 'Changes the text of an own message; edited_at says when.';

create or replace function public.delete_message(message_id uuid) returns json
language plpgsql volatile security definer set search_path = '' as $$
declare
  target public.messages;
begin
  select * into target from public.messages m where m.id = message_id for no key update;
  if target.id is null or not chat.is_mine(target.conversation_id) then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  elsif target.sender_id is distinct from auth.uid() then
    perform chat.fail('42501', 'only own messages can be deleted', 'who sent it may');
  end if;
  if target.deleted_at is null then
    update public.messages m
    set deleted_at = clock_timestamp(), content = '', attachments = '[]', attachment_url = null, attachment_type = null, attachment_name = null,
        mentions = '{}', metadata = m.metadata - 'preview'
    where m.id = message_id;
    delete from public.message_reactions r where r.message_id = delete_message.message_id;
    perform chat.renew_preview(target.conversation_id, target.created_at);
  end if;
  return public.get_message(message_id);
end
$$;
comment on function public.delete_message(uuid) is 'Deletes an own message for everybody: the row stays with deleted_at, its content, attachments and reactions are gone.';

-- The preview shows the last message that is there, and may have been the one that changed.
create or replace function chat.renew_preview(conversation uuid, changed timestamptz) returns void
language sql volatile set search_path = '' as $$
  update public.conversations c
  set last_message_preview = case when m.deleted_at is null then chat.preview(m.content, m.content_type, m.attachment_name) end, updated_at = now()
  from public.messages m
  where c.id = conversation and c.last_message_at = changed and m.conversation_id = conversation and m.created_at = changed
$$;
comment on function chat.renew_preview(uuid, timestamptz) is 'After a message was edited or deleted.';

create or replace function public.toggle_reaction(message_id uuid, emoji text) returns jsonb
language plpgsql volatile set search_path = '' as $$
#variable_conflict use_column
declare
  me uuid := auth.uid();
  current record;
begin
  if not exists (select from public.messages m where m.id = toggle_reaction.message_id) then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  end if;
  select r.id, r.emoji into current
  from public.message_reactions r where r.message_id = toggle_reaction.message_id and r.reactor_id = me;
  if current.id is null then
    insert into public.message_reactions as r (message_id, conversation_id, reactor_type, reactor_id, emoji)
    select m.id, m.conversation_id, 'member', me, toggle_reaction.emoji from public.messages m where m.id = toggle_reaction.message_id
    -- Another tab was faster; the last word counts.
    on conflict (message_id, reactor_id, reactor_type) do update set emoji = excluded.emoji;
  elsif current.emoji = toggle_reaction.emoji then
    delete from public.message_reactions r where r.id = current.id;
  else
    update public.message_reactions r set emoji = toggle_reaction.emoji where r.id = current.id;
  end if;
  return coalesce((
    select jsonb_agg(jsonb_build_object('id', r.id, 'emoji', r.emoji, 'reactor_id', r.reactor_id, 'reactor_name', r.reactor_name,
      'reactor_type', r.reactor_type, 'created_at', r.created_at) order by r.created_at, r.id)
    from public.message_reactions r where r.message_id = toggle_reaction.message_id), '[]');
end
$$;
comment on function public.toggle_reaction(uuid, text) is
  'Adds a reaction, replaces one''s own by another emoji, or removes it when the emoji is the same; gives all reactions of the message.';

create or replace function public.mark_as_read(conversation_id uuid, up_to_message_id uuid default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  me uuid := auth.uid();
  mine record;
  target record;
begin
  if not chat.is_mine(mark_as_read.conversation_id) then
    perform chat.fail('PT404', 'there is no such conversation', 'only participants see it');
  end if;
  if up_to_message_id is null then
    select m.id, m.created_at into target from public.messages m
    where m.conversation_id = mark_as_read.conversation_id order by m.created_at desc, m.id desc limit 1;
  else
    select m.id, m.created_at into target from public.messages m
    where m.id = up_to_message_id and m.conversation_id = mark_as_read.conversation_id;
    if not found then
      perform chat.fail('PT404', 'there is no such message', 'up_to_message_id must be a message of the conversation');
    end if;
  end if;
  select p.last_read_at, p.last_read_message_id into mine from public.conversation_participants p
  where p.conversation_id = mark_as_read.conversation_id and p.user_id = me for no key update;
  if target.id is not null and (mine.last_read_at is null or mine.last_read_at < target.created_at) then
    update public.conversation_participants p
    set last_read_at = target.created_at, last_read_message_id = target.id
    where p.conversation_id = mark_as_read.conversation_id and p.user_id = me;
    if exists (select from public.conversations c where c.id = mark_as_read.conversation_id and c.type = 'direct') then
      update public.messages m set is_read = true, read_at = clock_timestamp(), seen_at = clock_timestamp()
      where m.conversation_id = mark_as_read.conversation_id and m.created_at <= target.created_at
        and m.created_at > coalesce(mine.last_read_at, '-infinity')
        and m.deleted_at is null and m.content_type <> 'system' and m.sender_id is distinct from me and not m.is_read;
    end if;
    return jsonb_build_object('last_read_at', target.created_at, 'last_read_message_id', target.id);
  end if;
  return jsonb_build_object('last_read_at', mine.last_read_at, 'last_read_message_id', mine.last_read_message_id);
end
$$;
comment on function public.mark_as_read(uuid, uuid) is
  'Everything up to a message (without one: everything) is read; never moves backward. In a direct conversation the messages of the other get is_read, read_at and seen_at. Gives {last_read_at, last_read_message_id}.';

create or replace function public.mark_as_unread(message_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  target record;
  previous record;
begin
  select m.conversation_id, m.created_at, m.id into target from public.messages m where m.id = message_id;
  if target.id is null or not chat.is_mine(target.conversation_id) then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  end if;
  select m.id, m.created_at into previous from public.messages m
  where m.conversation_id = target.conversation_id and (m.created_at, m.id) < (target.created_at, target.id)
  order by m.created_at desc, m.id desc limit 1;
  update public.conversation_participants p
  set last_read_at = coalesce(previous.created_at, target.created_at - interval '1 microsecond'), last_read_message_id = previous.id
  where p.conversation_id = target.conversation_id and p.user_id = auth.uid() and p.last_read_at >= target.created_at;
  return (select jsonb_build_object('last_read_at', p.last_read_at, 'last_read_message_id', p.last_read_message_id)
    from public.conversation_participants p where p.conversation_id = target.conversation_id and p.user_id = auth.uid());
end
$$;
comment on function public.mark_as_unread(uuid) is 'A message and what came after it count as unread again, for the caller only; what the others were told of it stays.';
