//! Where bytes are seen: a door before the exchange that passes calls on and notes when an exit came through whole, and
//! a process of the same shape that does nothing.

use aegis_benches::{child, clock};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Longest wait for an exit.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// The price in a frame that crosses the stop.
pub(crate) const CROSSING: &str = "48000";
/// What no other frame holds, whatever time it tells.
const CROSSES: &str = "\"b\":\"48000";
/// As long as a request with an order.
const REQUEST: usize = 640;

/// A listener on loopback.
pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Whether these bytes hold those.
pub(crate) fn holds(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

/// Reads calls, notes when one that sells was read to its end, and passes them on if there is somebody.
fn watch(mut from: TcpStream, mut to: Option<TcpStream>, seen: &Sender<u64>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut order = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let now = clock::now();
        let read = &buffer[..count];
        if !order.is_empty() || holds(read, "private/create-order") {
            order.extend_from_slice(read);
            if order.ends_with(b"}") {
                if holds(&order, "\"SELL\"") && seen.send(now).is_err() {
                    return;
                }
                order.clear();
            }
        }
        if to.as_mut().is_some_and(|to| to.write_all(read).is_err()) {
            break;
        }
    }
    if let Some(to) = to {
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// A door before the exchange at `venue`: its address, and the times at which an exit had come.
pub(crate) fn open(venue: String) -> (SocketAddr, Receiver<u64>) {
    let (listener, address) = listen();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a connection");
            let Ok(venue) = TcpStream::connect(&venue) else { continue };
            for stream in [&client, &venue] {
                stream.set_nodelay(true).expect("no delay");
            }
            let mut answers = (venue.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut answers.0, &mut answers.1);
                let _ = answers.1.shutdown(Shutdown::Write);
            });
            let sender = sender.clone();
            std::thread::spawn(move || watch(client, Some(venue), &sender));
        }
    });
    (address, seen)
}

/// The process that only reads and writes.
pub(crate) struct Echo {
    child: Child,
    frames: TcpStream,
    seen: Receiver<u64>,
}

impl Echo {
    /// Starts it.
    pub(crate) fn start() -> Echo {
        let (listener, address) = listen();
        let child = child::start(&["echo", &address.to_string()]);
        let (frames, _) = listener.accept().expect("the process connects");
        let (calls, _) = listener.accept().expect("and once more");
        frames.set_nodelay(true).expect("no delay");
        let (sender, seen) = channel();
        std::thread::spawn(move || watch(calls, None, &sender));
        Echo { child, frames, seen }
    }

    /// Sends it a frame.
    pub(crate) fn send(&mut self, frame: &str) {
        self.frames.write_all(frame.as_bytes()).expect("the process reads");
    }

    /// Sends it the frame that it answers; how long that took, ns.
    pub(crate) fn cross(&mut self, frame: &str) -> u64 {
        let start = clock::now();
        self.send(frame);
        self.seen.recv_timeout(PATIENCE).expect("the process answers") - start
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.frames.shutdown(Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// What that process does.
pub(crate) fn echo(words: &[String]) {
    let connect = || TcpStream::connect(&words[1]).expect("the bench listens");
    let (mut frames, mut calls) = (connect(), connect());
    calls.set_nodelay(true).expect("no delay");
    let mut request = b"POST private/create-order \"SELL\"".to_vec();
    request.resize(REQUEST - 1, b' ');
    request.push(b'}');
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = frames.read(&mut buffer) {
        if holds(&buffer[..count], CROSSES) {
            calls.write_all(&request).expect("the bench reads");
        }
    }
}
