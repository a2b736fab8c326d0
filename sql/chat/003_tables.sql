-- People, conversations, messages (C-101 to C-106).
create table if not exists public.profiles (
  id uuid primary key,
  display_name text not null check (char_length(display_name) between 1 and 200),
  avatar_url text check (avatar_url ~ '^(https?://|/)' and char_length(avatar_url) <= 2000),
  kind text not null default 'member' check (kind in ('trainer', 'client', 'advisor', 'member', 'guest')),
  org_id uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
select chat.assert_columns('profiles', array['id', 'display_name', 'avatar_url', 'kind', 'org_id', 'created_at', 'updated_at']);
create index if not exists profiles_org on public.profiles (org_id, kind);

comment on table public.profiles is 'Who can take part (C-106). The id is that of the user in auth.users; a client that is only known by a share link has none there.';
comment on column public.profiles.kind is 'What somebody is in the organisation. Clients and guests see only those who are neither, and who they talk to.';
comment on column public.profiles.org_id is 'The organisation. Who has none sees nobody.';

create table if not exists public.conversations (
  id uuid primary key default gen_random_uuid(),
  type text not null check (type in ('direct', 'group', 'project')),
  name text check (char_length(name) between 1 and 200),
  org_id uuid,
  project_id text check (char_length(project_id) between 1 and 200),
  participant_1_id uuid,
  participant_2_id uuid,
  created_by uuid,
  last_message_at timestamptz,
  last_message_preview text,
  last_message_sender_id uuid,
  last_message_sender_name text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint conversations_pair check (
    (type = 'direct') = (participant_1_id is not null and participant_2_id is not null)
    and (type = 'direct' or (participant_1_id is null and participant_2_id is null))
    and (participant_1_id is null or participant_1_id < participant_2_id))
);
select chat.assert_columns('conversations', array['id', 'type', 'name', 'org_id', 'project_id', 'participant_1_id', 'participant_2_id',
  'created_by', 'last_message_at', 'last_message_preview', 'last_message_sender_id', 'last_message_sender_name', 'created_at', 'updated_at']);
-- One conversation of two people, and one more for each project, trip or programme that it is about.
create unique index if not exists conversations_direct_pair
  on public.conversations (participant_1_id, participant_2_id, coalesce(project_id, '')) where type = 'direct';
create index if not exists conversations_project on public.conversations (project_id) where project_id is not null;

comment on table public.conversations is 'Conversations of two (direct), of several (group), and of a project (C-101). Only participants see them.';
comment on column public.conversations.participant_1_id is 'The smaller id of a direct pair; null otherwise.';
comment on column public.conversations.participant_2_id is 'The greater id of a direct pair; null otherwise.';
comment on column public.conversations.project_id is 'What it is about: a project, a trip, a programme.';
comment on column public.conversations.last_message_preview is 'The first 100 characters of the last message, or what kind of attachment it is.';

create table if not exists public.conversation_participants (
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member' check (role in ('owner', 'member', 'guest')),
  joined_at timestamptz not null default now(),
  left_at timestamptz,
  last_read_at timestamptz,
  last_read_message_id uuid,
  muted_until timestamptz,
  notify text not null default 'all' check (notify in ('all', 'mentions', 'none')),
  pinned_at timestamptz,
  archived_at timestamptz,
  primary key (conversation_id, user_id)
);
select chat.assert_columns('conversation_participants', array['conversation_id', 'user_id', 'role', 'joined_at', 'left_at', 'last_read_at',
  'last_read_message_id', 'muted_until', 'notify', 'pinned_at', 'archived_at']);
-- Answers "which conversations are mine" without the table.
create index if not exists conversation_participants_of_user
  on public.conversation_participants (user_id, conversation_id) where left_at is null;

comment on table public.conversation_participants is 'Who takes part, and how far they have read (C-102). Who has left sees nothing of it any more.';
comment on column public.conversation_participants.last_read_at is 'Messages up to this time are read. Moves forward with mark_as_read, backward only with mark_as_unread.';
comment on column public.conversation_participants.notify is 'Which messages are told by push: all, only mentions, none.';

create table if not exists public.messages (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  sender_id uuid,
  sender_name text,
  sender_type text,
  content text not null default '',
  content_type text not null default 'text' check (content_type in ('text', 'image', 'file', 'video', 'system')),
  thread_id uuid references public.messages (id) on delete cascade,
  reply_to uuid references public.messages (id) on delete set null,
  attachments jsonb not null default '[]' check (jsonb_typeof(attachments) = 'array'),
  attachment_url text,
  attachment_type text,
  attachment_name text,
  is_read boolean not null default false,
  read_at timestamptz,
  seen_at timestamptz,
  edited_at timestamptz,
  deleted_at timestamptz,
  mentions uuid[] not null default '{}',
  client_id text check (char_length(client_id) between 1 and 200),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  in_main_line boolean not null default true,
  created_at timestamptz not null default now(),
  search tsvector generated always as (
    to_tsvector('simple'::regconfig,
      content || ' ' || translate(jsonb_path_query_array(attachments, '$[*].name')::text, '._-', '   '))) stored
);
select chat.assert_columns('messages', array['id', 'conversation_id', 'sender_id', 'sender_name', 'sender_type', 'content', 'content_type',
  'thread_id', 'reply_to', 'attachments', 'attachment_url', 'attachment_type', 'attachment_name', 'is_read', 'read_at', 'seen_at', 'edited_at',
  'deleted_at', 'mentions', 'client_id', 'metadata', 'in_main_line', 'created_at', 'search']);
create unique index if not exists messages_client_id on public.messages (sender_id, client_id) where client_id is not null;
-- Pages of the main line, and of everything since a point in time.
create index if not exists messages_main_line on public.messages (conversation_id, created_at, id) where in_main_line;
create index if not exists messages_timeline on public.messages (conversation_id, created_at, id) include (sender_id)
  where deleted_at is null and content_type <> 'system';
create index if not exists messages_all on public.messages (conversation_id, created_at, id);
create index if not exists messages_thread on public.messages (thread_id, created_at, id) where thread_id is not null;
create index if not exists messages_reply_to on public.messages (reply_to) where reply_to is not null;
-- Words and parts of words within conversations: one index, so that what others wrote is never looked at. Its list of
-- what was not sorted in yet is kept short, since whoever fills it has to empty it.
do $$
declare
  trgm text := (select format('%I', n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
  btree text := (select format('%I', n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'btree_gin');
begin
  execute format(
    'create index if not exists messages_search on public.messages using gin (conversation_id %s.uuid_ops, search, content %s.gin_trgm_ops)
     with (gin_pending_list_limit = 512) where deleted_at is null', btree, trgm);
end
$$;

comment on table public.messages is 'Messages (C-103). Written by send_message or by inserting; changed only by edit_message, delete_message and mark_as_read.';
comment on column public.messages.sender_name is 'The name of the sender when it was sent.';
comment on column public.messages.sender_type is 'The kind of the sender''s profile, or system.';
comment on column public.messages.thread_id is 'The message whose thread this belongs to; never itself a message of a thread.';
comment on column public.messages.reply_to is 'The message that is quoted.';
comment on column public.messages.attachments is '[{name, url, path, size, mime_type, width, height, thumbnail_url, thumbnail_path, preview_path, blurhash, error}]; path is that in the bucket chat-attachments.';
comment on column public.messages.attachment_url is 'Of the first attachment.';
comment on column public.messages.is_read is 'Whether the other one of a direct conversation has read it; in groups see last_read_at of the participants.';
comment on column public.messages.deleted_at is 'When it was deleted: its content is gone, the row stays.';
comment on column public.messages.mentions is 'Participants named as @[Name](id) or by @all.';
comment on column public.messages.client_id is 'Chosen by the sender: sending again with the same gives the same message.';
comment on column public.messages.in_main_line is 'Whether it is shown outside of its thread; a reply is when its metadata says {"also_in_main": true}.';
comment on column public.messages.created_at is 'When it was accepted; ascending within a conversation in the order in which messages become visible.';

create table if not exists public.message_reactions (
  id uuid primary key default gen_random_uuid(),
  message_id uuid not null references public.messages (id) on delete cascade,
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  org_id uuid,
  reactor_type text not null,
  reactor_id uuid not null,
  reactor_name text,
  emoji text not null check (char_length(emoji) between 1 and 16),
  created_at timestamptz not null default now(),
  unique (message_id, reactor_id, reactor_type)
);
select chat.assert_columns('message_reactions', array['id', 'message_id', 'conversation_id', 'org_id', 'reactor_type', 'reactor_id', 'reactor_name',
  'emoji', 'created_at']);
create index if not exists message_reactions_conversation on public.message_reactions (conversation_id);

-- So that subscriptions with a filter on the conversation hear of reactions that were removed; under row level security only the id is told.
alter table public.message_reactions replica identity full;

comment on table public.message_reactions is 'One reaction per person and message (C-104); written by toggle_reaction.';

create table if not exists public.user_presence (
  user_id uuid primary key,
  is_online boolean not null default false,
  last_seen_at timestamptz not null default now()
);
select chat.assert_columns('user_presence', array['user_id', 'is_online', 'last_seen_at']);

comment on table public.user_presence is 'Who is online and when they were last (C-105); written by the server from presence:<org>, and by touch_presence. An entry that says online and is older than 11 minutes means offline.';
