//! The published tables: keys, replica identity, grants and policies.

use tokio_postgres::{Client, Row};

use super::CHANGES;
use super::report::{Finding, Found, Severity};

/// One row for each published table; the client roles may be missing, then nobody has a grant.
const TABLES: &str = "
    with published as (
      select distinct c.oid
      from pg_publication_tables t
      join pg_namespace n on n.nspname = t.schemaname
      join pg_class c on c.relname = t.tablename and c.relnamespace = n.oid
      where t.pubname = $1),
    client as (select oid, rolname from pg_roles where rolname in ('anon', 'authenticated'))
    select format('%I.%I', n.nspname, c.relname), quote_ident(n.nspname),
           k.indexrelid is not null as has_key,
           c.relreplident::text,
           p.pubupdate or p.pubdelete as needs_identity,
           c.relrowsecurity,
           exists (select from pg_policy l where l.polrelid = c.oid and l.polpermissive and l.polcmd in ('r', '*')) as has_policy,
           exists (select from client where has_schema_privilege(client.oid, n.oid, 'usage')) as reachable,
           exists (select from client where (
             select coalesce(bool_and(has_column_privilege(client.oid, c.oid, a.attnum, 'select')), has_table_privilege(client.oid, c.oid, 'select'))
             from pg_attribute a where a.attrelid = c.oid and a.attnum = any (k.indkey))) as readable,
           exists (select from client where rolname = 'anon' and has_any_column_privilege(client.oid, c.oid, 'select')) as open_to_anon,
           exists (select from pg_partition_ancestors(c.oid) a join pg_class q on q.oid = a.relid
                   where a.relid <> c.oid and q.relrowsecurity) as ancestor_protected
    from published
    join pg_class c on c.oid = published.oid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_publication p on p.pubname = $1
    left join pg_index k on k.indrelid = c.oid and k.indisprimary
    order by 1";

pub(super) async fn check(client: &Client) -> Found {
    let rows = client.query(TABLES, &[&CHANGES]).await?;
    let mut found = Vec::new();
    let mut keys_only = Vec::new();
    for row in &rows {
        one(row, &mut found);
        if row.get::<_, String>(3) == "d" && row.get::<_, bool>(2) {
            keys_only.push(row.get::<_, String>(0));
        }
    }
    if let Some(first) = keys_only.first() {
        found.push(Finding::new(
            Severity::Info,
            "replica-identity",
            format!(
                "{} table(s) send only the key as the old row: filters of deletes see nothing else, and large unchanged columns are fetched again",
                keys_only.len()
            ),
            format!("if old values are wanted: alter table {first} replica identity full"),
        ));
    }
    Ok(found)
}

fn one(row: &Row, found: &mut Vec<Finding>) {
    let table: String = row.get(0);
    let schema: String = row.get(1);
    let (has_key, identity, needs_identity): (bool, String, bool) =
        (row.get(2), row.get(3), row.get(4));
    let (protected, has_policy): (bool, bool) = (row.get(5), row.get(6));
    let (reachable, readable, open_to_anon): (bool, bool, bool) =
        (row.get(7), row.get(8), row.get(9));
    let mut say = |severity, check, problem: String, fix: String| {
        found.push(Finding::new(severity, check, problem, fix));
    };
    if !has_key {
        say(
            Severity::Warning,
            "primary-key",
            format!(
                "{table} has no primary key: inserts and updates arrive as an error without data"
            ),
            format!(
                "alter table {table} add column id bigint generated always as identity primary key"
            ),
        );
    }
    if needs_identity && (identity == "n" || (identity == "d" && !has_key)) {
        say(
            Severity::Error,
            "replica-identity",
            format!(
                "{table} has no replica identity: Postgres refuses updates and deletes on it as long as it is published"
            ),
            format!("alter table {table} replica identity full"),
        );
    }
    if !reachable {
        say(
            Severity::Warning,
            "grants",
            format!(
                "neither anon nor authenticated may use schema {schema}: clients receive nothing of {table}"
            ),
            format!("grant usage on schema {schema} to anon, authenticated"),
        );
    }
    if !readable {
        say(
            Severity::Warning,
            "grants",
            format!(
                "neither anon nor authenticated may read the key of {table}: they receive \"Error 401: Unauthorized\""
            ),
            format!("grant select on {table} to authenticated"),
        );
    }
    if protected && !has_policy {
        say(
            Severity::Warning,
            "policies",
            format!(
                "{table} has row level security but no policy for reading: only service_role receives its changes"
            ),
            format!(
                "create policy \"read own\" on {table} for select to authenticated using (auth.uid() = user_id)"
            ),
        );
    }
    if !protected && row.get::<_, bool>(10) {
        say(
            Severity::Warning,
            "policies",
            format!(
                "the partition {table} has no row level security, its parent has: read directly, its rows are open"
            ),
            format!("alter table {table} enable row level security"),
        );
    } else if !protected && open_to_anon {
        say(
            Severity::Info,
            "policies",
            format!(
                "{table} has no row level security: everybody with the anon key receives every row"
            ),
            format!("if that is not meant: alter table {table} enable row level security"),
        );
    }
}
