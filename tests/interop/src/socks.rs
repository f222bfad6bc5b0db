//! A SOCKS 5 proxy (RFC 1928).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::tap::pass;

/// The reply where there is no such host (RFC 1928 § 6).
const HOST_UNREACHABLE: u8 = 4;

/// A proxy, whose hosts are all servers on 127.0.0.1.
///
/// It ends with the test process.
#[derive(Debug)]
pub struct Socks {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A connection to a host by name (ATYP 3).
    Name(String, u16),
    /// A connection to an address (ATYP 1 or 4).
    Address(String, u16),
}

/// What a proxy does.
#[derive(Clone, Debug)]
struct Manner {
    /// The port of each host; an empty name stands for every other one.
    hosts: Vec<(String, u16)>,
    /// Who may use it; without it, everybody.
    login: Option<(String, String)>,
    /// What it replies in place of a connection.
    reply: Option<u8>,
}

impl Socks {
    /// One that connects everybody to a port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn to(server: u16) -> Self {
        Self::with_hosts(&[("", server)])
    }

    /// One that knows these hosts alone, each with its port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn with_hosts(hosts: &[(&str, u16)]) -> Self {
        let hosts = hosts.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
        Self::start(Manner { hosts, login: None, reply: None })
    }

    /// The same for those who log in as this user (RFC 1929).
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn with_login(server: u16, user: &str, password: &str) -> Self {
        let login = Some((user.to_owned(), password.to_owned()));
        Self::start(Manner { hosts: vec![(String::new(), server)], login, reply: None })
    }

    /// One that gives this reply (RFC 1928 § 6) to everybody.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn replying(reply: u8) -> Self {
        Self::start(Manner { hosts: Vec::new(), login: None, reply: Some(reply) })
    }

    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (manner, record) = (manner.clone(), Arc::clone(&record));
                thread::spawn(move || serve(client, &manner, &record));
            }
        });
        Self { port, seen }
    }

    /// The address for `--proxy`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("socks5://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every connection that was asked for so far.
    ///
    /// # Panics
    ///
    /// Never: nobody panics while holding them.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("nobody panics").clone()
    }
}

fn serve(mut client: TcpStream, manner: &Manner, seen: &Mutex<Vec<Request>>) -> Option<()> {
    let [version, count] = read(&mut client)?;
    assert_eq!(version, 5, "another version of SOCKS");
    let mut methods = vec![0; usize::from(count)];
    client.read_exact(&mut methods).ok()?;
    let method = if manner.login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        client.write_all(&[5, 0xFF]).ok()?;
        return None;
    }
    client.write_all(&[5, method]).ok()?;
    if let Some((user, password)) = &manner.login {
        assert_eq!(read(&mut client)?, [1]);
        let given = (text(&mut client)?, text(&mut client)?);
        let is_right = (&given.0, &given.1) == (user, password);
        client.write_all(&[1, u8::from(!is_right)]).ok()?;
        if !is_right {
            return None;
        }
    }
    let [version, command, reserved, kind] = read(&mut client)?;
    assert_eq!((version, command, reserved), (5, 1, 0));
    let request = match kind {
        1 => Request::Address(Ipv4Addr::from(read(&mut client)?).to_string(), port(&mut client)?),
        3 => Request::Name(text(&mut client)?, port(&mut client)?),
        4 => Request::Address(Ipv6Addr::from(read(&mut client)?).to_string(), port(&mut client)?),
        kind => panic!("no kind of address: {kind}"),
    };
    let (Request::Name(host, _) | Request::Address(host, _)) = &request;
    let known = manner.hosts.iter().find(|(known, _)| known.is_empty() || known == host).map(|(_, port)| *port);
    seen.lock().expect("nobody panics").push(request);
    let reply = |code: u8| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    let Some(server) = known else {
        client.write_all(&reply(manner.reply.unwrap_or(HOST_UNREACHABLE))).ok()?;
        return None;
    };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).ok()?;
    client.write_all(&reply(0)).ok()?;
    let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || pass(from, to, None, |_| {}));
    pass(server, client, None, |_| {});
    Some(())
}

fn read<const N: usize>(client: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn port(client: &mut TcpStream) -> Option<u16> {
    read(client).map(u16::from_be_bytes)
}

fn text(client: &mut TcpStream) -> Option<String> {
    let [length] = read(client)?;
    let mut bytes = vec![0; usize::from(length)];
    client.read_exact(&mut bytes).ok()?;
    Some(String::from_utf8(bytes).expect("text"))
}
