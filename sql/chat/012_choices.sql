-- What people choose (C-211, C-212), invitations, blocking and reporting.
create or replace function public.set_conversation_preferences(
  conversation_id uuid, muted_until timestamptz default null, notify text default null, pinned boolean default null, archived boolean default null,
  unmute boolean default false)
returns public.conversation_participants
language plpgsql volatile security definer set search_path = '' as $$
declare
  changed public.conversation_participants;
begin
  if auth.role() <> 'authenticated' or not chat.is_mine(set_conversation_preferences.conversation_id) then
    perform chat.fail('PT404', 'there is no such conversation', 'only participants see it');
  elsif set_conversation_preferences.notify not in ('all', 'mentions', 'none') then
    perform chat.fail('22023', 'there is no such level', 'all, mentions or none');
  end if;
  update public.conversation_participants p
  set muted_until = case when unmute then null else coalesce(set_conversation_preferences.muted_until, p.muted_until) end,
      notify = coalesce(set_conversation_preferences.notify, p.notify),
      pinned_at = case pinned when true then coalesce(p.pinned_at, now()) when false then null else p.pinned_at end,
      archived_at = case archived when true then clock_timestamp() when false then null else p.archived_at end
  where p.conversation_id = set_conversation_preferences.conversation_id and p.user_id = auth.uid()
  returning p.* into changed;
  return changed;
end
$$;
comment on function public.set_conversation_preferences(uuid, timestamptz, text, boolean, boolean, boolean) is
  'Mutes (until a time; infinity for ever; unmute ends it), pins, archives a conversation or chooses what of it is pushed, for the caller. What is not given stays.';

create or replace function public.set_notification_preferences(
  push boolean default null, email_digest text default null, sound boolean default null, preview boolean default null,
  quiet_start time default null, quiet_end time default null, time_zone text default null, no_quiet_hours boolean default false)
returns public.notification_preferences
language plpgsql volatile security definer set search_path = '' as $$
declare
  changed public.notification_preferences;
begin
  if auth.uid() is null or auth.role() <> 'authenticated' then
    perform chat.fail('42501', 'only users have preferences', 'sign in');
  elsif set_notification_preferences.email_digest not in ('none', 'daily', 'weekly') then
    perform chat.fail('22023', 'there is no such digest', 'none, daily or weekly');
  elsif (set_notification_preferences.quiet_start is null) <> (set_notification_preferences.quiet_end is null) then
    perform chat.fail('22023', 'quiet hours need a start and an end', 'no_quiet_hours ends them');
  end if;
  begin
    perform now() at time zone set_notification_preferences.time_zone;
  exception
    when invalid_parameter_value then
      perform chat.fail('22023', 'there is no such time zone', 'for example Europe/Berlin');
  end;
  insert into public.notification_preferences (user_id) values (auth.uid()) on conflict do nothing;
  update public.notification_preferences n
  set push = coalesce(set_notification_preferences.push, n.push),
      email_digest = coalesce(set_notification_preferences.email_digest, n.email_digest),
      sound = coalesce(set_notification_preferences.sound, n.sound),
      preview = coalesce(set_notification_preferences.preview, n.preview),
      quiet_start = case when no_quiet_hours then null else coalesce(set_notification_preferences.quiet_start, n.quiet_start) end,
      quiet_end = case when no_quiet_hours then null else coalesce(set_notification_preferences.quiet_end, n.quiet_end) end,
      time_zone = coalesce(set_notification_preferences.time_zone, n.time_zone),
      updated_at = now()
  where n.user_id = auth.uid()
  returning n.* into changed;
  return changed;
end
$$;
comment on function public.set_notification_preferences(boolean, text, boolean, boolean, time, time, text, boolean) is
  'How the caller wants to be told; what is not given stays.';

create or replace function public.register_push(endpoint text, p256dh text, auth text, user_agent text default null) returns void
language plpgsql volatile security definer set search_path = '' as $$
#variable_conflict use_column
declare
  limits public.chat_settings := chat.settings();
begin
  if auth.uid() is null or auth.role() <> 'authenticated' then
    perform chat.fail('42501', 'only users are told by push', 'sign in');
  elsif coalesce(register_push.endpoint, '') !~ '^https://[^/@\s]+/' and not (limits.allow_insecure_push and register_push.endpoint ~ '^http://') then
    perform chat.fail('22023', 'the endpoint is no address of a push service', 'give PushSubscription.endpoint, which is https');
  elsif char_length(register_push.endpoint) > 2000 then
    perform chat.fail('22001', 'the endpoint is too long', 'at most 2000 characters');
  elsif coalesce(register_push.p256dh, '') !~ '^[A-Za-z0-9_-]{87}=?$' or coalesce(register_push.auth, '') !~ '^[A-Za-z0-9_-]{22}(==)?$' then
    perform chat.fail('22023', 'the keys are not those of a push subscription', 'give getKey("p256dh") and getKey("auth") as base64url');
  elsif (select count(*) from public.push_subscriptions s where s.user_id = auth.uid()) >= 20 then
    -- The oldest makes room.
    delete from public.push_subscriptions s where s.endpoint = (
      select o.endpoint from public.push_subscriptions o where o.user_id = auth.uid() order by o.created_at limit 1);
  end if;
  insert into public.push_subscriptions as s (endpoint, user_id, p256dh, auth, user_agent)
  values (register_push.endpoint, auth.uid(), rtrim(register_push.p256dh, '='), rtrim(register_push.auth, '='), left(register_push.user_agent, 500))
  -- A browser in which somebody else signs in belongs to them from now on; who knows its keys is that browser.
  on conflict (endpoint) do update
    set user_id = excluded.user_id, user_agent = excluded.user_agent, created_at = now(), last_error = null
    where s.p256dh = excluded.p256dh and s.auth = excluded.auth;
  if not found then
    perform chat.fail('42501', 'this endpoint has other keys', 'unsubscribe in the browser and subscribe again');
  end if;
end
$$;
comment on function public.register_push(text, text, text, text) is 'This browser takes push messages for the caller.';

create or replace function public.unregister_push(endpoint text) returns void
language sql volatile security definer set search_path = '' as $$
  delete from public.push_subscriptions s where s.endpoint = unregister_push.endpoint and s.user_id = auth.uid() and auth.role() = 'authenticated'
$$;
comment on function public.unregister_push(text) is 'This browser takes none any more.';

create or replace function public.touch_presence(is_online boolean default true) returns public.user_presence
language plpgsql volatile security definer set search_path = '' as $$
declare
  changed public.user_presence;
begin
  if auth.uid() is null or auth.role() <> 'authenticated' then
    perform chat.fail('42501', 'only users are online', 'sign in');
  end if;
  insert into public.user_presence as u (user_id, is_online, last_seen_at) values (auth.uid(), coalesce(touch_presence.is_online, true), clock_timestamp())
  on conflict (user_id) do update set is_online = excluded.is_online, last_seen_at = excluded.last_seen_at
  returning u.* into changed;
  return changed;
end
$$;
comment on function public.touch_presence(boolean) is 'Says that the caller is or is not online; for clients that hold no presence channel. To be repeated every few minutes.';

create or replace function public.block_user(user_id uuid) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  if auth.uid() is null or auth.role() <> 'authenticated' then
    perform chat.fail('42501', 'only users block somebody', 'sign in');
  elsif block_user.user_id = auth.uid() then
    perform chat.fail('22023', 'nobody blocks themselves', 'give the id of another user');
  elsif block_user.user_id is null or not chat.may_see(block_user.user_id) then
    perform chat.fail('PT404', 'there is no such user', 'people of the own organisation and of conversations can be blocked');
  end if;
  insert into public.user_blocks (user_id, blocked_id) values (auth.uid(), block_user.user_id) on conflict do nothing;
end
$$;
comment on function public.block_user(uuid) is 'Somebody can no longer write to the caller directly.';

create or replace function public.unblock_user(user_id uuid) returns void
language sql volatile security definer set search_path = '' as $$
  delete from public.user_blocks b where b.user_id = auth.uid() and b.blocked_id = unblock_user.user_id and auth.role() = 'authenticated'
$$;
comment on function public.unblock_user(uuid) is 'Somebody can write to the caller again.';

create or replace function public.report_message(message_id uuid, reason text) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  target record;
begin
  select m.id, m.conversation_id, m.content into target from public.messages m where m.id = report_message.message_id;
  if target.id is null or auth.role() <> 'authenticated' or not chat.is_mine(target.conversation_id) then
    perform chat.fail('PT404', 'there is no such message', 'only participants see it');
  elsif coalesce(char_length(btrim(reason)), 0) not between 1 and 2000 then
    perform chat.fail('22023', 'a report needs a reason', 'of at most 2000 characters');
  end if;
  insert into public.message_reports (message_id, conversation_id, reporter_id, reason, content)
  values (target.id, target.conversation_id, auth.uid(), btrim(report_message.reason), target.content) on conflict do nothing;
end
$$;
comment on function public.report_message(uuid, text) is 'Tells whoever runs the service of a message.';

create or replace function public.create_invite(conversation_id uuid, expires_in interval default '7 days', max_uses integer default 100)
returns public.conversation_invites
language plpgsql volatile security definer set search_path = '' as $$
declare
  made public.conversation_invites;
begin
  perform chat.my_role_in_group(create_invite.conversation_id);
  if coalesce(expires_in, '0') not between interval '1 minute' and interval '90 days' or coalesce(create_invite.max_uses, 0) not between 1 and 10000 then
    perform chat.fail('22023', 'the invitation lasts too long or is for too many', 'a minute to 90 days, 1 to 10000 uses');
  end if;
  insert into public.conversation_invites (conversation_id, created_by, expires_at, max_uses)
  values (create_invite.conversation_id, auth.uid(), now() + expires_in, create_invite.max_uses)
  returning * into made;
  return made;
end
$$;
comment on function public.create_invite(uuid, interval, integer) is 'A token with which people of the organisation may join a group.';

create or replace function public.accept_invite(token text) returns public.conversations
language plpgsql volatile security definer set search_path = '' as $$
declare
  invite record;
  joined_to public.conversations;
begin
  select i.id, i.conversation_id, i.created_by, i.expires_at, i.uses, i.max_uses into invite
  from public.conversation_invites i where i.token = accept_invite.token for update;
  select * into joined_to from public.conversations c where c.id = invite.conversation_id;
  if auth.role() <> 'authenticated' or joined_to.id is null or invite.expires_at <= now() or invite.uses >= invite.max_uses
     -- Only people of its organisation, however the token came to them; and only while who invited is still there.
     or joined_to.org_id is distinct from chat.my_org() or joined_to.org_id is null
     or not exists (select from public.conversation_participants p
                    where p.conversation_id = joined_to.id and p.user_id = invite.created_by and p.left_at is null) then
    perform chat.fail('PT404', 'there is no such invitation', 'it may have expired');
  end if;
  perform c.id from public.conversations c where c.id = joined_to.id for no key update;
  if cardinality(chat.join_people(joined_to.id, array[auth.uid()])) > 0 then
    update public.conversation_invites i set uses = i.uses + 1 where i.id = invite.id;
    perform chat.say(joined_to.id, format('%s joined', chat.name_of(auth.uid())), '{"event": "joined"}');
    select * into joined_to from public.conversations c where c.id = joined_to.id;
  end if;
  return joined_to;
end
$$;
comment on function public.accept_invite(text) is 'Joins the group of an invitation.';

create or replace function public.revoke_invite(invite_id uuid) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  delete from public.conversation_invites i
  where i.id = invite_id and chat.is_mine(i.conversation_id) and auth.role() = 'authenticated'
    and (i.created_by = auth.uid() or exists (
      select from public.conversation_participants p
      where p.conversation_id = i.conversation_id and p.user_id = auth.uid() and p.left_at is null and p.role = 'owner'));
  if not found then
    perform chat.fail('PT404', 'there is no such invitation', 'who made it, and owners, may revoke it');
  end if;
end
$$;
comment on function public.revoke_invite(uuid) is 'An invitation counts no more.';
