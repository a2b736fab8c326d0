-- Guests, notifications, moderation (C-107 to C-111, and what section 7 adds).
create table if not exists public.share_links (
  id uuid primary key default gen_random_uuid(),
  org_id uuid not null,
  client_id uuid,
  subject_id text not null check (char_length(subject_id) between 1 and 200),
  subject_title text check (char_length(subject_title) <= 500),
  advisor_id uuid not null,
  token text not null default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') check (char_length(token) between 16 and 200),
  enabled boolean not null default true,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  unique (token)
);
select chat.assert_columns('share_links', array['id', 'org_id', 'client_id', 'subject_id', 'subject_title', 'advisor_id', 'token', 'enabled', 'expires_at']);
create index if not exists share_links_subject on public.share_links (subject_id);
create index if not exists share_links_client on public.share_links (client_id);

comment on table public.share_links is 'What a share link points to (C-108). Who has the link may talk to the advisor in the name of the client, in that one conversation.';

create table if not exists public.client_chat_tokens (
  id uuid primary key default gen_random_uuid(),
  client_id uuid not null,
  org_id uuid not null,
  trip_id text not null,
  token text not null unique check (token ~ '^[0-9a-f]{64}$'),
  share_link_id uuid not null references public.share_links (id) on delete cascade,
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  expires_at timestamptz not null default now() + interval '24 hours',
  created_at timestamptz not null default now()
);
select chat.assert_columns('client_chat_tokens', array['id', 'client_id', 'org_id', 'trip_id', 'token', 'share_link_id', 'conversation_id', 'expires_at', 'created_at']);
create index if not exists client_chat_tokens_expiry on public.client_chat_tokens (expires_at);
create index if not exists client_chat_tokens_link on public.client_chat_tokens (share_link_id);

comment on table public.client_chat_tokens is 'Sessions of guests (C-107), 24 hours each. Only the server reads them.';
comment on column public.client_chat_tokens.trip_id is 'The subject of the share link; not a foreign key.';

create table if not exists public.push_subscriptions (
  endpoint text primary key check (char_length(endpoint) <= 2000),
  user_id uuid not null,
  p256dh text not null check (char_length(p256dh) between 80 and 100),
  auth text not null check (char_length(auth) between 16 and 32),
  user_agent text check (char_length(user_agent) <= 500),
  created_at timestamptz not null default now(),
  last_error text
);
select chat.assert_columns('push_subscriptions', array['endpoint', 'user_id', 'p256dh', 'auth', 'user_agent', 'created_at', 'last_error']);
create index if not exists push_subscriptions_user on public.push_subscriptions (user_id);

comment on table public.push_subscriptions is 'Browsers that take push messages (C-109); written by register_push and unregister_push.';

create table if not exists public.notification_preferences (
  user_id uuid primary key,
  push boolean not null default true,
  email_digest text not null default 'none' check (email_digest in ('none', 'daily', 'weekly')),
  sound boolean not null default true,
  preview boolean not null default true,
  quiet_start time,
  quiet_end time,
  time_zone text not null default 'UTC',
  updated_at timestamptz not null default now(),
  check ((quiet_start is null) = (quiet_end is null))
);
select chat.assert_columns('notification_preferences', array['user_id', 'push', 'email_digest', 'sound', 'preview', 'quiet_start', 'quiet_end', 'time_zone']);

comment on table public.notification_preferences is 'How somebody wants to be told (C-110); no row means the defaults.';
comment on column public.notification_preferences.quiet_start is 'From this time of the day on nothing is pushed, in the given time zone, until quiet_end; what comes meanwhile is told then.';
comment on column public.notification_preferences.email_digest is 'Kept for who sends such mail; this server sends none.';

create table if not exists public.notification_outbox (
  id bigint generated always as identity primary key,
  user_id uuid not null,
  kind text not null,
  title text not null,
  body text not null,
  url text,
  data jsonb not null default '{}',
  created_at timestamptz not null default now(),
  due_at timestamptz not null default now(),
  delivered_at timestamptz,
  attempts integer not null default 0,
  last_error text
);
select chat.assert_columns('notification_outbox', array['id', 'user_id', 'kind', 'title', 'body', 'url', 'data', 'created_at', 'due_at', 'delivered_at', 'attempts', 'last_error']);
create index if not exists notification_outbox_due on public.notification_outbox (due_at, id) where delivered_at is null;
create index if not exists notification_outbox_delivered on public.notification_outbox (delivered_at) where delivered_at is not null;

comment on table public.notification_outbox is 'What is still to be told (C-111): a queue from which the push worker takes rows. Only the server reads it.';
comment on column public.notification_outbox.due_at is 'Not before; moved forward while it is being sent, so that a crash gives it back.';

create table if not exists public.user_blocks (
  user_id uuid not null,
  blocked_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (user_id, blocked_id),
  check (user_id <> blocked_id)
);
select chat.assert_columns('user_blocks', array['user_id', 'blocked_id', 'created_at']);
create index if not exists user_blocks_blocked on public.user_blocks (blocked_id);

comment on table public.user_blocks is 'Who does not want to hear from whom: a blocked user can neither start nor write in a direct conversation with that user. Written by block_user and unblock_user.';

create table if not exists public.message_reports (
  id uuid primary key default gen_random_uuid(),
  message_id uuid not null references public.messages (id) on delete cascade,
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  reporter_id uuid not null,
  reason text not null check (char_length(reason) between 1 and 2000),
  content text not null,
  created_at timestamptz not null default now(),
  unique (message_id, reporter_id)
);
select chat.assert_columns('message_reports', array['id', 'message_id', 'conversation_id', 'reporter_id', 'reason', 'content', 'created_at']);
create index if not exists message_reports_conversation on public.message_reports (conversation_id);

comment on table public.message_reports is 'Messages that somebody reported, with what they said then; written by report_message, read by the service.';

create table if not exists public.conversation_invites (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  token text not null unique default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
  created_by uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '7 days',
  max_uses integer not null default 100 check (max_uses > 0),
  uses integer not null default 0
);
select chat.assert_columns('conversation_invites', array['id', 'conversation_id', 'token', 'created_by', 'created_at', 'expires_at', 'max_uses', 'uses']);
create index if not exists conversation_invites_conversation on public.conversation_invites (conversation_id);

comment on table public.conversation_invites is 'Links by which people of the organisation may join a group; written by create_invite and revoke_invite.';

-- Requests of guests, counted by the minute. A crash may forget them.
create unlogged table if not exists chat.guest_usage (
  client_id uuid not null,
  what text not null,
  minute timestamptz not null,
  count integer not null default 1,
  primary key (client_id, what, minute)
);
comment on table chat.guest_usage is 'How often a guest has searched and written within a minute.';
