//! Who may read and write what (`postgres.md` 5.1 to 5.4 and 5.8).

use serde_json::json;

use dovetail::access::Failure;

use crate::access_support::{
    ALICE, BOB, BOTH, BROADCAST, NEITHER, PRESENCE, Replayed as _, World, anon, subject, user,
};

#[tokio::test]
async fn g012_without_a_policy_nobody_reads_or_writes_but_who_bypasses_them() {
    let world = World::new("").await;
    assert_eq!(world.reads(ALICE, "room").await, Ok(NEITHER));
    assert_eq!(world.writes(ALICE, "room").await, Ok(NEITHER));
    assert_eq!(world.access.read(&anon("room"), true).await, Ok(NEITHER));
    let service = subject(json!({"role": "service_role"}), "room");
    assert_eq!(world.access.read(&service, true).await, Ok(BOTH));
    assert_eq!(world.access.write(&service).await, Ok(BOTH));
    assert_eq!(world.access.read(&service, false).await, Ok(BROADCAST));
}

#[tokio::test]
async fn g226_to_g228_policies_see_the_six_settings_and_nothing_misleading() {
    let world = World::new(
        "create function public.asks() returns boolean stable language sql as $$
           select current_setting('role') = 'authenticated' and current_user = 'authenticated'
             and realtime.topic() = 'room:ä ''\"\\'
             and current_setting('request.jwt.claims')::jsonb = '{\"role\": \"authenticated\", \"sub\": \"a''b\", \"x\": [1], \"exp\": 4000000000}'
             and current_setting('request.jwt.claim.sub') = 'a''b'
             and current_setting('request.jwt.claim.role') = 'authenticated'
             and current_setting('request.headers')::jsonb = '{\"x-team\": \"o''k\"}'
             and current_setting('request.method', true) is null and current_setting('request.path', true) is null
             and current_setting('search_path') = '\"$user\", public' $$;
         create policy r on realtime.messages for select to authenticated using (public.asks());
         create policy w on realtime.messages for insert to authenticated with check (public.asks());
         create policy none on realtime.messages for select to anon using (
           current_setting('request.jwt.claim.sub') = '' and current_setting('request.headers') = '{}')",
    )
    .await;
    let mut asker = subject(
        json!({"role": "authenticated", "sub": "a'b", "x": [1]}),
        "room:ä '\"\\",
    );
    asker.headers = "{\"x-team\": \"o'k\"}".into();
    assert_eq!(world.access.read(&asker, true).await, Ok(BOTH));
    assert_eq!(world.access.write(&asker).await, Ok(BOTH));
    let mut other = asker.clone();
    other.headers = "{\"x-team\": \"no\"}".into();
    assert_eq!(world.access.read(&other, true).await, Ok(NEITHER));
    assert_eq!(world.access.write(&other).await, Ok(NEITHER));
    other = asker.clone();
    other.topic = "room:b".into();
    assert_eq!(world.access.read(&other, true).await, Ok(NEITHER));
    assert_eq!(world.access.read(&anon("any"), true).await, Ok(BOTH));
}

#[tokio::test]
async fn g229_a_token_that_names_no_role_never_reaches_the_database() {
    let world =
        World::new("create policy all_of_it on realtime.messages using (true) with check (true)")
            .await;
    let nobody = subject(json!({"role": ""}), "room");
    for result in [
        world.access.read(&nobody, true).await,
        world.access.write(&nobody).await,
        world.access.read_again(&nobody, true).await,
    ] {
        assert!(result.unwrap_err().denies());
    }
    // What cannot be a text of Postgres does not get there either.
    let broken = user(ALICE, "nul\0l");
    assert!(world.access.read(&broken, true).await.unwrap_err().denies());
    assert_eq!(world.access.replayed("nul\0l", 0, 25).await, Ok(Vec::new()));
    assert_eq!(world.access.totals().questions, 0);
}

#[tokio::test]
async fn g230_a_read_policy_sees_a_probe_that_is_not_private_and_has_no_content() {
    let world = World::new(
        "create policy probe on realtime.messages for select to authenticated using (
           topic = realtime.topic() and private is false and payload is null and event is null
           and binary_payload is null and extension in ('broadcast', 'presence') and inserted_at = updated_at
           and inserted_at = now() at time zone 'utc');
         create policy strict on realtime.messages for select to anon using (private)",
    )
    .await;
    assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH));
    assert_eq!(world.access.read(&anon("room"), true).await, Ok(NEITHER));
}

#[tokio::test]
async fn g231_extensions_are_decided_apart_and_presence_only_when_asked() {
    let world = World::new(
        "create policy b on realtime.messages for select to authenticated using (extension = 'broadcast' and topic = 'b');
         create policy p on realtime.messages for select to authenticated using (extension = 'presence' and topic = 'p');
         create policy wb on realtime.messages for insert to authenticated with check (extension = 'broadcast' and topic = 'b');
         create policy wp on realtime.messages for insert to authenticated with check (extension = 'presence' and topic = 'p')",
    )
    .await;
    assert_eq!(world.reads(ALICE, "b").await, Ok(BROADCAST));
    assert_eq!(world.reads(ALICE, "p").await, Ok(PRESENCE));
    assert_eq!(world.reads(ALICE, "c").await, Ok(NEITHER));
    let not_asked = world.access.read(&user(ALICE, "p"), false).await;
    assert_eq!(not_asked, Ok(NEITHER));
    assert_eq!(world.writes(ALICE, "b").await, Ok(BROADCAST));
    // G-233: the denied broadcast does not keep presence from being asked.
    assert_eq!(world.writes(ALICE, "p").await, Ok(PRESENCE));
    assert_eq!(world.writes(ALICE, "c").await, Ok(NEITHER));
}

#[tokio::test]
async fn g232_writing_needs_no_policy_for_reading_and_the_other_way_round() {
    let world = World::new(
        "create policy w on realtime.messages for insert to authenticated with check (topic = 'w');
         create policy r on realtime.messages for select to authenticated using (topic = 'r');
         revoke select on realtime.messages from authenticated",
    )
    .await;
    assert_eq!(world.writes(ALICE, "w").await, Ok(BOTH));
    assert_eq!(world.writes(ALICE, "r").await, Ok(NEITHER));
    // Without the grant there is an error, and it denies.
    let failure = world.reads(ALICE, "r").await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Policy { code, .. } if code == "42501"),
        "{failure:?}"
    );
    world
        .change("grant select on realtime.messages to authenticated; revoke insert on realtime.messages from authenticated")
        .await;
    assert_eq!(world.reads(ALICE, "r").await, Ok(BOTH));
    assert_eq!(world.writes(ALICE, "w").await, Ok(NEITHER));
}

#[tokio::test]
async fn g242_the_example_policies_work_unmodified_and_the_wrong_person_gets_nothing() {
    let world = World::new(&format!(
        "create table public.room_members (user_id uuid, room_topic text);
         insert into public.room_members values ('{ALICE}', 'room:1'), ('{BOB}', 'room:2');
         create policy \"members read\" on realtime.messages for select to authenticated
           using ( realtime.messages.extension in ('broadcast','presence')
                   and exists (select 1 from public.room_members m
                               where m.user_id = (select auth.uid()) and m.room_topic = (select realtime.topic())) );
         create policy \"members write\" on realtime.messages for insert to authenticated
           with check ( realtime.messages.extension = 'broadcast'
                   and (select realtime.topic()) like 'room:%' )"
    ))
    .await;
    // All at once: no answer may reach the wrong one.
    let (a1, a2, b1, b2, nobody, guest) = tokio::join!(
        world.reads(ALICE, "room:1"),
        world.reads(ALICE, "room:2"),
        world.reads(BOB, "room:1"),
        world.reads(BOB, "room:2"),
        world.reads("00000000-0000-0000-0000-00000000000c", "room:1"),
        async { world.access.read(&anon("room:1"), true).await },
    );
    assert_eq!(a1, Ok(BOTH));
    assert_eq!(b2, Ok(BOTH));
    for refused in [a2, b1, nobody, guest] {
        assert_eq!(refused, Ok(NEITHER));
    }
    assert_eq!(world.writes(ALICE, "room:9").await, Ok(BROADCAST));
    assert_eq!(world.writes(ALICE, "hall:1").await, Ok(NEITHER));
    assert_eq!(world.access.write(&anon("room:1")).await, Ok(NEITHER));
}

#[tokio::test]
async fn g234_p160_probes_leave_no_trace_and_nobody_else_sees_them() {
    let world = World::new(
        "create policy r on realtime.messages for select to authenticated using (true);
         create policy w on realtime.messages for insert to authenticated with check (true)",
    )
    .await;
    let slot = format!("trace_{}", world.database.name);
    world
        .sql
        .execute(
            "select pg_create_logical_replication_slot($1::text::name, 'pgoutput')",
            &[&slot],
        )
        .await
        .unwrap();
    assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH));
    assert_eq!(world.writes(ALICE, "room").await, Ok(BOTH));
    assert_eq!(world.messages().await, 0);
    // A message that is meant for everybody comes through the same publication, so the stream does work.
    let changes = "select count(*) from pg_logical_slot_get_binary_changes($1::text::name, null, null,
          'proto_version', '1', 'publication_names', 'supabase_realtime_messages_publication') c(lsn, xid, data)
        where get_byte(data, 0) = ascii('I')";
    let rows: i64 = world.sql.query_one(changes, &[&slot]).await.unwrap().get(0);
    assert_eq!(rows, 0);
    world
        .sql
        .batch_execute("select realtime.send('{}', 'e', 'room')")
        .await
        .unwrap();
    let rows: i64 = world.sql.query_one(changes, &[&slot]).await.unwrap().get(0);
    assert_eq!(rows, 1);
    world
        .sql
        .execute("select pg_drop_replication_slot($1::text::name)", &[&slot])
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_policy_remembers_of_one_question_does_not_answer_the_next() {
    // The function keeps the first user it sees, in a setting of the transaction and in one of the session, and writes
    // them into a table: whoever is asked about next must not be taken for that user.
    let world = World::new(&format!(
        "create table public.seen (who text);
         create function public.me() returns text volatile security definer language plpgsql as $$
         begin
           if coalesce(current_setting('app.me', true), '') = '' then
             perform set_config('app.me', auth.uid()::text, true);
           end if;
           if coalesce(current_setting('app.ever', true), '') = '' then
             perform set_config('app.ever', auth.uid()::text, false);
           end if;
           if current_setting('app.me') <> current_setting('app.ever') or exists (select from public.seen) then
             raise exception 'somebody was here before';
           end if;
           insert into public.seen values (auth.uid()::text);
           return current_setting('app.me');
         end $$;
         create policy r on realtime.messages for select to authenticated using (extension = 'broadcast' and public.me() = '{ALICE}');
         create policy w on realtime.messages for insert to authenticated with check (extension = 'broadcast' and public.me() = '{ALICE}')"
    ))
    .await;
    for _ in 0..3 {
        world.access.forget();
        let subs: Vec<String> = (0..40)
            .map(|number| match number % 2 {
                0 => ALICE.to_owned(),
                _ => format!("00000000-0000-0000-0000-{number:012}"),
            })
            .collect();
        let asked = subs.iter().enumerate().map(|(number, sub)| {
            let world = &world;
            async move {
                let topic = format!("room:{number}");
                tokio::join!(world.reads(sub, &topic), world.writes(sub, &topic))
            }
        });
        let answers = futures_util::future::join_all(asked).await;
        for (sub, answers) in subs.iter().zip(answers) {
            let expected = if sub == ALICE { BROADCAST } else { NEITHER };
            assert_eq!(answers, (Ok(expected), Ok(expected)), "{sub}");
        }
    }
    assert!(
        world.access.totals().round_trips < 120,
        "they shared round trips: {:?}",
        world.access.totals()
    );
}

#[tokio::test]
async fn the_probe_of_one_question_is_no_message_to_another() {
    // Whoever has a message in the topic `invited:<sub>` may read; asking for that topic at the same moment must not
    // count as one.
    let world = World::new(
        "create function public.invited() returns boolean stable security definer language sql as $$
           select exists (select from realtime.messages where topic = 'invited:' || auth.uid()) $$;
         create policy r on realtime.messages for select to authenticated using (public.invited());
         create policy w on realtime.messages for insert to authenticated with check (public.invited())",
    )
    .await;
    let invitation = format!("invited:{BOB}");
    for round in 0..5 {
        world.access.forget();
        let first = world.reads(ALICE, "something to wait for");
        let (_, own, room, write) = tokio::join!(
            first,
            world.reads(BOB, &invitation),
            world.reads(BOB, "room"),
            world.writes(BOB, "room")
        );
        // His own probe, as with the original.
        assert_eq!(own, Ok(BOTH));
        assert_eq!(room, Ok(NEITHER), "round {round}");
        assert_eq!(write, Ok(NEITHER), "round {round}");
    }
}
