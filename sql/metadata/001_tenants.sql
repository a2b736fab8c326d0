-- Tenants, in the state of the newest original server we know (postgres.md 1.10). Where an older original has been, what
-- it lacks is added; nothing else is touched. Names are unqualified: the search path says which schema it is.
create table if not exists tenants (
  id uuid not null primary key,
  name text,
  external_id text,
  jwt_secret text,
  max_concurrent_users integer not null default 200,
  inserted_at timestamp(0) without time zone not null,
  updated_at timestamp(0) without time zone not null,
  max_events_per_second integer not null default 100,
  postgres_cdc_default text default 'postgres_cdc_rls',
  max_bytes_per_second integer not null default 100000,
  max_channels_per_client integer not null default 100,
  max_joins_per_second integer not null default 500
);
alter table tenants
  add column if not exists suspend boolean default false,
  add column if not exists jwt_jwks jsonb,
  drop column if exists enable_authorization,
  add column if not exists notify_private_alpha boolean default false,
  add column if not exists private_only boolean not null default false,
  add column if not exists migrations_ran integer default 0,
  add column if not exists broadcast_adapter varchar(255) default 'gen_rpc',
  add column if not exists max_presence_events_per_second integer default 1000,
  add column if not exists max_payload_size_in_kb integer default 3000,
  add column if not exists max_client_presence_events_per_window integer,
  add column if not exists client_presence_window_ms integer,
  add column if not exists presence_enabled boolean not null default false,
  add column if not exists feature_flags jsonb not null default '{}',
  add column if not exists gcm_migrated_at timestamp(0) without time zone,
  alter column jwt_secret type text,
  alter column jwt_secret drop not null,
  alter column broadcast_adapter set default 'gen_rpc',
  alter column max_presence_events_per_second set default 1000;
create unique index if not exists tenants_external_id_index on tenants (external_id);
do $$
begin
  if not exists (select from pg_constraint
                 where conrelid = 'tenants'::regclass and conname = 'jwt_secret_or_jwt_jwks_required') then
    alter table tenants add constraint jwt_secret_or_jwt_jwks_required
      check (jwt_secret is not null or jwt_jwks is not null);
  end if;
end
$$;
