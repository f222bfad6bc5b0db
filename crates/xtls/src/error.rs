//! What commands refuse: slips of the caller, one small enum for each command. And who is to blame for a
//! [`Fault`](crate::Fault), which is never the caller's slip.

use core::fmt;

pub use xtls_channel::{Blame, Missing, NotAsked, SendError, SetupError, TermsError, Unanswered};

macro_rules! error {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $short:literal, $words:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            xtls_stanza::names! {
                /// A short and stable name, for logs and other languages. `Display` has words for users.
                self: Self { $(Self::$variant => $short,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $words,)* })
            }
        }

        impl core::error::Error for $name {}
    };
}

/// Why [`Engine::initiate`](crate::Engine::initiate) did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitiateError {
    /// The peer is the engine's own address.
    OwnAddress,
    /// [`Config::tunnels_per_peer`](crate::Config::tunnels_per_peer) is reached.
    TooManyWithPeer,
    /// [`Config::tunnels`](crate::Config::tunnels) is reached.
    TooMany,
    /// [`TunnelOptions::sid`](crate::TunnelOptions::sid) is not an NMTOKEN of at most [`MAX_SID`](crate::jingle::MAX_SID) bytes
    /// (XEP-0047 § 2.1), or a session has it already.
    Sid,
    /// The terms cannot be met with the peer.
    Terms(TermsError),
}

impl InitiateError {
    /// A short and stable name, for logs and other languages: of [`TermsError`] its own, since it tells which. `Display` has words
    /// for users.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnAddress => "own-address",
            Self::TooManyWithPeer => "too-many-with-peer",
            Self::TooMany => "too-many",
            Self::Sid => "sid",
            Self::Terms(error) => error.as_str(),
        }
    }
}

impl fmt::Display for InitiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnAddress => f.write_str("the peer is our own address"),
            Self::TooManyWithPeer => f.write_str("as many tunnels with this peer as the configuration allows"),
            Self::TooMany => f.write_str("as many tunnels as the configuration allows"),
            Self::Sid => f.write_str("no session id, or one that is in use"),
            Self::Terms(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InitiateError {}

impl From<TermsError> for InitiateError {
    fn from(error: TermsError) -> Self {
        Self::Terms(error)
    }
}

error! {
    /// Why [`Engine::probe`](crate::Engine::probe) did nothing.
    ProbeError {
        /// The peer is the engine's own address.
        OwnAddress = "own-address", "the peer is our own address";
        /// 32 questions are open.
        TooMany = "too-many", "as many questions as can be open at once";
        /// The options leave no TLS method that could be used with the peer, so that there is nothing to ask.
        NoMethod = "no-method", "the options allow no TLS method with this peer";
        /// What is known of the peer cannot be read.
        Store = "store", "what is known of the peer cannot be read";
    }
}

error! {
    /// Why [`Engine::accept`](crate::Engine::accept) did nothing.
    AcceptError {
        /// The offer came from another engine.
        OtherEngine = "other-engine", "the offer belongs to another engine";
        /// The initiator took the offer back, or it rang for too long.
        Gone = "gone", "the offer does not stand any more";
        /// The options are for another application than the one offered.
        OtherApplication = "other-application", "the offer is for another application";
        /// The options leave no TLS method.
        NoMethod = "no-method", "the options allow no TLS method";
    }
}

error! {
    /// Why [`Engine::reject`](crate::Engine::reject) did nothing.
    RejectError {
        /// The offer came from another engine.
        OtherEngine = "other-engine", "the offer belongs to another engine";
        /// The initiator took the offer back, or it rang for too long.
        Gone = "gone", "the offer does not stand any more";
    }
}

error! {
    /// Why an XML stream was neither opened nor closed.
    StreamStateError {
        /// The tunnel is not secured yet.
        NotSecured = "not-secured", "the tunnel is not secured yet";
        /// The tunnel carries raw bytes.
        NotXml = "not-xml", "the tunnel carries raw bytes";
        /// The tunnel is ending.
        Closing = "closing", "the tunnel is ending";
        /// There is one already, or there is none.
        WrongState = "wrong-state", "the stream is already in that state";
    }
}

error! {
    /// Why bytes were not written.
    WriteError {
        /// The tunnel is not secured yet.
        NotSecured = "not-secured", "the tunnel is not secured yet";
        /// The tunnel carries an XML stream.
        NotRaw = "not-raw", "the tunnel carries an XML stream";
        /// Our direction is finished or the tunnel is ending.
        Closing = "closing", "this direction is finished or the tunnel is ending";
    }
}

error! {
    /// Why our direction was not finished.
    FinishError {
        /// The tunnel is not secured yet.
        NotSecured = "not-secured", "the tunnel is not secured yet";
        /// The tunnel carries an XML stream.
        NotRaw = "not-raw", "the tunnel carries an XML stream";
        /// TLS before 1.3 cannot end one direction alone; close the tunnel instead.
        NotInThisTls = "not-in-this-tls", "TLS before 1.3 cannot end one direction alone";
        /// The tunnel is ending.
        Closing = "closing", "the tunnel is ending";
    }
}

error! {
    /// Why the peer was not given a receipt.
    ReceiptError {
        /// The tunnel carries an XML stream.
        NotRaw = "not-raw", "the tunnel carries an XML stream";
        /// Not both ends have receipts, or the tunnel is not secured yet.
        Unsupported = "unsupported", "not both ends give receipts";
        /// The peer has not sent its last byte, or not everything was read.
        Early = "early", "the peer may have sent more than was read";
        /// The tunnel has ended.
        Ended = "ended", "the tunnel has ended";
    }
}

error! {
    /// Why the peer was not asked for its certificates.
    RequestCertificatesError {
        /// The tunnel is not secured yet.
        NotSecured = "not-secured", "the tunnel is not secured yet";
        /// The tunnel carries raw bytes (draft-meyer-xmpp-e2e-encryption-02 § 5.1: certificates travel in XML streams only).
        NotXml = "not-xml", "the tunnel carries raw bytes";
        /// No stream is open in the tunnel.
        NoStream = "no-stream", "no XML stream is open in the tunnel";
        /// The tunnel is ending.
        Closing = "closing", "the tunnel is ending";
        /// It was, and has not answered.
        AlreadyAsked = "already-asked", "the peer has been asked and has not answered";
        /// [`Config::send_buffer`](crate::Config::send_buffer) is full; [`Event::Writable`](crate::Event::Writable) tells
        /// when it is not.
        Full = "full", "as much is waiting to be sent as the configuration allows";
    }
}
