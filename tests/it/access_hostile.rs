//! What policies may do to the connection they are asked on, and what the next question must not notice.

use dovetail::access::Settings;

use crate::access_support::{ALICE, BOB, BOTH, NEITHER, World, settings};
use crate::support::cluster::Cluster;

/// One connection, so that every question comes after the one before on the same session; nothing is remembered.
async fn world(setup: &str) -> World {
    let settings = Settings {
        connections: 1,
        cache_for: std::time::Duration::ZERO,
        ..settings()
    };
    World::with(Cluster::shared().await, settings, setup).await
}

#[tokio::test]
async fn a_function_that_wrongly_says_it_is_immutable_still_answers_for_whoever_asks() {
    let world = world(&format!(
        "create function me() returns text immutable language plpgsql as
           $$ begin return current_setting('request.jwt.claims', true)::json ->> 'sub'; end $$;
         create policy r on realtime.messages for select to authenticated using (public.me() = '{ALICE}');
         create policy w on realtime.messages for insert to authenticated with check (public.me() = '{ALICE}')",
    ))
    .await;
    // Often enough for Postgres to keep a plan.
    for round in 0..12 {
        assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH), "{round}");
        assert_eq!(world.writes(ALICE, "room").await, Ok(BOTH), "{round}");
    }
    assert_eq!(world.reads(BOB, "room").await, Ok(NEITHER));
    assert_eq!(world.writes(BOB, "room").await, Ok(NEITHER));
}

/// What a policy of the topic of that name does before it lets everybody in.
const DEEDS: [(&str, &str); 11] = [
    ("role", "perform set_config('role', 'none', false)"),
    ("reset", "reset role"),
    (
        "claims",
        "perform set_config('request.jwt.claims', '{\"sub\":\"x\",\"role\":\"service_role\"}', false)",
    ),
    ("path", "set search_path = pg_temp, public"),
    ("strings", "set standard_conforming_strings = off"),
    ("rows", "set row_security = off"),
    (
        "time",
        "perform set_config('statement_timeout', '1', false)",
    ),
    (
        "listens",
        "listen everything; perform pg_notify('everything', 'x')",
    ),
    ("locks", "perform pg_advisory_lock(815)"),
    ("table", "create temporary table messages (id uuid)"),
    ("plans", "execute 'deallocate all'"),
];

#[tokio::test]
async fn whatever_a_policy_does_the_next_question_is_answered_as_if_nothing_had_happened() {
    let mut body = String::new();
    for (topic, deed) in DEEDS {
        body += &format!("if realtime.topic() = '{topic}' then {deed}; return true; end if;\n");
    }
    let world = world(&format!(
        "create function deeds() returns boolean language plpgsql as $$ begin {body} return auth.uid() = '{ALICE}'; end $$;
         grant temporary on database postgres to authenticated;
         create policy r on realtime.messages for select to authenticated using (public.deeds());
         create policy w on realtime.messages for insert to authenticated with check (public.deeds())",
    ))
    .await;
    for (topic, _) in DEEDS {
        // Whether the deed is allowed is not the point.
        let _ = world.reads(BOB, topic).await;
        let _ = world.reads(BOB, topic).await;
        let read = (
            world.reads(BOB, "a room").await,
            world.reads(ALICE, "a room").await,
        );
        assert_eq!(read, (Ok(NEITHER), Ok(BOTH)), "reading after {topic}");
        let _ = world.writes(BOB, topic).await;
        let written = (
            world.writes(BOB, "a\\'room").await,
            world.writes(ALICE, "a\\'room").await,
        );
        assert_eq!(written, (Ok(NEITHER), Ok(BOTH)), "writing after {topic}");
    }
}
