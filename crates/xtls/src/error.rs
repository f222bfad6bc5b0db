//! What commands refuse: slips of the caller, one small enum for each command.

use core::fmt;

use crate::config::ConfigError;

macro_rules! error {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $words,)* })
            }
        }

        impl core::error::Error for $name {}
    };
}

error! {
    /// Why [`Engine::initiate`](crate::Engine::initiate) did nothing.
    InitiateError {
        /// The peer is the engine's own address.
        OwnAddress = "the peer is this very entity",
        /// The policy is [`TrustPolicy::Pinned`](crate::TrustPolicy::Pinned) and the store has no pin for the peer.
        NotPinned = "no certificate of the peer is trusted",
        /// The policy is [`TrustPolicy::Authorities`](crate::TrustPolicy::Authorities), the store has no pin for the peer,
        /// and [`Local::authorities`](crate::Local::authorities) has none.
        NoAuthorities = "no certificate of the peer is trusted, and no authorities are given",
        /// [`Config::tunnels_per_peer`](crate::Config::tunnels_per_peer) is reached.
        TooManyWithPeer = "as many tunnels with this peer as the configuration allows",
        /// [`Config::tunnels`](crate::Config::tunnels) is reached.
        TooMany = "as many tunnels as the configuration allows",
        /// The options leave no TLS method.
        NoMethod = "the options allow no TLS method",
        /// A password is all there is, and too many wrong ones were tried with the peer
        /// ([`Config::password_tries`](crate::Config::password_tries)).
        PasswordLocked = "too many wrong passwords were tried with the peer; wait",
        /// The own bare address cannot be the user name of TLS-SRP: it has more than 255 bytes, or SASLprep refuses it.
        UserName = "the own address cannot be used with a password",
    }
}

error! {
    /// Why [`Engine::probe`](crate::Engine::probe) did nothing.
    ProbeError {
        /// The peer is the engine's own address.
        OwnAddress = "the peer is this very entity",
        /// 32 questions are open.
        TooMany = "as many questions as can be open at once",
        /// The options leave no TLS method that could be used with the peer, so that there is nothing to ask.
        NoMethod = "the options allow no TLS method with this peer",
    }
}

error! {
    /// Why a password was not taken.
    ProvidePasswordError {
        /// Nobody asked for one.
        NotAsked = "no password is waited for",
    }
}

error! {
    /// Why [`Engine::accept`](crate::Engine::accept) did nothing.
    AcceptError {
        /// The offer came from another engine.
        OtherEngine = "the offer belongs to another engine",
        /// The initiator took the offer back, or it rang for too long.
        Gone = "the offer does not stand any more",
        /// The options are for another application than the one offered.
        OtherApplication = "the offer is for another application",
        /// The options leave no TLS method.
        NoMethod = "the options allow no TLS method",
    }
}

error! {
    /// Why [`Engine::reject`](crate::Engine::reject) did nothing.
    RejectError {
        /// The offer came from another engine.
        OtherEngine = "the offer belongs to another engine",
        /// The initiator took the offer back, or it rang for too long.
        Gone = "the offer does not stand any more",
    }
}

error! {
    /// Why a stanza was not sent.
    SendError {
        /// The tunnel is not secured yet.
        NotSecured = "the tunnel is not secured yet",
        /// No stream is open in the tunnel.
        NoStream = "no XML stream is open in the tunnel",
        /// The tunnel carries raw bytes.
        NotXml = "the tunnel carries raw bytes",
        /// The tunnel is ending.
        Closing = "the tunnel is ending",
        /// [`Config::send_buffer`](crate::Config::send_buffer) is full; [`Event::Writable`](crate::Event::Writable) tells
        /// when it is not.
        Full = "as much is waiting to be sent as the configuration allows",
        /// Neither message, presence nor IQ in `jabber:client`.
        NotAStanza = "the element is not a stanza",
        /// The stanza's `from` or `to` is neither absent nor that of the tunnel's ends.
        ForeignAddress = "the stanza is not between the tunnel's two ends",
        /// The stanza is larger than [`Config::tunnel_limits`](crate::Config::tunnel_limits) allows.
        TooLarge = "the stanza is larger than the configuration allows",
    }
}

error! {
    /// Why an XML stream was neither opened nor closed.
    StreamStateError {
        /// The tunnel is not secured yet.
        NotSecured = "the tunnel is not secured yet",
        /// The tunnel carries raw bytes.
        NotXml = "the tunnel carries raw bytes",
        /// The tunnel is ending.
        Closing = "the tunnel is ending",
        /// There is one already, or there is none.
        WrongState = "the stream is already in that state",
    }
}

error! {
    /// Why bytes were not written.
    WriteError {
        /// The tunnel is not secured yet.
        NotSecured = "the tunnel is not secured yet",
        /// The tunnel carries an XML stream.
        NotRaw = "the tunnel carries an XML stream",
        /// Our direction is finished or the tunnel is ending.
        Closing = "this direction is finished or the tunnel is ending",
    }
}

error! {
    /// Why our direction was not finished.
    FinishError {
        /// The tunnel is not secured yet.
        NotSecured = "the tunnel is not secured yet",
        /// The tunnel carries an XML stream.
        NotRaw = "the tunnel carries an XML stream",
        /// TLS before 1.3 cannot end one direction alone; close the tunnel instead.
        NotInThisTls = "TLS before 1.3 cannot end one direction alone",
        /// The tunnel is ending.
        Closing = "the tunnel is ending",
    }
}

error! {
    /// Why the peer was not asked for its certificates.
    RequestCertificatesError {
        /// The tunnel is not secured yet.
        NotSecured = "the tunnel is not secured yet",
        /// The tunnel carries raw bytes (draft-meyer-xmpp-e2e-encryption-02 § 5.1: certificates travel in XML streams alone).
        NotXml = "the tunnel carries raw bytes",
        /// No stream is open in the tunnel.
        NoStream = "no XML stream is open in the tunnel",
        /// The tunnel is ending.
        Closing = "the tunnel is ending",
        /// It was, and has not answered.
        AlreadyAsked = "the peer has been asked and has not answered",
        /// [`Config::send_buffer`](crate::Config::send_buffer) is full; [`Event::Writable`](crate::Event::Writable) tells
        /// when it is not.
        Full = "as much is waiting to be sent as the configuration allows",
    }
}

error! {
    /// Why a trust decision was not taken.
    TrustError {
        /// Nobody asked.
        NotAsked = "no certificate waits for a decision",
    }
}

/// Why there is no engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineError {
    /// The configuration has a field outside of its bounds.
    Config(ConfigError),
    /// The cryptography provider cannot do what TLS needs here.
    Provider,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Provider => f.write_str("the cryptography provider cannot do TLS 1.2 or 1.3 here"),
        }
    }
}

impl core::error::Error for EngineError {}
