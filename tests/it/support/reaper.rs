//! Ends what a test process started, also when that process is killed or panics in an odd place.
//!
//! One small shell reads from a pipe which processes and folders belong to us. When the pipe closes,
//! which the system does at any kind of exit, it ends the processes and removes the folders. Destructors
//! alone would not do: statics are never dropped, and a test may be aborted.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
ours=" "; folders=""
while read -r verb what; do
  case $verb in
    pid) ours="$ours$what " ;;
    forget) ours=" $(for p in $ours; do [ "$p" = "$what" ] || printf '%s ' "$p"; done)" ;;
    folder) folders="$folders $what" ;;
  esac
done
for p in $ours; do kill -QUIT "$p" 2>/dev/null; done
tries=0
while [ $tries -lt 100 ]; do
  alive=0
  for p in $ours; do kill -0 "$p" 2>/dev/null && alive=1; done
  [ $alive = 0 ] && break
  tries=$((tries + 1)); sleep 0.05
done
for p in $ours; do kill -KILL "$p" 2>/dev/null; done
for f in $folders; do rm -rf "$f"; done
"#;

struct Reaper {
    pipe: ChildStdin,
    _shell: Child,
}

fn tell(line: &str) {
    static REAPER: OnceLock<Mutex<Reaper>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let pipe = shell.stdin.take().expect("a piped stdin");
        Mutex::new(Reaper {
            pipe,
            _shell: shell,
        })
    });
    let mut reaper = reaper.lock().expect("the reaper's pipe");
    writeln!(reaper.pipe, "{line}").expect("the reaper lives as long as we do");
}

/// A process that must not outlive us.
pub fn owns(child: &Child) {
    tell(&format!("pid {}", child.id()));
}

/// It has ended and was waited for: its number may belong to somebody else from now on.
pub fn forget(child: &Child) {
    tell(&format!("forget {}", child.id()));
}

/// A folder to remove at the end. Its path must not contain blanks.
pub fn owns_folder(folder: &Path) {
    tell(&format!("folder {}", folder.display()));
}
