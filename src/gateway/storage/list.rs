//! Lists of a bucket's objects, as far as the caller sees them.
//!
//! The first kind is one folder at a time, by `storage.search()` of the database. The second goes on where the last
//! page ended, with or without folders.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Storage;
use super::ask::{self, Bucket};
use super::error::Error;
use crate::gateway::database::{Access, Text};

/// Most entries of a page.
const MOST: i64 = 1000;

#[derive(Deserialize)]
struct SortBy {
    column: Option<String>,
    order: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    prefix: String,
    #[serde(default, deserialize_with = "ask::perhaps_loose")]
    limit: Option<i64>,
    #[serde(default, deserialize_with = "ask::perhaps_loose")]
    offset: Option<i64>,
    sort_by: Option<SortBy>,
    search: Option<String>,
}

/// The column, if it is one of these; none asked for is the first.
fn column(sort: Option<&SortBy>, allowed: &[&'static str]) -> Result<&'static str, Error> {
    let wanted = sort
        .and_then(|sort| sort.column.as_deref())
        .or(allowed.first().copied());
    let found = allowed.iter().find(|name| Some(**name) == wanted);
    found.copied().ok_or_else(|| {
        Error::invalid(format!(
            "sortBy/column must be equal to one of: {}",
            allowed.join(", ")
        ))
    })
}

fn order(sort: Option<&SortBy>) -> Result<&'static str, Error> {
    match sort.and_then(|sort| sort.order.as_deref()) {
        None | Some("asc") => Ok("asc"),
        Some("desc") => Ok("desc"),
        Some(_) => Err(Error::invalid(
            "sortBy/order must be equal to one of: asc, desc",
        )),
    }
}

/// `POST /object/list/{bucket}`.
pub(super) async fn list(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let asked: Asked = ask::json(body).await?;
    let sort = asked.sort_by.as_ref();
    let column = column(
        sort,
        &["name", "updated_at", "created_at", "last_accessed_at"],
    )?;
    let order = order(sort)?;
    let limit = asked.limit.unwrap_or(100);
    let offset = asked.offset.unwrap_or(0);
    if limit < 1 || !(0..=i64::from(i32::MAX)).contains(&offset) {
        return Err(Error::invalid(
            "body/limit must be >= 1 and body/offset >= 0",
        ));
    }
    let mut prefix = asked.prefix;
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let search = asked.search.unwrap_or_default();
    let levels = prefix.matches('/').count() + search.matches('/').count() + 1;
    let (limit, levels, offset) = (
        limit.min(MOST).to_string(),
        levels.to_string(),
        offset.to_string(),
    );
    let sql = "select coalesce(jsonb_agg(jsonb_build_object(\
            'name', s.name, 'id', s.id, \
            'updated_at', to_char(s.updated_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
            'created_at', to_char(s.created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
            'last_accessed_at', to_char(s.last_accessed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
            'metadata', s.metadata) order by s.ordinality), '[]') \
        from storage.search($1, $2, $3, $4, $5, $6, $7, $8) with ordinality s";
    let facts = ask::facts(&parts);
    let transaction = storage
        .begin(&who, &facts, Access::Read, "storage.object.list")
        .await?;
    let row = transaction
        .query_opt(
            sql,
            &[
                &Text::from(prefix.as_str()),
                &Text::from(bucket.as_str()),
                &Text::from(limit.as_str()),
                &Text::from(levels.as_str()),
                &Text::from(offset.as_str()),
                &Text::from(search.as_str()),
                &Text::from(column),
                &Text::from(order),
            ],
        )
        .await?;
    transaction.commit().await?;
    let entries: Option<Value> = row.and_then(|row| row.try_get(0).ok());
    entries.map(Json).ok_or_else(Error::internal)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskedV2 {
    prefix: Option<String>,
    #[serde(default, deserialize_with = "ask::perhaps_loose")]
    limit: Option<i64>,
    cursor: Option<String>,
    #[serde(rename = "with_delimiter", default)]
    with_delimiter: bool,
    sort_by: Option<SortBy>,
}

/// Where the last page ended. Seen by clients as letters without meaning; whatever they send back is only ever compared.
#[derive(Deserialize, Serialize)]
struct Cursor {
    /// The key.
    k: String,
    /// The time, when sorted by one.
    t: Option<String>,
    c: String,
    o: String,
}

/// `POST /object/list-v2/{bucket}`.
pub(super) async fn list_v2(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let asked: AskedV2 = ask::json(body).await?;
    let cursor = asked
        .cursor
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(read)
        .transpose()?;
    let sort = match &cursor {
        Some(cursor) => Some(SortBy {
            column: Some(cursor.c.clone()),
            order: Some(cursor.o.clone()),
        }),
        None => asked.sort_by,
    };
    let column = column(sort.as_ref(), &["name", "updated_at", "created_at"])?;
    let order = order(sort.as_ref())?;
    let limit = asked.limit.unwrap_or(MOST).clamp(1, MOST);
    let sql = statement(column, order);
    let prefix = asked.prefix.unwrap_or_default();
    let facts = ask::facts(&parts);
    let transaction = storage
        .begin(&who, &facts, Access::Read, "storage.object.list_v2")
        .await?;
    let row = transaction
        .query_opt(
            &sql,
            &[
                &Text::from(bucket.as_str()),
                &Text::from(prefix.as_str()),
                &Text(Some(if asked.with_delimiter {
                    "true"
                } else {
                    "false"
                })),
                &Text(cursor.as_ref().map(|cursor| cursor.k.as_str())),
                &Text(cursor.as_ref().and_then(|cursor| cursor.t.as_deref())),
                &Text::from((limit + 1).to_string().as_str()),
            ],
        )
        .await?;
    transaction.commit().await?;
    let entries: Option<Value> = row.and_then(|row| row.try_get(0).ok());
    let Some(Value::Array(mut entries)) = entries else {
        return Err(Error::internal());
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_next = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| has_next);
    let next = last.map(|last| written(last, column, order));
    let next_key = last.and_then(|last| last.get("name")).cloned();
    let (objects, folders): (Vec<Value>, Vec<Value>) = entries
        .into_iter()
        .partition(|entry| entry.get("id").is_some_and(|id| !id.is_null()));
    let mut answer = Map::new();
    answer.insert("hasNext".to_owned(), has_next.into());
    answer.insert("folders".to_owned(), folders.into());
    answer.insert("objects".to_owned(), objects.into());
    if let (Some(next), Some(key)) = (next, next_key) {
        answer.insert("nextCursor".to_owned(), next.into());
        answer.insert("nextCursorKey".to_owned(), key);
    }
    Ok(Json(Value::Object(answer)))
}

fn read(text: &str) -> Result<Cursor, Error> {
    let bytes = STANDARD.decode(text).ok();
    let cursor = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    cursor.ok_or_else(|| Error::parameter("Invalid Parameter continuation token"))
}

fn written(last: &Value, column: &str, order: &str) -> String {
    let text = |name: &str| last.get(name).and_then(Value::as_str).map(str::to_owned);
    let cursor = Cursor {
        k: text("name").unwrap_or_default(),
        t: text(column).filter(|_| column != "name"),
        c: column.to_owned(),
        o: order.to_owned(),
    };
    STANDARD.encode(serde_json::to_string(&cursor).unwrap_or_default())
}

/// `column` and `order` are words of ours. A folder is as old as its oldest object.
fn statement(column: &'static str, order: &'static str) -> String {
    let after = if order == "asc" { ">" } else { "<" };
    let (condition, sorting) = match column {
        "name" => (
            // The type is told to Postgres even where the value is not used.
            format!(
                "$4::text is null or ($5::timestamptz is null and e.name collate \"C\" {after} $4)"
            ),
            format!("e.name collate \"C\" {order}"),
        ),
        column => (
            format!(
                "$4::text is null or (date_trunc('milliseconds', e.{column}), e.name collate \"C\") {after} \
                 ($5::timestamptz, $4)"
            ),
            format!("date_trunc('milliseconds', e.{column}) {order}, e.name collate \"C\" {order}"),
        ),
    };
    let iso = |name: &str| {
        format!("to_char(e.{name} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
    };
    let (updated, created, accessed) = (
        iso("updated_at"),
        iso("created_at"),
        iso("last_accessed_at"),
    );
    format!(
        "with matching as (\
           select o.id, o.name, o.updated_at, o.created_at, o.last_accessed_at, o.metadata, \
             case when $3::boolean then strpos(substr(o.name, length($2::text) + 1), '/') else 0 end as slash \
           from storage.objects o where o.bucket_id = $1 and starts_with(o.name, $2)), \
         entries as (\
           select null::uuid as id, left(m.name, length($2) + m.slash) as name, min(m.created_at) as updated_at, \
             min(m.created_at) as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata \
           from matching m where m.slash > 0 group by 2 \
           union all \
           select m.id, m.name, m.updated_at, m.created_at, m.last_accessed_at, m.metadata \
           from matching m where m.slash = 0), \
         page as (select e.*, row_number() over (order by {sorting}) as place from entries e where {condition} \
           order by {sorting} limit $6) \
         select coalesce(jsonb_agg(jsonb_build_object('name', e.name, \
             'key', rtrim(substr(e.name, coalesce(length(substring($2 from '^.*/')), 0) + 1), '/'), \
             'id', e.id, 'updated_at', {updated}, 'created_at', {created}, 'last_accessed_at', {accessed}, \
             'metadata', e.metadata) order by e.place), '[]') from page e"
    )
}
