-- Search (C-210). With the rights of the owner, since under row level security Postgres may not use an index for text of rows that
-- it has not been allowed to look at yet; so the first condition of every query here is membership.

-- Words as prefixes: 'hel wor' finds 'hello world'. Null where there is no word.
create or replace function chat.prefix_query(query text) returns tsquery
language sql immutable set search_path = '' as $$
  select to_tsquery('pg_catalog.simple', string_agg(quote_literal(word) || ':*', ' & '))
  from (select w as word from regexp_split_to_table(lower(query), '[^[:alnum:]]+') w where w <> '' limit 16) words
$$;
comment on function chat.prefix_query(text) is 'The query for words that begin with those of a text.';

-- A text in pieces: those that match and those between. Pieces and not markup, so that nobody shows what others wrote as HTML.
create or replace function chat.snippet(content text, words text[]) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  pattern text := (
    select string_agg(regexp_replace(w, '([.^$*+?()\[\]{}|\\-])', '\\\1', 'g'), '|' order by char_length(w) desc) from unnest(words) w where w <> '');
  line text := regexp_replace(content, '\s+', ' ', 'g');
  start integer;
  pieces jsonb := '[]';
  piece record;
begin
  if pattern is null then
    return jsonb_build_array(jsonb_build_object('text', left(line, 160), 'hit', false));
  end if;
  start := greatest(1, coalesce(char_length((regexp_match(line, '^(.*?)(?:' || pattern || ')', 'i'))[1]), 0) - 40);
  -- At the beginning of a word; for a few letters nothing is left out.
  start := case when start <= 10 then 1 else start - 1 + coalesce(nullif(strpos(substr(line, start - 1, 25), ' '), 0), 1) end;
  line := case when start > 1 then '…' else '' end || substr(line, start, 160) || case when char_length(line) > start + 159 then '…' else '' end;
  for piece in
    select part, place from regexp_split_to_table(regexp_replace(line, '(' || pattern || ')', E'\uE000\\1\uE000', 'gi'), E'\uE000')
      with ordinality as split (part, place)
  loop
    continue when piece.part = '';
    pieces := pieces || jsonb_build_object('text', piece.part, 'hit', piece.place % 2 = 0);
  end loop;
  return pieces;
end
$$;
comment on function chat.snippet(text, text[]) is '[{text, hit}]: about 160 characters around the first match.';

create or replace function public.search_messages(
  query text, conversation_id uuid default null, before timestamptz default null, page_size integer default 20,
  sender_id uuid default null, has text default null, after timestamptz default null)
returns json
language plpgsql volatile security definer set search_path = '' as $$
declare
  wanted integer := least(greatest(coalesce(page_size, 20), 1), 100);
  limits public.chat_settings := chat.settings();
  spoken text := btrim(coalesce(query, ''));
  words tsquery;
  pattern text;
  places uuid[];
  hits uuid[];
  results json;
begin
  if auth.role() = 'chat_guest' then
    perform chat.count_guest('search', limits.guest_searches_per_minute);
  end if;
  if char_length(spoken) > 200 then
    perform chat.fail('22001', 'the search is too long', 'at most 200 characters');
  end if;
  if has not in ('attachment', 'image', 'video', 'file') then
    perform chat.fail('22023', 'nothing has that', 'has is one of attachment, image, video, file');
  end if;
  words := chat.prefix_query(spoken);
  if words is null then
    perform chat.fail('22023', 'there is no word to search for', 'give at least one letter or digit');
  end if;
  if search_messages.conversation_id is null then
    places := array(select chat.my_conversations());
  elsif chat.is_mine(search_messages.conversation_id) then
    places := array[search_messages.conversation_id];
  else
    perform chat.fail('PT404', 'there is no such conversation', 'only participants see it');
  end if;
  hits := array(
    select found.id
    from unnest(places) place
    cross join lateral (
      select m.id, m.created_at from public.messages m
      where m.conversation_id = place and m.deleted_at is null and m.search @@ words
        and (search_messages.before is null or m.created_at < search_messages.before)
        and (search_messages.after is null or m.created_at > search_messages.after)
        and (search_messages.sender_id is null or m.sender_id = search_messages.sender_id)
        and (has is null or (has = 'attachment' and m.attachments <> '[]') or m.content_type = has)
      order by m.created_at desc limit wanted + 1) found
    order by found.created_at desc, found.id desc limit wanted + 1);
  if cardinality(hits) = 0 then
    -- Parts of words, and what the parser of words takes for something else (addresses, file names).
    pattern := '%' || replace(replace(replace(spoken, '\', '\\'), '%', '\%'), '_', '\_') || '%';
    hits := array(
      select found.id
      from unnest(places) place
      cross join lateral (
        select m.id, m.created_at from public.messages m
        where m.conversation_id = place and m.deleted_at is null and m.content ilike pattern
          and (search_messages.before is null or m.created_at < search_messages.before)
          and (search_messages.after is null or m.created_at > search_messages.after)
          and (search_messages.sender_id is null or m.sender_id = search_messages.sender_id)
          and (has is null or (has = 'attachment' and m.attachments <> '[]') or m.content_type = has)
        order by m.created_at desc limit wanted + 1) found
      order by found.created_at desc, found.id desc limit wanted + 1);
  end if;
  select coalesce(json_agg(d.message::jsonb || jsonb_build_object(
      'conversation_name', c.name, 'conversation_type', c.type,
      'snippet', chat.snippet(d.message ->> 'content', case when pattern is null then regexp_split_to_array(lower(spoken), '[^[:alnum:]]+') else array[spoken] end))
    order by d.created_at desc, d.id desc), '[]')
  into results
  from chat.describe_messages(hits[1:wanted]) d
  join public.conversations c on c.id = (d.message ->> 'conversation_id')::uuid;
  return json_build_object('results', results, 'has_more', cardinality(hits) > wanted);
end
$$;
comment on function public.search_messages(text, uuid, timestamptz, integer, uuid, text, timestamptz) is
  'Messages of the caller''s conversations (or of one) whose words begin with those of the query, newest first; without such, those that contain it as it is. {results, has_more}: messages as get_messages gives them, with conversation_name, conversation_type and snippet [{text, hit}].';
