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

-- Auth writes app_metadata after it has made the user, and again whenever the service changes it. Only what changed there is taken
-- over: a profile that the service wrote itself stays as it is.
create or replace function chat.follow_app_metadata() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  said_kind text := new.raw_app_meta_data ->> 'kind';
  said_org text := new.raw_app_meta_data ->> 'org_id';
begin
  update public.profiles p
  set kind = case
        when said_kind is distinct from old.raw_app_meta_data ->> 'kind' and said_kind in ('trainer', 'client', 'advisor', 'member', 'guest') then said_kind
        else p.kind
      end,
      org_id = case
        when said_org is not distinct from old.raw_app_meta_data ->> 'org_id' then p.org_id
        when said_org ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then said_org::uuid
      end,
      updated_at = now()
  where p.id = new.id;
  return null;
end
$$;
comment on function chat.follow_app_metadata() is 'Kind and organisation of a profile are what the service says in app_metadata.';

-- Who is deleted takes part in nothing any more, also while their token still lives. What they wrote stays, under the name of then.
create or replace function chat.forget_user() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  update public.conversation_participants p set left_at = now() where p.user_id = old.id and p.left_at is null;
  delete from public.push_subscriptions s where s.user_id = old.id;
  delete from public.notification_preferences n where n.user_id = old.id;
  delete from public.user_presence u where u.user_id = old.id;
  delete from public.profiles f where f.id = old.id;
  return null;
end
$$;
comment on function chat.forget_user() is 'Ends what a user had in the messaging system when Auth deletes them.';
revoke all on function chat.make_profile(), chat.follow_app_metadata(), chat.forget_user() from public;

do $$
begin
  if to_regclass('auth.users') is null then
    return;
  end if;
  drop trigger if exists chat_make_profile on auth.users;
  create trigger chat_make_profile after insert on auth.users for each row execute function chat.make_profile();
  drop trigger if exists chat_follow_app_metadata on auth.users;
  create trigger chat_follow_app_metadata after update of raw_app_meta_data on auth.users for each row
    when (old.raw_app_meta_data ->> 'kind' is distinct from new.raw_app_meta_data ->> 'kind'
      or old.raw_app_meta_data ->> 'org_id' is distinct from new.raw_app_meta_data ->> 'org_id')
    execute function chat.follow_app_metadata();
  drop trigger if exists chat_forget_user on auth.users;
  create trigger chat_forget_user after delete on auth.users for each row execute function chat.forget_user();
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (
      'users who sign up get no profile; run as the owner of auth.users: create trigger chat_make_profile after insert on auth.users for each row execute function chat.make_profile(); create trigger chat_follow_app_metadata after update of raw_app_meta_data on auth.users for each row execute function chat.follow_app_metadata()');
end
$$;
