-- Who is asking: the claims of the current request as policies read them. Supabase's own functions are never replaced.
--
-- Two generations of settings are in use: the whole claims as one JSON (request.jwt.claims), and one setting per claim
-- (request.jwt.claim.sub). An empty setting is the same as none: Postgres leaves '' behind after a local set_config.
do $$
begin
  if to_regnamespace('auth') is null then
    create schema auth;
    -- Read by the next file: this database had nothing of Supabase before.
    perform set_config('dovetail.plain_database', 'yes', true);
  end if;

  if to_regprocedure('auth.jwt()') is null then
    create function auth.jwt() returns jsonb language sql stable as $f$
      select coalesce(
        nullif(pg_catalog.current_setting('request.jwt.claims', true), ''),
        nullif(pg_catalog.current_setting('request.jwt.claim', true), '')
      )::pg_catalog.jsonb
    $f$;
  end if;
  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid language sql stable as $f$
      select coalesce(
        nullif(pg_catalog.current_setting('request.jwt.claim.sub', true), ''),
        nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'sub'
      )::pg_catalog.uuid
    $f$;
  end if;
  if to_regprocedure('auth.role()') is null then
    create function auth.role() returns text language sql stable as $f$
      select coalesce(
        nullif(pg_catalog.current_setting('request.jwt.claim.role', true), ''),
        nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'role'
      )
    $f$;
  end if;
  if to_regprocedure('auth.email()') is null then
    create function auth.email() returns text language sql stable as $f$
      select coalesce(
        nullif(pg_catalog.current_setting('request.jwt.claim.email', true), ''),
        nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'email'
      )
    $f$;
  end if;
end
$$;

do $$
declare
  grantee text;
begin
  if current_setting('dovetail.plain_database', true) = 'yes' then
    for grantee in select rolname from pg_roles
      where rolname in ('anon', 'authenticated', 'service_role', 'postgres', 'dashboard_user')
    loop
      execute format('grant usage on schema auth to %I', grantee);
    end loop;
  end if;
end
$$;
