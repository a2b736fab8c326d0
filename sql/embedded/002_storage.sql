-- Buckets and objects, in the table layout of Supabase Storage.
--
-- Where storage.objects exists already, everything is left as it is: it belongs to a Supabase database.
do $$
begin
  if exists (select from pg_roles where rolname = 'supabase_storage_admin') then
    return;
  end if;
  create role supabase_storage_admin nologin noinherit;
exception
  when duplicate_object or unique_violation then
    null;
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (format(
      'role supabase_storage_admin is missing and may not be created by %s; schema storage belongs to %s instead',
      current_user, current_user));
end
$$;

do $do$
declare
  grantee text;
  storage_owner text;
  thing text;
begin
  if to_regclass('storage.objects') is not null then
    return;
  end if;

  create schema if not exists storage;

  create table if not exists storage.buckets (
    id text primary key,
    name text not null,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    public boolean default false,
    avif_autodetection boolean default false,
    file_size_limit bigint,
    allowed_mime_types text[],
    owner_id text,
    type text not null default 'STANDARD'
  );
  create unique index if not exists bname on storage.buckets (name);

  create table storage.objects (
    id uuid primary key default gen_random_uuid(),
    bucket_id text constraint "objects_bucketId_fkey" references storage.buckets (id),
    name text,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    last_accessed_at timestamptz default now(),
    metadata jsonb,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    version text,
    owner_id text,
    user_metadata jsonb
  );
  create unique index bucketid_objname on storage.objects (bucket_id, name);
  create index name_prefix_search on storage.objects (name text_pattern_ops);
  create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
  -- What is swept is looked up by version.
  create index objects_version on storage.objects (version);
  comment on column storage.buckets.owner is 'Deprecated: owner_id';
  comment on column storage.objects.owner is 'Deprecated: owner_id';

  alter table storage.buckets enable row level security;
  alter table storage.objects enable row level security;

  create or replace function storage.foldername(name text) returns text[] language sql immutable as $f$
    select parts[1 : pg_catalog.array_length(parts, 1) - 1]
    from (select pg_catalog.string_to_array(foldername.name, '/') as parts) as split
  $f$;

  create or replace function storage.filename(name text) returns text language sql immutable as $f$
    select parts[pg_catalog.array_length(parts, 1)]
    from (select pg_catalog.string_to_array(filename.name, '/') as parts) as split
  $f$;

  create or replace function storage.extension(name text) returns text language sql immutable as $f$
    select pg_catalog.reverse(pg_catalog.split_part(pg_catalog.reverse(storage.filename(extension.name)), '.', 1))
  $f$;

  -- Which operation of the API is running, for policies that tell them apart.
  create or replace function storage.operation() returns text language sql stable as $f$
    select pg_catalog.current_setting('storage.operation', true)
  $f$;

  create or replace function storage.allow_any_operation(expected_operations text[])
  returns boolean language sql stable as $f$
    select exists (
      select from pg_catalog.unnest(expected_operations) as expected (operation)
      where expected.operation <> ''
        and pg_catalog.regexp_replace(expected.operation, '^storage\.', '')
          = pg_catalog.regexp_replace(storage.operation(), '^storage\.', ''))
  $f$;

  create or replace function storage.allow_only_operation(expected_operation text)
  returns boolean language sql stable as $f$
    select storage.allow_any_operation(array[expected_operation])
  $f$;

  -- Entries of one folder: what lies deeper shows as its folder, without an id.
  create or replace function storage.search(
    prefix text,
    bucketname text,
    limits integer default 100,
    levels integer default 1,
    offsets integer default 0,
    search text default '',
    sortcolumn text default 'name',
    sortorder text default 'asc'
  )
  returns table (
    name text,
    id uuid,
    updated_at timestamptz,
    created_at timestamptz,
    last_accessed_at timestamptz,
    metadata jsonb
  )
  language plpgsql stable as $f$
  #variable_conflict use_column
  declare
    wanted text := coalesce(prefix, '') || coalesce(search, '');
    direction text := case when lower(sortorder) = 'desc' then 'desc' else 'asc' end;
    by_time text := case
      when lower(sortcolumn) in ('updated_at', 'created_at', 'last_accessed_at') then lower(sortcolumn) end;
  begin
    -- Folders have no times: sorted by one they come first, by name.
    return query execute pg_catalog.format($q$
      with matching as (
        select o.*, pg_catalog.strpos(pg_catalog.substr(o.name, pg_catalog.length($2) + 1), '/') as slash
        from storage.objects o
        where o.bucket_id = $1 and pg_catalog.starts_with(pg_catalog.lower(o.name), pg_catalog.lower($2))
      ), entries as (
        select distinct
          pg_catalog.substr(pg_catalog."left"(m.name, pg_catalog.length($2) + m.slash - 1), pg_catalog.length($3) + 1) as name,
          null::uuid as id, null::timestamptz as updated_at, null::timestamptz as created_at,
          null::timestamptz as last_accessed_at, null::jsonb as metadata
        from matching m where m.slash > 0
        union all
        select pg_catalog.substr(m.name, pg_catalog.length($3) + 1), m.id, m.updated_at, m.created_at,
          m.last_accessed_at, m.metadata
        from matching m where m.slash = 0
      )
      select e.name, e.id, e.updated_at, e.created_at, e.last_accessed_at, e.metadata from entries e
      order by %s pg_catalog.lower(e.name) collate "C" %s, e.name collate "C" %s
      limit $4 offset $5
    $q$,
      case when by_time is null then ''
           else pg_catalog.format('(e.id is not null), e.%I %s,', by_time, direction) end,
      direction, direction)
    using bucketname, wanted, coalesce(prefix, ''), least(coalesce(limits, 100), 1500), coalesce(offsets, 0);
  end
  $f$;

  create or replace function storage.get_size_by_bucket() returns table (size bigint, bucket_id text)
  language sql stable as $f$
    select sum((o.metadata ->> 'size')::bigint)::bigint, o.bucket_id from storage.objects o group by o.bucket_id
  $f$;

  create or replace function storage.update_updated_at_column() returns trigger language plpgsql as $f$
  begin
    new.updated_at := pg_catalog.now();
    return new;
  end
  $f$;
  create trigger update_objects_updated_at before update on storage.objects
    for each row execute function storage.update_updated_at_column();

  -- A row that is deleted in SQL leaves its content behind until it is swept.
  create or replace function storage.protect_delete() returns trigger language plpgsql as $f$
  begin
    if pg_catalog.current_setting('storage.allow_delete_query', true) is distinct from 'true' then
      raise exception 'rows of storage.% are deleted through the Storage API only', tg_table_name
        using errcode = 'insufficient_privilege',
              hint = 'their content would stay behind; to delete them all the same: set storage.allow_delete_query = ''true''';
    end if;
    return null;
  end
  $f$;
  create trigger protect_buckets_delete before delete on storage.buckets
    for each statement execute function storage.protect_delete();
  create trigger protect_objects_delete before delete on storage.objects
    for each statement execute function storage.protect_delete();

  -- Policies decide what the client roles may do; there are none yet.
  for grantee in select rolname from pg_roles
    where rolname in ('anon', 'authenticated', 'service_role', 'postgres', 'dashboard_user')
  loop
    execute format('grant usage on schema storage to %I', grantee);
    execute format('grant all on storage.buckets, storage.objects to %I', grantee);
  end loop;

  storage_owner := (select rolname from pg_roles where rolname = 'supabase_storage_admin');
  if storage_owner is not null then
    begin
      execute format('alter schema storage owner to %I', storage_owner);
      foreach thing in array array['buckets', 'objects'] loop
        execute format('alter table storage.%I owner to %I', thing, storage_owner);
      end loop;
      for thing in
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'storage'::regnamespace and p.prokind = 'f'
      loop
        execute format('alter function %s owner to %I', thing, storage_owner);
      end loop;
    exception
      when insufficient_privilege then
        insert into pg_temp.dovetail_notes values (format(
          'schema storage belongs to %s; where supabase_storage_admin should own it, run as a superuser: alter schema storage owner to supabase_storage_admin',
          current_user));
    end;
  end if;
end
$do$;
