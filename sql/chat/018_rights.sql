-- Who may call what. Everything is closed first: functions are open to everybody by default.
do $$
declare
  called record;
  everybody constant text[] := array['get_conversations', 'get_messages', 'get_message', 'get_participants', 'get_unread_count', 'send_message',
    'edit_message', 'delete_message', 'toggle_reaction', 'mark_as_read', 'mark_as_unread', 'search_messages'];
  users constant text[] := array['start_conversation', 'create_group', 'add_participants', 'remove_participant', 'leave_conversation',
    'rename_conversation', 'set_participant_role', 'set_conversation_preferences', 'set_notification_preferences', 'register_push',
    'unregister_push', 'touch_presence', 'block_user', 'unblock_user', 'report_message', 'create_invite', 'accept_invite', 'revoke_invite'];
  guests constant text[] := array['end_guest_session'];
  -- What functions that run with the caller's rights, or policies, call.
  helpers constant text[] := array['describe_messages', 'unread', 'preview', 'fail', 'settings', 'my_conversations', 'guest_conversation', 'is_mine',
    'my_contacts', 'my_org', 'i_am_staff', 'may_see', 'may_read_topic', 'may_write_topic', 'is_withdrawn'];
begin
  for called in
    select p.oid::regprocedure as signature, n.nspname as place, p.proname as name
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'chat' or (n.nspname = 'public' and p.proname = any (everybody || users || guests))
  loop
    execute format('revoke all on function %s from public, anon, authenticated, chat_guest', called.signature);
    execute format('grant execute on function %s to service_role', called.signature);
    if called.name = any (case called.place when 'chat' then helpers else everybody || users end) then
      execute format('grant execute on function %s to authenticated', called.signature);
    end if;
    if called.name = any (case called.place when 'chat' then helpers else everybody || guests end) then
      execute format('grant execute on function %s to chat_guest', called.signature);
    end if;
  end loop;
end
$$;
