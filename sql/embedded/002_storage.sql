-- Buckets and objects, in the table layout of Supabase Storage.
select 1;
