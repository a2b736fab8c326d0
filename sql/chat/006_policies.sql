-- Who sees and writes what. Tables not named here, and operations not granted, are for the server only.
do $$
declare
  name text;
begin
  foreach name in array array['profiles', 'conversations', 'conversation_participants', 'messages', 'message_reactions', 'user_presence',
    'share_links', 'client_chat_tokens', 'push_subscriptions', 'notification_preferences', 'notification_outbox', 'user_blocks',
    'message_reports', 'conversation_invites'] loop
    execute format('alter table public.%I enable row level security', name);
    -- New tables are open to client roles by default, as in Supabase.
    execute format('revoke all on public.%I from public, anon, authenticated, chat_guest', name);
    execute format('grant all on public.%I to service_role', name);
  end loop;
end
$$;
alter table chat.guest_usage enable row level security;

grant select on public.profiles, public.conversations, public.conversation_participants, public.messages,
  public.message_reactions, public.user_presence to authenticated, chat_guest;
grant insert on public.messages to authenticated, chat_guest;
grant insert, delete on public.message_reactions to authenticated, chat_guest;
grant update (emoji) on public.message_reactions to authenticated, chat_guest;
grant update (display_name, avatar_url) on public.profiles to authenticated;
grant select, insert, update, delete on public.share_links to authenticated;
grant select on public.push_subscriptions, public.notification_preferences, public.user_blocks, public.message_reports,
  public.conversation_invites to authenticated;

drop policy if exists "chat: people one may see" on public.profiles;
create policy "chat: people one may see" on public.profiles for select to authenticated, chat_guest using (
  (id = (select auth.uid()) and (select auth.role()) = 'authenticated')
  or (org_id = (select chat.my_org()) and (kind not in ('client', 'guest') or (select chat.i_am_staff())))
  or id in (select chat.my_contacts()));
drop policy if exists "chat: oneself" on public.profiles;
create policy "chat: oneself" on public.profiles for update to authenticated
  using (id = (select auth.uid())) with check (id = (select auth.uid()));

drop policy if exists "chat: one's conversations" on public.conversations;
create policy "chat: one's conversations" on public.conversations for select to authenticated, chat_guest
  using (id in (select chat.my_conversations()));

drop policy if exists "chat: participants of one's conversations" on public.conversation_participants;
create policy "chat: participants of one's conversations" on public.conversation_participants for select to authenticated, chat_guest
  using (conversation_id in (select chat.my_conversations()));
-- So that who was removed learns of it. Not for guests: they have the client's id, and would see its other conversations.
drop policy if exists "chat: oneself" on public.conversation_participants;
create policy "chat: oneself" on public.conversation_participants for select to authenticated
  using (user_id = (select auth.uid()));

drop policy if exists "chat: messages of one's conversations" on public.messages;
create policy "chat: messages of one's conversations" on public.messages for select to authenticated, chat_guest
  using (conversation_id in (select chat.my_conversations()));
drop policy if exists "chat: participants write" on public.messages;
create policy "chat: participants write" on public.messages for insert to authenticated, chat_guest
  with check (sender_id = (select auth.uid()) and conversation_id in (select chat.my_conversations()));

drop policy if exists "chat: reactions of one's conversations" on public.message_reactions;
create policy "chat: reactions of one's conversations" on public.message_reactions for select to authenticated, chat_guest
  using (conversation_id in (select chat.my_conversations()));
drop policy if exists "chat: participants react" on public.message_reactions;
create policy "chat: participants react" on public.message_reactions for insert to authenticated, chat_guest
  with check (reactor_id = (select auth.uid()) and conversation_id in (select chat.my_conversations()));
drop policy if exists "chat: one's own reaction changes" on public.message_reactions;
create policy "chat: one's own reaction changes" on public.message_reactions for update to authenticated, chat_guest
  using (reactor_id = (select auth.uid()) and conversation_id in (select chat.my_conversations()))
  with check (reactor_id = (select auth.uid()) and conversation_id in (select chat.my_conversations()));
drop policy if exists "chat: one's own reaction goes" on public.message_reactions;
create policy "chat: one's own reaction goes" on public.message_reactions for delete to authenticated, chat_guest
  using (reactor_id = (select auth.uid()) and conversation_id in (select chat.my_conversations()));

-- Of whom one may see the profile: that table's own policy decides.
drop policy if exists "chat: presence of people one may see" on public.user_presence;
create policy "chat: presence of people one may see" on public.user_presence for select to authenticated, chat_guest
  using (exists (select from public.profiles p where p.id = user_presence.user_id));

-- Who has a link's token reads its conversation: so links are seen by who made them alone.
drop policy if exists "chat: staff see their own links" on public.share_links;
create policy "chat: staff see their own links" on public.share_links for select to authenticated
  using (org_id = (select chat.my_org()) and (select chat.i_am_staff()) and advisor_id = (select auth.uid()));
drop policy if exists "chat: staff make links to their own clients" on public.share_links;
create policy "chat: staff make links to their own clients" on public.share_links for insert to authenticated
  with check (
    org_id = (select chat.my_org()) and (select chat.i_am_staff()) and advisor_id = (select auth.uid())
    and (client_id is null or exists (
      select from public.profiles p where p.id = client_id and p.org_id = share_links.org_id and p.kind in ('client', 'guest'))));
drop policy if exists "chat: staff change their own links" on public.share_links;
create policy "chat: staff change their own links" on public.share_links for update to authenticated
  using (org_id = (select chat.my_org()) and (select chat.i_am_staff()) and advisor_id = (select auth.uid()))
  with check (
    org_id = (select chat.my_org()) and advisor_id = (select auth.uid())
    and (client_id is null or exists (
      select from public.profiles p where p.id = client_id and p.org_id = share_links.org_id and p.kind in ('client', 'guest'))));
drop policy if exists "chat: staff remove their own links" on public.share_links;
create policy "chat: staff remove their own links" on public.share_links for delete to authenticated
  using (org_id = (select chat.my_org()) and (select chat.i_am_staff()) and advisor_id = (select auth.uid()));

drop policy if exists "chat: one's own" on public.push_subscriptions;
create policy "chat: one's own" on public.push_subscriptions for select to authenticated using (user_id = (select auth.uid()));
drop policy if exists "chat: one's own" on public.notification_preferences;
create policy "chat: one's own" on public.notification_preferences for select to authenticated using (user_id = (select auth.uid()));
drop policy if exists "chat: one's own" on public.user_blocks;
create policy "chat: one's own" on public.user_blocks for select to authenticated using (user_id = (select auth.uid()));
drop policy if exists "chat: one's own" on public.message_reports;
create policy "chat: one's own" on public.message_reports for select to authenticated using (reporter_id = (select auth.uid()));
drop policy if exists "chat: one's own" on public.conversation_invites;
create policy "chat: one's own" on public.conversation_invites for select to authenticated
  using (created_by = (select auth.uid()) and conversation_id in (select chat.my_conversations()));
