-- Push notifications (C-111, C-203, C-404): a message puts rows into notification_outbox, the push worker of the server takes
-- them. Nothing of this is for clients: all of it is called by triggers, and by the server's own login.

alter table public.notification_outbox add column if not exists claimed_at timestamptz;
alter table public.notification_outbox add column if not exists crashes integer not null default 0;
alter table public.notification_outbox add column if not exists settled_endpoints text[] not null default '{}';
comment on column public.notification_outbox.due_at is 'Not before; moved forward while it is being sent, so that a crash gives it back. infinity: given up.';
comment on column public.notification_outbox.delivered_at is 'When it was done with: sent, or found to be of no use any more, which last_error then says ("not sent: ...").';
comment on column public.notification_outbox.claimed_at is 'Since when a worker has it; still set when due_at comes: that worker is gone.';
comment on column public.notification_outbox.crashes is 'How often a worker that had it was gone. After the second it is not sent again.';
comment on column public.notification_outbox.settled_endpoints is 'Subscriptions that are done with; another attempt is for the others.';
-- Those given up, to be removed one day.
create index if not exists notification_outbox_created on public.notification_outbox (created_at) where delivered_at is null;

-- Once for a statement, whatever it inserts. This is on the way of each message: who has no subscription, which is most
-- people, costs one look into an index, and everything else is asked only for those who have one. The plan is kept by the
-- session and knows nothing of how many recipients there are: one that scans a small table would do so for each of them.
create or replace function chat.notify_message() returns trigger
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
begin
  insert into public.notification_outbox (user_id, kind, title, body, url, data, due_at)
  select r.user_id, r.kind,
    left(case when c.type <> 'direct' and c.name is not null then coalesce(r.sender_name || ' · ', '') || c.name
      else coalesce(r.sender_name, 'New message') end, 200),
    case
      when n.preview is false then 'New message'
      -- note_message has made it.
      when c.last_message_at = r.created_at then coalesce(c.last_message_preview, '')
      else chat.preview(r.content, r.content_type, r.attachment_name) end,
    '/chat/#/c/' || r.conversation_id,
    jsonb_build_object('conversation_id', r.conversation_id, 'message_id', r.id, 'sender_id', r.sender_id, 'kind', r.kind),
    -- Who has the conversation open marks it as read meanwhile.
    now() + interval '2 seconds'
  from (
    select a.id, a.conversation_id, a.sender_id, a.sender_name, a.content, a.content_type, a.attachment_name, a.created_at, p.user_id,
      case when p.user_id = any (a.mentions) then 'mention' else 'message' end as kind
    from added a
    join public.conversation_participants p on p.conversation_id = a.conversation_id
    where a.content_type <> 'system' and a.deleted_at is null
      -- Somebody moves messages here from elsewhere: that is no news.
      and a.created_at > now() - interval '10 minutes'
      and p.left_at is null and p.user_id is distinct from a.sender_id
      and (p.muted_until is null or p.muted_until <= now())
      and (p.notify = 'all' or (p.notify = 'mentions' and p.user_id = any (a.mentions)))
      and exists (select from public.push_subscriptions s where s.user_id = p.user_id)
    offset 0
  ) r
  join public.conversations c on c.id = r.conversation_id
  left join public.notification_preferences n on n.user_id = r.user_id
  where n.push is not false
    and not exists (
      select from public.user_presence u
      -- An entry that nobody has renewed for so long is of a server that is gone.
      where u.user_id = r.user_id and u.is_online and u.last_seen_at > now() - interval '11 minutes')
    and not exists (select from public.user_blocks b where b.user_id = r.user_id and b.blocked_id = r.sender_id)
    and not exists (select from public.user_blocks b where b.user_id = r.sender_id and b.blocked_id = r.user_id)
  order by r.created_at, r.id;
  if found then
    perform pg_notify('dovetail_chat', 'push');
  end if;
  return null;
end
$$;
comment on function chat.notify_message() is 'Puts a notification for each participant who is away and wants it (C-203).';
drop trigger if exists c_notify_message on public.messages;
create trigger c_notify_message after insert on public.messages referencing new table as added
  for each statement execute function chat.notify_message();

-- The end of the quiet hours that somebody is in; null when they are in none.
create or replace function chat.quiet_until(quiet_start time, quiet_end time, time_zone text) returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
  here timestamp;
  ends timestamp;
begin
  if quiet_start is null or quiet_end is null or quiet_start = quiet_end then
    return null;
  end if;
  begin
    here := now() at time zone coalesce(time_zone, 'UTC');
  exception when invalid_parameter_value then
    -- A zone that this Postgres does not know must not hold up the others.
    time_zone := 'UTC';
    here := now() at time zone time_zone;
  end;
  if quiet_start < quiet_end then
    if here::time < quiet_start or here::time >= quiet_end then
      return null;
    end if;
    ends := here::date + quiet_end;
  elsif here::time >= quiet_start then
    ends := here::date + 1 + quiet_end;
  elsif here::time < quiet_end then
    ends := here::date + quiet_end;
  else
    return null;
  end if;
  -- An hour that a change of clocks leaves out may lie behind us.
  return greatest(ends at time zone coalesce(time_zone, 'UTC'), now() + interval '1 minute');
end
$$;
comment on function chat.quiet_until(time, time, text) is 'When the quiet hours end that somebody is in now (C-110), over midnight too; null: in none.';

-- Takes what is due, oldest first, and looks again whether it is still wanted. What is given out belongs to the caller until
-- the lease is over; several workers never get the same. Of what is due of one conversation for one person the last is sent. A worker that is gone gives its rows back by the end of the lease.
create or replace function chat.claim_notifications(batch integer, lease interval, busy uuid[] default '{}')
returns table (id bigint, attempt integer, user_id uuid, kind text, title text, body text, url text, data jsonb, subscriptions jsonb)
language sql volatile security definer set search_path = '' as $$
  with due as materialized (
    select o.* from public.notification_outbox o
    where o.delivered_at is null and o.due_at <= now() and o.user_id <> all (busy)
    order by o.due_at, o.id limit batch
    for update skip locked
  ), seen as (
    select o.id, o.user_id, o.kind, o.data ->> 'conversation_id' as conversation, o.claimed_at is not null and o.crashes > 0 as hopeless,
      m.id as message, m.content, m.content_type, m.attachment_name, n.preview,
      (select jsonb_agg(jsonb_build_object('endpoint', s.endpoint, 'p256dh', s.p256dh, 'auth', s.auth) order by s.created_at, s.endpoint)
       from public.push_subscriptions s where s.user_id = o.user_id and s.endpoint <> all (o.settled_endpoints)) as subscriptions,
      chat.quiet_until(n.quiet_start, n.quiet_end, n.time_zone) as quiet_until,
      case
        when o.created_at < now() - interval '2 days' then 'too old'
        when n.push is false then 'push is off'
        when exists (select from public.user_presence u where u.user_id = o.user_id and u.is_online and u.last_seen_at > now() - interval '11 minutes') then 'online'
        -- What the service put there itself is about no message.
        when not o.data ? 'message_id' then null
        when m.id is null or m.deleted_at is not null then 'deleted'
        when p.user_id is null or p.left_at is not null then 'left'
        when p.last_read_at >= m.created_at then 'read'
        when p.muted_until > now() or p.notify = 'none' or (p.notify = 'mentions' and o.user_id <> all (m.mentions)) then 'muted'
        when exists (select from public.user_blocks b
                     where (b.user_id = o.user_id and b.blocked_id = m.sender_id) or (b.user_id = m.sender_id and b.blocked_id = o.user_id)) then 'blocked'
      end as unwanted
    from due o
    left join public.messages m on m.id = case
      when o.data ->> 'message_id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then (o.data ->> 'message_id')::uuid end
    left join public.conversation_participants p on p.conversation_id = m.conversation_id and p.user_id = o.user_id
    left join public.notification_preferences n on n.user_id = o.user_id
  ), verdict as (
    select s.*, case
      when s.unwanted is not null then s.unwanted
      when s.subscriptions is null then 'no subscription'
      -- The browser shows the last of a conversation; what waited over night is not to ring fifty times in the morning.
      when s.quiet_until is null and exists (
        select from seen l
        where l.user_id = s.user_id and l.conversation = s.conversation and l.id > s.id and l.unwanted is null and not l.hopeless
          and (l.kind = 'mention' or s.kind <> 'mention')) then 'a later one is'
    end as unsent from seen s
  ), changed as (
    update public.notification_outbox o set
      delivered_at = case when v.unsent is not null then clock_timestamp() end,
      last_error = case
        when v.unsent is not null then 'not sent: ' || v.unsent
        when v.hopeless then 'the server ended twice while it was being sent'
        else o.last_error end,
      due_at = case
        when v.unsent is not null then o.due_at
        when v.hopeless then 'infinity'
        else coalesce(v.quiet_until, clock_timestamp() + lease) end,
      attempts = o.attempts + (v.unsent is null and v.quiet_until is null and not v.hopeless)::integer,
      crashes = o.crashes + (o.claimed_at is not null)::integer,
      claimed_at = case when v.unsent is null and v.quiet_until is null then clock_timestamp() end,
      -- As it reads now: it may have been edited, or previews may have been switched off.
      body = case
        when v.message is null then o.body
        when v.preview is false then 'New message'
        else chat.preview(v.content, v.content_type, v.attachment_name) end
    from verdict v
    where o.id = v.id
    returning o.id, o.attempts, o.user_id, o.kind, o.title, o.body, o.url, o.data, v.subscriptions,
      o.delivered_at is null and o.due_at < 'infinity' and o.claimed_at is not null as given
  )
  select c.id, c.attempts, c.user_id, c.kind, c.title, c.body, c.url, c.data, c.subscriptions
  from changed c where c.given order by c.id
$$;
comment on function chat.claim_notifications(integer, interval, uuid[]) is 'What the push worker is to send now (C-404), but nothing for those who are busy: they are being sent to. attempt counts from 1; subscriptions are those not done with.';

-- The outcome of an attempt. done: endpoints that need no other attempt; failed: endpoints that do, with why and not before.
-- Of an attempt whose lease was over and that somebody else took, nothing is believed but what is done.
create or replace function chat.settle_notification(
  id bigint, attempt integer, done text[], failed text[] default '{}', error text default null, retry_after interval default null)
returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  waits constant interval[] := array['30 seconds', '2 minutes', '10 minutes', '1 hour'];
begin
  update public.notification_outbox o set
    settled_endpoints = o.settled_endpoints || array(select e from unnest(done) e where e <> all (o.settled_endpoints)),
    delivered_at = case when o.attempts = attempt and failed = '{}' then clock_timestamp() end,
    last_error = case when o.attempts = attempt then left(error, 500) else o.last_error end,
    claimed_at = case when o.attempts = attempt then null else o.claimed_at end,
    due_at = case
      when o.attempts <> attempt or failed = '{}' then o.due_at
      when attempt > cardinality(waits) then 'infinity'
      else clock_timestamp() + greatest(waits[attempt], least(retry_after, interval '1 hour')) end
  where o.id = settle_notification.id and o.delivered_at is null;
  update public.push_subscriptions s set last_error = case when s.endpoint = any (failed) then left(error, 500) end
  where s.endpoint = any (done || failed)
    and s.last_error is distinct from case when s.endpoint = any (failed) then left(error, 500) end;
end
$$;
comment on function chat.settle_notification(bigint, integer, text[], text[], text, interval) is
  'How an attempt ended: done with, or to be tried again after 30 s, 2 min, 10 min and 1 h, then given up.';

create or replace function chat.release_notifications(ids bigint[]) returns void
language sql volatile security definer set search_path = '' as $$
  update public.notification_outbox o
  set due_at = clock_timestamp(), claimed_at = null, attempts = greatest(o.attempts - 1, 0)
  where o.id = any (ids) and o.delivered_at is null and o.claimed_at is not null
$$;
comment on function chat.release_notifications(bigint[]) is 'Gives back what was claimed and not begun, for a server that ends.';

create or replace function chat.drop_subscription(endpoint text) returns void
language sql volatile security definer set search_path = '' as $$
  delete from public.push_subscriptions s where s.endpoint = drop_subscription.endpoint
$$;
comment on function chat.drop_subscription(text) is 'The push service says that there is no such subscription (404, 410).';

create or replace function chat.note_subscription(endpoint text, error text) returns void
language sql volatile security definer set search_path = '' as $$
  update public.push_subscriptions s set last_error = left(note_subscription.error, 500) where s.endpoint = note_subscription.endpoint
$$;
comment on function chat.note_subscription(text, text) is 'Why a subscription gets nothing.';

-- What the worker sleeps by. Seconds, negative when something is due already; null: nothing waits.
create or replace function chat.next_notification(busy uuid[] default '{}') returns double precision
language sql stable security definer set search_path = '' as $$
  select extract(epoch from min(o.due_at) - clock_timestamp())::double precision
  from public.notification_outbox o where o.delivered_at is null and o.due_at < 'infinity' and o.user_id <> all (busy)
$$;
comment on function chat.next_notification(uuid[]) is 'Seconds until the next notification is due of somebody who is not busy.';

create or replace function chat.clean_notifications() returns bigint
language sql volatile security definer set search_path = '' as $$
  with old as (
    (select o.id from public.notification_outbox o where o.delivered_at < now() - interval '7 days' limit 5000)
    union all
    (select o.id from public.notification_outbox o where o.delivered_at is null and o.created_at < now() - interval '30 days' limit 5000)
  ), gone as (
    delete from public.notification_outbox o using old where o.id = old.id returning 1
  )
  select count(*) from gone
$$;
comment on function chat.clean_notifications() is 'Removes what was done with a week ago and what was given up a month ago, some at a time; gives how many.';

do $$
declare
  signature text;
begin
  foreach signature in array array['notify_message()', 'quiet_until(time, time, text)',
    'claim_notifications(integer, interval, uuid[])', 'settle_notification(bigint, integer, text[], text[], text, interval)',
    'release_notifications(bigint[])', 'drop_subscription(text)', 'note_subscription(text, text)', 'next_notification(uuid[])', 'clean_notifications()'] loop
    execute format('revoke all on function chat.%s from public, anon, authenticated, chat_guest', signature);
    execute format('grant execute on function chat.%s to service_role', signature);
  end loop;
end
$$;
