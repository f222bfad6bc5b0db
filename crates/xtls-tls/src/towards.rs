//! Sessions between a client and its server (RFC 6120 § 5): one proves who it is by name, the other perhaps not at all.
//! They have types of their own, so that nothing here can loosen a session with a peer.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, Resumption, Tls12Resumption};
use rustls::crypto::CryptoProvider;
use rustls::server::ServerConfig;
use rustls::time_provider::TimeProvider;
use xtls_stanza::Fingerprint;
use xtls_stanza::jid::DomainPart;

use crate::authorities::Authorities;
use crate::config::{Basics, MAX_RECORD, OwnCertificate, TlsConfigError, TlsVersion};
use crate::domain::Domain;
use crate::identity::Identity;
use crate::session_cache::{Lease, SessionCache};
use crate::verify::{PeerVerifier, Rule};

/// The name of XMPP between client and server (XEP-0368 § 3).
const ALPN: &[u8] = b"xmpp-client";

/// How a server's certificate is judged. In every case the server has to present one and to prove that it holds the key.
/// At most [`MAX_CHAIN`](crate::MAX_CHAIN) certificates are taken; those after the server's own are looked at only where
/// authorities count.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerVerification {
    /// It must be one of these. Only fingerprints that are [trustworthy](Fingerprint::is_trustworthy) count; neither the
    /// names nor the dates in the certificate do.
    Pinned(Vec<Fingerprint>),
    /// One of these must vouch for it, and it must name the domain (RFC 6120 § 13.7.2.1).
    ///
    /// There must be a chain that follows RFC 5280, with every certificate of it valid at the time of the handshake, and
    /// if the server's own says what it is meant for, that must be a TLS server or anything. It names the domain by
    ///
    /// - a DNS name, in which the whole left-most label may be a wildcard, which stands for one label (RFC 6125 § 6.4.3) that
    ///   is not right below a top level,
    /// - the service `_xmpp-client` of the domain (RFC 4985), or
    /// - the domain as id-on-xmppAddr,
    ///
    /// compared by A-labels and without regard to the case; for a domain that is an IP address, by that address alone. A
    /// common name never counts. Revocation is not checked.
    ///
    /// A certificate that is one of these itself needs no chain. Dates, purposes and names in it count.
    Authorities(Arc<Authorities>),
    /// Any certificate: the caller judges it after the handshake, before any plaintext passes.
    Deferred,
}

/// How a client's certificate is judged, if it presents one. Nothing but a SASL EXTERNAL makes a client need one
/// (XEP-0178 § 2): a client without one passes, and has no [`TlsSession::peer_certificate`].
///
/// [`TlsSession::peer_certificate`]: crate::TlsSession::peer_certificate
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientVerification {
    /// One of these must vouch for it, by a chain that follows RFC 5280, and if it says what it is meant for, that must be
    /// a TLS client or anything. Whom it names is for the caller to look at ([`PeerCertificate::xmpp_addrs`]). With any
    /// other certificate the handshake fails.
    ///
    /// [`PeerCertificate::xmpp_addrs`]: crate::PeerCertificate::xmpp_addrs
    Authorities(Arc<Authorities>),
    /// Any certificate. [`TlsSession::is_vouched_for`] tells whether one of these vouches for it as above; where none does,
    /// the caller judges it, before it counts for anything. So a client with a certificate that has expired may still log in
    /// by a password.
    ///
    /// [`TlsSession::is_vouched_for`]: crate::TlsSession::is_vouched_for
    AuthoritiesOrDeferred(Arc<Authorities>),
    /// Any certificate: the caller judges it, before it counts for anything.
    Deferred,
    /// None is asked for.
    NotAsked,
}

/// How a client's session towards a server is to be made. [`TowardsServer::new`] fills in the defaults; the fields can be
/// changed after that.
///
/// The domain is sent as server_name (RFC 6066 § 3). TLS 1.2 has to have the extended master secret (RFC 7627).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TowardsServer {
    /// Whose server it has to be: a DNS name, internationalized or not, or an IP address.
    pub domain: DomainPart,
    /// The cryptography, and the randomness of the handshake. See [`default_provider`](crate::default_provider).
    pub provider: Arc<CryptoProvider>,
    /// Wall time.
    pub time: Arc<dyn TimeProvider>,
    /// How the server's certificate is judged.
    pub verification: ServerVerification,
    /// Who we are, for a server that asks. Default nobody: then the server gets no certificate.
    pub identity: Option<Identity>,
    /// Ask for `xmpp-client` by ALPN, as a connection does that begins with TLS (XEP-0368). Default off: with STARTTLS
    /// there is no need to.
    pub alpn: bool,
    /// The longest record to send, as [`TlsConfig::max_record`](crate::TlsConfig::max_record).
    pub max_record: usize,
    /// The oldest version to accept. Default TLS 1.2; TLS 1.3 is always preferred.
    pub minimum: TlsVersion,
    /// The cache of sessions with this server, if any are to be resumed. Default none.
    pub sessions: Option<SessionCache>,
}

impl TowardsServer {
    /// A configuration with the defaults.
    #[must_use]
    pub const fn new(
        domain: DomainPart,
        provider: Arc<CryptoProvider>,
        time: Arc<dyn TimeProvider>,
        verification: ServerVerification,
    ) -> Self {
        Self {
            domain,
            provider,
            time,
            verification,
            identity: None,
            alpn: false,
            max_record: MAX_RECORD,
            minimum: TlsVersion::Tls12,
            sessions: None,
        }
    }

    pub(crate) fn basics(&self) -> Basics<'_> {
        let Self { provider, time, max_record, minimum, .. } = self;
        Basics { provider, time, max_record: *max_record, minimum: *minimum }
    }

    pub(crate) fn server(&self) -> Result<Domain, TlsConfigError> {
        Domain::new(&self.domain).ok_or(TlsConfigError::Domain)
    }

    pub(crate) fn verifier(&self, domain: &Domain) -> Arc<PeerVerifier> {
        let rule = Rule::Server(self.verification.clone(), domain.clone());
        PeerVerifier::new(rule, self.identity.as_ref(), self.provider.signature_verification_algorithms)
    }

    /// What is remembered of this server, unless another session has its hands on it.
    pub(crate) fn lease(&self, domain: &Domain, verifier: &Arc<PeerVerifier>) -> Option<Lease> {
        self.sessions.as_ref()?.lease(self, domain, verifier)
    }

    pub(crate) fn client(
        &self,
        verifier: Arc<PeerVerifier>,
        lease: Option<&Lease>,
    ) -> Result<(ClientConfig, Arc<OwnCertificate>), TlsConfigError> {
        let own = lease.map_or_else(|| OwnCertificate::of(self.identity.as_ref()), Lease::own_certificate);
        let mut config = match lease {
            Some(lease) => {
                let mut config = self.basics().client(lease.verifier(), Arc::clone(&own))?;
                config.resumption = Resumption::store(lease.store()).tls12_resumption(Tls12Resumption::Disabled);
                config
            }
            None => {
                let verifier: Arc<dyn ServerCertVerifier> = verifier;
                self.basics().client(verifier, Arc::clone(&own))?
            }
        };
        config.alpn_protocols = if self.alpn { vec![ALPN.to_vec()] } else { Vec::new() };
        Ok((config, own))
    }
}

/// How a server's session towards a client is to be made. [`TowardsClient::new`] fills in the defaults; the fields can be
/// changed after that.
///
/// What the client says in server_name is not looked at. By ALPN it may ask for `xmpp-client` (XEP-0368) or for nothing.
/// No session can be resumed, and no ticket is sent. TLS 1.2 has to have the extended master secret (RFC 7627).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TowardsClient {
    /// Who we are: a certificate that names our domain.
    pub identity: Identity,
    /// The cryptography, and the randomness of the handshake. See [`default_provider`](crate::default_provider).
    pub provider: Arc<CryptoProvider>,
    /// Wall time.
    pub time: Arc<dyn TimeProvider>,
    /// Whether the client is asked for a certificate, and how that is judged.
    pub verification: ClientVerification,
    /// The longest record to send, as [`TlsConfig::max_record`](crate::TlsConfig::max_record).
    pub max_record: usize,
    /// The oldest version to accept. Default TLS 1.2; TLS 1.3 is always preferred.
    pub minimum: TlsVersion,
}

impl TowardsClient {
    /// A configuration with the defaults.
    #[must_use]
    pub const fn new(
        identity: Identity,
        provider: Arc<CryptoProvider>,
        time: Arc<dyn TimeProvider>,
        verification: ClientVerification,
    ) -> Self {
        Self { identity, provider, time, verification, max_record: MAX_RECORD, minimum: TlsVersion::Tls12 }
    }

    pub(crate) fn basics(&self) -> Basics<'_> {
        let Self { provider, time, max_record, minimum, .. } = self;
        Basics { provider, time, max_record: *max_record, minimum: *minimum }
    }

    pub(crate) fn verifier(&self) -> Arc<PeerVerifier> {
        let algorithms = self.provider.signature_verification_algorithms;
        PeerVerifier::new(Rule::Client(self.verification.clone()), Some(&self.identity), algorithms)
    }

    pub(crate) fn server(&self, verifier: Arc<PeerVerifier>) -> Result<ServerConfig, TlsConfigError> {
        let mut config = self.basics().server(verifier, &self.identity)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
