-- Who is online, as the server knows it from the private topics presence:<organisation> (C-105). Only the server's own login
-- calls this; the ids are those of verified tokens.

-- Only what differs is written: each row that changes is a message to everybody who sees that person. An entry that stays
-- online is renewed, since one that nobody has renewed for 11 minutes counts as offline.
create or replace function chat.write_presence(users uuid[], online boolean[]) returns void
language sql volatile security definer set search_path = '' as $$
  insert into public.user_presence as u (user_id, is_online, last_seen_at)
  select w.user_id, w.is_online, clock_timestamp()
  from unnest(users, online) as w (user_id, is_online)
  where exists (select from public.profiles p where p.id = w.user_id)
  -- In one order always, so that two servers do not wait for each other.
  order by w.user_id
  on conflict (user_id) do update
    set is_online = excluded.is_online, last_seen_at = excluded.last_seen_at
    where u.is_online <> excluded.is_online or (excluded.is_online and u.last_seen_at < now() - interval '1 minute')
$$;
comment on function chat.write_presence(uuid[], boolean[]) is 'Writes who is online and who is not any more; each user at most once in a call.';

-- What a server that was killed left behind. Safe with any number of servers, since each renews its own every 5 minutes.
create or replace function chat.expire_presence() returns bigint
language sql volatile security definer set search_path = '' as $$
  with late as (
    update public.user_presence u set is_online = false
    where u.is_online and u.last_seen_at < now() - interval '11 minutes'
    returning 1
  )
  select count(*) from late
$$;
comment on function chat.expire_presence() is 'Who was online and has not been heard of for 11 minutes is offline since then; gives how many.';

-- Guests are on no channel of the organisation: that one came or went is told to those whom they reach by a link.
create or replace function chat.broadcast_guest_presence() returns trigger
language plpgsql security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  topics text[] := array(
    select distinct 'conversations:' || l.advisor_id
    from public.share_links l
    join public.conversations c on c.type = 'direct' and c.project_id = l.subject_id
      and c.participant_1_id = least(l.client_id, l.advisor_id) and c.participant_2_id = greatest(l.client_id, l.advisor_id)
    join public.conversation_participants p on p.conversation_id = c.id and p.user_id = l.advisor_id and p.left_at is null
    where l.client_id = new.user_id and not chat.is_blocked(l.client_id, l.advisor_id));
begin
  if cardinality(topics) > 0 then
    perform chat.tell(topics, 'presence', jsonb_build_object('user_id', new.user_id, 'is_online', new.is_online, 'last_seen_at', new.last_seen_at));
  end if;
  return null;
end
$$;
comment on function chat.broadcast_guest_presence() is 'Tells the advisors of somebody''s share links that they came or went, on conversations:<advisor>.';
drop trigger if exists broadcast_guest_came on public.user_presence;
create trigger broadcast_guest_came after insert on public.user_presence for each row
  when (new.is_online) execute function chat.broadcast_guest_presence();
drop trigger if exists broadcast_guest_presence on public.user_presence;
create trigger broadcast_guest_presence after update of is_online on public.user_presence for each row
  when (old.is_online is distinct from new.is_online) execute function chat.broadcast_guest_presence();

create index if not exists user_presence_online on public.user_presence (last_seen_at) where is_online;

do $$
declare
  signature text;
begin
  foreach signature in array array['write_presence(uuid[], boolean[])', 'expire_presence()'] loop
    execute format('revoke all on function chat.%s from public, anon, authenticated, chat_guest', signature);
    execute format('grant execute on function chat.%s to service_role', signature);
  end loop;
end
$$;
