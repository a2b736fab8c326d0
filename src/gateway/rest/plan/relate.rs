//! Finds the relationship that an embedding means, by PostgREST's rules.

use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::gateway::rest::catalog::{Link, Relation, Relationship, Way};
use crate::gateway::rest::errors::{Rejection, shortened};
use crate::gateway::rest::hints;

/// The one relationship from `origin` to what is called `target` in the request.
pub(super) fn find<'a>(
    schema: &str,
    origin: Option<&'a Relation>,
    origin_name: &str,
    target: &str,
    hint: Option<&str>,
) -> Result<&'a Relationship, Rejection> {
    let all: &[Relationship] = origin.map_or(&[], |origin| &origin.relationships);
    let mut found = all
        .iter()
        .filter(|relationship| matches(relationship, target, hint));
    match (found.next(), found.next()) {
        (None, _) => Err(none(schema, origin, origin_name, target, hint)),
        (Some(one), None) => Ok(one),
        (Some(first), Some(second)) => {
            let all: Vec<&Relationship> = [first, second].into_iter().chain(found).collect();
            Err(ambiguous(origin_name, target, &all))
        }
    }
}

fn matches(relationship: &Relationship, target: &str, hint: Option<&str>) -> bool {
    let to_target = relationship.target == target;
    let single = relationship
        .link()
        .and_then(|link| match link.columns.as_slice() {
            [one] => Some(one),
            _ => None,
        });
    let here = |name: &str| single.is_some_and(|(here, _)| here == name);
    let there = |name: &str| single.is_some_and(|(_, there)| there == name);
    let constraint = |name: &str| {
        relationship
            .link()
            .is_some_and(|link| link.constraint == name)
    };
    match (relationship.itself, hint) {
        // Both ways of a foreign key to the table itself: the table's name means the many, the column's name the one.
        (true, None) => match relationship.way {
            Way::OneToMany(_) => to_target,
            Way::ManyToOne(_) => here(target),
            Way::OneToOne(_) | Way::ManyToMany { .. } => false,
        },
        (true, Some(hint)) => match &relationship.way {
            Way::OneToMany(_) => to_target && there(hint),
            Way::ManyToMany { junction, .. } => to_target && junction == hint,
            Way::ManyToOne(_) | Way::OneToOne(_) => false,
        },
        (false, None) => {
            to_target || (!relationship.target_is_view && (constraint(target) || here(target)))
        }
        (false, Some(hint)) => {
            let by_junction =
                matches!(&relationship.way, Way::ManyToMany { junction, .. } if junction == hint);
            to_target && (constraint(hint) || here(hint) || there(hint) || by_junction)
        }
    }
}

fn none(
    schema: &str,
    origin: Option<&Relation>,
    origin_name: &str,
    target: &str,
    hint: Option<&str>,
) -> Rejection {
    let target = shortened(target);
    let using = hint
        .map(|hint| format!("' using the hint '{}", shortened(hint)))
        .unwrap_or_default();
    let message = format!(
        "Could not find a relationship between '{origin_name}' and '{target}' in the schema cache"
    );
    let details = format!(
        "Searched for a foreign key relationship between '{origin_name}' and '{target}{using}' in the schema \
         '{schema}', but no matches were found."
    );
    let mut rejection =
        Rejection::new(StatusCode::BAD_REQUEST, "PGRST200", message).details(details);
    let related = origin.into_iter().flat_map(|origin| &origin.relationships);
    let related: Vec<&str> = related.map(|relationship| &*relationship.target).collect();
    if !related.contains(&target)
        && let Some(near) = hints::nearest(target, related)
    {
        rejection = rejection.hint(format!("Perhaps you meant '{near}' instead of '{target}'."));
    }
    rejection
}

fn ambiguous(origin: &str, target: &str, all: &[&Relationship]) -> Rejection {
    let target = shortened(target);
    let names: Vec<String> = all
        .iter()
        .map(|relationship| {
            let by = match &relationship.way {
                Way::ManyToMany { junction, .. } => junction,
                Way::ManyToOne(link) | Way::OneToMany(link) | Way::OneToOne(link) => {
                    &link.constraint
                }
            };
            format!("'{}!{by}'", relationship.target)
        })
        .collect();
    let message = format!(
        "Could not embed because more than one relationship was found for '{origin}' and '{target}'"
    );
    let hint = format!(
        "Try changing '{target}' to one of the following: {}. Find the desired relationship in the 'details' key.",
        names.join(", ")
    );
    let details: Vec<Json> = all
        .iter()
        .map(|relationship| described(origin, relationship))
        .collect();
    Rejection::new(StatusCode::MULTIPLE_CHOICES, "PGRST201", message)
        .details(details)
        .hint(hint)
}

fn described(origin: &str, relationship: &Relationship) -> Json {
    let target = &relationship.target;
    let listed = |names: Vec<&str>| format!("({})", names.join(", "));
    let heres = |link: &Link| listed(link.columns.iter().map(|(here, _)| &**here).collect());
    let theres = |link: &Link| listed(link.columns.iter().map(|(_, there)| &**there).collect());
    let (cardinality, how) = match &relationship.way {
        Way::ManyToMany {
            junction,
            near,
            far,
        } => (
            "many-to-many",
            format!(
                "{junction} using {}{} and {}{}",
                near.constraint,
                theres(near),
                far.constraint,
                theres(far)
            ),
        ),
        Way::ManyToOne(link) => ("many-to-one", using(origin, target, link, &heres, &theres)),
        Way::OneToOne(link) => ("one-to-one", using(origin, target, link, &heres, &theres)),
        Way::OneToMany(link) => ("one-to-many", using(origin, target, link, &heres, &theres)),
    };
    json!({
        "cardinality": cardinality,
        "embedding": format!("{origin} with {target}"),
        "relationship": how,
    })
}

fn using(
    origin: &str,
    target: &str,
    link: &Link,
    heres: &dyn Fn(&Link) -> String,
    theres: &dyn Fn(&Link) -> String,
) -> String {
    let (heres, theres) = (heres(link), theres(link));
    format!(
        "{} using {origin}{heres} and {target}{theres}",
        link.constraint
    )
}
