-- Table realtime.subscription (postgres.md 1.4, G-020, G-021). Our server keeps subscriptions in memory and never writes
-- here; the original needs the table when it returns, and refuses bad filters through its trigger.

create or replace function realtime.subscription_check_filters() returns trigger language plpgsql volatile as $$
declare
  reader regrole := realtime.to_regrole(new.claims ->> 'role');
  readable text[] := array(
    select attname::text from pg_attribute
    where attrelid = new.entity and attnum > 0 and not attisdropped
      and has_column_privilege(reader, new.entity, attnum, 'select'));
  filter realtime.user_defined_filter;
  op text;
  type_ regtype;
  elements integer;
  wanted text;
begin
  foreach filter in array new.filters loop
    if filter.column_name is null or not filter.column_name = any (readable) then
      raise exception 'invalid column for filter %', filter.column_name;
    end if;
    op := filter.op::text;
    type_ := (select atttypid from pg_attribute
              where attrelid = new.entity and attname = filter.column_name and not attisdropped);
    if op = 'in' then
      execute format('select cardinality($1::%s[])', type_) into elements using filter.value;
      if elements > 100 then
        raise exception 'too many values for `in` filter. Maximum 100';
      end if;
    elsif op = 'is' then
      if filter.value is null or filter.value not in ('null', 'true', 'false', 'unknown') then
        raise exception 'invalid value for is filter: must be null, true, false, or unknown';
      end if;
      if filter.value <> 'null' and type_ <> 'boolean'::regtype then
        raise exception 'is % filter requires a boolean column, got %', filter.value, type_;
      end if;
    elsif op in ('like', 'ilike', 'match', 'imatch') then
      -- varchar has no operators of its own but those of text fit it exactly.
      if type_ <> 'varchar'::regtype and not exists (
        select from pg_operator
        where oprleft = type_
          and case when op in ('like', 'ilike') then oprname = '~~' else oprname = '~' and oprright = type_ end
          and oprresult = 'boolean'::regtype
          and (op in ('like', 'ilike') or oprcode in (select oid from pg_proc where proname ~ 'regex')))
      then
        raise exception 'operator % requires a text-compatible column type, got %', op, type_;
      end if;
      if op in ('match', 'imatch') then
        begin
          perform '' ~ filter.value;
        exception
          when invalid_regular_expression then
            raise exception 'invalid regular expression for % filter: %', op, sqlerrm;
        end;
      end if;
    else
      perform realtime."cast"(filter.value, type_);
    end if;
  end loop;

  foreach wanted in array coalesce(new.selected_columns, '{}') loop
    if wanted is null or not wanted = any (readable) then
      raise exception 'invalid column for select %', wanted;
    end if;
  end loop;

  -- The order in which a client wrote them must not make two rows of one subscription.
  new.filters := array(
    select f from unnest(new.filters) f order by f.column_name, f.op, f.value, f.negate);
  if new.selected_columns is not null then
    new.selected_columns := array(select c from unnest(new.selected_columns) c order by c);
  end if;
  return new;
end
$$;

do $$
declare
  old_unique record;
  grantee text;
begin
  if to_regclass('realtime.subscription') is null then
    create table realtime.subscription (
      id bigint generated always as identity,
      subscription_id uuid not null,
      entity regclass not null,
      filters realtime.user_defined_filter[] not null default '{}',
      claims jsonb not null,
      claims_role regrole not null generated always as (realtime.to_regrole(claims ->> 'role')) stored,
      created_at timestamp not null default timezone('utc', now()),
      action_filter text default '*',
      selected_columns text[],
      constraint pk_subscription primary key (id),
      constraint subscription_action_filter_check check (action_filter in ('*', 'INSERT', 'UPDATE', 'DELETE'))
    );
    perform pg_temp.give_to_realtime_admin('table', 'realtime.subscription');
  else
    if not exists (select from pg_attribute where attrelid = 'realtime.subscription'::regclass
                   and attname = 'claims_role' and not attisdropped) then
      -- Rows of a server that is not running; it deletes them at its own start.
      delete from realtime.subscription;
      alter table realtime.subscription add column claims_role regrole not null
        generated always as (realtime.to_regrole(claims ->> 'role')) stored;
    end if;
    if not exists (select from pg_attribute where attrelid = 'realtime.subscription'::regclass
                   and attname = 'action_filter' and not attisdropped) then
      alter table realtime.subscription add column action_filter text default '*';
    end if;
    if not exists (select from pg_constraint where conrelid = 'realtime.subscription'::regclass
                   and conname = 'subscription_action_filter_check') then
      alter table realtime.subscription add constraint subscription_action_filter_check
        check (action_filter in ('*', 'INSERT', 'UPDATE', 'DELETE'));
    end if;
    if not exists (select from pg_attribute where attrelid = 'realtime.subscription'::regclass
                   and attname = 'selected_columns' and not attisdropped) then
      alter table realtime.subscription add column selected_columns text[];
    end if;
    if (select relpersistence from pg_class where oid = 'realtime.subscription'::regclass) = 'u' then
      alter table realtime.subscription set logged;
    end if;
  end if;

  if to_regclass('realtime.ix_realtime_subscription_entity') is null then
    create index ix_realtime_subscription_entity on realtime.subscription (entity);
  end if;

  if to_regclass('realtime.subscription_subscription_id_entity_filters_action_filter_selec') is null then
    for old_unique in
      select i.indexrelid::regclass as index, c.conname
      from pg_index i
      join pg_class k on k.oid = i.indexrelid
      left join pg_constraint c on c.conindid = i.indexrelid
      where i.indrelid = 'realtime.subscription'::regclass and i.indisunique and not i.indisprimary
        and k.relname like 'subscription\_subscription\_id\_entity\_filters%'
    loop
      if old_unique.conname is not null then
        execute format('alter table realtime.subscription drop constraint %I', old_unique.conname);
      else
        execute format('drop index %s', old_unique.index);
      end if;
    end loop;
    create unique index subscription_subscription_id_entity_filters_action_filter_selec
      on realtime.subscription (subscription_id, entity, filters, action_filter, coalesce(selected_columns, '{}'));
  end if;

  if not exists (select from pg_trigger where tgrelid = 'realtime.subscription'::regclass and tgname = 'tr_check_filters') then
    create trigger tr_check_filters before insert or update on realtime.subscription
      for each row execute function realtime.subscription_check_filters();
  end if;

  if pg_has_role((select relowner from pg_class where oid = 'realtime.subscription'::regclass), 'member') then
    for grantee in select rolname from pg_roles where rolname in ('postgres', 'dashboard_user') loop
      execute format('grant all on realtime.subscription to %I', grantee);
      execute format('grant all on sequence realtime.subscription_id_seq to %I', grantee);
    end loop;
    for grantee in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
      execute format('grant select on realtime.subscription to %I', grantee);
      execute format('grant usage on sequence realtime.subscription_id_seq to %I', grantee);
    end loop;
  end if;
end
$$;
