//! A guest is present where they write (C-105, C-304): the advisor of the link is told, and nobody else.

use serde_json::{Value, json};

use crate::chat_guest_support::{ADVISOR, CLIENT, COLLEAGUE, ORG, OTHER, World, advisor};
use crate::chat_presence::state;
use crate::support::eventually;
use crate::support::phoenix::Client;
use crate::support::socket::Item;
use crate::support::token;

/// Joins with presence and tracks; gives the answer.
async fn track(client: &Client, topic: &str, key: &str) -> Value {
    let config = json!({ "private": true, "presence": { "key": key, "enabled": true } });
    let join = client.join(topic, config).await;
    let body = json!({ "type": "presence", "event": "track", "payload": { "user_id": OTHER } });
    let reference = client.push(Some(&join), topic, "presence", &body);
    let reply = client
        .until("the reply to a track", |frame| frame.replies_to(&reference))
        .await;
    reply.payload
}

/// What the database has told this socket about anybody's presence, as text.
fn told(client: &Client) -> Option<String> {
    client.socket.pick(|item| match item {
        Item::Binary(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            text.contains("is_online").then(|| text.into_owned())
        }
        _ => None,
    })
}

async fn hears(client: &Client) -> String {
    eventually("word of somebody's presence", || async { told(client) }).await
}

async fn own_channel(world: &World, user: &str) -> Client {
    let client = Client::connect(&world.surface.server, &token::user(user)).await;
    let topic = format!("realtime:conversations:{user}");
    client.join(&topic, json!({ "private": true })).await;
    client
}

#[tokio::test]
async fn the_advisor_of_the_link_is_told_that_a_guest_came_and_went_and_nobody_else() {
    let world = World::new(&[("PRESENCE_LEAVE_GRACE_MS", "0")]).await;
    let guest = world.guest().await;
    // An advisor of another link, to another client; and one of a link that nobody has opened.
    world
        .sql
        .batch_execute(&format!(
            "insert into public.share_links (org_id, client_id, subject_id, advisor_id, token) values
               ('{ORG}', '{OTHER}', 'another trip', '{COLLEAGUE}', 'a-token-of-a-link-0002'),
               ('{ORG}', '{CLIENT}', 'never opened', '{OTHER}', 'a-token-of-a-link-0003')"
        ))
        .await
        .unwrap();
    let at_advisor = own_channel(&world, ADVISOR).await;
    let at_colleague = own_channel(&world, COLLEAGUE).await;
    let at_other = own_channel(&world, OTHER).await;
    let topic = format!("realtime:typing:{}", guest.conversation);
    let page = Client::connect(&world.surface.server, &guest.jwt).await;
    // Key and payload name somebody else, and prove nothing.
    assert_eq!(track(&page, &topic, OTHER).await["status"], "ok");

    let came = hears(&at_advisor).await;
    assert!(came.contains(CLIENT), "{came}");
    assert!(
        came.contains("\"is_online\": true") || came.contains("\"is_online\":true"),
        "{came}"
    );
    assert_eq!(state(&world.sql, CLIENT).await, Some(true));
    page.socket.close(1000);
    let went = hears(&at_advisor).await;
    assert!(went.contains(CLIENT) && went.contains("false"), "{went}");
    assert_eq!(state(&world.sql, CLIENT).await, Some(false));

    // Whatever was told before these answers has arrived by them.
    for (client, who) in [
        (&at_colleague, "another advisor"),
        (&at_other, "of a link that was never opened"),
    ] {
        client.heartbeat().await;
        assert_eq!(told(client), None, "{who}");
    }
    assert_eq!(state(&world.sql, OTHER).await, None, "only named");
}

#[tokio::test]
async fn who_the_client_has_blocked_is_told_nothing() {
    let world = World::new(&[]).await;
    world.guest().await;
    let of_colleague = world.conversation_with(COLLEAGUE).await;
    let at_advisor = own_channel(&world, ADVISOR).await;
    let blocked = json!({ "user_id": ADVISOR });
    let answer = world
        .rpc(&token::user(CLIENT), "block_user", &blocked)
        .await;
    assert!(answer.status < 300, "{}", answer.text());
    // As the server writes it.
    let written = format!("select chat.write_presence(array['{CLIENT}'::uuid], array[true])");
    world.sql.batch_execute(&written).await.unwrap();
    // What comes after it has come.
    world
        .say(&token::user(COLLEAGUE), &of_colleague, "after it")
        .await;
    eventually("a later change", || async {
        at_advisor.socket.pick(|item| match item {
            Item::Binary(bytes) => String::from_utf8_lossy(bytes)
                .contains("after it")
                .then_some(()),
            _ => None,
        })
    })
    .await;
    assert_eq!(told(&at_advisor), None);
}

#[tokio::test]
async fn only_guests_are_present_in_a_conversation_and_only_in_their_own() {
    let world = World::new(&[]).await;
    let guest = world.guest().await;
    let of_other = world.conversation_with(OTHER).await;
    let page = Client::connect(&world.surface.server, &guest.jwt).await;
    let config = json!({ "private": true, "presence": { "key": CLIENT, "enabled": true } });
    for topic in [
        format!("realtime:typing:{of_other}"),
        format!("realtime:presence:{ORG}"),
    ] {
        let (_, reply) = page.try_join(&topic, config.clone()).await;
        assert_eq!(reply["status"], "error", "{topic}: {reply}");
    }
    // Members have the channel of their organisation. They listen here, and are not present.
    let topic = format!("realtime:typing:{}", guest.conversation);
    let member = Client::connect(&world.surface.server, &advisor()).await;
    track(&member, &topic, ADVISOR).await;
    assert_eq!(track(&page, &topic, CLIENT).await["status"], "ok");
    eventually("the guest", || async {
        (state(&world.sql, CLIENT).await == Some(true)).then_some(())
    })
    .await;
    assert_eq!(state(&world.sql, ADVISOR).await, None);
}
