-- Switches of the original server; nothing of ours reads them.
create table if not exists feature_flags (
  id uuid not null primary key,
  name varchar(255) not null,
  enabled boolean not null default false,
  inserted_at timestamp(0) without time zone not null,
  updated_at timestamp(0) without time zone not null
);
alter table feature_flags
  add column if not exists rollout_percentage integer not null default 100,
  add column if not exists bucket_key varchar(255);
create unique index if not exists feature_flags_name_index on feature_flags (name);
do $$
begin
  if not exists (select from pg_constraint where conrelid = 'feature_flags'::regclass
                 and conname = 'rollout_percentage_must_be_between_0_and_100') then
    alter table feature_flags add constraint rollout_percentage_must_be_between_0_and_100
      check (rollout_percentage >= 0 and rollout_percentage <= 100);
  end if;
end
$$;
