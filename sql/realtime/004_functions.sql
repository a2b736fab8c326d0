-- Functions that applications call, and the small ones below them (postgres.md 1.6, G-024 to G-044).
--
-- Argument names are part of the interface: named notation is in use. A function of an older database whose result or
-- argument names differ cannot be replaced in place and is dropped first. Never CASCADE: what a user built upon it stops
-- this file with Postgres' own message instead of vanishing.
do $$
declare
  wanted record;
  found regprocedure;
begin
  create temporary table dovetail_functions_before on commit drop as
    select p.oid from pg_proc p where p.pronamespace = 'realtime'::regnamespace;
  for wanted in
    select * from (values
      ('apply_rls(jsonb, integer)', 'wal jsonb, max_record_bytes integer', 'SETOF realtime.wal_rls'),
      ('broadcast_changes(text, text, text, text, text, record, record, text)',
       'topic_name text, event_name text, operation text, table_name text, table_schema text, new record, old record, level text', 'void'),
      ('build_prepared_statement_sql(text, regclass, realtime.wal_column[])',
       'prepared_statement_name text, entity regclass, columns realtime.wal_column[]', 'text'),
      ('cast(text, regtype)', 'val text, type_ regtype', 'jsonb'),
      ('check_equality_op(realtime.equality_op, regtype, text, text)',
       'op realtime.equality_op, type_ regtype, val_1 text, val_2 text', 'boolean'),
      ('check_equality_op(realtime.equality_op, regtype, text, text, boolean)',
       'op realtime.equality_op, type_ regtype, val_1 text, val_2 text, negate boolean', 'boolean'),
      ('is_visible_through_filters(realtime.wal_column[], realtime.user_defined_filter[])',
       'columns realtime.wal_column[], filters realtime.user_defined_filter[]', 'boolean'),
      ('list_changes(name, name, integer, integer)',
       'publication name, slot_name name, max_changes integer, max_record_bytes integer',
       'TABLE(wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[], slot_changes_count bigint)'),
      ('quote_wal2json(regclass)', 'entity regclass', 'text'),
      ('send(jsonb, text, text, boolean)', 'payload jsonb, event text, topic text, private boolean', 'void'),
      ('send_binary(bytea, text, text, boolean)', 'payload bytea, event text, topic text, private boolean', 'void'),
      ('subscription_check_filters()', '', 'trigger'),
      ('to_regrole(text)', 'role_name text', 'regrole'),
      ('topic()', '', 'text'),
      ('wal2json_escape_identifier(text)', 'name text', 'text')
    ) as list (signature, arguments, result)
  loop
    found := to_regprocedure('realtime.' || wanted.signature);
    if found is not null
       and (pg_get_function_identity_arguments(found) <> wanted.arguments
            or pg_get_function_result(found) <> wanted.result) then
      execute format('drop function %s', found);
    end if;
  end loop;
end
$$;

-- The sub-topic the current question is about; policies on realtime.messages compare with it.
create or replace function realtime.topic() returns text language sql stable as $$
  select nullif(current_setting('realtime.topic', true), '')
$$;

-- Puts a message into realtime.messages, from where the stream takes it to the subscribers of the topic. A failure is a
-- warning: the business transaction around it matters more than the message. The ids are of version 7 (48 bits of
-- milliseconds, 12 bits of the part of a millisecond, 62 random bits), so that those of one transaction ascend: they have
-- inserted_at in common, and a replay must tell them in their order.
create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void language plpgsql volatile as $$
declare
  micros bigint := floor(extract(epoch from clock_timestamp()) * 1000000);
  message_id uuid := (
    lpad(to_hex(micros / 1000), 12, '0') || '7' || lpad(to_hex(micros % 1000 * 4096 / 1000), 3, '0')
    || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid;
  content jsonb := payload;
begin
  begin
    if topic is null then
      raise exception 'syntax error at or near "NULL"' using errcode = 'syntax_error';
    end if;
    -- Anything but an object fails here with the words applications know from their logs.
    if jsonb_typeof(content) is distinct from 'object' or not content ? 'id' then
      content := jsonb_set(content, '{id}', to_jsonb(message_id));
    end if;
    perform set_config('realtime.topic', topic, true);
    insert into realtime.messages (id, payload, event, topic, private, extension)
    values (message_id, content, event, topic, private, 'broadcast');
  exception
    when others then
      raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
  end;
end
$$;

-- As send, for bytes: nothing is added to them.
create or replace function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
returns void language plpgsql volatile as $$
declare
  micros bigint := floor(extract(epoch from clock_timestamp()) * 1000000);
  message_id uuid := (
    lpad(to_hex(micros / 1000), 12, '0') || '7' || lpad(to_hex(micros % 1000 * 4096 / 1000), 3, '0')
    || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid;
begin
  begin
    if topic is null then
      raise exception 'syntax error at or near "NULL"' using errcode = 'syntax_error';
    end if;
    perform set_config('realtime.topic', topic, true);
    insert into realtime.messages (id, binary_payload, event, topic, private, extension)
    values (message_id, payload, event, topic, private, 'broadcast');
  exception
    when others then
      raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
  end;
end
$$;

-- For row triggers: sends the change as a private message.
create or replace function realtime.broadcast_changes(
  topic_name text, event_name text, operation text, table_name text, table_schema text,
  new record, old record, level text default 'ROW')
returns void language plpgsql volatile as $$
begin
  if level = 'STATEMENT' then
    raise exception 'function can only be triggered for each row, not for each statement';
  end if;
  if operation is null or operation not in ('INSERT', 'UPDATE', 'DELETE') then
    raise exception 'Unexpected operation type: %', operation;
  end if;
  perform realtime.send(
    jsonb_build_object(
      'operation', operation,
      'schema', table_schema,
      'table', table_name,
      'record', case when operation <> 'DELETE' then to_jsonb(new) end,
      'old_record', case when operation <> 'INSERT' then to_jsonb(old) end),
    event_name,
    topic_name);
exception
  when others then
    raise exception 'Failed to process the row: %', sqlerrm;
end
$$;

-- The rest serves the original server, should it run on this database again, and people who debug it.

create or replace function realtime."cast"(val text, type_ regtype) returns jsonb language plpgsql immutable as $$
declare
  result jsonb;
begin
  if type_ = 'bytea'::regtype then
    return to_jsonb(val);
  end if;
  execute format('select to_jsonb($1::%s)', type_) into result using val;
  return result;
end
$$;

create or replace function realtime.check_equality_op(
  op realtime.equality_op, type_ regtype, val_1 text, val_2 text, negate boolean)
returns boolean language plpgsql stable as $$
declare
  condition text;
  operator text;
  result boolean;
begin
  if op::text = 'is' then
    if val_2 is null or val_2 not in ('null', 'true', 'false', 'unknown') then
      raise exception 'invalid value for is filter: must be null, true, false, or unknown';
    end if;
    condition := format('$1::%s is %s %s', type_, case when negate then 'not' end, val_2);
    execute 'select ' || condition into result using val_1;
    return result;
  elsif op::text = 'isdistinct' then
    condition := format('$1::%1$s is %2$s distinct from $2::%1$s', type_, case when negate then 'not' end);
  elsif op::text = 'in' then
    condition := format('$1::%1$s = any ($2::%1$s[])', type_);
  else
    operator := case op::text
      when 'eq' then '=' when 'neq' then '<>'
      when 'lt' then '<' when 'lte' then '<=' when 'gt' then '>' when 'gte' then '>='
      when 'like' then 'like' when 'ilike' then 'ilike' when 'match' then '~' when 'imatch' then '~*'
    end;
    if operator is null then
      raise exception 'unsupported equality operator: %', op;
    end if;
    condition := format('$1::%1$s %2$s $2::%1$s', type_, operator);
  end if;
  execute 'select ' || condition into result using val_1, val_2;
  if negate and op::text <> 'isdistinct' then
    return not result;
  end if;
  return result;
end
$$;

create or replace function realtime.check_equality_op(
  op realtime.equality_op, type_ regtype, val_1 text, val_2 text)
returns boolean language plpgsql immutable as $$
begin
  if op::text in ('eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in') then
    return realtime.check_equality_op(op, type_, val_1, val_2, false);
  end if;
  raise exception 'unsupported equality operator: %', op;
end
$$;

create or replace function realtime.is_visible_through_filters(
  columns realtime.wal_column[], filters realtime.user_defined_filter[])
returns boolean language sql stable as $$
  select not exists (
    select from unnest(filters) f
    where not exists (
      select from unnest(columns) c
      where c.name = f.column_name
        and realtime.check_equality_op(
          f.op, coalesce(c.type_oid::regtype, c.type_name::regtype), c.value #>> '{}', f.value, coalesce(f.negate, false))))
$$;

create or replace function realtime.build_prepared_statement_sql(
  prepared_statement_name text, entity regclass, columns realtime.wal_column[])
returns text language sql volatile as $$
  select format('prepare %I as select exists(select 1 from %s where %s)',
    prepared_statement_name, entity,
    string_agg(format('%I = %s', c.name, quote_nullable(c.value #>> '{}')), ' and '))
  from unnest(columns) c
  where c.is_pkey
$$;

create or replace function realtime.to_regrole(role_name text) returns regrole language sql immutable as $$
  select quote_ident(role_name)::regrole
$$;

create or replace function realtime.wal2json_escape_identifier(name text) returns text language sql immutable strict as $$
  select regexp_replace(name, '([\\,.]|\s)', '\\\1', 'g')
$$;

create or replace function realtime.quote_wal2json(entity regclass) returns text language sql immutable strict as $$
  select realtime.wal2json_escape_identifier(n.nspname::text) || '.' || realtime.wal2json_escape_identifier(c.relname::text)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = entity
$$;
