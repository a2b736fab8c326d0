-- The table of the sample that `dovetail dev` prints. Everybody may do everything with it: a demonstration, not a pattern.
create table if not exists public.todos (
  id bigint generated always as identity primary key,
  task text not null,
  done boolean not null default false,
  inserted_at timestamptz not null default now()
);

alter table public.todos enable row level security;

drop policy if exists "demo: everybody may read and write" on public.todos;
create policy "demo: everybody may read and write" on public.todos
  for all to anon, authenticated using (true) with check (true);

grant usage on schema public to anon, authenticated, service_role;
grant select, insert, update, delete on public.todos to anon, authenticated, service_role;

do $$
begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  if not exists (
    select from pg_publication_tables
    where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'todos'
  ) then
    alter publication supabase_realtime add table public.todos;
  end if;
end
$$;
