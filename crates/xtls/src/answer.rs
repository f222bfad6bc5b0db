//! How requests are answered.

use xtls_jingle::{JingleVersion, Reason};
use xtls_stanza::{StanzaError, TlsOffer};

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An empty result.
    Result,
    /// An error.
    Error(StanzaError),
    /// What we are ready for, of what the peer is (XEP-0250 § 3.2).
    Offer(TlsOffer),
    /// An empty result, and then the session is ended (XEP-0166 § 6.3.1), in the version that it was offered in.
    Terminate { sid: String, version: JingleVersion, reason: Reason },
}
