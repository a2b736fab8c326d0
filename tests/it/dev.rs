//! `dovetail dev`: from nothing to a database, keys and a sample, and back to nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use dovetail::postgres::ConnectOptions;
use serde_json::{Value, json};
use tokio_postgres::Client;

/// A running `dovetail dev` and what it said until it was ready.
struct Dev {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
    anon_key: String,
    database: String,
}

impl Dev {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dovetail"))
            .args(more)
            .args(["--data", data.to_str().unwrap(), "--port", "0"])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Stop with Ctrl-C") {
            assert_ne!(output.read_line(&mut text).unwrap(), 0, "it ended:\n{text}");
        }
        let word = |before: &str| {
            let rest = text.split_once(before).unwrap().1.trim_start();
            rest.split_whitespace().next().unwrap().to_owned()
        };
        Self {
            process,
            output,
            address: word("ready on http://"),
            anon_key: word("anon key"),
            database: word("database"),
        }
    }

    async fn sql(&self) -> Client {
        let options = ConnectOptions::from_url(&self.database).unwrap();
        dovetail::postgres::connect(&options, "test").await.unwrap()
    }

    /// Sends a signal and waits for the end.
    fn stop(mut self, signal: &str) -> ExitStatus {
        let pid = self.process.id().to_string();
        let killed = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(killed.success());
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        self.process.wait().unwrap()
    }
}

impl Drop for Dev {
    /// A failed test must leave no database behind.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let pid = self.process.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = self.process.wait();
        }
    }
}

#[tokio::test]
async fn dev_is_ready_with_a_sample_table_keeps_its_keys_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");

    let first = Dev::start(&data, &[]);
    assert!(first.address.starts_with("127.0.0.1:"), "{}", first.address);
    let sql = first.sql().await;
    let published: i64 = sql
        .query_one(
            "select count(*) from pg_publication_tables \
             where pubname = 'supabase_realtime' and tablename = 'todos'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(published, 1);
    // What the printed command does, and what the anon key may do.
    sql.batch_execute(
        "insert into todos (task) values ('buy milk'); \
         begin; set local role anon; insert into todos (task) select task from todos; commit",
    )
    .await
    .unwrap();
    // A role that is no string claims nothing: Postgres has no role without a name.
    let nameless = sql
        .query_one("select set_config('role', '', true)", &[])
        .await;
    assert!(nameless.is_err());
    sql.batch_execute("drop table todos").await.unwrap();
    drop(sql);
    let anon_key = first.anon_key.clone();
    let database = ConnectOptions::from_url(&first.database).unwrap();
    assert!(first.stop("-TERM").success());
    let gone = dovetail::postgres::connect(&database, "test").await;
    assert!(gone.is_err(), "the database is stopped with the server");

    let second = Dev::start(&data, &[]);
    assert_eq!(second.anon_key, anon_key);
    let made_again = second
        .sql()
        .await
        .query_one("select 1 from todos", &[])
        .await;
    assert!(
        made_again.is_err(),
        "a table that was dropped stays dropped"
    );
    assert!(second.stop("-INT").success());
}

#[tokio::test]
async fn everybody_of_the_demo_can_be_picked_and_has_somebody_to_talk_to() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["dev", "--demo"]);
    let url = format!("http://{}", dev.address);
    let http = reqwest::Client::new();
    let told: Value = http
        .get(format!("{url}/chat/v1/demo"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let people = told["users"].as_array().unwrap();
    assert_eq!(people.len(), 12);
    for person in people {
        let session: Value = http
            .post(format!("{url}/auth/v1/token?grant_type=password"))
            .header("apikey", &dev.anon_key)
            .json(&json!({"email": person["email"], "password": person["password"]}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        // Colours belong to ids: the page that signs in shows those of the chat.
        assert_eq!(session["user"]["id"], person["id"], "{person} {session}");
        let list: Value = http
            .post(format!("{url}/rest/v1/rpc/get_conversations"))
            .header("apikey", &dev.anon_key)
            .bearer_auth(session["access_token"].as_str().unwrap())
            .json(&json!({}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert!(
            list.as_array().is_some_and(|list| !list.is_empty()),
            "{person}: {list}"
        );
    }
    assert!(dev.stop("-TERM").success());
}
