-- Table realtime.messages (postgres.md 1.3, G-008 to G-013).
--
-- Databases of 2024 have it without partitions. It is then set aside with its rows, and a new one gets its policies,
-- text for text: a policy that vanished would open or close somebody's channels.
do $$
declare
  aside text;
  statement text;
  statements text[] := '{}';
  rows_there boolean;
begin
  if (select relkind from pg_class where oid = to_regclass('realtime.messages')) = 'r' then
    select coalesce(array_agg(format(
        'create policy %I on realtime.messages as %s for %s to %s%s%s',
        p.polname,
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                      when 'd' then 'delete' else 'all' end,
        (select string_agg(case when r = 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ')
         from unnest(p.polroles) r),
        ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')), '{}')
    into statements
    from pg_policy p where p.polrelid = 'realtime.messages'::regclass;

    execute 'select exists (select from realtime.messages)' into rows_there;
    aside := 'messages_before_partitions';
    alter table realtime.messages set schema dovetail;
    execute format('alter table dovetail.messages rename to %I', aside);
    -- Names of indexes and constraints are unique in their schema, and the new table needs them only in realtime.
    if not rows_there then
      execute format('drop table dovetail.%I', aside);
    else
      insert into pg_temp.dovetail_notes values (
        'realtime.messages had no partitions; the old table with its rows is kept as dovetail.messages_before_partitions; when nobody needs it: drop table dovetail.messages_before_partitions');
    end if;
  end if;

  if to_regclass('realtime.messages') is null then
    create table realtime.messages (
      topic text not null,
      extension text not null,
      payload jsonb,
      event text,
      private boolean default false,
      updated_at timestamp not null default now(),
      inserted_at timestamp not null default now(),
      id uuid not null default gen_random_uuid(),
      constraint messages_pkey primary key (id, inserted_at)
    ) partition by range (inserted_at);
    alter table realtime.messages add column binary_payload bytea;
    alter table realtime.messages enable row level security;
    foreach statement in array statements loop
      execute statement;
    end loop;
    perform pg_temp.give_to_realtime_admin('table', 'realtime.messages');
  end if;

  if not exists (select from pg_attribute
                 where attrelid = 'realtime.messages'::regclass and attname = 'binary_payload' and not attisdropped) then
    alter table realtime.messages add column binary_payload bytea;
  end if;
  -- The original lets a binary message have no payload, and every message has one of the two at most.
  alter table realtime.messages alter column payload drop not null;
  if not exists (select from pg_constraint
                 where conrelid = 'realtime.messages'::regclass and conname = 'messages_payload_exclusive') then
    alter table realtime.messages add constraint messages_payload_exclusive
      check (payload is null or binary_payload is null) not valid;
  end if;
  if to_regclass('realtime.messages_inserted_at_topic_index') is null then
    create index messages_inserted_at_topic_index on realtime.messages (inserted_at desc, topic)
      where extension = 'broadcast' and private is true;
  end if;
end
$$;

-- Grants are additive and those of a table that was there before are what its owner made of them.
do $$
declare
  grantee text;
begin
  if not pg_has_role((select relowner from pg_class where oid = 'realtime.messages'::regclass), 'member') then
    return;
  end if;
  for grantee in select rolname from pg_roles where rolname in ('postgres', 'dashboard_user') loop
    execute format('grant all on realtime.messages to %I', grantee);
  end loop;
  for grantee in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
    execute format('grant select, insert, update on realtime.messages to %I', grantee);
  end loop;
end
$$;
