//! The SQL: what a connection is set up with, and the messages that ask one question.
//!
//! Each question has a transaction of its own that is always rolled back, so that nothing of it can reach the next one:
//! not its settings, not what a policy's function remembers in the transaction, not its probe rows (a policy may look into
//! `realtime.messages`, where the probe of another topic must not count as a message). The transactions are chained
//! (`ROLLBACK AND CHAIN`), which also works after an error, so a question is one or two messages and all questions of
//! a batch can be sent at once.

use std::fmt::Write as _;
use std::time::Duration;

use uuid::Uuid;

use super::Subject;
use crate::postgres::literal;

/// Opens the first transaction of a batch. Read committed whatever the database's default, so that each question sees the
/// data of its own time.
pub(super) const BEGIN: &str = "begin isolation level read committed read write";

/// Ends the last one.
pub(super) const END: &str = "rollback";

/// Leaves the transaction of the question before and opens the next.
const NEXT: &str = "rollback and chain";

/// The snapshot comes with every row, and with one without anything when there is none. Newest rows first. Rows of one
/// transaction share `inserted_at`. Among them the number of the command that inserted them decides, then (a restored
/// table has one number for all) a time-ordered id as our `realtime.send` makes them, then the place in the table.
const REPLAY: &str = "
  select r.id, r.event, r.payload, r.body, s.snapshot
  from (select pg_catalog.pg_current_snapshot()::text as snapshot) s
  left join lateral (
  select m.id, m.event, m.payload::text as payload, BINARY::text as body
  from realtime.messages m
  where m.topic = TOPIC and m.extension = 'broadcast' and m.private is true
    and m.inserted_at >= timestamp 'epoch' + SINCE * interval '1 millisecond'
    and m.inserted_at < pg_catalog.timezone('UTC', pg_catalog.now()) + interval '1 minute'
    and m.event is not null and (m.payload is not null or BINARY is not null)
  order by m.inserted_at desc, m.cmin::text::bigint desc,
    case when pg_catalog.substr(m.id::text, 15, 1) = '7' then m.id end desc, m.ctid desc
  limit LIMIT) r on true";

/// A text that differs when something differs that decides about `realtime.messages`: its policies, row level security,
/// owner and grants, those of the schema, and what roles inherit or bypass.
const POLICIES: &str = "
select pg_catalog.md5(pg_catalog.concat_ws('|',
  (select pg_catalog.concat_ws(',', c.oid, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl::text, n.nspacl::text, n.nspowner)
   from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'realtime' and c.relname = 'messages'),
  (select pg_catalog.string_agg(pg_catalog.concat_ws(',', a.attname, a.attacl::text), ';' order by a.attnum)
   from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
   join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'realtime' and c.relname = 'messages' and a.attacl is not null),
  (select pg_catalog.string_agg(p::text, ';' order by p.oid)
   from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
   join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'realtime' and c.relname = 'messages'),
  (select pg_catalog.string_agg(pg_catalog.concat_ws(',', r.oid, r.rolname, r.rolsuper, r.rolbypassrls), ';' order by r.oid)
   from pg_catalog.pg_roles r),
  (select pg_catalog.string_agg(pg_catalog.concat_ws(',', m.roleid, m.member), ';' order by m.roleid, m.member)
   from pg_catalog.pg_auth_members m)))";

/// Settings of a session. `limit` of one statement applies unless a question brings its own.
///
/// Nothing is prepared: a policy's function could deallocate it, or prepare something else under its name, which the
/// next question would execute as the server; and a plan that is kept remembers for others what a function said that is
/// wrongly declared immutable.
pub(super) fn session(limit: Duration) -> String {
    format!(
        "set standard_conforming_strings = on; set row_security = on; set jit = off; set bytea_output = 'hex'; \
         set client_min_messages = error; set idle_in_transaction_session_timeout = '60s'; set lock_timeout = 0; \
         set statement_timeout = {}",
        milliseconds(limit)
    )
}

/// Fails when the table lacks what the questions need. Old schemas have no `binary_payload`.
pub(super) fn columns(with_binary: bool) -> String {
    let binary = binary(with_binary);
    format!(
        "select m.id, m.topic, m.extension, m.event, m.payload, m.private, m.inserted_at, m.updated_at, {binary} \
         from realtime.messages m limit 0"
    )
}

fn binary(there: bool) -> &'static str {
    match there {
        true => "m.binary_payload",
        false => "null::bytea",
    }
}

/// Puts rows into the table. The names are qualified; the search path stays the server's (postgres.md §5.2).
fn insert(message: &mut String, topic: &str, rows: &[(Uuid, &str)]) {
    message.push_str(
        "; insert into realtime.messages (id, topic, extension, inserted_at, updated_at) values ",
    );
    let topic = literal(topic);
    let now = "pg_catalog.timezone('UTC', pg_catalog.now())";
    for (number, (id, extension)) in rows.iter().enumerate() {
        let comma = if number > 0 { ", " } else { "" };
        let _ = write!(
            message,
            "{comma}('{id}', {topic}, '{extension}', {now}, {now})"
        );
    }
}

/// May the subject read? Three statements follow [`before`]: probe rows, settings, the probe rows that it sees.
pub(super) fn read(
    subject: &Subject,
    broadcast: Uuid,
    presence: Option<Uuid>,
    limit: Option<Duration>,
) -> String {
    let mut message = next(limit);
    let rows = [
        (broadcast, "broadcast"),
        (presence.unwrap_or_default(), "presence"),
    ];
    let rows = if presence.is_some() {
        &rows[..]
    } else {
        &rows[..1]
    };
    insert(&mut message, &subject.topic, rows);
    settings(&mut message, subject);
    let ids: Vec<String> = rows.iter().map(|(id, _)| id.to_string()).collect();
    let _ = write!(
        message,
        "; select m.id from realtime.messages m where m.id operator(pg_catalog.=) any ('{{{}}}'::pg_catalog.uuid[])",
        ids.join(",")
    );
    message
}

/// May the subject write? The first message asks for broadcast (settings, a savepoint, the row follow [`before`]), the
/// second for presence (back to the savepoint, the row).
pub(super) fn write(subject: &Subject, limit: Option<Duration>) -> [String; 2] {
    let mut first = next(limit);
    settings(&mut first, subject);
    first.push_str("; savepoint dovetail");
    insert(&mut first, &subject.topic, &[(Uuid::new_v4(), "broadcast")]);
    let mut second = "rollback to savepoint dovetail".to_owned();
    insert(&mut second, &subject.topic, &[(Uuid::new_v4(), "presence")]);
    [first, second]
}

/// Stored messages, as the connection's own role.
pub(super) fn replay(
    topic: &str,
    since_ms: i64,
    limit: i64,
    with_binary: bool,
    time: Option<Duration>,
) -> String {
    // Nothing is older than the year 1, and Postgres' range of time ends somewhere before that of the number.
    let since_ms = since_ms.clamp(-62_135_596_800_000, 253_402_300_799_999);
    // The topic last: it may contain any of these words.
    let statement = REPLAY
        .replace("BINARY", binary(with_binary))
        .replace("SINCE", &since_ms.to_string())
        .replace("LIMIT", &limit.to_string())
        .replacen("TOPIC", &literal(topic), 1);
    format!("{};{statement}", next(time))
}

/// What decides about `realtime.messages`, as one text.
pub(super) fn policies(limit: Option<Duration>) -> String {
    format!("{};{POLICIES}", next(limit))
}

/// Is anybody there?
pub(super) fn ping(limit: Option<Duration>) -> String {
    format!("{}; select 1", next(limit))
}

/// Statements at the beginning of a question's first message that say nothing about it.
pub(super) fn before(limit: Option<Duration>) -> usize {
    1 + usize::from(limit.is_some())
}

fn next(limit: Option<Duration>) -> String {
    match limit {
        None => NEXT.to_owned(),
        Some(limit) => format!(
            "{NEXT}; set local statement_timeout = {}",
            milliseconds(limit)
        ),
    }
}

/// The six settings of postgres.md §5.2, the role first.
fn settings(message: &mut String, subject: &Subject) {
    let claims = &subject.claims;
    let list: [(&str, &str); 6] = [
        ("role", &claims.role),
        ("realtime.topic", &subject.topic),
        ("request.jwt.claims", &claims.json),
        (
            "request.jwt.claim.sub",
            claims.sub.as_deref().unwrap_or_default(),
        ),
        ("request.jwt.claim.role", &claims.role),
        ("request.headers", &subject.headers),
    ];
    message.push_str("; select ");
    for (number, (name, value)) in list.iter().enumerate() {
        let comma = if number > 0 { ", " } else { "" };
        let _ = write!(
            message,
            "{comma}pg_catalog.set_config('{name}', {}, true)",
            literal(value)
        );
    }
}

fn milliseconds(limit: Duration) -> u128 {
    limit.as_millis().max(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::auth::Claims;

    #[test]
    fn values_are_quoted_and_the_role_is_set_before_everything_else() {
        let subject = Subject {
            topic: "it's; drop table x --".into(),
            claims: Claims::from_json(r#"{"role":"o'role","exp":1,"sub":"a'b"}"#)
                .unwrap()
                .into(),
            headers: r#"{"x-a":"'"}"#.into(),
        };
        let id = Uuid::nil();
        assert_eq!(
            read(&subject, id, None, None),
            format!(
                "rollback and chain; insert into realtime.messages (id, topic, extension, inserted_at, updated_at) values \
                 ('{id}', 'it''s; drop table x --', 'broadcast', pg_catalog.timezone('UTC', pg_catalog.now()), \
                 pg_catalog.timezone('UTC', pg_catalog.now())); \
                 select pg_catalog.set_config('role', 'o''role', true), \
                 pg_catalog.set_config('realtime.topic', 'it''s; drop table x --', true), \
                 pg_catalog.set_config('request.jwt.claims', '{{\"role\":\"o''role\",\"exp\":1,\"sub\":\"a''b\"}}', true), \
                 pg_catalog.set_config('request.jwt.claim.sub', 'a''b', true), \
                 pg_catalog.set_config('request.jwt.claim.role', 'o''role', true), \
                 pg_catalog.set_config('request.headers', '{{\"x-a\":\"''\"}}', true); \
                 select m.id from realtime.messages m where m.id operator(pg_catalog.=) any ('{{{id}}}'::pg_catalog.uuid[])"
            )
        );
    }

    #[test]
    fn a_question_with_its_own_limit_has_one_more_statement_before_it() {
        let limit = Some(Duration::from_millis(250));
        let message = ping(limit);
        assert_eq!(
            message,
            "rollback and chain; set local statement_timeout = 250; select 1"
        );
        assert_eq!(message.split(';').count() - 1, before(limit));
        assert_eq!(ping(None).split(';').count() - 1, before(None));
    }
}
