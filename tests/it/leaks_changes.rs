//! Postgres Changes: after random writes, what each user received equals what SQL as that user shows.

use serde_json::{Value, json};

use crate::leaks::dice::{Dice, seeds};
use crate::leaks::tables::{self, Deletes, Expected, Writer};
use crate::leaks::users::{AUDITOR, USERS};
use crate::support::cluster::Cluster;
use crate::support::phoenix::Client;
use crate::support::server::Server;

const TOPIC: &str = "realtime:everything";
/// Transactions of one seed.
const TRANSACTIONS: usize = 84;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_equal_what_sql_shows_and_deletes_tell_keys() {
    run(Deletes::Keys, &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_equal_what_sql_shows_and_deletes_are_authorised() {
    run(Deletes::Authorised, &[4, 5, 6]).await;
}

async fn run(deletes: Deletes, fixed: &[u64]) {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    let tables = tables::all();
    let mut setup = format!(
        "{AUDITOR} create table members (room int, uid uuid);
         create table mark (id int primary key, reason text);
         grant select on members, mark to anon, authenticated, service_role, auditor;
         alter publication supabase_realtime add table mark;"
    );
    for table in &tables {
        setup += &table.definition();
    }
    sql.batch_execute(&setup).await.unwrap();
    let mut readable = Vec::new();
    for table in &tables {
        let mut columns = Vec::new();
        for user in &USERS {
            columns.push(tables::readable(&sql, table, user).await);
        }
        readable.push(columns);
    }
    let mode = match deletes {
        Deletes::Keys => "keys",
        Deletes::Authorised => "authorised",
    };
    let server = Server::with(&database, &[("DELETES", mode)]).await;
    let mut clients = Vec::new();
    for user in &USERS {
        let client = Client::connect(&server, &user.token()).await;
        let bindings: Vec<Value> = tables
            .iter()
            .map(|table| table.name.as_str())
            .chain(["mark"])
            .map(|table| json!({ "event": "*", "schema": "public", "table": table }))
            .collect();
        client
            .join(TOPIC, json!({ "postgres_changes": bindings }))
            .await;
        client
            .until("Subscribed to PostgreSQL", |frame| frame.says_subscribed())
            .await;
        clients.push(client);
    }
    let mut writer = Writer {
        sql: &sql,
        tables: &tables,
        readable: &readable,
        deletes,
        step: 0,
    };
    let mut mark = 0;
    let mut received_rows = vec![0; USERS.len()];
    for seed in seeds(fixed) {
        println!("seed {seed} ({deletes:?}); LEAKS_SEED={seed} repeats it alone");
        let mut dice = Dice::new(seed);
        let mut expected = vec![Vec::new(); USERS.len()];
        let mut log = Vec::new();
        for number in 0..TRANSACTIONS {
            writer.transaction(&mut dice, &mut expected, &mut log).await;
            if number % 12 != 11 {
                continue;
            }
            // Everything before is delivered before memberships change.
            mark += 1;
            sql.execute("insert into mark values ($1)", &[&mark])
                .await
                .unwrap();
            for (number, client) in clients.iter().enumerate() {
                let received = until_mark(client, mark).await;
                received_rows[number] += received.len();
                let told = std::mem::take(&mut expected[number]);
                if let Err(difference) = compare(&received, &told) {
                    panic!(
                        "seed {seed}, {deletes:?}, {}: {difference}\nwrites:\n{}\nexpected: {told:#?}\nreceived: {}",
                        USERS[number].name,
                        log.join("\n"),
                        json!(received),
                    );
                }
            }
            log.push("-- all was as expected".into());
            toggle_members(&sql, &mut dice, &mut log).await;
        }
    }
    println!("rows received: {received_rows:?}");
    assert!(
        received_rows.iter().all(|rows| *rows > 20),
        "everybody may see something: {received_rows:?}"
    );
}

async fn toggle_members(sql: &tokio_postgres::Client, dice: &mut Dice, log: &mut Vec<String>) {
    for _ in 0..3 {
        let (room, user) = (dice.below(4), dice.pick(&USERS));
        let Some(sub) = user.sub else { continue };
        let statement = match dice.one_in(3) {
            true => format!("delete from members where room = {room} and uid = '{sub}'"),
            false => format!("insert into members values ({room}, '{sub}')"),
        };
        sql.batch_execute(&statement).await.unwrap();
        log.push(statement);
    }
}

/// All changes up to the row in `mark`, which everybody sees.
async fn until_mark(client: &Client, mark: i32) -> Vec<Value> {
    let mut received = Vec::new();
    loop {
        let data = client.change(TOPIC).await;
        if data["table"] != "mark" {
            received.push(data);
        } else if data["record"]["id"] == mark {
            return received;
        }
    }
}

/// Nothing that is not expected, nothing missing that must be there, and in order.
fn compare(received: &[Value], expected: &[Expected]) -> Result<(), String> {
    let mut rest = expected.iter();
    for data in received {
        if data["errors"]
            .as_array()
            .is_some_and(|errors| !errors.is_empty())
        {
            if data.get("record").is_some_and(|row| *row != json!({}))
                || data.get("old_record").is_some_and(|row| *row != json!({}))
            {
                return Err(format!("an error with values: {data}"));
            }
            continue;
        }
        loop {
            let Some(next) = rest.next() else {
                return Err(format!("not expected: {data}"));
            };
            if fits(data, next) {
                break;
            }
            if next.must {
                return Err(format!("received {data} instead of {next:?}"));
            }
        }
    }
    match rest.find(|expected| expected.must) {
        Some(missing) => Err(format!("missing: {missing:?}")),
        None => Ok(()),
    }
}

fn fits(data: &Value, expected: &Expected) -> bool {
    let nothing = json!({});
    let record = data.get("record").unwrap_or(&nothing);
    let old = data.get("old_record").unwrap_or(&nothing);
    data["table"] == expected.table.as_str()
        && data["type"] == expected.kind
        && *record == expected.record
        && within(old, &expected.old_may)
        && within(&expected.old_must, old)
}

/// Every field of `part` is in `whole` with the same value.
fn within(part: &Value, whole: &Value) -> bool {
    let fields = part.as_object().unwrap();
    fields
        .iter()
        .all(|(name, value)| whole.get(name) == Some(value))
}
