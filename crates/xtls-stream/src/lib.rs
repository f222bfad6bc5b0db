//! The XML stream inside an XTLS tunnel (XEP-0246, draft-meyer-xmpp-e2e-encryption-02 § 4), sans-IO.
//!
//! [`TunnelStream`] is one end of it: decrypted bytes in, stanzas and events out, bytes to encrypt appended to the
//! caller's buffer. It knows nothing of TLS, of the clock or of the network; who is at the other end was established by
//! the tunnel, and the stream holds the peer to it.

mod address;
mod event;
mod rules;
mod tunnel;
mod write;

pub use event::{CloseError, OpenError, SendError, StreamEvent, StreamFault};
pub use tunnel::{Role, TunnelStream};
