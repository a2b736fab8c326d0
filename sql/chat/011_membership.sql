-- Who takes part (C-206, C-207): starting, adding, leaving, naming, inviting.

-- What the server says in a conversation. The text is for who shows it as it is; metadata says the same for who translates.
create or replace function chat.say(conversation uuid, content text, what jsonb) returns void
language sql volatile set search_path = '' as $$
  insert into public.messages (conversation_id, content, content_type, metadata)
  values (conversation, content, 'system', what || jsonb_build_object('actor_id', auth.uid()))
$$;
comment on function chat.say(uuid, text, jsonb) is 'A system message.';

create or replace function chat.name_of(person uuid) returns text
language sql stable set search_path = '' as $$
  select coalesce((select p.display_name from public.profiles p where p.id = person), 'Somebody')
$$;
comment on function chat.name_of(uuid) is 'How somebody is called.';

create or replace function chat.ensure_direct(one uuid, other uuid, about text, organisation uuid, starter uuid) returns public.conversations
language plpgsql volatile set search_path = '' as $$
declare
  found_one public.conversations;
begin
  select * into found_one from public.conversations c
  where c.type = 'direct' and c.participant_1_id = least(one, other) and c.participant_2_id = greatest(one, other)
    and coalesce(c.project_id, '') = coalesce(about, '');
  if not found then
    insert into public.conversations (type, participant_1_id, participant_2_id, project_id, org_id, created_by)
    values ('direct', least(one, other), greatest(one, other), about, organisation, starter)
    on conflict (participant_1_id, participant_2_id, coalesce(project_id, '')) where type = 'direct' do nothing
    returning * into found_one;
    if not found then
      -- Somebody else was faster, and has committed.
      select * into found_one from public.conversations c
      where c.type = 'direct' and c.participant_1_id = least(one, other) and c.participant_2_id = greatest(one, other)
        and coalesce(c.project_id, '') = coalesce(about, '');
    end if;
  end if;
  insert into public.conversation_participants (conversation_id, user_id, role)
  select found_one.id, person, case when p.kind = 'guest' then 'guest' else 'member' end
  from unnest(array[one, other]) person left join public.profiles p on p.id = person
  on conflict do nothing;
  return found_one;
end
$$;
comment on function chat.ensure_direct(uuid, uuid, text, uuid, uuid) is 'The one direct conversation of two people about something, made if it is not there.';

create or replace function public.start_conversation(user_id uuid, project_id text default null) returns public.conversations
language plpgsql volatile security definer set search_path = '' as $$
declare
  me uuid := auth.uid();
begin
  if me is null or auth.role() <> 'authenticated' then
    perform chat.fail('42501', 'only users start conversations', 'sign in');
  elsif start_conversation.user_id = me then
    perform chat.fail('22023', 'a conversation needs somebody else', 'give the id of another user');
  elsif start_conversation.user_id is null or not chat.may_see(start_conversation.user_id)
        or not exists (select from public.profiles p where p.id = start_conversation.user_id) then
    perform chat.fail('PT404', 'there is no such user', 'people of the own organisation can be written to');
  elsif not exists (select from public.profiles p where p.id = me) then
    perform chat.fail('42501', 'only people with a profile start conversations', 'insert a row into profiles as the service');
  elsif char_length(start_conversation.project_id) > 200 then
    perform chat.fail('22001', 'the project_id is too long', 'at most 200 characters');
  elsif chat.is_blocked(me, start_conversation.user_id) then
    perform chat.fail('42501', 'the conversation cannot be started', 'one of you has blocked the other');
  end if;
  return chat.ensure_direct(me, start_conversation.user_id, nullif(start_conversation.project_id, ''),
    (select p.org_id from public.profiles p where p.id = me), me);
end
$$;
comment on function public.start_conversation(uuid, text) is
  'The direct conversation with somebody, made if it is not there; with project_id the one about that. Exists once, however often it is started.';

-- People whom the caller may bring into a conversation, or an error for the first who is not one.
create or replace function chat.assert_reachable(people uuid[]) returns void
language plpgsql stable set search_path = '' as $$
declare
  person uuid;
begin
  foreach person in array people loop
    if person is null or not chat.may_see(person) or not exists (select from public.profiles p where p.id = person) then
      perform chat.fail('PT404', 'there is no such user', 'people of the own organisation can be added');
    elsif chat.is_blocked(auth.uid(), person) then
      perform chat.fail('42501', 'somebody cannot be added', 'one of you has blocked the other');
    end if;
  end loop;
end
$$;
comment on function chat.assert_reachable(uuid[]) is 'Refuses people whom the caller does not know.';

create or replace function public.create_group(name text, user_ids uuid[], type text default 'group', project_id text default null)
returns public.conversations
language plpgsql volatile security definer set search_path = '' as $$
declare
  me uuid := auth.uid();
  made public.conversations;
  others uuid[] := array(select distinct u from unnest(user_ids) u where u is distinct from auth.uid());
  limits public.chat_settings := chat.settings();
begin
  if me is null or auth.role() <> 'authenticated' or not exists (select from public.profiles p where p.id = me) then
    perform chat.fail('42501', 'only people with a profile make groups', 'sign in');
  elsif coalesce(create_group.type, '') not in ('group', 'project') then
    perform chat.fail('22023', 'there is no such type of group', 'group or project');
  elsif coalesce(btrim(create_group.name), '') = '' then
    perform chat.fail('22023', 'a group needs a name', '1 to 200 characters');
  elsif char_length(create_group.name) > 200 then
    perform chat.fail('22001', 'the name is too long', 'at most 200 characters');
  elsif char_length(create_group.project_id) > 200 then
    perform chat.fail('22001', 'the project_id is too long', 'at most 200 characters');
  elsif cardinality(others) + 1 > limits.max_group_size then
    perform chat.fail('23514', 'the group is too large', format('at most %s participants', limits.max_group_size));
  end if;
  perform chat.assert_reachable(others);
  insert into public.conversations (type, name, project_id, org_id, created_by)
  values (create_group.type, btrim(create_group.name), nullif(create_group.project_id, ''), (select p.org_id from public.profiles p where p.id = me), me)
  returning * into made;
  insert into public.conversation_participants (conversation_id, user_id, role)
  select made.id, person, case when person = me then 'owner' when p.kind = 'guest' then 'guest' else 'member' end
  from unnest(others || me) person left join public.profiles p on p.id = person;
  perform chat.say(made.id, format('%s created "%s"', chat.name_of(me), made.name), jsonb_build_object('event', 'created', 'name', made.name));
  select * into made from public.conversations c where c.id = made.id;
  return made;
end
$$;
comment on function public.create_group(text, uuid[], text, text) is 'A group, or the conversation of a project; the caller is its owner.';

-- The caller's part in a conversation of several, or an error.
create or replace function chat.my_role_in_group(conversation uuid, wanted text default null) returns text
language plpgsql volatile set search_path = '' as $$
declare
  found_role text;
  found_type text;
begin
  if not chat.is_mine(conversation) then
    perform chat.fail('PT404', 'there is no such conversation', 'only participants see it');
  end if;
  -- One at a time: sizes and owners are counted.
  select c.type into found_type from public.conversations c where c.id = conversation for no key update;
  select p.role into found_role from public.conversation_participants p where p.conversation_id = conversation and p.user_id = auth.uid();
  if found_type = 'direct' then
    perform chat.fail('23514', 'a direct conversation stays as it is', 'make a group instead');
  elsif found_role = 'guest' or auth.role() <> 'authenticated' then
    perform chat.fail('42501', 'guests do not change conversations', 'a member of it may');
  elsif wanted = 'owner' and found_role <> 'owner' then
    perform chat.fail('42501', 'only owners may do this', 'an owner can make others owners: set_participant_role');
  end if;
  return found_role;
end
$$;
comment on function chat.my_role_in_group(uuid, text) is 'Locks the conversation and gives the caller''s role in it.';

-- Who was there before comes back with what was set then, but has not missed what was said meanwhile.
create or replace function chat.join_people(conversation uuid, people uuid[]) returns uuid[]
language plpgsql volatile set search_path = '' as $$
declare
  joined uuid[];
  limits public.chat_settings := chat.settings();
begin
  with added as (
    insert into public.conversation_participants as p (conversation_id, user_id, role, last_read_at)
    select conversation, person, case when f.kind = 'guest' then 'guest' else 'member' end, clock_timestamp()
    from unnest(people) person left join public.profiles f on f.id = person
    on conflict (conversation_id, user_id) do update
      set left_at = null, joined_at = now(), last_read_at = clock_timestamp(), last_read_message_id = null, role = excluded.role
      where p.left_at is not null
    returning p.user_id)
  select coalesce(array_agg(a.user_id order by a.user_id), '{}') into joined from added a;
  if (select count(*) from public.conversation_participants p where p.conversation_id = conversation and p.left_at is null) > limits.max_group_size then
    perform chat.fail('23514', 'the group is too large', format('at most %s participants', limits.max_group_size));
  end if;
  return joined;
end
$$;
comment on function chat.join_people(uuid, uuid[]) is 'Adds people to a conversation; gives who was not in it.';

create or replace function public.add_participants(conversation_id uuid, user_ids uuid[]) returns uuid[]
language plpgsql volatile security definer set search_path = '' as $$
declare
  people uuid[] := array(select distinct u from unnest(user_ids) u);
  joined uuid[];
begin
  perform chat.my_role_in_group(add_participants.conversation_id);
  perform chat.assert_reachable(people);
  joined := chat.join_people(add_participants.conversation_id, people);
  if cardinality(joined) > 0 then
    perform chat.say(add_participants.conversation_id,
      format('%s added %s', chat.name_of(auth.uid()), (select string_agg(chat.name_of(j), ', ') from unnest(joined) j)),
      jsonb_build_object('event', 'added', 'user_ids', joined));
  end if;
  return joined;
end
$$;
comment on function public.add_participants(uuid, uuid[]) is 'Adds people to a group; gives the ids of who was not in it.';

create or replace function chat.part(conversation uuid, person uuid) returns void
language plpgsql volatile set search_path = '' as $$
begin
  update public.conversation_participants p set left_at = clock_timestamp(), role = case when p.role = 'owner' then 'member' else p.role end
  where p.conversation_id = conversation and p.user_id = person;
  -- Somebody has to be able to remove people.
  if not exists (
    select from public.conversation_participants p where p.conversation_id = conversation and p.left_at is null and p.role = 'owner') then
    update public.conversation_participants p set role = 'owner'
    where p.conversation_id = conversation and p.user_id = (
      select q.user_id from public.conversation_participants q
      where q.conversation_id = conversation and q.left_at is null and q.role = 'member' order by q.joined_at, q.user_id limit 1);
  end if;
end
$$;
comment on function chat.part(uuid, uuid) is 'Ends somebody''s part in a conversation; the longest member owns it after its last owner.';

create or replace function public.remove_participant(conversation_id uuid, user_id uuid) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform chat.my_role_in_group(remove_participant.conversation_id, 'owner');
  if remove_participant.user_id = auth.uid() then
    perform chat.fail('22023', 'nobody removes themselves', 'leave_conversation does it');
  elsif not exists (
    select from public.conversation_participants p
    where p.conversation_id = remove_participant.conversation_id and p.user_id = remove_participant.user_id and p.left_at is null) then
    perform chat.fail('PT404', 'there is no such participant', 'get_participants gives who takes part');
  end if;
  perform chat.part(remove_participant.conversation_id, remove_participant.user_id);
  perform chat.say(remove_participant.conversation_id,
    format('%s removed %s', chat.name_of(auth.uid()), chat.name_of(remove_participant.user_id)),
    jsonb_build_object('event', 'removed', 'user_ids', array[remove_participant.user_id]));
end
$$;
comment on function public.remove_participant(uuid, uuid) is 'Removes somebody from a group; owners may.';

create or replace function public.leave_conversation(conversation_id uuid) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform chat.my_role_in_group(leave_conversation.conversation_id);
  perform chat.say(leave_conversation.conversation_id, format('%s left', chat.name_of(auth.uid())), '{"event": "left"}');
  perform chat.part(leave_conversation.conversation_id, auth.uid());
end
$$;
comment on function public.leave_conversation(uuid) is 'Leaves a group. Direct conversations can be archived.';

create or replace function public.rename_conversation(conversation_id uuid, name text) returns public.conversations
language plpgsql volatile security definer set search_path = '' as $$
declare
  renamed public.conversations;
begin
  perform chat.my_role_in_group(rename_conversation.conversation_id);
  if coalesce(btrim(rename_conversation.name), '') = '' then
    perform chat.fail('22023', 'a group needs a name', '1 to 200 characters');
  elsif char_length(rename_conversation.name) > 200 then
    perform chat.fail('22001', 'the name is too long', 'at most 200 characters');
  end if;
  update public.conversations c set name = btrim(rename_conversation.name), updated_at = now() where c.id = rename_conversation.conversation_id;
  perform chat.say(rename_conversation.conversation_id, format('%s named it "%s"', chat.name_of(auth.uid()), btrim(rename_conversation.name)),
    jsonb_build_object('event', 'renamed', 'name', btrim(rename_conversation.name)));
  select * into renamed from public.conversations c where c.id = rename_conversation.conversation_id;
  return renamed;
end
$$;
comment on function public.rename_conversation(uuid, text) is 'Gives a group another name.';

create or replace function public.set_participant_role(conversation_id uuid, user_id uuid, role text) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform chat.my_role_in_group(set_participant_role.conversation_id, 'owner');
  if coalesce(set_participant_role.role, '') not in ('owner', 'member') then
    perform chat.fail('22023', 'there is no such role', 'owner or member');
  elsif set_participant_role.user_id = auth.uid() then
    perform chat.fail('22023', 'nobody changes their own role', 'another owner may, or leave_conversation');
  end if;
  update public.conversation_participants p set role = set_participant_role.role
  where p.conversation_id = set_participant_role.conversation_id and p.user_id = set_participant_role.user_id and p.left_at is null and p.role <> 'guest';
  if not found then
    perform chat.fail('PT404', 'there is no such participant', 'guests stay guests');
  end if;
end
$$;
comment on function public.set_participant_role(uuid, uuid, text) is 'Makes a member an owner, or an owner a member; owners may.';
