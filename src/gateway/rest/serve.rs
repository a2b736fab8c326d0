//! One request from its head to its answer.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body as Stream;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use tokio_postgres::types::ToSql;

use super::answer::{Asked, Reply};
use super::body::{self, Body};
use super::catalog::{Catalog, Relation, Shape};
use super::errors::{Rejection, of_database, shortened};
use super::grammar::{self, Plain, Query};
use super::media::Form;
use super::plan::{self, Node, Offered, Scope, Wanted, Written};
use super::prefer::{About, Prefer, Returned};
use super::request::{self, Target};
use super::sql::{self, Sql, Wish};
use super::{Rest, hints};
use crate::gateway::Gateway;
use crate::gateway::caller::{Caller, Facts};
use crate::gateway::database::{Access, Text};

/// A request, decoded.
struct Asking<'g> {
    gateway: &'g Gateway,
    caller: Caller,
    facts: Facts,
    method: Method,
    target: Target,
    schema: &'g str,
    /// The schema was named, or could have been another.
    profiled: bool,
    prefer: Prefer,
    form: Form,
    query: Query,
    range: Option<plan::Range>,
    text: String,
    body: Body,
}

/// See the module.
pub(super) async fn answer(gateway: &Gateway, request: Request) -> Result<Response, Rejection> {
    let (head, stream) = request.into_parts();
    let asking = asking(gateway, head, stream).await?;
    let failed = |error| of_database(&error, &asking.caller.role);
    let rest = &gateway.rest;
    let mut catalog = rest.catalog.get().await.map_err(failed)?;
    let mut answer = asking.attempt(rest, &catalog).await;
    // Perhaps the catalog is older than what is asked for. Nothing was changed. Twice: what somebody else was reading
    // already may be older too, but not what is read after that.
    for _ in 0..2 {
        match answer {
            Err(rejection) if rejection.may_be_stale() => {
                match rest.catalog.newer(&catalog).await.map_err(failed)? {
                    Some(newer) => catalog = newer,
                    None => return Err(rejection),
                }
                answer = asking.attempt(rest, &catalog).await;
            }
            answer => return answer,
        }
    }
    answer
}

async fn asking(gateway: &Gateway, head: Parts, stream: Stream) -> Result<Asking<'_>, Rejection> {
    let target = Target::of(head.uri.path())?;
    let caller = Caller::of(gateway, &head.headers, &head.uri)?;
    let settings = &gateway.settings.rest;
    let (schema, profiled) = request::schema(&head.method, &head.headers, &settings.schemas)?;
    let prefer = Prefer::of(&head.headers)?;
    allowed(&target, &head.method)?;
    let form = Form::of(&head.headers)?;
    let called = matches!(target, Target::Function(_));
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    let plain = if called && reads {
        Plain::Argument
    } else {
        Plain::Refused
    };
    let query = grammar::parse(&request::pairs(&head.uri)?, plain)?;
    let text = match reads || head.method == Method::DELETE {
        true => String::new(),
        false => text(&head, stream, settings.max_body, called).await?,
    };
    let body = match (&target, &head.method) {
        (_, &Method::POST | &Method::PATCH) => members(&text, &query, called)?,
        _ => Body::default(),
    };
    Ok(Asking {
        facts: Facts::of(&head.method, head.uri.path(), &head.headers),
        range: request::range(&head.method, &head.headers),
        gateway,
        caller,
        method: head.method,
        target,
        schema,
        profiled,
        prefer,
        form,
        query,
        text,
        body,
    })
}

/// Whether there is an answer to this method at all.
fn allowed(target: &Target, method: &Method) -> Result<(), Rejection> {
    let refused = |code, message: String| {
        Err(Rejection::new(
            StatusCode::METHOD_NOT_ALLOWED,
            code,
            message,
        ))
    };
    match (target, method) {
        (Target::Root, &Method::GET | &Method::HEAD) => Err(no_description()),
        (Target::Relation(_), &Method::PUT) => Err(Rejection::unsupported(
            "PUT of a single row",
            "POST with header `Prefer: resolution=merge-duplicates` does the same",
        )),
        (Target::Relation(_), &Method::GET | &Method::HEAD | &Method::POST)
        | (Target::Relation(_), &Method::PATCH | &Method::DELETE)
        | (Target::Function(_), &Method::GET | &Method::HEAD | &Method::POST) => Ok(()),
        (Target::Function(_), method) => refused(
            "PGRST101",
            format!(
                "Cannot use the {} method on RPC",
                shortened(method.as_str())
            ),
        ),
        (_, method) => refused(
            "PGRST117",
            format!("Unsupported HTTP method: {}", shortened(method.as_str())),
        ),
    }
}

/// The body, if it is text of a type that is taken, and no longer than it may be.
async fn text(
    head: &Parts,
    stream: Stream,
    most: usize,
    called: bool,
) -> Result<String, Rejection> {
    let kind = head.headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(Some("application/json"), |kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default();
    let name = kind.split(';').next().unwrap_or_default().trim();
    let too_large = || {
        let message = format!("The body is longer than {most} bytes");
        Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", message)
            .hint("Send rows in several requests")
    };
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let bytes = axum::body::to_bytes(stream, most)
        .await
        .map_err(|_| too_large())?;
    // A call without arguments needs no body, and no type of one.
    if !(name.eq_ignore_ascii_case("application/json") || (called && bytes.is_empty())) {
        return Err(Rejection::body(&format!(
            "Content-Type not acceptable: {}",
            shortened(name)
        )));
    }
    let text =
        String::from_utf8(bytes.into()).map_err(|_| Rejection::body("The body is not UTF-8"))?;
    match text.contains('\0') {
        true => Err(Rejection::body("The body contains a NUL character")),
        false => Ok(text),
    }
}

fn members(text: &str, query: &Query, called: bool) -> Result<Body, Rejection> {
    if called && text.trim().is_empty() {
        return Ok(Body {
            object: true,
            ..Body::default()
        });
    }
    match (called, body::read(text, query.columns.as_deref())) {
        // Whatever it is, it may be the one argument of a function.
        (true, Err(_)) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            Ok(Body::default())
        }
        (true, Ok(body)) if !body.object => Ok(Body::default()),
        (_, read) => read,
    }
}

impl Asking<'_> {
    /// The answer by this catalog.
    async fn attempt(&self, rest: &Rest, catalog: &Arc<Catalog>) -> Result<Response, Rejection> {
        match &self.target {
            Target::Root => Err(no_description()),
            Target::Function(name) => self.call(rest, catalog, name).await,
            Target::Relation(name) => {
                let relation = catalog
                    .relation(self.schema, name)
                    .ok_or_else(|| no_relation(catalog, self.schema, name))?;
                match self.method {
                    Method::GET | Method::HEAD => self.read(rest, catalog, relation).await,
                    _ => self.change(rest, catalog, relation).await,
                }
            }
        }
    }

    async fn read(
        &self,
        rest: &Rest,
        catalog: &Catalog,
        relation: &Relation,
    ) -> Result<Response, Rejection> {
        let mut node = plan::read(
            catalog,
            self.schema,
            Scope::of(relation),
            &self.query,
            false,
        )?;
        self.bound(&mut node)?;
        let sql = sql::read(&node, self.wish(true));
        let reply = self.once(rest, Access::Read, &sql).await?;
        self.single(&reply)?;
        self.respond(reply, About::Reading, &node, false, None)
    }

    async fn change(
        &self,
        rest: &Rest,
        catalog: &Catalog,
        relation: &Relation,
    ) -> Result<Response, Rejection> {
        let written = Written {
            text: &self.text,
            object: self.body.object,
            keys: &self.body.keys,
            defaults: self.prefer.defaults == Some(true),
        };
        let wanted = match self.method {
            Method::POST => Wanted::Insert {
                written,
                merge: self.prefer.merge,
            },
            Method::PATCH if !self.body.object && self.body.rows != 1 => {
                return Err(Rejection::body("An update takes one object"));
            }
            Method::PATCH => Wanted::Update(written),
            _ => Wanted::Delete,
        };
        let mutation = plan::mutation(relation, &self.query, wanted)?;
        let scope = Scope {
            given: true,
            ..Scope::of(relation)
        };
        let node = plan::read(catalog, self.schema, scope, &self.query, true)?;
        let represented = self.prefer.returned == Some(Returned::Representation);
        let location = self.prefer.returned == Some(Returned::HeadersOnly)
            && self.method == Method::POST
            && !relation.key.is_empty();
        let about = match &mutation.change {
            plan::Change::Insert { conflict, .. } => About::Inserting(
                conflict.is_some() || !relation.key.is_empty() || self.query.on_conflict.is_some(),
            ),
            plan::Change::Update(_) => About::Updating,
            plan::Change::Delete => About::Deleting,
        };
        let nothing =
            matches!(&mutation.change, plan::Change::Update(payload) if payload.columns.is_empty());
        let reply = match nothing {
            // There is nothing to set, so nothing is changed.
            true => Reply::nothing(self.empty()),
            false => {
                let sql = sql::mutation(&mutation, &node, self.wish(represented), location);
                self.checked(rest, &sql).await?
            }
        };
        let key = location.then_some((&*relation.name, relation.key.as_slice()));
        self.respond(reply, about, &node, false, key)
    }

    async fn call(
        &self,
        rest: &Rest,
        catalog: &Catalog,
        name: &str,
    ) -> Result<Response, Rejection> {
        let posted = self.method == Method::POST;
        let offered = match posted {
            true => Offered::Body {
                text: if self.text.trim().is_empty() {
                    "{}"
                } else {
                    &self.text
                },
                keys: &self.body.keys,
                object: self.body.object,
            },
            false => Offered::Pairs(&self.query.arguments),
        };
        let call = plan::call(catalog, self.schema, name, offered)?;
        let returns = &call.function.returns;
        if self.prefer.most().is_some() && !returns.set {
            let message = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict";
            return Err(Rejection::new(StatusCode::BAD_REQUEST, "PGRST128", message));
        }
        let none = Query::default();
        let (scope, query) = match &returns.shape {
            Shape::Relation(relation) => match catalog.relation(self.schema, relation) {
                Some(relation) => (
                    Scope {
                        given: true,
                        ..Scope::of(relation)
                    },
                    &self.query,
                ),
                None => return Err(no_relation(catalog, self.schema, relation)),
            },
            Shape::Columns(columns) => {
                let scope = Scope {
                    relation: None,
                    columns,
                    name: &call.function.name,
                    given: true,
                };
                (scope, &self.query)
            }
            Shape::Void | Shape::Scalar => {
                let scope = Scope {
                    relation: None,
                    columns: &[],
                    name: &call.function.name,
                    given: true,
                };
                (scope, &none)
            }
        };
        let mut node = plan::read(catalog, self.schema, scope, query, false)?;
        self.bound(&mut node)?;
        let void = matches!(returns.shape, Shape::Void);
        let sql = sql::call(&call, &node, self.wish(!void));
        let reply = match posted && call.function.volatile {
            true => self.checked(rest, &sql).await?,
            false => {
                let reply = self.once(rest, Access::Read, &sql).await?;
                self.single(&reply)?;
                reply
            }
        };
        self.respond(reply, About::Calling, &node, void, None)
    }

    /// No more rows than may be, and those of the range.
    fn bound(&self, node: &mut Node<'_>) -> Result<(), Rejection> {
        if let Some(range) = self.range {
            node.within(range)?;
        }
        if let Some(most) = self.gateway.settings.rest.max_rows {
            node.restrict(most);
        }
        Ok(())
    }

    fn wish(&self, shown: bool) -> Wish {
        Wish {
            form: (shown && self.method != Method::HEAD).then_some(self.form),
            count: self.prefer.count.is_some(),
        }
    }

    /// What is answered where there are no rows.
    fn empty(&self) -> String {
        match self.form {
            Form::Array { .. } => "[]".to_owned(),
            Form::Object { .. } | Form::Csv => String::new(),
        }
    }

    /// One row, where an object was asked for.
    fn single(&self, reply: &Reply) -> Result<(), Rejection> {
        match matches!(self.form, Form::Object { .. }) && reply.rows != 1 {
            true => Err(Rejection::not_single(reply.rows)),
            false => Ok(()),
        }
    }

    /// In one round trip.
    async fn once(&self, rest: &Rest, access: Access, sql: &Sql<'_>) -> Result<Reply, Rejection> {
        let failed = |error| of_database(&error, &self.caller.role);
        let path = rest.search_path(self.schema);
        let texts: Vec<Text<'_>> = texts(sql);
        let database = &self.gateway.database;
        let rows = database
            .once_in(
                path,
                &self.caller,
                &self.facts,
                access,
                &sql.text,
                &params(&texts),
            )
            .await
            .map_err(failed)?;
        Reply::of(rows.first()).map_err(|error| failed(error.into()))
    }

    /// A change, which is undone if its result is not as it was asked for.
    async fn checked(&self, rest: &Rest, sql: &Sql<'_>) -> Result<Reply, Rejection> {
        let single = matches!(self.form, Form::Object { .. });
        let rollback = self.prefer.rollback == Some(true);
        let most = self.prefer.most();
        if !single && !rollback && most.is_none() {
            return self.once(rest, Access::Write, sql).await;
        }
        let failed = |error| of_database(&error, &self.caller.role);
        let path = rest.search_path(self.schema);
        let texts: Vec<Text<'_>> = texts(sql);
        let database = &self.gateway.database;
        let transaction = database
            .begin_in(path, &self.caller, &self.facts, Access::Write)
            .await
            .map_err(failed)?;
        let row = transaction
            .query_opt(&sql.text, &params(&texts))
            .await
            .map_err(failed)?;
        let reply = Reply::of(row.as_ref()).map_err(|error| failed(error.into()))?;
        let fits = self.single(&reply).and_then(|()| match most {
            Some(most) if reply.rows > most => {
                let message = "Query result exceeds max-affected preference constraint";
                Err(Rejection::new(StatusCode::BAD_REQUEST, "PGRST124", message)
                    .details(format!("The query affects {} rows", reply.rows)))
            }
            _ => Ok(()),
        });
        match (&fits, rollback) {
            (Ok(()), false) => transaction.commit().await.map_err(failed)?,
            _ => transaction.rollback().await.map_err(failed)?,
        }
        fits.map(|()| reply)
    }

    fn respond(
        &self,
        reply: Reply,
        about: About,
        node: &Node<'_>,
        void: bool,
        location: Option<(&str, &[String])>,
    ) -> Result<Response, Rejection> {
        let columns = match self.form {
            Form::Csv => node.names(),
            Form::Array { .. } | Form::Object { .. } => Vec::new(),
        };
        reply.into_response(&Asked {
            about,
            prefer: &self.prefer,
            form: self.form,
            head: self.method == Method::HEAD,
            profile: self.profiled.then_some(self.schema),
            offset: node.offset,
            void,
            location,
            columns: &columns,
        })
    }
}

fn texts<'s>(sql: &'s Sql<'_>) -> Vec<Text<'s>> {
    sql.values
        .iter()
        .map(|value: &Cow<'_, str>| Text(Some(value)))
        .collect()
}

fn params<'s>(texts: &'s [Text<'s>]) -> Vec<&'s (dyn ToSql + Sync)> {
    texts
        .iter()
        .map(|text| text as &(dyn ToSql + Sync))
        .collect()
}

/// The root, where PostgREST describes the schema unless that is turned off.
fn no_description() -> Rejection {
    let message = "Root endpoint metadata is disabled";
    Rejection::new(StatusCode::NOT_FOUND, "PGRST126", message)
        .hint("The schema is not described as OpenAPI here; ask the database's catalog for tables and functions")
}

fn no_relation(catalog: &Catalog, schema: &str, name: &str) -> Rejection {
    let shown = shortened(name);
    let message = format!("Could not find the table '{schema}.{shown}' in the schema cache");
    let rejection = Rejection::new(StatusCode::NOT_FOUND, "PGRST205", message);
    let names = catalog
        .schemas
        .get(schema)
        .into_iter()
        .flat_map(|schema| schema.relations.keys());
    match hints::nearest(name, names.map(String::as_str)) {
        Some(near) => rejection.hint(format!("Perhaps you meant the table '{schema}.{near}'")),
        None => rejection,
    }
}
