-- A world of :messages messages in :conversations conversations, the same each time. Triggers are off meanwhile: what they would
-- write is written here.
set session_replication_role = replica;
set synchronous_commit = off;
select setseed(0.42);

insert into public.profiles (id, display_name, kind, org_id)
select md5('user ' || n)::uuid, 'Person ' || n, (array['trainer', 'client', 'client', 'member'])[1 + n % 4], md5('org ' || n % 20)::uuid
from generate_series(0, 1999) n;

insert into public.user_presence (user_id, is_online, last_seen_at)
select id, random() < 0.2, now() - random() * interval '3 days' from public.profiles;

-- Two of five are groups of 3 to 12, the others pairs; everybody is of one organisation.
create temporary table place as
select n, md5('conversation ' || n)::uuid as id, n % 20 as org, n % 5 < 2 as is_group,
  case when n % 5 < 2 then 3 + n / 5 % 10 else 2 end as size, (n / 20)::bigint as step
from generate_series(0, :conversations - 1) n;
create temporary table seat as
select distinct p.n, p.id, p.is_group, md5('user ' || (p.org + 20 * ((p.step * 37 + k * (7 + p.step % 13)) % 100)))::uuid as person, k
from place p cross join lateral generate_series(0, p.size - 1) k;
delete from seat a using seat b where a.n = b.n and a.person = b.person and a.k > b.k;
-- Pairs must be pairs, and each once.
create temporary table pair as
select n, id, min(person::text)::uuid as one, max(person::text)::uuid as other from seat where not is_group group by n, id having count(*) = 2;
delete from pair a using pair b where a.one = b.one and a.other = b.other and a.n > b.n;
update place p set is_group = true where not is_group and not exists (select from pair where pair.n = p.n);

insert into public.conversations (id, type, name, org_id, participant_1_id, participant_2_id, created_at)
select p.id, case when p.is_group then 'group' else 'direct' end, case when p.is_group then 'Group ' || p.n end, md5('org ' || p.org)::uuid, pair.one, pair.other,
  now() - interval '400 days'
from place p left join pair on pair.n = p.n;
insert into public.conversation_participants (conversation_id, user_id, role, joined_at)
select id, person, 'member', now() - interval '400 days' from seat on conflict do nothing;

-- Words as often as words are: the first of the list very often, the last hardly ever.
create temporary table word as
select n, substr(md5('word ' || n), 1, 3 + n % 7) as text from generate_series(0, 19999) n;
create unique index on word (n);

create temporary table people as
select conversation_id, array_agg(user_id order by user_id) as ids from public.conversation_participants group by 1;
create unique index on people (conversation_id);

insert into public.messages (id, conversation_id, sender_id, sender_name, sender_type, content, created_at, is_read)
select md5('message ' || m.n)::uuid, m.place, m.sender, 'Person', 'member', m.content,
  now() - interval '365 days' + m.n * (interval '364 days' / :messages), true
from (
  select g.n, c.id as place, s.ids[(1 + (g.n * 7919) % cardinality(s.ids))::integer] as sender,
    (select string_agg(w.text, ' ' order by k)
     from generate_series(1, 4 + g.n % 17) k
     join word w on w.n = floor(20000 * power(((g.n * 48271 + k * 69621) % 2147483647)::float8 / 2147483647, 3))::integer) as content
  from generate_series(0::bigint, :messages - 1) g (n)
  join place c on c.n = (g.n * 16807 % 2147483647) % :conversations
  join people s on s.conversation_id = c.id
) m;

update public.conversations c
set last_message_at = l.created_at, last_message_preview = left(l.content, 100), last_message_sender_id = l.sender_id
from (select distinct on (conversation_id) conversation_id, created_at, content, sender_id from public.messages order by conversation_id, created_at desc) l
where l.conversation_id = c.id;

-- Most have read most: a tenth of the places has a few unread messages, a hundredth was never opened.
update public.conversation_participants p
set last_read_at = case when abs(hashtext(p.conversation_id::text || p.user_id)) % 100 = 0 then null
    when abs(hashtext(p.conversation_id::text || p.user_id)) % 10 = 1 then c.last_message_at - interval '12 days'
    else c.last_message_at end
from public.conversations c where c.id = p.conversation_id;

insert into public.message_reactions (message_id, conversation_id, reactor_type, reactor_id, reactor_name, emoji)
select m.id, m.conversation_id, 'member', s.ids[1], 'Person', '👍'
from public.messages m join people s on s.conversation_id = m.conversation_id
where hashtext(m.id::text) % 20 = 0;

set session_replication_role = origin;
vacuum analyze;
