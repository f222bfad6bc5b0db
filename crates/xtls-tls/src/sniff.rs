//! Which method a client asks for, told from its ClientHello before there is an engine to read it.

use crate::records::HEADER;
use crate::session::MAX_HANDSHAKE;

/// The content type of handshake records (RFC 8446 § 5.1).
const HANDSHAKE: u8 = 22;
/// The most that an unprotected record holds (RFC 8446 § 5.1).
const MAX_FRAGMENT: usize = 1 << 14;
/// The handshake type of a ClientHello, and the length of the header before it (RFC 8446 § 4).
const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEADER: usize = 4;
/// The type of the extension with the user name (RFC 5054 § 2.8.1).
const SRP_EXTENSION: u16 = 12;
/// A session id is at most this long (RFC 8446 § 4.1.2).
const MAX_SESSION_ID: usize = 32;

/// Which method a ClientHello asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientHelloMethod {
    /// The ClientHello has not come to its end. Never the answer to [`MAX_HANDSHAKE`] bytes or more.
    NeedMore,
    /// A password: its cipher suites are all of RFC 5054. Normally the `srp` extension is there too; without it the
    /// engine refuses the handshake.
    Srp,
    /// Certificates: none of its cipher suites is of RFC 5054, and there is no `srp` extension.
    X509,
    /// Both, or neither. XTLS agrees on one method before TLS begins, so this is to be refused: whichever engine took it
    /// would choose in the client's stead.
    Mixed,
    /// Something else, or a ClientHello that is malformed or longer than [`MAX_HANDSHAKE`].
    NotClientHello,
}

/// Tells from the start of a client's TLS stream which method it asks for.
///
/// `bytes` is everything that came so far, with nothing before it taken away; a ClientHello may be spread over records in
/// any way, and what follows it does not matter. The answer is [`ClientHelloMethod::NeedMore`] until it is final: with
/// more bytes after it, it stays the same.
///
/// The judgement is about the method alone. Whether the handshake can succeed is the engine's to say, which is given the
/// same bytes.
#[must_use]
pub fn client_hello_method(bytes: &[u8]) -> ClientHelloMethod {
    let seen = bytes.get(..MAX_HANDSHAKE).unwrap_or(bytes);
    match message(seen) {
        Ok(hello) => method(&hello).unwrap_or(ClientHelloMethod::NotClientHello),
        Err(Incomplete) if seen.len() == MAX_HANDSHAKE => ClientHelloMethod::NotClientHello,
        Err(Incomplete) => ClientHelloMethod::NeedMore,
        Err(NotOne) => ClientHelloMethod::NotClientHello,
    }
}

/// The same for a stream that comes in pieces: what was looked at is not looked at again before the answer is final, so that a
/// client which sends byte by byte costs no more than one that sends all at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientHelloWatch {
    /// How many bytes were looked at.
    at: usize,
    /// What is missing of the record's content.
    left: usize,
    /// How much of the message has come, and how it begins.
    held: usize,
    begin: [u8; MESSAGE_HEADER],
    /// No more has to come.
    settled: bool,
}

impl ClientHelloWatch {
    /// The answer of [`client_hello_method`] to these bytes, which are all that came so far.
    pub fn look(&mut self, bytes: &[u8]) -> ClientHelloMethod {
        let seen = bytes.get(..MAX_HANDSHAKE).unwrap_or(bytes);
        self.settled = self.settled || seen.len() == MAX_HANDSHAKE || !self.is_well_begun(seen);
        if self.settled { client_hello_method(bytes) } else { ClientHelloMethod::NeedMore }
    }

    /// Whether it may still become a ClientHello and is none yet.
    fn is_well_begun(&mut self, seen: &[u8]) -> bool {
        while let Some(rest) = seen.get(self.at..).filter(|rest| !rest.is_empty()) {
            if self.left == 0 {
                let Some(&[kind, major, _, high, low]) = rest.first_chunk() else {
                    return matches!(rest, [HANDSHAKE] | [HANDSHAKE, 3, ..]);
                };
                self.at += HEADER;
                self.left = usize::from(u16::from_be_bytes([high, low]));
                if kind != HANDSHAKE || major != 3 || self.left == 0 || self.left > MAX_FRAGMENT {
                    return false;
                }
                continue;
            }
            let fragment = &rest[..self.left.min(rest.len())];
            self.begin.iter_mut().skip(self.held).zip(fragment).for_each(|(slot, byte)| *slot = *byte);
            self.held += fragment.len();
            self.at += fragment.len();
            self.left -= fragment.len();
            let [kind, high, middle, low] = self.begin;
            let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
            let has_length = self.held >= MESSAGE_HEADER;
            if kind != CLIENT_HELLO || has_length && (length > MAX_HANDSHAKE || self.held - MESSAGE_HEADER >= length) {
                return false;
            }
        }
        true
    }
}

use NoMessage::{Incomplete, NotOne};

enum NoMessage {
    Incomplete,
    NotOne,
}

/// The body of the ClientHello, put together from its records.
fn message(mut records: &[u8]) -> Result<Vec<u8>, NoMessage> {
    let mut message = Vec::new();
    loop {
        let fragment = fragment(&mut records)?;
        message.extend_from_slice(fragment);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(NotOne);
        }
        if let [_, high, middle, low, body @ ..] = &message[..] {
            let length = u32::from_be_bytes([0, *high, *middle, *low]);
            let length = usize::try_from(length).map_err(|_| NotOne)?;
            if length > MAX_HANDSHAKE {
                return Err(NotOne);
            }
            if body.len() >= length {
                message.truncate(MESSAGE_HEADER + length);
                message.drain(..MESSAGE_HEADER);
                return Ok(message);
            }
        }
        if records.is_empty() {
            return Err(Incomplete);
        }
    }
}

/// What there is of the next record's content. Judged byte by byte, as far as the bytes go.
fn fragment<'a>(records: &mut &'a [u8]) -> Result<&'a [u8], NoMessage> {
    let well_begun = match records {
        [] => true,
        [kind] => *kind == HANDSHAKE,
        [kind, major, ..] => *kind == HANDSHAKE && *major == 3,
    };
    if !well_begun {
        return Err(NotOne);
    }
    let Some((&[_, _, _, high, low], rest)) = records.split_first_chunk::<HEADER>() else {
        return Err(Incomplete);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // RFC 8446 § 5.1: handshake fragments MUST NOT be empty.
    if length == 0 || length > MAX_FRAGMENT {
        return Err(NotOne);
    }
    let (fragment, rest) = rest.split_at(length.min(rest.len()));
    *records = rest;
    Ok(fragment)
}

/// Reads as much of a ClientHello (RFC 5246 § 7.4.1.2, RFC 8446 § 4.1.2) as the method depends on. `None` if malformed.
fn method(mut hello: &[u8]) -> Option<ClientHelloMethod> {
    let hello = &mut hello;
    let _version_and_random = take(hello, 2 + 32)?;
    if vector8(hello)?.len() > MAX_SESSION_ID {
        return None;
    }
    let mut suites = vector16(hello)?;
    if suites.is_empty() || vector8(hello)?.is_empty() {
        return None;
    }
    let (mut srp, mut certificate) = (false, false);
    while !suites.is_empty() {
        match kind(number(&mut suites)?) {
            Kind::Srp => srp = true,
            Kind::Certificate => certificate = true,
            Kind::Signal => {}
        }
    }
    if !hello.is_empty() {
        let mut extensions = vector16(hello)?;
        while !extensions.is_empty() {
            srp |= number(&mut extensions)? == SRP_EXTENSION;
            vector16(&mut extensions)?;
        }
    }
    if !hello.is_empty() {
        return None;
    }
    Some(match (srp, certificate) {
        (true, false) => ClientHelloMethod::Srp,
        (false, true) => ClientHelloMethod::X509,
        (true, true) | (false, false) => ClientHelloMethod::Mixed,
    })
}

enum Kind {
    Srp,
    Certificate,
    Signal,
}

/// What the number of a cipher suite stands for.
fn kind(suite: u16) -> Kind {
    match suite {
        // RFC 5054 § 2.7: all nine, those with a certificate too.
        0xC01A..=0xC022 => Kind::Srp,
        // RFC 5746 § 3.3 and RFC 7507: no suites, but signals.
        0x00FF | 0x5600 => Kind::Signal,
        // RFC 8701: both bytes alike, and their lower halves 10. Reserved to keep servers tolerant.
        other if other & 0x0F0F == 0x0A0A && other >> 8 == other & 0xFF => Kind::Signal,
        _ => Kind::Certificate,
    }
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(taken)
}

fn number(input: &mut &[u8]) -> Option<u16> {
    let (number, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(u16::from_be_bytes(*number))
}

fn vector8<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first()?;
    *input = rest;
    take(input, usize::from(*length))
}

fn vector16<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(input)?;
    take(input, usize::from(length))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
