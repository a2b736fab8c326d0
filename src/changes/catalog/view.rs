//! One role's rights on one table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::load::RoleRow;
use super::policy::{self, Access, Compiling, Reason};
use super::table::Table;
use crate::changes::compiled::Functions;

/// What a role may see of a table.
#[derive(Debug)]
pub struct View {
    /// The role; it exists.
    pub(crate) role: Arc<str>,
    /// The table as it is presented.
    pub(crate) table: Arc<Table>,
    /// Per column of the table: may the role SELECT it?
    pub(crate) selectable: Vec<bool>,
    /// There is a primary key and the role may SELECT all of it.
    pub(crate) key_selectable: bool,
    /// Row level security applies to the table (by its own policies or those of an ancestor), whoever asks.
    pub(crate) guarded: bool,
    /// Which rows.
    pub(crate) access: Access,
    /// Somebody's lock kept from us what is needed to say more; it is worth another look.
    pub(crate) unread: bool,
}

impl View {
    /// `guard`: the table whose policies apply, and the role's rights there.
    pub(super) fn new(
        role: Arc<str>,
        table: Arc<Table>,
        row: &RoleRow,
        guard: Option<(&Arc<Table>, &RoleRow)>,
        pure: &BTreeSet<u32>,
        functions: Option<&Functions>,
    ) -> Self {
        let selectable: Vec<bool> = table
            .columns
            .iter()
            .map(|column| row.columns.contains(&column.number))
            .collect();
        let access = match guard {
            None => Access::Open,
            Some(_) if !row.usage => Access::Closed(Reason::NoUsage),
            Some((_, rights)) if rights.bypass => Access::Open,
            Some((guard, _)) if guard.unread => Access::Closed(Reason::Unread),
            Some((guard, rights)) => {
                let compiling = Compiling {
                    functions,
                    denied: &rights.denied,
                };
                policy::combine(
                    guard,
                    &|oid| rights.policies.contains(&oid),
                    pure,
                    &compiling,
                )
            }
        };
        Self {
            role,
            key_selectable: !table.key.is_empty()
                && table
                    .key
                    .iter()
                    .all(|index| selectable.get(*index).copied().unwrap_or(false)),
            selectable,
            guarded: guard.is_some(),
            unread: table.unread || guard.is_some_and(|(guard, _)| guard.unread),
            access,
            table,
        }
    }
}
