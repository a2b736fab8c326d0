//! Private channels: after each random step, what each user heard equals what the policies let them, asked of SQL.

use serde_json::json;
use tokio_postgres::Client as Sql;

use crate::leaks::dice::{Dice, seeds};
use crate::leaks::topics::{
    Heard, POLICIES, Rights, TOPICS, drain, heard_until, partitions, rights,
};
use crate::leaks::users::{AUDITOR, USERS, User};
use crate::support::cluster::Cluster;
use crate::support::http::{self, Request};
use crate::support::phoenix::Client;
use crate::support::server::Server;

const STEPS: usize = 150;
/// A public topic that everybody joins, for the last message of a transaction.
const MARK: &str = "mark";

/// What a private channel of somebody is, by our book.
struct Seat {
    join_ref: String,
    rights: Rights,
    /// The number they track.
    tracked: Option<i64>,
}

struct Person {
    user: User,
    private: Client,
    public: Client,
    /// By topic.
    seats: Vec<Option<Seat>>,
    public_refs: Vec<String>,
    /// What must be heard on either socket.
    expected: [Vec<Heard>; 2],
}

struct House {
    server: Server,
    sql: Sql,
    people: Vec<Person>,
    /// The committed private messages of each topic, oldest first.
    stored: Vec<Vec<i64>>,
    number: i64,
    log: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_channels_hear_what_policies_allow_and_public_ones_nothing_of_it() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(&format!("{AUDITOR}{POLICIES}"))
        .await
        .unwrap();
    let settings = [
        ("CHANNEL_ERROR_BACKOFF_MS", "1"),
        ("CLIENT_PRESENCE_MAX_CALLS", "1000000"),
        // Rights change only where the test says so.
        ("RIGHTS_INTERVAL_MS", "0"),
    ];
    let mut house = House {
        server: Server::with(&database, &settings).await,
        sql,
        people: Vec::new(),
        stored: vec![Vec::new(); TOPICS.len()],
        number: 0,
        log: Vec::new(),
    };
    partitions(&house.sql).await;
    for user in USERS {
        let private = Client::connect(&house.server, &user.token()).await;
        let public = Client::connect(&house.server, &user.token()).await;
        let mut public_refs = Vec::new();
        for topic in TOPICS.iter().chain([&MARK]) {
            let config = json!({ "presence": { "enabled": true, "key": user.name } });
            public_refs.push(public.join(&format!("realtime:{topic}"), config).await);
        }
        private.join(&format!("realtime:{MARK}"), json!({})).await;
        drain(&public).await;
        drain(&private).await;
        house.people.push(Person {
            user,
            private,
            public,
            seats: TOPICS.iter().map(|_| None).collect(),
            public_refs,
            expected: Default::default(),
        });
    }
    for seed in seeds(&[11, 12, 13]) {
        println!("seed {seed}; LEAKS_SEED={seed} repeats it alone");
        house.log.clear();
        let mut dice = Dice::new(seed);
        for _ in 0..STEPS {
            house.step(&mut dice).await;
            house.compare(seed).await;
        }
    }
    let heard: i64 = house.number;
    assert!(heard > 200, "there was something to hear: {heard}");
}

impl House {
    fn next(&mut self) -> i64 {
        self.number += 1;
        self.number
    }

    async fn step(&mut self, dice: &mut Dice) {
        let who = dice.below(USERS.len());
        let topic = dice.below(TOPICS.len());
        let seated = self.people[who].seats[topic].is_some();
        match dice.below(11) {
            0 | 1 => self.change_seats(dice, who, topic).await,
            2 if !seated => self.join(who, topic, dice.one_in(2)).await,
            2 => self.leave(who, topic).await,
            3 | 4 => self.send(who, topic).await,
            5 => self.send_publicly(who, topic).await,
            6 => self.track(who, topic, dice.one_in(3)).await,
            7 => self.transaction(dice).await,
            8 => self.post(who, topic, dice.one_in(3)).await,
            9 if !seated || dice.one_in(2) => self.look(who, topic).await,
            _ if !seated => self.join(who, topic, dice.one_in(2)).await,
            _ => self.refresh(who, topic).await,
        }
    }

    fn tell_private(&mut self, topic: usize, words: &str, wanted: impl Fn(usize, &Seat) -> bool) {
        for (number, person) in self.people.iter_mut().enumerate() {
            if let Some(seat) = &person.seats[topic]
                && wanted(number, seat)
            {
                person.expected[0].push((TOPICS[topic].into(), words.into()));
            }
        }
    }

    fn tell_public(&mut self, topic: usize, words: &str, except: Option<usize>) {
        for (number, person) in self.people.iter_mut().enumerate() {
            if Some(number) != except {
                person.expected[1].push((TOPICS[topic].into(), words.into()));
            }
        }
    }

    async fn change_seats(&mut self, dice: &mut Dice, who: usize, topic: usize) {
        let Some(sub) = self.people[who].user.sub else {
            return;
        };
        let name = TOPICS[topic].replace('\'', "''");
        let [reads, sees, writes, tracks] = [(); 4].map(|()| !dice.one_in(3));
        let sql = format!(
            "delete from seats where uid = '{sub}' and topic = '{name}';
             insert into seats values ('{sub}', '{name}', {reads}, {sees}, {writes}, {tracks})"
        );
        self.log.push(sql.clone());
        self.sql.batch_execute(&sql).await.unwrap();
        // Otherwise the channel keeps the rights of its join.
        if self.people[who].seats[topic].is_some() {
            if dice.one_in(2) {
                self.refresh(who, topic).await;
            } else {
                self.leave(who, topic).await;
                self.join(who, topic, dice.one_in(2)).await;
            }
        } else {
            self.join(who, topic, dice.one_in(2)).await;
        }
    }

    async fn join(&mut self, who: usize, topic: usize, replay: bool) {
        let number = self.next();
        let user = self.people[who].user;
        let rights = rights(&self.sql, &user, TOPICS[topic]).await;
        self.log.push(format!(
            "{} joins {} (replay: {replay}) with {rights:?}",
            user.name, TOPICS[topic]
        ));
        let mut config = json!({
            "private": true,
            "presence": { "enabled": true, "key": user.name },
            "broadcast": {},
        });
        if replay {
            config["broadcast"] = json!({ "replay": { "since": 0, "limit": 25 } });
        }
        let client = &self.people[who].private;
        let wire = format!("realtime:{}", TOPICS[topic]);
        let token = user.fresh_token(usize::try_from(number).unwrap());
        let reference = format!("j{number}");
        let payload = json!({ "config": config, "access_token": token });
        let frame = json!([reference, reference, wire, "phx_join", payload]);
        client.socket.text(frame.to_string());
        let reply = client
            .until("the reply to the join", |frame| {
                frame.replies_to(&reference)
            })
            .await;
        let allowed = match replay {
            true => rights.reads,
            false => rights.reads || rights.sees,
        };
        if !allowed {
            let reason = format!(
                "Unauthorized: You do not have permissions to read from this Channel topic: {}",
                TOPICS[topic]
            );
            let refused = json!({ "status": "error", "response": { "reason": reason } });
            assert_eq!(reply.payload, refused, "{}", self.log.join("\n"));
            return;
        }
        assert_eq!(reply.payload["status"], "ok", "{}", self.log.join("\n"));
        let mut words = Vec::new();
        if replay {
            let stored = &self.stored[topic];
            let newest = stored.len().saturating_sub(25);
            words.extend(stored[newest..].iter().map(|n| format!("replayed {n}")));
        }
        if rights.sees {
            let mut entries: Vec<String> = self
                .people
                .iter()
                .filter_map(|person| {
                    let tracked = person.seats[topic].as_ref()?.tracked?;
                    Some(format!("{}={tracked}", person.user.name))
                })
                .collect();
            entries.sort();
            words.push(format!("state {}", entries.join(",")));
        }
        let person = &mut self.people[who];
        for words in words {
            person.expected[0].push((TOPICS[topic].into(), words));
        }
        person.seats[topic] = Some(Seat {
            join_ref: reference,
            rights,
            tracked: None,
        });
    }

    async fn leave(&mut self, who: usize, topic: usize) {
        self.log.push(format!(
            "{} leaves {}",
            self.people[who].user.name, TOPICS[topic]
        ));
        let seat = self.people[who].seats[topic].take().unwrap();
        let person = &mut self.people[who];
        let reference = person.private.push(
            Some(&seat.join_ref),
            &format!("realtime:{}", TOPICS[topic]),
            "phx_leave",
            &json!({}),
        );
        let reply = |frame: &crate::support::phoenix::Frame| frame.replies_to(&reference);
        person.private.until("the reply to the leave", reply).await;
        person.expected[0].push((TOPICS[topic].into(), "phx_close".into()));
        self.gone(who, topic, &seat);
    }

    /// The others see that somebody who was tracked is gone.
    fn gone(&mut self, who: usize, topic: usize, seat: &Seat) {
        if let Some(n) = seat.tracked {
            let words = format!("joins  leaves {}={n}", self.people[who].user.name);
            self.tell_private(topic, &words, |_, seat| seat.rights.sees);
        }
    }

    /// A new token: rights are asked for again.
    async fn refresh(&mut self, who: usize, topic: usize) {
        let number = self.next();
        let user = self.people[who].user;
        let new = rights(&self.sql, &user, TOPICS[topic]).await;
        self.log.push(format!(
            "{} has a new token in {} with {new:?}",
            user.name, TOPICS[topic]
        ));
        let token = user.fresh_token(usize::try_from(number).unwrap());
        let person = &self.people[who];
        let old = person.seats[topic].as_ref().unwrap();
        let wire = format!("realtime:{}", TOPICS[topic]);
        person.private.push(
            Some(&old.join_ref),
            &wire,
            "access_token",
            &json!({ "access_token": token }),
        );
        // Answered after the token has taken effect, by the channel or because there is none.
        let nothing = person
            .private
            .push(Some(&old.join_ref), &wire, "presence", &json!({}));
        person
            .private
            .until("an answer behind the token", |frame| {
                frame.replies_to(&nothing)
            })
            .await;
        let nothing_left = !new.reads && !new.sees;
        let lost = old.rights.reads && !new.reads || old.rights.sees && !new.sees;
        if nothing_left || lost {
            let said = match nothing_left {
                true => "do not have permissions",
                false => "no longer have permission",
            };
            let message = format!(
                "system You {said} to read from this Channel topic: {}",
                TOPICS[topic]
            );
            let seat = self.people[who].seats[topic].take().unwrap();
            for words in [message.as_str(), "phx_close"] {
                self.people[who].expected[0].push((TOPICS[topic].into(), words.into()));
            }
            self.gone(who, topic, &seat);
        } else if let Some(seat) = &mut self.people[who].seats[topic] {
            seat.rights = new;
        }
    }

    async fn send(&mut self, who: usize, topic: usize) {
        let n = self.next();
        let person = &self.people[who];
        self.log.push(format!(
            "{} sends {n} to {}",
            person.user.name, TOPICS[topic]
        ));
        let wire = format!("realtime:{}", TOPICS[topic]);
        let join_ref = person.seats[topic]
            .as_ref()
            .map_or("none", |seat| seat.join_ref.as_str());
        person
            .private
            .broadcast(join_ref, &wire, "e", json!({ "n": n }));
        let nothing = person
            .private
            .push(Some(join_ref), &wire, "presence", &json!({}));
        person
            .private
            .until("an answer behind the broadcast", |frame| {
                frame.replies_to(&nothing)
            })
            .await;
        if person.seats[topic]
            .as_ref()
            .is_some_and(|seat| seat.rights.writes)
        {
            self.tell_private(topic, &n.to_string(), |number, seat| {
                number != who && seat.rights.reads
            });
        }
    }

    async fn send_publicly(&mut self, who: usize, topic: usize) {
        let n = self.next();
        let person = &self.people[who];
        self.log.push(format!(
            "{} sends {n} to the public {}",
            person.user.name, TOPICS[topic]
        ));
        let wire = format!("realtime:{}", TOPICS[topic]);
        person
            .public
            .broadcast(&person.public_refs[topic], &wire, "e", json!({ "n": n }));
        person.public.heartbeat().await;
        self.tell_public(topic, &n.to_string(), Some(who));
    }

    async fn track(&mut self, who: usize, topic: usize, untrack: bool) {
        let n = self.next();
        let person = &self.people[who];
        let name = person.user.name;
        let Some(seat) = &person.seats[topic] else {
            return;
        };
        self.log.push(format!(
            "{name} tracks {n} (or not: {untrack}) in {}",
            TOPICS[topic]
        ));
        let payload = match untrack {
            true => json!({ "type": "presence", "event": "untrack" }),
            false => json!({ "type": "presence", "event": "track", "payload": { "n": n } }),
        };
        let wire = format!("realtime:{}", TOPICS[topic]);
        let reference = person
            .private
            .push(Some(&seat.join_ref), &wire, "presence", &payload);
        let reply = person
            .private
            .until("the reply to presence", |frame| {
                frame.replies_to(&reference)
            })
            .await;
        let allowed = untrack || seat.rights.tracks;
        let status = if allowed { "ok" } else { "error" };
        assert_eq!(reply.payload["status"], status, "{}", self.log.join("\n"));
        if !allowed {
            return;
        }
        let before = seat.tracked;
        let after = (!untrack).then_some(n);
        if before.is_none() && after.is_none() {
            return;
        }
        let entry = |n: Option<i64>| n.map_or_else(String::new, |n| format!("{name}={n}"));
        let words = format!("joins {} leaves {}", entry(after), entry(before));
        if let Some(seat) = &mut self.people[who].seats[topic] {
            seat.tracked = after;
        }
        self.tell_private(topic, &words, |_, seat| seat.rights.sees);
    }

    /// Messages from the database, some of them rolled back.
    async fn transaction(&mut self, dice: &mut Dice) {
        let mut statements = vec!["begin".to_owned()];
        let mut sent = Vec::new();
        for _ in 0..=dice.below(4) {
            let undone = dice.one_in(5);
            let (topic, private) = (dice.below(TOPICS.len()), !dice.one_in(3));
            let n = self.next();
            let name = TOPICS[topic].replace('\'', "''");
            let send = format!(
                "select realtime.send(jsonb_build_object('n', {n}), 'e', '{name}', {private})"
            );
            if undone {
                statements.extend(["savepoint s".into(), send, "rollback to savepoint s".into()]);
            } else {
                statements.push(send);
                sent.push((topic, private, n));
            }
        }
        if dice.one_in(6) {
            statements.push("rollback".into());
            sent.clear();
        } else {
            statements.push("commit".into());
        }
        let mark = self.next();
        statements.push(format!(
            "select realtime.send(jsonb_build_object('n', {mark}), 'e', '{MARK}', false)"
        ));
        for statement in statements {
            self.log.push(statement.clone());
            self.sql.batch_execute(&statement).await.unwrap();
        }
        for (topic, private, n) in sent {
            if private {
                self.stored[topic].push(n);
                self.tell_private(topic, &n.to_string(), |_, seat| seat.rights.reads);
            } else {
                self.tell_public(topic, &n.to_string(), None);
            }
        }
        self.meet(mark).await;
    }

    /// Everybody reads up to the marker, and it must be what was expected.
    async fn meet(&mut self, mark: i64) {
        let last = (MARK.to_owned(), mark.to_string());
        for person in &mut self.people {
            for (socket, client) in [&person.private, &person.public].into_iter().enumerate() {
                let heard = heard_until(client, &last).await;
                assert_eq!(
                    heard,
                    std::mem::take(&mut person.expected[socket]),
                    "{} (public: {socket}) by:\n{}",
                    person.user.name,
                    self.log.join("\n")
                );
            }
        }
    }

    /// A message over REST with the user's token.
    async fn post(&mut self, who: usize, topic: usize, public: bool) {
        let n = self.next();
        let user = self.people[who].user;
        let rights = rights(&self.sql, &user, TOPICS[topic]).await;
        self.log.push(format!(
            "{} posts {n} to {} (public: {public}) with {rights:?}",
            user.name, TOPICS[topic]
        ));
        let token = user.fresh_token(usize::try_from(n).unwrap());
        let message = json!({ "topic": TOPICS[topic], "event": "e", "payload": { "n": n }, "private": !public });
        let status = post_messages(&self.server, &token, &json!({ "messages": [message] })).await;
        assert_eq!(status, 202, "{}", self.log.join("\n"));
        if public {
            self.tell_public(topic, &n.to_string(), None);
        } else if rights.writes {
            self.tell_private(topic, &n.to_string(), |_, seat| seat.rights.reads);
        }
    }

    /// The views of channels over REST: a server sees what is so, nobody else sees anything.
    async fn look(&mut self, who: usize, topic: usize) {
        let person = &self.people[who];
        self.log
            .push(format!("{} looks at {}", person.user.name, TOPICS[topic]));
        let name: String = TOPICS[topic]
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let paths = [
            "/api/channels".to_owned(),
            format!("/api/channels/{name}?private=true"),
            format!("/api/channels/{name}/presence?private=true"),
        ];
        let token = person.user.token();
        let mut answers = Vec::new();
        for path in &paths {
            let answer = view(&self.server, &token, path).await;
            if person.user.role == "service_role" {
                assert_eq!(answer.status, 200, "{path}");
            } else {
                assert!(
                    [401, 403].contains(&answer.status),
                    "{path}: {}",
                    answer.status
                );
                let text = answer.text();
                assert!(
                    !text.contains("subscribers") && !text.contains("metas"),
                    "{text}"
                );
            }
            answers.push(answer);
        }
        if person.user.role != "service_role" {
            return;
        }
        let seats = self
            .people
            .iter()
            .filter(|person| person.seats[topic].is_some());
        let one: serde_json::Value = serde_json::from_slice(&answers[1].body).unwrap();
        assert_eq!(one["subscribers"], seats.count(), "{}", self.log.join("\n"));
        let there: serde_json::Value = serde_json::from_slice(&answers[2].body).unwrap();
        let tracked: Vec<_> = self
            .people
            .iter()
            .filter_map(|person| {
                let n = person.seats[topic].as_ref()?.tracked?;
                Some((person.user.name, n))
            })
            .collect();
        assert_eq!(there.as_object().unwrap().len(), tracked.len(), "{there}");
        for (name, n) in tracked {
            assert_eq!(there[name]["metas"][0]["n"], n, "{}", self.log.join("\n"));
        }
    }

    async fn compare(&mut self, seed: u64) {
        for person in &mut self.people {
            for (socket, client) in [&person.private, &person.public].into_iter().enumerate() {
                let heard = drain(client).await;
                assert_eq!(
                    heard,
                    std::mem::take(&mut person.expected[socket]),
                    "seed {seed}, {} (public: {socket}) by:\n{}",
                    person.user.name,
                    self.log.join("\n")
                );
            }
        }
    }
}

/// A GET as the bearer of `token`.
async fn view(server: &Server, token: &str, path: &str) -> http::Response {
    let mut request = Request::get("localhost", path);
    request
        .headers
        .push(("Authorization".into(), format!("Bearer {token}")));
    let answer = http::exchange(("127.0.0.1", server.port()), &request).await;
    answer.unwrap()
}

/// `POST /api/broadcast`; the status of the answer.
async fn post_messages(server: &Server, token: &str, body: &serde_json::Value) -> u16 {
    let request = Request {
        method: "POST".into(),
        path: "/api/broadcast".into(),
        headers: vec![
            ("Host".into(), "localhost".into()),
            ("Connection".into(), "close".into()),
            ("Content-Type".into(), "application/json".into()),
            ("Authorization".into(), format!("Bearer {token}")),
        ],
        body: Some(body.to_string().into_bytes()),
    };
    let answer = http::exchange(("127.0.0.1", server.port()), &request).await;
    answer.unwrap().status
}
