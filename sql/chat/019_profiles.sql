-- Who signs up gets a profile. The name is theirs to choose; what they are, and where, only the service says
-- (raw_app_meta_data), because everything that they may see follows from it.
create or replace function chat.make_profile() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  kind text := new.raw_app_meta_data ->> 'kind';
  org text := coalesce(new.raw_app_meta_data ->> 'org_id', (select s.default_org_id::text from public.chat_settings s));
begin
  insert into public.profiles (id, display_name, avatar_url, kind, org_id)
  values (
    new.id,
    left(coalesce(
      nullif(btrim(new.raw_user_meta_data ->> 'display_name'), ''), nullif(btrim(new.raw_user_meta_data ->> 'full_name'), ''),
      nullif(btrim(new.raw_user_meta_data ->> 'name'), ''), nullif(split_part(coalesce(new.email, ''), '@', 1), ''), 'Somebody'), 200),
    case when new.raw_user_meta_data ->> 'avatar_url' ~ '^https?://' then left(new.raw_user_meta_data ->> 'avatar_url', 2000) end,
    case when kind in ('trainer', 'client', 'advisor', 'member', 'guest') then kind else 'client' end,
    case when org ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then org::uuid end)
  on conflict (id) do nothing;
  return null;
end
$$;
revoke all on function chat.make_profile() from public;

do $$
begin
  if to_regclass('auth.users') is null then
    return;
  end if;
  drop trigger if exists chat_make_profile on auth.users;
  create trigger chat_make_profile after insert on auth.users for each row execute function chat.make_profile();
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (
      'users who sign up get no profile; run as the owner of auth.users: create trigger chat_make_profile after insert on auth.users for each row execute function chat.make_profile()');
end
$$;
