//! Web Push (C-404): takes `notification_outbox` in order and sends each notification to the browsers of its user.
//!
//! What is told to whom is decided in SQL (`sql/chat/015_notifications.sql`), when the message is written and once more when
//! its notification is due. Here it is encrypted (RFC 8291), signed (RFC 8292) and sent (RFC 8030). Nothing of a message is
//! ever logged, nor an endpoint, which is as good as a secret.

mod address;
mod encrypt;
mod measures;
mod queue;
mod send;
mod worker;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use crate::auth::VapidKey;
use crate::config::ChatConfig;
use crate::postgres::ConnectOptions;

/// The key that browsers subscribe with (`applicationServerKey`): the uncompressed point in base64url. None when nothing is
/// pushed.
pub fn vapid_public_key(config: &ChatConfig) -> Option<String> {
    let key = VapidKey::read(config.vapid_private_key.as_ref()?.expose())?;
    Some(key.public().to_owned())
}

/// Starts the worker; none where there is no key. It ends some seconds after `stop`.
pub(super) fn start(
    config: &ChatConfig,
    connect: ConnectOptions,
    stop: CancellationToken,
) -> Option<JoinHandle<()>> {
    let key = VapidKey::read(config.vapid_private_key.as_ref()?.expose())?;
    let subject = config.vapid_subject.clone().unwrap_or_default();
    let sender = match send::Sender::new(key, subject, config.push_private_endpoints) {
        Ok(sender) => sender,
        Err(error) => {
            tracing::error!(%error, "nothing is pushed: the certificates of this system cannot be used");
            return None;
        }
    };
    if config.push_private_endpoints {
        tracing::warn!(
            "PUSH_PRIVATE_ENDPOINTS is on: whoever may register for push messages can make this server send requests to its own network"
        );
    }
    let told = Arc::new(Notify::new());
    let link = Link::listening(connect, "dovetail_chat_push", "push", Arc::clone(&told));
    let worker = worker::Worker::new(link, told, sender, stop);
    Some(tokio::spawn(Arc::new(worker).run()))
}
