//! Answers that policies overtook, answers to another question, and no answer at all.

use serde_json::{Value, json};
use tokio_postgres::Client as Sql;

use crate::leaks::topics::{drain, heard_until, partitions};
use crate::leaks::users::{ANN, BOB, SERVICE};
use crate::support::cluster::{Cluster, Database};
use crate::support::eventually;
use crate::support::phoenix::Client;
use crate::support::server::Server;

const TOPIC: &str = "realtime:room";

/// Who has a token with `gate` waits for the lock 4711: with `write` at every insert, with `read` at the first look since
/// the sequence was set back.
const POLICIES: &str = "
    create table members (uid uuid, sees bool default true);
    create sequence turn;
    grant select on members to authenticated;
    create function pass() returns boolean volatile security definer language sql as $$
      select pg_advisory_xact_lock_shared(4711); select true $$;
    create function pass_first() returns boolean volatile security definer language plpgsql as $$
      begin if nextval('public.turn') = 1 then perform public.pass(); end if; return true; end $$;
    create policy reads on realtime.messages for select to authenticated using (
      extension = 'broadcast' or exists (select from public.members m where m.uid = auth.uid() and m.sees));
    create policy writes on realtime.messages for insert to authenticated with check (
      coalesce(auth.jwt() ->> 'gate', '') <> 'write' or public.pass());
    create policy waits on realtime.messages as restrictive for select to authenticated using (
      coalesce(auth.jwt() ->> 'gate', '') <> 'read' or public.pass_first());";

struct House {
    database: Database,
    server: Server,
    sql: Sql,
}

impl House {
    async fn new(statement_timeout: &str) -> Self {
        let database = Cluster::shared().await.prepared().await;
        let sql = database.connect().await;
        sql.batch_execute(POLICIES).await.unwrap();
        for user in [ANN, BOB] {
            let insert = format!("insert into members values ('{}')", user.sub.unwrap());
            sql.batch_execute(&insert).await.unwrap();
        }
        let settings = [
            ("STATEMENT_TIMEOUT_MS", statement_timeout),
            ("CHANNEL_ERROR_BACKOFF_MS", "1"),
            ("RIGHTS_INTERVAL_MS", "0"),
            ("ACCESS_CONNECTIONS", "4"),
        ];
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

    async fn send(&self, topic: &str, n: i32, private: bool) {
        let sql = format!("select realtime.send('{{\"n\": {n}}}', 'e', '{topic}', {private})");
        self.run(&sql).await;
    }

    /// Something that decides about `realtime.messages` is another one, and says nothing about anybody.
    async fn policies_change(&self) {
        self.run("grant references on realtime.messages to anon")
            .await;
    }

    /// Whoever comes to the gate waits until this transaction ends.
    async fn closed_gate(&self) -> Sql {
        let gate = self.database.connect().await;
        gate.batch_execute("begin; select pg_advisory_xact_lock(4711)")
            .await
            .unwrap();
        gate
    }

    async fn somebody_waits(&self) {
        eventually("a question waits at the gate", || async {
            let sql = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
            let waiting: i64 = self.sql.query_one(sql, &[]).await.unwrap().get(0);
            (waiting > 0).then_some(())
        })
        .await;
    }

    /// Ends when everything that was committed before has been published.
    async fn stream_has_passed(&self) {
        let client = Client::connect(&self.server, &SERVICE.token()).await;
        client.join("realtime:passed", json!({})).await;
        self.send("passed", 1, false).await;
        heard_until(&client, &("passed".to_owned(), "1".to_owned())).await;
    }
}

fn at_gate(gate: &str) -> String {
    let mut claims = ANN.claims();
    claims["gate"] = json!(gate);
    crate::support::token::mint(claims)
}

fn track(n: i32) -> Value {
    json!({ "type": "presence", "event": "track", "payload": { "n": n } })
}

async fn words(client: &Client) -> Vec<String> {
    let heard = drain(client).await;
    heard.into_iter().map(|(_, words)| words).collect()
}

async fn heard(client: &Client, last: &str) -> Vec<String> {
    let heard = heard_until(client, &("room".to_owned(), last.to_owned())).await;
    heard.into_iter().map(|(_, words)| words).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_to_presence_that_was_taken_while_a_track_waited_does_not_come_back() {
    let house = House::new("60000").await;
    let bob = Client::connect(&house.server, &BOB.token()).await;
    let bob_ref = bob
        .join(
            TOPIC,
            json!({ "private": true, "presence": { "enabled": true } }),
        )
        .await;
    let ann = Client::connect(&house.server, &at_gate("write")).await;
    let ann_ref = ann.join(TOPIC, json!({ "private": true })).await;
    let gate = house.closed_gate().await;
    let tracked = ann.push(Some(&ann_ref), TOPIC, "presence", &track(1));
    house.somebody_waits().await;
    house
        .run(&format!(
            "update members set sees = false where uid = '{}'",
            ANN.sub.unwrap()
        ))
        .await;
    house.policies_change().await;
    // Her rights are known anew: she still reads broadcasts.
    house.send("room", 5, true).await;
    heard(&ann, "5").await;
    gate.batch_execute("commit").await.unwrap();
    ann.until("the reply to the track", |frame| frame.replies_to(&tracked))
        .await;
    let reference = bob.push(Some(&bob_ref), TOPIC, "presence", &track(2));
    bob.until("the reply to the track", |frame| {
        frame.replies_to(&reference)
    })
    .await;
    assert_eq!(words(&ann).await, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_did_not_ask_for_presence_does_not_take_it() {
    let house = House::new("60000").await;
    let ann = Client::connect(&house.server, &at_gate("read")).await;
    let ann_ref = ann.join(TOPIC, json!({ "private": true })).await;
    let gate = house.closed_gate().await;
    house.run("select setval('turn', 1, false)").await;
    house.policies_change().await;
    house.somebody_waits().await;
    let tracked = ann.push(Some(&ann_ref), TOPIC, "presence", &track(1));
    let reply = ann
        .until("the reply to the track", |frame| frame.replies_to(&tracked))
        .await;
    assert_eq!(reply.payload["status"], "ok");
    gate.batch_execute("commit").await.unwrap();
    house.send("room", 5, true).await;
    let before = heard(&ann, "5").await;
    assert!(
        !before.iter().any(|words| words.starts_with("system")),
        "{before:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_can_tell_what_new_policies_allow_nothing_comes() {
    let house = House::new("500").await;
    let ann = Client::connect(&house.server, &ANN.token()).await;
    ann.join(TOPIC, json!({ "private": true })).await;
    house
        .run(
            "begin; drop policy reads on realtime.messages;
             create policy reads on realtime.messages for select to authenticated using (pg_sleep(60) is null); commit",
        )
        .await;
    house.send("room", 1, true).await;
    eventually("the policy is too slow", || async {
        house.server.log().contains("QueryCanceled").then_some(())
    })
    .await;
    house.stream_has_passed().await;
    assert_eq!(words(&ann).await, [] as [String; 0]);
    // It is looked at again by itself.
    house
        .run("alter policy reads on realtime.messages using (extension = 'broadcast')")
        .await;
    assert_eq!(heard(&ann, "1").await, [] as [String; 0]);
    house
        .run("alter policy reads on realtime.messages using (pg_sleep(60) is null)")
        .await;
    house.send("room", 2, true).await;
    house.run("drop policy reads on realtime.messages").await;
    let before = heard(&ann, "phx_close").await;
    assert!(!before.contains(&"2".to_owned()), "{before:?}");
}
