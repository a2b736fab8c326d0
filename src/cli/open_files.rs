//! The limit of open files: every socket is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to `wanted`, or to the hard limit when nothing is asked for; never above
/// the hard limit. Returns what holds afterwards, none for no limit.
pub(super) fn raise(wanted: Option<u64>) -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let target = match (wanted, limit.maximum) {
        (Some(wanted), Some(hard)) => Some(wanted.min(hard)),
        (Some(wanted), None) => Some(wanted),
        (None, hard) => hard,
    };
    let new = Rlimit {
        current: target,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, new) {
        Ok(()) => target,
        Err(error) => {
            tracing::warn!(%error, "could not raise the limit of open files");
            limit.current
        }
    }
}
