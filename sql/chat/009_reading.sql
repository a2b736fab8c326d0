-- Reading (C-201, C-202, C-205): conversations, messages, counts.
--
-- Every function keeps its plans (plan_cache_mode): planning these takes longer than running them. Nothing in them is folded into a
-- plan that belongs to one caller, since what they call is at most stable.

-- Messages as clients get them. With the rights of the owner, and membership checked once for all that is looked up around
-- a message (everything is of the same conversation): under row level security it would be for each of five tables.
create or replace function chat.describe_messages(ids uuid[])
returns table (id uuid, created_at timestamptz, message json)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  mine uuid[] := array(select chat.my_conversations());
begin
  return query
  select m.id, m.created_at, row_to_json(described)
  from public.messages m
  cross join lateral (
    select m.id, m.conversation_id, m.sender_id, m.sender_name, m.sender_type, m.content, m.content_type, m.thread_id, m.reply_to,
      m.attachments, m.attachment_url, m.attachment_type, m.attachment_name, m.is_read, m.read_at, m.seen_at, m.edited_at, m.deleted_at,
      m.mentions, m.client_id, m.metadata, m.in_main_line, m.created_at,
      coalesce((
        select json_agg(json_build_object('id', r.id, 'emoji', r.emoji, 'reactor_id', r.reactor_id, 'reactor_name', r.reactor_name,
          'reactor_type', r.reactor_type, 'created_at', r.created_at) order by r.created_at, r.id)
        from public.message_reactions r where r.message_id = m.id), '[]') as reactions,
      array(
        select p.user_id
        from public.conversation_participants p
        where p.conversation_id = m.conversation_id and p.left_at is null and p.user_id is distinct from m.sender_id
          -- Who came later has not read it, though nothing of it is new to them.
          and p.last_read_at >= m.created_at and p.joined_at <= m.created_at
        order by p.user_id) as read_by,
      (select json_build_object('id', q.id, 'sender_id', q.sender_id, 'sender_name', q.sender_name, 'content_type', q.content_type,
          'preview', chat.preview(q.content, q.content_type, q.attachment_name), 'deleted_at', q.deleted_at)
        from public.messages q where q.id = m.reply_to) as quoted,
      thread.*
    from (
      select count(*) as reply_count,
        (array_agg(json_build_object('id', t.id, 'sender_id', t.sender_id, 'sender_name', t.sender_name,
          'preview', chat.preview(t.content, t.content_type, t.attachment_name), 'created_at', t.created_at) order by t.created_at desc, t.id desc))[1] as last_reply,
        coalesce(array_agg(distinct t.sender_id) filter (where t.sender_id is not null), '{}') as reply_users
      from public.messages t where t.thread_id = m.id and t.deleted_at is null) thread
  ) described
  where m.id = any (describe_messages.ids) and m.conversation_id = any (mine);
end
$$;
comment on function chat.describe_messages(uuid[]) is 'Messages with reactions, receipts, quote and the state of their thread.';

create or replace function public.get_messages(
  conversation_id uuid, before timestamptz default null, after timestamptz default null, thread_id uuid default null,
  page_size integer default 50, before_id uuid default null, after_id uuid default null)
returns json
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  wanted integer := least(greatest(coalesce(page_size, 50), 1), 200);
  ids uuid[];
  more boolean;
  found_messages json;
begin
  if not chat.is_mine(get_messages.conversation_id) then
    perform chat.fail('PT404', 'there is no such conversation', 'only participants see it');
  end if;
  if get_messages.thread_id is not null then
    if get_messages.after is not null then
      ids := array(
        select m.id from public.messages m
        where m.conversation_id = get_messages.conversation_id and m.thread_id = get_messages.thread_id
          and (m.created_at, m.id) > (get_messages.after, coalesce(after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        order by m.created_at, m.id limit wanted + 1);
    else
      ids := array(
        select m.id from public.messages m
        where m.conversation_id = get_messages.conversation_id and m.thread_id = get_messages.thread_id
          and (m.created_at, m.id) < (coalesce(get_messages.before, 'infinity'), coalesce(before_id, '00000000-0000-0000-0000-000000000000'))
        order by m.created_at desc, m.id desc limit wanted + 1);
    end if;
  elsif get_messages.after is not null then
    ids := array(
      select m.id from public.messages m
      where m.conversation_id = get_messages.conversation_id and m.in_main_line
        and (m.created_at, m.id) > (get_messages.after, coalesce(after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
      order by m.created_at, m.id limit wanted + 1);
  else
    ids := array(
      select m.id from public.messages m
      where m.conversation_id = get_messages.conversation_id and m.in_main_line
        and (m.created_at, m.id) < (coalesce(get_messages.before, 'infinity'), coalesce(before_id, '00000000-0000-0000-0000-000000000000'))
      order by m.created_at desc, m.id desc limit wanted + 1);
  end if;
  more := cardinality(ids) > wanted;
  select coalesce(json_agg(d.message order by d.created_at, d.id), '[]') into found_messages
  from chat.describe_messages(ids[1:wanted]) d;
  return json_build_object('messages', found_messages, 'has_more', more);
end
$$;
comment on function public.get_messages(uuid, timestamptz, timestamptz, uuid, integer, uuid, uuid) is
  'Messages of a conversation, oldest first: the last page_size (at most 200) before a time, or the first after one; with thread_id those of a thread, otherwise the main line. {messages, has_more}. before_id and after_id tell apart messages of one time.';

create or replace function public.get_message(message_id uuid) returns json
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  found_message json;
begin
  select d.message into found_message from chat.describe_messages(array[message_id]) d;
  if found_message is null then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  end if;
  return found_message;
end
$$;
comment on function public.get_message(uuid) is 'One message, as get_messages gives it.';

-- How much somebody has not read: neither own messages nor those of the server nor deleted ones count.
-- Without a setting of its own, so that Postgres takes it into the query around it.
create or replace function chat.unread(conversation uuid, person uuid, since timestamptz)
returns table (messages bigint, mentions bigint) language sql stable as $$
  select count(*), count(*) filter (where person = any (m.mentions))
  from public.messages m
  where m.conversation_id = conversation and m.created_at > coalesce(since, '-infinity')
    and m.deleted_at is null and m.content_type <> 'system' and m.sender_id is distinct from person
$$;
comment on function chat.unread(uuid, uuid, timestamptz) is 'Unread messages, and those of them that name the reader; counted, never kept.';

-- What it gives had fewer columns once, and that cannot be replaced.
do $$
begin
  if exists (
    select from pg_proc p
    where p.oid = to_regprocedure('public.get_conversations(text, text, timestamptz, integer, uuid)') and not p.proargnames @> array['subject']) then
    drop function public.get_conversations(text, text, timestamptz, integer, uuid);
  end if;
end
$$;
create or replace function public.get_conversations(
  filter text default 'all', search text default null, before timestamptz default null, page_size integer default 30,
  before_id uuid default null)
returns table (
  id uuid, type text, name text, org_id uuid, project_id text, created_by uuid, created_at timestamptz,
  last_message_at timestamptz, last_message_preview text, last_message_sender_id uuid, last_message_sender_name text,
  role text, unread_count bigint, mention_count bigint, last_read_at timestamptz, last_read_message_id uuid,
  muted_until timestamptz, notify text, pinned_at timestamptz, archived_at timestamptz,
  participant_count bigint, participants json, subject text)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  me uuid := auth.uid();
  mine uuid[] := array(select chat.my_conversations());
  wanted integer := least(greatest(coalesce(page_size, 30), 1), 200);
  wanted_kind text := case when coalesce(filter, 'all') in ('all', 'unread', 'archived', 'direct', 'group', 'project') then null else rtrim(filter, 's') end;
  pattern text := case when btrim(coalesce(search, '')) <> '' then '%' || replace(replace(replace(btrim(search), '\', '\\'), '%', '\%'), '_', '\_') || '%' end;
begin
  filter := coalesce(filter, 'all');
  if char_length(search) > 200 then
    perform chat.fail('22001', 'the search is too long', 'at most 200 characters');
  end if;
  if wanted_kind not in ('trainer', 'client', 'advisor', 'member', 'guest') then
    perform chat.fail('22023', 'there is no such filter', 'all, unread, archived, direct, group, project, trainers, clients, advisors, members, guests');
  end if;
  return query
  with listed as materialized (
    select c.id, c.type, c.name, c.org_id, c.project_id, c.participant_1_id, c.participant_2_id, c.created_by, c.created_at, c.last_message_at, c.last_message_preview,
      c.last_message_sender_id, c.last_message_sender_name, p.role, p.last_read_at, p.last_read_message_id, p.muted_until, p.notify,
      p.pinned_at, p.archived_at, coalesce(c.last_message_at, c.created_at) as active_at
    from public.conversation_participants p
    join public.conversations c on c.id = p.conversation_id
    -- The check: nothing but the caller's own participations is looked at. By person first, so that one look-up finds them all.
    where p.user_id = me and p.left_at is null and p.conversation_id = any (mine)
      and (before is null
        or (coalesce(c.last_message_at, c.created_at), c.id) < (before, coalesce(before_id, '00000000-0000-0000-0000-000000000000')))
      -- What was put away comes back with the next message.
      and (filter = 'archived') = (p.archived_at is not null and p.archived_at >= coalesce(c.last_message_at, c.created_at))
      and (filter not in ('direct', 'group', 'project') or c.type = filter)
      and (filter <> 'unread' or c.last_message_at > coalesce(p.last_read_at, '-infinity')
        and exists (select from chat.unread(c.id, me, p.last_read_at) u where u.messages > 0))
      and (wanted_kind is null or exists (
        select from public.conversation_participants o join public.profiles u on u.id = o.user_id
        where o.conversation_id = c.id and o.user_id <> me and o.left_at is null and u.kind = wanted_kind))
      and (pattern is null or c.name ilike pattern or exists (
        select from public.conversation_participants o join public.profiles u on u.id = o.user_id
        where o.conversation_id = c.id and o.user_id <> me and o.left_at is null and u.display_name ilike pattern))
    order by active_at desc, c.id desc
    limit wanted
  )
  select l.id, l.type, l.name, l.org_id, l.project_id, l.created_by, l.created_at, l.last_message_at, l.last_message_preview,
    l.last_message_sender_id, l.last_message_sender_name, l.role, coalesce(u.messages, 0), coalesce(u.mentions, 0), l.last_read_at, l.last_read_message_id,
    l.muted_until, l.notify, l.pinned_at, l.archived_at, coalesce(o.number, 1), o.people,
    case when l.type = 'direct' and l.project_id is not null then coalesce(
      (select s.subject_title from public.share_links s
       where s.subject_id = l.project_id and s.client_id in (l.participant_1_id, l.participant_2_id) and s.advisor_id in (l.participant_1_id, l.participant_2_id)
         and s.subject_title is not null order by s.created_at desc limit 1), l.project_id) end
  from listed l
  left join lateral chat.unread(l.id, me, l.last_read_at) u on l.last_message_at > coalesce(l.last_read_at, '-infinity')
  cross join lateral (
    select max(other.number) + 1 as number, coalesce(json_agg(json_build_object(
        'user_id', other.user_id, 'display_name', f.display_name, 'avatar_url', f.avatar_url, 'kind', f.kind, 'role', other.role,
        'online', coalesce(s.is_online and s.last_seen_at > now() - interval '11 minutes', false), 'last_seen_at', s.last_seen_at,
        'last_read_at', other.last_read_at) order by other.joined_at, other.user_id) filter (where other.user_id is not null), '[]') as people
    from (
      select q.user_id, q.role, q.joined_at, q.last_read_at, count(*) over () as number
      from public.conversation_participants q
      where q.conversation_id = l.id and q.user_id <> me and q.left_at is null
      order by q.joined_at, q.user_id limit 5) other
    left join public.profiles f on f.id = other.user_id
    left join public.user_presence s on s.user_id = other.user_id
  ) o
  order by l.active_at desc, l.id desc;
end
$$;
comment on function public.get_conversations(text, text, timestamptz, integer, uuid) is
  'The caller''s conversations, most recent activity first. filter: all, unread, archived, direct, group, project, or a kind of participant (trainers, clients ...). search: part of the name of the conversation or of a participant. page_size: 30, at most 200. before and before_id: last_message_at (or created_at) and id of the last row of the page before. participants: the first 5 others. subject: what a direct conversation is about, the title of its share link or else its project_id.';

create or replace function public.get_participants(conversation_id uuid)
returns table (user_id uuid, display_name text, avatar_url text, kind text, role text, online boolean, last_seen_at timestamptz,
  joined_at timestamptz, last_read_at timestamptz, last_read_message_id uuid)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
  if not chat.is_mine(get_participants.conversation_id) then
    perform chat.fail('PT404', 'there is no such conversation', 'only participants see it');
  end if;
  return query
  select p.user_id, f.display_name, f.avatar_url, f.kind, p.role, coalesce(s.is_online and s.last_seen_at > now() - interval '11 minutes', false),
    s.last_seen_at, p.joined_at, p.last_read_at, p.last_read_message_id
  from public.conversation_participants p
  left join public.profiles f on f.id = p.user_id
  left join public.user_presence s on s.user_id = p.user_id
  where p.conversation_id = get_participants.conversation_id and p.left_at is null
  order by p.joined_at, p.user_id;
end
$$;
comment on function public.get_participants(uuid) is 'Everybody who takes part in a conversation of the caller, the caller included.';

create or replace function public.get_unread_count() returns jsonb
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  me uuid := auth.uid();
  counts jsonb;
begin
  select jsonb_build_object(
    'total', coalesce(sum(u.messages) filter (where p.muted_until is null or p.muted_until < now()), 0),
    'mentions', coalesce(sum(u.mentions), 0),
    'conversations', coalesce(jsonb_object_agg(c.id, u.messages) filter (where u.messages > 0), '{}'))
  into counts
  from chat.my_conversations() mine
  join public.conversation_participants p on p.conversation_id = mine and p.user_id = me
  join public.conversations c on c.id = mine
  cross join lateral chat.unread(c.id, me, p.last_read_at) u
  where c.last_message_at > coalesce(p.last_read_at, '-infinity');
  return counts;
end
$$;
comment on function public.get_unread_count() is
  '{total, mentions, conversations: {id: number}}. total is what a badge shows: conversations that are muted are left out of it.';
