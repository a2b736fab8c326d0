//! Whom the server runs as. Postgres refuses to run as root, so root hands it to somebody else.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::Error;

/// The user and group to become, or nobody else: we are not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Ourselves when not root; else whoever owns the data already, then `postgres`, then `nobody`.
    pub(super) fn choose(home: &Path, cluster: &Path) -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let owner = |path: &Path| {
            std::fs::metadata(path)
                .ok()
                .map(|data| (data.uid(), data.gid()))
                .filter(|(uid, _)| *uid != 0)
        };
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        owner(cluster)
            .or_else(|| owner(home))
            .or_else(|| account(&passwd, "postgres"))
            .or_else(|| account(&passwd, "nobody"))
            .map(|ids| Self(Some(ids)))
            .ok_or_else(|| Error::Folder {
                path: home.to_owned(),
                reason: "Postgres does not run as root and there is neither a user postgres nor nobody; run as another user".to_owned(),
            })
    }

    /// Lets `command` run as the owner, in a process group of its own: a Ctrl-C in the terminal is meant for us, and we
    /// stop the server when we no longer need it.
    pub(super) fn apply(self, command: &mut Command) {
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command.process_group(0);
    }

    /// Gives `path` to the owner.
    pub(super) fn give(self, path: &Path) -> std::io::Result<()> {
        match self.0 {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Whether the owner may pass through every folder on the way to `path`, which must be absolute.
    pub(super) fn can_reach(self, path: &Path) -> bool {
        let Some((uid, gid)) = self.0 else {
            return true;
        };
        path.ancestors()
            .filter_map(|folder| std::fs::metadata(folder).ok())
            .all(|data| may_pass(&data, uid, gid))
    }
}

fn may_pass(data: &Metadata, uid: u32, gid: u32) -> bool {
    let bit = if data.uid() == uid {
        0o100
    } else if data.gid() == gid {
        0o010
    } else {
        0o001
    };
    data.mode() & bit != 0
}

fn account(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nbroken\n";
        assert_eq!(account(passwd, "postgres"), Some((101, 104)));
        assert_eq!(account(passwd, "nobody"), None);
        assert_eq!(account(passwd, "broken"), None);
    }
}
