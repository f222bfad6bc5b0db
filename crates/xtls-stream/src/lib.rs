//! XML streams (RFC 6120 § 4), sans-IO: bytes in, stanzas and events out, bytes to send appended to the caller's buffer.
//!
//! [`TunnelStream`] is one end of the stream inside an XTLS tunnel (XEP-0246, draft-meyer-xmpp-e2e-encryption-02 § 4): who
//! is at the other end was established by the tunnel, and the stream holds the peer to it. [`DirectStream`] is one end of
//! a stream over a connection of its own, which negotiates TLS on it (RFC 6120 § 5, XEP-0035, XEP-0250) and can carry a
//! client's session or a conversation of two entities. Neither knows anything of TLS, of the clock or of the network.

mod address;
mod direct;
mod error;
mod event;
mod features;
mod queue;
mod rules;
mod tunnel;
mod write;

pub use direct::{
    Addressing, CommandError, DirectEvent, DirectFault, DirectStage, DirectStream, StartTlsDialect, StartTlsFault,
    StreamOptions, TlsPolicy,
};
pub use error::{StreamCondition, StreamError};
pub use event::{CloseError, OpenError, StreamEvent, StreamFault, StreamSendError};
pub use features::{Features, StartTlsFeature};
pub use tunnel::{StreamRole, TunnelStream};
