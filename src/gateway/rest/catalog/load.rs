//! Reads the catalog of the database, as `authenticator`: it says what there is, never what is in it.
//!
//! The search path is empty meanwhile, so that Postgres writes every type, default and the like with its schema, and
//! the text means the same under any path later.

use std::collections::HashMap;

use axum::http::{HeaderMap, Method};

use super::model::{Argument, Column, Computed, Function, Kind, Returns, Shape};
use super::relationships::{Constraint, ConstraintKind};
use super::views::{Origin, origins};
use crate::gateway::caller::{Caller, Facts};
use crate::gateway::database::{Access, Database, Error, Transaction};

/// What the database says, by the numbers of its objects.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) snapshot: String,
    pub(super) fingerprint: String,
    pub(super) relations: Vec<RawRelation>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) views: HashMap<i64, Vec<Origin>>,
    pub(super) functions: Vec<Function>,
    /// With the number of the relation whose rows they take, and their name.
    pub(super) computed: Vec<(i64, String, Computed)>,
}

/// A relation of an exposed schema; its columns with their numbers.
#[derive(Debug)]
pub(super) struct RawRelation {
    pub(super) number: i64,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) view: bool,
    pub(super) columns: Vec<(i16, Column)>,
}

/// Which transactions are over: while this is the same, nothing has changed. It costs nothing.
const SNAPSHOT: &str = "select pg_catalog.pg_current_snapshot()::text, $1::text";

/// Every row of the catalogs that is read here, by its place and the transaction that wrote it: while this is the same, what
/// is read from them is, though others may have written meanwhile. Some milliseconds.
const FINGERPRINT: &str = "
select pg_catalog.count(*)::text || ' ' || pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(catalog, xmin, ctid)))::text, $1::text
from (
    select 1 as catalog, xmin, ctid from pg_catalog.pg_class union all select 2, xmin, ctid from pg_catalog.pg_attribute
    union all select 3, xmin, ctid from pg_catalog.pg_attrdef union all select 4, xmin, ctid from pg_catalog.pg_constraint
    union all select 5, xmin, ctid from pg_catalog.pg_type union all select 6, xmin, ctid from pg_catalog.pg_proc
    union all select 7, xmin, ctid from pg_catalog.pg_rewrite union all select 8, xmin, ctid from pg_catalog.pg_namespace
    union all select 9, xmin, ctid from pg_catalog.pg_enum
) as rows";

const COLUMNS: &str = "
select c.oid::int8, n.nspname::text, c.relname::text, c.relkind in ('v', 'm'), a.attnum, a.attname::text,
    pg_catalog.format_type(a.atttypid, a.atttypmod),
    coalesce(nullif(t.typbasetype, 0), t.oid)::int8,
    case when a.attgenerated <> '' then null
        when a.attidentity <> '' then 'pg_catalog.nextval(' || pg_catalog.quote_literal(
            pg_catalog.pg_get_serial_sequence(pg_catalog.format('%I.%I', n.nspname, c.relname), a.attname)) || '::regclass)'
        else pg_catalog.pg_get_expr(d.adbin, d.adrelid) end
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where n.nspname = any ($1) and c.relkind in ('r', 'v', 'm', 'f', 'p')
order by n.nspname, c.relname, a.attnum";

const CONSTRAINTS: &str = "
select conrelid::int8, conname::text, contype::text, conkey, confrelid::int8, coalesce(confkey, '{}')
from pg_catalog.pg_constraint
where contype in ('p', 'u', 'f') and conrelid <> 0 and connamespace <> all ($1::regnamespace[])
    and (contype <> 'f' or conparentid = 0)
order by conrelid, conname";

const VIEWS: &str = "
select r.ev_class::int8, r.ev_action::text
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class c on c.oid = r.ev_class
where c.relkind in ('v', 'm') and r.rulename = '_RETURN' and c.relnamespace <> all ($1::regnamespace[])";

const FUNCTIONS: &str = "
select n.nspname::text, p.proname::text, p.provolatile = 'v', p.proretset, p.prorettype = 'void'::regtype,
    p.pronargdefaults::int4, coalesce(p.proargnames, '{}'), coalesce(p.proargmodes::text[], '{}'),
    array(select pg_catalog.format_type(a.type, -1) from pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
        with ordinality a (type, place) order by place),
    array(select coalesce(nullif(t.typbasetype, 0), t.oid)::int8
        from pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality a (type, place)
        join pg_catalog.pg_type t on t.oid = a.type order by place),
    rn.nspname::text, rc.relname::text, rc.relkind::text,
    array(select a.attname::text from pg_catalog.pg_attribute a
        where a.attrelid = rc.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
    array(select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a
        where a.attrelid = rc.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
    array(select coalesce(nullif(t.typbasetype, 0), t.oid)::int8 from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        where a.attrelid = rc.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
    (select coalesce(t.typrelid, 0)::int8 from pg_catalog.pg_type t
        where p.pronargs = 1 and t.oid = p.proargtypes[0] and t.typtype = 'c'),
    coalesce(nullif(rt.typbasetype, 0), rt.oid)::int8
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type rt on rt.oid = p.prorettype
left join pg_catalog.pg_type bt on bt.oid = coalesce(nullif(rt.typbasetype, 0), rt.oid) and bt.typtype = 'c'
left join pg_catalog.pg_class rc on rc.oid = bt.typrelid
left join pg_catalog.pg_namespace rn on rn.oid = rc.relnamespace
where n.nspname = any ($1) and p.prokind = 'f'
    and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
order by n.nspname, p.proname, p.oid";

/// Which transactions are over, as text.
pub(super) async fn snapshot(database: &Database) -> Result<String, Error> {
    text(database, SNAPSHOT).await
}

/// What stays the same as long as the catalog does, as text.
pub(super) async fn fingerprint(database: &Database) -> Result<String, Error> {
    text(database, FINGERPRINT).await
}

async fn text(database: &Database, sql: &str) -> Result<String, Error> {
    let (who, facts) = service();
    let rows = database
        .once("", &who, &facts, Access::Read, sql, &[&""])
        .await?;
    Ok(rows
        .first()
        .and_then(|row| row.try_get(0).ok())
        .unwrap_or_default())
}

/// Everything about these schemas. Functions that are read like columns may be in `extra` too.
pub(super) async fn read(
    database: &Database,
    schemas: &[String],
    extra: &[String],
) -> Result<Raw, Error> {
    let (who, facts) = service();
    let transaction = database.begin_in("", &who, &facts, Access::Read).await?;
    // First of all: what commits from here on makes another snapshot, and another fingerprint.
    let first = transaction.query_opt(SNAPSHOT, &[&""]).await?;
    let snapshot = first
        .and_then(|row| row.try_get(0).ok())
        .unwrap_or_default();
    let first = transaction.query_opt(FINGERPRINT, &[&""]).await?;
    let fingerprint = first
        .and_then(|row| row.try_get(0).ok())
        .unwrap_or_default();
    let both: Vec<String> = schemas.iter().chain(extra).cloned().collect();
    let system: Vec<String> = ["pg_catalog", "information_schema"]
        .map(str::to_owned)
        .to_vec();
    let mut raw = Raw {
        snapshot,
        fingerprint,
        relations: relations(&transaction, schemas).await?,
        constraints: constraints(&transaction, &system).await?,
        views: views(&transaction, &system).await?,
        ..Raw::default()
    };
    functions(&transaction, &both, &mut raw).await?;
    transaction.rollback().await?;
    Ok(raw)
}

fn service() -> (Caller, Facts) {
    let facts = Facts::of(&Method::GET, "/", &HeaderMap::new());
    (Caller::service("authenticator"), facts)
}

async fn relations(
    transaction: &Transaction,
    schemas: &[String],
) -> Result<Vec<RawRelation>, Error> {
    let mut relations: Vec<RawRelation> = Vec::new();
    for row in transaction.query(COLUMNS, &[&schemas]).await? {
        let number = row.try_get(0)?;
        if relations.last().is_none_or(|last| last.number != number) {
            relations.push(RawRelation {
                number,
                schema: row.try_get(1)?,
                name: row.try_get(2)?,
                view: row.try_get(3)?,
                columns: Vec::new(),
            });
        }
        let column: Option<i16> = row.try_get(4)?;
        if let (Some(column), Some(relation)) = (column, relations.last_mut()) {
            let known = Column {
                name: row.try_get(5)?,
                type_name: row.try_get(6)?,
                kind: kind(row.try_get(7)?),
                default: row.try_get(8)?,
            };
            relation.columns.push((column, known));
        }
    }
    Ok(relations)
}

async fn constraints(
    transaction: &Transaction,
    system: &[String],
) -> Result<Vec<Constraint>, Error> {
    let rows = transaction.query(CONSTRAINTS, &[&Names(system)]).await?;
    let mut constraints = Vec::with_capacity(rows.len());
    for row in rows {
        let kind: String = row.try_get(2)?;
        constraints.push(Constraint {
            relation: row.try_get(0)?,
            name: row.try_get(1)?,
            columns: row.try_get(3)?,
            kind: match kind.as_str() {
                "p" => ConstraintKind::Key,
                "u" => ConstraintKind::Unique,
                _ => ConstraintKind::Foreign {
                    target: row.try_get(4)?,
                    columns: row.try_get(5)?,
                },
            },
        });
    }
    Ok(constraints)
}

async fn views(
    transaction: &Transaction,
    system: &[String],
) -> Result<HashMap<i64, Vec<Origin>>, Error> {
    let mut views = HashMap::new();
    for row in transaction.query(VIEWS, &[&Names(system)]).await? {
        views.insert(row.try_get(0)?, origins(row.try_get(1)?));
    }
    Ok(views)
}

async fn functions(
    transaction: &Transaction,
    schemas: &[String],
    raw: &mut Raw,
) -> Result<(), Error> {
    for row in transaction.query(FUNCTIONS, &[&schemas]).await? {
        let schema: String = row.try_get(0)?;
        let name: String = row.try_get(1)?;
        let set: bool = row.try_get(3)?;
        let (arguments, out) = arguments(
            usize::try_from(row.try_get::<_, i32>(5)?).unwrap_or(0),
            &row.try_get::<_, Vec<String>>(6)?,
            &row.try_get::<_, Vec<String>>(7)?,
            row.try_get(8)?,
            &row.try_get::<_, Vec<i64>>(9)?,
        );
        let composite: Option<String> = row.try_get(11)?;
        let shape = match (row.try_get(4)?, out.is_empty(), composite) {
            (true, ..) => Shape::Void,
            (_, false, _) => Shape::Columns(out),
            (_, _, None) => Shape::Scalar,
            (_, _, Some(relation)) => {
                let of: Option<String> = row.try_get(10)?;
                let kind: Option<String> = row.try_get(12)?;
                match of.as_deref() == Some(&*schema) && kind.as_deref() != Some("c") {
                    true => Shape::Relation(relation),
                    false => Shape::Columns(columns(
                        row.try_get(13)?,
                        row.try_get(14)?,
                        row.try_get(15)?,
                    )),
                }
            }
        };
        let of: Option<i64> = row.try_get(16)?;
        if let (Some(of), false) = (of, set) {
            let kind = kind(row.try_get(17)?);
            let schema = schema.clone();
            raw.computed
                .push((of, name.clone(), Computed { schema, kind }));
        }
        raw.functions.push(Function {
            schema,
            name,
            arguments,
            returns: Returns { set, shape },
            volatile: row.try_get(2)?,
        });
    }
    Ok(())
}

/// What goes in, and what comes out by name.
fn arguments(
    defaults: usize,
    names: &[String],
    modes: &[String],
    types: Vec<String>,
    bases: &[i64],
) -> (Vec<Argument>, Vec<Column>) {
    let mut arguments = Vec::new();
    let mut out = Vec::new();
    for (place, type_name) in types.into_iter().enumerate() {
        let mode = modes.get(place).map_or("i", String::as_str);
        let name = names.get(place).cloned().unwrap_or_default();
        if matches!(mode, "o" | "b" | "t") {
            out.push(Column {
                name: name.clone(),
                type_name: type_name.clone(),
                kind: kind(bases.get(place).copied().unwrap_or_default()),
                default: None,
            });
        }
        if matches!(mode, "i" | "b" | "v") {
            arguments.push(Argument {
                name,
                type_name,
                required: true,
                variadic: mode == "v",
            });
        }
    }
    for argument in arguments.iter_mut().rev().take(defaults) {
        argument.required = false;
    }
    // A single result without a name is a value like any other.
    if out.iter().any(|column| column.name.is_empty()) {
        out.clear();
    }
    (arguments, out)
}

fn columns(names: Vec<String>, types: Vec<String>, bases: Vec<i64>) -> Vec<Column> {
    let all = names.into_iter().zip(types).zip(bases);
    all.map(|((name, type_name), base)| Column {
        name,
        type_name,
        kind: kind(base),
        default: None,
    })
    .collect()
}

/// By the number of the type, which is the same in every database for those of Postgres itself.
fn kind(number: i64) -> Kind {
    match number {
        114 | 3802 => Kind::Json,
        3614 => Kind::Vector,
        _ => Kind::Other,
    }
}

/// Names for a parameter that is an array of `regnamespace`.
#[derive(Debug)]
struct Names<'a>(&'a [String]);

impl tokio_postgres::types::ToSql for Names<'_> {
    fn to_sql(
        &self,
        ty: &tokio_postgres::types::Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let list = format!("{{{}}}", self.0.join(","));
        crate::gateway::database::Text(Some(&list)).to_sql(ty, out)
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }

    fn encode_format(&self, _: &tokio_postgres::types::Type) -> tokio_postgres::types::Format {
        tokio_postgres::types::Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}
