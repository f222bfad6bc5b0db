//! A wire tap: forwards connections to a server and keeps what passes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::wait;

/// How much of what passed is shown with a failed test, each way.
const LAST: usize = 4096;

/// Listens on a port of its own and forwards to another port on 127.0.0.1.
///
/// It ends with the test process.
#[derive(Debug)]
pub struct Tap {
    host: Ipv4Addr,
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        if thread::panicking() {
            let seen = lock(&self.seen);
            for (way, bytes) in [("sent to", &seen.sent), ("received from", &seen.received)] {
                let last = bytes.get(bytes.len().saturating_sub(LAST)..).unwrap_or_default();
                eprint(&format!("--- last {way} the server\n{}", last.escape_ascii()));
            }
        }
    }
}

#[allow(clippy::print_stderr, reason = "shown with a failed test")]
fn eprint(text: &str) {
    eprintln!("{text}");
}

#[derive(Debug, Default)]
struct Seen {
    sent: Vec<u8>,
    received: Vec<u8>,
    clients: Vec<TcpStream>,
    servers: Vec<TcpStream>,
}

impl Tap {
    /// Starts forwarding to `port`.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn start(server: u16) -> Self {
        Self::forward(server, None)
    }

    /// Starts forwarding to `port` from this port of a loopback address of its own: [`Tap::host`].
    ///
    /// # Panics
    ///
    /// When there is no address left.
    #[must_use]
    pub fn at_port(port: u16, server: u16) -> Self {
        let hosts = (1..=254).map(|last| Ipv4Addr::new(127, 77, 1, last));
        let mut listeners = hosts.filter_map(|host| TcpListener::bind((host, port)).ok());
        Self::listen(listeners.next().expect("a loopback address whose port is free"), server, None)
    }

    /// The same, except that what stands in what the server sends from the first of these two to the second, both
    /// included, is taken out once.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn cutting(server: u16, from: &'static str, to: &'static str) -> Self {
        Self::forward(server, Some((from, to)))
    }

    fn forward(server: u16, cut: Option<(&'static str, &'static str)>) -> Self {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"), server, cut)
    }

    fn listen(listener: TcpListener, server: u16, cut: Option<(&'static str, &'static str)>) -> Self {
        let address = listener.local_addr().expect("an address");
        let std::net::IpAddr::V4(host) = address.ip() else { panic!("it is of IPv4") };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let record = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (Ok(client_read), Ok(upstream_read)) = (client.try_clone(), upstream.try_clone()) else { continue };
                lock(&record).clients.extend(client.try_clone());
                lock(&record).servers.extend(upstream.try_clone());
                let sent = Arc::clone(&record);
                let record_sent = move |bytes: &[u8]| lock(&sent).sent.extend_from_slice(bytes);
                thread::spawn(move || pass(client_read, upstream, None, record_sent));
                let received = Arc::clone(&record);
                let record_received = move |bytes: &[u8]| lock(&received).received.extend_from_slice(bytes);
                thread::spawn(move || pass(upstream_read, client, cut, record_received));
            }
        });
        Self { host, port: address.port(), seen }
    }

    /// The address that it listens on.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// Where to connect to, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT` for `--server`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Says this to every client in the server's name, and nothing more: a server ends the connection after its last word.
    ///
    /// # Panics
    ///
    /// When a client is gone.
    pub fn say_last(&self, text: &str) {
        for client in &mut lock(&self.seen).clients {
            client.write_all(text.as_bytes()).expect("the client is there");
            client.shutdown(Shutdown::Write).expect("the client is there");
        }
    }

    /// Cuts every connection that there is, in both directions. Those that are made after this are forwarded. Gives how many it
    /// has forwarded by now.
    #[must_use]
    pub fn cut(&self) -> usize {
        let seen = lock(&self.seen);
        for end in seen.clients.iter().chain(&seen.servers) {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
        seen.clients.len()
    }

    /// Everything that clients sent to the server so far.
    #[must_use]
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&lock(&self.seen).sent).into_owned()
    }

    /// What clients sent after so many bytes, once it has these words.
    ///
    /// # Panics
    ///
    /// When they do not come.
    #[must_use]
    pub fn sent_after(&self, before: usize, words: &str) -> String {
        wait::until(words, || {
            let after = String::from_utf8_lossy(lock(&self.seen).sent.get(before..).unwrap_or_default()).into_owned();
            after.contains(words).then_some(after)
        })
    }

    /// Everything that the server sent to clients so far.
    #[must_use]
    pub fn received(&self) -> String {
        String::from_utf8_lossy(&lock(&self.seen).received).into_owned()
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().expect("no thread of the tap panics")
}

/// Where these bytes have what is looked for, or the beginning of it at their end.
fn begin_of(bytes: &[u8], sought: &[u8]) -> usize {
    let begins = |at: &usize| bytes[*at..].starts_with(sought) || sought.starts_with(&bytes[*at..]);
    (0..bytes.len()).find(begins).unwrap_or(bytes.len())
}

pub(crate) fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    mut cut: Option<(&'static str, &'static str)>,
    record: impl Fn(&[u8]),
) {
    let mut buffer = [0; 16 * 1024];
    let mut held = Vec::new();
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        // Recorded before it is passed on: who has seen the effect can read the cause.
        record(bytes);
        held.extend_from_slice(bytes);
        if let Some((first, last)) = cut {
            let text = String::from_utf8_lossy(&held).into_owned();
            let found = text.split_once(first).and_then(|(before, rest)| Some((before, rest.split_once(last)?.1)));
            let Some((before, after)) = found else {
                // What comes before it goes on.
                let rest = held.split_off(begin_of(&held, first.as_bytes()));
                if to.write_all(&std::mem::replace(&mut held, rest)).is_err() {
                    break;
                }
                continue;
            };
            held = format!("{before}{after}").into_bytes();
            cut = None;
        }
        if to.write_all(&std::mem::take(&mut held)).is_err() {
            break;
        }
    }
    // The other direction goes on: a server that takes nothing more may have said why.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
