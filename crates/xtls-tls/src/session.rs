//! One TLS session, whichever method authenticates the peer.

mod srp;
mod x509;

use std::fmt;

use srp::SrpSession;
use x509::X509Session;

use crate::alert::Alert;
use crate::certificate::PeerCertificate;
use crate::config::{TlsConfig, TlsConfigError, TlsVersion};
use crate::error::{ExportError, TlsError, WriteError};
use crate::records::Records;
use crate::srp::SrpConfig;
use crate::towards::{TowardsClient, TowardsServer};

/// The most bytes that are taken before the handshake is complete: 64 KiB.
pub const MAX_HANDSHAKE: usize = 64 * 1024;

/// The longest context of exported keying material: its length has 16 bits (RFC 5705 § 4).
const MAX_CONTEXT: usize = 0xffff;

/// One TLS session: records in, plaintext out, and the other way round.
///
/// Which method authenticates the peer is decided when the session is made: certificates ([`TlsSession::client`],
/// [`TlsSession::server`]) or a password ([`TlsSession::srp_client`], [`TlsSession::srp_server`]). From then on both are
/// used alike.
///
/// Output is always appended to the caller's buffers, and nothing is kept back: after each call everything that can be
/// sent is in `records_out`, in whole records of at most `max_record` bytes ([`TlsConfig::max_record`],
/// [`SrpConfig::max_record`]).
///
/// A session does the same, byte for byte, however its input is cut into calls of [`TlsSession::read`].
pub struct TlsSession(Method);

/// The engines. Each is boxed: they are large, and a session is moved about.
enum Method {
    X509(Box<X509Session>),
    Srp(Box<SrpSession>),
}

/// What was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsParameters {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite by its registered name, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: &'static str,
    /// The key exchange by its registered name, such as `X25519MLKEM768`, `x25519` or `secp256r1`. The groups of RFC 5054
    /// appendix A have none: they are called `srp-2048`, `srp-3072`, `srp-4096` and `srp-8192`.
    pub group: &'static str,
    /// Whether an earlier session was resumed: only ever one towards a server ([`TowardsServer::sessions`]).
    pub resumed: bool,
}

/// Calls the same method of whichever engine it is.
macro_rules! either {
    ($self:ident.$($call:tt)+) => {
        match &$self.0 {
            Method::X509(session) => session.$($call)+,
            Method::Srp(session) => session.$($call)+,
        }
    };
    (mut $self:ident.$($call:tt)+) => {
        match &mut $self.0 {
            Method::X509(session) => session.$($call)+,
            Method::Srp(session) => session.$($call)+,
        }
    };
}

impl TlsSession {
    /// The client's side with certificates: draft-meyer-xmpp-e2e-encryption § 3 makes the initiator the client. The first
    /// flight is appended to `records_out`.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`] if the provider cannot be used.
    pub fn client(config: &TlsConfig, records_out: &mut Vec<u8>) -> Result<Self, TlsConfigError> {
        X509Session::client(config, records_out).map(Self::x509)
    }

    /// The server's side with certificates, the responder's.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`] if the provider cannot be used.
    pub fn server(config: &TlsConfig) -> Result<Self, TlsConfigError> {
        X509Session::server(config).map(Self::x509)
    }

    /// A client's side towards its server (RFC 6120 § 5), which proves by its certificate alone who it is. The first flight
    /// is appended to `records_out`.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`] if the provider cannot be used, or the domain is none.
    pub fn towards_server(config: &TowardsServer, records_out: &mut Vec<u8>) -> Result<Self, TlsConfigError> {
        X509Session::towards_server(config, records_out).map(Self::x509)
    }

    /// A server's side towards a client, which may have a certificate and need not.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`] if the provider cannot be used.
    pub fn towards_client(config: &TowardsClient) -> Result<Self, TlsConfigError> {
        X509Session::towards_client(config).map(Self::x509)
    }

    /// The client's side with a password (RFC 5054), the initiator's. The first flight is appended to `records_out`.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError::NoRandom`] if the provider has no random numbers. Nothing was appended.
    pub fn srp_client(config: &SrpConfig, records_out: &mut Vec<u8>) -> Result<Self, TlsConfigError> {
        SrpSession::client(config, records_out).map(Self::srp)
    }

    /// The server's side with a password, the responder's. It expects the name in the credentials, and answers every other
    /// one as it answers a wrong password, in the caller's eyes: [`TlsErrorKind::AuthenticationFailed`].
    ///
    /// The provider's random numbers are first asked for when the client has spoken, so their failure is an error of
    /// [`TlsSession::read`].
    ///
    /// [`TlsErrorKind::AuthenticationFailed`]: crate::TlsErrorKind::AuthenticationFailed
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`] if no session can be made with this configuration.
    pub fn srp_server(config: &SrpConfig) -> Result<Self, TlsConfigError> {
        SrpSession::server(config).map(Self::srp)
    }

    fn x509(session: X509Session) -> Self {
        Self(Method::X509(Box::new(session)))
    }

    fn srp(session: SrpSession) -> Self {
        Self(Method::Srp(Box::new(session)))
    }

    /// Takes all of `records`, which may be cut anywhere. Plaintext is appended to `plaintext`, what has to be sent in
    /// answer to `records_out`. What comes after the peer's close_notify is ignored.
    ///
    /// # Errors
    ///
    /// The session is dead: further calls return the same error. What was read before the fault is in `plaintext`, and
    /// the alert for the peer, if there is one, in `records_out`.
    pub fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, records_out: &mut Vec<u8>) -> Result<(), TlsError> {
        either!(mut self.read(records, plaintext, records_out))
    }

    /// Encrypts all of `plaintext`. Nothing is sent for an empty one.
    ///
    /// # Errors
    ///
    /// Nothing was sent, except as [`WriteError::Exhausted`] says.
    pub fn write(&mut self, plaintext: &[u8], records_out: &mut Vec<u8>) -> Result<(), WriteError> {
        either!(mut self.write(plaintext, records_out))
    }

    /// Appends a small record that tells the peer's application nothing: with TLS 1.3 a change of keys (RFC 8446 § 4.6.3), with a
    /// password a record without data (RFC 5246 § 6.2.1). Whether it was appended; with certificates and TLS 1.2 there is no such record.
    ///
    /// Peers put up with some of them without data between: 16 at least, and an answer to one of theirs may come with each.
    pub fn say_nothing(&mut self, records_out: &mut Vec<u8>) -> bool {
        either!(mut self.say_nothing(records_out))
    }

    /// Says with a close_notify that nothing more will be written. Reading goes on: TLS 1.3 leaves the other direction
    /// open. A second call does nothing.
    ///
    /// With a password two things differ. A peer's close_notify is answered at once (RFC 5246 § 7.2.1), so that after it
    /// there is nothing left to close, and nothing more can be written. And before the handshake is complete, closing ends
    /// the session: what comes after that is ignored.
    pub fn close(&mut self, records_out: &mut Vec<u8>) {
        either!(mut self.close(records_out));
    }

    /// Ends the session of a client of TLS 1.3 that refuses its peer after the handshake: this fatal alert is appended (RFC 8446
    /// § 6.2), encrypted. Whether it was.
    ///
    /// Nothing is appended after a close_notify of ours or after a fault, nor by a server, in TLS 1.2 or with a password: there
    /// both ends have judged one another before the handshake is complete.
    pub fn refuse(self, alert: Alert, records_out: &mut Vec<u8>) -> bool {
        match self.0 {
            Method::X509(session) => session.refuse(alert, records_out),
            Method::Srp(_) => false,
        }
    }

    /// Whether the handshake is still going on: it is neither complete nor has it failed.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        either!(self.is_handshaking())
    }

    /// Whether the handshake was completed. With certificates: the peer's certificate passed, and the peer holds its key;
    /// in TLS 1.3 a client gets there before the server has judged the client's certificate. With a password: the peer has
    /// proved that it knows it, and of the two the client gets there last.
    #[must_use]
    pub fn handshake_complete(&self) -> bool {
        either!(self.handshake_complete())
    }

    /// Whether the peer has said, with a close_notify, that nothing more will come. An end without it is a truncation.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        either!(self.peer_closed())
    }

    /// How many records of the peer have come. It says nothing of what is in them.
    #[must_use]
    pub fn records(&self) -> Records {
        either!(self.records())
    }

    /// Whether the server has asked for a certificate, whether or not one was presented (RFC 8446 § 4.3.2). Always false for a
    /// server, and with a password.
    #[must_use]
    pub fn certificate_requested(&self) -> bool {
        match &self.0 {
            Method::X509(session) => session.certificate_requested(),
            Method::Srp(_) => false,
        }
    }

    /// How many session tickets the server sent. A server that asked for a certificate cannot make one before it has the
    /// client's Finished (RFC 8446 § 4.6.1), so whoever gets one has been accepted by a server that keeps to that. Always 0 for a server, in TLS 1.2 and with a password.
    #[must_use]
    pub fn tickets_received(&self) -> u32 {
        match &self.0 {
            Method::X509(session) => session.tickets_received(),
            Method::Srp(_) => 0,
        }
    }

    /// The peer's certificate, once the handshake is complete. None with a password, and for a client that presented none
    /// to its server.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        match &self.0 {
            Method::X509(session) => session.peer_certificate(),
            Method::Srp(_) => None,
        }
    }

    /// Whether the handshake is complete and the peer's certificate passed [`Verification::Authorities`],
    /// [`ServerVerification::Authorities`] or [`ClientVerification::Authorities`], or would have where
    /// [`ClientVerification::AuthoritiesOrDeferred`] asks. False with any other verification, without a certificate, and with a
    /// password.
    ///
    /// [`Verification::Authorities`]: crate::Verification::Authorities
    /// [`ServerVerification::Authorities`]: crate::ServerVerification::Authorities
    /// [`ClientVerification::AuthoritiesOrDeferred`]: crate::ClientVerification::AuthoritiesOrDeferred
    /// [`ClientVerification::Authorities`]: crate::ClientVerification::Authorities
    #[must_use]
    pub fn is_vouched_for(&self) -> bool {
        match &self.0 {
            Method::X509(session) => session.is_vouched_for(),
            Method::Srp(_) => false,
        }
    }

    /// Whether a password was put to the test in this session: one guess is spent, ours at the peer's or the peer's at
    /// ours. A client has laid itself open to one as soon as it has sent its Finished, a server as soon as it has judged
    /// the client's. Until then a failure, by a forged alert for instance, tells nobody anything, and should not be
    /// counted. Also true when the password was right; always false with certificates.
    #[must_use]
    pub fn password_attempted(&self) -> bool {
        match &self.0 {
            Method::X509(_) => false,
            Method::Srp(session) => session.password_attempted(),
        }
    }

    /// What was negotiated, once the handshake is complete.
    #[must_use]
    pub fn parameters(&self) -> Option<TlsParameters> {
        either!(self.parameters())
    }

    /// Keying material that both sides derive alike and nobody else can (RFC 8446 § 7.5, RFC 5705), such as for channel
    /// binding (RFC 9266). Fills `out`. An absent context and an empty one differ in TLS 1.2.
    ///
    /// # Errors
    ///
    /// [`ExportError`]; what `out` holds then is of no use.
    pub fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ExportError> {
        if context.is_some_and(|context| context.len() > MAX_CONTEXT) {
            return Err(ExportError::ContextTooLong);
        }
        either!(self.export_keying_material(out, label, context))
    }

    /// The channel binding `tls-exporter` (RFC 9266), by which a login with SASL is tied to this very session. Both sides
    /// have the same, and no other session has it: TLS 1.2 is never without the extended master secret here (§ 4.2).
    ///
    /// # Errors
    ///
    /// [`ExportError::NotSecured`].
    pub fn channel_binding(&self) -> Result<[u8; 32], ExportError> {
        let mut binding = [0; 32];
        self.export_keying_material(&mut binding, b"EXPORTER-Channel-Binding", Some(b""))?;
        Ok(binding)
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self.fmt(f))
    }
}
