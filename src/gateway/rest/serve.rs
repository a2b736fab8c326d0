//! One request from its head to its answer.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tokio_postgres::types::ToSql;

use super::answer::{Asked, Reply};
use super::asking::{Asking, asking, no_description};
use super::catalog::{Catalog, Relation, Shape};
use super::errors::{Rejection, of_database, shortened};
use super::grammar::Query;
use super::media::Form;
use super::plan::{self, Node, Offered, Scope, Wanted, Written};
use super::prefer::{About, Returned};
use super::request::Target;
use super::sql::{self, Sql, Wish};
use super::{Rest, hints};
use crate::gateway::Gateway;
use crate::gateway::database::{Access, Text};

/// See the module.
pub(super) async fn answer(gateway: &Gateway, request: Request) -> Result<Response, Rejection> {
    let (head, stream) = request.into_parts();
    let asking = asking(gateway, head, stream).await?;
    let failed = |error| of_database(&error, &asking.caller.role);
    let rest = &gateway.rest;
    let mut catalog = rest.catalog.get().await.map_err(failed)?;
    let writes = !matches!(asking.method, Method::GET | Method::HEAD);
    let mut answer = asking.attempt(rest, &catalog).await;
    // Perhaps the catalog is older than what is asked for. Nothing was changed. Twice: what somebody else was reading
    // already may be older too, but not what is read after that.
    for _ in 0..2 {
        match answer {
            Err(rejection)
                if rejection.may_be_stale() || (writes && rejection.may_be_of_other_types()) =>
            {
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
            .once(
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
