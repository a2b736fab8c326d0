//! The folder of a throw-away server, and what happens to it when a test is killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Error;

/// A temporary folder, removed on drop; its watchdog removes it, and stops the server, when this process is killed.
#[derive(Debug)]
pub(super) struct Remains {
    folder: PathBuf,
    watchdog: Option<Child>,
}

/// Reads until we close the pipe, which a killed process does too; then stops the server if it is still that one.
const WATCHDOG: &str = r#"read -r _
[ "$(head -n 1 "$2/postgres/postmaster.pid" 2>/dev/null)" = "$1" ] && kill -QUIT "$1"
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e "$2/postgres/postmaster.pid" ] || break; sleep 0.3; done
rm -rf -- "$2""#;

impl Remains {
    pub(super) fn new() -> Result<Self, Error> {
        // Short, because the path of the server's socket must fit 107 bytes.
        let name = format!("dovetail-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).map_err(|error| Error::Folder {
            path: folder.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            folder,
            watchdog: None,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Watches over the server `pid` from now on. Without a shell there is no watchdog, and a killed test leaves its
    /// server behind.
    pub(super) fn watch(&mut self, pid: u32) {
        use std::os::unix::process::CommandExt;
        self.dismiss();
        self.watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "sh", &pid.to_string()])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .ok();
    }

    fn dismiss(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        self.dismiss();
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, folder = %self.folder.display(), "temporary folder left behind");
        }
    }
}
