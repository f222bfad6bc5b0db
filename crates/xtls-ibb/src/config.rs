//! Bounds and choices of a bytestream.

/// Bounds and choices of a bytestream. Every queue in it is bounded by one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BytestreamConfig {
    /// Blocks that may be in flight (sent and not acknowledged) until [`Bytestream::set_window`](crate::Bytestream::set_window)
    /// changes that. Default 4; 0 counts as 1, which waits for each acknowledgement, as XEP-0047 § 2.2 recommends.
    pub window: u16,
    /// Bytes (before base64) that may be in flight: it bounds what servers queue for the peer. Default 1 MiB. A single
    /// block may always go.
    pub max_unacked_bytes: u64,
    /// Bytes queued for sending at which [`Bytestream::writable`](crate::Bytestream::writable) becomes 0. Default
    /// 256 KiB.
    pub outgoing_bytes: usize,
    /// Blocks of the peer whose acknowledgement is withheld; a peer that sends more ignores the backpressure, and the
    /// bytestream ends. Default 32: with blocks of 4096 bytes at most 128 KiB.
    pub withheld_max: usize,
    /// Answers that wait for being polled, withheld ones included. Default 1024. It bounds what a peer can pile up that
    /// sends without waiting while nothing can be sent to it.
    pub answers_max: usize,
    /// The smallest block size that an `<open/>` of the peer may ask for, in bytes, unless a smaller one was agreed before it.
    /// Default 64: each block is a stanza and an answer, and the peer chooses how many the same bytes take.
    pub block_size_min: u16,
    /// Blocks without any byte that the peer may send in a row. Default 16.
    pub empty_blocks_max: u16,
    /// Whether white space in base64 is taken. Default [`Whitespace::Tolerant`].
    pub whitespace: Whitespace,
}

/// What becomes of XML white space around and inside a block's base64.
///
/// XEP-0047 § 6 wants every character outside the base64 alphabet rejected, yet its own examples have line breaks and
/// indentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whitespace {
    /// It is skipped: space, tab, line feed, carriage return and no others.
    Tolerant,
    /// It is rejected like any other character that is not base64.
    Strict,
}

impl Default for BytestreamConfig {
    fn default() -> Self {
        Self {
            window: 4,
            max_unacked_bytes: 1024 * 1024,
            outgoing_bytes: 256 * 1024,
            withheld_max: 32,
            answers_max: 1024,
            block_size_min: 64,
            empty_blocks_max: 16,
            whitespace: Whitespace::Tolerant,
        }
    }
}
