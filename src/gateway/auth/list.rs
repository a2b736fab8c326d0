//! `GET /admin/users`: users by pages, the newest first.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::Ask;
use super::error::Refusal;
use super::user::{COLUMNS, User};
use super::{AUDIENCE, Service};
use crate::gateway::database::{Access, Error};

const PER_PAGE: u64 = 50;
/// A page is one answer in memory.
const MOST_PER_PAGE: u64 = 1000;
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

struct Page {
    number: u64,
    size: u64,
    filter: String,
    oldest_first: bool,
}

impl Page {
    fn of(ask: &Ask) -> Result<Self, Refusal> {
        let number = |name: &str, otherwise: u64| match ask.query(name) {
            None => Ok(otherwise),
            Some(text) if text.is_empty() => Ok(otherwise),
            Some(text) => text.parse::<u64>().map_err(|_| {
                Refusal::invalid(format!("Bad Pagination Parameters: {name} is no number"))
            }),
        };
        let sort = ask.query("sort").unwrap_or_default();
        let oldest_first = match sort.to_ascii_lowercase().as_str() {
            "" | "created_at" | "created_at desc" => false,
            "created_at asc" => true,
            _ => {
                return Err(Refusal::invalid(
                    "Bad Sort Parameters: only created_at asc and created_at desc",
                ));
            }
        };
        let filter = ask.query("filter").unwrap_or_default();
        if filter.contains('\0') {
            return Err(Refusal::invalid(
                "Text must not contain the character U+0000",
            ));
        }
        Ok(Self {
            number: number("page", 1)?.max(1),
            size: match number("per_page", PER_PAGE)? {
                0 => PER_PAGE,
                size => size.min(MOST_PER_PAGE),
            },
            filter,
            oldest_first,
        })
    }

    fn skipped(&self) -> i64 {
        let skipped = (self.number - 1).saturating_mul(self.size);
        i64::try_from(skipped).unwrap_or(i64::MAX)
    }

    /// Where the next and the last page are. The number comes first: clients cut it out by its place.
    fn link(&self, total: u64) -> String {
        let last = total.div_ceil(self.size);
        let mut link = String::new();
        let mut to = |number: u64, rel: &str| {
            if !link.is_empty() {
                link.push_str(", ");
            }
            let size = self.size;
            let _ = write!(
                link,
                "</admin/users?page={number}&per_page={size}>; rel=\"{rel}\""
            );
        };
        if last > self.number {
            to(self.number + 1, "next");
        }
        to(last, "last");
        link
    }
}

/// `%` and `_` in a filter mean what they mean in LIKE, as with Supabase Auth.
const WHERE: &str = "u.aud = $1 and ($2 = '' or u.email like '%' || $2 || '%' \
                     or u.raw_user_meta_data ->> 'full_name' ilike '%' || $2 || '%')";

fn sql(order: &str) -> String {
    format!(
        "select {COLUMNS}, (select count(*) from auth.users u where {WHERE}) as total \
         from auth.users u where {WHERE} order by u.created_at {order}, u.id {order} limit $3 offset $4"
    )
}

static NEWEST_FIRST: LazyLock<String> = LazyLock::new(|| sql("desc"));
static OLDEST_FIRST: LazyLock<String> = LazyLock::new(|| sql("asc"));
static COUNT: LazyLock<String> =
    LazyLock::new(|| format!("select count(*) as total from auth.users u where {WHERE}"));

/// `GET /admin/users`.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let ask = Ask::from(request);
    service.admin(&ask).await?;
    let page = Page::of(&ask)?;
    let sql = match page.oldest_first {
        true => &OLDEST_FIRST,
        false => &NEWEST_FIRST,
    };
    let size = i64::try_from(page.size).unwrap_or(i64::MAX);
    let mut rows = service
        .once(
            &ask,
            Access::Read,
            sql,
            &[&AUDIENCE, &page.filter, &size, &page.skipped()],
        )
        .await?;
    let users: Result<Vec<Value>, tokio_postgres::Error> = rows
        .iter()
        .map(|row| User::of(row).map(|user| user.json()))
        .collect();
    let users = users.map_err(Error::from)?;
    if rows.is_empty() {
        // A page beyond the last one still says how many there are.
        rows = service
            .once(&ask, Access::Read, &COUNT, &[&AUDIENCE, &page.filter])
            .await?;
    }
    let total: Option<i64> = match rows.first() {
        Some(row) => row.try_get("total").map_err(Error::from)?,
        None => None,
    };
    let total = total
        .and_then(|total| u64::try_from(total).ok())
        .unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(TOTAL, HeaderValue::from(total));
    if let Ok(link) = HeaderValue::from_str(&page.link(total)) {
        headers.insert(header::LINK, link);
    }
    let answer = json!({ "users": users, "aud": AUDIENCE });
    Ok((headers, Json(answer)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_the_next_and_the_last_page() {
        let page = |number| Page {
            number,
            size: 2,
            filter: String::new(),
            oldest_first: false,
        };
        let link = |number: u64| format!("</admin/users?page={number}&per_page=2>");
        for (number, total, expected) in [
            (
                1,
                5,
                format!("{}; rel=\"next\", {}; rel=\"last\"", link(2), link(3)),
            ),
            (3, 5, format!("{}; rel=\"last\"", link(3))),
            (1, 0, format!("{}; rel=\"last\"", link(0))),
        ] {
            assert_eq!(page(number).link(total), expected);
        }
        assert_eq!(page(u64::MAX).skipped(), i64::MAX);
    }
}
