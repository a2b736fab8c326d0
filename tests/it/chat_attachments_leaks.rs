//! What is attached is for the participants of its conversation, and only as long as they take part (C-403, C-610).

use serde_json::json;

use crate::chat_attachments_support::{attachment, described, listener, photo, png};
use crate::chat_guest_support::{ADVISOR, CLIENT, COLLEAGUE, OTHER, World, advisor};
use crate::support::token;

const MARK: &str = "MARK-4711";

/// The host's own policies open everything to everybody, in every bucket.
async fn careless() -> World {
    let world = World::new(&[]).await;
    let sql = "create policy careless on storage.objects using (true) with check (true);
               create policy careless on storage.buckets using (true)";
    world.sql.batch_execute(sql).await.unwrap();
    world
}

/// Nothing of the object, by any endpoint that reads.
async fn assert_closed(world: &World, who: &str, bearer: &str, path: &str) {
    for route in [
        "object",
        "object/authenticated",
        "object/public",
        "object/info",
        "object/info/authenticated",
        "render/image/authenticated",
    ] {
        let route = format!("/storage/v1/{route}/chat-attachments/{path}");
        let answer = world.surface.get(&route, bearer).await;
        assert!(answer.status >= 400, "{who} {route}: {}", answer.text());
        assert!(!answer.text().contains(MARK), "{who} {route}");
    }
    let sign = format!("/storage/v1/object/sign/chat-attachments/{path}");
    let answer = world
        .surface
        .ask_json("POST", &sign, bearer, &json!({ "expiresIn": 60 }))
        .await;
    assert!(answer.status >= 400, "{who}: {}", answer.text());
    let (folder, _) = path.rsplit_once('/').unwrap();
    assert_eq!(list(world, bearer, folder).await, [""; 0], "{who}");
    let all = list(world, bearer, "").await;
    assert!(
        !all.iter().any(|name| path.starts_with(name.as_str())),
        "{who}: {all:?}"
    );
}

async fn list(world: &World, bearer: &str, prefix: &str) -> Vec<String> {
    let body = json!({ "prefix": prefix });
    let path = "/storage/v1/object/list/chat-attachments";
    let answer = world.surface.ask_json("POST", path, bearer, &body).await;
    let names = answer.json();
    let names = names.as_array().cloned().unwrap_or_default();
    names
        .iter()
        .map(|entry| entry["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn only_participants_read_and_nobody_writes_in_anothers_name() {
    let world = careless().await;
    let conversation = world.conversation_with(CLIENT).await;
    let elsewhere = world.conversation_with(OTHER).await;
    let (client, other) = (token::user(CLIENT), token::user(OTHER));
    let text = format!("{conversation}/{CLIENT}/notes.txt");
    world
        .attach(&client, &text, "text/plain", MARK.as_bytes())
        .await;
    let image = format!("{conversation}/{CLIENT}/one.png");
    world
        .attach(&client, &image, "image/png", &png(&photo(300, 200)))
        .await;
    let at_advisor = listener(&world.surface.server).await;
    let shown = [attachment(&image, "image/png")];
    let message = world.show(&client, &conversation, &shown).await;
    described(&at_advisor, &message).await;
    let small = format!("{image}.thumb-256.jpg");

    for path in [&text, &image, &small] {
        for (who, bearer) in [
            ("another client", other.clone()),
            ("a colleague", token::user(COLLEAGUE)),
            ("a visitor", token::anon()),
        ] {
            assert_closed(&world, who, &bearer, path).await;
        }
        assert_eq!(world.download(&advisor(), path).await.status, 200, "{path}");
    }
    for (who, bearer, path) in [
        (
            "into a foreign conversation",
            &other,
            format!("{conversation}/{OTHER}/x.txt"),
        ),
        (
            "in another's name",
            &advisor(),
            format!("{conversation}/{CLIENT}/x.txt"),
        ),
        (
            "into a conversation that is none",
            &other,
            format!("{elsewhere}x/{OTHER}/x.txt"),
        ),
        ("without a folder", &other, "x.txt".to_owned()),
        ("without a name", &other, format!("{elsewhere}/x.txt")),
        (
            "as nobody",
            &token::anon(),
            format!("{conversation}/x/x.txt"),
        ),
    ] {
        let answer = world.put(bearer, &path, "text/plain", b"x").await;
        assert!(answer.status >= 400, "{who}: {}", answer.text());
        let name = base64(&path);
        let metadata = format!(
            "bucketName {},objectName {name},contentType {}",
            base64("chat-attachments"),
            base64("text/plain")
        );
        let headers = [
            ("Tus-Resumable", "1.0.0"),
            ("Upload-Length", "1"),
            ("Upload-Metadata", metadata.as_str()),
        ];
        let tus = "/storage/v1/upload/resumable";
        let answer = world.surface.ask("POST", tus, bearer, &headers, None).await;
        assert!(answer.status >= 400, "{who}, resumable: {}", answer.status);
        let sign = format!("/storage/v1/object/upload/sign/chat-attachments/{path}");
        let answer = world
            .surface
            .ask_json("POST", &sign, bearer, &json!({}))
            .await;
        assert!(answer.status >= 400, "{who}, signed: {}", answer.text());
    }
    // What is there stays what it is, for who sent it too.
    for bearer in [&client, &advisor(), &other] {
        let route = format!("/storage/v1/object/chat-attachments/{text}");
        let headers = [("Content-Type", "text/plain"), ("x-upsert", "true")];
        for method in ["POST", "PUT"] {
            let answer = world
                .surface
                .ask(method, &route, bearer, &headers, Some(b"forged"))
                .await;
            assert!(answer.status >= 400, "{method}: {}", answer.text());
        }
        let to = format!("{conversation}/{CLIENT}/moved.txt");
        let body =
            json!({ "bucketId": "chat-attachments", "sourceKey": text, "destinationKey": to });
        let answer = world
            .surface
            .ask_json("POST", "/storage/v1/object/move", bearer, &body)
            .await;
        assert!(answer.status >= 400, "{}", answer.text());
    }
    for bearer in [&advisor(), &other] {
        let body = json!({ "prefixes": [text] });
        let path = "/storage/v1/object/chat-attachments";
        world.surface.ask_json("DELETE", path, bearer, &body).await;
    }
    assert_eq!(world.download(&advisor(), &text).await.text(), MARK);
    let body = json!({ "prefixes": [text] });
    world
        .surface
        .ask_json(
            "DELETE",
            "/storage/v1/object/chat-attachments",
            &client,
            &body,
        )
        .await;
    assert!(world.download(&advisor(), &text).await.status >= 400);
}

#[tokio::test]
async fn who_has_left_reads_no_more() {
    let world = careless().await;
    let arguments = json!({ "name": "group", "user_ids": [CLIENT, COLLEAGUE] });
    let group = world.call(&advisor(), "create_group", &arguments).await;
    let group = group["id"].as_str().unwrap();
    let colleague = token::user(COLLEAGUE);
    let path = format!("{group}/{ADVISOR}/notes.txt");
    world
        .attach(&advisor(), &path, "text/plain", MARK.as_bytes())
        .await;
    assert_eq!(world.download(&colleague, &path).await.text(), MARK);
    let own = format!("{group}/{COLLEAGUE}/own.txt");
    world
        .attach(&colleague, &own, "text/plain", MARK.as_bytes())
        .await;

    let leave = world
        .rpc(
            &colleague,
            "leave_conversation",
            &json!({ "conversation_id": group }),
        )
        .await;
    assert!(leave.status < 300, "{}", leave.text());
    assert_closed(&world, "who has left", &colleague, &path).await;
    assert_closed(&world, "who has left", &colleague, &own).await;
    let late = world
        .put(
            &colleague,
            &format!("{group}/{COLLEAGUE}/late.txt"),
            "text/plain",
            b"x",
        )
        .await;
    assert!(late.status >= 400, "{}", late.text());
}

#[tokio::test]
async fn what_was_attached_to_a_deleted_message_is_for_its_sender_only() {
    let world = careless().await;
    let conversation = world.conversation_with(CLIENT).await;
    let client = token::user(CLIENT);
    let image = format!("{conversation}/{CLIENT}/one.png");
    let kept = format!("{conversation}/{CLIENT}/two.png");
    for path in [&image, &kept] {
        world
            .attach(&client, path, "image/png", &png(&photo(300, 200)))
            .await;
    }
    let at_advisor = listener(&world.surface.server).await;
    let both = [
        attachment(&image, "image/png"),
        attachment(&kept, "image/png"),
    ];
    let message = world.show(&client, &conversation, &both).await;
    described(&at_advisor, &message).await;
    // Shown a second time, and by somebody else.
    let once_more = world.show(&client, &conversation, &both[1..]).await;
    described(&at_advisor, &once_more).await;
    let quoted = world.show(&advisor(), &conversation, &both[..1]).await;
    described(&at_advisor, &quoted).await;
    // The advisor takes back their message, not the client's file.
    world
        .call(
            &advisor(),
            "delete_message",
            &json!({ "message_id": quoted }),
        )
        .await;
    assert_eq!(world.download(&advisor(), &image).await.status, 200);

    world
        .call(&client, "delete_message", &json!({ "message_id": message }))
        .await;
    for path in [
        image.clone(),
        format!("{image}.thumb-256.jpg"),
        format!("{image}.thumb-1024.jpg"),
    ] {
        assert!(
            world.download(&advisor(), &path).await.status >= 400,
            "{path}"
        );
        assert_eq!(world.download(&client, &path).await.status, 200, "{path}");
    }
    assert_eq!(world.download(&advisor(), &kept).await.status, 200);
    let folder = format!("{conversation}/{CLIENT}");
    let names = list(&world, &advisor(), &folder).await;
    assert_eq!(
        names,
        ["two.png", "two.png.thumb-1024.jpg", "two.png.thumb-256.jpg"]
    );
}

#[tokio::test]
async fn a_guest_attaches_and_reads_in_the_own_conversation_until_the_link_is_off() {
    let world = careless().await;
    let guest = world.guest().await;
    let conversation = guest.conversation.as_str();
    let of_client = world.conversation_with(CLIENT).await;
    let secret = format!("{of_client}/{ADVISOR}/notes.txt");
    world
        .attach(&advisor(), &secret, "text/plain", MARK.as_bytes())
        .await;
    let of_advisor = format!("{conversation}/{ADVISOR}/offer.txt");
    world
        .attach(&advisor(), &of_advisor, "text/plain", b"an offer")
        .await;

    let image = format!("{conversation}/{CLIENT}/one.png");
    world
        .attach(&guest.jwt, &image, "image/png", &png(&photo(300, 200)))
        .await;
    let at_advisor = listener(&world.surface.server).await;
    let message = world
        .show(&guest.jwt, conversation, &[attachment(&image, "image/png")])
        .await;
    let shown = described(&at_advisor, &message).await;
    let small = shown[0]["thumbnail_path"].as_str().unwrap();
    for path in [small, &image, &of_advisor] {
        for bearer in [&guest.jwt, &advisor()] {
            assert_eq!(world.download(bearer, path).await.status, 200, "{path}");
        }
    }
    assert_closed(&world, "a guest", &guest.jwt, &secret).await;
    for path in [
        format!("{of_client}/{CLIENT}/x.txt"),
        format!("{conversation}/{ADVISOR}/x.txt"),
    ] {
        let answer = world.put(&guest.jwt, &path, "text/plain", b"x").await;
        assert!(answer.status >= 400, "{path}: {}", answer.text());
    }
    let buckets = world
        .surface
        .get("/storage/v1/bucket", &guest.jwt)
        .await
        .text();
    let ids: Vec<&str> = buckets.split("\"id\":\"").skip(1).collect();
    assert!(
        ids.iter().all(|id| id.starts_with("chat-attachments\"")),
        "{buckets}"
    );

    world
        .sql
        .batch_execute("update share_links set enabled = false")
        .await
        .unwrap();
    for path in [small, &image, &of_advisor] {
        assert_closed(&world, "a guest", &guest.jwt, path).await;
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
