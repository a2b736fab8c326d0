//! What a join has to wait for: its rights, stored messages to replay, its subscriptions (protocol.md §4 rows 17–31).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::access::{self, Replay, Rights, Stored, StoredBody, Subject};
use crate::auth::Claims;
use crate::changes::{Changes, Entry, Prepared, Refused};
use crate::hub::{Differences, Member, Membership, TopicKey};
use crate::protocol::join::Binding;
use crate::protocol::{Encoding, Version, encode};
use crate::refusals::{Place, refused_because};
use crate::tenant::Tenant;

/// The last millisecond of the year 9999: a later `since` is invalid (protocol.md §5.9).
const MAX_SINCE: i64 = 253_402_300_799_999;
/// Milliseconds between attempts to read messages that have been streamed already.
const SETTLING: [u64; 6] = [1, 2, 5, 10, 20, 40];
/// Messages of one replay.
const MAX_REPLAY: i64 = 25;

/// What to find out.
pub(super) struct Task {
    /// Whose rights, for a private channel.
    pub(super) subject: Option<Subject>,
    /// Ask for presence too.
    pub(super) presence: bool,
    /// The value of `config.broadcast.replay`, if it is an object.
    pub(super) replay: Option<Value>,
    /// Enters the topic before stored messages are read, so that none is missed in between.
    pub(super) member: Arc<Member>,
    pub(super) key: TopicKey,
    pub(super) bindings: Vec<Entry>,
    pub(super) claims: Arc<Claims>,
}

/// What was found out.
#[derive(Default)]
pub(super) struct Settlement {
    /// Rights to read; none for a public channel.
    pub(super) rights: Option<Rights>,
    /// The place of a member that waits for its replay, and the stored messages.
    pub(super) replay: Option<(Membership, Replay)>,
    /// The subscriptions, with whom they must be attached to.
    pub(super) prepared: Option<(Arc<Changes>, Result<Prepared, Refused>)>,
}

/// Resolves with the settlement, or with the reason why the join is refused.
pub(super) async fn settle(tenant: Arc<Tenant>, task: Task) -> Result<Settlement, String> {
    let backend = tenant.backend();
    let mut rights = None;
    let mut replay = None;
    if let Some(subject) = &task.subject {
        backend.prepared().await;
        let read = backend
            .access
            .read(subject, task.presence)
            .await
            .map_err(|failure| {
                log(&failure, &tenant);
                failure.join_reason(&subject.topic)
            })?;
        let unauthorized = || format!("Unauthorized: {}", access::denied(&subject.topic));
        if !read.broadcast && !read.presence {
            return Err(unauthorized());
        }
        rights = Some(read);
        if let Some(params) = &task.replay {
            if !read.broadcast {
                return Err(unauthorized());
            }
            let (since, limit) =
                window(params).ok_or("UnableToReplayMessages: Replay params are not valid")?;
            // Before it enters the topic: what it may not read must not be kept for it either.
            let differences = differences(task.presence, read);
            task.member.set_rights(read.broadcast, differences);
            task.member.hold();
            let membership = tenant
                .hub
                .join(task.key.clone(), Arc::clone(&task.member), || {});
            // The replay must see whatever was published before it entered the topic.
            let recent = tenant.hub.recent(&task.key);
            let mut pauses = SETTLING.iter();
            let stored = loop {
                let stored = backend
                    .access
                    .replay(&subject.topic, since, limit)
                    .await
                    .map_err(|failure| {
                        log(&failure, &tenant);
                        "UnableToReplayMessages: Realtime was unable to replay messages"
                    })?;
                let complete = stored
                    .snapshot
                    .as_ref()
                    .is_none_or(|snapshot| recent.iter().all(|xid| snapshot.shows(*xid)));
                match pauses.next() {
                    Some(pause) if !complete => {
                        tokio::time::sleep(Duration::from_millis(*pause)).await;
                    }
                    _ => break stored,
                }
            };
            replay = Some((membership, stored));
        }
    }
    let mut prepared = None;
    if !task.bindings.is_empty() {
        let changes = Arc::clone(&backend.changes);
        let result = changes.prepare(task.bindings, task.claims).await;
        prepared = Some((changes, result));
    }
    Ok(Settlement {
        rights,
        replay,
        prepared,
    })
}

/// Which differences of presence a private channel receives that has just joined (protocol.md §6.3).
pub(super) fn differences(asked: bool, read: Rights) -> Differences {
    match asked && read.presence {
        true => Differences::FanOut,
        false => Differences::None,
    }
}

/// The entries of a join as the changes module takes them.
pub(super) fn entries(bindings: &[Binding]) -> Vec<Entry> {
    bindings
        .iter()
        .map(|binding| Entry {
            id: binding.id,
            params: binding.params.clone(),
            legacy: binding.legacy,
        })
        .collect()
}

/// Says that policies could not be asked, by code (the words of Postgres may repeat values), and has a missing partition
/// made.
pub(super) fn log(failure: &access::Failure, tenant: &Tenant) {
    if *failure == access::Failure::MissingPartition
        && let Some(backend) = tenant.opened()
    {
        backend.maintain_soon();
    }
    refused_because(
        &tenant.external_id,
        Place::Channel,
        failure.code(),
        failure.sqlstate(),
    );
    if let access::Failure::Policy { code, .. } = failure {
        tracing::debug!(sqlstate = code, "a policy raised an error");
    }
}

/// `since` and `limit` of a replay; `None` when they are not valid (protocol.md §5.9).
fn window(params: &Value) -> Option<(i64, i64)> {
    let since = params.get("since")?.as_i64()?;
    let limit = match params.get("limit") {
        None | Some(Value::Null | Value::Bool(false)) => MAX_REPLAY,
        Some(limit) => match limit.as_i64() {
            Some(limit) => limit.clamp(1, MAX_REPLAY),
            // Integers beyond 64 bits.
            None if limit.is_u64() => MAX_REPLAY,
            None => return None,
        },
    };
    (since <= MAX_SINCE).then_some((since, limit))
}

/// The frame of a replayed message: a push of the channel (P-167); `None` for what this serializer does not get.
pub(super) fn replayed(member: &Member, stored: &Stored) -> Option<Bytes> {
    let metadata = format!("{{\"id\":\"{}\",\"replayed\":true}}", stored.id);
    match &stored.body {
        StoredBody::Json(json) => {
            let event = serde_json::to_string(&stored.event).ok()?;
            let payload = format!(
                "{{\"type\":\"broadcast\",\"event\":{event},\"payload\":{json},\"meta\":{metadata}}}"
            );
            Some(encode::push(
                member.version,
                &member.join_ref,
                &member.topic,
                "broadcast",
                payload.as_bytes(),
            ))
        }
        StoredBody::Binary(bytes) if member.version == Version::V2 => encode::user_broadcast(
            &member.topic,
            &stored.event,
            &metadata,
            Encoding::Binary,
            bytes,
        ),
        StoredBody::Binary(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_replay_begins_at_an_integer_and_takes_at_most_twenty_five() {
        for (params, expected) in [
            (json!({ "since": 5 }), Some((5, 25))),
            (json!({ "since": -5, "limit": 3 }), Some((-5, 3))),
            (json!({ "since": 0, "limit": 0 }), Some((0, 1))),
            (json!({ "since": 0, "limit": -7 }), Some((0, 1))),
            (json!({ "since": 0, "limit": 26 }), Some((0, 25))),
            (json!({ "since": 0, "limit": null }), Some((0, 25))),
            (json!({ "since": 0, "limit": false }), Some((0, 25))),
            (json!({ "since": 0, "limit": true }), None),
            (json!({ "since": 0, "limit": "3" }), None),
            (json!({ "since": 0, "limit": 1.5 }), None),
            (json!({ "since": 1.0 }), None),
            (json!({ "since": "1" }), None),
            (json!({ "since": MAX_SINCE }), Some((MAX_SINCE, 25))),
            (json!({ "since": MAX_SINCE + 1 }), None),
            (json!({}), None),
        ] {
            assert_eq!(window(&params), expected, "{params}");
        }
    }
}
