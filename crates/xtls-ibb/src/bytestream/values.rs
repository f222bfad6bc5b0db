//! What a bytestream is and what it reports.

#[cfg(doc)]
use crate::{Bytestream, BytestreamFault};

/// Which end of the bytestream this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BytestreamRole {
    /// It sends `<open/>`: under XEP-0261 the initiator of the Jingle session.
    Opener,
    /// It waits for `<open/>`.
    Acceptor,
    /// Either end of a bytestream for which the negotiation of the session stands in for `<open/>` and its end for `<close/>`:
    /// XEP-0261 up to its version 0.3. Neither is ever sent; those that come are taken.
    Negotiated,
}

/// How far the bytestream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BytestreamState {
    /// Before [`Bytestream::open`].
    Idle,
    /// The acceptor before `<open/>`.
    AwaitingOpen,
    /// Our `<open/>` is to be sent or answered.
    Opening,
    /// Data may flow both ways.
    Open,
    /// Our `<close/>` is to be sent or answered: by our wish, or because a fault or an error ended the bytestream.
    Closing,
    /// It is over. What is still owed to the peer can be polled.
    Closed,
}

/// What became of a request of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// The bytestream is open. A result was queued.
    Opened,
    /// A block was appended. Its result is queued, and withheld until [`Bytestream::release_acks`].
    Data {
        /// How many bytes were appended; an empty block has none.
        bytes: usize,
    },
    /// The peer closed the bytestream. All withheld results were released, one for the `<close/>` was queued, and what we
    /// had not sent was dropped: [`Bytestream::unacked`] counts it.
    Closed,
}

/// What the peer acknowledged with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acked {
    /// Our `<open/>`.
    Open,
    /// A block of ours.
    Data {
        /// How many bytes it had.
        bytes: usize,
    },
    /// A block of ours, later than one that came back: the two contradict each other, and the first cannot be sent again. The
    /// bytestream is Closing, or Closed in the role [`BytestreamRole::Negotiated`].
    Gap {
        /// How many bytes it had.
        bytes: usize,
    },
    /// Our `<close/>`.
    Close,
}

/// What an error that came back means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorOutcome {
    /// Our `<open/>` was refused or not delivered; the bytestream is Closed.
    OpenRefused,
    /// The peer wants smaller blocks: `<open/>` goes out again with half the size (XEP-0047 § 2.1).
    Retrying,
    /// A block was not delivered, and may be later (XEP-0047 § 2.2, delivery errors): recipient-unavailable,
    /// remote-server-timeout, resource-constraint or policy-violation, of type wait. Nothing is sent until
    /// [`Bytestream::resume`].
    ///
    /// A block can only be sent again if the peer has processed neither it nor any later one. So the later ones that
    /// are on their way must come back as well; if one of them is acknowledged it is [`Acked::Gap`], and the bytestream ends.
    Suspended,
    /// A block was refused, or lost for good; the bytestream is Closing and sends `<close/>` (XEP-0047 § 2.2). In the role
    /// [`BytestreamRole::Negotiated`] it is Closed.
    Ended {
        /// The error's type is wait: a new session may get through later.
        temporary: bool,
    },
    /// Our `<close/>` was answered with an error; the bytestream is Closed all the same (XEP-0047 § 2.3).
    Closed,
    /// It answers a block that was in flight when the bytestream ended. Nothing changes.
    Late,
}

/// What [`Bytestream::poll`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent {
    /// The result to a request of the peer.
    Result,
    /// Our `<open/>`; an answer is due.
    Open,
    /// A block; an answer is due.
    Data {
        /// How many bytes it has, before base64.
        bytes: usize,
    },
    /// Our `<close/>`; an answer is due.
    Close,
}
