//! What a link tells its embedder.

use xtls_channel::{CloseReason, EndedBy, Security, StoreError, TrustQuestion};
use xtls_stanza::{
    Element,
    jid::{BareJid, Jid},
};
use xtls_stream::Features;
use xtls_tls::{PeerCertificate, TlsParameters};

/// What happened on a link.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// Between peers, receiving: a peer opened a stream. Decide with [`PeerLink::accept`](crate::PeerLink::accept) or
    /// [`PeerLink::refuse`](crate::PeerLink::refuse) within the question time.
    Incoming {
        /// Who it says it is: nothing is proven yet.
        peer: Jid,
    },
    /// Between peers: the method depends on whether a password is shared with the peer. Answer with
    /// [`PeerLink::provide_password`](crate::PeerLink::provide_password) within the question time.
    PasswordRequired,
    /// The peer proved that it holds the key of this certificate, which is not pinned: answer with
    /// [`PeerLink::trust`](crate::PeerLink::trust) or [`ClientLink::trust`](crate::ClientLink::trust) within the question
    /// time. Nothing is sent or delivered meanwhile.
    TrustRequired {
        /// The certificate, for showing to the user, and what the peer was known by until now.
        question: Box<TrustQuestion>,
    },
    /// From a client: TLS is there. Nobody is authenticated by that, and there is no [`Security`] yet.
    Encrypted {
        /// Version, cipher suite and key exchange group.
        tls: TlsParameters,
        /// The certificate that the client has proven to hold the key of, if it has one. It was not judged, and names nobody
        /// until [`LinkEvent::ClientAuthenticated`].
        certificate: Option<Box<PeerCertificate>>,
    },
    /// From a client: its stream is open; answer with [`ServerLink::send_features`](crate::ServerLink::send_features) within
    /// the question time.
    FeaturesRequired {
        /// Who it is, once that is proven; before that mechanisms are wanted.
        client: Option<BareJid>,
    },
    /// From a client: it is this account, by EXTERNAL or as the caller has said.
    ClientAuthenticated {
        /// Who it is.
        client: BareJid,
    },
    /// Both ends are authenticated. [`Security::confirmed`] says whether the other end has shown that it has accepted us; it has,
    /// unless it is an unusual one.
    Secured {
        /// By what, and how.
        security: Box<Security>,
    },
    /// The other end, which had not confirmed us when the link was secured, did so now.
    Confirmed,
    /// The trust store could not write what was learned. The link goes on.
    StoreFailed {
        /// What the store says.
        error: StoreError,
    },
    /// Between peers: the stream inside TLS is open in both directions, and stanzas can be sent.
    StreamOpened,
    /// To a server: the stream is open, and this is what the server is ready to negotiate. It comes again after each restart.
    Features(Features),
    /// To a server: SASL EXTERNAL has succeeded, and the stream begins anew.
    Authenticated,
    /// A message, presence or IQ. Between peers its addresses are those of the ends.
    Stanza {
        /// The stanza.
        stanza: Element,
    },
    /// Another first-level child.
    Nonza(Element),
    /// The peer sent a stanza in another entity's name. It was dropped.
    Impersonation {
        /// The address it claimed.
        from: String,
    },
    /// The peer sent a stanza for another entity. It was dropped.
    Misaddressed {
        /// The address that it was for.
        to: String,
    },
    /// There is room again after [`SendError::Full`](xtls_channel::SendError::Full).
    Writable,
    /// The link ended. It comes once, after everything else: send what is left to transmit and close the connection.
    Closed(LinkClosed),
}

/// How a link ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct LinkClosed {
    /// Who was at its other end, or claimed to be; `None` if it never said.
    pub peer: Option<Jid>,
    /// Who ended it.
    pub by: EndedBy,
    /// Why.
    pub reason: CloseReason,
}
