-- Users, sessions and refresh tokens, in the table layout of Supabase Auth, so that a later move there is a copy of rows.
--
-- Where auth.users exists already it is Supabase Auth's own (or somebody's): nothing is changed then. Tables belong to
-- the login that runs this; the service logs in as supabase_auth_admin, which may read and write rows and nothing else.
-- Row level security is on, with that one policy, so that a grant given by mistake still shows nobody else a row.
do $migration$
declare
  grantee text;
  tab text;
begin
  if exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'auth' and c.relname = 'users') then
    return;
  end if;

  if not exists (select from pg_catalog.pg_roles where rolname = 'supabase_auth_admin') then
    begin
      -- Nobody can log in as this role before somebody gives it a password.
      create role supabase_auth_admin login noinherit;
    exception
      when duplicate_object or unique_violation then
        null; -- another database of this server is prepared at this very moment
      when insufficient_privilege then
        raise exception 'role supabase_auth_admin is missing and % may not create it', current_user
          using errcode = 'insufficient_privilege',
                hint = 'run as a superuser: create role supabase_auth_admin login noinherit';
    end;
  end if;
  grant usage on schema auth to supabase_auth_admin;

  if not exists (select from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
                 where n.nspname = 'auth' and t.typname = 'aal_level') then
    create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
  end if;

  -- Tokens that are mailed are '' rather than null: Supabase Auth reads them into strings that cannot be null.
  create table auth.users (
    instance_id uuid,
    id uuid not null,
    aud character varying(255),
    role character varying(255),
    email character varying(255),
    encrypted_password character varying(255),
    email_confirmed_at timestamp with time zone,
    invited_at timestamp with time zone,
    confirmation_token character varying(255),
    confirmation_sent_at timestamp with time zone,
    recovery_token character varying(255),
    recovery_sent_at timestamp with time zone,
    email_change_token_new character varying(255),
    email_change character varying(255),
    email_change_sent_at timestamp with time zone,
    last_sign_in_at timestamp with time zone,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_super_admin boolean,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    phone text default null,
    phone_confirmed_at timestamp with time zone,
    phone_change text default '',
    phone_change_token character varying(255) default '',
    phone_change_sent_at timestamp with time zone,
    confirmed_at timestamp with time zone generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    email_change_token_current character varying(255) default '',
    email_change_confirm_status smallint default 0,
    banned_until timestamp with time zone,
    reauthentication_token character varying(255) default '',
    reauthentication_sent_at timestamp with time zone,
    is_sso_user boolean not null default false,
    deleted_at timestamp with time zone,
    is_anonymous boolean not null default false,
    constraint users_pkey primary key (id),
    constraint users_phone_key unique (phone),
    constraint users_email_change_confirm_status_check check (email_change_confirm_status between 0 and 2)
  );
  create unique index users_email_partial_key on auth.users (email) where (is_sso_user = false);
  create index users_instance_id_email_idx on auth.users (instance_id, lower(email));
  create index users_instance_id_idx on auth.users (instance_id);
  create index users_is_anonymous_idx on auth.users (is_anonymous);
  create unique index confirmation_token_idx on auth.users (confirmation_token)
    where confirmation_token !~ '^[0-9 ]*$';
  create unique index recovery_token_idx on auth.users (recovery_token)
    where recovery_token !~ '^[0-9 ]*$';
  create unique index email_change_token_current_idx on auth.users (email_change_token_current)
    where email_change_token_current !~ '^[0-9 ]*$';
  create unique index email_change_token_new_idx on auth.users (email_change_token_new)
    where email_change_token_new !~ '^[0-9 ]*$';
  create unique index reauthentication_token_idx on auth.users (reauthentication_token)
    where reauthentication_token !~ '^[0-9 ]*$';

  create table auth.identities (
    provider_id text not null,
    user_id uuid not null,
    identity_data jsonb not null,
    provider text not null,
    last_sign_in_at timestamp with time zone,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    email text generated always as (lower(identity_data ->> 'email')) stored,
    id uuid not null default gen_random_uuid(),
    constraint identities_pkey primary key (id),
    constraint identities_provider_id_provider_unique unique (provider_id, provider),
    constraint identities_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
  );
  create index identities_user_id_idx on auth.identities (user_id);
  create index identities_email_idx on auth.identities (email text_pattern_ops);

  create table auth.sessions (
    id uuid not null,
    user_id uuid not null,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    factor_id uuid,
    aal auth.aal_level,
    not_after timestamp with time zone,
    refreshed_at timestamp without time zone,
    user_agent text,
    ip inet,
    tag text,
    oauth_client_id uuid,
    refresh_token_hmac_key text,
    refresh_token_counter bigint,
    scopes text,
    constraint sessions_pkey primary key (id),
    constraint sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
  );
  create index sessions_user_id_idx on auth.sessions (user_id);
  create index user_id_created_at_idx on auth.sessions (user_id, created_at);
  create index sessions_not_after_idx on auth.sessions (not_after desc);
  create index sessions_oauth_client_id_idx on auth.sessions (oauth_client_id);

  create table auth.refresh_tokens (
    instance_id uuid,
    id bigserial not null,
    token character varying(255),
    user_id character varying(255),
    revoked boolean,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    parent character varying(255),
    session_id uuid,
    constraint refresh_tokens_pkey primary key (id),
    constraint refresh_tokens_token_unique unique (token),
    constraint refresh_tokens_session_id_fkey foreign key (session_id) references auth.sessions (id) on delete cascade
  );
  create index refresh_tokens_instance_id_idx on auth.refresh_tokens (instance_id);
  create index refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens (instance_id, user_id);
  create index refresh_tokens_parent_idx on auth.refresh_tokens (parent);
  create index refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);
  create index refresh_tokens_updated_at_idx on auth.refresh_tokens (updated_at desc);

  create table auth.mfa_amr_claims (
    session_id uuid not null,
    created_at timestamp with time zone not null,
    updated_at timestamp with time zone not null,
    authentication_method text not null,
    id uuid not null,
    constraint amr_id_pk primary key (id),
    constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method),
    constraint mfa_amr_claims_session_id_fkey foreign key (session_id) references auth.sessions (id) on delete cascade
  );

  foreach tab in array array['users', 'identities', 'sessions', 'refresh_tokens', 'mfa_amr_claims'] loop
    execute format('alter table auth.%I enable row level security', tab);
    execute format('create policy "the service itself" on auth.%I to supabase_auth_admin using (true) with check (true)', tab);
    execute format('grant select, insert, update, delete on auth.%I to supabase_auth_admin', tab);
    -- As in Supabase: who administers the database may read, reference and put triggers on them; nobody of the API may.
    for grantee in select rolname from pg_catalog.pg_roles where rolname in ('postgres', 'dashboard_user') loop
      execute format('grant all on auth.%I to %I', tab, grantee);
    end loop;
  end loop;
  grant usage on sequence auth.refresh_tokens_id_seq to supabase_auth_admin;
end
$migration$;
