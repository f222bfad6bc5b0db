//! What a peer can do wrong in a request, and the answer to it.

use core::fmt;

use xtls_stanza::{Condition, ErrorType, StanzaError};

/// What was wrong with a request of the peer.
///
/// [`BytestreamFault::to_stanza_error`] is the answer that it deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BytestreamFault {
    /// An element that XEP-0047 does not define.
    UnknownElement,
    /// The sid is missing, not an NMTOKEN (XEP-0047 § 2.1) or longer than [`Request::MAX_SID`](crate::Request::MAX_SID).
    Sid,
    /// `block-size` is missing, 0 or not an xs:unsignedShort (XEP-0047 § 2.1).
    BlockSize,
    /// `stanza='message'`: messages have neither acknowledgement nor window (XEP-0047 § 4 makes them optional).
    MessageStanzas,
    /// `stanza` is neither `iq` nor `message`.
    StanzaKind,
    /// `seq` is missing or not an xs:unsignedShort (XEP-0047 § 2.2).
    Seq,
    /// The IQ's id is longer than [`Bytestream::MAX_REQUEST_ID`](crate::Bytestream::MAX_REQUEST_ID).
    IdTooLong,
    /// The sid is not that of this bytestream.
    UnknownSid,
    /// Data before the bytestream is open.
    NotOpen,
    /// A request for a bytestream that is closed, or data after what closed it.
    Closed,
    /// A second `<open/>`.
    AlreadyOpen,
    /// The `<open/>` asks for larger blocks than were agreed (XEP-0261 § 2.2).
    BlockSizeAboveAgreed {
        /// What it asks for, in bytes.
        asked: u16,
        /// What was agreed, in bytes.
        agreed: u16,
    },
    /// The `<open/>` asks for smaller blocks than [`block_size_min`](crate::BytestreamConfig::block_size_min).
    BlockSizeTooSmall {
        /// What it asks for, in bytes.
        asked: u16,
        /// The smallest that is taken, in bytes.
        least: u16,
    },
    /// The seq was used before (XEP-0047 § 2.2).
    SeqUsed {
        /// The seq that came.
        seq: u16,
        /// The seq that was due.
        expected: u16,
    },
    /// The seq is not the next: a block was lost or overtaken (XEP-0047 § 2.2).
    SeqAhead {
        /// The seq that came.
        seq: u16,
        /// The seq that was due.
        expected: u16,
    },
    /// The block, decoded, is larger than was agreed (XEP-0047 § 2.2).
    BlockTooLarge {
        /// Its size in bytes, computed and not decoded.
        bytes: usize,
        /// What was agreed, in bytes.
        block_size: u16,
    },
    /// The block is not base64 with padding (RFC 4648 § 4, XEP-0047 §§ 2.2, 6), or an element stands in it.
    NotBase64,
    /// More empty blocks in a row than [`empty_blocks_max`](crate::BytestreamConfig::empty_blocks_max).
    EmptyBlocks,
    /// More blocks without acknowledgement than [`withheld_max`](crate::BytestreamConfig::withheld_max), or more answers
    /// waiting than [`answers_max`](crate::BytestreamConfig::answers_max).
    Unacknowledged,
}

impl BytestreamFault {
    /// The error to answer with.
    #[must_use]
    pub fn to_stanza_error(self) -> StanzaError {
        let (condition, error_type) = match self {
            Self::UnknownElement | Self::MessageStanzas => (Condition::FeatureNotImplemented, ErrorType::Cancel),
            Self::Sid | Self::BlockSize | Self::StanzaKind => (Condition::BadRequest, ErrorType::Modify),
            Self::UnknownSid | Self::NotOpen | Self::Closed => (Condition::ItemNotFound, ErrorType::Cancel),
            // XEP-0047 § 2.1: what the responder does not want is not-acceptable.
            Self::AlreadyOpen | Self::BlockSizeTooSmall { .. } => (Condition::NotAcceptable, ErrorType::Cancel),
            Self::BlockSizeAboveAgreed { .. } => (Condition::ResourceConstraint, ErrorType::Modify),
            Self::SeqUsed { .. } | Self::SeqAhead { .. } => (Condition::UnexpectedRequest, ErrorType::Cancel),
            Self::Seq | Self::IdTooLong | Self::BlockTooLarge { .. } | Self::NotBase64 => {
                (Condition::BadRequest, ErrorType::Cancel)
            }
            Self::EmptyBlocks => (Condition::PolicyViolation, ErrorType::Cancel),
            Self::Unacknowledged => (Condition::ResourceConstraint, ErrorType::Wait),
        };
        StanzaError::new(condition).with_type(error_type).with_text(self.to_string())
    }

    /// Whether the bytestream ends with it: a block that is not processed leaves a gap, and nothing after it may be
    /// processed (XEP-0047 § 2.2). The bytestream then sends `<close/>` by itself.
    #[must_use]
    pub fn ends_bytestream(self) -> bool {
        match self {
            Self::UnknownElement
            | Self::Sid
            | Self::BlockSize
            | Self::MessageStanzas
            | Self::StanzaKind
            | Self::UnknownSid
            | Self::NotOpen
            | Self::Closed
            | Self::AlreadyOpen
            | Self::BlockSizeAboveAgreed { .. }
            | Self::BlockSizeTooSmall { .. } => false,
            Self::Seq
            | Self::IdTooLong
            | Self::SeqUsed { .. }
            | Self::SeqAhead { .. }
            | Self::BlockTooLarge { .. }
            | Self::NotBase64
            | Self::EmptyBlocks
            | Self::Unacknowledged => true,
        }
    }
}

impl fmt::Display for BytestreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownElement => f.write_str("no such element in in-band bytestreams"),
            Self::Sid => f.write_str("the sid is missing, too long or not an NMTOKEN"),
            Self::BlockSize => f.write_str("the block-size is not a number from 1 to 65535"),
            Self::MessageStanzas => f.write_str("data in messages is not supported"),
            Self::StanzaKind => f.write_str("the stanza attribute is neither iq nor message"),
            Self::Seq => f.write_str("the seq is not a number from 0 to 65535"),
            Self::IdTooLong => f.write_str("the id is too long"),
            Self::UnknownSid => f.write_str("no bytestream has this sid"),
            Self::NotOpen => f.write_str("the bytestream is not open"),
            Self::Closed => f.write_str("the bytestream is closed"),
            Self::AlreadyOpen => f.write_str("the bytestream is open already"),
            Self::BlockSizeAboveAgreed { asked, agreed } => {
                write!(f, "blocks of {asked} bytes were asked for, {agreed} were agreed")
            }
            Self::BlockSizeTooSmall { asked, least } => {
                write!(f, "blocks of {asked} bytes were asked for, {least} is the least")
            }
            Self::SeqUsed { seq, expected } => write!(f, "the seq {seq} was used before, {expected} is due"),
            Self::SeqAhead { seq, expected } => write!(f, "the seq {seq} is out of sequence, {expected} is due"),
            Self::BlockTooLarge { bytes, block_size } => {
                write!(f, "a block of {bytes} bytes, {block_size} are allowed")
            }
            Self::NotBase64 => f.write_str("the block is not base64 with padding"),
            Self::EmptyBlocks => f.write_str("too many empty blocks in a row"),
            Self::Unacknowledged => f.write_str("too many blocks that are not acknowledged"),
        }
    }
}

impl core::error::Error for BytestreamFault {}
