//! Images that are sent get smaller versions, whatever they are; nothing that is sent stops the worker (C-403, C-611).

use dovetail::postgres::migrate::{Set, migrate};
use image::GenericImageView;
use serde_json::{Value, json};

use crate::chat_attachments_support::{
    attachment, bomb, described, jpeg_of_a_camera, listener, photo, png,
};
use crate::chat_guest_support::{CLIENT, World, advisor};
use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::server::Server;
use crate::support::token;

#[tokio::test]
async fn a_photo_of_twelve_megabytes_is_shown_upright_and_without_its_place() {
    let world = World::new(&[]).await;
    let conversation = world.conversation_with(CLIENT).await;
    let client = token::user(CLIENT);
    let photo = jpeg_of_a_camera(&photo(3600, 2400), 100);
    assert!(photo.len() > 12_000_000, "{}", photo.len());
    let path = format!("{conversation}/{CLIENT}/IMG 4711.JPG");
    let in_address = path.replace(' ', "%20");
    world
        .attach(&client, &in_address, "image/jpeg", &photo)
        .await;

    let at_advisor = listener(&world.surface.server).await;
    // The sender's browser was wrong about the type.
    let message = world
        .show(&client, &conversation, &[attachment(&path, "image/heic")])
        .await;
    let list = described(&at_advisor, &message).await;
    let item = &list[0];
    assert_eq!(item["mime_type"], "image/jpeg");
    assert_eq!(
        (&item["width"], &item["height"]),
        (&json!(2400), &json!(3600))
    );
    assert_eq!(item["blurhash"].as_str().unwrap().len(), 28);
    assert_eq!(item["thumbnail_path"], format!("{path}.thumb-256.jpg"));
    assert_eq!(item["preview_path"], format!("{path}.thumb-1024.jpg"));
    assert_eq!(item["name"], "IMG 4711.JPG");
    let url = item["thumbnail_url"].as_str().unwrap().replace(' ', "%20");
    let by_url = world.surface.get(&url, &advisor()).await;
    assert_eq!(by_url.status, 200, "{}", by_url.text());

    for (name, size) in [
        ("thumbnail_path", (171, 256)),
        ("preview_path", (683, 1024)),
    ] {
        let name = item[name].as_str().unwrap().replace(' ', "%20");
        let small = world.download(&advisor(), &name).await;
        assert_eq!(small.status, 200, "{}", small.text());
        assert_eq!(small.header("content-type"), Some("image/jpeg"));
        let image = image::load_from_memory(&small.body).unwrap();
        assert_eq!(image.dimensions(), size);
        let top = image.get_pixel(size.0 / 2, 10);
        assert!(
            top.0[0] > 150 && top.0[2] < 100,
            "what was left is on top: {top:?}"
        );
        for mark in [b"Exif".as_slice(), b"52.5200N"] {
            assert!(!small.body.windows(mark.len()).any(|part| part == mark));
        }
    }
    let original = world.download(&advisor(), &in_address).await;
    assert_eq!(original.body.len(), photo.len());
    let left: i64 = world
        .sql
        .query_one("select count(*) from chat.thumbnail_jobs", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_is_no_image_is_said_to_be_none_and_the_worker_goes_on() {
    let world = World::new(&[]).await;
    let conversation = world.conversation_with(CLIENT).await;
    let client = token::user(CLIENT);
    let at = |name: &str| format!("{conversation}/{CLIENT}/{name}");
    let mut half = jpeg_of_a_camera(&photo(400, 300), 80);
    half.truncate(half.len() / 2);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let mut list = Vec::new();
    for (name, stored_as, mime, body) in [
        ("bomb.png", "image/png", "image/png", bomb().as_slice()),
        ("drawing.png", "text/plain", "image/png", svg.as_slice()),
        ("half.jpg", "image/jpeg", "image/jpeg", half.as_slice()),
        ("text.jpg", "text/plain", "image/jpeg", b"this is only text"),
        ("empty.jpg", "image/jpeg", "image/jpeg", b""),
    ] {
        world.attach(&client, &at(name), stored_as, body).await;
        let mut item = attachment(&at(name), mime);
        // Nothing of this is true.
        item["width"] = json!(10);
        item["thumbnail_url"] = json!("https://elsewhere.example/x.png");
        list.push(item);
    }

    let at_advisor = listener(&world.surface.server).await;
    let message = world.show(&client, &conversation, &list).await;
    let found = described(&at_advisor, &message).await;
    let errors: Vec<&str> = found
        .iter()
        .map(|item| item["error"].as_str().unwrap())
        .collect();
    assert!(errors[0].contains("too many pixels"), "{errors:?}");
    assert!(
        errors[1..].iter().all(|error| error.contains("no image")),
        "{errors:?}"
    );
    let types: Vec<&Value> = found.iter().map(|item| &item["mime_type"]).collect();
    let unknown = "application/octet-stream";
    assert_eq!(
        types,
        ["image/png", unknown, "image/jpeg", unknown, unknown]
    );
    for item in &found {
        assert!(
            item.get("thumbnail_url").is_none() && item.get("width").is_none(),
            "{item}"
        );
    }

    // Types that run are not taken at all, nor what is not what it is called.
    for (name, mime, body) in [
        ("a.svg", "image/svg+xml", svg.as_slice()),
        ("a.html", "text/html", b"<script>"),
        ("a.js", "text/javascript", b"alert(1)"),
        ("a.png", "image/png", svg.as_slice()),
    ] {
        let answer = world.put(&client, &at(name), mime, body).await;
        assert_eq!(
            answer.json()["statusCode"],
            "415",
            "{name}: {}",
            answer.text()
        );
    }

    // Two good ones in one message: each is written without losing the other.
    let mut list = Vec::new();
    for name in ["one.png", "two.png"] {
        world
            .attach(&client, &at(name), "image/png", &png(&photo(300, 200)))
            .await;
        list.push(attachment(&at(name), "image/png"));
    }
    let message = world.show(&client, &conversation, &list).await;
    let found = described(&at_advisor, &message).await;
    assert!(
        found
            .iter()
            .all(|item| item["width"] == 300 && item.get("error").is_none()),
        "{found:?}"
    );
}

#[tokio::test]
async fn an_image_that_was_claimed_when_the_server_died_is_done_by_the_next() {
    // A Storage API that takes the request and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/storage/v1", silent.local_addr().unwrap());
    let mut world = World::new(&[("STORAGE_URL", &url)]).await;
    let conversation = world.conversation_with(CLIENT).await;
    let path = format!("{conversation}/{CLIENT}/one.png");
    let client = token::user(CLIENT);
    world
        .attach(&client, &path, "image/png", &png(&photo(300, 200)))
        .await;
    let message = world
        .show(&client, &conversation, &[attachment(&path, "image/png")])
        .await;
    let _claimed = silent.accept().await.unwrap();
    world
        .surface
        .server
        .end(rustix::process::Signal::KILL)
        .await;

    let folder = world.surface.folder().to_str().unwrap().to_owned();
    let settings = [
        ("SURFACE", "embedded"),
        ("FILE_STORAGE_BACKEND_PATH", folder.as_str()),
        ("CHAT", "true"),
    ];
    let server = Server::with(&world.surface.database, &settings).await;
    let at_advisor = listener(&server).await;
    // Time passes, until the lease is over.
    let due = "update chat.thumbnail_jobs set due_at = now() where attempts = 1; notify dovetail_chat, 'thumbnails'";
    world.sql.batch_execute(due).await.unwrap();
    let list = described(&at_advisor, &message).await;
    assert_eq!(list[0]["width"], 300, "{list:?}");
}

#[tokio::test]
async fn what_is_missing_is_asked_for_again_and_then_given_up() {
    let world = World::new(&[]).await;
    let conversation = world.conversation_with(CLIENT).await;
    let client = token::user(CLIENT);
    let at_advisor = listener(&world.surface.server).await;
    let path = format!("{conversation}/{CLIENT}/later.png");
    let attempts = |least: i32| {
        let sql = &world.sql;
        async move {
            let rows = sql.query(
                "select attempts, due_at > now() + interval '1 s' from chat.thumbnail_jobs",
                &[],
            );
            let rows = rows.await.unwrap();
            let waits = rows
                .iter()
                .any(|row| row.get::<_, i32>(0) >= least && row.get(1));
            waits.then_some(())
        }
    };
    let again = "update chat.thumbnail_jobs set due_at = now(); notify dovetail_chat, 'thumbnails'";

    // The message was faster than its file.
    let message = world
        .show(&client, &conversation, &[attachment(&path, "image/png")])
        .await;
    eventually("an attempt", || attempts(1)).await;
    world
        .attach(&client, &path, "image/png", &png(&photo(300, 200)))
        .await;
    world.sql.batch_execute(again).await.unwrap();
    assert_eq!(described(&at_advisor, &message).await[0]["width"], 300);

    let never = format!("{conversation}/{CLIENT}/never.png");
    let message = world
        .show(&client, &conversation, &[attachment(&never, "image/png")])
        .await;
    eventually("an attempt", || attempts(1)).await;
    world
        .sql
        .batch_execute(&format!(
            "update chat.thumbnail_jobs set attempts = 4; {again}"
        ))
        .await
        .unwrap();
    let list = described(&at_advisor, &message).await;
    assert_eq!(list[0]["error"], "the image cannot be fetched");
}

#[tokio::test]
async fn the_bucket_is_made_when_storage_comes_after_the_messaging_system() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    let notes = migrate(&sql, Set::Chat).await.unwrap().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("there is no storage")),
        "{notes:?}"
    );
    let again = migrate(&sql, Set::Chat).await.unwrap();
    assert_eq!(
        again.applied, [""; 0],
        "nothing to do until there is storage"
    );
    migrate(&sql, Set::Embedded).await.unwrap();
    let report = migrate(&sql, Set::Chat).await.unwrap();
    assert_eq!(report.applied, ["chat/016_attachments.sql"]);
    assert_eq!(report.notes, [""; 0]);
    let row = "select public, file_size_limit from storage.buckets where id = 'chat-attachments'";
    let row = sql.query_one(row, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), (false, 52_428_800_i64));
    assert_eq!(migrate(&sql, Set::Chat).await.unwrap().applied, [""; 0]);
}
