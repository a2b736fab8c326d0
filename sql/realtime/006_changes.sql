-- The functions by which the original server polls changes through wal2json (postgres.md 1.6.9, 1.6.10, 2.9 to 2.19). Ours
-- reads the replication stream instead; these are for going back.

create or replace function realtime.apply_rls(wal jsonb, max_record_bytes integer default 1024 * 1024)
returns setof realtime.wal_rls language plpgsql volatile as $$
declare
  relation regclass := to_regclass(format('%I.%I', wal ->> 'schema', wal ->> 'table'));
  operation text := case wal ->> 'action' when 'I' then 'INSERT' when 'U' then 'UPDATE' when 'D' then 'DELETE' end;
  protected boolean;
  too_large boolean := octet_length(wal::text) > max_record_bytes;
  keys text[] := array(select k ->> 'name' from jsonb_array_elements(
    case jsonb_typeof(wal -> 'pk') when 'array' then wal -> 'pk' else '[]' end) k);
  audience record;
  reader record;
  new_values realtime.wal_column[];
  old_values realtime.wal_column[];
  shown text[];
  matching uuid[];
  seen boolean;
  question text;
  role_before text;
  header jsonb;
begin
  if relation is null or operation is null then
    return;
  end if;
  select relrowsecurity into protected from pg_class where oid = relation;

  for audience in
    select s.claims_role as role, s.selected_columns as selected
    from realtime.subscription s
    where s.entity = relation and coalesce(s.action_filter, '*') in ('*', operation)
    group by s.claims_role, s.selected_columns
  loop
    header := jsonb_build_object('schema', wal ->> 'schema', 'table', wal ->> 'table', 'type', operation);

    select array_agg((v.name, v.type_name, v.type_oid, realtime."cast"(v.value, v.type_oid::regtype),
                      v.name = any (keys), a.attnum is not null
                        and has_column_privilege(audience.role, relation, a.attnum, 'select'))::realtime.wal_column)
             filter (where v.is_new),
           array_agg((v.name, v.type_name, v.type_oid, realtime."cast"(v.value, v.type_oid::regtype),
                      v.name = any (keys), a.attnum is not null
                        and has_column_privilege(audience.role, relation, a.attnum, 'select'))::realtime.wal_column)
             filter (where v.is_old)
    into new_values, old_values
    from (
      select c ->> 'name' as name, c ->> 'type' as type_name, (c ->> 'typeoid')::oid as type_oid, c ->> 'value' as value,
             true as is_new, false as is_old
      from jsonb_array_elements(coalesce(wal -> 'columns', '[]')) c
      union all
      -- An identity column without a new value is a large one that did not change.
      select i ->> 'name', i ->> 'type', (i ->> 'typeoid')::oid, i ->> 'value',
             operation = 'UPDATE' and not exists (
               select from jsonb_array_elements(coalesce(wal -> 'columns', '[]')) c where c ->> 'name' = i ->> 'name'),
             true
      from jsonb_array_elements(coalesce(wal -> 'identity', '[]')) i
    ) v
    left join pg_attribute a on a.attrelid = relation and a.attname = v.name and a.attnum > 0 and not a.attisdropped;

    if operation <> 'DELETE' and (
         cardinality(keys) = 0
         or exists (select from unnest(new_values) v where v.is_pkey and not v.is_selectable)) then
      return next (
        header || jsonb_build_object('commit_timestamp', null, 'columns', '[]'::jsonb, 'record', '{}'::jsonb)
          || case when operation = 'UPDATE' then '{"old_record": {}}'::jsonb else '{}' end,
        protected,
        array(select s.subscription_id from realtime.subscription s
              where s.entity = relation and s.claims_role = audience.role
                and s.selected_columns is not distinct from audience.selected
                and coalesce(s.action_filter, '*') in ('*', operation)
              order by s.id),
        array[case when cardinality(keys) = 0 then 'Error 400: Bad Request, no primary key' else 'Error 401: Unauthorized' end]
      )::realtime.wal_rls;
      continue;
    end if;

    matching := '{}';
    question := format('select exists (select from %s where %s)', relation, (
      select string_agg(format('%I = %L', v.name,
        case when v.type_oid = 'bytea'::regtype then '\x' || (v.value #>> '{}') else v.value #>> '{}' end), ' and ')
      from unnest(new_values) v where v.is_pkey));
    for reader in
      select s.subscription_id, s.claims
      from realtime.subscription s
      where s.entity = relation and s.claims_role = audience.role
        and s.selected_columns is not distinct from audience.selected
        and coalesce(s.action_filter, '*') in ('*', operation)
        and realtime.is_visible_through_filters(
              case when operation = 'DELETE' then old_values else new_values end, s.filters)
      order by s.id
    loop
      seen := true;
      if protected and operation <> 'DELETE' then
        -- The role is given back before anything else runs: what follows is not the client's business.
        role_before := current_setting('role');
        perform set_config('request.jwt.claims', reader.claims::text, true);
        perform set_config('role', (select rolname from pg_roles where oid = audience.role), true);
        execute question into seen;
        perform set_config('role', role_before, true);
      end if;
      if seen then
        matching := matching || reader.subscription_id;
      end if;
    end loop;

    shown := array(
      select a.attname::text from pg_attribute a
      where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
        and has_column_privilege(audience.role, relation, a.attnum, 'select')
        and (audience.selected is null or a.attname = any (audience.selected) or a.attname = any (keys))
      order by a.attnum);

    return next (
      header
        || jsonb_build_object(
          'commit_timestamp', to_char((wal ->> 'timestamp')::timestamptz at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'columns', (
            select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname) order by a.attnum), '[]')
            from pg_attribute a join pg_type t on t.oid = a.atttypid
            where a.attrelid = relation and a.attname = any (shown)))
        || case when operation = 'DELETE' then '{}'::jsonb else jsonb_build_object('record', (
             select coalesce(jsonb_object_agg(v.name, v.value), '{}') from unnest(new_values) v
             where v.name = any (shown)
               and (not too_large or octet_length(v.value::text) <= 64))) end
        || case when operation = 'INSERT' then '{}'::jsonb else jsonb_build_object('old_record', (
             select coalesce(jsonb_object_agg(v.name, v.value), '{}') from unnest(old_values) v
             where v.name = any (shown)
               and (not (protected and operation = 'DELETE') or v.is_pkey)
               and (not too_large or octet_length(v.value::text) <= 64))) end,
      protected,
      matching,
      case when too_large then array['Error 413: Payload Too Large'] else array[]::text[] end
    )::realtime.wal_rls;
  end loop;
end
$$;

create or replace function realtime.list_changes(
  publication name, slot_name name, max_changes integer, max_record_bytes integer)
returns table (wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[], slot_changes_count bigint)
language sql volatile as $$
  with published as materialized (
    select concat_ws(',',
             case when p.pubinsert then 'insert' end,
             case when p.pubupdate then 'update' end,
             case when p.pubdelete then 'delete' end) as actions,
           (select string_agg(realtime.quote_wal2json(format('%I.%I', t.schemaname, t.tablename)::regclass), ',')
            from pg_publication_tables t where t.pubname = p.pubname) as tables
    from pg_publication p
    where p.pubname = publication
  ),
  raw as materialized (
    select change.data::jsonb as data, change.ordinality as position
    from published
    cross join lateral pg_logical_slot_get_changes(
      slot_name, null, max_changes,
      'include-pk', 'true', 'include-timestamp', 'true', 'include-type-oids', 'true', 'include-transaction', 'false',
      'format-version', '2', 'actions', published.actions, 'add-tables', published.tables
    ) with ordinality as change (lsn, xid, data, ordinality)
    where published.actions <> '' and published.tables is not null
  ),
  judged as materialized (
    select raw.position, verdict.*
    from raw cross join lateral realtime.apply_rls(raw.data, max_record_bytes) verdict
    where cardinality(verdict.subscription_ids) > 0
  ),
  total as (select count(*) as changes from raw)
  select listed.wal, listed.is_rls_enabled, listed.subscription_ids, listed.errors, total.changes
  from total left join (select * from judged order by position) listed on true
$$;

do $$
begin
  alter function realtime.list_changes(name, name, integer, integer) set log_min_messages = 'fatal';
exception
  when insufficient_privilege then
    null; -- only keeps the log quiet while the original polls
end
$$;
