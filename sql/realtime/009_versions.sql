-- Tells the original server which of its migrations need not run (postgres.md 1.5, G-022, G-023). It counts these rows, so
-- only its own versions may be here, and only those whose effect the files before this one have established.
do $$
begin
  if to_regclass('realtime.schema_migrations') is null then
    create table realtime.schema_migrations (
      version bigint not null,
      inserted_at timestamp(0) default now(),
      constraint schema_migrations_pkey primary key (version)
    );
    if pg_temp.may_become(current_user, 'supabase_admin') then
      alter table realtime.schema_migrations owner to supabase_admin;
    end if;
    if exists (select from pg_roles where rolname = 'postgres' and not rolsuper) then
      revoke all on realtime.schema_migrations from postgres;
    end if;
  end if;

  insert into realtime.schema_migrations (version, inserted_at)
  select version, now() from unnest(array[
    20211116024918, 20211116045059, 20211116050929, 20211116051442, 20211116212300, 20211116213355, 20211116213934,
    20211116214523, 20211122062447, 20211124070109, 20211202204204, 20211202204605, 20211210212804, 20211228014915,
    20220107221237, 20220228202821, 20220312004840, 20220603231003, 20220603232444, 20220615214548, 20220712093339,
    20220908172859, 20220916233421, 20230119133233, 20230128025114, 20230128025212, 20230227211149, 20230228184745,
    20230308225145, 20230328144023, 20231018144023, 20231204144023, 20231204144024, 20231204144025, 20240108234812,
    20240109165339, 20240227174441, 20240311171622, 20240321100241, 20240401105812, 20240418121054, 20240523004032,
    20240618124746, 20240801235015, 20240805133720, 20240827160934, 20240919163303, 20240919163305, 20241019105805,
    20241030150047, 20241108114728, 20241121104152, 20241130184212, 20241220035512, 20241220123912, 20241224161212,
    20250107150512, 20250110162412, 20250123174212, 20250128220012, 20250506224012, 20250523164012, 20250714121412,
    20250905041441, 20251103001201, 20251120212548, 20251120215549, 20260218120000, 20260326120000, 20260514120000,
    20260527120000, 20260528120000, 20260603120000, 20260605120000, 20260606110000, 20260616120000, 20260624120000,
    20260626120000, 20260706120000, 20260707120000, 20260709120000]) as version
  -- 20260707120000 gives everything to supabase_realtime_admin. We leave owners as we find them, so where that is not the
  -- state the original is left to do it.
  where version <> 20260707120000 or not exists (
    select from pg_proc where pronamespace = 'realtime'::regnamespace
      and pg_get_userbyid(proowner) <> 'supabase_realtime_admin'
    union all
    select from pg_class where oid in ('realtime.messages'::regclass, 'realtime.subscription'::regclass)
      and pg_get_userbyid(relowner) <> 'supabase_realtime_admin'
    union all
    select from pg_type where oid in ('realtime.action'::regtype, 'realtime.equality_op'::regtype,
        'realtime.user_defined_filter'::regtype, 'realtime.wal_column'::regtype, 'realtime.wal_rls'::regtype)
      and pg_get_userbyid(typowner) <> 'supabase_realtime_admin')
  on conflict (version) do nothing;
end
$$;
