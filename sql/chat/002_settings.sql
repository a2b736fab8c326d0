-- Limits and choices, one row. Clients read it, so that they can say no before the database does.
create table if not exists public.chat_settings (
  id boolean primary key default true check (id),
  max_message_length integer not null default 10000 check (max_message_length between 1 and 1000000),
  max_group_size integer not null default 256 check (max_group_size between 2 and 100000),
  max_attachments integer not null default 10 check (max_attachments between 0 and 100),
  max_attachment_bytes bigint not null default 52428800 check (max_attachment_bytes > 0),
  max_reactions_per_message integer not null default 500 check (max_reactions_per_message > 0),
  allowed_emoji text[] not null default array['❤️', '👍', '😂', '😮', '😢', '👎'],
  guest_searches_per_minute integer not null default 10 check (guest_searches_per_minute >= 0),
  guest_messages_per_minute integer not null default 30 check (guest_messages_per_minute >= 0),
  edit_window interval,
  default_org_id uuid,
  allow_insecure_push boolean not null default false
);

comment on table public.chat_settings is 'Limits and choices of the messaging system: one row, which everybody may read and only the service may change.';
comment on column public.chat_settings.max_message_length is 'Characters of one message.';
comment on column public.chat_settings.max_group_size is 'Participants of one conversation.';
comment on column public.chat_settings.max_attachments is 'Attachments of one message.';
comment on column public.chat_settings.max_attachment_bytes is 'Bytes of one attachment.';
comment on column public.chat_settings.max_reactions_per_message is 'Reactions to one message.';
comment on column public.chat_settings.allowed_emoji is 'What toggle_reaction takes; empty: any emoji of at most 16 characters.';
comment on column public.chat_settings.guest_searches_per_minute is 'Searches of one guest in a minute.';
comment on column public.chat_settings.guest_messages_per_minute is 'Messages of one guest in a minute.';
comment on column public.chat_settings.edit_window is 'How long after sending a message may be edited; null: always.';
comment on column public.chat_settings.default_org_id is 'The organisation of who signs up without one; null: none, and who has none sees nobody.';
comment on column public.chat_settings.allow_insecure_push is 'Push endpoints may be http and at private addresses: for tests on one machine only.';

insert into public.chat_settings default values on conflict do nothing;

alter table public.chat_settings enable row level security;
revoke all on public.chat_settings from anon, authenticated, chat_guest;
grant select on public.chat_settings to authenticated, chat_guest;
grant select, update on public.chat_settings to service_role;
drop policy if exists "everybody may read the settings" on public.chat_settings;
create policy "everybody may read the settings" on public.chat_settings for select to authenticated, chat_guest using (true);
