//! Who is told of what, decided in SQL (C-111, C-203): when a message is written, and again when its notification is due.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::chat_push_support::*;

/// Everybody but Ana takes push messages.
async fn subscribed(people: u32) -> Client {
    let (_, client) = hall(people).await;
    let sql = "insert into public.push_subscriptions (endpoint, user_id, p256dh, auth)
               select 'https://push.example.com/' || id, id, repeat('a', 87), repeat('b', 22) from public.profiles";
    client.batch_execute(sql).await.unwrap();
    client
}

async fn told(client: &Client) -> Vec<String> {
    outbox(client).await.into_iter().map(|row| row.0).collect()
}

/// Claims what is due now: user, attempt, body.
async fn claim(client: &Client, lease: &str) -> Vec<(String, i32, String)> {
    let sql = format!(
        "select user_id::text, attempt, body from chat.claim_notifications(100, interval '{lease}')"
    );
    let rows = client.query(&sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

#[tokio::test]
async fn only_who_is_away_and_wants_it_is_told() {
    let client = subscribed(16).await;
    let p = person;
    for sql in [
        // Ana, 1, sends; Ben, 2, wants everything.
        format!(
            "update public.conversation_participants set muted_until = now() + interval '1 hour' where user_id = '{}'",
            p(3)
        ),
        format!(
            "update public.conversation_participants set muted_until = 'infinity' where user_id = '{}'",
            p(4)
        ),
        format!(
            "update public.conversation_participants set muted_until = now() - interval '1 hour' where user_id = '{}'",
            p(5)
        ),
        format!(
            "update public.conversation_participants set notify = 'none' where user_id = '{}'",
            p(6)
        ),
        format!(
            "update public.conversation_participants set notify = 'mentions' where user_id in ('{}', '{}')",
            p(7),
            p(8)
        ),
        format!(
            "update public.conversation_participants set left_at = now() where user_id = '{}'",
            p(9)
        ),
        format!(
            "insert into public.notification_preferences (user_id, push) values ('{}', false)",
            p(10)
        ),
        format!(
            "insert into public.notification_preferences (user_id, preview) values ('{}', false)",
            p(11)
        ),
        format!(
            "insert into public.user_presence values ('{}', true, now() - interval '10 minutes')",
            p(12)
        ),
        format!(
            "insert into public.user_presence values ('{}', true, now() - interval '12 minutes')",
            p(13)
        ),
        format!(
            "insert into public.user_blocks (user_id, blocked_id) values ('{}', '{ANA}'), ('{ANA}', '{}')",
            p(14),
            p(15)
        ),
        format!(
            "delete from public.push_subscriptions where user_id = '{}'",
            p(16)
        ),
    ] {
        client.batch_execute(&sql).await.expect(&sql);
    }
    say(&client, ANA, &format!("Hello @[Seven]({})", p(7))).await;
    let rows = outbox(&client).await;
    let mut all: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|(user, kind, _, body)| (&user[34..], kind.as_str(), body.as_str()))
        .collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [
            ("02", "message", "Hello @Seven"),
            ("05", "message", "Hello @Seven"),
            ("07", "mention", "Hello @Seven"),
            ("11", "message", "New message"),
            ("13", "message", "Hello @Seven"),
        ]
    );
    assert!(rows.iter().all(|row| row.2 == "Ana · Rome"));
}

#[tokio::test]
async fn messages_of_the_server_and_old_ones_that_are_moved_here_are_no_news() {
    let client = subscribed(2).await;
    let sql = format!(
        "insert into public.messages (conversation_id, content, content_type) values ('{GROUP}', 'Ana joined', 'system');
         insert into public.messages (conversation_id, sender_id, content, created_at)
         select '{GROUP}', '{ANA}', 'old', now() - n * interval '1 day' from generate_series(1, 100) n;"
    );
    client.batch_execute(&sql).await.unwrap();
    assert_eq!(told(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn many_messages_in_one_statement_are_told_in_order() {
    let client = subscribed(3).await;
    let sql = format!(
        "insert into public.messages (conversation_id, sender_id, content) select '{GROUP}', '{ANA}', 'n' || n from generate_series(1, 50) n"
    );
    client.batch_execute(&sql).await.unwrap();
    let bens: Vec<String> = outbox(&client)
        .await
        .into_iter()
        .filter(|row| row.0 == BEN)
        .map(|row| row.3)
        .collect();
    let wanted: Vec<String> = (1..=50).map(|n| format!("n{n}")).collect();
    assert_eq!(bens, wanted);
}

#[tokio::test]
async fn what_changed_since_is_looked_at_when_it_is_due() {
    let client = subscribed(9).await;
    say(&client, ANA, "Hello").await;
    assert_eq!(claim(&client, "1 minute").await, [], "not before its time");
    let p = person;
    let edit = format!(
        "select public.edit_message(id, 'Goodbye') from public.messages where sender_id = '{ANA}'"
    );
    as_user(&client, ANA, &edit).await.unwrap();
    as_user(
        &client,
        &p(2),
        &format!("select public.mark_as_read('{GROUP}')"),
    )
    .await
    .unwrap();
    for sql in [
        format!(
            "update public.conversation_participants set muted_until = 'infinity' where user_id = '{}'",
            p(3)
        ),
        format!(
            "update public.conversation_participants set left_at = now() where user_id = '{}'",
            p(4)
        ),
        format!(
            "insert into public.notification_preferences (user_id, push) values ('{}', false)",
            p(5)
        ),
        format!(
            "insert into public.user_presence values ('{}', true, now())",
            p(6)
        ),
        format!(
            "delete from public.push_subscriptions where user_id = '{}'",
            p(7)
        ),
        format!(
            "insert into public.notification_preferences (user_id, preview) values ('{}', false)",
            p(8)
        ),
    ] {
        client.batch_execute(&sql).await.expect(&sql);
    }
    hurry(&client).await;
    let mut claimed = claim(&client, "1 minute").await;
    claimed.sort();
    assert_eq!(
        claimed,
        [
            (p(8), 1, "New message".to_owned()),
            (p(9), 1, "Goodbye".to_owned())
        ]
    );
    let why = "select string_agg(substring(last_error from 11), ', ' order by user_id) from public.notification_outbox where delivered_at is not null";
    assert_eq!(
        value(&client, why).await,
        "read, muted, left, push is off, online, no subscription"
    );
}

#[tokio::test]
async fn of_what_is_due_of_a_conversation_only_the_last_is_sent_but_mentions_are() {
    let client = subscribed(3).await;
    for text in ["one", &format!("two @[Ben]({BEN})"), "three"] {
        say(&client, ANA, text).await;
    }
    hurry(&client).await;
    let mut claimed = claim(&client, "1 minute").await;
    claimed.sort();
    let row = |who: &str, text: &str| (who.to_owned(), 1, text.to_owned());
    assert_eq!(
        claimed,
        [row(BEN, "three"), row(BEN, "two @Ben"), row(CLEO, "three")]
    );
    let rest = "select count(*)::text from public.notification_outbox where last_error = 'not sent: a later one is'";
    assert_eq!(value(&client, rest).await, "3");
}

#[tokio::test]
async fn a_deleted_message_is_not_told_any_more() {
    let client = subscribed(2).await;
    say(&client, ANA, "Hello").await;
    as_user(
        &client,
        ANA,
        "select public.delete_message(id) from public.messages",
    )
    .await
    .unwrap();
    hurry(&client).await;
    assert_eq!(claim(&client, "1 minute").await, []);
    assert_eq!(
        value(&client, "select last_error from public.notification_outbox").await,
        "not sent: deleted"
    );
}

#[tokio::test]
async fn quiet_hours_put_it_off_until_they_end() {
    let client = subscribed(2).await;
    for (from, to, quiet) in [
        ("- interval '1 hour'", "+ interval '1 hour'", true),
        ("- interval '23 hours'", "+ interval '30 minutes'", true),
        ("+ interval '1 hour'", "+ interval '2 hours'", false),
        ("- interval '2 hours'", "- interval '1 hour'", false),
        ("+ interval '0'", "+ interval '0'", false),
    ] {
        for zone in [
            "UTC",
            "Asia/Tokyo",
            "America/New_York",
            "Asia/Kathmandu",
            "Pacific/Kiritimati",
            "nowhere",
        ] {
            let there = if zone == "nowhere" { "UTC" } else { zone };
            let sql = format!(
                "select case when u is null then 'none' when u > now() and u <= now() + interval '90 minutes' then 'quiet' else u::text end
                 from (select chat.quiet_until((now() at time zone '{there}')::time {from}, (now() at time zone '{there}')::time {to}, '{zone}') as u) x"
            );
            let wanted = if quiet { "quiet" } else { "none" };
            assert_eq!(value(&client, &sql).await, wanted, "{from} {to} {zone}");
        }
    }
    let sql = format!(
        "insert into public.notification_preferences (user_id, quiet_start, quiet_end, time_zone)
         values ('{BEN}', (now() at time zone 'Asia/Tokyo')::time - interval '1 hour', (now() at time zone 'Asia/Tokyo')::time + interval '1 hour', 'Asia/Tokyo')"
    );
    client.batch_execute(&sql).await.unwrap();
    say(&client, ANA, "Hello").await;
    hurry(&client).await;
    assert_eq!(claim(&client, "1 minute").await, []);
    let due = "select (delivered_at is null and attempts = 0 and due_at between now() + interval '30 minutes' and now() + interval '61 minutes')::text from public.notification_outbox";
    assert_eq!(value(&client, due).await, "true");
    client
        .batch_execute(
            "update public.notification_preferences set quiet_start = null, quiet_end = null",
        )
        .await
        .unwrap();
    hurry(&client).await;
    assert_eq!(claim(&client, "1 minute").await.len(), 1);
}

#[tokio::test]
async fn a_claim_comes_back_after_its_lease_and_is_given_up_after_a_second_crash() {
    let client = subscribed(2).await;
    say(&client, ANA, "Hello").await;
    hurry(&client).await;
    assert_eq!(
        claim(&client, "0").await,
        [(BEN.to_owned(), 1, "Hello".to_owned())]
    );
    assert_eq!(
        claim(&client, "0").await,
        [(BEN.to_owned(), 2, "Hello".to_owned())]
    );
    assert_eq!(claim(&client, "0").await, []);
    let state = "select last_error || ' ' || (due_at = 'infinity') from public.notification_outbox";
    assert_eq!(
        value(&client, state).await,
        "the server ended twice while it was being sent true"
    );
}

#[tokio::test]
async fn the_outcome_of_a_lost_lease_changes_nothing_but_what_is_done() {
    let client = subscribed(2).await;
    say(&client, ANA, "Hello").await;
    hurry(&client).await;
    claim(&client, "0").await;
    claim(&client, "1 hour").await;
    client.batch_execute("select chat.settle_notification(id, 1, array['https://a']) from public.notification_outbox").await.unwrap();
    let state = "select (delivered_at is null)::text || ' ' || (claimed_at is not null) || ' ' || settled_endpoints::text from public.notification_outbox";
    assert_eq!(value(&client, state).await, "true true {https://a}");
    client.batch_execute("select chat.settle_notification(id, 2, array['https://a']) from public.notification_outbox").await.unwrap();
    assert_eq!(value(&client, state).await, "false false {https://a}");
}

#[tokio::test]
async fn what_is_done_with_is_removed_after_a_week() {
    let client = subscribed(2).await;
    let sql = format!(
        "insert into public.notification_outbox (user_id, kind, title, body, created_at, delivered_at, due_at)
         select '{BEN}', 'x', 'x', 'x', now() - a * interval '1 day', case when d then now() - a * interval '1 day' end, case when d then now() else 'infinity' end
         from (values (6, true), (8, true), (20, false), (31, false)) v (a, d)"
    );
    client.batch_execute(&sql).await.unwrap();
    assert_eq!(
        value(&client, "select chat.clean_notifications()::text").await,
        "2"
    );
    let left = "select string_agg((extract(day from now() - created_at))::text, ' ' order by created_at desc) from public.notification_outbox";
    assert_eq!(value(&client, left).await, "6 20");
}

#[tokio::test]
async fn clients_neither_read_the_queue_nor_call_what_workers_call() {
    let client = subscribed(3).await;
    say(&client, ANA, "Hello").await;
    let calls = [
        "select * from public.notification_outbox",
        "insert into public.notification_outbox (user_id, kind, title, body) values (gen_random_uuid(), 'x', 'x', 'x')",
        "update public.push_subscriptions set endpoint = 'https://evil'",
        "select * from chat.claim_notifications(1, interval '1 minute')",
        "select chat.settle_notification(1, 1, '{}')",
        "select chat.release_notifications('{1}')",
        "select chat.drop_subscription('https://push.example.com/x')",
        "select chat.note_subscription('https://push.example.com/x', 'x')",
        "select chat.next_notification()",
        "select chat.clean_notifications()",
        "select chat.quiet_until('00:00', '01:00', 'UTC')",
        "select chat.notify_message()",
        "select chat.write_presence('{}', '{}')",
        "select chat.expire_presence()",
        "update public.user_presence set is_online = true",
        "insert into public.user_presence (user_id) values (gen_random_uuid())",
    ];
    for role in ["anon", "authenticated", "chat_guest"] {
        for call in calls {
            let sql = format!(
                "begin; set local request.jwt.claims = '{{\"role\":\"{role}\",\"sub\":\"{BEN}\"}}'; set local role {role}; {call}"
            );
            let error = client.batch_execute(&sql).await.expect_err(call);
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{role}: {call}: {error:?}"
            );
            client.batch_execute("rollback").await.unwrap();
        }
    }
    let seen = as_user(
        &client,
        BEN,
        "select user_id from public.push_subscriptions",
    )
    .await
    .unwrap();
    let rows: Vec<&str> = seen
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => (row.columns()[0].name() == "user_id")
                .then(|| row.get(0))
                .flatten(),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [BEN], "one's own and nobody else's");
}
