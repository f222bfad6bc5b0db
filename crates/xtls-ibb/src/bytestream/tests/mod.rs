//! Two ends joined in memory, and what the other tests share.

mod attacks;
mod conformance;
mod delivery;
mod negotiated;
mod sizes;
mod states;
mod transfer;

use xtls_stanza::{Condition, Element, ElementRef, ErrorType, Iq, Limits, StanzaError};

use super::inbound::is_delivery_error;
use super::*;
use crate::{BytestreamFault, Payload, Request};

const SID: &str = "ch3d9s71";
const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";

/// One end with what surrounds it.
#[derive(Debug)]
struct End {
    stream: Bytestream,
    ids: Ids,
    /// Everything that the peer's blocks carried.
    received: Vec<u8>,
    /// Whether blocks are acknowledged as they come.
    reads: bool,
}

impl End {
    fn new(role: BytestreamRole, block_size: u16, config: BytestreamConfig) -> Self {
        let stream = Bytestream::new(role, SID, block_size, config);
        Self { stream, ids: Ids::new([role_seed(role); 32]), received: Vec::new(), reads: true }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.outgoing().extend_from_slice(bytes);
    }

    /// The next stanza, cut wherever the limit falls.
    fn poll(&mut self) -> Option<(Sent, String)> {
        let mut out = String::new();
        let sent =
            self.stream.poll(&mut self.ids, &Envelope::new(JULIET, None), &mut |bytes, _| bytes.len(), &mut out)?;
        Some((sent, out))
    }

    /// All stanzas that are to be had.
    fn poll_all(&mut self) -> Vec<(Sent, String)> {
        std::iter::from_fn(|| self.poll()).collect()
    }

    /// Takes a stanza and returns the error to answer with, if there is one.
    fn take(&mut self, stanza: &str) -> Option<String> {
        let parts = Parts::of(stanza);
        match parts.kind {
            "result" => {
                self.stream.handle_result(parts.id).unwrap();
                None
            }
            "error" => {
                let element = Element::parse(stanza, &Limits::default()).unwrap();
                let error = StanzaError::of_stanza(&element).unwrap();
                self.stream.handle_error(parts.id, &error).unwrap();
                None
            }
            _ => {
                let handled = self.stream.handle_request(parts.id, &parts.request(), &mut self.received);
                if self.reads {
                    self.stream.release_acks(u64::MAX);
                }
                let mut answer = String::new();
                Iq::write_error(&mut answer, parts.id, ROMEO, None, &handled.err()?.to_stanza_error());
                Some(answer)
            }
        }
    }

    fn request(&mut self, id: &str, request: &Request<'_>) -> Result<Handled, BytestreamFault> {
        self.stream.handle_request(id, request, &mut self.received)
    }

    fn data(&mut self, id: &str, seq: u16, base64: &str) -> Result<Handled, BytestreamFault> {
        self.request(id, &Request::Data { sid: SID, seq, payload: Payload::from(base64) })
    }
}

fn role_seed(role: BytestreamRole) -> u8 {
    u8::from(role == BytestreamRole::Opener)
}

/// What the tests need of a stanza that [`Bytestream::poll`] wrote, found without a parser so that long runs are fast.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    kind: &'a str,
    id: &'a str,
    stanza: &'a str,
}

impl<'a> Parts<'a> {
    fn of(stanza: &'a str) -> Self {
        assert!(stanza.starts_with("<iq type='") && stanza.ends_with('>'));
        let mut parts = stanza.split('\'');
        let kind = parts.nth(1).unwrap();
        let id = parts.nth(1).unwrap();
        Self { kind, id, stanza }
    }

    fn value(&self, name: &str) -> &'a str {
        let (_, rest) = self.stanza.split_once(&format!(" {name}='")).unwrap();
        rest.split_once('\'').unwrap().0
    }

    fn payload(&self) -> &'a str {
        let (before, _) = self.stanza.rsplit_once("</data></iq>").unwrap();
        before.rsplit_once('>').unwrap().1
    }

    fn request(&self) -> Request<'a> {
        let sid = self.value("sid");
        if self.stanza.contains("<data ") {
            Request::Data { sid, seq: self.value("seq").parse().unwrap(), payload: self.payload().into() }
        } else if self.stanza.contains("<open ") {
            Request::Open { sid, block_size: self.value("block-size").parse().unwrap() }
        } else {
            Request::Close { sid }
        }
    }
}

/// Carries stanzas both ways until neither end has one; answers with errors where they are due.
fn run(a: &mut End, b: &mut End) {
    loop {
        let mut moved = false;
        for turn in 0..2 {
            let (from, to) = if turn == 0 { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            while let Some((_, stanza)) = from.poll() {
                moved = true;
                if let Some(error) = to.take(&stanza) {
                    from.take(&error);
                }
            }
        }
        if !moved {
            return;
        }
    }
}

/// An open bytestream: the opener and the acceptor.
fn pair(block_size: u16, config: BytestreamConfig) -> (End, End) {
    let mut opener = End::new(BytestreamRole::Opener, block_size, config);
    let mut acceptor = End::new(BytestreamRole::Acceptor, block_size, config);
    opener.stream.open();
    run(&mut opener, &mut acceptor);
    assert_eq!((opener.stream.state(), acceptor.stream.state()), (BytestreamState::Open, BytestreamState::Open));
    (opener, acceptor)
}

fn parse(stanza: &str) -> Element {
    Element::parse(stanza, &Limits::default()).unwrap()
}

fn request_of(element: &Element) -> Request<'_> {
    let payload: ElementRef<'_> = Iq::parse(element).unwrap().unwrap().payload.unwrap();
    Request::parse(payload).unwrap().unwrap()
}

fn stanza_error(condition: Condition) -> StanzaError {
    StanzaError::new(condition)
}

/// Bytes that are never twice the same in a row.
fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 256) % 256).unwrap()).collect()
}
