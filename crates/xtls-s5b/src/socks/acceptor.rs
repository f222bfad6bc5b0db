//! The end that listens.

use core::fmt;

use super::{CONNECT, DOMAIN, Incoming, NO_AUTHENTICATION, NO_METHOD, RESERVED, ReplyCode, SUCCEEDED, VERSION};
use crate::DstAddr;

/// The listening end of SOCKS5, for one connection.
///
/// It takes the greeting and the request, and then waits: [`Acceptor::asked`] is the bytestream that the client wants, and the caller
/// says [`accept`](Acceptor::accept) or [`refuse`](Acceptor::refuse). When [`Acceptor::is_accepted`], every further byte is the
/// bytestream's. After a fault, write what [`Acceptor::poll`] still gives, and close the connection within 10 s (RFC 1928 § 6).
///
/// What clients may do otherwise than XEP-0065 § 10.2 says: the port may be any, and so may the reserved byte; the digits may be
/// capital ones. The reply has address and port as they came.
#[derive(Debug)]
pub struct Acceptor {
    state: State,
    incoming: Incoming,
    /// The last words after a fault.
    farewell: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The client is to greet.
    New,
    /// The choice of a method is to be sent.
    Choose,
    /// The client is to ask.
    Chosen,
    /// The caller is to decide. The second is the reply, if it is yes.
    Asked(DstAddr, Vec<u8>),
    /// This reply is to be sent.
    Reply(Vec<u8>),
    Accepted,
    Failed(AcceptorFault),
}

/// Why a connection of a SOCKS5 client came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptorFault {
    /// A message of the client begins with this, and not with 5: it speaks something else.
    Version(u8),
    /// The client does not come without authentication (RFC 1928 § 3).
    NoMethod,
    /// It wants this, and not CONNECT.
    Command(u8),
    /// It asks for an address of this type, and not for a host name (XEP-0065 § 10.2).
    AddressType(u8),
    /// It asks for a host name that is no [`DstAddr`]: it takes us for an ordinary proxy.
    NotABytestream,
    /// It did not wait for our answer. What it sent may be meant for the bytestream, and nobody has said yet that there is one.
    Early,
    /// The caller refused.
    Refused,
    /// The connection ended before the reply.
    Ended,
}

/// [`Acceptor::accept`] or [`Acceptor::refuse`] was called while no request waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NothingAsked;

impl Default for Acceptor {
    fn default() -> Self {
        Self::new()
    }
}

impl Acceptor {
    /// For a connection that has just come.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::New, incoming: Incoming::default(), farewell: Vec::new() }
    }

    /// Takes what came, and says how much of it was SOCKS5's: all of it, until this end is accepted, and then nothing.
    ///
    /// # Errors
    ///
    /// When this is the end of it; again at each further call.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<usize, AcceptorFault> {
        let mut rest = bytes;
        while !rest.is_empty() && self.state != State::Accepted {
            if let Err(fault) = self.take(&mut rest) {
                self.fail(fault);
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
    pub fn handle_end(&mut self) -> Result<(), AcceptorFault> {
        match self.state {
            State::Accepted => Ok(()),
            State::Failed(fault) => Err(fault),
            State::New | State::Choose | State::Chosen | State::Asked(..) | State::Reply(_) => {
                self.fail(AcceptorFault::Ended);
                Err(AcceptorFault::Ended)
            }
        }
    }

    /// The bytestream that the client asks for, while that waits for a decision.
    #[must_use]
    pub fn asked(&self) -> Option<DstAddr> {
        if let State::Asked(dst_addr, _) = self.state { Some(dst_addr) } else { None }
    }

    /// Lets the client have what it asks for.
    ///
    /// # Errors
    ///
    /// When it asks for nothing.
    pub fn accept(&mut self) -> Result<(), NothingAsked> {
        let State::Asked(_, reply) = &mut self.state else { return Err(NothingAsked) };
        self.state = State::Reply(core::mem::take(reply));
        Ok(())
    }

    /// Does not: nobody expects this bytestream. The connection is to be closed once that is sent.
    ///
    /// # Errors
    ///
    /// When it asks for nothing.
    pub fn refuse(&mut self) -> Result<(), NothingAsked> {
        let State::Asked(..) = self.state else { return Err(NothingAsked) };
        self.fail(AcceptorFault::Refused);
        Ok(())
    }

    /// Appends the next message, if there is one to be sent. It is to be written in one piece.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> bool {
        match &mut self.state {
            State::Choose => {
                out.extend_from_slice(&[VERSION, NO_AUTHENTICATION]);
                self.state = State::Chosen;
                true
            }
            State::Reply(reply) => {
                out.append(reply);
                self.state = State::Accepted;
                true
            }
            State::Failed(_) => {
                let has_words = !self.farewell.is_empty();
                out.append(&mut self.farewell);
                has_words
            }
            State::New | State::Chosen | State::Asked(..) | State::Accepted => false,
        }
    }

    /// Whether the reply has been taken to be sent: what comes and goes now is the bytestream.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.state == State::Accepted
    }

    /// What went wrong, if anything has.
    #[must_use]
    pub fn fault(&self) -> Option<AcceptorFault> {
        if let State::Failed(fault) = self.state { Some(fault) } else { None }
    }

    /// Takes one message, or what there is of it.
    fn take(&mut self, bytes: &mut &[u8]) -> Result<(), AcceptorFault> {
        match self.state {
            State::New => self.take_greeting(bytes),
            State::Chosen => {
                // It is looked at when it is whole: a client that is still writing might not read what is wrong with it.
                if let Some(request) = self.incoming.message(bytes, check_version, AcceptorFault::AddressType)? {
                    self.state = asked(&request)?;
                }
                Ok(())
            }
            State::Choose | State::Asked(..) | State::Reply(_) => Err(AcceptorFault::Early),
            State::Accepted => Ok(()),
            State::Failed(fault) => Err(fault),
        }
    }

    /// RFC 1928 § 3: the version, how many methods there are, and the methods.
    fn take_greeting(&mut self, bytes: &mut &[u8]) -> Result<(), AcceptorFault> {
        let is_counted = self.incoming.fill(bytes, 2);
        check_version(&self.incoming.0)?;
        let methods = self.incoming.0.get(1).copied().map_or(0, usize::from);
        if is_counted && self.incoming.fill(bytes, 2 + methods) {
            let greeting = core::mem::take(&mut self.incoming.0);
            if !greeting.iter().skip(2).any(|method| *method == NO_AUTHENTICATION) {
                return Err(AcceptorFault::NoMethod);
            }
            self.state = State::Choose;
        }
        Ok(())
    }

    fn fail(&mut self, fault: AcceptorFault) {
        if !matches!(self.state, State::Failed(_)) {
            let is_choosing = matches!(self.state, State::New | State::Choose);
            self.farewell = farewell(fault, is_choosing);
            self.state = State::Failed(fault);
            self.incoming = Incoming::default();
        }
    }
}

fn check_version(beginning: &[u8]) -> Result<(), AcceptorFault> {
    match beginning.first() {
        Some(&VERSION) | None => Ok(()),
        Some(&version) => Err(AcceptorFault::Version(version)),
    }
}

/// What a whole request asks for (RFC 1928 § 4, XEP-0065 § 10.2).
fn asked(request: &[u8]) -> Result<State, AcceptorFault> {
    let [_, command, _, kind, address @ .., _, _] = request else { return Err(AcceptorFault::NotABytestream) };
    if *command != CONNECT {
        return Err(AcceptorFault::Command(*command));
    }
    if *kind != DOMAIN {
        return Err(AcceptorFault::AddressType(*kind));
    }
    let name = address.get(1..).unwrap_or_default();
    let dst_addr = DstAddr::from_ascii(name).map_err(|_| AcceptorFault::NotABytestream)?;
    // XEP-0065 § 5.3.2: BND.ADDR and BND.PORT MUST be DST.ADDR and DST.PORT as the client gave them.
    let mut reply = request.to_vec();
    reply.splice(..3, [VERSION, SUCCEEDED, RESERVED]);
    Ok(State::Asked(dst_addr, reply))
}

/// What a client is told with which things end; nothing where it does not speak SOCKS5, or is not there.
fn farewell(fault: AcceptorFault, is_choosing: bool) -> Vec<u8> {
    let code = match fault {
        AcceptorFault::Version(_) | AcceptorFault::Ended => return Vec::new(),
        // RFC 1928 § 3.
        AcceptorFault::NoMethod => return vec![VERSION, NO_METHOD],
        AcceptorFault::Early if is_choosing => return vec![VERSION, NO_METHOD],
        AcceptorFault::Command(_) => ReplyCode::CommandNotSupported,
        AcceptorFault::AddressType(_) => ReplyCode::AddressTypeNotSupported,
        AcceptorFault::NotABytestream | AcceptorFault::Refused => ReplyCode::NotAllowed,
        AcceptorFault::Early => ReplyCode::GeneralFailure,
    };
    // RFC 1928 § 6, with 0.0.0.0 and 0 in the place of address and port.
    vec![VERSION, code.code(), RESERVED, super::IP_V4, 0, 0, 0, 0, 0, 0]
}

impl fmt::Display for AcceptorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "what connected is no SOCKS5 client: it begins with the byte {version}")
            }
            Self::NoMethod => f.write_str("the SOCKS5 client comes with a login only"),
            Self::Command(command) => write!(f, "the SOCKS5 client asks for command {command}, and not for CONNECT"),
            Self::AddressType(kind) => {
                write!(f, "the SOCKS5 client asks for an address of type {kind}, and not for a host name")
            }
            Self::NotABytestream => f.write_str("the SOCKS5 client asks for a host, and not for a bytestream"),
            Self::Early => f.write_str("the SOCKS5 client did not wait for the answer"),
            Self::Refused => f.write_str("the SOCKS5 client asks for a bytestream that is not expected"),
            Self::Ended => f.write_str("the connection ended before the reply"),
        }
    }
}

impl core::error::Error for AcceptorFault {}

impl fmt::Display for NothingAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the SOCKS5 client has not asked for anything yet, or has its answer")
    }
}

impl core::error::Error for NothingAsked {}
