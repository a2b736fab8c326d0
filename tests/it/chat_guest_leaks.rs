//! A guest sees one conversation through every door, nothing else through any, and nothing any more once the link is off,
//! although the token has not expired.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chat_guest_support::{ADVISOR, CLIENT, COLLEAGUE, Guest, ORG, OTHER, World, advisor};
use crate::support::eventually;
use crate::support::phoenix::Client;
use crate::support::socket::Item;
use crate::support::token;

pub(crate) fn private() -> Value {
    json!({ "private": true, "broadcast": { "self": false } })
}

#[tokio::test]
async fn a_guest_writes_and_reads_through_every_door() {
    let world = World::new(&[]).await;
    let guest = world.guest().await;
    let conversation = guest.conversation.as_str();
    let server = &world.surface.server;

    let at_guest = Client::connect(server, &guest.jwt).await;
    let binding = json!({
        "event": "*", "schema": "public", "table": "messages", "filter": format!("conversation_id=eq.{conversation}"),
    });
    at_guest.listen("realtime:thread", binding.clone()).await;
    let typing = format!("realtime:typing:{conversation}");
    let guest_typing = at_guest.join(&typing, private()).await;
    let receipts = format!("realtime:messages:{conversation}");
    at_guest.join(&receipts, private()).await;

    let at_advisor = Client::connect(server, &advisor()).await;
    at_advisor.listen("realtime:thread", binding).await;
    let advisor_typing = at_advisor.join(&typing, private()).await;

    let said = json!({ "type": "typing", "user_id": CLIENT, "is_typing": true });
    at_guest.broadcast(&guest_typing, &typing, "typing", said.clone());
    let heard = at_advisor
        .until("typing", |f| f.topic == typing && f.event == "broadcast")
        .await;
    assert_eq!(heard.payload["payload"], said);
    at_advisor.broadcast(
        &advisor_typing,
        &typing,
        "typing",
        json!({ "user_id": ADVISOR }),
    );
    at_guest
        .until("typing", |f| f.topic == typing && f.event == "broadcast")
        .await;

    let first = world
        .say(&guest.jwt, conversation, "hello from outside")
        .await;
    for client in [&at_guest, &at_advisor] {
        let change = client.change("realtime:thread").await;
        assert_eq!(change["record"]["id"], json!(first));
        assert_eq!(change["record"]["sender_name"], "Cleo");
        assert_eq!(change["record"]["sender_type"], "client");
    }
    let second = world.say(&advisor(), conversation, "hello back").await;
    let change = at_guest.change("realtime:thread").await;
    assert_eq!(change["record"]["id"], json!(second));

    let arguments = json!({ "conversation_id": conversation, "up_to_message_id": second });
    world.call(&guest.jwt, "mark_as_read", &arguments).await;
    // What the database says comes in binary frames.
    eventually("a receipt", || {
        let receipt = at_guest.socket.pick(|item| match item {
            Item::Binary(bytes) => String::from_utf8_lossy(bytes)
                .contains("read_receipt")
                .then_some(()),
            _ => None,
        });
        async move { receipt }
    })
    .await;

    let arguments = json!({ "conversation_id": conversation });
    let page = world
        .call(&guest.jwt, "get_messages", &arguments)
        .await
        .to_string();
    assert!(
        page.contains("hello from outside") && page.contains("hello back"),
        "{page}"
    );
    let list = world
        .call(&guest.jwt, "get_conversations", &json!({}))
        .await
        .to_string();
    assert!(
        list.contains("Ada") && list.contains(conversation),
        "{list}"
    );
    world
        .call(
            &guest.jwt,
            "toggle_reaction",
            &json!({ "message_id": second, "emoji": "👍" }),
        )
        .await;
    let found = world
        .call(&guest.jwt, "search_messages", &json!({ "query": "back" }))
        .await;
    assert!(
        found.to_string().contains("hello back") || found.to_string().contains(&second),
        "{found}"
    );
}

/// What a guest may ask of tables and functions, and what must not be in any answer.
pub(crate) async fn assert_blind(world: &World, guest: &Guest, secrets: &[&str]) {
    for path in [
        "messages?select=*",
        "conversations?select=*",
        "conversation_participants?select=*",
        "profiles?select=*",
        "user_presence?select=*",
        "message_reactions?select=*",
        "share_links?select=*",
        "client_chat_tokens?select=*",
        "push_subscriptions?select=*",
        "notification_preferences?select=*",
        "notification_outbox?select=*",
        "user_blocks?select=*",
        "conversation_invites?select=*",
        "host_table?select=*",
    ] {
        let answer = world
            .surface
            .get(&format!("/rest/v1/{path}"), &guest.jwt)
            .await;
        let said = answer.text();
        for secret in secrets {
            assert!(!said.contains(secret), "{path} says {secret}: {said}");
        }
    }
    for (name, arguments) in [
        ("get_conversations", json!({})),
        ("get_unread_count", json!({})),
        ("search_messages", json!({ "query": "secret" })),
    ] {
        let said = world.rpc(&guest.jwt, name, &arguments).await.text();
        for secret in secrets {
            assert!(!said.contains(secret), "{name} says {secret}: {said}");
        }
    }
}

#[tokio::test]
async fn a_guest_sees_nothing_else() {
    let world = World::new(&[]).await;
    let guest = world.guest().await;
    // The client has other conversations, and so has the advisor; the host has tables and careless policies.
    let of_client = world.conversation_with(CLIENT).await;
    world
        .say(&advisor(), &of_client, "secret of the client")
        .await;
    let of_other = world.conversation_with(OTHER).await;
    world.say(&advisor(), &of_other, "secret of another").await;
    world
        .sql
        .batch_execute(&format!(
            "create table public.host_table (owner uuid, text text);
             insert into public.host_table values ('{CLIENT}', 'secret of the host');
             grant select on public.host_table to anon, authenticated;
             alter table public.host_table enable row level security;
             create policy mine on public.host_table using (owner = auth.uid());
             create policy anybody on realtime.messages using (true) with check (true);
             insert into storage.buckets (id, name) values ('avatars', 'avatars');
             create policy mine on storage.objects using (bucket_id = 'avatars' and owner_id = auth.uid()::text)
               with check (bucket_id = 'avatars')"
        ))
        .await
        .unwrap();
    let headers = [("Content-Type", "text/plain")];
    let put = world
        .surface
        .ask(
            "POST",
            "/storage/v1/object/avatars/me",
            &token::user(CLIENT),
            &headers,
            Some(b"secret face"),
        )
        .await;
    assert_eq!(put.status, 200, "{}", put.text());

    assert_blind(
        &world,
        &guest,
        &["secret", OTHER, COLLEAGUE, &of_client, &of_other],
    )
    .await;
    for (method, path) in [
        ("GET", "object/avatars/me"),
        ("GET", "object/authenticated/avatars/me"),
        ("POST", "object/avatars/mine"),
    ] {
        let answer = world
            .surface
            .ask(
                method,
                &format!("/storage/v1/{path}"),
                &guest.jwt,
                &headers,
                Some(b"x"),
            )
            .await;
        assert!(answer.status >= 400, "{method} {path}: {}", answer.text());
    }
    for (name, arguments) in [
        ("start_conversation", json!({ "user_id": COLLEAGUE })),
        (
            "create_group",
            json!({ "name": "x", "user_ids": [ADVISOR] }),
        ),
        (
            "register_push",
            json!({ "endpoint": "https://push.example/1", "p256dh": "x", "auth": "x" }),
        ),
        (
            "set_conversation_preferences",
            json!({ "conversation_id": guest.conversation }),
        ),
        (
            "send_message",
            json!({ "conversation_id": of_client, "content": "x" }),
        ),
        ("get_messages", json!({ "conversation_id": of_client })),
        (
            "open_guest_session",
            json!({ "subject_id": "x", "share_token": "x" }),
        ),
    ] {
        let answer = world.rpc(&guest.jwt, name, &arguments).await;
        assert!(
            answer.status >= 400,
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
    }

    let client = Client::connect(&world.surface.server, &guest.jwt).await;
    for topic in [
        format!("conversations:{CLIENT}"),
        format!("presence:{ORG}"),
        format!("typing:{of_client}"),
        format!("messages:{of_other}"),
        "anything".to_owned(),
    ] {
        let (_, reply) = client
            .try_join(&format!("realtime:{topic}"), private())
            .await;
        assert_eq!(reply["status"], "error", "{topic}: {reply}");
    }
    // Receipts come from the database only.
    let topic = format!("realtime:messages:{}", guest.conversation);
    let joined = client.join(&topic, private()).await;
    let listener = Client::connect(&world.surface.server, &advisor()).await;
    listener.join(&topic, private()).await;
    client.broadcast(&joined, &topic, "read_receipt", json!({ "forged": true }));
    client.heartbeat().await;
    client
        .listen(
            "realtime:all",
            json!({ "event": "*", "schema": "public", "table": "messages" }),
        )
        .await;
    world.say(&advisor(), &of_client, "secret again").await;
    world.say(&advisor(), &of_other, "secret again").await;
    let mine = world
        .say(&advisor(), &guest.conversation, "not secret")
        .await;
    assert_eq!(
        client.change("realtime:all").await["record"]["id"],
        json!(mine)
    );
    listener.silent(&topic, Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_guests_token_opens_nothing_of_auth() {
    let world = World::new(&[]).await;
    // The client has an account: the token's sub is that of a user of Auth.
    world
        .sql
        .batch_execute(&format!(
            "insert into auth.users (id, aud, role, email, email_confirmed_at) values
             ('{CLIENT}', 'authenticated', 'authenticated', 'cleo@example.com', now())"
        ))
        .await
        .unwrap();
    let guest = world.guest().await;
    for (method, path, body) in [
        ("GET", "user", json!({})),
        (
            "PUT",
            "user",
            json!({ "password": "taken over by a guest" }),
        ),
        ("POST", "logout", json!({})),
        ("GET", "admin/users", json!({})),
    ] {
        let path = format!("/auth/v1/{path}");
        let answer = world
            .surface
            .ask_json(method, &path, &guest.jwt, &body)
            .await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
    // With an account the client is a member of the conversation, whoever speaks for them.
    let role = "select role from conversation_participants where user_id = $1::text::uuid";
    let role: String = world.sql.query_one(role, &[&CLIENT]).await.unwrap().get(0);
    assert_eq!(role, "member");
}
