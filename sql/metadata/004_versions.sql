-- Tells the original server which of its migrations need not run: without them it would create its tables again and fail.
-- Only its own versions, and the files before this one have established what they do (postgres.md 1.10, 1.13).
create table if not exists schema_migrations (
  version bigint not null primary key,
  inserted_at timestamp(0) without time zone
);
insert into schema_migrations (version, inserted_at)
select version, timezone('utc', now()) from unnest(array[
  20210706140551, 20220329161857, 20220410212326, 20220506102948, 20220527210857, 20220815211129, 20220815215024,
  20220818141501, 20221018173709, 20221102172703, 20221223010058, 20230110180046, 20230810220907, 20230810220924,
  20231024094642, 20240306114423, 20240418082835, 20240625211759, 20240704172020, 20240902173232, 20241106103258,
  20250424203323, 20250613072131, 20250711044927, 20250811121559, 20250926223044, 20251204170944, 20251218000543,
  20260209232800, 20260304000000, 20260422000000, 20260709151810, 20260805000000]) as version
on conflict (version) do nothing;
