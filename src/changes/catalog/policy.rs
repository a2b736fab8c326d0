//! What row level security asks of a row: the policies for SELECT that apply to a role, as one expression.
//!
//! Decides from the stored expression trees which columns an expression reads, whether a row's image suffices to
//! evaluate it, and whether its answer can depend on who asks. In doubt it says the careful thing: more columns, not
//! evaluable, dependent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::load::PolicyRow;
use super::table::Table;
use crate::changes::compiled::{Compiled, Functions};

/// The rule for one role and table.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Row level security does not apply, or every row passes.
    Open,
    /// No row passes, for this reason.
    Closed(Reason),
    /// Postgres has to be asked.
    Judged(Arc<Policy>),
}

/// Why no row of a table is visible to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No permissive policy for SELECT applies to the role.
    NoPolicy,
    /// The role has no USAGE on the schema, so a SELECT of it would fail.
    NoUsage,
    /// The policies could not be read: the table is locked.
    Unread,
}

/// An expression over the columns of [`Policy::guard`] that is true for the visible rows.
#[derive(Debug)]
pub(crate) struct Policy {
    /// Unique in this process; names prepared statements.
    pub(crate) id: u64,
    /// The table whose policies these are: the changed one, or a partitioned table above it.
    pub(crate) guard: Arc<Table>,
    /// SQL text, names fully qualified.
    pub(crate) expression: String,
    /// Indexes into the columns of the guard that the expression may read (perhaps too many).
    pub(crate) reads: Vec<usize>,
    /// It reads the whole row or system columns, which an image does not have.
    pub(crate) needs_row: bool,
    /// Proven to give the same answer to every audience of the role.
    pub(crate) same_for_all: bool,
    /// The same for evaluation here, where that is possible.
    compiled: Option<Compiled>,
    /// Postgres said otherwise once.
    distrusted: AtomicBool,
}

impl Policy {
    /// The policy as it can be evaluated without asking.
    pub(crate) fn compiled(&self) -> Option<&Compiled> {
        let trusted = !self.distrusted.load(Ordering::Relaxed);
        self.compiled.as_ref().filter(|_| trusted)
    }

    /// From now on Postgres is asked.
    pub(crate) fn distrust(&self) {
        self.distrusted.store(true, Ordering::Relaxed);
    }
}

/// What compiling needs to know.
pub(super) struct Compiling<'a> {
    /// What the policies call; without it nothing is compiled.
    pub(super) functions: Option<&'a Functions>,
    /// What the role may not call.
    pub(super) denied: &'a [u32],
}

/// Node kinds that evaluate the same for everybody, given that the functions in them do.
const PLAIN_NODES: [&str; 15] = [
    "VAR",
    "CONST",
    "OPEXPR",
    "FUNCEXPR",
    "BOOLEXPR",
    "NULLTEST",
    "BOOLEANTEST",
    "SCALARARRAYOPEXPR",
    "RELABELTYPE",
    "DISTINCTEXPR",
    "NULLIFEXPR",
    "ARRAYEXPR",
    "ARRAY",
    "COALESCE",
    "COALESCEEXPR",
];

/// Oids of all functions in the trees, to be asked about before [`combine`].
pub(super) fn functions(rows: &[PolicyRow]) -> BTreeSet<u32> {
    rows.iter()
        .filter_map(|row| row.tree.as_deref())
        .flat_map(called)
        .collect()
}

/// Joins the policies of `guard` that apply to a role as Postgres does: any permissive one, and every restrictive one.
pub(super) fn combine(
    guard: &Arc<Table>,
    applies: &dyn Fn(u32) -> bool,
    pure: &BTreeSet<u32>,
    compiling: &Compiling<'_>,
) -> Access {
    let applicable = || {
        guard.policies.iter().filter(|policy| {
            // A policy without USING adds nothing.
            applies(policy.oid) && policy.tree.is_some()
        })
    };
    if applicable().any(|policy| policy.expression.is_none()) {
        return Access::Closed(Reason::Unread);
    }
    let (permissive, restrictive): (Vec<_>, Vec<_>) =
        applicable().partition(|policy| policy.permissive);
    // Policies come in descending order of name, in which Postgres ORs permissive ones; it ANDs restrictive ones in
    // ascending order, before. It matters where one raises an error and another decides without it.
    let restrictive: Vec<&PolicyRow> = restrictive.into_iter().rev().collect();
    if permissive.is_empty() {
        return Access::Closed(Reason::NoPolicy);
    }
    let constant = |policy: &&PolicyRow| policy.expression.as_deref() == Some("true");
    let any = permissive.iter().any(constant);
    if any && restrictive.iter().all(constant) {
        return Access::Open;
    }
    let text = |rows: &[&PolicyRow], word: &str| {
        rows.iter()
            .filter_map(|row| row.expression.as_deref())
            .map(|expression| format!("({expression})"))
            .collect::<Vec<_>>()
            .join(word)
    };
    let mut expression = format!("({})", text(&permissive, " or "));
    if !restrictive.is_empty() {
        expression = format!("{} and {expression}", text(&restrictive, " and "));
    }
    let trees: Vec<&str> = permissive
        .iter()
        .chain(&restrictive)
        .filter_map(|row| row.tree.as_deref())
        .collect();
    let numbers: BTreeSet<i16> = trees.iter().flat_map(|tree| variables(tree)).collect();
    let reads = guard
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| numbers.contains(&column.number))
        .map(|(index, _)| index)
        .collect();
    let compiled = compiling.functions.and_then(|functions| {
        let callable = |function| !compiling.denied.contains(&function);
        let (any, all) = (stored(&permissive), stored(&restrictive));
        Compiled::new(guard, &any, &all, functions, &callable).ok()
    });
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Access::Judged(Arc::new(Policy {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        guard: guard.clone(),
        expression,
        reads,
        needs_row: numbers.iter().any(|number| *number <= 0),
        same_for_all: trees.iter().all(|tree| {
            kinds(tree).all(|kind| PLAIN_NODES.contains(&kind))
                && called(tree).all(|function| pure.contains(&function))
        }),
        compiled,
        distrusted: AtomicBool::new(false),
    }))
}

fn stored<'a>(policies: &[&'a PolicyRow]) -> Vec<&'a str> {
    let trees = policies.iter().filter_map(|policy| policy.tree.as_deref());
    trees.collect()
}

/// Column numbers of all variables, whatever query level they are of.
pub(super) fn variables(tree: &str) -> impl Iterator<Item = i16> {
    fields(tree, ":varattno ").map(|number| number.parse().unwrap_or(0))
}

fn called(tree: &str) -> impl Iterator<Item = u32> {
    // A number that cannot be read is function 0, which is never pure.
    fields(tree, ":funcid ")
        .chain(fields(tree, ":opfuncid "))
        .map(|number| number.parse().unwrap_or(0))
}

fn fields<'a>(tree: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    tree.split(name)
        .skip(1)
        .map(|rest| rest.split([' ', '}', ')']).next().unwrap_or(""))
}

fn kinds(tree: &str) -> impl Iterator<Item = &str> {
    tree.split('{')
        .skip(1)
        .map(|rest| rest.split([' ', '}']).next().unwrap_or(""))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::changes::catalog::load::{ColumnRow, TableRow};

    const UID_IS_OWNER: &str = "{OPEXPR :opno 2972 :opfuncid 2956 :args ({FUNCEXPR :funcid 16388 :args <> :location 56} {VAR :varno 1 :varattno 2 :varlevelsup 0 :location 69}) :location 67}";
    const ROOM_IS_ONE: &str = "{OPEXPR :opno 96 :opfuncid 65 :args ({VAR :varno 1 :varattno 1 :varlevelsup 0} {CONST :consttype 23})}";
    const WHOLE_ROW: &str = "{FUNCEXPR :funcid 3176 :args ({VAR :varno 1 :varattno 0})}";

    const NOT: Compiling<'_> = Compiling {
        functions: None,
        denied: &[],
    };

    fn guard(policies: &[(bool, &str, &str)]) -> Arc<Table> {
        let row = TableRow {
            oid: 1,
            schema: "public".into(),
            name: "t".into(),
            rls: true,
            identity: "d".into(),
            columns: vec![column(1, "room"), column(2, "owner")],
            primary_key: vec![1],
            identity_index: Vec::new(),
            ancestors: Vec::new(),
            policies: policies
                .iter()
                .zip(1..)
                .map(|((permissive, expression, tree), oid)| PolicyRow {
                    oid,
                    name: format!("policy {oid}"),
                    permissive: *permissive,
                    expression: Some((*expression).to_owned()),
                    tree: Some((*tree).to_owned()),
                })
                .collect(),
            unread: false,
        };
        Arc::new(Table::new(row, Arc::default()))
    }

    fn column(number: i16, name: &str) -> ColumnRow {
        ColumnRow {
            number,
            name: name.into(),
            type_oid: 25,
            type_schema: "pg_catalog".into(),
            type_name: "text".into(),
            modifier: -1,
            not_null: false,
            generated: String::new(),
            expression: None,
            tree: None,
        }
    }

    fn judged(access: Access) -> Arc<Policy> {
        match access {
            Access::Judged(policy) => policy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn permissive_policies_are_ored_and_restrictive_ones_anded() {
        let guard = guard(&[
            (true, "a", ROOM_IS_ONE),
            (true, "b", ROOM_IS_ONE),
            (false, "c", ROOM_IS_ONE),
        ]);
        let policy = judged(combine(&guard, &|_| true, &BTreeSet::new(), &NOT));
        assert_eq!(policy.expression, "(c) and ((a) or (b))");
    }

    #[test]
    fn without_a_permissive_policy_nothing_is_visible() {
        let guard = guard(&[(false, "true", ROOM_IS_ONE), (true, "true", ROOM_IS_ONE)]);
        assert!(matches!(
            combine(&guard, &|oid| oid == 1, &BTreeSet::new(), &NOT),
            Access::Closed(Reason::NoPolicy)
        ));
    }

    #[test]
    fn a_restrictive_policy_keeps_a_constant_true_from_opening_the_table() {
        let guard = guard(&[(true, "true", "{CONST}"), (false, "c", ROOM_IS_ONE)]);
        judged(combine(&guard, &|_| true, &BTreeSet::new(), &NOT));
    }

    #[test]
    fn a_function_that_is_not_known_as_pure_makes_the_answer_depend_on_the_audience() {
        let pure = BTreeSet::from([65, 2956]);
        let room = guard(&[(true, "a", ROOM_IS_ONE)]);
        assert!(judged(combine(&room, &|_| true, &pure, &NOT)).same_for_all);
        let owner = guard(&[(true, "a", UID_IS_OWNER)]);
        let policy = judged(combine(&owner, &|_| true, &pure, &NOT));
        assert!(!policy.same_for_all);
        assert_eq!(policy.reads, [1]);
        assert!(!policy.needs_row);
    }

    #[test]
    fn a_whole_row_reference_is_not_judged_on_an_image() {
        let guard = guard(&[(true, "a", WHOLE_ROW)]);
        assert!(judged(combine(&guard, &|_| true, &BTreeSet::from([3176]), &NOT)).needs_row);
    }

    #[test]
    fn a_policy_that_could_not_be_read_closes_the_table() {
        let open = guard(&[(true, "true", "{CONST}")]);
        assert!(matches!(
            combine(&open, &|_| true, &BTreeSet::new(), &NOT),
            Access::Open
        ));
        let mut table = Arc::into_inner(guard(&[
            (true, "true", "{CONST}"),
            (false, "owner = 1", ROOM_IS_ONE),
        ]))
        .unwrap();
        table.policies[1].expression = None;
        assert!(matches!(
            combine(&Arc::new(table), &|_| true, &BTreeSet::new(), &NOT),
            Access::Closed(Reason::Unread)
        ));
    }
}
