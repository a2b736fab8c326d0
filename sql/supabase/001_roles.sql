-- The roles of a Supabase database, where missing. Existing roles are left as they are, whatever their attributes.
--
-- Roles belong to the whole server: another database of it may be prepared at this very moment, which our advisory lock
-- does not see. So "exists already" is never an error.
do $$
declare
  wanted record;
  i_am_super boolean := (select rolsuper from pg_roles where rolname = current_user);
begin
  for wanted in
    select * from (values
      ('anon', 'nologin noinherit', 'nologin noinherit', true),
      ('authenticated', 'nologin noinherit', 'nologin noinherit', true),
      ('service_role', 'nologin noinherit bypassrls', null, true),
      ('authenticator', 'login noinherit', 'login noinherit', false),
      -- Nobody can log in as this role before somebody gives it a password.
      ('supabase_admin', 'login superuser createdb createrole replication bypassrls', null, false),
      ('supabase_realtime_admin', 'nologin noinherit', 'nologin noinherit', true)
    ) as list (name, as_super, as_other, essential)
  loop
    continue when exists (select from pg_roles where rolname = wanted.name);
    begin
      execute format('create role %I %s', wanted.name,
        case when i_am_super then wanted.as_super else coalesce(wanted.as_other, wanted.as_super) end);
    exception
      when duplicate_object or unique_violation then
        null;
      when insufficient_privilege then
        if wanted.essential then
          raise exception 'role % is missing and % may not create it', wanted.name, current_user
            using errcode = 'insufficient_privilege',
                  hint = format('run as a superuser: create role %I %s', wanted.name, wanted.as_super);
        end if;
        insert into pg_temp.dovetail_notes values (format(
          'role %s is missing and may not be created by %s; if something needs it, run as a superuser: create role %I %s',
          wanted.name, current_user, wanted.name, wanted.as_super));
    end;
  end loop;
end
$$;

-- Who may become whom. The server itself takes the three client roles for every question it asks under RLS.
do $$
declare
  pair record;
begin
  for pair in
    select member.rolname as member, role.rolname as role
    from (values ('authenticator'), ('supabase_realtime_admin'), (current_user::text)) as m (name)
    join pg_roles member on member.rolname = m.name
    cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name)
    join pg_roles role on role.rolname = r.name
    where not member.rolsuper
      and not pg_temp.may_become(member.rolname, role.rolname)
  loop
    begin
      execute format('grant %I to %I', pair.role, pair.member);
    exception
      when insufficient_privilege then
        insert into pg_temp.dovetail_notes values (format(
          '%s cannot become %s; run as a superuser: grant %I to %I', pair.member, pair.role, pair.role, pair.member));
      when unique_violation then
        null;
    end;
  end loop;
end
$$;

do $$
begin
  if exists (select from pg_roles
             where rolname = 'supabase_realtime_admin' and not rolcanlogin)
     and not exists (select from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                     where r.rolname = 'supabase_realtime_admin') then
    alter role supabase_realtime_admin set search_path = public, extensions, realtime;
  end if;
exception
  when insufficient_privilege then
    null; -- nobody logs in as this role, so its setting is a formality
end
$$;
