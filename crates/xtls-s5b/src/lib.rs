//! SOCKS5 bytestreams (XEP-0065) as a Jingle transport (XEP-0260), sans-IO.
//!
//! A bytestream is a connection from one end to the other, or from both to a proxy that joins them. Who connects to whom says by a
//! [`DstAddr`] which bytestream it is for. This crate has no sockets, reads no clock and resolves no names:
//!
//! - [`socks`] is SOCKS5 at the end that dials and at the one that listens: bytes in, bytes out;
//! - [`Networks`] says which addresses may be dialled that a peer has named;
//! - [`Listener`] keeps the books of who is let in, how many at once and for how long;
//! - an [`S5bTransport`] is what the two ends of a Jingle session tell one another about where they can be reached;
//! - [`negotiation`] decides which connection it will be;
//! - [`proxy`] finds proxies and has them join two connections: stanzas in, stanzas out.
//!
//! Nothing in it authenticates anybody or keeps anything secret. TLS inside the bytestream does that.

mod address;
mod candidate;
mod dst_addr;
mod host;
mod listener;
pub mod negotiation;
pub mod proxy;
pub mod socks;
mod transport;

pub use address::{AddressKind, AddressRefused, Network, NetworkError, Networks};
pub use candidate::{Candidate, CandidateType};
pub use dst_addr::{DstAddr, DstAddrError};
pub use host::{Host, HostError};
pub use listener::{Listener, NoRoom, Visitor};
pub use transport::{S5bMalformed, S5bPayload, S5bTransport};
