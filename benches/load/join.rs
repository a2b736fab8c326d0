//! Opening sockets and joining topics, many at a time.

use std::collections::VecDeque;

use super::check::Check;
use super::client::{Client, Said, State};
use super::mark::now;
use super::wire;

/// What one socket is to become.
pub struct Plan {
    pub token: String,
    /// With `realtime:`.
    pub topic: String,
    /// Payload of the join, JSON.
    pub join: String,
    /// The word about Postgres Changes is waited for too.
    pub changes: bool,
}

impl Plan {
    /// A public channel for broadcasts.
    pub fn public(token: &str, topic: &str) -> Self {
        Self {
            token: token.to_owned(),
            topic: topic.to_owned(),
            join: r#"{"config":{}}"#.to_owned(),
            changes: false,
        }
    }
}

/// How the joining went.
pub struct Joined {
    /// From the first connect to the last reply.
    pub seconds: f64,
    /// Microseconds from connect to the reply, of each socket, sorted.
    pub each: Vec<u64>,
    /// What went wrong.
    pub trouble: Vec<String>,
}

/// Opens the planned sockets, at most `together` under way at once, and joins each to its topic. They get the client's next numbers.
pub fn join_all(
    client: &mut Client,
    port: u16,
    plans: &[Plan],
    together: usize,
    patience: f64,
) -> Joined {
    let first = client.len();
    let began = now();
    let end = began + (patience * 1e6) as u64;
    let mut joined = Joined {
        seconds: 0.0,
        each: Vec::with_capacity(plans.len()),
        trouble: Vec::new(),
    };
    // What each socket waits for: how many of the frames that end its joining.
    let mut missing = vec![0u8; plans.len()];
    let mut since = vec![0; plans.len()];
    let mut opened = VecDeque::new();
    let (mut begun, mut done) = (0, 0);
    let mut bytes = Vec::new();
    while done < plans.len() && now() < end {
        while begun < plans.len() && begun - done < together {
            bytes.clear();
            wire::upgrade(&mut bytes, &plans[begun].token);
            since[begun] = now();
            missing[begun] = 1 + u8::from(plans[begun].changes);
            client.connect(port, &bytes, State::Opening);
            begun += 1;
        }
        client.turn(end.min(now() + 100_000), |socket, said| {
            let Some(at) = socket.checked_sub(first) else {
                return;
            };
            match said {
                Said::Opened => opened.push_back(socket),
                Said::Frame(wire::TEXT, frame) if missing[at] > 0 => match meaning(frame) {
                    Some(Ok(())) => {
                        missing[at] -= 1;
                        if missing[at] == 0 {
                            done += 1;
                            joined.each.push(now() - since[at]);
                        }
                    }
                    Some(Err(why)) => {
                        missing[at] = 0;
                        done += 1;
                        joined.trouble.push(why);
                    }
                    None => {}
                },
                Said::Frame(..) => {}
                Said::Closed(why) => {
                    done += usize::from(missing[at] > 0);
                    missing[at] = 0;
                    joined.trouble.push(format!("socket {socket}: {why}"));
                }
            }
        });
        while let Some(socket) = opened.pop_front() {
            let plan = &plans[socket - first];
            bytes.clear();
            wire::push(&mut bytes, "1", &plan.topic, "phx_join", &plan.join);
            client.send(socket, &bytes);
        }
    }
    joined.seconds = (now() - began) as f64 / 1e6;
    joined.each.sort_unstable();
    if joined.each.len() < plans.len() && joined.trouble.is_empty() {
        let missing = plans.len() - joined.each.len();
        joined.trouble.push(format!(
            "{missing} of {} joins were not answered",
            plans.len()
        ));
    }
    joined.trouble.truncate(5);
    joined
}

/// Whether a frame of a channel is one that joining waits for, and whether it is a good one.
fn meaning(frame: &[u8]) -> Option<Result<(), String>> {
    let has = |what: &[u8]| memchr::memmem::find(frame, what).is_some();
    let counts = has(br#""phx_reply""#) && !has(br#""phoenix""#)
        || has(br#""system""#) && has(br#""extension":"postgres_changes""#);
    counts.then(|| match has(br#""status":"ok""#) {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(frame).into_owned()),
    })
}

/// Opens and joins all, 64 at a time, and insists that it works.
pub fn join(client: &mut Client, port: u16, plans: &[Plan]) {
    let joined = join_all(client, port, plans, 64, 60.0);
    assert!(joined.trouble.is_empty(), "joining: {:?}", joined.trouble);
}

/// Receives until a time, and notes what was closed.
pub fn receive(client: &mut Client, check: &mut Check, trouble: &mut Vec<String>, until: u64) {
    client.turn(until, |socket, said| match said {
        Said::Frame(_, frame) => {
            check.take(socket, frame);
        }
        Said::Closed(why) => trouble.push(format!("socket {socket}: {why}")),
        Said::Opened => {}
    });
}

/// Receives until everything expected is there, or nothing has come for three seconds.
pub fn drain(client: &mut Client, check: &mut Check, trouble: &mut Vec<String>, expected: u64) {
    let mut quiet = now();
    let end = now() + 30_000_000;
    while check.whole < expected && now() < end && now() < quiet.max(check.last) + 3_000_000 {
        receive(client, check, trouble, now() + 50_000);
        quiet = quiet.max(check.last);
    }
}

/// Heartbeats of all sockets, each 25 s, evenly spread.
pub struct Heart {
    began: u64,
    beats: u64,
}

impl Heart {
    /// From now on.
    pub fn new() -> Self {
        Self {
            began: now(),
            beats: 0,
        }
    }

    /// Sends those that are due.
    pub fn beat(&mut self, client: &mut Client) {
        let count = client.len() as u64;
        let due = (now() - self.began) * count / 25_000_000;
        let mut bytes = Vec::new();
        wire::push(&mut bytes, "2", "phoenix", "heartbeat", "{}");
        while self.beats < due {
            client.send((self.beats % count) as usize, &bytes);
            self.beats += 1;
        }
    }
}
