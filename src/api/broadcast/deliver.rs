//! From accepted messages to the topics they are for (protocol.md §5.5 items 1 and 4 to 7).

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use super::batch::Message;
use crate::access::{Failure, Rights, Subject};
use crate::auth::Claims;
use crate::hub::{Event, Kind, TopicKey};
use crate::refusals::{Place, refused_because};
use crate::tenant::Tenant;

/// Questions about the topics of one request that may be under way at the same time.
const QUESTIONS: usize = 128;

/// After so many messages others get their turn.
const TURN: usize = 64;

/// Whose message it is.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) claims: Arc<Claims>,
    /// JSON object of all request headers.
    pub(super) headers: Arc<str>,
}

/// Publishes what is public, and then, for each private topic that the sender may write to, what is for that one. The
/// rest is left out without a word (P-174).
pub(super) async fn batch(tenant: &Arc<Tenant>, sender: &Sender, messages: &[Message<'_>]) {
    let (private, public): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.private);
    publish_all(tenant, &public).await;
    // Each topic once (P-175), in the order in which they come.
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut topics: Vec<Arc<str>> = Vec::new();
    let mut groups: Vec<Vec<&Message<'_>>> = Vec::new();
    for message in private {
        let place = *places.entry(&message.topic).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(message),
            None => {
                topics.push((&*message.topic).into());
                groups.push(vec![message]);
            }
        }
    }
    let questions = topics.into_iter().map(|topic| {
        let (tenant, sender) = (Arc::clone(tenant), sender.clone());
        async move { may_write(&tenant, &sender, topic).await }
    });
    let mut answers = stream::iter(questions).buffered(QUESTIONS);
    for group in groups {
        match answers.next().await {
            Some(Ok(true)) => publish_all(tenant, &group).await,
            Some(Err(failure)) => log(tenant, &failure),
            Some(Ok(false)) | None => {}
        }
    }
}

/// Whether the sender may broadcast to a private topic.
///
/// # Errors
/// Nobody can tell, which is not a yes.
pub(super) async fn may_write(
    tenant: &Arc<Tenant>,
    sender: &Sender,
    topic: Arc<str>,
) -> Result<bool, Failure> {
    let subject = Subject {
        topic,
        claims: Arc::clone(&sender.claims),
        headers: Arc::clone(&sender.headers),
    };
    let access = Arc::clone(&tenant.backend().access);
    let Rights { broadcast, .. } = access.write(&subject).await?;
    Ok(broadcast)
}

/// Publishes to everybody on the topic and counts the message (protocol.md §7.3).
pub(super) fn publish(tenant: &Tenant, topic: &str, private: bool, event: Event<'_>) {
    let key = TopicKey {
        private,
        topic: format!("realtime:{topic}").into(),
    };
    tenant.meters.events.add(1);
    tenant.hub.publish(&key, event, None);
}

async fn publish_all(tenant: &Tenant, messages: &[&Message<'_>]) {
    let mut payload = String::new();
    for (n, message) in messages.iter().enumerate() {
        if n % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        payload.clear();
        for part in [
            r#"{"type":"broadcast","event":"#,
            message.event,
            r#","payload":"#,
            message.payload,
        ] {
            payload.push_str(part);
        }
        if let Some(id) = message.id {
            payload.push_str(r#","meta":{"id":"#);
            payload.push_str(id);
            payload.push('}');
        }
        payload.push('}');
        let event = Event::Text {
            kind: Kind::Broadcast,
            payload: payload.as_bytes(),
        };
        publish(tenant, &message.topic, message.private, event);
    }
}

/// A check that could not be made. What Postgres said is left out: a policy's error may quote rows and claims.
pub(super) fn log(tenant: &Tenant, failure: &Failure) {
    refused_because(
        &tenant.external_id,
        Place::Request,
        failure.code(),
        failure.sqlstate(),
    );
    if let Failure::Policy { code, .. } = failure {
        tracing::debug!(sqlstate = code, "a policy raised an error");
    }
}
