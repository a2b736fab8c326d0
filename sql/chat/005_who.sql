-- Who is asking, and what is theirs. Every policy is written with these, so membership is decided in one place.
--
-- They give whole sets rather than answers about one row: a policy of the form "conversation_id in (select ...)" asks once
-- for a statement, not once for a row. And they are in PL/pgSQL, which plans a query once for a session, where SQL would
-- plan it for each statement: planning took fifty times as long as answering.

-- A guest's session, looked at anew for each statement: link, token, conversation and participation must all still hold.
create or replace function chat.guest_conversation() returns setof uuid
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan rows 1 as $$
begin
  if auth.role() is distinct from 'chat_guest' then
    return;
  end if;
  return query
  select t.conversation_id
  from public.client_chat_tokens t
  join public.share_links l on l.id = t.share_link_id
  join public.conversation_participants p on p.conversation_id = t.conversation_id and p.user_id = t.client_id
  where t.id = (auth.jwt() ->> 'chat_token_id')::uuid
    and t.client_id = auth.uid()
    and t.conversation_id = (auth.jwt() ->> 'conversation_id')::uuid
    and t.expires_at > now()
    and l.enabled and (l.expires_at is null or l.expires_at > now())
    and l.client_id = t.client_id
    and p.left_at is null;
end
$$;
comment on function chat.guest_conversation() is 'The one conversation of a guest, while link, session and participation last.';

create or replace function chat.my_conversations() returns setof uuid
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan rows 50 as $$
declare
  me uuid := auth.uid();
begin
  case auth.role()
    when 'authenticated' then
      return query
      select p.conversation_id from public.conversation_participants p where p.user_id = me and p.left_at is null;
    when 'chat_guest' then
      return query select g from chat.guest_conversation() g;
    else
      return;
  end case;
end
$$;
comment on function chat.my_conversations() is 'Conversations in which the caller takes part. The one place where membership is decided.';

create or replace function chat.is_mine(conversation uuid) returns boolean
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  me uuid := auth.uid();
begin
  return case auth.role()
    when 'authenticated' then exists (
      select from public.conversation_participants p where p.conversation_id = conversation and p.user_id = me and p.left_at is null)
    when 'chat_guest' then exists (select from chat.guest_conversation() g where g = conversation)
    else false
  end;
end
$$;
comment on function chat.is_mine(uuid) is 'As my_conversations, asked about one.';

create or replace function chat.my_contacts() returns setof uuid
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan rows 100 as $$
begin
  return query
  select distinct p.user_id
  from chat.my_conversations() mine
  join public.conversation_participants p on p.conversation_id = mine
  where p.left_at is null;
end
$$;
comment on function chat.my_contacts() is 'Who takes part in a conversation with the caller.';

create or replace function chat.my_org() returns uuid
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  if auth.role() is distinct from 'authenticated' then
    return null;
  end if;
  return (select p.org_id from public.profiles p where p.id = auth.uid());
end
$$;
comment on function chat.my_org() is 'The caller''s organisation; null for guests and for who has none.';

create or replace function chat.i_am_staff() returns boolean
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return auth.role() = 'authenticated' and coalesce((
    select p.kind in ('trainer', 'advisor', 'member') and p.org_id is not null from public.profiles p where p.id = auth.uid()), false);
end
$$;
comment on function chat.i_am_staff() is 'Whether the caller sees everybody of the organisation, clients included.';

-- Whether the caller may see somebody: the rule of the policy on profiles, for functions that look with other rights.
create or replace function chat.may_see(person uuid) returns boolean
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return coalesce(person = auth.uid(), false)
    or exists (
      select from public.profiles p
      where p.id = person and p.org_id = chat.my_org() and (p.kind not in ('client', 'guest') or chat.i_am_staff()))
    or exists (select from chat.my_contacts() c where c = person);
end
$$;
comment on function chat.may_see(uuid) is 'Whether the caller may see somebody''s profile.';

create or replace function chat.is_blocked(one uuid, other uuid) returns boolean
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return exists (
    select from public.user_blocks b
    where (b.user_id = one and b.blocked_id = other) or (b.user_id = other and b.blocked_id = one));
end
$$;
comment on function chat.is_blocked(uuid, uuid) is 'Whether one of two has blocked the other.';

-- Private topics (C-307). A guest has the client's id as sub, so that topics named by a person are not theirs.
create or replace function chat.may_read_topic(topic text) returns boolean
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  kind text := split_part(topic, ':', 1);
  rest text := substr(topic, length(split_part(topic, ':', 1)) + 2);
begin
  if rest !~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then
    return false;
  end if;
  return case kind
    when 'typing' then chat.is_mine(rest::uuid)
    when 'messages' then chat.is_mine(rest::uuid)
    when 'conversations' then auth.role() = 'authenticated' and rest::uuid = auth.uid()
    when 'presence' then rest::uuid = chat.my_org()
    else false
  end;
end
$$;
comment on function chat.may_read_topic(text) is 'Whether the caller may join one of the private topics typing:<conversation>, messages:<conversation>, conversations:<user>, presence:<organisation>.';

create or replace function chat.may_write_topic(topic text, extension text) returns boolean
language sql stable security definer set search_path = '' as $$
  select case split_part(topic, ':', 1)
    -- Guests are in no organisation: they are present where they write.
    when 'typing' then (extension = 'broadcast' or (extension = 'presence' and auth.role() = 'chat_guest')) and chat.may_read_topic(topic)
    when 'presence' then extension = 'presence' and chat.may_read_topic(topic)
    else false
  end
$$;
comment on function chat.may_write_topic(text, text) is 'Whether the caller may send there: only typing is sent by clients, and presence; everything else comes from the database, so that it cannot be forged.';

do $$
declare
  signature text;
begin
  foreach signature in array array['guest_conversation()', 'my_conversations()', 'is_mine(uuid)', 'my_contacts()', 'my_org()', 'i_am_staff()',
    'may_see(uuid)', 'may_read_topic(text)', 'may_write_topic(text, text)', 'is_blocked(uuid, uuid)'] loop
    execute format('revoke all on function chat.%s from public', signature);
    execute format('grant execute on function chat.%s to service_role', signature);
    if signature <> 'is_blocked(uuid, uuid)' then
      execute format('grant execute on function chat.%s to authenticated, chat_guest', signature);
    end if;
  end loop;
end
$$;
