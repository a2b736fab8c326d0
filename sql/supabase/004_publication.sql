-- The publication that users add their tables to; empty. Where it exists it is never altered (G-046).
do $$
begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    -- In Supabase users alter it as role postgres.
    if pg_temp.may_become(current_user, 'postgres')
       and has_database_privilege('postgres', current_database(), 'create') then
      alter publication supabase_realtime owner to postgres;
    end if;
  end if;
exception
  when duplicate_object then
    null;
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (format(
      'publication supabase_realtime is missing, so that no table sends changes; run as a superuser: create publication supabase_realtime; alter publication supabase_realtime owner to %I',
      current_user));
end
$$;
