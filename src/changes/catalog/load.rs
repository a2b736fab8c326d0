//! The questions to the catalog. Each takes one round trip, whatever the number of tables, and answers in JSON.
//!
//! All names are resolved by Postgres under an empty `search_path`, so that expressions come out fully qualified and
//! mean the same wherever they are evaluated later.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::changes::compiled::FunctionRow;

/// Tables of the publications, and the partitioned tables above them.
pub(super) const PUBLISHED: &str = "
select coalesce(json_agg(json_build_object(
    'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'leaf', c.relispartition,
    'roots', case when c.relispartition then (
        select coalesce(json_agg(json_build_object('oid', a.oid::int8, 'schema', an.nspname, 'name', a.relname)), '[]')
        from pg_catalog.pg_partition_ancestors(c.oid) as p(relid)
        join pg_catalog.pg_class a on a.oid = p.relid and a.oid <> c.oid
        join pg_catalog.pg_namespace an on an.oid = a.relnamespace) else '[]' end)
    order by n.nspname, c.relname), '[]')::text
from (select distinct schemaname, tablename from pg_catalog.pg_publication_tables where pubname = any($1::text[])) t
join pg_catalog.pg_namespace n on n.nspname = t.schemaname
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename";

/// Everything about tables that does not depend on who asks, but for the [`expressions`]: it waits for no lock. `$1`: oids
/// as int8[].
pub(super) const TABLES: &str = "
select coalesce(json_agg(json_build_object(
    'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,
    'rls', c.relrowsecurity, 'identity', c.relreplident,
    'columns', (
        select coalesce(json_agg(json_build_object(
            'number', a.attnum, 'name', a.attname, 'type_oid', a.atttypid::int8, 'modifier', a.atttypmod,
            'not_null', a.attnotnull,
            'type_schema', tn.nspname, 'type_name', t.typname,
            'generated', a.attgenerated, 'tree', case when a.attgenerated <> '' then d.adbin::text end)
            order by a.attnum), '[]')
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
        left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'primary_key', coalesce((select (i.indkey::int2[])[0:i.indnkeyatts - 1] from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary), '{}'),
    'identity_index', coalesce((select (i.indkey::int2[])[0:i.indnkeyatts - 1] from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisreplident), '{}'),
    'ancestors', case when c.relispartition then (
        select coalesce(json_agg(p.relid::pg_catalog.oid::int8 order by p.depth), '[]')
        from pg_catalog.pg_partition_ancestors(c.oid) with ordinality as p(relid, depth) where p.relid <> c.oid) else '[]' end,
    'policies', (
        select coalesce(json_agg(json_build_object(
            'oid', p.oid::int8, 'name', p.polname, 'permissive', p.polpermissive,
            'tree', p.polqual::text) order by p.polname desc), '[]')
        from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polcmd in ('r', '*')))), '[]')::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any($1::int8[]::pg_catalog.oid[])";

/// The expressions of policies and of generated columns as SQL. Postgres writes them out under a lock on their table, which
/// a TRUNCATE or an ALTER TABLE can keep from us: the statement fails if it takes longer than a moment, and before Postgres
/// looks for deadlocks, so that nobody's command is ever ended because of us. Numbers of columns are negative.
pub(super) fn expressions(oids: &[u32]) -> String {
    let oids: Vec<String> = oids.iter().map(ToString::to_string).collect();
    format!(
        "set local lock_timeout = '100ms';
select coalesce(json_agg(json_build_object('table', e.relid::int8, 'of', e.number, 'tree', e.tree::text,
                                           'expression', pg_catalog.pg_get_expr(e.tree, e.relid))), '[]')::text
from (select p.polrelid, p.oid::int8, p.polqual from pg_catalog.pg_policy p
      where p.polcmd in ('r', '*') and p.polqual is not null
      union all
      select d.adrelid, -d.adnum::int8, d.adbin from pg_catalog.pg_attrdef d
      join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum and a.attgenerated <> '') as e(relid, number, tree)
where e.relid = any('{{{}}}'::int8[]::pg_catalog.oid[])",
        oids.join(",")
    )
}

/// Types and everything they are made of. `$1`: oids as int8[].
pub(super) const TYPES: &str = "
with recursive needed(oid) as (
    select o::pg_catalog.oid from pg_catalog.unnest($1::int8[]) as o
    union
    select part.oid from needed join pg_catalog.pg_type t on t.oid = needed.oid
    cross join lateral (
        select t.typelem where t.typelem <> 0
        union all select t.typbasetype where t.typbasetype <> 0
        union all select a.atttypid from pg_catalog.pg_attribute a
            where t.typrelid <> 0 and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as part(oid))
select coalesce(json_agg(json_build_object(
    'oid', t.oid::int8, 'schema', n.nspname, 'name', t.typname, 'sql_name', pg_catalog.format_type(t.oid, null),
    'kind', case when t.typcategory = 'A' and t.typelem <> 0 and t.typlen = -1 then 'a' else t.typtype::text end,
    'element', t.typelem::int8, 'base', t.typbasetype::int8, 'delimiter', t.typdelim::text,
    'fields', case when t.typtype = 'c' then (
        select coalesce(json_agg(json_build_object('name', a.attname, 'type_oid', a.atttypid::int8) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) else '[]' end,
    'json_cast', t.oid >= 16384::pg_catalog.oid and exists (select from pg_catalog.pg_cast k
        where k.castsource = t.oid and k.casttarget = 'pg_catalog.json'::pg_catalog.regtype and k.castmethod = 'f'))), '[]')::text
from needed join pg_catalog.pg_type t on t.oid = needed.oid join pg_catalog.pg_namespace n on n.oid = t.typnamespace";

/// Does the database's default collation compare bytes?
pub(super) const BYTEWISE: &str = "
select coalesce(case pg_catalog.to_jsonb(d) ->> 'datlocprovider'
    when 'i' then false
    when 'b' then pg_catalog.to_jsonb(d) ->> 'datlocale' in ('C', 'C.UTF-8')
    else d.datcollate in ('C', 'POSIX') end, false)
from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";

/// What roles may do with tables. `$1`: role names, `$2`: oids of tables as int8[], one pair per position; `$3`: oids of
/// functions as int8[], of which those are told that a role may not call.
pub(super) const ROLES: &str = "
select coalesce(json_agg(json_build_object(
    'role', r.rolname, 'table', c.oid::int8,
    'usage', pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'USAGE'),
    'bypass', r.rolsuper or r.rolbypassrls
        or (pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE') and not c.relforcerowsecurity),
    'columns', (
        select coalesce(json_agg(a.attnum), '[]') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')),
    'policies', (
        select coalesce(json_agg(p.oid::int8), '[]') from pg_catalog.pg_policy p
        where p.polrelid = c.oid and p.polcmd in ('r', '*')
          and exists (select from pg_catalog.unnest(p.polroles) m(oid)
                      where m.oid = 0 or pg_catalog.pg_has_role(r.oid, m.oid, 'USAGE'))),
    'denied', (
        select coalesce(json_agg(f.oid), '[]') from pg_catalog.unnest($3::int8[]) as f(oid)
        where pg_catalog.has_function_privilege(r.oid, f.oid::pg_catalog.oid, 'EXECUTE') is not true))), '[]')::text
from rows from (unnest($1::text[]), unnest($2::int8[])) as pair(role, relid)
join pg_catalog.pg_roles r on r.rolname = pair.role
join pg_catalog.pg_class c on c.oid = pair.relid::pg_catalog.oid";

/// What is to know of functions, and of what else the meaning of expressions depends on. `pure`: those that come with
/// Postgres and never depend on anything but their arguments. `$1`: oids as int8[].
pub(super) const FUNCTIONS: &str = "
select json_build_object(
    'pure', coalesce(json_agg(p.oid::int8) filter (where p.provolatile = 'i' and p.oid < 16384::pg_catalog.oid
        and p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace), '[]'),
    'others', coalesce(json_agg(json_build_object(
        'oid', p.oid::int8, 'name', pg_catalog.format('%I.%I', n.nspname, p.proname), 'language', l.lanname,
        'source', coalesce(p.prosrc, ''), 'returns', p.prorettype::int8,
        'plain', p.prokind = 'f' and not p.proretset and p.pronargs = 0
            and (p.proconfig is null or p.proconfig = array['search_path=\"\"'])
            and pg_catalog.to_jsonb(p) ->> 'prosqlbody' is null)) filter (where p.oid >= 16384::pg_catalog.oid), '[]'),
    'claim_is_unset', pg_catalog.current_setting('request.jwt.claim', true) is null,
    'utf8', pg_catalog.current_setting('server_encoding') = 'UTF8')::text
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where p.oid = any($1::int8[]::pg_catalog.oid[])";

/// Changes whenever a role, a membership, a table, a column, a policy, a grant or a publication does.
pub(super) const FINGERPRINT_ALL: &str = "
select concat_ws(',',
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, xmin, ctid), 0)) from pg_catalog.pg_class where relkind in ('r','p')),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', attrelid, attnum, a.xmin, a.ctid), 0)) from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = attrelid and relkind in ('r','p') and c.oid >= 16384::pg_catalog.oid where attnum > 0),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, xmin, ctid), 0)) from pg_catalog.pg_policy),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, xmin, ctid), 0)) from pg_catalog.pg_namespace),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, xmin, ctid), 0)) from pg_catalog.pg_publication),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, xmin, ctid), 0)) from pg_catalog.pg_publication_rel),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', inhrelid, inhparent, xmin, ctid), 0)) from pg_catalog.pg_inherits),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, proacl, provolatile, xmin), 0)) from pg_catalog.pg_proc where oid >= 16384::pg_catalog.oid))";

/// Changes whenever a role's attributes or memberships do; these are shared by all databases and fire no event trigger.
pub(super) const FINGERPRINT_ROLES: &str = "
select concat_ws(',',
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', oid, rolname, rolsuper, rolinherit, rolbypassrls), 0)) from pg_catalog.pg_roles),
 (select sum(pg_catalog.hashtextextended(concat_ws(' ', roleid, member, xmin, ctid), 0)) from pg_catalog.pg_auth_members))";

/// Which transactions are visible.
pub(super) const SNAPSHOT: &str = "select pg_catalog.pg_current_snapshot()::text";

/// Is the event trigger that announces DDL in the stream there and enabled?
pub(super) const ANNOUNCED: &str = "
select exists (select from pg_catalog.pg_event_trigger where evtenabled in ('O', 'A') and evtname like 'dovetail%'
               and evtevent = 'ddl_command_end')";

#[derive(Debug, Deserialize)]
pub(super) struct PublishedRow {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) roots: Vec<RootRow>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RootRow {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
}

/// A table as the answer to `TABLES` tells of it, in JSON.
#[derive(Debug, Deserialize)]
pub struct TableRow {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) rls: bool,
    pub(super) identity: String,
    pub(super) columns: Vec<ColumnRow>,
    pub(super) primary_key: Vec<i16>,
    pub(super) identity_index: Vec<i16>,
    pub(super) ancestors: Vec<u32>,
    pub(super) policies: Vec<PolicyRow>,
    /// Some expression that matters could not be read.
    #[serde(skip)]
    pub(super) unread: bool,
}

/// The expression of a policy (by its oid) or of a generated column (by its negative number).
#[derive(Debug, Deserialize)]
pub(super) struct ExpressionRow {
    pub(super) table: u32,
    pub(super) of: i64,
    tree: String,
    expression: Option<String>,
}

impl TableRow {
    /// Are there expressions that matter?
    pub(super) fn has_expressions(&self) -> bool {
        let policies = self.policies.iter().any(|policy| policy.tree.is_some());
        (self.rls && policies) || self.columns.iter().any(|column| column.tree.is_some())
    }

    /// Puts the expressions in their places; text and tree are of one moment.
    pub(super) fn express(&mut self, found: &mut HashMap<(u32, i64), ExpressionRow>) {
        let policies = self
            .policies
            .iter_mut()
            .map(|row| (i64::from(row.oid), &mut row.tree, &mut row.expression));
        let columns = self
            .columns
            .iter_mut()
            .map(|row| (-i64::from(row.number), &mut row.tree, &mut row.expression));
        for (of, tree, expression) in policies.chain(columns) {
            if tree.is_none() {
                continue;
            }
            match found.remove(&(self.oid, of)) {
                Some(row) if row.expression.is_some() => {
                    *tree = Some(row.tree);
                    *expression = row.expression;
                }
                _ => self.unread |= self.rls || of < 0,
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ColumnRow {
    pub(super) number: i16,
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) type_schema: String,
    pub(super) type_name: String,
    pub(super) modifier: i32,
    pub(super) not_null: bool,
    pub(super) generated: String,
    #[serde(skip)]
    pub(super) expression: Option<String>,
    pub(super) tree: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TypeRow {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) sql_name: String,
    pub(super) kind: String,
    pub(super) element: u32,
    pub(super) base: u32,
    pub(super) delimiter: String,
    pub(super) fields: Vec<FieldRow>,
    pub(super) json_cast: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct FieldRow {
    pub(super) name: String,
    pub(super) type_oid: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyRow {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) permissive: bool,
    #[serde(skip)]
    pub(super) expression: Option<String>,
    pub(super) tree: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoleRow {
    pub(super) role: String,
    pub(super) table: u32,
    pub(super) usage: bool,
    pub(super) bypass: bool,
    pub(super) columns: Vec<i16>,
    pub(super) policies: Vec<u32>,
    pub(super) denied: Vec<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FunctionsRow {
    pub(super) pure: BTreeSet<u32>,
    pub(super) others: Vec<FunctionRow>,
    pub(super) claim_is_unset: bool,
    pub(super) utf8: bool,
}
