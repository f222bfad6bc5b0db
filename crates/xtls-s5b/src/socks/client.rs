//! The end that dials.

use core::fmt;

use super::{CONNECT, DOMAIN, Incoming, NO_AUTHENTICATION, NO_METHOD, RESERVED, ReplyCode, VERSION};
use crate::DstAddr;

/// The dialling end of SOCKS5, at a proxy or at a peer's listener.
///
/// Take what [`Client::poll`] gives, and write each message in one piece: proxies look at what one read brings, and refuse a message
/// in two pieces as well as two messages in one. When [`Client::is_connected`], every further byte is the bytestream's. After a fault,
/// close the connection (RFC 1928 § 3).
///
/// ```
/// use xtls_s5b::{DstAddr, socks::{Acceptor, Client}};
///
/// let name: DstAddr = "972b7bf47291ca609517f67f86b5081086052dad".parse()?;
/// let (mut client, mut acceptor) = (Client::new(name), Acceptor::new());
/// let mut bytes = Vec::new();
/// while !client.is_connected() {
///     if client.poll(&mut bytes) {
///         acceptor.handle_bytes(&bytes)?;
///         bytes.clear();
///     }
///     if acceptor.asked() == Some(name) {
///         acceptor.accept()?;
///     }
///     if acceptor.poll(&mut bytes) {
///         client.handle_bytes(&bytes)?;
///         bytes.clear();
///     }
/// }
/// assert!(acceptor.is_accepted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    dst_addr: DstAddr,
    state: State,
    incoming: Incoming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The greeting is to be sent.
    Greet,
    /// The server is to choose a method.
    Greeted,
    /// The request is to be sent.
    Ask,
    /// The server is to reply.
    Asked,
    Connected,
    Failed(ClientFault),
}

/// Why a connection to a SOCKS5 server came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFault {
    /// A message of the server begins with this, and not with 5: it speaks something else.
    Version(u8),
    /// The server takes nobody without authentication (RFC 1928 § 3).
    NoMethod,
    /// The server chose this method, which was not offered.
    Method(u8),
    /// The server refused the request.
    Refused(ReplyCode),
    /// The reply has an address of this type, which RFC 1928 § 5 does not know, so that nobody can tell where it ends.
    AddressType(u8),
    /// The server answered what it had not been sent yet.
    Early,
    /// The connection ended before the reply.
    Ended,
}

impl Client {
    /// One that asks for this bytestream.
    #[must_use]
    pub fn new(dst_addr: DstAddr) -> Self {
        Self { dst_addr, state: State::Greet, incoming: Incoming::default() }
    }

    /// Takes what came, and says how much of it was SOCKS5's: what follows the reply is the bytestream's, and stays with the caller.
    ///
    /// The address in the reply is not looked at. It should be the one that was asked for (XEP-0065 § 5.3.2), and is anything.
    ///
    /// # Errors
    ///
    /// When this is the end of it; again at each further call.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<usize, ClientFault> {
        let mut rest = bytes;
        while !rest.is_empty() && self.state != State::Connected {
            if let Err(fault) = self.take(&mut rest) {
                self.state = State::Failed(fault);
                return Err(fault);
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// The connection has ended.
    ///
    /// # Errors
    ///
    /// When that was too early, or after a fault. After the reply it is a matter of the bytestream.
    pub fn handle_end(&mut self) -> Result<(), ClientFault> {
        match self.state {
            State::Connected => Ok(()),
            State::Failed(fault) => Err(fault),
            State::Greet | State::Greeted | State::Ask | State::Asked => {
                self.state = State::Failed(ClientFault::Ended);
                Err(ClientFault::Ended)
            }
        }
    }

    /// Appends the next message, if there is one to be sent.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> bool {
        match self.state {
            State::Greet => {
                out.extend_from_slice(&[VERSION, 1, NO_AUTHENTICATION]);
                self.state = State::Greeted;
                true
            }
            State::Ask => {
                let name = self.dst_addr.to_string();
                // XEP-0065 § 10.2. A hash has 40 digits.
                out.extend_from_slice(&[VERSION, CONNECT, RESERVED, DOMAIN, 40]);
                out.extend_from_slice(name.as_bytes());
                // § 5.3.2: the port MUST be 0.
                out.extend_from_slice(&[0, 0]);
                self.state = State::Asked;
                true
            }
            State::Greeted | State::Asked | State::Connected | State::Failed(_) => false,
        }
    }

    /// Whether the server has accepted: what comes and goes now is the bytestream.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// What went wrong, if anything has.
    #[must_use]
    pub fn fault(&self) -> Option<ClientFault> {
        if let State::Failed(fault) = self.state { Some(fault) } else { None }
    }

    /// Takes one message, or what there is of it.
    fn take(&mut self, bytes: &mut &[u8]) -> Result<(), ClientFault> {
        match self.state {
            State::Greet | State::Ask => Err(ClientFault::Early),
            State::Greeted => {
                let is_whole = self.incoming.fill(bytes, 2);
                check_version(&self.incoming.0)?;
                if is_whole {
                    // RFC 1928 § 3.
                    match self.incoming.0.get(1) {
                        Some(&NO_AUTHENTICATION) => self.state = State::Ask,
                        None | Some(&NO_METHOD) => return Err(ClientFault::NoMethod),
                        Some(&method) => return Err(ClientFault::Method(method)),
                    }
                    self.incoming = Incoming::default();
                }
                Ok(())
            }
            State::Asked => {
                if self.incoming.message(bytes, check_reply, ClientFault::AddressType)?.is_some() {
                    self.state = State::Connected;
                }
                Ok(())
            }
            State::Connected => Ok(()),
            State::Failed(fault) => Err(fault),
        }
    }
}

fn check_version(beginning: &[u8]) -> Result<(), ClientFault> {
    match beginning.first() {
        Some(&VERSION) | None => Ok(()),
        Some(&version) => Err(ClientFault::Version(version)),
    }
}

/// A refusal is one whatever follows.
fn check_reply(beginning: &[u8]) -> Result<(), ClientFault> {
    check_version(beginning)?;
    match beginning.get(1).copied().and_then(ReplyCode::of) {
        Some(code) => Err(ClientFault::Refused(code)),
        None => Ok(()),
    }
}

impl fmt::Display for ClientFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "what answers is no SOCKS5 server: it begins with the byte {version}"),
            Self::NoMethod => f.write_str("the SOCKS5 server wants a login"),
            Self::Method(method) => write!(f, "the SOCKS5 server chose method {method}, which was not offered"),
            Self::Refused(code) => write!(f, "the SOCKS5 server refused: {code}"),
            Self::AddressType(kind) => {
                write!(f, "the SOCKS5 server replied with an address of the unknown type {kind}")
            }
            Self::Early => f.write_str("the SOCKS5 server answered before it was asked"),
            Self::Ended => f.write_str("the connection ended before the SOCKS5 server had replied"),
        }
    }
}

impl core::error::Error for ClientFault {}
