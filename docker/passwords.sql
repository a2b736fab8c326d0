-- Run once by the database image, when its volume is new: the roles with which the other services log in.
\set password `echo "$POSTGRES_PASSWORD"`
alter role authenticator password :'password';
alter role supabase_auth_admin password :'password';
alter role supabase_storage_admin password :'password';
