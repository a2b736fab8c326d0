-- Types (postgres.md 1.2, G-004 to G-007). Older databases lack labels of equality_op and the field negate.
do $$
declare
  label text;
  previous text := null;
begin
  if to_regtype('realtime.action') is null then
    create type realtime.action as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ERROR');
    perform pg_temp.give_to_realtime_admin('type', 'realtime.action');
  end if;

  if to_regtype('realtime.equality_op') is null then
    create type realtime.equality_op as enum (
      'eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'like', 'ilike', 'is', 'match', 'imatch', 'isdistinct');
    perform pg_temp.give_to_realtime_admin('type', 'realtime.equality_op');
  else
    -- Filters are sorted by this order, so that a missing label goes where it belongs.
    foreach label in array array[
      'eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'like', 'ilike', 'is', 'match', 'imatch', 'isdistinct']
    loop
      if not exists (select from pg_enum
                     where enumtypid = 'realtime.equality_op'::regtype and enumlabel = label) then
        if previous is null then
          execute format('alter type realtime.equality_op add value %L', label);
        else
          execute format('alter type realtime.equality_op add value %L after %L', label, previous);
        end if;
      end if;
      previous := label;
    end loop;
  end if;

  if to_regtype('realtime.user_defined_filter') is null then
    create type realtime.user_defined_filter as (
      column_name text, op realtime.equality_op, value text, negate boolean);
    perform pg_temp.give_to_realtime_admin('type', 'realtime.user_defined_filter');
  elsif not exists (
    select from pg_attribute
    where attrelid = (select typrelid from pg_type where oid = 'realtime.user_defined_filter'::regtype)
      and attname = 'negate' and not attisdropped)
  then
    alter type realtime.user_defined_filter add attribute negate boolean;
  end if;

  if to_regtype('realtime.wal_column') is null then
    create type realtime.wal_column as (
      name text, type_name text, type_oid oid, value jsonb, is_pkey boolean, is_selectable boolean);
    perform pg_temp.give_to_realtime_admin('type', 'realtime.wal_column');
  end if;

  if to_regtype('realtime.wal_rls') is null then
    create type realtime.wal_rls as (
      wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[]);
    perform pg_temp.give_to_realtime_admin('type', 'realtime.wal_rls');
  end if;
end
$$;
