-- In a database that had nothing of Supabase before, tables created from now on in schema public can be used by the client
-- roles, as in Supabase, where row level security decides who sees what. Existing tables get no grant: whoever
-- made them did not expect clients. A Supabase database is left alone: its owner may have tightened these defaults.
do $$
declare
  creator text;
  kind text;
begin
  if current_setting('dovetail.plain_database', true) is distinct from 'yes'
     or to_regnamespace('public') is null then
    return;
  end if;
  begin
    grant usage on schema public to anon, authenticated, service_role;
  exception
    when insufficient_privilege then
      null;
  end;
  -- Without the right to grant, Postgres only warns.
  if not has_schema_privilege('anon', 'public', 'usage') then
    insert into pg_temp.dovetail_notes values
      ('clients cannot use schema public; run as its owner: grant usage on schema public to anon, authenticated, service_role');
  end if;
  for creator in
    select rolname from pg_roles
    where rolname in (current_user, 'postgres', 'supabase_admin') and pg_temp.may_become(current_user, rolname)
  loop
    foreach kind in array array['tables', 'sequences', 'functions'] loop
      execute format(
        'alter default privileges for role %I in schema public grant all on %s to anon, authenticated, service_role',
        creator, kind);
    end loop;
  end loop;
end
$$;
