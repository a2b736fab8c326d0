-- What the messaging system stands on: extensions for search, schema chat for what clients do not call, the role of guests.
--
-- Tables and functions that clients use are in schema public, where supabase-js finds them with no configuration.
do $$
declare
  extension text;
begin
  foreach extension in array array['pg_trgm', 'btree_gin'] loop
    continue when exists (select from pg_extension where extname = extension);
    if to_regnamespace('extensions') is null then
      create schema extensions;
      grant usage on schema extensions to public;
    end if;
    begin
      execute format('create extension %I with schema extensions', extension);
    exception
      when undefined_file or feature_not_supported then
        raise exception 'extension % is not installed on the server of this database', extension
          using errcode = 'feature_not_supported',
                hint = 'search needs it; it is in the package postgresql-contrib';
      when insufficient_privilege then
        raise exception 'extension % is missing and % may not create it', extension, current_user
          using errcode = 'insufficient_privilege',
                hint = format('run as a superuser: create extension %I with schema extensions', extension);
    end;
  end loop;
end
$$;

create schema if not exists chat;
comment on schema chat is 'What the messaging system does not show to clients: helpers of its policies, queues of its workers.';

-- Guests have a role of their own, so that policies of the same database that say "to authenticated" do not open to them.
do $$
begin
  if not exists (select from pg_roles where rolname = 'chat_guest') then
    create role chat_guest nologin noinherit;
  end if;
exception
  when duplicate_object or unique_violation then
    null;
  when insufficient_privilege then
    raise exception 'role chat_guest is missing and % may not create it', current_user
      using errcode = 'insufficient_privilege', hint = 'run as a superuser: create role chat_guest nologin noinherit';
end
$$;

do $$
declare
  member name;
begin
  for member in
    select rolname from pg_roles
    where rolname in ('authenticator', 'supabase_realtime_admin', current_user) and not rolsuper
      and not pg_temp.may_become(rolname, 'chat_guest')
  loop
    begin
      execute format('grant chat_guest to %I', member);
    exception
      when insufficient_privilege then
        insert into pg_temp.dovetail_notes values (format(
          '%s cannot become chat_guest, so that guests cannot use the chat; run as a superuser: grant chat_guest to %I', member, member));
      when unique_violation then
        null;
    end;
  end loop;
end
$$;

grant usage on schema chat to authenticated, chat_guest, service_role;
grant usage on schema public to authenticated, chat_guest, service_role;

-- Policies call auth.uid() and the like with the rights of who asks.
do $$
begin
  grant usage on schema auth to chat_guest;
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (
      'guests cannot use schema auth, so that their policies fail; run as its owner: grant usage on schema auth to chat_guest');
end
$$;

-- Whose tables of these names these are: adding to somebody else's table would break what uses it.
create or replace function chat.assert_columns(wanted_table text, wanted text[]) returns void
language plpgsql stable set search_path = '' as $$
declare
  missing text;
begin
  select string_agg(name, ', ') into missing
  from unnest(wanted) as name
  where not exists (
    select from pg_catalog.pg_attribute a
    where a.attrelid = ('public.' || wanted_table)::regclass and a.attname = name and a.attnum > 0 and not a.attisdropped);
  if missing is not null then
    raise exception 'table public.% exists already and lacks: %', wanted_table, missing
      using errcode = 'duplicate_table',
            hint = 'add these columns as docs/chat.md describes them, or rename the table, and migrate again';
  end if;
end
$$;
comment on function chat.assert_columns(text, text[]) is 'Refuses to build upon a table of the same name that is not of the messaging system.';
revoke all on function chat.assert_columns(text, text[]) from public;
