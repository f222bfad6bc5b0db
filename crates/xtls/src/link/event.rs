//! What a link tells its embedder.

use core::fmt;
use std::time::Instant;

use xtls_stanza::{
    Element, Fingerprint,
    jid::{BareJid, Jid},
};
use xtls_stream::Features;
use xtls_tls::{PeerCertificate, TlsParameters};

use super::{LinkFault, LinkTimer};
use crate::{event::EndedBy, security::Security};

/// What happened on a link.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// Receiving: somebody opened a stream. Decide with [`Link::accept`](crate::Link::accept) or
    /// [`Link::refuse`](crate::Link::refuse) within the question time.
    Incoming {
        /// Who it says it is: nothing is proven yet.
        peer: Jid,
    },
    /// The method depends on whether a password is shared with the peer: answer with
    /// [`Link::provide_password`](crate::Link::provide_password) within the question time.
    PasswordRequired,
    /// The peer proved that it holds the key of this certificate, which is not pinned: answer with
    /// [`Link::trust`](crate::Link::trust) within the question time. Nothing is sent or delivered meanwhile.
    TrustRequired {
        /// The certificate, for showing to a person.
        certificate: Box<PeerCertificate>,
        /// What the peer was known by until now; empty at a first meeting.
        previous: Vec<Fingerprint>,
    },
    /// From a client: TLS is there. Nobody is authenticated by that, and there is no [`Security`] yet.
    Encrypted {
        /// Version, cipher suite and key exchange group.
        tls: TlsParameters,
        /// The certificate that the client has proven to hold the key of, if it has one. It was not judged, and names nobody
        /// until [`LinkEvent::ClientAuthenticated`].
        certificate: Option<Box<PeerCertificate>>,
    },
    /// From a client: its stream is open; answer with [`Link::send_features`](crate::Link::send_features) within the question
    /// time.
    FeaturesRequired {
        /// Who it is, once that is proven; before that mechanisms are wanted.
        client: Option<BareJid>,
    },
    /// From a client: it is this account, by EXTERNAL or as the caller has said.
    ClientAuthenticated {
        /// Who it is.
        client: BareJid,
    },
    /// Both ends are authenticated. Between peers the other end has accepted us as well.
    Secured(Box<Security>),
    /// The stream inside of TLS is open in both directions: stanzas can be sent.
    Opened,
    /// To a server: the stream is open, and this is what the server is ready to negotiate. It comes again after each restart.
    Features(Features),
    /// To a server: SASL EXTERNAL has succeeded, and the stream begins anew.
    Authenticated,
    /// A message, presence or IQ. Between peers its addresses are those of the ends.
    Stanza(Element),
    /// Another first-level child.
    Nonza(Element),
    /// The peer sent a stanza in somebody else's name. It was dropped.
    Impersonation {
        /// The address it claimed.
        from: String,
    },
    /// The peer sent a stanza for somebody else. It was dropped.
    Misaddressed {
        /// The address that it was for.
        to: String,
    },
    /// There is room again after [`LinkSendError::Full`](crate::LinkSendError::Full).
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
    pub reason: LinkReason,
}

/// Why a link ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LinkReason {
    /// In order: both ends of the stream came.
    Done,
    /// The embedder refused the link, or ended it before it was open or without waiting for the peer.
    Aborted,
    /// A fault.
    Fault(Box<LinkFault>),
}

/// How far a link has come. `Display` says it like "before the handshake".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LinkStage {
    /// In clear, the peer's header and features are waited for.
    Greeting,
    /// Receiving: the application has to decide on the peer.
    Deciding,
    /// A person is asked for the password.
    Password,
    /// Initiating: TLS was asked for. Receiving: it was offered.
    Asking,
    /// The TLS handshake.
    Handshake,
    /// A person is asked about the certificate.
    Judging,
    /// Inside of TLS, the peer's new header and features are waited for.
    Restarting,
    /// From a client: the application has to say which features there are.
    Offering,
    /// The stream is open. From a client that has authenticated, and to any other end, stanzas can be sent.
    Open,
    /// This end's end was sent.
    Closing,
    /// Nothing more comes or goes.
    Ended,
}

/// The next deadline of a link and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkDeadline {
    /// When [`Link::handle_timeout`](crate::Link::handle_timeout) is to be called.
    pub at: Instant,
    /// Why.
    pub timer: LinkTimer,
}

impl LinkReason {
    /// Whether the link failed because somebody could not be authenticated or tried to get around it.
    #[must_use]
    pub fn is_security(&self) -> bool {
        match self {
            Self::Done | Self::Aborted => false,
            Self::Fault(fault) => fault.is_security(),
        }
    }
}

impl fmt::Display for LinkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Aborted => f.write_str("aborted"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for LinkStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "before it said what it offers",
            Self::Deciding => "before the link was accepted",
            Self::Password => "while the password was asked for",
            Self::Asking => "before TLS was agreed on",
            Self::Handshake => "during the TLS handshake",
            Self::Judging => "while its certificate was judged",
            Self::Restarting => "before the stream inside of TLS was open",
            Self::Offering => "before the features were told",
            Self::Open => "without closing the stream",
            Self::Closing => "while the link was being closed",
            Self::Ended => "after the end",
        })
    }
}
