//! A SOCKS5 bytestream over one connection, with no XMPP around it: what is read from standard input goes to the peer, what the peer
//! sends goes to standard output, and each end closes its direction when it has sent all.
//!
//! ```text
//! socks_pipe listen SID REQUESTER TARGET
//! socks_pipe HOST:PORT SID REQUESTER TARGET
//! ```
//!
//! A listener says its port on standard error, and what becomes of each that connects.

use std::env;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use xtls_s5b::socks::{Acceptor, Client};
use xtls_s5b::{DstAddr, Listener};
use xtls_stanza::jid::Jid;

/// An end that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [place, sid, requester, target] = arguments.as_slice() else {
        return Err("listen|HOST:PORT SID REQUESTER TARGET".into());
    };
    let [requester, target]: [Jid; 2] = [requester.parse()?, target.parse()?];
    let (socket, early) = if place == "listen" {
        (listen(DstAddr::of_either_order(sid, &requester, &target))?, Vec::new())
    } else {
        dial(place, DstAddr::new(sid, &requester, &target))?
    };
    pipe(&socket, &early)?;
    Ok(())
}

/// The connection that asks for the bytestream, among all that come.
fn listen(names: [DstAddr; 2]) -> Result<TcpStream, Box<dyn Error>> {
    let mut listener = Listener::new();
    let sockets = TcpListener::bind(("127.0.0.1", 0))?;
    writeln!(io::stderr(), "{}", sockets.local_addr()?.port())?;
    loop {
        let (mut socket, _) = sockets.accept()?;
        // One after the other, so that one that says nothing holds up the others for its time.
        let visitor = listener.admit(now())?;
        socket.set_read_timeout(Some(Listener::VISIT_TIME))?;
        let mut acceptor = Acceptor::new();
        while !acceptor.is_accepted() && acceptor.fault().is_none() {
            let mut bytes = [0; 1024];
            match socket.read(&mut bytes) {
                Ok(0) | Err(_) => drop(acceptor.handle_end()),
                // It is told by `fault`.
                Ok(length) => drop(acceptor.handle_bytes(&bytes[..length])),
            }
            if let Some(name) = acceptor.asked() {
                if names.contains(&name) { acceptor.accept()? } else { acceptor.refuse()? }
            }
            let mut out = Vec::new();
            while acceptor.poll(&mut out) {
                socket.write_all(&out)?;
                out.clear();
            }
        }
        listener.let_go(visitor);
        match acceptor.fault() {
            None => return Ok(socket),
            Some(fault) => writeln!(io::stderr(), "{fault}")?,
        }
    }
}

/// A connection whose other end has accepted, and what came after the reply.
fn dial(place: &str, name: DstAddr) -> Result<(TcpStream, Vec<u8>), Box<dyn Error>> {
    let mut socket = TcpStream::connect(place)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let mut client = Client::new(name);
    let mut bytes = [0; 1024];
    loop {
        let mut out = Vec::new();
        if client.poll(&mut out) {
            socket.write_all(&out)?;
        }
        let length = socket.read(&mut bytes)?;
        if length == 0 {
            client.handle_end()?;
        }
        let taken = client.handle_bytes(&bytes[..length])?;
        if client.is_connected() {
            return Ok((socket, bytes[taken..length].to_vec()));
        }
    }
}

fn pipe(socket: &TcpStream, early: &[u8]) -> io::Result<()> {
    socket.set_read_timeout(Some(SILENCE))?;
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            io::copy(&mut io::stdin(), &mut &*socket)?;
            socket.shutdown(Shutdown::Write)
        });
        io::stdout().write_all(early)?;
        io::copy(&mut &*socket, &mut io::stdout())?;
        sending.join().map_err(|_| io::Error::other("the sender has panicked"))?
    })
}

#[allow(clippy::disallowed_methods, reason = "an example has a clock")]
fn now() -> Instant {
    Instant::now()
}
