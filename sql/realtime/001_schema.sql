-- Schema realtime: owner and grants (postgres.md 1.1, G-001 to G-003).
--
-- What needs a right that this login may lack is noted, not failed on, when the server can work without it.
do $$
declare
  grantee text;
  i_am text := current_user;
begin
  if to_regnamespace('realtime') is null then
    create schema realtime;
    if pg_temp.may_become(current_user, 'supabase_admin') then
      alter schema realtime owner to supabase_admin;
    elsif exists (select from pg_roles where rolname = 'supabase_admin') then
      insert into pg_temp.dovetail_notes values (format(
        'schema realtime belongs to %s, for %s is not a member of supabase_admin; before going back to the original server run as a superuser: alter schema realtime owner to supabase_admin',
        i_am, i_am));
    end if;
  elsif not pg_has_role((select nspowner from pg_namespace where nspname = 'realtime'), 'member') then
    -- Grants below would only warn.
    insert into pg_temp.dovetail_notes values (format(
      'schema realtime is not owned by %s; its grants were left as they are', i_am));
    return;
  end if;

  -- Members may act for the owner, so the grants below come from it and stay when the member goes.
  for grantee in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
    execute format('grant usage on schema realtime to %I', grantee);
  end loop;
  if exists (select from pg_roles where rolname = 'postgres') then
    grant usage on schema realtime to postgres with grant option;
    revoke create on schema realtime from postgres;
  end if;
  if exists (select from pg_roles where rolname = 'supabase_realtime_admin') then
    grant usage, create on schema realtime to supabase_realtime_admin with grant option;
  end if;

  if pg_temp.may_become(current_user, 'supabase_admin') then
    for grantee in select rolname from pg_roles where rolname in ('postgres', 'dashboard_user') loop
      execute format('alter default privileges for role supabase_admin in schema realtime grant all on tables to %I', grantee);
      execute format('alter default privileges for role supabase_admin in schema realtime grant all on sequences to %I', grantee);
      execute format('alter default privileges for role supabase_admin in schema realtime grant all on functions to %I', grantee);
    end loop;
  end if;
end
$$;
