//! The cookbook for policies, executed: `docs/policies.md`.

use std::collections::BTreeMap;
use std::process::Command;

use dovetail::access::{Rights, Subject};
use serde_json::json;

use crate::access_support::{
    ALICE, BOB, BOTH, BROADCAST, NEITHER, PRESENCE, World, anon, subject, user,
};

const PAGE: &str = include_str!("../../docs/policies.md");

/// The SQL blocks by the heading they are under.
fn recipes() -> BTreeMap<&'static str, String> {
    let mut recipes: BTreeMap<&str, String> = BTreeMap::new();
    let mut heading = "";
    let mut inside = false;
    for line in PAGE.lines() {
        match line {
            "```sql" => inside = true,
            "```" => inside = false,
            _ if inside => {
                let recipe = recipes.entry(heading).or_default();
                recipe.push_str(line);
                recipe.push('\n');
            }
            _ => heading = line.strip_prefix("### ").unwrap_or(heading),
        }
    }
    recipes
}

/// Who, what may be read, what may be written.
type Case = (Subject, Rights, Rights);

struct Recipe {
    heading: &'static str,
    /// Rows that its tables need.
    rows: &'static str,
    cases: Vec<Case>,
}

fn all() -> Vec<Recipe> {
    let service = |topic| subject(json!({"role": "service_role"}), topic);
    let editor = |topic| {
        subject(
            json!({"role": "authenticated", "sub": ALICE, "app_metadata": {"role": "editor"}}),
            topic,
        )
    };
    let pretender = |topic| {
        subject(
            json!({"role": "authenticated", "sub": BOB, "user_metadata": {"role": "editor"}}),
            topic,
        )
    };
    let dm = format!("dm:{ALICE}:{BOB}");
    let other_dm = format!("dm:{ALICE}:00000000-0000-0000-0000-00000000000c");
    let own = format!("user:{ALICE}");
    vec![
        Recipe {
            heading: "Everybody who is signed in",
            rows: "",
            cases: vec![
                (user(ALICE, "open:1"), BOTH, BOTH),
                (user(ALICE, "closed:1"), NEITHER, NEITHER),
                (anon("open:1"), NEITHER, NEITHER),
                (service("closed:1"), BOTH, BOTH),
            ],
        },
        Recipe {
            heading: "Teams",
            rows: "insert into public.team_members values
                   (1, '00000000-0000-0000-0000-00000000000a'), (2, '00000000-0000-0000-0000-00000000000b')",
            cases: vec![
                (user(ALICE, "team:1"), BOTH, BOTH),
                (user(ALICE, "team:1:chat"), BOTH, BOTH),
                (user(ALICE, "team:2"), NEITHER, NEITHER),
                (user(BOB, "team:1"), NEITHER, NEITHER),
                (user(BOB, "team:2:chat"), BOTH, BOTH),
                (user(ALICE, "team:"), NEITHER, NEITHER),
                (user(ALICE, "team:x"), NEITHER, NEITHER),
                (user(ALICE, "1"), NEITHER, NEITHER),
                (anon("team:1"), NEITHER, NEITHER),
            ],
        },
        Recipe {
            heading: "Direct messages",
            rows: "",
            cases: vec![
                (user(ALICE, &dm), BOTH, BOTH),
                (user(BOB, &dm), BOTH, BOTH),
                (user(ALICE, &other_dm), BOTH, BOTH),
                (user(BOB, &other_dm), NEITHER, NEITHER),
                (anon(&dm), NEITHER, NEITHER),
                (anon("dm::"), NEITHER, NEITHER),
            ],
        },
        Recipe {
            heading: "A channel of one's own",
            rows: "",
            cases: vec![
                (user(ALICE, &own), BROADCAST, NEITHER),
                (user(BOB, &own), NEITHER, NEITHER),
                (anon("user:"), NEITHER, NEITHER),
                (service(&own), BOTH, BOTH),
            ],
        },
        Recipe {
            heading: "Guests",
            rows: "",
            cases: vec![
                (anon("lobby"), BROADCAST, NEITHER),
                (user(ALICE, "lobby"), BOTH, BOTH),
                (anon("lobby2"), NEITHER, NEITHER),
                (user(ALICE, "lobby2"), NEITHER, NEITHER),
            ],
        },
        Recipe {
            heading: "Read-only rooms",
            rows: "",
            cases: vec![
                (editor("news:1"), BROADCAST, BROADCAST),
                (pretender("news:1"), BROADCAST, NEITHER),
                (user(ALICE, "news:1"), BROADCAST, NEITHER),
                (anon("news:1"), NEITHER, NEITHER),
                (editor("old:1"), NEITHER, NEITHER),
            ],
        },
        Recipe {
            heading: "Presence only",
            rows: "",
            cases: vec![
                (user(ALICE, "doc:1"), PRESENCE, PRESENCE),
                (anon("doc:1"), NEITHER, NEITHER),
            ],
        },
        Recipe {
            heading: "Keeping somebody out",
            rows: "insert into public.banned values ('00000000-0000-0000-0000-00000000000b')",
            cases: vec![
                (user(ALICE, "talk"), BOTH, BOTH),
                (user(BOB, "talk"), NEITHER, NEITHER),
                (user(ALICE, "whisper"), NEITHER, NEITHER),
                (anon("talk"), NEITHER, NEITHER),
            ],
        },
    ]
}

async fn check(world: &World, recipe: &Recipe) {
    for (subject, read, write) in &recipe.cases {
        let asked = (
            world.access.read(subject, true).await,
            world.access.write(subject).await,
        );
        let expected = (Ok(*read), Ok(*write));
        assert_eq!(asked, expected, "{}: {subject:?}", recipe.heading);
    }
}

#[tokio::test]
async fn every_recipe_of_the_cookbook_does_what_it_says_and_nothing_else() {
    let texts = recipes();
    let tested: Vec<&str> = all().iter().map(|recipe| recipe.heading).collect();
    for heading in texts.keys() {
        assert!(tested.contains(heading), "no test for {heading}");
    }
    for recipe in all() {
        let world = World::new(&texts[recipe.heading]).await;
        world.sql.batch_execute(recipe.rows).await.unwrap();
        check(&world, &recipe).await;
    }
}

#[tokio::test]
async fn the_recipes_can_be_used_together() {
    let world = World::new("").await;
    let texts = recipes();
    for recipe in all() {
        world
            .sql
            .batch_execute(&texts[recipe.heading])
            .await
            .unwrap();
        world.sql.batch_execute(recipe.rows).await.unwrap();
    }
    for mut recipe in all() {
        if recipe.heading != "Keeping somebody out" {
            // The banned are kept out everywhere.
            recipe
                .cases
                .retain(|(subject, _, _)| subject.claims.sub.as_deref() != Some(BOB));
        }
        check(&world, &recipe).await;
    }
}

/// Runs `dovetail doctor` with these arguments: exit status, output, complaints.
fn doctor(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dovetail"))
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", world.database.url())
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn claims(sub: &str) -> String {
    json!({"role": "authenticated", "sub": sub}).to_string()
}

#[tokio::test]
async fn the_doctor_says_what_the_page_shows() {
    let world = World::new(&recipes()["Teams"]).await;
    let shown = PAGE
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let (code, told, errors) = doctor(&world, &["--as", &claims(ALICE), "--topic", "team:1"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(told.ends_with(shown), "{told}");
    assert_eq!(world.messages().await, 0);
}

#[tokio::test]
async fn the_doctor_names_the_policy_that_allows_denies_raises_or_is_for_others() {
    let world = World::new(
        "create schema hidden; create table hidden.blocked (topic text); insert into hidden.blocked values ('blocked');
         create function hidden.is_blocked(topic text) returns boolean stable security definer language sql as
           $$ select exists (select from hidden.blocked b where b.topic = $1) $$;
         create policy \"a: all by header\" on realtime.messages for all to authenticated
           using (current_setting('request.headers')::jsonb ->> 'x-team' = '7');
         create policy \"b: presence\" on realtime.messages for select to public
           using (messages.extension = 'presence' and not private and payload is null);
         create policy \"c: raises\" on realtime.messages for insert to authenticated
           with check (1 / (length(topic) - length(topic)) = 1);
         create policy \"d: for others\" on realtime.messages for select to anon using (true);
         create policy \"e: not blocked\" on realtime.messages as restrictive for select to authenticated
           using (not hidden.is_blocked(realtime.topic()));
         create policy \"f: whole row\" on realtime.messages for select to authenticated
           using (to_jsonb(messages) ->> 'topic' = 'whole')",
    )
    .await;
    let as_alice = claims(ALICE);
    let ask = |topic: &str, more: &[&str]| {
        let mut arguments = vec!["--as", as_alice.as_str(), "--topic", topic];
        arguments.extend(more);
        let (code, told, errors) = doctor(&world, &arguments);
        assert_eq!((code, errors.as_str()), (0, ""), "{told}");
        told
    };
    // The whole topic of the client is understood, too.
    let told = ask("realtime:room", &[]);
    for expected in [
        "role authenticated on topic \"room\"\n",
        "read     no         yes\n",
        "write    no         no        (a policy or the role's rights raised 22012: division by zero)\n",
        "  \"a: all by header\" (permissive, to authenticated)\n    broadcast does not allow\n    presence  does not allow\n",
        "  \"b: presence\" (permissive, to public)\n    broadcast does not allow\n    presence  allows\n",
        "  \"c: raises\" (permissive, to authenticated)\n    broadcast raises an error: division by zero (22012)\n",
        "  \"d: for others\" (permissive, to anon): not for this role\n",
        "  \"e: not blocked\" (restrictive, to authenticated)\n    broadcast has no objection\n    presence  has no objection\n",
        "  \"f: whole row\" (permissive, to authenticated)\n    broadcast does not allow\n",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    let told = ask("blocked", &["--headers", "{\"x-team\": \"7\"}"]);
    for expected in [
        "read     no         no\n",
        "  \"a: all by header\" (permissive, to authenticated)\n    broadcast allows\n    presence  allows\n",
        "  \"e: not blocked\" (restrictive, to authenticated)\n    broadcast denies\n    presence  denies\n",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    let told = ask("whole", &[]);
    assert!(told.contains("read     yes        yes\n"), "{told}");
    assert_eq!(world.messages().await, 0);
}

#[tokio::test]
async fn the_doctor_tells_of_roles_and_grants_that_decide_without_policies() {
    let world = World::new("revoke insert on realtime.messages from anon").await;
    let ask = |claims: &str| {
        let (code, told, _) = doctor(&world, &["--as", claims, "--topic", "room"]);
        assert_eq!(code, 0, "{told}");
        told
    };
    let told = ask(r#"{"role": "service_role"}"#);
    assert!(
        told.contains("read     yes        yes\nwrite    yes        yes\n"),
        "{told}"
    );
    assert!(
        told.contains("note: service_role bypasses row level security"),
        "{told}"
    );
    let told = ask(r#"{"role": "anon"}"#);
    let note = "note: anon has no insert on realtime.messages, and is denied what needs it; run: grant insert on realtime.messages to anon\n";
    assert!(told.contains(note), "{told}");
    assert!(
        told.contains("no permissive policy is for this role"),
        "{told}"
    );
    let told = ask(r#"{"role": "nobody_at_all"}"#);
    assert!(
        told.contains("note: role nobody_at_all does not exist: everything is denied"),
        "{told}"
    );
    world
        .change("alter table realtime.messages disable row level security")
        .await;
    let told = ask(r#"{"role": "authenticated"}"#);
    assert!(
        told.contains("run: alter table realtime.messages enable row level security"),
        "{told}"
    );
}

#[tokio::test]
async fn the_doctor_refuses_what_cannot_be_claims_and_fails_without_a_database() {
    let world = World::new("").await;
    for (arguments, complaint) in [
        (vec!["--as", "{}"], "--topic"),
        (vec!["--topic", "t"], "--as"),
        (vec!["--as", "nonsense", "--topic", "t"], "--as is not JSON"),
        (
            vec!["--as", "[]", "--topic", "t"],
            "--as must be a JSON object",
        ),
        (vec!["--as", "{}", "--topic", "t"], "role"),
        (vec!["--as", "{\"role\": \"none\"}", "--topic", "t"], "none"),
        (
            vec![
                "--as",
                "{\"role\": \"anon\"}",
                "--topic",
                "t",
                "--headers",
                "7",
            ],
            "--headers must be a JSON object",
        ),
    ] {
        let (code, _, errors) = doctor(&world, &arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert!(errors.contains(complaint), "{arguments:?}: {errors}");
    }
    world
        .sql
        .batch_execute("drop table realtime.messages cascade")
        .await
        .unwrap();
    let (code, told, _) = doctor(&world, &["--as", "{\"role\": \"anon\"}", "--topic", "t"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("unknown"), "{told}");
    assert!(told.contains("run: dovetail migrate"), "{told}");
}
