-- The publication of realtime.messages (postgres.md 1.7, G-047). Foreign tables in it are tolerated: the stream ignores
-- their rows, and dropping it under a running stream would break that stream.
do $$
begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime_messages_publication') then
    create publication supabase_realtime_messages_publication for table realtime.messages;
  elsif not exists (
    select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
    where p.pubname = 'supabase_realtime_messages_publication' and r.prrelid = 'realtime.messages'::regclass)
    and not (select puballtables from pg_publication where pubname = 'supabase_realtime_messages_publication')
  then
    alter publication supabase_realtime_messages_publication add table realtime.messages;
  end if;
  if exists (
    select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
    where p.pubname = 'supabase_realtime_messages_publication'
      and r.prrelid = to_regclass('dovetail.messages_before_partitions'))
  then
    alter publication supabase_realtime_messages_publication drop table dovetail.messages_before_partitions;
  end if;
end
$$;
