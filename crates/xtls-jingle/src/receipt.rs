//! Receipts: what an end says once its application has all that the other one sent (docs/wire.md § 9).

use core::fmt;

use xtls_stanza::{ElementRef, write};

/// The namespace of receipts.
pub const RECEIPT_NS: &str = "urn:xtls:receipt:0";

/// A `<receipt/>` in a `<jingle/>`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// Without a proof, in a session-initiate or session-accept: its sender gives receipts, and takes them.
    Announced,
    /// In a session-info: its sender has everything, and this is the proof.
    Given([u8; 32]),
}

/// A receipt whose proof is not 64 hexadecimal digits.
pub(crate) struct Unreadable;

impl Receipt {
    /// Whether an element is a receipt.
    pub(crate) fn is(element: ElementRef<'_>) -> bool {
        element.is("receipt", RECEIPT_NS)
    }

    /// Reads one.
    pub(crate) fn parse(element: ElementRef<'_>) -> Result<Self, Unreadable> {
        element
            .attribute("proof")
            .map_or(Ok(Self::Announced), |digits| digest(digits).map(Self::Given).ok_or(Unreadable))
    }

    /// Appends the element, to stand inside `<jingle/>`.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("<receipt");
        write::attribute(out, "xmlns", RECEIPT_NS);
        if let Self::Given(proof) = self {
            let digits: String = proof.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
            write::attribute(out, "proof", &digits);
        }
        out.push_str("/>");
    }
}

/// Whoever sees a proof before its time could give it in the peer's place.
impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Announced => "Announced",
            Self::Given(_) => "Given(..)",
        })
    }
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or_default()
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(digest)
}
