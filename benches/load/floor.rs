//! The floor: a process that only writes prepared frames to its sockets. What no server with one write a message can go below.
//!
//! It is a child of this program (`floor-child`), so that its CPU is its own. For each line `seconds` it reads it sends for so long,
//! then answers with the messages and CPU seconds that took.

use std::io::{BufRead, BufReader, IoSlice, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::check::{Check, Verdict};
use super::client::{Client, State};
use super::join::{drain, receive};
use super::mark::{Mark, now, sleep_until};
use super::process::{own_cpu, raise_open_files};
use super::wire;

/// What a floor writes.
#[derive(Clone, Copy)]
pub struct Shape {
    pub sockets: usize,
    /// Bytes of the payload of a frame, as the server sends it.
    pub bytes: usize,
    /// Frames of one `writev`; with 1 it is a plain `write`.
    pub batch: usize,
    /// Messages a second to every socket; without one as many as they take.
    pub rate: Option<f64>,
}

/// The child and those who receive from it.
pub struct Floor {
    shape: Shape,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    client: Client,
    check: Check,
    sent: u64,
    /// Deliveries and CPU seconds of the child so far.
    deliveries: u64,
    cpu: f64,
    trouble: Vec<String>,
}

impl Floor {
    /// Starts the child and connects to it.
    pub fn start(shape: Shape) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("floor-child")
            .args([shape.sockets, shape.bytes, shape.batch].map(|number| number.to_string()))
            .arg(shape.rate.unwrap_or(0.0).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the floor starts");
        let to = child.stdin.take().expect("its input");
        let mut from = BufReader::new(child.stdout.take().expect("its output"));
        let port = line(&mut from).parse().expect("its port");
        let mut client = Client::new();
        for _ in 0..shape.sockets {
            client.connect(port, &[], State::Open);
            // Its queue of connections is not endless.
            client.turn(now(), |_, _| {});
        }
        assert_eq!(line(&mut from), "ready", "the floor has all its sockets");
        Self {
            shape,
            child,
            to,
            from,
            client,
            check: Check::new((0..shape.sockets).map(|_| vec![0])),
            sent: 0,
            deliveries: 0,
            cpu: 0.0,
            trouble: Vec::new(),
        }
    }

    /// Lets it write for so long, and receives.
    pub fn run(&mut self, seconds: f64) {
        self.client.nap = 200;
        writeln!(self.to, "{seconds}").expect("it listens");
        let before = self.check.whole;
        let end = now() + (seconds * 1e6) as u64 + 20_000;
        while now() < end {
            receive(
                &mut self.client,
                &mut self.check,
                &mut self.trouble,
                now() + 20_000,
            );
        }
        // It may wait for room in a socket, and needs this side to read.
        let answer = std::thread::scope(|scope| {
            let answer = scope.spawn(|| line(&mut self.from));
            while !answer.is_finished() {
                receive(
                    &mut self.client,
                    &mut self.check,
                    &mut self.trouble,
                    now() + 5_000,
                );
            }
            answer.join().expect("the floor answers")
        });
        let mut words = answer.split(' ');
        self.sent += words
            .next()
            .and_then(|word| word.parse::<u64>().ok())
            .expect("messages");
        let expected = self.sent * self.shape.sockets as u64;
        drain(
            &mut self.client,
            &mut self.check,
            &mut self.trouble,
            expected,
        );
        self.cpu += words
            .next()
            .and_then(|word| word.parse::<f64>().ok())
            .expect("CPU");
        self.deliveries += self.check.whole - before;
    }

    /// Deliveries per CPU second, and the verdict.
    pub fn end(mut self) -> (f64, Verdict) {
        let mut verdict = self.check.verdict(|_| self.sent);
        verdict.trouble.append(&mut self.trouble);
        drop(self.to);
        let _ = self.child.wait();
        (self.deliveries as f64 / self.cpu, verdict)
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("the floor's output");
    line.trim().to_owned()
}

/// The child's part. Its arguments are those that [`Floor::start`] gives.
pub fn child(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<f64>().expect("a number");
    let (sockets, bytes, batch, rate) = (
        number(0) as usize,
        number(1) as usize,
        number(2) as usize,
        number(3),
    );
    raise_open_files();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    // The usual queue of 128 connections loses some of those that come at once.
    rustix::net::listen(&listener, 4096).expect("a longer queue");
    println!("{}", listener.local_addr().expect("its address").port());
    let streams: Vec<TcpStream> = (0..sockets)
        .map(|_| {
            let (stream, _) = listener.accept().expect("a socket");
            stream.set_nodelay(true).expect("no delay");
            stream.set_nonblocking(true).expect("no waiting");
            stream
        })
        .collect();
    println!("ready");
    let head = b"\x04\x0c\x05\x00\x01realtime:all-bench";
    let mark = |number| Mark {
        due: now(),
        class: 0,
        number,
    };
    let mut sent = 0;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let seconds: f64 = line.parse().expect("seconds");
        let (began, cpu, first) = (now(), own_cpu(), sent);
        let end = began + (seconds * 1e6) as u64;
        while now() < end {
            if rate > 0.0 {
                let due = began + ((sent - first) as f64 * 1e6 / rate) as u64;
                if due >= end {
                    break;
                }
                sleep_until(due);
            }
            let mut frames = Vec::with_capacity(batch);
            for _ in 0..batch {
                let mut payload = head.to_vec();
                payload.extend(
                    mark(sent)
                        .padded(bytes.saturating_sub(head.len()))
                        .as_bytes(),
                );
                let mut frame = Vec::new();
                wire::put_plain(&mut frame, wire::BINARY, &payload);
                frames.push(frame);
                sent += 1;
            }
            let slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
            for stream in &streams {
                write_whole(stream, &slices, &frames);
            }
        }
        println!("{} {}", sent - first, own_cpu() - cpu);
    }
}

/// Everything in one call, nearly always; the rest when there is room.
fn write_whole(stream: &TcpStream, slices: &[IoSlice<'_>], frames: &[Vec<u8>]) {
    let wrote = match slices {
        [only] => rustix::io::write(stream, only),
        several => rustix::io::writev(stream, several),
    };
    let total: usize = frames.iter().map(Vec::len).sum();
    let mut done = match wrote {
        Ok(wrote) if wrote == total => return,
        Ok(wrote) => wrote,
        Err(Errno::AGAIN) => 0,
        Err(error) => panic!("the floor's write: {error}"),
    };
    let whole = frames.concat();
    while done < total {
        let _ = poll(&mut [PollFd::new(stream, PollFlags::OUT)], None);
        match rustix::io::write(stream, &whole[done..]) {
            Ok(wrote) => done += wrote,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => panic!("the floor's write: {error}"),
        }
    }
}
