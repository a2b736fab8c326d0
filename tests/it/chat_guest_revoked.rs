//! Once a link is switched off, a guest's token that has not expired opens nothing any more, through any door.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chat_guest_leaks::{assert_blind, private};
use crate::chat_guest_support::{CLIENT, World, advisor};
use crate::support::phoenix::Client;

fn rows(answer: &crate::support::http::Response) -> Vec<Value> {
    match answer.status {
        200 | 206 => answer.json().as_array().cloned().unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn once_the_link_is_off_the_token_is_worth_nothing() {
    for change in [
        "update share_links set enabled = false",
        "update share_links set expires_at = now()",
        "delete from client_chat_tokens",
        "delete from share_links",
        &format!("update conversation_participants set left_at = now() where user_id = '{CLIENT}'"),
    ] {
        let world = World::new(&[("RIGHTS_INTERVAL_MS", "200")]).await;
        let guest = world.guest().await;
        let conversation = guest.conversation.as_str();
        let first = world.say(&advisor(), conversation, "before").await;
        let client = Client::connect(&world.surface.server, &guest.jwt).await;
        client
            .listen(
                "realtime:all",
                json!({ "event": "*", "schema": "public", "table": "messages" }),
            )
            .await;
        let typing = format!("realtime:typing:{conversation}");
        client.join(&typing, private()).await;

        world.sql.batch_execute(change).await.unwrap();
        assert_blind(&world, &guest, &["before", "Ada", "Cleo", &first]).await;
        let select = world
            .surface
            .get("/rest/v1/messages?select=id", &guest.jwt)
            .await;
        assert_eq!(rows(&select), [Value::Null; 0], "{change}");
        let send = json!({ "conversation_id": conversation, "content": "still here" });
        assert!(
            world.rpc(&guest.jwt, "send_message", &send).await.status >= 400,
            "{change}"
        );

        // Changes of rows: judged one by one, so at once.
        world.say(&advisor(), conversation, "after").await;
        // Private channels: asked again after the interval, and ended.
        let ended = client
            .until("the end of the channel", |frame| {
                frame.topic == typing
                    && (frame.event == "phx_close"
                        || frame.event == "system"
                        || frame.event == "phx_error")
            })
            .await;
        assert_ne!(ended.payload["status"], "ok", "{change}: {ended:?}");
        client
            .silent("realtime:all", Duration::from_millis(100))
            .await;
        let (_, reply) = client.try_join(&typing, private()).await;
        assert_eq!(reply["status"], "error", "{change}: {reply}");
    }
}
