//! A database with an earlier state of the messaging system is brought up to date, with what people wrote in it.

use dovetail::postgres::migrate::{Set, migrate};
use tokio_postgres::SimpleQueryMessage::Row;

use crate::chat_push_support::{ANA, as_user, hall, say};

#[tokio::test]
async fn an_earlier_state_gets_what_came_since_and_keeps_what_is_in_it() {
    let (_database, sql) = hall(3).await;
    say(&sql, ANA, "written before").await;
    sql.batch_execute(
        "drop trigger broadcast_guest_presence on public.user_presence;
         drop function public.get_conversations(text, text, timestamptz, integer, uuid);
         create function public.get_conversations(filter text default 'all', search text default null, before timestamptz default null,
           page_size integer default 30, before_id uuid default null) returns table (id uuid) language sql as 'select null::uuid'",
    )
    .await
    .unwrap();
    let report = migrate(&sql, Set::Chat).await.expect("the schema");
    assert!(
        report.applied.contains(&"chat/009_reading.sql".to_owned())
            && report.applied.contains(&"chat/018_rights.sql".to_owned()),
        "{:?}",
        report.applied
    );
    let asked = "select subject is null and last_message_preview = 'written before' from get_conversations()";
    let answer = as_user(&sql, ANA, asked).await.expect("their list");
    let found = answer.iter().any(|part| match part {
        Row(row) => row.get(0) == Some("t"),
        _ => false,
    });
    assert!(found, "{answer:?}");
    let again = migrate(&sql, Set::Chat).await.expect("the schema");
    assert_eq!(again.applied, [""; 0], "nothing is left to do");
}
