//! Rights that end: from the word of it on nothing more comes, and nobody is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio_postgres::Client as Sql;

use crate::leaks::topics::{Heard, drain, heard_until, partitions, taken};
use crate::leaks::users::{ANN, BOB, SERVICE, User};
use crate::support::cluster::{Cluster, Database};
use crate::support::eventually;
use crate::support::phoenix::Client;
use crate::support::server::Server;

const TOPIC: &str = "realtime:room";
const LOST: &str = "system You no longer have permission to read from this Channel topic: room";
const DENIED: &str = "system You do not have permissions to read from this Channel topic: room";

/// Members of a room read and write everything; the policy asks a table, the role needs its grants.
const MEMBERS: &str = "
    create table members (uid uuid, reads bool default true, sees bool default true);
    grant select on members to authenticated;
    create policy members_read on realtime.messages for select to authenticated using (
      exists (select from public.members m where m.uid = auth.uid()
              and case extension when 'broadcast' then m.reads else m.sees end)
      and coalesce(auth.jwt() ->> 'weak', '') = '');
    create policy members_write on realtime.messages for insert to authenticated with check (true);";

const SETTINGS: [(&str, &str); 4] = [
    // Some tests keep questions waiting.
    ("STATEMENT_TIMEOUT_MS", "60000"),
    ("CHANNEL_ERROR_BACKOFF_MS", "1"),
    ("CLIENT_PRESENCE_MAX_CALLS", "1000000"),
    ("ACCESS_CONNECTIONS", "4"),
];

struct House {
    database: Database,
    server: Server,
    sql: Sql,
}

impl House {
    /// `interval`: milliseconds between looks at the rights of joined channels; never without.
    async fn new(interval: &str) -> Self {
        let database = Cluster::shared().await.prepared().await;
        let sql = database.connect().await;
        sql.batch_execute(MEMBERS).await.unwrap();
        sql.batch_execute(AtReplay::GATE).await.unwrap();
        for user in [ANN, BOB] {
            let insert = format!("insert into members values ('{}')", user.sub.unwrap());
            sql.batch_execute(&insert).await.unwrap();
        }
        let mut settings = SETTINGS.to_vec();
        settings.push(("RIGHTS_INTERVAL_MS", interval));
        let server = Server::with(&database, &settings).await;
        partitions(&sql).await;
        Self {
            database,
            server,
            sql,
        }
    }

    async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    async fn joined(&self, user: &User) -> (Client, String) {
        let client = Client::connect(&self.server, &user.token()).await;
        let join_ref = client.join(TOPIC, private()).await;
        (client, join_ref)
    }

    /// How many backends of this database wait for a lock.
    async fn waiting(&self) -> i64 {
        let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn waiting_reach(&self, count: i64) {
        eventually("backends wait for locks", || async {
            (self.waiting().await >= count).then_some(())
        })
        .await;
    }

    /// Ends when everything that was committed before has been published.
    async fn stream_has_passed(&self) {
        let client = Client::connect(&self.server, &SERVICE.token()).await;
        client.join("realtime:passed", json!({})).await;
        self.run("select realtime.send('{\"n\": 1}', 'e', 'passed', false)")
            .await;
        heard_until(&client, &heard("passed", "1")).await;
    }
}

fn private() -> Value {
    json!({ "private": true, "presence": { "enabled": true } })
}

fn heard(topic: &str, words: &str) -> Heard {
    (topic.to_owned(), words.to_owned())
}

/// What came on the room, in words.
fn room(heard: Vec<Heard>) -> Vec<String> {
    let of_room = heard.into_iter().filter(|(topic, _)| topic == "room");
    of_room.map(|(_, words)| words).collect()
}

/// Somebody who sends to the room as fast as they can, and a table's worth from the database, until told to stop.
struct Flood {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Flood {
    async fn start(house: &House) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, join_ref) = house.joined(&SERVICE).await;
        let sql = house.database.connect().await;
        let ended = Arc::clone(&stop);
        let sends = tokio::spawn(async move {
            let mut n = 0_u32;
            while !ended.load(Ordering::Relaxed) {
                n += 1;
                client.broadcast(&join_ref, TOPIC, "e", json!({ "n": n }));
                if n.is_multiple_of(50) {
                    client.heartbeat().await;
                    taken(&client);
                }
            }
            client.heartbeat().await;
        });
        let ended = Arc::clone(&stop);
        let writes = tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                sql.batch_execute("select realtime.send('{\"n\": 0}', 'e', 'room', true)")
                    .await
                    .unwrap();
            }
        });
        Self {
            stop,
            tasks: vec![sends, writes],
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// Many members hear a flood while their rights end by `revoke`; after the word of it comes the close and nothing else.
async fn nothing_follows(
    interval: &str,
    word: &str,
    revoke: impl AsyncFn(&House, &[(Client, String)]),
) {
    let house = House::new(interval).await;
    let mut victims = Vec::new();
    for _ in 0..12 {
        victims.push(house.joined(&ANN).await);
    }
    let flood = Flood::start(&house).await;
    for (client, _) in &victims {
        client
            .until("a message of the flood", |frame| frame.event == "broadcast")
            .await;
    }
    revoke(&house, &victims).await;
    let mut all = Vec::new();
    for (client, _) in &victims {
        all.push(heard_until(client, &heard("room", "phx_close")).await);
    }
    // Whoever is still a member would hear more of it.
    flood.end().await;
    house.stream_has_passed().await;
    for ((client, _), before) in victims.iter().zip(all) {
        let before = room(before);
        let said = before.iter().position(|words| words == word);
        let said = said.unwrap_or_else(|| panic!("{word:?} was not said in {before:?}"));
        assert_eq!(
            before[said + 1..],
            [] as [String; 0],
            "nothing between the word and the close"
        );
        let after = room(drain(client).await);
        assert_eq!(after, [] as [String; 0], "nothing after the close");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_dropped_ends_a_channel_and_nothing_follows() {
    nothing_follows("0", LOST, async |house, _| {
        house
            .run("drop policy members_read on realtime.messages")
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_membership_that_is_deleted_ends_a_channel_within_the_interval() {
    nothing_follows("200", LOST, async |house, _| {
        house.run("delete from members").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_revoked_ends_a_channel() {
    nothing_follows("0", LOST, async |house, _| {
        house
            .run("revoke select on realtime.messages from authenticated")
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_may_less_ends_a_channel_and_nothing_follows() {
    nothing_follows("0", DENIED, async |_, victims| {
        let mut claims = ANN.claims();
        claims["weak"] = json!("yes");
        let token = json!({ "access_token": crate::support::token::mint(claims) });
        for (client, join_ref) in victims {
            client.push(Some(join_ref), TOPIC, "access_token", &token);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_after_a_policy_is_gone_does_not_reach_who_lost_it() {
    let house = House::new("0").await;
    let mut victims = Vec::new();
    for _ in 0..12 {
        victims.push(house.joined(&ANN).await);
    }
    let (service, _) = house.joined(&SERVICE).await;
    // Each in a transaction of its own, in this order.
    house
        .run("select realtime.send('{\"n\": 1}', 'e', 'room', true)")
        .await;
    let mut rest = "drop policy members_read on realtime.messages; commit;".to_owned();
    for _ in 0..40 {
        rest += "begin; select realtime.send('{\"n\": 2}', 'e', 'room', true); commit;";
    }
    house.run(&rest).await;
    for (client, _) in &victims {
        let before = room(heard_until(client, &heard("room", "phx_close")).await);
        let secrets = before.iter().filter(|words| *words == "2").count();
        assert_eq!(
            secrets, 0,
            "messages that were sent after the policy was gone"
        );
        assert!(before.contains(&"1".to_owned()), "{before:?}");
    }
    house.stream_has_passed().await;
    // Perhaps only once its own rights are known again.
    for _ in 0..40 {
        heard_until(&service, &heard("room", "2")).await;
    }
    let rest = room(drain(&service).await);
    assert!(!rest.contains(&"2".to_owned()), "{rest:?}");
}

/// Lets a join come as far as its replay, and lets nobody into `realtime.messages` then: a transaction that wants the
/// table for itself waits for the rights, and the replay waits for it.
struct AtReplay {
    gate: Sql,
    table: Sql,
    held: tokio::task::JoinHandle<Sql>,
}

impl AtReplay {
    /// The policy that waits at the gate.
    const GATE: &str = "
        create function at_gate() returns boolean volatile security definer language sql as $$
          select pg_advisory_xact_lock_shared(4711); select true $$;
        create policy gate on realtime.messages as restrictive for select to authenticated
          using (coalesce(auth.jwt() ->> 'gate', '') = '' or public.at_gate())";

    async fn new(house: &House, joining: &Client) -> Self {
        let gate = house.database.connect().await;
        gate.batch_execute("begin; select pg_advisory_xact_lock(4711)")
            .await
            .unwrap();
        let config = json!({
            "private": true,
            "broadcast": { "replay": { "since": 0 } },
            "presence": { "enabled": true },
        });
        let frame = json!(["7", "7", TOPIC, "phx_join", { "config": config }]);
        joining.socket.text(frame.to_string());
        house.waiting_reach(1).await;
        let table = house.database.connect().await;
        let second = house.database.connect().await;
        let held = tokio::spawn(async move {
            second
                .batch_execute("begin; lock table realtime.messages in access exclusive mode")
                .await
                .unwrap();
            second
        });
        house.waiting_reach(2).await;
        Self { gate, table, held }
    }

    /// The rights are answered; the replay waits.
    async fn rights_are_known(self, house: &House) -> (Sql, Sql) {
        self.gate.batch_execute("commit").await.unwrap();
        let held = self.held.await.unwrap();
        house.waiting_reach(1).await;
        (held, self.table)
    }
}

fn gate_token() -> String {
    let mut claims = ANN.claims();
    claims["gate"] = json!("yes");
    crate::support::token::mint(claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_waits_for_its_replay_hears_no_presence_that_it_may_not_see() {
    let house = House::new("0").await;
    house
        .run(&format!(
            "update members set sees = false where uid = '{}'",
            ANN.sub.unwrap()
        ))
        .await;
    let (bob, join_ref) = house.joined(&BOB).await;
    let track = |n: i32| json!({ "type": "presence", "event": "track", "payload": { "n": n } });
    // His right to write is known from now on.
    let reference = bob.push(Some(&join_ref), TOPIC, "presence", &track(1));
    bob.until("the reply", |frame| frame.replies_to(&reference))
        .await;
    let ann = Client::connect(&house.server, &gate_token()).await;
    let at_replay = AtReplay::new(&house, &ann).await;
    let (held, _) = at_replay.rights_are_known(&house).await;
    let reference = bob.push(Some(&join_ref), TOPIC, "presence", &track(2));
    bob.until("the reply", |frame| frame.replies_to(&reference))
        .await;
    bob.broadcast(&join_ref, TOPIC, "e", json!({ "n": 3 }));
    bob.heartbeat().await;
    held.batch_execute("commit").await.unwrap();
    let reply = ann
        .until("the reply to the join", |frame| frame.replies_to("7"))
        .await;
    assert_eq!(reply.payload["status"], "ok", "{reply:?}");
    assert_eq!(room(drain(&ann).await), ["3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_dropped_while_a_join_waits_ends_that_channel_too() {
    let house = House::new("0").await;
    let (other, _) = house.joined(&BOB).await;
    let ann = Client::connect(&house.server, &gate_token()).await;
    let at_replay = AtReplay::new(&house, &ann).await;
    let (held, table) = at_replay.rights_are_known(&house).await;
    let next = tokio::spawn(async move {
        table
            .batch_execute("begin; lock table realtime.messages in access exclusive mode")
            .await
            .unwrap();
        table
    });
    house.waiting_reach(2).await;
    held.batch_execute("drop policy members_read on realtime.messages; commit")
        .await
        .unwrap();
    let next = next.await.unwrap();
    // The replay, and the question whether the other one may still read: the server knows of the change.
    house.waiting_reach(2).await;
    next.batch_execute("commit").await.unwrap();
    let lost = heard("room", "phx_close");
    heard_until(&other, &lost).await;
    let reply = ann
        .until("the reply to the join", |frame| frame.replies_to("7"))
        .await;
    if reply.payload["status"] == "ok" {
        heard_until(&ann, &lost).await;
    }
    house
        .run("select realtime.send('{\"n\": 9}', 'e', 'room', true)")
        .await;
    house.stream_has_passed().await;
    assert_eq!(room(drain(&ann).await), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_presence_only_hears_no_broadcast_and_the_other_way_round() {
    let house = House::new("100").await;
    house
        .run(&format!(
            "update members set reads = false where uid = '{}'; update members set sees = false where uid = '{}';
             select realtime.send('{{\"n\": 1}}', 'e', 'room', true)",
            ANN.sub.unwrap(),
            BOB.sub.unwrap()
        ))
        .await;
    let (ann, ann_ref) = house.joined(&ANN).await;
    let (bob, bob_ref) = house.joined(&BOB).await;
    let (service, service_ref) = house.joined(&SERVICE).await;
    // Replay is refused to who may not read broadcasts, and the channel of before goes with it.
    let refused = Client::connect(&house.server, &ANN.token()).await;
    let mut config = private();
    config["broadcast"] = json!({ "replay": { "since": 0 } });
    let (_, reply) = refused.try_join(TOPIC, config).await;
    assert_eq!(reply["status"], "error", "{reply}");
    let (denied, reply) = {
        let client = Client::connect(&house.server, &crate::leaks::users::CID.token()).await;
        let (_, reply) = client.try_join(TOPIC, private()).await;
        (client, reply)
    };
    assert_eq!(reply["status"], "error", "{reply}");
    for client in [&ann, &bob, &service] {
        drain(client).await;
    }
    // By a client, over a socket that may not hear itself; by the database; several times, so that rights are looked at.
    for round in 0..5 {
        let track = json!({ "type": "presence", "event": "track", "payload": { "n": round } });
        for (client, join_ref) in [(&ann, &ann_ref), (&bob, &bob_ref), (&service, &service_ref)] {
            client.broadcast(join_ref, TOPIC, "e", json!({ "n": 10 + round }));
            let reference = client.push(Some(join_ref), TOPIC, "presence", &track);
            let reply = client
                .until("the reply", |frame| frame.replies_to(&reference))
                .await;
            assert_eq!(reply.payload["status"], "ok");
        }
        house
            .run("select realtime.send('{\"n\": 20}', 'e', 'room', true)")
            .await;
        house.stream_has_passed().await;
    }
    let (seen, read) = (room(drain(&ann).await), room(drain(&bob).await));
    assert!(
        seen.len() >= 5 && seen.iter().all(|words| words.starts_with("joins ")),
        "{seen:?}"
    );
    assert!(
        read.len() >= 10 && !read.iter().any(|words| words.starts_with("joins ")),
        "{read:?}"
    );
    let all = room(drain(&service).await);
    assert!(
        all.iter().any(|words| words.starts_with("joins ")),
        "{all:?}"
    );
    for client in [&refused, &denied] {
        assert_eq!(room(drain(client).await), [] as [String; 0]);
    }
}
