-- Tables, views, functions and enums of one schema, with what TypeScript can say of their types.
with kind as (
  select t.oid,
    case
      when t.typtype = 'd' then coalesce(nullif(t.typbasetype, 0), t.oid)
      else t.oid
    end as base
  from pg_catalog.pg_type t
), relation as (
  select c.oid, c.relname::text as name, c.relkind, pg_catalog.pg_relation_is_updatable(c.oid, true) as updatable
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
), field as (
  select r.name as relation, r.relkind in ('r', 'p', 'f') as is_table, a.attnum, a.attname::text as name,
    pg_catalog.format_type((select k.base from kind k where k.oid = a.atttypid), null) as type,
    a.attnotnull as required,
    a.atthasdef or a.attidentity <> '' as has_default,
    a.attgenerated <> '' or a.attidentity = 'a' as is_generated
  from relation r join pg_catalog.pg_attribute a on a.attrelid = r.oid
  where a.attnum > 0 and not a.attisdropped
), link as (
  select r.name as relation, k.conname::text as name, f.relname::text as target,
    (select pg_catalog.array_agg(a.attname::text order by u.place)
     from unnest(k.conkey) with ordinality u (n, place) join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n) as columns,
    (select pg_catalog.array_agg(a.attname::text order by u.place)
     from unnest(k.confkey) with ordinality u (n, place) join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n) as target_columns,
    exists (select from pg_catalog.pg_index i
            where i.indrelid = k.conrelid and i.indisunique and i.indpred is null and i.indnkeyatts = pg_catalog.cardinality(k.conkey)
              and i.indkey::smallint[] @> k.conkey) as is_one
  from relation r join pg_catalog.pg_constraint k on k.conrelid = r.oid and k.contype = 'f'
  join pg_catalog.pg_class f on f.oid = k.confrelid
), called as (
  select p.oid, p.proname::text as name, p.proretset as is_set,
    pg_catalog.format_type((select k.base from kind k where k.oid = p.prorettype), null) as returns,
    (select c.relname::text from pg_catalog.pg_type t join pg_catalog.pg_class c on c.oid = t.typrelid
     where t.oid = p.prorettype and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relnamespace = p.pronamespace) as returns_rows_of,
    p.pronargs, p.pronargdefaults, coalesce(p.proargnames, '{}')::text[] as names, p.proargmodes::text[] as modes,
    coalesce(p.proallargtypes, p.proargtypes::oid[]) as types
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where n.nspname = $1 and p.prokind = 'f' and p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
    and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e')
)
select pg_catalog.jsonb_build_object(
  'fields', coalesce((select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f) order by f.relation collate "C", f.attnum) from field f), '[]'),
  'links', coalesce((select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(l) order by l.relation collate "C", l.name collate "C") from link l), '[]'),
  'functions', coalesce((
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', c.name, 'is_set', c.is_set, 'returns', c.returns, 'returns_rows_of', c.returns_rows_of,
      'arguments', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', c.names[u.place], 'type', pg_catalog.format_type(u.type, null),
          'optional', u.place > c.pronargs - c.pronargdefaults) order by u.place)
        from unnest(c.types) with ordinality u (type, place)
        where coalesce(c.modes[u.place], 'i') in ('i', 'b', 'v')), '[]'),
      'columns', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', c.names[u.place], 'type', pg_catalog.format_type(u.type, null)) order by u.place)
        from unnest(c.types) with ordinality u (type, place)
        where c.modes[u.place] in ('t', 'o', 'b')), '[]')) order by c.name collate "C", c.oid)
    from called c), '[]'),
  'enums', coalesce((
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', t.typname, 'type', pg_catalog.format_type(t.oid, null), 'labels', (
      select pg_catalog.jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid)) order by t.typname collate "C")
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where n.nspname = $1 and t.typtype = 'e'), '[]'))
