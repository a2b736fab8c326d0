//! Those who write to the database, on a thread of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, OnceLock};

use tokio_postgres::{Client, NoTls};

use super::mark::{Mark, now, sleep_until};
use super::server::user_id;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn open(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the database");
    tokio::spawn(connection);
    client
}

/// Runs SQL.
pub fn batch(url: &str, sql: &str) {
    runtime().block_on(async { open(url).await.batch_execute(sql).await.expect("the SQL") });
}

/// Version of the database.
pub fn version(url: &str) -> String {
    runtime().block_on(async {
        let row = open(url)
            .await
            .query_one("select current_setting('server_version')", &[])
            .await;
        let version: String = row.expect("a version").get(0);
        version.split(' ').next().unwrap_or_default().to_owned()
    })
}

/// Waits until the server has confirmed what is in the log now.
pub fn confirmed(url: &str) {
    runtime().block_on(async {
        let client = open(url).await;
        let row = client.query_one("select pg_current_wal_insert_lsn()::text", &[]).await.expect("a position");
        let here: String = row.get(0);
        let ask = format!("select coalesce(bool_and(confirmed_flush_lsn >= '{here}'), false) from pg_replication_slots");
        let end = now() + 120_000_000;
        while now() < end {
            if client.query_one(&ask, &[]).await.expect("the slot").get(0) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the server did not confirm within two minutes");
    });
}

/// What is written.
#[derive(Clone, Copy)]
pub enum Write {
    /// Rows of `bench.rows`: the class is owner and room.
    Rows,
    /// `realtime.send` to the topic `db`, public.
    Send,
}

/// Writers in an open loop.
#[derive(Clone, Copy)]
pub struct Writers {
    pub what: Write,
    pub writers: usize,
    /// Of all of them, a second.
    pub rate: f64,
    /// Messages of a transaction.
    pub batch: usize,
    /// Classes in all. Each belongs to one writer, who takes his in turn, so that numbers come in order.
    pub classes: usize,
    /// Bytes of the text or payload.
    pub size: usize,
}

/// How far the writers came: by class the number that follows.
pub type Sent = Vec<u64>;

/// A statement for a writer's batch.
const ROWS: &str = "insert into bench.rows (owner, room, body) select o::uuid, r, b from unnest($1::text[], $2::int4[], $3::text[]) t (o, r, b)";
const SEND: &str = "select realtime.send(p::jsonb, 'bench', 'db', false) from unnest($1::text[]) p";

/// The table that rows go to, empty, published, with a policy or without.
pub fn table(policy: Option<&str>) -> String {
    let rls = policy.map_or(String::new(), |using| {
        format!("create policy load on bench.rows for select to authenticated using ({using}); alter table bench.rows enable row level security;")
    });
    format!(
        "create schema bench; grant usage on schema bench to anon, authenticated;
         create table bench.rows (id bigint generated always as identity primary key, owner uuid, room int, body text);
         create table bench.members (room int, user_id uuid, primary key (room, user_id));
         grant select on bench.rows, bench.members to anon, authenticated;
         {rls}
         alter publication supabase_realtime add table bench.rows;"
    )
}

/// Writes for so long, counting on from `sent`. `running` becomes false at the end.
///
/// A thread for each writer: one may then sleep precisely until a batch is due, which a runtime's timers of 1 ms do not.
pub fn write(url: &str, plan: Writers, seconds: f64, sent: &mut Sent, running: &AtomicBool) {
    // Nobody begins before all are connected.
    let (all, began) = (Barrier::new(plan.writers), OnceLock::new());
    let ready = || {
        all.wait();
        *began.get_or_init(now)
    };
    let numbers: Vec<(Vec<usize>, Vec<u64>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.writers)
            .map(|place| {
                let mine: Vec<usize> = (place..plan.classes).step_by(plan.writers).collect();
                let mut numbers: Vec<u64> = mine.iter().map(|class| sent[*class]).collect();
                let ready = &ready;
                scope.spawn(move || {
                    runtime().block_on(one(
                        url,
                        plan,
                        (place, ready, seconds),
                        &mine,
                        &mut numbers,
                    ));
                    (mine, numbers)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a writer"))
            .collect()
    });
    for (mine, numbers) in numbers {
        for (class, number) in mine.into_iter().zip(numbers) {
            sent[class] = number;
        }
    }
    running.store(false, Ordering::Release);
}

async fn one(
    url: &str,
    plan: Writers,
    (place, ready, seconds): (usize, impl Fn() -> u64, f64),
    mine: &[usize],
    numbers: &mut [u64],
) {
    let client = open(url).await;
    let sql = match plan.what {
        Write::Rows => ROWS,
        Write::Send => SEND,
    };
    let statement = client.prepare(sql).await.expect("the statement");
    let began = ready();
    // Writers begin one after another, not all at the same moment.
    let apart = plan.batch as f64 * 1e6 / plan.rate * plan.writers as f64;
    let first = began + (apart * place as f64 / plan.writers as f64) as u64;
    let end = began + (seconds * 1e6) as u64;
    let mut next = 0;
    for round in 0u64.. {
        let due = first + (apart * round as f64) as u64;
        // Whoever cannot keep up ends in time as well, with fewer messages.
        if due >= end || now() >= end {
            break;
        }
        sleep_until(due);
        let mut marks = Vec::with_capacity(plan.batch);
        for _ in 0..plan.batch {
            let at = next % mine.len();
            marks.push(Mark {
                due,
                class: mine[at] as u32,
                number: numbers[at],
            });
            numbers[at] += 1;
            next += 1;
        }
        match plan.what {
            Write::Rows => {
                let owners: Vec<String> = marks
                    .iter()
                    .map(|mark| user_id(mark.class as usize))
                    .collect();
                let rooms: Vec<i32> = marks.iter().map(|mark| mark.class as i32).collect();
                let bodies: Vec<String> = marks.iter().map(|mark| mark.padded(plan.size)).collect();
                client
                    .execute(&statement, &[&owners, &rooms, &bodies])
                    .await
                    .expect("rows");
            }
            Write::Send => {
                let payloads: Vec<String> = marks.iter().map(|mark| mark.json(plan.size)).collect();
                client
                    .execute(&statement, &[&payloads])
                    .await
                    .expect("messages");
            }
        }
    }
}
