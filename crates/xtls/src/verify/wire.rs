//! Requests and their results (docs/wire.md § 6).

use core::fmt;

use sha2::{Digest as _, Sha256};
use xtls_stanza::{Builder, Condition, Element, ElementRef, Ids, Iq, IqType, ns};

use super::VERIFY_NS;

/// Bytes of the name of an attempt that are taken.
pub(super) const MAX_ATTEMPT: usize = 64;

/// 32 random bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce([u8; 32]);

impl Nonce {
    /// One that nobody can guess: of 252 random bits.
    pub(super) fn new(ids: &mut Ids) -> Self {
        let mut hash = Sha256::new();
        for _ in 0..2 {
            hash.update(ids.next_id().as_str());
        }
        Self(hash.finalize().into())
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The own one is a secret until the peer has sent its own.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// What one end asks of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// To compare; answered by a commitment.
    Propose,
    /// The proposer's nonce; answered by the other one.
    Nonce(Nonce),
    /// What its user has said; acknowledged.
    Answer { matches: bool },
    /// Its user will not compare; acknowledged.
    Abort,
}

/// What is in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Commitment([u8; 32]),
    Nonce(Nonce),
    Nothing,
}

/// Reads a request; the name of the attempt beside it. `None` when it makes no sense.
pub(super) fn read(payload: ElementRef<'_>) -> Option<(&str, Request)> {
    let attempt = payload.attribute("attempt").filter(|name| !name.is_empty() && name.len() <= MAX_ATTEMPT)?;
    let request = match payload.name() {
        "propose" => Request::Propose,
        "nonce" => Request::Nonce(Nonce(hex(payload)?)),
        "answer" => Request::Answer {
            matches: match payload.attribute("matches")? {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return None,
            },
        },
        "abort" => Request::Abort,
        _ => return None,
    };
    Some((attempt, request))
}

/// Reads a result.
pub(super) fn read_reply(iq: &Iq<'_>) -> Option<Reply> {
    let Some(payload) = iq.payload else { return Some(Reply::Nothing) };
    match payload.name() {
        _ if payload.ns() != VERIFY_NS => None,
        "commitment" => hex(payload).map(Reply::Commitment),
        "nonce" => hex(payload).map(|bytes| Reply::Nonce(Nonce(bytes))),
        _ => None,
    }
}

/// The request as an IQ.
pub(super) fn request(id: &str, attempt: &str, request: &Request) -> Option<Element> {
    let iq = iq(IqType::Set, id);
    let open = |name: &str| iq.open(name, VERIFY_NS).attribute("attempt", attempt);
    let iq = match request {
        Request::Propose => open("propose"),
        Request::Nonce(nonce) => open("nonce").text(&shown(nonce.bytes())),
        Request::Answer { matches } => open("answer").attribute("matches", if *matches { "true" } else { "false" }),
        Request::Abort => open("abort"),
    };
    iq.build().ok()
}

/// The result of the request with this id.
pub(super) fn result(id: &str, reply: &Reply) -> Option<Element> {
    let iq = iq(IqType::Result, id);
    let iq = match reply {
        Reply::Commitment(hash) => iq.open("commitment", VERIFY_NS).text(&shown(hash)),
        Reply::Nonce(nonce) => iq.open("nonce", VERIFY_NS).text(&shown(nonce.bytes())),
        Reply::Nothing => iq,
    };
    iq.build().ok()
}

/// The refusal of the request with this id.
pub(super) fn refusal(id: &str, condition: Condition) -> Option<Element> {
    let error = iq(IqType::Error, id).open("error", ns::CLIENT).attribute("type", condition.default_type().as_str());
    error.open(condition.as_str(), ns::STANZA_ERRORS).build().ok()
}

fn iq(iq_type: IqType, id: &str) -> Builder {
    Element::builder("iq", ns::CLIENT).attribute("type", iq_type.as_str()).attribute("id", id)
}

fn shown(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 hexadecimal digits, and nothing else but white space around them.
fn hex(element: ElementRef<'_>) -> Option<[u8; 32]> {
    let digits = element.single_text()?.trim().as_bytes();
    let mut bytes = [0; 32];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
