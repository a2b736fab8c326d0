//! Plans what is read: columns, embedded relations, filters, order and ranges, each at its place in the tree.

use axum::http::StatusCode;

use super::{By, Condition, Embedded, Node, Order, Output, Scope, Value, relate};
use crate::gateway::rest::catalog::Catalog;
use crate::gateway::rest::errors::{Rejection, shortened};
use crate::gateway::rest::grammar::{self, Bound, Field, Is, Item, Operation, Query, Test};

/// Of a header `Range`: the first and the last row, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Range {
    pub(in crate::gateway::rest) first: u64,
    pub(in crate::gateway::rest) last: Option<u64>,
}

/// What is read of `scope`. Filters and ranges of the rows themselves are left to who calls where `only_related`.
pub(in crate::gateway::rest) fn read<'a>(
    catalog: &'a Catalog,
    schema: &'a str,
    scope: Scope<'a>,
    query: &'a Query,
    only_related: bool,
) -> Result<Node<'a>, Rejection> {
    let mut planner = Planner {
        catalog,
        schema,
        nodes: 0,
    };
    let mut root = match &query.select {
        Some(items) => planner.node(scope, items)?,
        None => planner.node(scope, &[Item::Star])?,
    };
    for (path, terms) in &query.order {
        let node = at(&mut root, path)?;
        node.order = node.ordered(terms)?;
    }
    for (path, condition) in &query.filters {
        if only_related && path.is_empty() {
            continue;
        }
        let node = at(&mut root, path)?;
        let condition = node.condition(condition)?;
        node.conditions.push(condition);
    }
    for (path, bound, number) in &query.ranges {
        if only_related && path.is_empty() {
            continue;
        }
        let node = at(&mut root, path)?;
        match bound {
            Bound::Limit => node.limit = Some(*number),
            Bound::Offset => node.offset = *number,
        }
    }
    Ok(root)
}

/// What planning needs at every level.
struct Planner<'a> {
    catalog: &'a Catalog,
    schema: &'a str,
    nodes: usize,
}

impl<'a> Planner<'a> {
    fn node(&mut self, scope: Scope<'a>, items: &'a [Item]) -> Result<Node<'a>, Rejection> {
        let mut node = Node {
            number: self.nodes,
            scope,
            outputs: Vec::new(),
            embeds: Vec::new(),
            conditions: Vec::new(),
            order: Vec::new(),
            limit: None,
            offset: 0,
        };
        self.nodes += 1;
        for item in items {
            let output = match item {
                Item::Star => Output::Star,
                Item::Column(column) => {
                    let cast = column.cast.as_deref().map(castable).transpose()?;
                    let name = column
                        .alias
                        .as_deref()
                        .unwrap_or(column.field.answered_as());
                    match node.value(&column.field) {
                        Ok(value) => Output::Value { value, cast, name },
                        Err(_) if column.field.is_count() => Output::Count { cast, name },
                        Err(rejection) => return Err(rejection),
                    }
                }
                Item::Embed(embed) => {
                    let embedded = self.embed(&node.scope, embed)?;
                    node.embeds.push(embedded);
                    Output::Embed(node.embeds.len() - 1)
                }
            };
            node.outputs.push(output);
        }
        Ok(node)
    }

    fn embed(
        &mut self,
        scope: &Scope<'a>,
        embed: &'a grammar::Embed,
    ) -> Result<Embedded<'a>, Rejection> {
        let hint = embed.hint.as_deref();
        let (catalog, schema) = (self.catalog, self.schema);
        let by = relate::find(schema, scope.relation, scope.name, &embed.name, hint)?;
        let target = catalog.relation(schema, &by.target).ok_or_else(|| {
            Rejection::new(
                StatusCode::NOT_FOUND,
                "PGRST205",
                "The related table is gone",
            )
        })?;
        let node = self.node(Scope::of(target), &embed.items)?;
        let shown = |output: &Output<'_>| match output {
            Output::Embed(place) => node.embeds.get(*place).is_some_and(|embed| !embed.hidden),
            Output::Star | Output::Value { .. } | Output::Count { .. } => true,
        };
        Ok(Embedded {
            hidden: !node.outputs.iter().any(shown),
            node,
            by,
            inner: embed.inner,
            spread: embed.spread,
            name: embed.answered_as(),
            target: &embed.name,
            ordered_by: Vec::new(),
        })
    }
}

impl<'a> Node<'a> {
    fn value(&self, field: &'a Field) -> Result<Value<'a>, Rejection> {
        let value = self.scope.value(field);
        value.ok_or_else(|| Rejection::no_column(self.scope.name, &field.name))
    }

    /// Everything of a tree of filters found.
    pub(super) fn condition(
        &self,
        condition: &'a grammar::Condition,
    ) -> Result<Condition<'a>, Rejection> {
        match condition {
            grammar::Condition::Tree {
                negated,
                any,
                members,
            } => {
                let members = members.iter().map(|member| self.condition(member));
                Ok(Condition::Tree {
                    negated: *negated,
                    any: *any,
                    members: members.collect::<Result<_, _>>()?,
                })
            }
            grammar::Condition::Filter(filter) => {
                let name = &filter.field.name;
                let place = self.embeds.iter().position(|embed| embed.name == name);
                match (place, filter.field.path.is_empty()) {
                    (Some(place), true) => match presence(&filter.test) {
                        Some(present) => Ok(Condition::Present { place, present }),
                        None => self.not_of_embedded(filter),
                    },
                    _ => self.tested(filter),
                }
            }
        }
    }

    fn tested(&self, filter: &'a grammar::Filter) -> Result<Condition<'a>, Rejection> {
        let value = self.value(&filter.field)?;
        Ok(Condition::Test {
            value,
            test: &filter.test,
        })
    }

    /// A relation may be called as a column is; then other filters are about the column.
    fn not_of_embedded(&self, filter: &'a grammar::Filter) -> Result<Condition<'a>, Rejection> {
        self.tested(filter).map_err(|_| {
            let name = shortened(&filter.field.name);
            let message = format!("Bad operator on the '{name}' embedded resource");
            Rejection::new(StatusCode::BAD_REQUEST, "PGRST120", message)
                .details("Only is null or not is null filters are allowed on embedded resources")
        })
    }

    fn ordered(&mut self, terms: &'a [grammar::Term]) -> Result<Vec<Order<'a>>, Rejection> {
        let mut order = Vec::with_capacity(terms.len());
        for term in terms {
            let by = match &term.relation {
                None => By::Value(self.value(&term.field)?),
                Some(relation) => self.related(relation, &term.field)?,
            };
            order.push(Order {
                by,
                descending: term.descending,
                nulls_first: term.nulls_first,
            });
        }
        Ok(order)
    }

    fn related(&mut self, relation: &str, field: &'a Field) -> Result<By<'a>, Rejection> {
        let origin = self.scope.name;
        let place = place(&self.embeds, relation).ok_or_else(|| not_embedded(relation))?;
        let embed = self
            .embeds
            .get_mut(place)
            .ok_or_else(|| not_embedded(relation))?;
        if !embed.to_one() {
            let name = shortened(relation);
            let message = format!("A related order on '{name}' is not possible");
            return Err(
                Rejection::new(StatusCode::BAD_REQUEST, "PGRST118", message).details(format!(
                    "'{origin}' and '{name}' do not form a many-to-one or one-to-one relationship"
                )),
            );
        }
        let value = embed.node.value(field)?;
        embed.ordered_by.push(value);
        Ok(By::Related(place, embed.ordered_by.len() - 1))
    }

    /// No more rows at any level than this.
    pub(in crate::gateway::rest) fn restrict(&mut self, most: u64) {
        self.limit = Some(self.limit.map_or(most, |limit| limit.min(most)));
        for embed in &mut self.embeds {
            match embed.to_one() {
                true => embed
                    .node
                    .embeds
                    .iter_mut()
                    .for_each(|embed| embed.node.restrict(most)),
                false => embed.node.restrict(most),
            }
        }
    }

    /// Only the rows of this range of those it would have without.
    pub(in crate::gateway::rest) fn within(&mut self, range: Range) -> Result<(), Rejection> {
        if range.last.is_some_and(|last| last < range.first) {
            return Err(Rejection::out_of_range(
                "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
            ));
        }
        if self.limit == Some(0) {
            return Ok(());
        }
        let first = self.offset.max(range.first);
        let mine = self.limit.map(|limit| self.offset.saturating_add(limit));
        let theirs = range.last.map(|last| last.saturating_add(1));
        let end = match (mine, theirs) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (one, None) | (None, one) => one,
        };
        if end.is_some_and(|end| end <= first) {
            return Err(Rejection::out_of_range(
                "Limit and Range header have no row in common.",
            ));
        }
        self.offset = first;
        self.limit = end.map(|end| end - first);
        Ok(())
    }
}

/// What `is.null` and `not.is.null` say of what is embedded.
fn presence(test: &Test) -> Option<bool> {
    match test.operation {
        Operation::Is(Is::Null) => Some(test.negated),
        Operation::Is(Is::NotNull) => Some(!test.negated),
        _ => None,
    }
}

/// By the name it is answered under, else by that of the relation.
fn place(embeds: &[Embedded<'_>], name: &str) -> Option<usize> {
    let answered = embeds.iter().position(|embed| embed.name == name);
    answered.or_else(|| embeds.iter().position(|embed| embed.target == name))
}

fn at<'n, 'a>(root: &'n mut Node<'a>, path: &[String]) -> Result<&'n mut Node<'a>, Rejection> {
    let mut node = root;
    for name in path {
        let place = place(&node.embeds, name).ok_or_else(|| not_embedded(name))?;
        let embed = node
            .embeds
            .get_mut(place)
            .ok_or_else(|| not_embedded(name))?;
        node = &mut embed.node;
    }
    Ok(node)
}

fn not_embedded(name: &str) -> Rejection {
    let name = shortened(name);
    let message = format!("'{name}' is not an embedded resource in this request");
    Rejection::new(StatusCode::BAD_REQUEST, "PGRST108", message).hint(format!(
        "Verify that '{name}' is included in the 'select' query parameter."
    ))
}

/// Types that turn names into numbers of objects would say what there is in other schemas.
fn castable(name: &str) -> Result<&str, Rejection> {
    match name.to_ascii_lowercase().starts_with("reg") {
        true => Err(Rejection::grammar(
            "select parameter",
            name,
            1,
            "casts to names of objects are not taken".to_owned(),
        )),
        false => Ok(name),
    }
}
