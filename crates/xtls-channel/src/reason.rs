//! How a tunnel or a link ends.

use core::fmt;

use xtls_jingle::{Reason, ReasonCondition};

use crate::fault::Fault;

/// Who ended a tunnel or a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The embedder.
    Local,
    /// The peer, or a server in its name.
    Remote,
    /// The engine or the link itself, because of a fault, or because nothing runs in the tunnel any more.
    Engine,
}

/// Why a tunnel or a link ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CloseReason {
    /// In order.
    Done,
    /// Somebody ended a tunnel's session for a reason of XEP-0166 § 7.4: the peer if it was ended by the remote end, the
    /// embedder if by the local one. A session-terminate without a reason is [`CloseReason::Done`].
    Terminated(Reason),
    /// The embedder refused a link, or ended it before it was open or without waiting for the peer.
    Aborted,
    /// A fault.
    Fault(Box<Fault>),
}

impl EndedBy {
    xtls_stanza::names! {
        /// A short name, as the command prints it.
        self: Self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Engine => "engine",
        }
    }
}

impl CloseReason {
    xtls_stanza::names! {
        /// A short name that stays the same.
        self: &Self {
            Self::Done => "done",
            Self::Terminated(_) => "terminated",
            Self::Aborted => "aborted",
            Self::Fault(_) => "fault",
        }
    }

    /// Whether authentication failed, or an attacker may have tried to get around it.
    #[must_use]
    pub fn is_security(&self) -> bool {
        match self {
            Self::Done | Self::Aborted => false,
            Self::Terminated(reason) => reason.condition == ReasonCondition::SecurityError,
            Self::Fault(fault) => fault.is_security(),
        }
    }
}

impl From<Fault> for CloseReason {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Terminated(reason) => reason.fmt(f),
            Self::Aborted => f.write_str("aborted"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}
