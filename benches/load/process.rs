//! What processes cost, from `/proc`: CPU of the server, of its children (Postgres) apart from it, memory, the machine's load.

use std::fs;

/// CPU seconds (user and system) at one moment, or between two.
#[derive(Clone, Copy, Default, Debug)]
pub struct Cpu {
    /// The server's own.
    pub server: f64,
    /// Its children's: Postgres.
    pub database: f64,
}

impl Cpu {
    /// Of a server and its children so far; resolution 10 ms.
    pub fn of(server: u32) -> Self {
        let parents: Vec<(u32, u32)> = processes()
            .filter_map(|pid| Some((pid, stat(pid)?.parent)))
            .collect();
        let mut family = vec![server];
        let mut database = 0.0;
        let mut at = 0;
        while let Some(&pid) = family.get(at) {
            family.extend(
                parents
                    .iter()
                    .filter(|(_, parent)| *parent == pid)
                    .map(|(pid, _)| *pid),
            );
            if at > 0
                && let Some(stat) = stat(pid)
            {
                // A backend that ended is counted with the postmaster that waited for it.
                database += stat.own + stat.ended;
            }
            at += 1;
        }
        Self {
            server: stat(server).map_or(0.0, |stat| stat.own),
            database,
        }
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            database: self.database - before.database,
        }
    }

    /// Both together.
    pub fn whole(self) -> f64 {
        self.server + self.database
    }
}

impl std::ops::AddAssign for Cpu {
    fn add_assign(&mut self, other: Self) {
        self.server += other.server;
        self.database += other.database;
    }
}

struct Stat {
    parent: u32,
    own: f64,
    ended: f64,
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may contain anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) as f64 / per_second,
        ended: (ticks(13)? + ticks(14)?) as f64 / per_second,
    })
}

/// CPU seconds of a process from the scheduler, to the nanosecond; threads that have ended are not in it.
pub fn precise(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() as f64 / 1e9
}

/// CPU seconds of this process.
pub fn own_cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A line of `/proc/<pid>/status` in KiB: `VmRSS` is resident, `VmHWM` the most that ever was.
pub fn memory(pid: u32, what: &str) -> f64 {
    kib(&format!("/proc/{pid}/status"), what)
}

/// KiB of the kernel's own objects, of the whole machine: a socket's are among them.
pub fn slab() -> f64 {
    kib("/proc/meminfo", "Slab")
}

/// KiB that wait in the buffers of all TCP sockets of the machine.
pub fn socket_buffers() -> f64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("TCP:"));
    let pages = line.and_then(|line| line.rsplit_once("mem ")?.1.trim().parse::<f64>().ok());
    pages.unwrap_or(0.0) * rustix::param::page_size() as f64 / 1024.0
}

fn kib(path: &str, what: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(what));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0.0)
}

/// The load average over a minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0.0)
}

/// Lets this process, and those that it starts, have as many open files as it may. The number.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
