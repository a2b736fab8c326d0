//! Which policy of `realtime.messages` allows or denies what, for one set of claims on one topic.
//!
//! Each policy's expression is evaluated by itself, as the role and with the settings of a real check, on a row like the
//! probe of a real check (postgres.md §5.3), in a transaction that is rolled back. What all of them together decide is
//! [`crate::access`]'s to say.

use std::fmt;

use tokio_postgres::Client;

use crate::auth::Claims;
use crate::postgres::{self, ConnectOptions};

/// What is examined: whose rights on which topic.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks, with which role.
    pub claims: &'a Claims,
    /// Sub-topic, without `realtime:`.
    pub topic: &'a str,
    /// JSON object of headers.
    pub headers: &'a str,
}

/// Everything that decides. Its [`fmt::Display`] is the text for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What decides before or instead of the policies, with what to run.
    pub notes: Vec<String>,
    /// The policies for reading, then those for writing.
    pub verdicts: Vec<Verdict>,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Name of the policy.
    pub policy: String,
    /// `read` or `write`.
    pub operation: &'static str,
    /// One permissive policy must be true, and every restrictive one.
    pub permissive: bool,
    /// The roles it is for.
    pub roles: String,
    /// For broadcast and for presence; none when the policy is not for this role.
    pub said: Option<[Said; 2]>,
}

/// Value of a policy's expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// True.
    Yes,
    /// False, or NULL, which counts as false.
    No,
    /// There is no expression for this operation, as in a policy for all commands with WITH CHECK alone.
    Nothing,
    /// An error, in Postgres' words. In a real check it denies, unless another policy decides first.
    Raised(String),
}

/// Evaluates every policy. Needs a login that can read the catalog and take on the role.
///
/// # Errors
/// When the database cannot be reached or read, in words.
pub async fn examine(options: &ConnectOptions, question: Question<'_>) -> Result<Examined, String> {
    let client = postgres::connect(options, "realtime_doctor")
        .await
        .map_err(|error| error.to_string())?;
    let in_words = |error: tokio_postgres::Error| words(&error);
    client
        .batch_execute("set statement_timeout = '5s'; set row_security = on")
        .await
        .map_err(in_words)?;
    let mut examined = Examined {
        notes: notes(&client, &question.claims.role)
            .await
            .map_err(in_words)?,
        verdicts: Vec::new(),
    };
    for (operation, command, expression) in [
        ("read", "r", "polqual"),
        ("write", "a", "coalesce(polwithcheck, polqual)"),
    ] {
        for policy in policies(&client, &question.claims.role, command, expression)
            .await
            .map_err(in_words)?
        {
            let said = match policy.applies {
                false => None,
                true => {
                    let expression = policy.expression.as_deref();
                    let broadcast = evaluate(&client, question, expression, "broadcast").await;
                    let presence = evaluate(&client, question, expression, "presence").await;
                    Some([broadcast, presence])
                }
            };
            examined.verdicts.push(Verdict {
                policy: policy.name,
                operation,
                permissive: policy.permissive,
                roles: policy.roles,
                said,
            });
        }
    }
    Ok(examined)
}

/// What makes policies irrelevant, or reading and writing impossible whatever they say.
async fn notes(client: &Client, role: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut notes = Vec::new();
    let Some(row) = client
        .query_opt(
            "select r.rolsuper or r.rolbypassrls, c.relrowsecurity,
                    pg_has_role(r.oid, c.relowner, 'usage') and not c.relforcerowsecurity,
                    has_schema_privilege(r.oid, c.relnamespace, 'usage'),
                    has_table_privilege(r.oid, c.oid, 'select'), has_table_privilege(r.oid, c.oid, 'insert')
             from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_roles r
             where n.nspname = 'realtime' and c.relname = 'messages' and r.rolname = $1",
            &[&role],
        )
        .await?
    else {
        let table = client
            .query_opt(
                "select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'realtime' and c.relname = 'messages'",
                &[],
            )
            .await?;
        notes.push(match table {
            Some(_) => format!("role {role} does not exist: everything is denied"),
            None => "realtime.messages does not exist; run: dovetail migrate".to_owned(),
        });
        return Ok(notes);
    };
    let [bypasses, secured, owns, schema, select, insert] =
        [0, 1, 2, 3, 4, 5].map(|index| row.get::<_, bool>(index));
    if !secured {
        notes.push(
            "row level security of realtime.messages is off: no policy is asked; \
             run: alter table realtime.messages enable row level security"
                .to_owned(),
        );
    } else if bypasses || owns {
        notes.push(format!(
            "{role} bypasses row level security: no policy is asked"
        ));
    }
    for (granted, problem) in [
        (schema, "usage on schema realtime"),
        (select, "select on realtime.messages"),
        (insert, "insert on realtime.messages"),
    ] {
        if !granted {
            notes.push(format!(
                "{role} has no {problem}, and is denied what needs it; run: grant {problem} to {role}"
            ));
        }
    }
    Ok(notes)
}

struct Policy {
    name: String,
    permissive: bool,
    roles: String,
    applies: bool,
    expression: Option<String>,
}

/// The policies for a command (`r`ead or `a`ppend), in the order of their names.
async fn policies(
    client: &Client,
    role: &str,
    command: &str,
    expression: &str,
) -> Result<Vec<Policy>, tokio_postgres::Error> {
    // With nothing in the search path every name in an expression is written in full.
    client
        .batch_execute("begin; set local search_path = pg_catalog")
        .await?;
    let rows = client
        .query(
            &format!(
                "select p.polname::text, p.polpermissive,
                        (select string_agg(case o when 0 then 'public' else pg_get_userbyid(o)::text end, ', ') from unnest(p.polroles) o),
                        0 = any (p.polroles) or exists (
                          select from pg_roles r, unnest(p.polroles) o
                          where r.rolname = $1 and o <> 0 and pg_has_role(r.oid, o, 'usage')),
                        pg_get_expr({expression}, p.polrelid)
                 from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'realtime' and c.relname = 'messages' and p.polcmd::text in ('*', $2)
                 order by p.polname"
            ),
            &[&role, &command],
        )
        .await;
    client.batch_execute("rollback").await?;
    Ok(rows?
        .iter()
        .map(|row| Policy {
            name: row.get(0),
            permissive: row.get(1),
            roles: row.get::<_, Option<String>>(2).unwrap_or_default(),
            applies: row.get(3),
            expression: row.get(4),
        })
        .collect())
}

/// Evaluates one expression on a probe.
async fn evaluate(
    client: &Client,
    question: Question<'_>,
    expression: Option<&str>,
    extension: &str,
) -> Said {
    let Some(expression) = expression else {
        return Said::Nothing;
    };
    let said = in_transaction(client, question, expression, extension).await;
    // If this fails the connection is gone, which the next question tells.
    let _ = client.batch_execute("rollback").await;
    match said {
        Ok(true) => Said::Yes,
        Ok(false) => Said::No,
        Err(error) => Said::Raised(words(&error)),
    }
}

async fn in_transaction(
    client: &Client,
    question: Question<'_>,
    expression: &str,
    extension: &str,
) -> Result<bool, tokio_postgres::Error> {
    client.batch_execute("begin").await?;
    // Names are looked up before the role is taken on: a policy may use what the role could not name.
    let statement = client
        .prepare(&format!(
            "select ({expression})
             from pg_catalog.jsonb_populate_record(null::realtime.messages, pg_catalog.jsonb_build_object(
               'id', pg_catalog.gen_random_uuid(), 'topic', $1::text, 'extension', $2::text, 'private', false,
               'inserted_at', pg_catalog.timezone('UTC', pg_catalog.now()), 'updated_at', pg_catalog.timezone('UTC', pg_catalog.now()))) as messages"
        ))
        .await?;
    let claims = question.claims;
    let sub = claims.sub.as_deref().unwrap_or_default();
    client
        .query(
            "select pg_catalog.set_config('role', $1, true), pg_catalog.set_config('realtime.topic', $2, true),
                    pg_catalog.set_config('request.jwt.claims', $3, true), pg_catalog.set_config('request.jwt.claim.sub', $4, true),
                    pg_catalog.set_config('request.jwt.claim.role', $1, true), pg_catalog.set_config('request.headers', $5, true)",
            &[&&*claims.role, &question.topic, &&*claims.json, &sub, &question.headers],
        )
        .await?;
    let row = client
        .query_one(&statement, &[&question.topic, &extension])
        .await?;
    Ok(row.get::<_, Option<bool>>(0).unwrap_or(false))
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

impl Said {
    fn in_words(&self, permissive: bool) -> String {
        match (self, permissive) {
            (Self::Yes, true) => "allows".to_owned(),
            (Self::No, true) => "does not allow".to_owned(),
            (Self::Yes, false) => "has no objection".to_owned(),
            (Self::No, false) => "denies".to_owned(),
            (Self::Nothing, _) => "has no expression for this, so it says nothing".to_owned(),
            (Self::Raised(reason), _) => format!("raises an error: {reason}"),
        }
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for operation in ["read", "write"] {
            writeln!(f, "policies that decide who may {operation}:")?;
            let mut helps = false;
            for verdict in &self.verdicts {
                if verdict.operation != operation {
                    continue;
                }
                let kind = if verdict.permissive {
                    "permissive"
                } else {
                    "restrictive"
                };
                let (policy, roles) = (&verdict.policy, &verdict.roles);
                let Some([broadcast, presence]) = &verdict.said else {
                    writeln!(f, "  \"{policy}\" ({kind}, to {roles}): not for this role")?;
                    continue;
                };
                helps |= verdict.permissive;
                writeln!(f, "  \"{policy}\" ({kind}, to {roles})")?;
                for (extension, said) in [("broadcast", broadcast), ("presence", presence)] {
                    let words = said.in_words(verdict.permissive);
                    writeln!(f, "    {extension:<9} {words}")?;
                }
            }
            if !helps {
                writeln!(f, "  no permissive policy is for this role")?;
            }
        }
        Ok(())
    }
}
