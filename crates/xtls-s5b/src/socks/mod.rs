//! SOCKS5 (RFC 1928) as bytestreams use it (XEP-0065): no authentication, CONNECT, a [`DstAddr`](crate::DstAddr) in the place of a
//! host name.
//!
//! [`Client`] is the end that dials, [`Acceptor`] the one that listens. Both take bytes in pieces of any size, hold at most one
//! message, and never take a byte that belongs to the bytestream. Each speaks in its turn: a message that comes before the one that
//! it answers has left is a fault, so that nothing can be slipped in ahead of the reply.

mod acceptor;
mod client;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use core::fmt;

pub use acceptor::{Acceptor, AcceptorFault, NothingAsked};
pub use client::{Client, ClientFault};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
const RESERVED: u8 = 0;
const IP_V4: u8 = 1;
const DOMAIN: u8 = 3;
const IP_V6: u8 = 4;

/// Why a SOCKS5 server says no (RFC 1928 § 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyCode {
    /// 1: something failed at the server.
    GeneralFailure,
    /// 2: its rules forbid it. Ours says so of a bytestream that nobody expects.
    NotAllowed,
    /// 3
    NetworkUnreachable,
    /// 4
    HostUnreachable,
    /// 5
    ConnectionRefused,
    /// 6
    TtlExpired,
    /// 7: the command is another one than CONNECT.
    CommandNotSupported,
    /// 8: the address is of another type than a host name.
    AddressTypeNotSupported,
    /// One that RFC 1928 does not know.
    Unassigned(u8),
}

impl ReplyCode {
    /// 0 is no refusal.
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            SUCCEEDED => return None,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Unassigned(other),
        })
    }

    /// The byte on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::GeneralFailure => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::ConnectionRefused => 5,
            Self::TtlExpired => 6,
            Self::CommandNotSupported => 7,
            Self::AddressTypeNotSupported => 8,
            Self::Unassigned(code) => code,
        }
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::GeneralFailure => "general failure",
            Self::NotAllowed => "not allowed",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ConnectionRefused => "connection refused",
            Self::TtlExpired => "TTL expired",
            Self::CommandNotSupported => "command not supported",
            Self::AddressTypeNotSupported => "address type not supported",
            Self::Unassigned(_) => "a reason that SOCKS5 does not know",
        };
        write!(f, "{words} (reply {})", self.code())
    }
}

/// The message that is coming in, as far as it has come.
#[derive(Debug, Default)]
struct Incoming(Vec<u8>);

impl Incoming {
    /// Takes what the message has up to `len` bytes from the beginning of `bytes`; whether it has as many.
    fn fill(&mut self, bytes: &mut &[u8], len: usize) -> bool {
        let missing = len.saturating_sub(self.0.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(missing);
        self.0.extend_from_slice(taken);
        *bytes = rest;
        self.0.len() >= len
    }

    /// Takes a whole request or reply, which both are made alike (RFC 1928 §§ 4 to 6): `None` while some of it is missing. It has at
    /// most 262 bytes.
    ///
    /// `check` looks at the beginning as soon as there is any. Without an address type that RFC 1928 § 5 has, there is no end to look
    /// for: what makes a fault of it is `unknown`.
    fn message<F>(
        &mut self,
        bytes: &mut &[u8],
        check: impl Fn(&[u8]) -> Result<(), F>,
        unknown: impl Fn(u8) -> F,
    ) -> Result<Option<Vec<u8>>, F> {
        loop {
            let len = match *self.0 {
                [_, _, _, IP_V4, ..] => 10,
                [_, _, _, DOMAIN] => 5,
                [_, _, _, DOMAIN, len, ..] => 7 + usize::from(len),
                [_, _, _, IP_V6, ..] => 22,
                [_, _, _, other, ..] => return Err(unknown(other)),
                _ => 4,
            };
            if self.0.len() == len {
                return Ok(Some(core::mem::take(&mut self.0)));
            }
            let is_filled = self.fill(bytes, len);
            check(&self.0)?;
            if !is_filled {
                return Ok(None);
            }
        }
    }
}
