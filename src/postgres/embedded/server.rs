//! The running server: start, readiness, stop, and what a crashed run left behind.
//!
//! Everything here blocks its thread; [`super::Embedded`] calls it from threads meant for that.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::{Error, Options};

/// Longest start: crash recovery of much WAL takes time, and the log says what it is doing.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a clean stop may take. A consumer of replication that does not read delays it.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a state that cannot be waited for is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Settings of every server of ours; given at each start, so that a newer version of this program can change them.
/// Retained WAL is capped, or a forgotten slot fills the disk.
const SETTINGS: &[(&str, &str)] = &[
    ("wal_level", "logical"),
    ("max_wal_senders", "20"),
    ("max_replication_slots", "20"),
    ("max_slot_wal_keep_size", "1024MB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_permissions", "0700"),
    ("logging_collector", "off"),
    ("lc_messages", "C"),
];

/// What a test server gives up for speed. Not synchronous_commit: the replication stream sees flushed WAL only, and an
/// unflushed commit would reach it 200 ms late.
const NOT_DURABLE: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
];

/// A server that runs as a child of this process.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// Starts the server and waits until it accepts connections.
    pub(super) fn start(
        cluster: &Cluster,
        binaries: &Binaries,
        options: &Options,
    ) -> Result<Self, Error> {
        clear_leftovers(&cluster.data())?;
        let begun = Instant::now();
        let mut wanted = options.port.or_else(|| cluster.last_port());
        loop {
            let port = choose_port(wanted, options.port.is_some())?;
            match Self::start_on(cluster, binaries, options, port) {
                Ok(server) => {
                    cluster.remember_port(port);
                    return Ok(server);
                }
                Err(Error::Start { log, .. })
                    if begun.elapsed() < Duration::from_secs(10)
                        && log.contains("could not bind")
                        && options.port.is_none() =>
                {
                    // Somebody took the port between our look and the start.
                    wanted = None;
                }
                Err(Error::Start { log, .. })
                    if begun.elapsed() < Duration::from_secs(10)
                        && (log.contains("is still in use") || log.contains("already exists")) =>
                {
                    // Backends of a killed server are still leaving.
                    std::thread::sleep(Duration::from_millis(200));
                    clear_leftovers(&cluster.data())?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn start_on(
        cluster: &Cluster,
        binaries: &Binaries,
        options: &Options,
        port: u16,
    ) -> Result<Self, Error> {
        let log_path = cluster.log();
        let fail = |reason: String| Error::Start {
            log_path: log_path.clone(),
            log: reason,
        };
        // Statements that failed are in it, with their values: nobody else may read it.
        let log = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&log_path)
            .map_err(|error| fail(error.to_string()))?;
        let log_too = log.try_clone().map_err(|error| fail(error.to_string()))?;
        let data = cluster.data();
        let mut command = cluster.command(binaries, "postgres");
        command.arg("-D").arg(&data);
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        set("port", &port.to_string());
        set("unix_socket_directories", &socket_directory(&data));
        for (name, value) in SETTINGS {
            set(name, value);
        }
        if !options.durable {
            for (name, value) in NOT_DURABLE {
                set(name, value);
            }
        }
        for (name, value) in &options.settings {
            set(name, value);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(|error| fail(error.to_string()))?;
        let mut server = Self { child, port };
        let begun = Instant::now();
        loop {
            if server.is_ready(&data) {
                return Ok(server);
            }
            if let Ok(Some(_)) = server.child.try_wait() {
                return Err(fail(tail(&log_path)));
            }
            if begun.elapsed() > START_TIMEOUT {
                server.stop(Duration::ZERO).ok();
                return Err(fail(tail(&log_path)));
            }
            std::thread::sleep(TICK);
        }
    }

    /// Postgres writes its state into the eighth line of its pid file.
    fn is_ready(&self, data: &Path) -> bool {
        let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        let ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(self.child.id());
        ours && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }

    /// Process id of the postmaster.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops with a checkpoint; after `patience` without one.
    pub(super) fn stop(&mut self, patience: Duration) -> Result<(), Error> {
        for (signal, patience) in [(Signal::INT, patience), (Signal::QUIT, STOP_TIMEOUT)] {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(());
            }
            if patience.is_zero() {
                continue;
            }
            send(self.child.id(), signal);
            let begun = Instant::now();
            while begun.elapsed() < patience {
                if let Ok(Some(_)) = self.child.try_wait() {
                    return Ok(());
                }
                std::thread::sleep(TICK);
            }
        }
        Err(Error::Stop {
            pid: self.child.id(),
        })
    }

    /// Stops with a checkpoint, patiently.
    pub(super) fn stop_clean(&mut self) -> Result<(), Error> {
        self.stop(STOP_TIMEOUT)
    }
}

/// Unix sockets have room for about 100 bytes of path; without room there is only TCP.
fn socket_directory(data: &Path) -> String {
    let text = data.to_string_lossy();
    // A comma would separate two directories.
    if text.len() > 80 || text.contains([',', '"']) {
        String::new()
    } else {
        text.into_owned()
    }
}

fn choose_port(wanted: Option<u16>, fixed: bool) -> Result<u16, Error> {
    let free = |port: u16| {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        listener.local_addr().map(|address| address.port())
    };
    match wanted.map(|port| (port, free(port))) {
        Some((_, Ok(port))) => Ok(port),
        Some((port, Err(error))) if fixed => Err(Error::Port {
            port,
            reason: error.to_string(),
        }),
        _ => free(0).map_err(|error| Error::Port {
            port: 0,
            reason: error.to_string(),
        }),
    }
}

/// Stops the server that a crashed run left running over `data`, and removes a pid file that would keep ours from
/// starting. We hold the lock of the folder: whoever runs there has lost its master.
fn clear_leftovers(data: &Path) -> Result<(), Error> {
    let pid_file = data.join("postmaster.pid");
    let Some(pid) = std::fs::read_to_string(&pid_file)
        .ok()
        .and_then(|text| text.lines().next()?.trim().parse::<u32>().ok())
    else {
        return Ok(());
    };
    if !exists(pid) {
        // Postgres itself recognises and replaces the file, after looking for backends that are still there.
        return Ok(());
    }
    if is_zombie(pid) || !is_postmaster_of(pid, data) {
        // The number is taken, by a corpse or by another program; Postgres could not know and would refuse to start. The
        // file also guards against backends that outlived their postmaster, so that they must have left first.
        wait_for_backends(data);
        tracing::info!(pid, "removing the pid file of a crashed run");
        remove_locks(data);
        return Ok(());
    }
    tracing::info!(pid, "stopping the database that a crashed run left running");
    for signal in [Signal::INT, Signal::QUIT] {
        send(pid, signal);
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT {
            if !pid_file.exists() || !is_alive(pid) {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
    }
    Err(Error::Stop { pid })
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid) {
        // Gone already is as good as stopped.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn is_alive(pid: u32) -> bool {
    exists(pid) && !is_zombie(pid)
}

fn exists(pid: u32) -> bool {
    to_pid(pid).is_some_and(|pid| {
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    })
}

/// The pid file, and sockets with their own lock files that name the same process.
fn remove_locks(data: &Path) {
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == "postmaster.pid" || name.starts_with(".s.PGSQL.") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Waits until no process works in `data`; backends leave by themselves within moments of the postmaster's death.
fn wait_for_backends(data: &Path) {
    let begun = Instant::now();
    let anyone = || {
        std::fs::read_dir("/proc").is_ok_and(|list| {
            list.flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
                .any(|pid| is_postmaster_of(pid, data))
        })
    };
    while begun.elapsed() < STOP_TIMEOUT && anyone() {
        std::thread::sleep(TICK);
    }
}

/// In a container whose first process collects no children the dead stay listed.
fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| {
        text.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

fn is_postmaster_of(pid: u32, data: &Path) -> bool {
    if Path::new("/proc/self").exists() {
        // Postgres makes its data folder its working directory.
        return std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
    }
    Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
}

/// The last lines of the log, enough to see why a start failed.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let skip = lines.len().saturating_sub(8);
    lines.into_iter().skip(skip).collect::<Vec<_>>().join("\n")
}
