//! Schema `storage`: what a plain database gets, what a Supabase database keeps, and what is swept.

use std::time::{Duration, SystemTime};

use dovetail::config::{Config, Purpose};
use dovetail::gateway;
use dovetail::postgres::migrate::{Set, migrate};
use serde_json::json;

use crate::support::cluster::{Cluster, PASSWORD};
use crate::support::surface::Surface;
use crate::support::token;
use crate::surface_storage::{ANN, bucket, contents, put};
use crate::surface_storage_leaks::{begin, patch};

#[tokio::test]
async fn a_plain_database_gets_what_policies_are_written_for() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    migrate(&sql, Set::Embedded).await.unwrap();
    assert!(
        migrate(&sql, Set::Embedded)
            .await
            .unwrap()
            .applied
            .is_empty()
    );
    let row = sql
        .query_one(
            "select storage.foldername('a/b/c.tar.gz'), storage.filename('a/b/c.tar.gz'), storage.extension('a/b/c.tar.gz'),
                    storage.foldername('c'), storage.filename('c'),
                    (select array_agg(relname::text order by 1) from pg_class where relnamespace = 'storage'::regnamespace
                       and relkind = 'r' and relrowsecurity),
                    (select rolname::text from pg_roles r join pg_class c on c.relowner = r.oid
                       where c.oid = 'storage.objects'::regclass),
                    has_table_privilege('anon', 'storage.objects', 'insert')
                      and has_table_privilege('authenticated', 'storage.buckets', 'delete')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, Vec<String>>(0), ["a", "b"]);
    assert_eq!(row.get::<_, &str>(1), "c.tar.gz");
    assert_eq!(row.get::<_, &str>(2), "gz");
    assert_eq!(row.get::<_, Vec<String>>(3), Vec::<String>::new());
    assert_eq!(row.get::<_, &str>(4), "c");
    assert_eq!(row.get::<_, Vec<String>>(5), ["buckets", "objects"]);
    assert_eq!(row.get::<_, &str>(6), "supabase_storage_admin");
    assert!(row.get::<_, bool>(7));
    sql.batch_execute("insert into storage.buckets (id, name) values ('b', 'b'); insert into storage.objects (bucket_id, name) values ('b', 'a/b')")
        .await
        .unwrap();
    let tokens: Vec<String> = sql
        .query_one("select path_tokens from storage.objects", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(tokens, ["a", "b"]);
    let error = sql
        .batch_execute("delete from storage.objects")
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    sql.batch_execute("set storage.allow_delete_query = 'true'; delete from storage.objects")
        .await
        .unwrap();
}

/// Tables as an older Supabase has them, with columns and triggers that are not ours.
const SUPABASE: &str = "
create schema storage;
create table storage.buckets (id text primary key, name text not null unique, owner uuid, created_at timestamptz default now(),
  updated_at timestamptz default now(), public boolean default false, avif_autodetection boolean default false,
  file_size_limit bigint, allowed_mime_types text[], owner_id text);
create table storage.objects (id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets,
  name text, owner uuid, created_at timestamptz default now(), updated_at timestamptz default now(),
  last_accessed_at timestamptz default now(), metadata jsonb,
  path_tokens text[] generated always as (string_to_array(name, '/')) stored, version text, owner_id text,
  user_metadata jsonb, level integer, archived_at timestamptz, is_versioned boolean not null default false);
create unique index bucketid_objname on storage.objects (bucket_id, name);
alter table storage.objects enable row level security;
alter table storage.buckets enable row level security;
create function storage.search(prefix text, bucketname text, limits int default 100, levels int default 1,
  offsets int default 0, search text default '', sortcolumn text default 'name', sortorder text default 'asc')
  returns table (name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb)
  language sql stable as $$ select o.path_tokens[levels], o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata
    from storage.objects o where o.bucket_id = bucketname and starts_with(o.name, prefix) $$;
create function storage.guard() returns trigger language plpgsql as $$ begin
  if coalesce(current_setting('storage.allow_delete_query', true), '') <> 'true' then raise exception 'no' using errcode = '42501'; end if;
  return null; end $$;
create trigger guard before delete on storage.objects for each statement execute function storage.guard();
grant usage on schema storage to anon, authenticated, service_role;
grant all on all tables in schema storage to anon, authenticated, service_role;
";

#[tokio::test]
async fn a_supabase_database_is_used_as_it_is() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(SUPABASE).await.unwrap();
    let shape = "select md5(string_agg(md5(t::text), '' order by t::text)) from (
        select attrelid::regclass::text || attname || atttypid::regtype::text as t from pg_attribute
          where attrelid in ('storage.objects'::regclass, 'storage.buckets'::regclass) and attnum > 0
        union all select p.oid::regprocedure::text || prosrc from pg_proc p where pronamespace = 'storage'::regnamespace
        union all select tgname::text from pg_trigger where tgrelid = 'storage.objects'::regclass
        union all select relname || relowner::regrole::text from pg_class where relnamespace = 'storage'::regnamespace) t";
    let before: String = sql.query_one(shape, &[]).await.unwrap().get(0);
    let surface = Surface::over(database, &[]).await;
    let after: String = sql.query_one(shape, &[]).await.unwrap().get(0);
    assert_eq!(before, after);

    bucket(&surface, "b", &json!({})).await;
    let shown = surface
        .get("/storage/v1/bucket/b", &surface.service)
        .await
        .json();
    assert_eq!(shown["type"], "STANDARD");
    assert_eq!(
        put(&surface, "b/f/a", &surface.service, "text/plain", b"one")
            .await
            .status,
        200
    );
    let list = surface
        .ask_json(
            "POST",
            "/storage/v1/object/list/b",
            &surface.service,
            &json!({"prefix": "f"}),
        )
        .await;
    assert_eq!(list.json()[0]["name"], "a");
    let body = json!({"prefixes": ["f/a"]});
    let removed = surface
        .ask_json("DELETE", "/storage/v1/object/b", &surface.service, &body)
        .await;
    assert_eq!(removed.json()[0]["name"], "f/a", "{}", removed.text());
}

/// What the server of this surface was told, for a sweep of our own.
fn settings(surface: &Surface) -> gateway::Settings {
    let (port, folder) = (
        surface.database.port.to_string(),
        surface.folder().to_str().unwrap().to_owned(),
    );
    let lookup = |name: &str| {
        Ok(match name {
            "DB_HOST" => Some("127.0.0.1".to_owned()),
            "DB_PORT" => Some(port.clone()),
            "DB_NAME" => Some(surface.database.name.clone()),
            "DB_USER" => Some("postgres".to_owned()),
            "DB_PASSWORD" => Some(PASSWORD.to_owned()),
            "API_JWT_SECRET" => Some(token::SECRET.to_owned()),
            "SURFACE" => Some("embedded".to_owned()),
            "FILE_STORAGE_BACKEND_PATH" => Some(folder.clone()),
            _ => None,
        })
    };
    let config =
        Config::read(&lookup, Purpose::Any, 0).unwrap_or_else(|problems| panic!("{problems}"));
    gateway::Settings {
        parts: config.surface.parts.unwrap(),
        connect: config.database.clone().unwrap(),
        password: Some(dovetail::config::Secret::new(PASSWORD)),
        connections: 2,
        statement_timeout: Duration::from_secs(10),
        jwt_secret: None,
        external_url: None,
        rest: config.surface.rest.clone(),
        auth: config.surface.auth.clone(),
        storage: config.surface.storage.clone(),
    }
}

#[tokio::test]
async fn content_without_a_row_is_swept_when_it_is_old() {
    let surface = Surface::start().await;
    let sql = surface.database.connect().await;
    let settings = settings(&surface);
    bucket(&surface, "own", &json!({})).await;
    for name in ["kept", "gone", "moved"] {
        assert_eq!(
            put(
                &surface,
                &format!("own/{name}"),
                &surface.service,
                "text/plain",
                name.as_bytes()
            )
            .await
            .status,
            200
        );
    }
    let places = json!({"bucketId": "own", "sourceKey": "moved", "destinationKey": "there"});
    surface
        .ask_json("POST", "/storage/v1/object/move", &surface.service, &places)
        .await;
    // A row that goes without its content, and a file that a killed server was writing.
    sql.batch_execute(
        "set storage.allow_delete_query = 'true'; delete from storage.objects where name = 'gone'",
    )
    .await
    .unwrap();
    let partial = contents(&surface)[0].with_file_name("partial#1");
    std::fs::write(&partial, b"half").unwrap();
    std::fs::File::options()
        .write(true)
        .open(&partial)
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(7200))
        .unwrap();
    let created = begin(&surface, &surface.service, "unfinished", 10, "false").await;
    let path = created.header("location").unwrap().to_owned();
    patch(&surface, &path, &surface.service, 0, b"01234").await;
    assert_eq!(contents(&surface).len(), 6);

    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    // Young content is left alone; the file of the killed server is old.
    assert_eq!(gateway::sweep_storage(&settings, hour, day).await, Ok(1));
    assert_eq!(contents(&surface).len(), 5);
    assert_eq!(
        gateway::sweep_storage(&settings, Duration::ZERO, day).await,
        Ok(1)
    );
    assert_eq!(contents(&surface).len(), 4);
    assert_eq!(
        patch(&surface, &path, &surface.service, 5, b"5")
            .await
            .status,
        204
    );
    assert_eq!(
        gateway::sweep_storage(&settings, hour, Duration::ZERO).await,
        Ok(1)
    );
    assert_eq!(contents(&surface).len(), 2);
    assert_eq!(
        patch(&surface, &path, &surface.service, 6, b"6")
            .await
            .status,
        404
    );
    // The folder of the upload goes when it is old as well.
    let uploads = surface.folder().join("uploads");
    assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 1);
    assert_eq!(
        gateway::sweep_storage(&settings, Duration::ZERO, day).await,
        Ok(0)
    );
    assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0);
    for name in ["kept", "there"] {
        assert_eq!(
            surface
                .get(&format!("/storage/v1/object/own/{name}"), &surface.service)
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn nothing_is_swept_when_the_database_cannot_say_what_has_a_row() {
    let surface = Surface::start().await;
    let sql = surface.database.connect().await;
    let settings = settings(&surface);
    bucket(&surface, "own", &json!({})).await;
    put(&surface, "own/a", &surface.service, "text/plain", b"a").await;
    sql.batch_execute("set storage.allow_delete_query = 'true'; create table kept as select * from storage.objects; delete from storage.objects")
        .await
        .unwrap();
    // Not a row at all: another database over the same folder.
    assert_eq!(
        gateway::sweep_storage(&settings, Duration::ZERO, Duration::from_secs(3600)).await,
        Ok(0)
    );
    sql.batch_execute(
        "insert into storage.objects (id, bucket_id, name, version) select id, bucket_id, name, version from kept;
         alter table storage.objects rename to hidden",
    )
    .await
    .unwrap();
    assert!(
        gateway::sweep_storage(&settings, Duration::ZERO, Duration::from_secs(3600))
            .await
            .is_err()
    );
    assert_eq!(contents(&surface).len(), 1);
}

#[tokio::test]
async fn what_a_user_uploads_is_the_users() {
    let surface = Surface::start().await;
    let sql = surface.database.connect().await;
    bucket(&surface, "own", &json!({})).await;
    sql.batch_execute("create policy put on storage.objects for insert to authenticated with check (owner_id = auth.uid()::text and owner = auth.uid())")
        .await
        .unwrap();
    assert_eq!(
        put(&surface, "own/a", &token::user(ANN), "text/plain", b"x")
            .await
            .status,
        200
    );
    // A subject that is no uuid owns by the new column only.
    let odd = token::mint(json!({"role": "service_role", "sub": "auth0|7"}));
    assert_eq!(
        put(&surface, "own/b", &odd, "text/plain", b"x")
            .await
            .status,
        200
    );
    let owners = sql
        .query(
            "select owner::text, owner_id from storage.objects order by name",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(owners[0].get::<_, Option<&str>>(0), Some(ANN));
    assert_eq!(owners[1].get::<_, Option<&str>>(0), None);
    assert_eq!(owners[1].get::<_, &str>(1), "auth0|7");
}
