//! A plain in-band bytestream (XEP-0047, no Jingle) over a component's connection (XEP-0114): what is read from standard
//! input goes to the peer, what the peer sends goes to standard output.
//!
//! ```text
//! COMPONENT_SECRET=… plain_bytestream HOST:PORT OWN_JID PEER_JID SID BLOCK_SIZE open|accept [CLOSE_AFTER]
//! ```
//!
//! The server has a component with the domain of OWN_JID and that secret. With CLOSE_AFTER this side closes the bytestream
//! once all is acknowledged and that many bytes have come; without it, it waits for the peer to close.

use std::env;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sha1::{Digest as _, Sha1};
use xtls_ibb::{Bytestream, BytestreamConfig, BytestreamRole, BytestreamState, ErrorOutcome, Request};
use xtls_stanza::{Condition, Element, Envelope, Ids, Iq, IqType, Limits, StreamItem, StreamReader};

/// A peer that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, own, peer, sid, block_size, direction, rest @ ..] = arguments.as_slice() else {
        return Err("HOST:PORT OWN_JID PEER_JID SID BLOCK_SIZE open|accept [CLOSE_AFTER]".into());
    };
    let role = match direction.as_str() {
        "open" => BytestreamRole::Opener,
        "accept" => BytestreamRole::Acceptor,
        _ => return Err("either open or accept".into()),
    };
    let close_after = rest.first().map(|bytes| bytes.parse()).transpose()?;
    let mut data = Vec::new();
    io::stdin().read_to_end(&mut data)?;

    let connection = Component::connect(address, own, &env::var("COMPONENT_SECRET")?)?;
    say("ready")?;
    let bytestream = Bytestream::new(role, sid, block_size.parse()?, BytestreamConfig::default());
    let mut end = End { connection, bytestream, own, peer, data, written: 0, received: 0, close_after };
    end.run()?;
    say(&format!("closed: {} bytes received, {} not acknowledged", end.received, end.bytestream.unacked()))
}

/// One end of the bytestream, its connection and what is still to be sent.
struct End<'a> {
    connection: Component,
    bytestream: Bytestream,
    own: &'a str,
    peer: &'a str,
    data: Vec<u8>,
    written: usize,
    received: usize,
    close_after: Option<usize>,
}

impl End<'_> {
    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut ids = Ids::new([7; 32]);
        let envelope = Envelope::new(self.peer, Some(self.own));
        if self.bytestream.role() == BytestreamRole::Opener {
            self.bytestream.open();
        }
        loop {
            self.write();
            let mut out = String::new();
            let cut = &mut |queued: &[u8], _: usize| queued.len();
            while self.bytestream.poll(&mut ids, &envelope, cut, &mut out).is_some() {}
            self.connection.socket.write_all(out.as_bytes())?;
            if self.bytestream.state() == BytestreamState::Closed {
                return Ok(());
            }
            let stanza = self.connection.read()?;
            self.handle(&stanza)?;
        }
    }

    /// Queues what there is room for, and closes when all was sent and enough has come.
    fn write(&mut self) {
        let to = self.data.len().min(self.written + self.bytestream.writable());
        self.bytestream.outgoing().extend_from_slice(&self.data[self.written..to]);
        self.written = to;
        if self.written == self.data.len() && self.close_after.is_some_and(|enough| self.received >= enough) {
            self.bytestream.close();
        }
    }

    fn handle(&mut self, stanza: &Element) -> Result<(), Box<dyn Error>> {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return Ok(()) };
        // Nobody else has a part in this bytestream; a server's error comes in the peer's name.
        if iq.from != Some(self.peer) {
            return self.refuse(&iq, Condition::ServiceUnavailable);
        }
        match iq.iq_type {
            IqType::Result => {
                // One that answers nothing of ours means nothing.
                let _ = self.bytestream.handle_result(iq.id);
            }
            IqType::Error => {
                let error = iq.error().ok_or("an error without one")?;
                match self.bytestream.handle_error(iq.id, &error) {
                    Some(ErrorOutcome::Retrying) => say(&format!("blocks of {}", self.bytestream.block_size()))?,
                    Some(outcome) => return Err(format!("{outcome:?}: {}", error.condition.as_str()).into()),
                    None => {}
                }
            }
            IqType::Get | IqType::Set => match iq.payload.and_then(Request::parse) {
                Some(Ok(request)) => self.request(&iq, &request)?,
                Some(Err(fault)) => self.answer(&iq, &fault.to_stanza_error())?,
                None => self.refuse(&iq, Condition::ServiceUnavailable)?,
            },
            _ => {}
        }
        Ok(())
    }

    fn request(&mut self, iq: &Iq<'_>, request: &Request<'_>) -> Result<(), Box<dyn Error>> {
        let mut received = Vec::new();
        match self.bytestream.handle_request(iq.id, request, &mut received) {
            Ok(_) => {
                io::stdout().write_all(&received)?;
                self.received += received.len();
                self.bytestream.release_acks(u64::MAX);
                Ok(())
            }
            Err(fault) => {
                say(&format!("refused: {fault}"))?;
                self.answer(iq, &fault.to_stanza_error())
            }
        }
    }

    fn refuse(&mut self, iq: &Iq<'_>, condition: Condition) -> Result<(), Box<dyn Error>> {
        match iq.iq_type {
            IqType::Get | IqType::Set => self.answer(iq, &condition.into()),
            IqType::Result | IqType::Error | _ => Ok(()),
        }
    }

    fn answer(&mut self, iq: &Iq<'_>, error: &xtls_stanza::StanzaError) -> Result<(), Box<dyn Error>> {
        let mut out = String::new();
        Iq::write_error(&mut out, iq.id, iq.from.ok_or("a stanza without a sender")?, Some(self.own), error);
        Ok(self.connection.socket.write_all(out.as_bytes())?)
    }
}

/// The connection of a component (XEP-0114).
struct Component {
    socket: TcpStream,
    reader: StreamReader,
    /// Bytes that came and were not looked at: from `.1` on in `.0`.
    input: (Vec<u8>, usize),
}

impl Component {
    fn connect(address: &str, own: &str, secret: &str) -> Result<Self, Box<dyn Error>> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        let reader = StreamReader::new(Limits::default());
        let mut component = Self { socket, reader, input: (Vec::new(), 0) };

        let bare = own.split('/').next().unwrap_or(own);
        let domain = bare.split('@').next_back().unwrap_or(bare);
        component.send(&format!(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
        ))?;
        let StreamItem::Header(header) = component.next()? else { return Err("no stream header".into()) };
        // XEP-0114 § 3: the SHA-1 of the stream's id and the secret, in lower-case hex.
        let digest = Sha1::digest(format!("{}{secret}", header.id().unwrap_or_default()));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        component.send(&format!("<handshake>{hex}</handshake>"))?;
        if component.read()?.name() != "handshake" {
            return Err("the server does not take the secret".into());
        }
        Ok(component)
    }

    /// In one piece: what is formatted into a socket goes out in several.
    fn send(&mut self, text: &str) -> io::Result<()> {
        self.socket.write_all(text.as_bytes())
    }

    fn read(&mut self) -> Result<Element, Box<dyn Error>> {
        match self.next()? {
            StreamItem::Stanza(stanza) => Ok(stanza),
            StreamItem::Header(_) | StreamItem::Close | _ => Err("the server has ended the stream".into()),
        }
    }

    fn next(&mut self) -> Result<StreamItem, Box<dyn Error>> {
        loop {
            let mut rest = &self.input.0[self.input.1..];
            let item = self.reader.read(&mut rest)?;
            self.input.1 = self.input.0.len() - rest.len();
            if let Some(item) = item {
                return Ok(item);
            }
            self.input.0.resize(16 * 1024, 0);
            let length = self.socket.read(&mut self.input.0)?;
            self.input = (self.input.0.drain(..length).collect(), 0);
            if length == 0 {
                return Err("the connection was lost".into());
            }
        }
    }
}

/// Standard output belongs to the bytes, so words go to standard error.
fn say(words: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(io::stderr(), "{words}")?)
}
