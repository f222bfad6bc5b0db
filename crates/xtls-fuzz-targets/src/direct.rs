//! Streams over connections of their own, and inside a tunnel: however the bytes are cut.

use xtls_stanza::jid::{FullJid, Jid};
use xtls_stanza::{Ids, Limits, TlsOffer, ns};
use xtls_stream::{
    Addressing, DirectEvent, DirectStage, DirectStream, Features, StartTlsDialect, StreamEvent, StreamOptions,
    StreamRole, TlsPolicy, TunnelStream,
};

use crate::input::{Input, pieces};

const SERVER: &str = "im.example.com";
const CLIENT: &str = "juliet@im.example.com";
const FROM_CLIENT: &str = "<stream:stream from='juliet@im.example.com' to='im.example.com' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const FROM_SERVER: &str = "<stream:stream from='im.example.com' id='1' to='juliet@im.example.com' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const OLD_SERVER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
    xmlns:tls='http://www.ietf.org/rfc/rfc2595.txt' from='im.example.com'>";
const TLS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const NO_FEATURES: &str = "<stream:features/>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";

/// The ways in which an end can stand when any bytes come.
const SHAPES: usize = 18;

/// The first byte says which end there is and how far it has come, the second how the bytes, which are the rest, are cut.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (shape, cut) = (input.below(SHAPES), input.byte());
    let bytes = input.rest();
    let whole = hear(shape, &[bytes]);
    assert_eq!(hear(shape, &pieces(bytes, cut)), whole, "however it is cut");
    assert_eq!(hear(shape, &bytes.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
}

/// What happened and what was written. Events are polled in the end: what was polled cannot be withdrawn when bytes follow
/// where TLS has to begin.
fn hear(shape: usize, pieces: &[&[u8]]) -> (Vec<String>, String) {
    if shape >= SHAPES - 3 {
        let mut end = Inside::at(shape);
        pieces.iter().for_each(|piece| end.hear(piece));
        return end.finish();
    }
    let mut end = End::at(shape);
    pieces.iter().for_each(|piece| end.hear(piece));
    end.finish()
}

/// One end of a stream over a connection.
struct End {
    stream: DirectStream,
    ids: Ids,
    out: Vec<u8>,
    events: Vec<String>,
    /// Whether something has happened after which nothing may happen.
    over: bool,
}

impl End {
    fn at(shape: usize) -> Self {
        match shape {
            0 => Self::server(|_| {}),
            1 => Self::server(|options| options.dialect = StartTlsDialect::Xep0035),
            2 => Self::opened_server(|_| {}),
            3 => Self::opened_server(|options| options.tls = TlsPolicy::IfOffered),
            4 => Self::opened_server(|options| options.secured = true),
            5 => {
                // Between peers, who calls is not known.
                Self::server(|options| {
                    (options.addressing, options.peer) = (Addressing::Peers, None);
                })
            }
            6 => {
                let mut end = Self::opened_server(|_| {});
                end.hear(STARTTLS.as_bytes());
                end
            }
            7 => Self::client(|_| {}),
            8 => Self::client(|options| options.dialect = StartTlsDialect::Xep0035),
            9 => {
                let mut end = Self::client(|options| options.dialect = StartTlsDialect::Xep0035);
                end.hear(OLD_SERVER.as_bytes());
                end.ask();
                end
            }
            10 => {
                let mut end = Self::opened_client(TLS, |_| {});
                end.ask();
                end
            }
            11 => Self::opened_client(NO_FEATURES, |options| options.secured = true),
            12 => {
                let mut end = Self::opened_client(NO_FEATURES, |options| options.secured = true);
                let _ = end.stream.close(&mut end.out);
                end
            }
            13 => Self::opened_client(TLS, |options| options.tls = TlsPolicy::IfOffered),
            _ => Self::client(|options| options.addressing = Addressing::Peers),
        }
    }

    fn client(change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut options = StreamOptions::new(Some(jid(CLIENT)), Some(jid(SERVER)));
        change(&mut options);
        let mut end = Self::of(DirectStream::initiating(options));
        end.stream.start(&mut end.out).expect("it has not begun");
        end
    }

    fn server(change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut options = StreamOptions::new(Some(jid(SERVER)), None);
        change(&mut options);
        Self::of(DirectStream::receiving(options))
    }

    fn of(stream: DirectStream) -> Self {
        Self { stream, ids: Ids::new([1; 32]), out: Vec::new(), events: Vec::new(), over: false }
    }

    fn opened_client(features: &str, change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut end = Self::client(change);
        end.hear(FROM_SERVER.as_bytes());
        end.hear(features.as_bytes());
        end.poll();
        end
    }

    fn opened_server(change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut end = Self::server(change);
        end.hear(FROM_CLIENT.as_bytes());
        end.poll();
        end.stream.send_features(&Features::default(), &mut end.out).expect("it is their turn");
        end
    }

    fn ask(&mut self) {
        self.poll();
        self.stream.start_tls(Some(&TlsOffer::new([], true)), &mut self.out).expect("it was offered");
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        loop {
            let taken = self.stream.handle_bytes(bytes, &mut self.ids, &mut self.out);
            assert!(taken <= bytes.len());
            bytes = &bytes[taken..];
            if bytes.is_empty() {
                return;
            }
            // It reads no more until the events have been taken.
            if !self.poll() {
                let stage = self.stream.stage();
                assert!(matches!(stage, DirectStage::Tls | DirectStage::Closed | DirectStage::Failed), "{stage:?}");
                return;
            }
        }
    }

    /// Takes the events; whether there were any.
    fn poll(&mut self) -> bool {
        let mut count = 0;
        while let Some(event) = self.stream.poll_event() {
            count += 1;
            self.note(&event);
        }
        assert!(count <= DirectStream::MAX_EVENTS + 2, "{count} events waited");
        count > 0
    }

    fn note(&mut self, event: &DirectEvent) {
        assert!(!self.over, "nothing comes after the end");
        match event {
            DirectEvent::Stanza(stanza) => {
                assert!(ns::is_stanza(stanza.ns()) && ["message", "presence", "iq"].contains(&stanza.name()));
                self.events.push(stanza.to_xml(""));
            }
            DirectEvent::Nonza(nonza) => self.events.push(nonza.to_xml("")),
            DirectEvent::Features(features) => {
                let mut text = String::new();
                features.write(&mut text);
                self.events.push(text);
            }
            DirectEvent::Closed | DirectEvent::Failed(_) => {
                self.over = true;
                self.events.push(format!("{event:?}"));
            }
            event => self.events.push(format!("{event:?}")),
        }
    }

    fn finish(mut self) -> (Vec<String>, String) {
        self.poll();
        assert_eq!(self.over, self.stream.is_over(), "the end is told");
        self.events.push(format!("{:?}", self.stream.stage()));
        (self.events, checked(self.out, 3))
    }
}

/// One end of the stream inside a tunnel.
struct Inside {
    stream: TunnelStream,
    ids: Ids,
    out: Vec<u8>,
    events: Vec<String>,
    over: bool,
}

impl Inside {
    fn at(shape: usize) -> Self {
        let (role, local, peer) = match SHAPES - shape {
            3 => (StreamRole::Responder, JULIET, ROMEO),
            _ => (StreamRole::Initiator, ROMEO, JULIET),
        };
        let stream = TunnelStream::new(role, full(local), full(peer), Limits::default());
        let mut end = Self { stream, ids: Ids::new([1; 32]), out: Vec::new(), events: Vec::new(), over: false };
        if role == StreamRole::Initiator {
            end.stream.open(&mut end.out).expect("it is the first to open");
        }
        if SHAPES - shape == 1 {
            let header = format!(
                "<stream:stream xmlns='jabber:client' xmlns:stream='{}' from='{JULIET}' to='{ROMEO}' version='1.0'>",
                ns::STREAM
            );
            end.hear(header.as_bytes());
            assert!(end.stream.is_open());
        }
        end
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        loop {
            let taken = self.stream.handle_bytes(bytes, &mut self.ids, &mut self.out);
            bytes = &bytes[taken..];
            if bytes.is_empty() {
                return;
            }
            if !self.poll() {
                assert!(self.stream.is_failed());
                return;
            }
        }
    }

    fn poll(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.stream.poll_event() {
            assert!(!self.over, "nothing comes after the fault");
            any = true;
            match &event {
                StreamEvent::Stanza(stanza) => {
                    // Nobody speaks in another's name, whatever the peer wrote.
                    let between =
                        |end: &str, of: &FullJid| Jid::new(end).is_ok_and(|jid| jid == **of || jid == *of.to_bare());
                    assert!(stanza.attribute("from").is_some_and(|from| between(from, self.stream.peer())));
                    assert!(stanza.attribute("to").is_some_and(|to| between(to, self.stream.local())));
                    self.events.push(stanza.to_xml(""));
                }
                StreamEvent::Failed(_) => {
                    self.over = true;
                    self.events.push(format!("{event:?}"));
                }
                event => self.events.push(format!("{event:?}")),
            }
        }
        any
    }

    fn finish(mut self) -> (Vec<String>, String) {
        self.poll();
        assert_eq!(self.over, self.stream.is_failed());
        (self.events, checked(self.out, usize::MAX))
    }
}

/// What is written is sound XML, header after header.
fn checked(out: Vec<u8>, headers: usize) -> String {
    let text = String::from_utf8(out).expect("text is written");
    assert!(text.matches("<stream:stream").count() <= headers);
    let mut rest = &*text;
    while let Some(at) = rest.find("<stream:stream") {
        let end = rest[at + 1..].find("<stream:stream").map_or(rest.len(), |next| at + 1 + next);
        let mut reader = xtls_stanza::StreamReader::new(Limits::default());
        let mut bytes = &rest.as_bytes()[at..end];
        while reader.read(&mut bytes).expect("what is written can be read").is_some() {}
        rest = &rest[end..];
    }
    text
}

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

fn full(text: &str) -> FullJid {
    FullJid::new(text).expect("a full address")
}
