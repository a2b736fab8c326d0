//! What is going on, for servers: the topics that have members, how many, and who is present (beyond the original).
//!
//! Only tokens of the role `service_role` that verify with the tenant's own client keys are answered. What is told is
//! what this node knows. Nothing here reaches the database.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::{gate, json_response};
use crate::hub::TopicKey;
use crate::socket;
use crate::tenant::Tenant;
use crate::tenants::Directory;

/// The role whose tokens may look.
const ROLE: &str = "service_role";
/// Entries of one page of the list.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The query of a request, decoded.
type Pairs = Vec<(String, String)>;

/// The routes, also under the gateway's public path.
pub(super) fn router(directory: Arc<Directory>) -> Router {
    ["/api", "/realtime/v1/api"]
        .iter()
        .fold(Router::new(), |router, base| {
            router
                .route(&format!("{base}/channels"), get(list))
                .route(&format!("{base}/channels/{{topic}}"), get(count))
                .route(&format!("{base}/channels/{{topic}}/presence"), get(present))
        })
        .with_state(directory)
}

/// `GET /api/channels?limit=100&after=…`: one page of the topics that have members, in the order of their names.
async fn list(
    State(directory): State<Arc<Directory>>,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
) -> Response {
    let tenant = match admitted(&directory, &headers).await {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal,
    };
    let limit = match get_last(&query, "limit").map(str::parse::<usize>) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
        Some(_) => return invalid("limit", "must be a whole number from 1 to 1000"),
    };
    let after = match get_last(&query, "after").map(Place::parse) {
        None => None,
        Some(Some(place)) => Some(place),
        Some(None) => return invalid("after", "must be the `next` of the page before"),
    };
    let mut places: Vec<(Place, usize)> = tenant
        .hub
        .occupancy()
        .into_iter()
        .filter(|(_, members)| *members > 0)
        .map(|(key, members)| (Place::of(&key), members))
        .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
        .collect();
    // Only the page itself is put in order.
    let more = places.len() > limit;
    if more {
        places.select_nth_unstable(limit);
        places.truncate(limit);
    }
    places.sort_unstable();
    let next = places
        .last()
        .filter(|_| more)
        .map(|(last, _)| last.cursor());
    let channels: Vec<Value> = places
        .iter()
        .map(|(place, members)| place.json(*members))
        .collect();
    answer(json!({ "channels": channels, "next": next }).to_string())
}

/// `GET /api/channels/{topic}?private=true`: how many channels are joined to one topic, zero when nobody is there.
async fn count(
    State(directory): State<Arc<Directory>>,
    headers: HeaderMap,
    Path(topic): Path<String>,
    Query(query): Query<Pairs>,
) -> Response {
    let tenant = match admitted(&directory, &headers).await {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal,
    };
    let place = Place::asked(topic, &query);
    let members = tenant.hub.members(&place.key());
    answer(place.json(members).to_string())
}

/// `GET /api/channels/{topic}/presence?private=true`: the `presence_state` of one topic (protocol.md §6.2).
async fn present(
    State(directory): State<Arc<Directory>>,
    headers: HeaderMap,
    Path(topic): Path<String>,
    Query(query): Query<Pairs>,
) -> Response {
    let tenant = match admitted(&directory, &headers).await {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal,
    };
    let mut state = String::new();
    tenant
        .presence
        .with_state(&Place::asked(topic, &query).key(), |present| {
            state.push_str(present)
        });
    answer(state)
}

/// The tenant of the request, if its token may look: one of `service_role`, verified with the keys of that tenant.
async fn admitted(directory: &Directory, headers: &HeaderMap) -> Result<Arc<Tenant>, Response> {
    let tenant = gate::tenant(directory, headers).await?;
    let settings = tenant.settings_now();
    let claims = gate::token(headers)
        .and_then(|token| settings.keys.verify(token, socket::unix_now()).ok())
        .ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, "Unauthorized"))?;
    if &*claims.role != ROLE {
        let message = "Only tokens of the role service_role may look at channels";
        return Err(refuse(StatusCode::FORBIDDEN, message));
    }
    if settings.suspend {
        return Err(refuse(StatusCode::FORBIDDEN, "Tenant is suspended"));
    }
    Ok(tenant)
}

/// A topic of a list, ordered by name, public before private.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Without `realtime:`.
    name: String,
    private: bool,
}

impl Place {
    fn of(key: &TopicKey) -> Self {
        let name = key.topic.strip_prefix("realtime:").unwrap_or(&key.topic);
        Self {
            name: name.to_owned(),
            private: key.private,
        }
    }

    /// The topic of a path; only the literal `private=true` counts (protocol.md §5.6).
    fn asked(name: String, query: &Pairs) -> Self {
        let private = get_last(query, "private") == Some("true");
        Self { name, private }
    }

    fn key(&self) -> TopicKey {
        TopicKey {
            private: self.private,
            topic: format!("realtime:{}", self.name).into(),
        }
    }

    fn json(&self, subscribers: usize) -> Value {
        json!({ "topic": self.name, "private": self.private, "subscribers": subscribers })
    }

    /// Where the next page begins: `public:<topic>` or `private:<topic>`.
    fn cursor(&self) -> String {
        let namespace = if self.private { "private" } else { "public" };
        format!("{namespace}:{}", self.name)
    }

    fn parse(cursor: &str) -> Option<Self> {
        let (namespace, name) = cursor.split_once(':')?;
        let private = match namespace {
            "public" => false,
            "private" => true,
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            private,
        })
    }
}

/// The value of a query parameter, the last of equal ones.
fn get_last<'a>(query: &'a Pairs, name: &str) -> Option<&'a str> {
    let found = query.iter().rfind(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

fn refuse(status: StatusCode, message: &str) -> Response {
    fresh(json_response(status, &json!({ "message": message })))
}

fn invalid(field: &str, problem: &str) -> Response {
    let body = json!({ "errors": { field: [problem] } });
    fresh(json_response(StatusCode::UNPROCESSABLE_ENTITY, &body))
}

fn answer(json: String) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    fresh((kind, json).into_response())
}

/// Who is where changes all the time, and is nobody else's business.
fn fresh(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}
