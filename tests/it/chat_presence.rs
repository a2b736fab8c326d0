//! Who is online, written down by the server (C-105): by the `sub` of a token on the private topic of the organisation, and by
//! nothing else.

use serde_json::json;
use tokio_postgres::Client as Sql;

use crate::chat_push_support::*;
use crate::support::eventually;
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::token;

fn topic() -> String {
    format!("realtime:presence:{ORG}")
}

/// A client of this person that tracks on this topic under this key.
async fn tracking(server: &Server, sub: &str, topic: &str, private: bool, key: &str) -> Client {
    let client = Client::connect(server, &token::user(sub)).await;
    let config = json!({ "private": private, "presence": { "key": key, "enabled": true } });
    let join = client.join(topic, config).await;
    let body = json!({ "type": "presence", "event": "track", "payload": { "user_id": CLEO, "online": true } });
    let reference = client.push(Some(&join), topic, "presence", &body);
    let reply = client
        .until("the reply to a track", |frame| frame.replies_to(&reference))
        .await;
    assert_eq!(reply.payload["status"], "ok");
    client
}

/// The same where the app does it.
async fn online(server: &Server, sub: &str) -> Client {
    tracking(server, sub, &topic(), true, sub).await
}

pub async fn state(sql: &Sql, sub: &str) -> Option<bool> {
    let row = sql
        .query_opt(
            "select is_online from public.user_presence where user_id::text = $1",
            &[&sub],
        )
        .await
        .unwrap();
    row.map(|row| row.get(0))
}

async fn becomes(sql: &Sql, sub: &str, online: bool) {
    eventually("what is written of them", || async {
        (state(sql, sub).await == Some(online)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_tracks_is_online_until_the_last_tab_is_closed() {
    let (database, sql) = hall(4).await;
    // The grace is for lost links; it is longer than anything here is waited for.
    let server = Server::with(&database, &[CHAT, ("PRESENCE_LEAVE_GRACE_MS", "120000")]).await;
    let one = online(&server, ANA).await;
    let other = online(&server, ANA).await;
    becomes(&sql, ANA, true).await;
    one.socket.close(1000);
    one.closed().await;
    // Whatever was to be written of the first tab is written with, or before, what is of another person.
    let ben = online(&server, BEN).await;
    becomes(&sql, BEN, true).await;
    assert_eq!(state(&sql, ANA).await, Some(true));
    other.socket.close(1000);
    becomes(&sql, ANA, false).await;
    assert_eq!(state(&sql, BEN).await, Some(true));
    let recent = format!(
        "select (last_seen_at > now() - interval '2 minutes')::text from public.user_presence where user_id = '{ANA}'"
    );
    assert_eq!(value(&sql, &recent).await, "true");
    drop(ben);
}

#[tokio::test]
async fn keys_payloads_public_channels_and_other_topics_prove_nothing() {
    let (database, sql) = hall(4).await;
    let server = Server::with(&database, &[CHAT]).await;
    // Ana says that she is Cleo, in the key and in the payload.
    let _ana = tracking(&server, ANA, &topic(), true, CLEO).await;
    // Ben is there, but not where it counts.
    let _public = tracking(&server, BEN, &topic(), false, BEN).await;
    let foreign = "realtime:presence:00000000-0000-4000-8000-0000000000bb";
    let _elsewhere = tracking(&server, BEN, foreign, false, BEN).await;
    let refused = Client::connect(&server, &token::user(BEN)).await;
    let config = json!({ "private": true, "presence": { "key": BEN, "enabled": true } });
    let (_, reply) = refused.try_join(foreign, config).await;
    assert_eq!(reply["status"], "error", "not their organisation");
    // Nobody of the organisation at all.
    let stranger = "00000000-0000-4000-8000-999999999999";
    let _stranger = tracking(&server, stranger, &topic(), false, stranger).await;
    let _last = online(&server, &person(4)).await;
    becomes(&sql, ANA, true).await;
    becomes(&sql, &person(4), true).await;
    for nobody in [BEN, CLEO, stranger] {
        assert_eq!(state(&sql, nobody).await, None, "{nobody}");
    }
}

#[tokio::test]
async fn a_dead_link_is_offline_after_the_grace_and_a_return_within_it_is_never_seen() {
    let (database, sql) = hall(3).await;
    let server = Server::with(&database, &[CHAT, ("PRESENCE_LEAVE_GRACE_MS", "3000")]).await;
    let writes = format!(
        "create table public.seen (online boolean); create function public.note() returns trigger language plpgsql as
         $$ begin if new.user_id = '{ANA}' then insert into public.seen values (new.is_online); end if; return null; end $$;
         create trigger note after insert or update on public.user_presence for each row execute function public.note();"
    );
    sql.batch_execute(&writes).await.unwrap();
    let first = online(&server, ANA).await;
    becomes(&sql, ANA, true).await;
    first.socket.terminate();
    let second = online(&server, ANA).await;
    let ben = online(&server, BEN).await;
    becomes(&sql, BEN, true).await;
    second.socket.terminate();
    ben.socket.terminate();
    becomes(&sql, ANA, false).await;
    becomes(&sql, BEN, false).await;
    let seen = "select string_agg(online::text, ' ') from public.seen";
    assert_eq!(value(&sql, seen).await, "true false");
}

#[tokio::test]
async fn who_comes_and_goes_all_the_time_costs_few_writes() {
    let (database, sql) = hall(3).await;
    let server = Server::with(&database, &[CHAT, ("PRESENCE_LEAVE_GRACE_MS", "0")]).await;
    let count = "create table public.writes (n bigint); insert into public.writes values (0);
        create function public.note() returns trigger language plpgsql as $$ begin update public.writes set n = n + 1; return null; end $$;
        create trigger note after insert or update on public.user_presence for each row execute function public.note();";
    sql.batch_execute(count).await.unwrap();
    let client = Client::connect(&server, &token::user(ANA)).await;
    let config = json!({ "private": true, "presence": { "key": ANA, "enabled": true } });
    let began = std::time::Instant::now();
    for _ in 0..40 {
        let join = client.join(&topic(), config.clone()).await;
        let body = json!({ "type": "presence", "event": "track", "payload": {} });
        let reference = client.push(Some(&join), &topic(), "presence", &body);
        client
            .until("the reply to a track", |frame| frame.replies_to(&reference))
            .await;
        let reference = client.push(Some(&join), &topic(), "phx_leave", &json!({}));
        client
            .until("the reply to a leave", |frame| frame.replies_to(&reference))
            .await;
    }
    let _ben = online(&server, BEN).await;
    becomes(&sql, BEN, true).await;
    // At most one write of Ana and one of Ben a second, however long this took.
    let most = began.elapsed().as_secs() + 3;
    let writes: u64 = value(&sql, "select n::text from public.writes")
        .await
        .parse()
        .unwrap();
    assert!(writes <= most, "{writes} writes in {most} s");
}

#[tokio::test]
async fn a_stop_leaves_everybody_online_and_a_crash_is_found_when_nobody_renews() {
    let (database, sql) = hall(3).await;
    let mut server = Server::with(&database, &[CHAT]).await;
    let _ana = online(&server, ANA).await;
    becomes(&sql, ANA, true).await;
    server.end(rustix::process::Signal::TERM).await;
    assert_eq!(
        state(&sql, ANA).await,
        Some(true),
        "they come back to the next server"
    );
    let old = format!(
        "insert into public.user_presence values ('{BEN}', true, now() - interval '12 minutes'), ('{CLEO}', true, now() - interval '10 minutes')"
    );
    sql.batch_execute(&old).await.unwrap();
    server.spawn();
    server.ready().await;
    becomes(&sql, BEN, false).await;
    assert_eq!(state(&sql, CLEO).await, Some(true));
    assert_eq!(state(&sql, ANA).await, Some(true));
    let since = format!(
        "select (last_seen_at < now() - interval '11 minutes')::text from public.user_presence where user_id = '{BEN}'"
    );
    assert_eq!(
        value(&sql, &since).await,
        "true",
        "they were last seen then"
    );
}
