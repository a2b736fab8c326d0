-- The server's own schema and the list of files applied. The original server counts the rows of its table
-- realtime.schema_migrations, so ours must never be written there (G-022).
do $$
begin
  -- "if not exists" would ask for CREATE on the database even when the schema is there.
  if to_regnamespace('dovetail') is null then
    create schema dovetail;
  end if;
  if to_regclass('dovetail.migrations') is null then
    create table dovetail.migrations (
      set_name text not null,
      version integer not null,
      name text not null,
      applied_at timestamptz not null default now(),
      primary key (set_name, version)
    );
  end if;
end
$$;

-- What a file could not do with the rights of this login and is not essential; read by the runner after the last file.
create temporary table if not exists dovetail_notes (note text not null) on commit drop;

-- Whether this login may act as a role. Since Postgres 16 membership alone does not say so. Temporary, gone with the session.
create or replace function pg_temp.may_become(member name, role name) returns boolean language sql stable as $$
  select exists (select from pg_roles where rolname = role)
    and pg_has_role(member, role,
      case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end)
$$;

-- Gives an object of schema realtime to the role that owns everything there, where that is allowed.
create or replace function pg_temp.give_to_realtime_admin(kind text, object text) returns void language plpgsql as $$
begin
  if pg_temp.may_become(current_user, 'supabase_realtime_admin') then
    execute format('alter %s %s owner to supabase_realtime_admin', kind, object);
  end if;
end
$$;
