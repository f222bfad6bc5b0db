//! RFC 5246 § 6 (The TLS Record Protocol): headers and how records are cut out of the byte stream.

mod deframer;
mod protection;

use crate::error::{Error, PeerMisbehaved};

pub(crate) use deframer::Deframer;
#[cfg(test)]
pub(crate) use protection::tests::forged;
pub(crate) use protection::{BLOCK, OVERHEAD, Opener, Sealer, WriteKeys, capacity, sealed_length};
pub use protection::{MAX_BYTES, MAX_RECORDS};

/// Bytes of a record header.
pub(crate) const HEADER: usize = 5;

/// The most plaintext in a record (RFC 5246 § 6.2.1).
pub(crate) const MAX_PLAINTEXT: usize = 1 << 14;

/// The most that protection may add to it (RFC 5246 § 6.2.3).
const MAX_EXPANSION: usize = 2048;

/// TLS 1.2 (RFC 5246 § 6.2.1).
pub(crate) const VERSION: [u8; 2] = [3, 3];

/// RFC 5246 § 6.2.1: `ContentType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

impl ContentType {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
        }
    }
}

/// A record header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) content_type: ContentType,
    pub(crate) length: usize,
}

/// What a header may say at this point of the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// The version is negotiated: nothing but 3.3 from here on. Until then a peer may put any 3.x (RFC 5246 appendix E.1).
    pub(crate) negotiated: bool,
    /// Records are encrypted, and so may be longer.
    pub(crate) protected: bool,
}

impl Header {
    pub(crate) fn parse(bytes: [u8; HEADER], expect: Expect) -> Result<Self, Error> {
        let [content_type, major, minor, high, low] = bytes;
        // RFC 5246 § 6: a record of an unknown type MUST be answered with unexpected_message.
        let content_type = match content_type {
            20 => ContentType::ChangeCipherSpec,
            21 => ContentType::Alert,
            22 => ContentType::Handshake,
            23 => ContentType::ApplicationData,
            _ => return Err(PeerMisbehaved::UnknownContentType.into()),
        };
        let [expected_major, expected_minor] = VERSION;
        if major != expected_major || (expect.negotiated && minor != expected_minor) {
            return Err(PeerMisbehaved::RecordVersion.into());
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let limit = if expect.protected { MAX_PLAINTEXT + MAX_EXPANSION } else { MAX_PLAINTEXT };
        // RFC 5246 §§ 6.2.1, 6.2.3: the length MUST NOT exceed these.
        if length > limit {
            return Err(PeerMisbehaved::RecordOverflow.into());
        }
        Ok(Self { content_type, length })
    }

    pub(crate) fn encode(content_type: ContentType, length: usize) -> [u8; HEADER] {
        let length = u16::try_from(length).expect("no record is longer than 2^14 + 2048 bytes");
        let [high, low] = length.to_be_bytes();
        [content_type.number(), VERSION[0], VERSION[1], high, low]
    }
}

#[cfg(test)]
mod tests;
