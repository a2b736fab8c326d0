//! Many sockets, one thread: epoll, one read a wake-up, frames handed on in place.
//!
//! A socket holds no buffer of its own except for what came in part or could not be written yet.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net;

use super::mark::now;
use super::wire;

/// Bytes of one read: some hundred frames.
const READ: usize = 64 * 1024;

/// How far a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The request to open it is under way.
    Opening,
    /// It takes frames.
    Open,
    /// It was closed, by whom ever.
    Closed,
}

struct Socket {
    fd: Option<OwnedFd>,
    state: State,
    /// The beginning of a frame.
    part: Vec<u8>,
    /// What could not be written yet.
    out: Vec<u8>,
    /// Does epoll wait for room in it?
    waits: bool,
}

/// What a socket has to say.
pub enum Said<'a> {
    /// It was opened.
    Opened,
    /// A frame: opcode and payload.
    Frame(u8, &'a [u8]),
    /// It was closed, and why.
    Closed(String),
}

/// The sockets and their epoll.
pub struct Client {
    epoll: OwnedFd,
    sockets: Vec<Socket>,
    buffer: Vec<u8>,
    ready: Vec<epoll::Event>,
    /// Microseconds to sleep before waiting, so that one wake-up serves many sockets: half the CPU at up to that much latency.
    pub nap: u64,
    /// Reads so far.
    pub reads: u64,
}

impl Client {
    /// Without sockets.
    pub fn new() -> Self {
        Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll"),
            sockets: Vec::new(),
            buffer: vec![0; READ],
            ready: Vec::with_capacity(1024),
            nap: 0,
            reads: 0,
        }
    }

    /// How many sockets there were ever.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Begins to connect, and to send `first` when that is done. `state` says whether an answer in HTTP comes before frames.
    pub fn connect(&mut self, port: u16, first: &[u8], state: State) -> usize {
        let number = self.sockets.len();
        let flags = net::SocketFlags::NONBLOCK | net::SocketFlags::CLOEXEC;
        let fd = net::socket_with(
            net::AddressFamily::INET,
            net::SocketType::STREAM,
            flags,
            None,
        )
        .expect("a socket: is the limit of open files too low?");
        net::sockopt::set_tcp_nodelay(&fd, true).expect("no delay");
        match net::connect(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => panic!("connect: {error}"),
        }
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &fd, data, interest).expect("room in the epoll");
        self.sockets.push(Socket {
            fd: Some(fd),
            state,
            part: Vec::new(),
            out: first.to_vec(),
            waits: true,
        });
        number
    }

    /// Writes frames to a socket, now or as soon as it takes them. Nothing when it is closed.
    pub fn send(&mut self, socket: usize, bytes: &[u8]) {
        let this = &mut self.sockets[socket];
        let Some(fd) = &this.fd else { return };
        let mut done = 0;
        if this.out.is_empty() {
            while done < bytes.len() {
                match rustix::io::write(fd, &bytes[done..]) {
                    Ok(wrote) => done += wrote,
                    Err(Errno::INTR) => {}
                    // A socket that broke says so when it is read.
                    Err(_) => break,
                }
            }
        }
        if done < bytes.len() {
            this.out.extend(&bytes[done..]);
            self.interest(socket);
        }
    }

    /// Lets epoll wait for room where something is to be written, and only there.
    fn interest(&mut self, number: usize) {
        let this = &mut self.sockets[number];
        let wants = !this.out.is_empty();
        let Some(fd) = &this.fd else { return };
        if wants != this.waits {
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, wants);
            let data = epoll::EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, fd, data, flags).expect("it is in the epoll");
            this.waits = wants;
        }
    }

    fn flush(&mut self, number: usize) {
        let this = &mut self.sockets[number];
        let Some(fd) = &this.fd else { return };
        if let Ok(wrote) = rustix::io::write(fd, &this.out) {
            this.out.drain(..wrote);
            if this.out.is_empty() {
                this.out = Vec::new();
            }
        }
        self.interest(number);
    }

    /// Waits until something comes, at most until `until` (microseconds of [`now`]), and hands on what came from the sockets that
    /// are ready. A caller loops.
    pub fn turn(&mut self, until: u64, mut each: impl FnMut(usize, Said<'_>)) {
        let wait = until.saturating_sub(now());
        if self.nap > 0 && wait > 0 {
            std::thread::sleep(std::time::Duration::from_micros(self.nap.min(wait)));
        }
        let wait = until.saturating_sub(now()) * 1000;
        let timeout = Timespec {
            tv_sec: (wait / 1_000_000_000) as i64,
            tv_nsec: (wait % 1_000_000_000) as _,
        };
        self.ready.clear();
        let ready = spare_capacity(&mut self.ready);
        match epoll::wait(&self.epoll, ready, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for at in 0..self.ready.len() {
            let epoll::Event { flags, data, .. } = self.ready[at];
            let number = data.u64() as usize;
            if flags.contains(epoll::EventFlags::OUT) {
                self.flush(number);
            }
            let readable = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            if flags.intersects(readable) {
                self.read(number, &mut each);
            }
        }
    }

    #[inline]
    fn read(&mut self, number: usize, each: &mut impl FnMut(usize, Said<'_>)) {
        let this = &mut self.sockets[number];
        let Some(fd) = &this.fd else { return };
        self.reads += 1;
        let read = match rustix::io::read(fd, &mut *self.buffer) {
            Ok(0) => return self.lose(number, "the server closed it".to_owned(), each),
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(error) => return self.lose(number, error.to_string(), each),
        };
        let came = &self.buffer[..read];
        let mut whole = std::mem::take(&mut this.part);
        let mut bytes = match whole.is_empty() {
            true => came,
            false => {
                whole.extend(came);
                &whole
            }
        };
        if this.state == State::Opening {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                this.part = bytes.to_vec();
                return;
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                let text = String::from_utf8_lossy(bytes).into_owned();
                return self.lose(number, text, each);
            }
            this.state = State::Open;
            bytes = &bytes[end + 4..];
            each(number, Said::Opened);
        }
        while let Some((opcode, begin, end)) = wire::first_frame(bytes) {
            if opcode == wire::CLOSE {
                let code = bytes[begin..end]
                    .iter()
                    .take(2)
                    .fold(0, |code, byte| code * 256 + u32::from(*byte));
                return self.lose(number, format!("the server closed it with {code}"), each);
            }
            each(number, Said::Frame(opcode, &bytes[begin..end]));
            bytes = &bytes[end..];
        }
        if !bytes.is_empty() {
            this.part = bytes.to_vec();
        }
    }

    fn lose(&mut self, number: usize, why: String, each: &mut impl FnMut(usize, Said<'_>)) {
        self.close(number);
        each(number, Said::Closed(why));
    }

    /// Closes a socket without a word.
    pub fn close(&mut self, number: usize) {
        let this = &mut self.sockets[number];
        this.state = State::Closed;
        this.fd = None;
        this.part = Vec::new();
        this.out = Vec::new();
    }
}
