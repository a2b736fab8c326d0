-- What clients subscribe to (C-301, C-302, C-305, C-306). A publication of all tables has them already.
do $$
declare
  name text;
begin
  if (select puballtables from pg_publication where pubname = 'supabase_realtime') then
    return;
  end if;
  foreach name in array array['conversations', 'conversation_participants', 'messages', 'message_reactions', 'user_presence'] loop
    if not exists (
      select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
      where p.pubname = 'supabase_realtime' and r.prrelid = ('public.' || quote_ident(name))::regclass) then
      execute format('alter publication supabase_realtime add table public.%I', name);
    end if;
  end loop;
exception
  when insufficient_privilege then
    insert into pg_temp.dovetail_notes values (
      'the tables of the chat send no changes; run as the owner of the publication: alter publication supabase_realtime add table public.conversations, public.conversation_participants, public.messages, public.message_reactions, public.user_presence');
end
$$;
