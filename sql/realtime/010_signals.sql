-- Tells the replication stream, in commit order, that the catalog changed: tables, columns, policies, grants,
-- publications. Without it the server compares a fingerprint of the catalog at each batch of changes.
--
-- Not covered by event triggers, so always by fingerprint: whatever belongs to the whole server, such as roles and their
-- attributes (ALTER ROLE ... BYPASSRLS), memberships of roles (GRANT role TO role), databases, and event triggers themselves.
--
-- Order: Postgres gives a message the position of its end, which is the position of the next record. A message of a
-- subtransaction may therefore come after the first row of the statement that follows it. So the message is written
-- outside the exception block, and a reader must take a signal to concern the whole transaction it is in, for a user may
-- have used a savepoint.
create or replace function dovetail.signal_ddl() returns event_trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  concerns_us boolean := false;
begin
  if tg_tag in ('COMMENT', 'SECURITY LABEL', 'REFRESH MATERIALIZED VIEW',
                'CREATE STATISTICS', 'ALTER STATISTICS', 'DROP STATISTICS') then
    return;
  end if;
  -- A signal that is lost costs time at worst. Somebody's migration must never fail because of us.
  begin
    if tg_event = 'sql_drop' then
      concerns_us := exists (
        select from pg_event_trigger_dropped_objects() where original and not is_temporary);
    else
      concerns_us := exists (
        select from pg_event_trigger_ddl_commands() where schema_name is distinct from 'pg_temp');
    end if;
    concerns_us := concerns_us and not exists (
      select from pg_proc
      where proname = 'pg_logical_emit_message' and pronamespace = 'pg_catalog'::regnamespace
        and not has_function_privilege(oid, 'execute'));
  exception
    when others then
      concerns_us := false;
  end;
  if concerns_us then
    perform pg_logical_emit_message(true, 'dovetail', jsonb_build_object('kind', 'ddl', 'tag', tg_tag)::text);
  end if;
end
$$;

do $$
begin
  if not exists (select from pg_event_trigger where evtname = 'dovetail_ddl') then
    create event trigger dovetail_ddl on ddl_command_end execute function dovetail.signal_ddl();
    -- Also for sessions that apply replicated changes.
    alter event trigger dovetail_ddl enable always;
  end if;
  if not exists (select from pg_event_trigger where evtname = 'dovetail_drop') then
    create event trigger dovetail_drop on sql_drop execute function dovetail.signal_ddl();
    alter event trigger dovetail_drop enable always;
  end if;
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (format(
      '%s may not create event triggers, so that changes of policies and grants are noticed by comparing the catalog; to avoid that cost run once as a superuser: dovetail migrate',
      current_user));
end
$$;
