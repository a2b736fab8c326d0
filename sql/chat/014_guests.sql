-- Sessions of guests (C-401, C-402). Only the server calls these, but for the end of one; what a guest may see with the token that it then gets is
-- decided by chat.guest_conversation(), anew for each statement.
--
-- SQLSTATEs as in 007: PT400 the link leads nowhere, PT401 a wrong token, PT403 switched off or over, PT404 no such link.

-- The link, if somebody may enter by it now, or an error. "chat_closed" is one answer for several reasons, so that a guest
-- does not learn who has blocked whom.
create or replace function chat.assert_link_is_open(link public.share_links) returns void
language plpgsql stable set search_path = '' as $$
begin
  if not link.enabled then
    perform chat.fail('PT403', 'the link is switched off', 'ask for a new one');
  elsif link.expires_at <= now() then
    perform chat.fail('PT403', 'the link has expired', 'ask for a new one');
  elsif link.client_id is null then
    perform chat.fail('PT400', 'the link is for nobody', 'set client_id of the share link');
  elsif link.client_id = link.advisor_id
        or not exists (select from public.profiles p where p.id = link.client_id)
        or not exists (select from public.profiles p where p.id = link.advisor_id) then
    perform chat.fail('PT400', 'the link leads to nobody', 'client and advisor need a profile each, and are two');
  elsif chat.is_blocked(link.client_id, link.advisor_id) then
    perform chat.fail('PT403', 'the chat is closed', null);
  end if;
end
$$;
comment on function chat.assert_link_is_open(public.share_links) is 'Refuses a link that is off, over, or leads to nobody.';

-- What a guest's page is told. Whoever has the session has this already, so names of others are not in it.
create or replace function chat.describe_guest_session(session public.client_chat_tokens, link public.share_links) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'chatToken', session.token, 'chatTokenId', session.id, 'conversationId', session.conversation_id,
    'clientId', session.client_id, 'clientName', client.display_name, 'orgId', session.org_id,
    'advisorId', link.advisor_id, 'advisorName', advisor.display_name, 'advisorAvatar', advisor.avatar_url,
    'subjectTitle', coalesce(link.subject_title, link.subject_id),
    -- A session does not outlive its link.
    'expiresAt', least(session.expires_at, link.expires_at))
  from public.profiles client, public.profiles advisor
  where client.id = session.client_id and advisor.id = link.advisor_id
$$;
comment on function chat.describe_guest_session(public.client_chat_tokens, public.share_links) is 'The answer of the endpoints for guests.';

create or replace function chat.open_guest_session(subject_id text, share_token text) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  -- More pages than anybody has open; the oldest session makes room.
  most constant integer := 100;
  link public.share_links;
  conversation public.conversations;
  session public.client_chat_tokens;
begin
  if not exists (select from public.share_links l where l.subject_id = open_guest_session.subject_id) then
    perform chat.fail('PT404', 'there is no such share link', 'check subject_id');
  end if;
  -- Digests are compared, so that the time says nothing of how much of a token was right. Locked, so that sessions of one
  -- link are counted one after the other.
  select l.* into link from public.share_links l
  where l.subject_id = open_guest_session.subject_id
    and sha256(convert_to(l.token, 'UTF8')) = sha256(convert_to(share_token, 'UTF8'))
  for no key update;
  if not found then
    perform chat.fail('PT401', 'the share token is wrong', 'open the link as it was sent');
  end if;
  perform chat.assert_link_is_open(link);

  conversation := chat.ensure_direct(link.client_id, link.advisor_id, link.subject_id, link.org_id, link.advisor_id);
  -- Who has no account is a guest in it, whatever the profile says.
  if to_regclass('auth.users') is null or not exists (select from auth.users u where u.id = link.client_id) then
    update public.conversation_participants p set role = 'guest'
    where p.conversation_id = conversation.id and p.user_id = link.client_id and p.role = 'member';
  end if;
  if not exists (
    select from public.conversation_participants p
    where p.conversation_id = conversation.id and p.user_id = link.client_id and p.left_at is null) then
    perform chat.fail('PT403', 'the chat is closed', null);
  end if;

  delete from public.client_chat_tokens t where t.id in (
    select o.id from public.client_chat_tokens o where o.expires_at <= now() order by o.expires_at limit 1000 for update skip locked);
  delete from public.client_chat_tokens t where t.id in (
    select o.id from public.client_chat_tokens o where o.share_link_id = link.id order by o.created_at desc, o.id offset most - 1);
  insert into public.client_chat_tokens (client_id, org_id, trip_id, token, share_link_id, conversation_id, expires_at)
  values (link.client_id, link.org_id, link.subject_id, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
    link.id, conversation.id, least(now() + interval '24 hours', link.expires_at))
  returning * into session;
  return chat.describe_guest_session(session, link);
end
$$;
comment on function chat.open_guest_session(text, text) is
  'A session of 24 hours for who holds a share link, with the one conversation of its client and its advisor about its subject (C-401). For the server.';

create or replace function chat.refresh_guest_session(chat_token text) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  link public.share_links;
  session public.client_chat_tokens;
begin
  select t.* into session from public.client_chat_tokens t
  where t.token = refresh_guest_session.chat_token and t.expires_at > now();
  if not found then
    perform chat.fail('PT401', 'the session is over', 'open the share link again');
  end if;
  select l.* into link from public.share_links l where l.id = session.share_link_id;
  perform chat.assert_link_is_open(link);
  -- The link was given to somebody else, or they have left.
  if link.client_id <> session.client_id or not exists (
    select from public.conversation_participants p
    where p.conversation_id = session.conversation_id and p.user_id = session.client_id and p.left_at is null) then
    perform chat.fail('PT403', 'the chat is closed', null);
  end if;
  return chat.describe_guest_session(session, link);
end
$$;
comment on function chat.refresh_guest_session(text) is 'The session of this token, if link, session and participation still hold (C-402). For the server.';

-- For guests themselves: the token that they have at this moment, and every other of the session, is good for nothing from then on.
create or replace function public.end_guest_session() returns void
language sql volatile security definer set search_path = '' as $$
  delete from public.client_chat_tokens t
  where auth.role() = 'chat_guest' and t.id = (auth.jwt() ->> 'chat_token_id')::uuid and t.client_id = auth.uid()
$$;
comment on function public.end_guest_session() is 'Ends the session of the guest who calls it. The link is not touched: who has it can begin another.';

-- What clients should know before they sign in, for GET /chat/v1/config. Nothing secret.
create or replace function chat.client_limits() returns jsonb
language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'maxMessageLength', s.max_message_length, 'maxGroupSize', s.max_group_size, 'maxAttachments', s.max_attachments,
    'maxAttachmentBytes', s.max_attachment_bytes, 'allowedEmoji', s.allowed_emoji)
  from public.chat_settings s
$$;
comment on function chat.client_limits() is 'Limits that clients hold themselves to. For the server.';

do $$
declare
  signature text;
begin
  foreach signature in array array['assert_link_is_open(public.share_links)',
    'describe_guest_session(public.client_chat_tokens, public.share_links)', 'open_guest_session(text, text)', 'refresh_guest_session(text)',
    'client_limits()'] loop
    execute format('revoke all on function chat.%s from public, anon, authenticated, chat_guest', signature);
    execute format('grant execute on function chat.%s to service_role', signature);
  end loop;
end
$$;

-- Policies of the host that name no role hold for guests too, and a guest has the id of a client. Where a guest has
-- rights to a table that is not ours, these close it again.
do $$
begin
  drop policy if exists "chat: guests only where they may" on realtime.messages;
  create policy "chat: guests only where they may" on realtime.messages as restrictive for all to chat_guest
    using ((select chat.may_read_topic((select realtime.topic()))))
    with check (chat.may_write_topic((select realtime.topic()), extension));
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (
      'policies of realtime.messages that name no role hold for guests too; run as its owner: create policy "chat: guests only where they may" on realtime.messages as restrictive for all to chat_guest using (chat.may_read_topic(realtime.topic())) with check (chat.may_write_topic(realtime.topic(), extension))');
end
$$;
