-- Owner and grants of the functions (postgres.md 1.6, G-025). A function that was there before keeps its owner.
do $$
declare
  function record;
  grantee text;
begin
  for function in
    select p.oid::regprocedure as signature, p.proname as name, b.oid is not null as was_there
    from pg_proc p
    left join pg_temp.dovetail_functions_before b on b.oid = p.oid
    where p.pronamespace = 'realtime'::regnamespace
      and p.proname in (
        'apply_rls', 'broadcast_changes', 'build_prepared_statement_sql', 'cast', 'check_equality_op',
        'is_visible_through_filters', 'list_changes', 'quote_wal2json', 'send', 'send_binary',
        'subscription_check_filters', 'to_regrole', 'topic', 'wal2json_escape_identifier')
  loop
    if not function.was_there then
      perform pg_temp.give_to_realtime_admin('function', function.signature::text);
    end if;
    for grantee in
      select rolname from pg_roles
      where rolname in ('postgres', 'dashboard_user')
         or (rolname in ('anon', 'authenticated', 'service_role')
             and function.name not in (
               'broadcast_changes', 'list_changes', 'send', 'send_binary', 'topic', 'wal2json_escape_identifier'))
    loop
      execute format('grant all on function %s to %I', function.signature, grantee);
    end loop;
  end loop;
end
$$;
