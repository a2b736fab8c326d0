//! Which policies of the published tables are decided here, for who tunes them.

use std::collections::BTreeSet;

use super::compiled::{self, Compiled, Functions};
use super::load::FunctionsRow;
use super::{Catalog, Error, load, policy};

/// How a policy for SELECT on a published table is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedPolicy {
    /// Name of the policy, unquoted.
    pub policy: String,
    /// Schema and name of its table, quoted where they must be.
    pub table: String,
    /// Why Postgres is asked; none where it is not. The policies that apply to a role are decided together: if Postgres is
    /// asked for one of them, it is for all.
    pub asked_because: Option<String>,
}

impl Catalog {
    /// Every policy, by table and name.
    pub(crate) async fn explain(&self) -> Result<Vec<ExplainedPolicy>, Error> {
        let published = self.published().await?;
        let oids: BTreeSet<u32> = published.iter().map(|table| table.oid).collect();
        let tables = self.tables(&oids, u64::MAX).await?;
        let called: Vec<i64> = tables
            .values()
            .flat_map(|table| policy::functions(&table.policies))
            .chain(compiled::called_in_bodies())
            .map(i64::from)
            .collect();
        let known: FunctionsRow = self.json(load::FUNCTIONS, &[&called]).await?;
        let functions = Functions::new(known.others, known.claim_is_unset, known.utf8);
        let mut explained: Vec<ExplainedPolicy> = Vec::new();
        for table in tables.values().filter(|table| table.rls) {
            for policy in &table.policies {
                let Some(tree) = policy.tree.as_deref() else {
                    continue;
                };
                let compiled = Compiled::new(table, &[tree], &[], &functions, &|_| true);
                explained.push(ExplainedPolicy {
                    policy: policy.name.clone(),
                    table: table.sql(),
                    asked_because: compiled.err(),
                });
            }
        }
        explained.sort_by(|a, b| (&a.table, &a.policy).cmp(&(&b.table, &b.policy)));
        Ok(explained)
    }
}
