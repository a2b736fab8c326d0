-- A small world to look at: three organisations, twelve people, thirty conversations, five thousand messages. Made once; who runs it
-- again, or has written there since, loses nothing.
--
-- Triggers are off meanwhile: what they would write is written here, and nobody is told of messages of last month.
set session_replication_role = replica;

create temporary table demo_person (org text, kind text, name text, handle text);
insert into demo_person values
  ('Northside Coaching', 'trainer', 'Ana Fischer', 'ana'), ('Northside Coaching', 'trainer', 'Tom Okafor', 'tom'),
  ('Northside Coaching', 'client', 'Lena Park', 'lena'), ('Northside Coaching', 'client', 'Marco Silva', 'marco'),
  ('Harbor Software', 'member', 'Priya Nair', 'priya'), ('Harbor Software', 'member', 'Jonas Weber', 'jonas'),
  ('Harbor Software', 'member', 'Sara Lindqvist', 'sara'), ('Harbor Software', 'member', 'Diego Ramos', 'diego'),
  ('Blue Atlas Travel', 'advisor', 'Claire Dubois', 'claire'), ('Blue Atlas Travel', 'advisor', 'Kenji Sato', 'kenji'),
  ('Blue Atlas Travel', 'client', 'Emma Brown', 'emma'), ('Blue Atlas Travel', 'client', 'Noah Haddad', 'noah');

create function pg_temp.id(what text) returns uuid language sql immutable as $$
  select overlay(overlay(md5('dovetail demo ' || what) placing '4' from 13) placing '8' from 17)::uuid
$$;

insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
  created_at, updated_at, confirmation_token, recovery_token, email_change_token_new, email_change)
select '00000000-0000-0000-0000-000000000000', pg_temp.id(handle), 'authenticated', 'authenticated', handle || '@demo.dovetail.dev',
  -- "demo-password"
  '$argon2id$v=19$m=19456,t=2,p=1$2W+Wtmx9aOs20gPEX6BN/w$42yzHP1VWNrXfrJVUxwwL8r2HCa6x9IgBZBXncNlXL4', now(),
  jsonb_build_object('provider', 'email', 'providers', array['email'], 'kind', kind, 'org_id', pg_temp.id(org)),
  jsonb_build_object('display_name', name), now() - interval '120 days', now(), '', '', '', ''
from demo_person
on conflict (id) do nothing;
insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
select pg_temp.id(handle)::text, pg_temp.id(handle), jsonb_build_object('sub', pg_temp.id(handle), 'email', handle || '@demo.dovetail.dev', 'email_verified', true),
  'email', now(), now()
from demo_person
on conflict do nothing;
insert into public.profiles (id, display_name, kind, org_id)
select pg_temp.id(handle), name, kind, pg_temp.id(org) from demo_person on conflict (id) do nothing;
insert into public.user_presence (user_id, is_online, last_seen_at)
select pg_temp.id(handle), false, now() - (row_number() over () * interval '37 minutes') from demo_person on conflict (user_id) do nothing;

-- Who talks where.
create temporary table demo_place (org text, type text, name text, project text, handles text[]);
insert into demo_place
select a.org, 'direct', null, null, array[least(a.handle, b.handle), greatest(a.handle, b.handle)]
from demo_person a join demo_person b on a.org = b.org and a.handle < b.handle
-- Clients do not know each other.
where not (a.kind = 'client' and b.kind = 'client');
insert into demo_place values
  ('Northside Coaching', 'group', 'Coaches', null, '{ana,tom}'), ('Northside Coaching', 'group', 'Morning runners', null, '{ana,lena,marco}'),
  ('Northside Coaching', 'project', 'Half marathon in spring', 'programme-spring', '{ana,tom,lena,marco}'),
  ('Northside Coaching', 'group', 'Nutrition questions', null, '{tom,lena,marco}'),
  ('Harbor Software', 'group', 'Everybody', null, '{priya,jonas,sara,diego}'), ('Harbor Software', 'group', 'Lunch', null, '{priya,sara,diego}'),
  ('Harbor Software', 'project', 'Release 4.2', 'release-42', '{priya,jonas,sara,diego}'), ('Harbor Software', 'project', 'Mobile app', 'mobile', '{jonas,sara,diego}'),
  ('Harbor Software', 'group', 'Support rota', null, '{priya,jonas,sara}'),
  ('Blue Atlas Travel', 'group', 'Advisors', null, '{claire,kenji}'), ('Blue Atlas Travel', 'project', 'Lisbon in May', 'trip-lisbon', '{claire,kenji,emma}'),
  ('Blue Atlas Travel', 'project', 'Kyoto for two', 'trip-kyoto', '{kenji,claire,noah}'), ('Blue Atlas Travel', 'group', 'Welcome', null, '{claire,kenji,emma,noah}'),
  ('Blue Atlas Travel', 'group', 'Spring offers', null, '{claire,emma,noah}');

insert into public.conversations (id, type, name, org_id, project_id, participant_1_id, participant_2_id, created_by, created_at, updated_at)
select pg_temp.id(array_to_string(handles, ' ') || coalesce(name, '')), type, name, pg_temp.id(org), project,
  case when type = 'direct' then least(pg_temp.id(handles[1]), pg_temp.id(handles[2])) end,
  case when type = 'direct' then greatest(pg_temp.id(handles[1]), pg_temp.id(handles[2])) end,
  pg_temp.id(handles[1]), now() - interval '90 days', now()
from demo_place
on conflict do nothing;
insert into public.conversation_participants (conversation_id, user_id, role, joined_at)
select pg_temp.id(array_to_string(handles, ' ') || coalesce(name, '')), pg_temp.id(handle),
  case when type <> 'direct' and place = 1 then 'owner' else 'member' end, now() - interval '90 days'
from demo_place cross join lateral unnest(handles) with ordinality u (handle, place)
on conflict do nothing;

-- What is said: short exchanges, the speaker's place first.
create temporary table demo_script (org text, script integer, line integer, who integer, content text);
insert into demo_script
select org, script, row_number() over (partition by org, script order by place), (regexp_match(said, '^(\d)'))[1]::integer, substr(said, 3)
from (values
  ('Northside Coaching', 1, array['1 Morning! How did the long run go?', '2 Better than I feared. 14 km, the last two were hard.', '1 That is a good sign. What was your average heart rate?',
    '2 About 152. The watch says zone 3.', '1 Then we keep the pace and add one kilometre next week.', '2 Deal 💪', '1 And eat before you start this time 😄']),
  ('Northside Coaching', 2, array['2 My knee felt odd after the intervals yesterday.', '1 Sharp pain, or more of a pull?', '2 A pull, on the outside. Gone this morning.',
    '1 Then take today off and do the band exercises.', '1 If it comes back, send me a short video of your stride.', '2 Will do, thanks!']),
  ('Northside Coaching', 3, array['1 I have put the new plan for the week online.', '2 Saw it. Two strength sessions?', '1 Yes, short ones. 25 minutes each.', '2 Can I move the one on Thursday to Friday?',
    '1 Sure, just not on the day before the long run.', '2 Friday it is.']),
  ('Northside Coaching', 4, array['2 What do you think about magnesium in the evening?', '1 It does no harm. Sleep will do more for you.', '2 I get about six and a half hours.', '1 Try for seven and a half for a week, then tell me how the legs feel.',
    '2 That means no phone in bed 😅', '1 Exactly that.']),
  ('Northside Coaching', 5, array['1 You were fast today! New best over 5 km?', '2 Yes! 24:31!!', '1 🎉🎉', '1 Write down what you ate and how you slept. We want that again.', '2 Pasta and eight hours. Who would have thought.']),
  ('Northside Coaching', 6, array['2 I am travelling until Sunday. Hotel gym only.', '1 Fine. Treadmill, 3 x 10 minutes brisk, 2 minutes easy between.', '2 And strength?', '1 Squats, lunges, plank. Three rounds. No machines needed.',
    '2 Perfect, thank you.', '1 Have a good trip.']),
  ('Harbor Software', 1, array['1 The build on main is red again.', '2 Looking. It is the date test, it fails in the last week of the month.', '1 Of course it does.', '3 I fixed one like that last month. Freeze the clock in the setup.',
    '2 Pushed. Green in six minutes.', '1 Thank you!']),
  ('Harbor Software', 2, array['2 Can somebody look at my pull request for the importer?', '1 I can after lunch. How large is it?', '2 300 lines, half of them tests.', '1 Then it is a small one.', '1 Two remarks, otherwise fine. Nice tests.', '2 Both done, merging.']),
  ('Harbor Software', 3, array['1 Customers ask for export to CSV again. Third time this month.', '3 We have the endpoint, it only lacks a button.', '2 I could do the button on Thursday.', '1 Yes please. Keep it plain.', '2 Where should it go? Next to the filter?',
    '1 Next to the filter, on the right.']),
  ('Harbor Software', 4, array['2 Staging is slow since noon. Anybody else?', '1 Yes, 4 seconds for the dashboard.', '3 A report ran over the whole table. I stopped it.', '2 Back to 300 ms.', '1 Let us give reports their own replica.', '3 I wrote it down for Monday.']),
  ('Harbor Software', 5, array['1 Release notes for 4.2 are in the shared folder. Please read the part about permissions.', '2 Read it. "Deprecated" is a bit strong, it still works until 5.0.', '1 True, I will say "will be removed in 5.0".', '2 👍']),
  ('Harbor Software', 6, array['3 Who is on call this weekend?', '2 I am.', '1 The certificate of the status page runs out on Sunday, can you have an eye on it?', '2 It renews by itself, but I will look.', '2 Renewed. All quiet.']),
  ('Blue Atlas Travel', 1, array['1 Good morning! I have three hotels for you, all within ten minutes of the old town.', '2 Oh lovely. Which one would you take?', '1 The second one. Small, quiet, and the breakfast is on the roof.', '2 Then that one please 😊',
    '1 Booked with free cancellation until two weeks before.', '2 You are wonderful, thank you.']),
  ('Blue Atlas Travel', 2, array['2 Do we need a visa?', '1 Not for stays under 90 days. The passports must be valid for six more months, though.', '2 Mine runs out in August.', '1 Then better renew it now. It takes about four weeks at the moment.', '2 On my list for tomorrow.']),
  ('Blue Atlas Travel', 3, array['1 The flight on Tuesday was moved by two hours, to 11:40.', '2 Is the connection still fine?', '1 Yes, you have 95 minutes, same terminal.', '2 Perfect. Then we can sleep a little longer 😄']),
  ('Blue Atlas Travel', 4, array['2 Is there something nice to do with children when it rains?', '1 The oceanarium, easily half a day.', '1 And the tile museum has a workshop where they may paint their own.', '2 Painting! Can you reserve that?', '1 Done, Wednesday at 14:00.', '2 ❤️']),
  ('Blue Atlas Travel', 5, array['1 I have put everything into your trip page: tickets, addresses, phone numbers.', '2 Can I have that on paper as well?', '1 There is a button for printing at the top right.', '2 Found it. Four pages, good.']),
  ('Blue Atlas Travel', 6, array['2 We are back. It was the best trip in years.', '1 That makes my day! What was the best of it?', '2 The evening on the river. And the rooftop breakfast, of course.', '1 Told you 😉', '2 Where do we go next year?', '1 I have ideas already ...'])
) as t (org, script, lines) cross join lateral unnest(lines) with ordinality u (said, place);

insert into public.messages (id, conversation_id, sender_id, sender_name, sender_type, content, created_at, is_read, read_at, seen_at)
select pg_temp.id('message ' || m.place || ' ' || m.day || ' ' || m.line), m.place, person.id, person.display_name, person.kind, m.content,
  m.said_at, m.read, case when m.read then m.said_at + interval '3 minutes' end, case when m.read then m.said_at + interval '3 minutes' end
from (
  select p.id as place, d.day, s.line, s.content, p.type = 'direct' and d.day > 0 as read,
    pg_temp.id(w.handles[1 + (s.who - 1) % cardinality(w.handles)]) as sender,
    date_trunc('hour', now()) - d.day * interval '1 day' - (abs(hashtext(p.id::text || d.day)) % 9) * interval '1 hour'
      + s.line * interval '55 seconds' + (abs(hashtext(s.content || d.day)) % 50) * interval '1 second' as said_at
  from demo_place w
  join public.conversations p on p.id = pg_temp.id(array_to_string(w.handles, ' ') || coalesce(w.name, ''))
  cross join generate_series(0, 87, 3) d (day)
  join demo_script s on s.org = w.org and s.script = 1 + abs(hashtext(p.id::text || d.day)) % 6
) m join public.profiles person on person.id = m.sender
on conflict (id) do nothing;

-- A few reactions, a thread in each conversation of several.
insert into public.message_reactions (id, message_id, conversation_id, org_id, reactor_type, reactor_id, reactor_name, emoji)
select pg_temp.id('reaction ' || m.id || q.user_id), m.id, m.conversation_id, f.org_id, f.kind, f.id, f.display_name,
  (array['❤️', '👍', '😂', '😮', '😢', '👎'])[1 + abs(hashtext(m.id::text || q.user_id)) % 3]
from public.messages m
join public.conversation_participants q on q.conversation_id = m.conversation_id and q.user_id <> m.sender_id
join public.profiles f on f.id = q.user_id
where abs(hashtext(m.id::text || q.user_id)) % 11 = 0 and m.id in (select pg_temp.id('message ' || c.id || ' ' || d || ' ' || l)
  from public.conversations c cross join generate_series(0, 30, 3) d cross join generate_series(1, 7) l)
on conflict do nothing;
insert into public.messages (id, conversation_id, sender_id, sender_name, sender_type, content, thread_id, in_main_line, created_at, is_read)
select pg_temp.id('reply ' || root.id || n.place), root.conversation_id, f.id, f.display_name, f.kind,
  (array['Can we talk about this tomorrow at ten?', 'Tomorrow at ten works for me.', 'I have put it into the calendar.'])[n.place],
  root.id, false, root.created_at + n.place * interval '4 minutes', true
from demo_place w
join public.messages root on root.id = pg_temp.id('message ' || pg_temp.id(array_to_string(w.handles, ' ') || coalesce(w.name, '')) || ' 3 2')
cross join generate_series(1, 3) n (place)
join public.profiles f on f.id = pg_temp.id(w.handles[1 + n.place % cardinality(w.handles)])
where w.type <> 'direct'
on conflict (id) do nothing;

update public.conversations c
set last_message_at = l.created_at, last_message_preview = left(l.content, 100), last_message_sender_id = l.sender_id, last_message_sender_name = l.sender_name
from (
  select distinct on (m.conversation_id) m.conversation_id, m.created_at, m.content, m.sender_id, m.sender_name
  from public.messages m order by m.conversation_id, m.created_at desc) l
where l.conversation_id = c.id and c.last_message_at is null;
-- Everything is read but the last exchange of some, as far as they have not answered it.
update public.conversation_participants p
set last_read_at = case when abs(hashtext(p.conversation_id::text || p.user_id)) % 3 = 0 then greatest(c.last_message_at - interval '4 minutes',
  (select max(m.created_at) from public.messages m where m.conversation_id = c.id and m.sender_id = p.user_id)) else c.last_message_at end
from public.conversations c
where c.id = p.conversation_id and p.last_read_at is null
  and c.id in (select pg_temp.id(array_to_string(w.handles, ' ') || coalesce(w.name, '')) from demo_place w);

-- A link for the widget's page: Emma asks Claire about Lisbon without signing in.
insert into public.share_links (id, org_id, client_id, subject_id, subject_title, advisor_id, token)
values (pg_temp.id('link'), pg_temp.id('Blue Atlas Travel'), pg_temp.id('emma'), 'trip-lisbon', 'Lisbon in May', pg_temp.id('claire'), 'demo-link-to-lisbon-in-may')
on conflict do nothing;

set session_replication_role = origin;
