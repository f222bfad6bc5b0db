//! Those who are between a client and its server, or in the server's place.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::tap::pass;

/// Where what a server offers in clear ends.
const END_OF_FEATURES: &[u8] = b"</stream:features>";

/// Forwards connections to a server, and takes `<starttls/>` out of what it offers.
///
/// It ends with the test process.
#[derive(Debug)]
pub struct Stripper {
    port: u16,
}

/// Takes connections in a server's place, and says the same to everybody.
///
/// It ends with the test process.
#[derive(Debug)]
pub struct Impostor {
    port: u16,
}

impl Stripper {
    /// Starts forwarding to a port on 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn start(server: u16) -> Self {
        let port = serve(move |client| {
            let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
            let (Ok(client_read), Ok(upstream_write)) = (client.try_clone(), upstream.try_clone()) else { return };
            thread::spawn(move || pass(client_read, upstream_write, None, |_| {}));
            strip(upstream, client);
        });
        Self { port }
    }

    /// `HOST:PORT` to connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Impostor {
    /// Says this, and closes the connection.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn breaking_off(said: &'static [u8]) -> Self {
        let port = serve(move |mut client| {
            // The client may not want to hear it.
            let _ = client.write_all(said);
            let _ = client.shutdown(Shutdown::Write);
            // What is not read when a connection is closed resets it, and may take along what was written.
            let _ = client.read_to_end(&mut Vec::new());
        });
        Self { port }
    }

    /// Says the first until it hears `asked`, then the second, and closes the connection.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn answering(said: &'static [u8], asked: &'static str, answer: &'static [u8]) -> Self {
        let port = serve(move |mut client| {
            let _ = client.write_all(said);
            let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
            while !String::from_utf8_lossy(&heard).contains(asked) {
                let count = client.read(&mut buffer).unwrap_or(0);
                let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return };
                heard.extend_from_slice(bytes);
            }
            let _ = client.write_all(answer);
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        });
        Self { port }
    }

    /// Sends every client to another place in answer to its first header, in clear (RFC 6120 § 4.9.3.19).
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn sending_to(place: &str) -> Self {
        let place = place.to_owned();
        let port = serve(move |mut client| {
            let said = format!(
                "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>\
                 <stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{place}</see-other-host>\
                 </stream:error></stream:stream>"
            );
            let _ = client.write_all(said.as_bytes());
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        });
        Self { port }
    }

    /// Says this and nothing more, until the client has gone.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn staying(said: &'static [u8]) -> Self {
        let port = serve(move |mut client| {
            let _ = client.write_all(said);
            let _ = client.read_to_end(&mut Vec::new());
        });
        Self { port }
    }

    /// `HOST:PORT` to connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Listens on a port of its own, and serves each connection in a thread of its own.
fn serve(each: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let each = each.clone();
            thread::spawn(move || each(client));
        }
    });
    port
}

/// Passes on what the server says, its first features without `<starttls/>`.
fn strip(mut from: TcpStream, mut to: TcpStream) {
    let mut clear = Vec::new();
    let mut buffer = [0; 4096];
    while !clear.windows(END_OF_FEATURES.len()).any(|window| window == END_OF_FEATURES) {
        let count = from.read(&mut buffer).unwrap_or(0);
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        clear.extend_from_slice(bytes);
    }
    let said = String::from_utf8(clear).expect("what goes in clear is text");
    let offer = said.find("<starttls").zip(said.find("</starttls>"));
    let (begin, end) = offer.unwrap_or_else(|| panic!("no offer to take away: {said}"));
    let less = [said.get(..begin), said.get(end + "</starttls>".len()..)].into_iter().flatten().collect::<String>();
    if to.write_all(less.as_bytes()).is_ok() {
        pass(from, to, None, |_| {});
    }
}
