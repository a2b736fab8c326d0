//! Tables of every kind with every replica identity, and random writes to them with what each user may learn.

use serde_json::{Value, json};
use tokio_postgres::Client;

use super::dice::Dice;
use super::users::{USERS, User, ask_as};

/// What tells the kinds apart: row level security, grants, key.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    name: &'static str,
    /// Statements with `{t}` for the table; none means no row level security.
    policies: &'static [&'static str],
    /// Columns that each role may read; `None` is all.
    grants: &'static [(&'static str, &'static str)],
    key: &'static [&'static str],
    partitioned: bool,
    extra: &'static str,
}

const ALL: &[(&str, &str)] = &[("anon, authenticated, service_role, auditor", "")];
const OWNER: &str = "create policy owner on {t} for select using (owner = (select auth.uid()))";

const PLAIN: Kind = Kind {
    name: "open",
    policies: &[],
    grants: ALL,
    key: &["id"],
    partitioned: false,
    extra: "",
};

pub const KINDS: &[Kind] = &[
    PLAIN,
    Kind {
        name: "owned",
        policies: &[OWNER],
        ..PLAIN
    },
    Kind {
        name: "rooms",
        policies: &[
            "create policy member on {t} for select to authenticated, auditor using
               (exists (select from public.members m where m.room = {t}.room and m.uid = auth.uid()))",
        ],
        ..PLAIN
    },
    Kind {
        name: "granted",
        grants: &[
            ("anon", "(id, part, v, step)"),
            ("authenticated", "(id, part, owner, v, tag, step)"),
            ("auditor", "(owner, v)"),
            ("service_role", ""),
        ],
        ..PLAIN
    },
    Kind {
        name: "ungranted",
        grants: &[("service_role", "")],
        ..PLAIN
    },
    Kind {
        name: "closed",
        policies: &["alter table {t} force row level security"],
        ..PLAIN
    },
    Kind {
        name: "mixed",
        policies: &[
            "create policy p1 on {t} for select to authenticated using (true)",
            "create policy p2 on {t} for select to anon using (n > 3)",
            "create policy p3 on {t} as restrictive for select to public using (v is distinct from 'b')",
        ],
        grants: &[
            ("anon, authenticated, service_role", ""),
            ("auditor", "(id, part, step)"),
        ],
        ..PLAIN
    },
    Kind {
        name: "twice",
        policies: &["create policy p on {t} for select using (twice > 5 or owner = auth.uid())"],
        extra: ", twice int generated always as (n * 2) stored",
        ..PLAIN
    },
    Kind {
        name: "pair",
        policies: &[OWNER],
        key: &["id", "part"],
        ..PLAIN
    },
    Kind {
        name: "parted",
        policies: &[OWNER],
        key: &["id", "part"],
        partitioned: true,
        ..PLAIN
    },
];

/// `REPLICA IDENTITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Default,
    Full,
    Index,
    Nothing,
}

pub const IDENTITIES: [Identity; 4] = [
    Identity::Default,
    Identity::Full,
    Identity::Index,
    Identity::Nothing,
];

#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub kind: Kind,
    pub identity: Identity,
}

/// Every kind with every identity.
pub fn all() -> Vec<Table> {
    let pairs = KINDS
        .iter()
        .flat_map(|kind| IDENTITIES.map(|identity| (*kind, identity)));
    pairs
        .map(|(kind, identity)| Table {
            name: format!("{}_{identity:?}", kind.name).to_lowercase(),
            kind,
            identity,
        })
        .collect()
}

impl Table {
    /// What makes it, and puts it into the publication.
    pub fn definition(&self) -> String {
        let Self {
            name,
            kind,
            identity,
        } = self;
        let key = kind.key.join(", ");
        let columns = format!(
            "id int, part int not null, owner uuid, room int, v text, n int, step int, tag int not null{}",
            kind.extra
        );
        let mut sql = match kind.partitioned {
            false => {
                format!("create table {name} ({columns}, primary key ({key}), unique (tag, part));")
            }
            true => format!(
                "create table {name} ({columns}, primary key ({key}), unique (tag, part)) partition by list (part);
                 create table {name}_1 partition of {name} for values in (0);
                 create table {name}_2 partition of {name} for values in (1);"
            ),
        };
        let relations = match kind.partitioned {
            false => vec![name.clone()],
            true => vec![name.clone(), format!("{name}_1"), format!("{name}_2")],
        };
        for relation in relations {
            sql += &match identity {
                Identity::Default => String::new(),
                Identity::Full => format!("alter table {relation} replica identity full;"),
                Identity::Nothing => format!("alter table {relation} replica identity nothing;"),
                Identity::Index => format!(
                    "alter table {relation} replica identity using index {relation}_tag_part_key;"
                ),
            };
        }
        if !kind.policies.is_empty() {
            sql += &format!("alter table {name} enable row level security;");
        }
        for policy in kind.policies {
            sql += &policy.replace("{t}", name);
            sql.push(';');
        }
        // Supabase's default privileges give everything to its roles.
        sql += &format!("revoke all on {name} from anon, authenticated, service_role;");
        for (roles, columns) in kind.grants {
            sql += &format!("grant select {columns} on {name} to {roles};");
        }
        sql += &format!("alter publication supabase_realtime add table {name};");
        sql
    }

    fn protected(&self) -> bool {
        !self.kind.policies.is_empty()
    }

    fn identity_columns(&self) -> Vec<&str> {
        match self.identity {
            Identity::Default => self.kind.key.to_vec(),
            Identity::Index => vec!["tag", "part"],
            Identity::Full | Identity::Nothing => Vec::new(),
        }
    }
}

/// A column list of each user for each table, as the grants have it.
pub async fn readable(sql: &Client, table: &Table, user: &User) -> Vec<String> {
    let rows = sql
        .query(
            "select attname::text from pg_attribute where attrelid = $1::text::regclass and attnum > 0
             and not attisdropped and has_column_privilege($2::text, attrelid, attnum, 'select') order by attnum",
            &[&table.name, &user.role],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A change of a row, and what one user may and must be told of it.
#[derive(Clone, Debug)]
pub struct Expected {
    pub table: String,
    pub kind: &'static str,
    /// The row as SQL shows it to the user after the change.
    pub record: Value,
    /// All that the old values may say, and all of them that must be there.
    pub old_may: Value,
    pub old_must: Value,
    /// Whether its absence is a fault too.
    pub must: bool,
}

/// Who learns of deleted rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    Keys,
    Authorised,
}

/// Writes rows and keeps book of what each user should see, in the order of [`USERS`].
pub struct Writer<'a> {
    pub sql: &'a Client,
    pub tables: &'a [Table],
    /// By table, by user.
    pub readable: &'a [Vec<Vec<String>>],
    pub deletes: Deletes,
    pub step: i32,
}

type Told = Vec<Vec<Expected>>;

impl Writer<'_> {
    /// One transaction of a few writes; some of it, or all, may be rolled back.
    pub async fn transaction(
        &mut self,
        dice: &mut Dice,
        expected: &mut Told,
        log: &mut Vec<String>,
    ) {
        self.sql.batch_execute("begin").await.unwrap();
        log.push("begin".into());
        let mut told: Told = vec![Vec::new(); USERS.len()];
        for _ in 0..=dice.below(4) {
            if dice.one_in(4) {
                let mut inner: Told = vec![Vec::new(); USERS.len()];
                self.sql.batch_execute("savepoint part").await.unwrap();
                for _ in 0..=dice.below(2) {
                    self.write(dice, &mut inner, log).await;
                }
                if dice.one_in(2) {
                    log.push("rollback to the savepoint".into());
                    self.sql
                        .batch_execute("rollback to savepoint part")
                        .await
                        .unwrap();
                } else {
                    for (told, inner) in told.iter_mut().zip(inner) {
                        told.extend(inner);
                    }
                }
            } else {
                self.write(dice, &mut told, log).await;
            }
        }
        if dice.one_in(8) {
            log.push("rollback".into());
            self.sql.batch_execute("rollback").await.unwrap();
            return;
        }
        self.sql.batch_execute("commit").await.unwrap();
        for (expected, told) in expected.iter_mut().zip(told) {
            expected.extend(told);
        }
    }

    async fn write(&mut self, dice: &mut Dice, told: &mut Told, log: &mut Vec<String>) {
        let number = dice.below(self.tables.len());
        let table = &self.tables[number];
        self.step += 1;
        let name = &table.name;
        let (id, part) = (dice.below(4), dice.below(2));
        let at = match table.kind.key.len() {
            1 => format!("id = {id}"),
            _ => format!("id = {id} and part = {part}"),
        };
        let values = values(dice, self.step);
        let there = self
            .row(&format!(
                "select to_jsonb(t)::text from {name} t where {at}"
            ))
            .await;
        let operation = match there {
            None => 0,
            Some(_) if table.identity == Identity::Nothing => {
                // Postgres refuses to update and delete these.
                if dice.one_in(4) {
                    self.run(&format!("truncate {name}"), log).await;
                }
                return;
            }
            Some(_) => 1 + dice.below(8),
        };
        let before = self.seen(number, &at).await;
        match operation {
            0 => {
                let sql = format!(
                    "insert into {name} (id, part, tag, owner, room, v, n, step) values ({id}, {part}, {}, {values})",
                    self.step
                );
                self.run(&sql, log).await;
                let after = self.seen(number, &at).await;
                self.tell(
                    number,
                    "INSERT",
                    &vec![None; USERS.len()],
                    &after,
                    None,
                    told,
                );
            }
            1..=3 => {
                let sql = format!(
                    "update {name} set (owner, room, v, n, step) = row({values}) where {at}"
                );
                self.run(&sql, log).await;
                let after = self.seen(number, &at).await;
                self.tell(number, "UPDATE", &before, &after, there, told);
            }
            4 => {
                // Another key, another part: a row of a partitioned table moves to the other partition.
                let free = 10 + self.step;
                let moves = dice.one_in(2);
                let to = if moves { "1 - part" } else { "part" };
                let sql = format!(
                    "update {name} set id = {free}, part = {to}, tag = {}, step = {} where {at}",
                    self.step, self.step
                );
                self.run(&sql, log).await;
                let now = format!("id = {free}");
                let after = self.seen(number, &now).await;
                if moves && table.kind.partitioned {
                    self.tell(
                        number,
                        "DELETE",
                        &before,
                        &vec![None; USERS.len()],
                        there,
                        told,
                    );
                    self.tell(
                        number,
                        "INSERT",
                        &vec![None; USERS.len()],
                        &after,
                        None,
                        told,
                    );
                } else {
                    self.tell(number, "UPDATE", &before, &after, there, told);
                }
            }
            5 => {
                // A row changes hands, and perhaps its key at the same time.
                let number_changes = dice.one_in(2);
                let sql = format!(
                    "update {name} set owner = {}, room = {}, step = {}{} where {at}",
                    owner(dice),
                    dice.below(4),
                    self.step,
                    match number_changes {
                        true => format!(", tag = {}, id = {}", self.step, 10 + self.step),
                        false => String::new(),
                    }
                );
                self.run(&sql, log).await;
                let now = match number_changes {
                    true => format!("id = {}", 10 + self.step),
                    false => at,
                };
                let after = self.seen(number, &now).await;
                self.tell(number, "UPDATE", &before, &after, there, told);
            }
            6 if dice.one_in(4) => self.run(&format!("truncate {name}"), log).await,
            _ => {
                self.run(&format!("delete from {name} where {at}"), log)
                    .await;
                self.tell(
                    number,
                    "DELETE",
                    &before,
                    &vec![None; USERS.len()],
                    there,
                    told,
                );
            }
        }
    }

    async fn run(&self, sql: &str, log: &mut Vec<String>) {
        log.push(sql.to_owned());
        self.sql.batch_execute(sql).await.expect(sql);
    }

    async fn row(&self, sql: &str) -> Option<Value> {
        let row = self.sql.query_opt(sql, &[]).await.unwrap();
        row.map(|row| serde_json::from_str(&row.get::<_, String>(0)).unwrap())
    }

    /// The row as each user sees it with SQL, in the open transaction.
    async fn seen(&self, table: usize, at: &str) -> Vec<Option<Value>> {
        let mut seen = Vec::new();
        for (number, user) in USERS.iter().enumerate() {
            let columns = self.readable[table][number].join(", ");
            if columns.is_empty() {
                seen.push(None);
                continue;
            }
            let name = &self.tables[table].name;
            // What the row has is found as ourselves: a user who may not read the key sees rows too.
            let there = format!(
                "select quote_literal(to_jsonb(s)) from (select {columns} from {name} where {at}) s"
            );
            let row = self.sql.query_opt(&there, &[]).await.unwrap();
            let Some(there) = row.map(|row| row.get::<_, String>(0)) else {
                seen.push(None);
                continue;
            };
            let query = format!(
                "select to_jsonb(s) from (select {columns} from {name}) s where to_jsonb(s) = {there}::jsonb limit 1"
            );
            let text = ask_as(self.sql, user, "", &query).await;
            seen.push(text.map(|text| serde_json::from_str(&text).unwrap()));
        }
        seen
    }

    fn tell(
        &self,
        table: usize,
        kind: &'static str,
        before: &[Option<Value>],
        after: &[Option<Value>],
        old: Option<Value>,
        told: &mut Told,
    ) {
        let Table {
            name,
            kind: shape,
            identity,
        } = &self.tables[table];
        let table_of = &self.tables[table];
        let full = *identity == Identity::Full;
        let old = old.unwrap_or_else(|| json!({}));
        for (number, user) in USERS.iter().enumerate() {
            let columns = &self.readable[table][number];
            let reads_key = shape
                .key
                .iter()
                .all(|key| columns.iter().any(|column| column == key));
            let only = |wanted: &[&str]| -> Value {
                let kept = wanted
                    .iter()
                    .filter(|name| columns.iter().any(|column| column == *name))
                    .filter_map(|name| Some(((*name).to_owned(), old.get(*name)?.clone())));
                Value::Object(kept.collect())
            };
            let seen_before = before[number].clone();
            let key = only(shape.key);
            let bypasses = user.role == "service_role";
            let expected = match kind {
                "DELETE" => {
                    let protected = table_of.protected();
                    let identity_says = match full {
                        true => only(&columns.iter().map(String::as_str).collect::<Vec<_>>()),
                        false => only(&table_of.identity_columns()),
                    };
                    let old = match protected {
                        false => identity_says,
                        true => {
                            let Value::Object(all) = identity_says else {
                                unreachable!()
                            };
                            let keys = all
                                .into_iter()
                                .filter(|(name, _)| shape.key.contains(&name.as_str()));
                            Value::Object(keys.collect())
                        }
                    };
                    match self.deletes {
                        Deletes::Keys => Some((json!({}), old.clone(), old, true)),
                        Deletes::Authorised => seen_before.map(|_| {
                            let must = full || bypasses || (!protected && reads_key);
                            (json!({}), old.clone(), old, must)
                        }),
                    }
                }
                _ if !reads_key => None,
                "INSERT" => after[number]
                    .clone()
                    .map(|row| (row, json!({}), json!({}), true)),
                _ => after[number].clone().map(|row| {
                    let may = match (&seen_before, self.deletes) {
                        (Some(row), _) => row.clone(),
                        // The old key of a row that was not seen: as with deletes.
                        (None, Deletes::Keys) => with(row.clone(), &key),
                        // What the new row says too is no news.
                        (None, Deletes::Authorised) => row.clone(),
                    };
                    let must = match (full, seen_before) {
                        (true, Some(row)) => row,
                        _ => json!({}),
                    };
                    (row, may, must, true)
                }),
            };
            if let Some((record, old_may, old_must, must)) = expected {
                told[number].push(Expected {
                    table: name.clone(),
                    kind,
                    record,
                    old_may,
                    old_must,
                    must,
                });
            }
        }
    }
}

/// `row` with these fields instead of its own.
fn with(mut row: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

fn owner(dice: &mut Dice) -> String {
    match dice.pick(&USERS).sub {
        Some(sub) => format!("'{sub}'"),
        None => "null".into(),
    }
}

/// Values of `owner, room, v, n, step`.
fn values(dice: &mut Dice, step: i32) -> String {
    let owner = owner(dice);
    let room = dice.below(4);
    let v = dice.pick(&["null", "'a'", "'b'", "'it''s \"x\" \\ ä'"]);
    let n = dice.below(8);
    format!("{owner}, {room}, {v}, {n}, {step}")
}
