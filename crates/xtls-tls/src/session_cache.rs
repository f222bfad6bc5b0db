//! A client's cache of TLS sessions with its server, to resume one (RFC 8446 § 2.2, RFC 7590 § 3.3).
//!
//! rustls calls no verifier in a resumed session, and resumes only with the very verifier that saw the first one. So one
//! stands in front that is kept, and asks that of the session which is being made; and the certificate of a resumed
//! session, which rustls keeps with it, is judged here again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, Error, NamedGroup, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use xtls_stanza::Fingerprint;

use crate::config::{OwnCertificate, TlsVersion};
use crate::domain::Domain;
use crate::identity::Identity;
use crate::towards::TowardsServer;
use crate::verify::PeerVerifier;

/// The most sessions of TLS 1.3 that are remembered; older ones are forgotten first.
pub const MAX_TICKETS: usize = 8;

/// A client's cache of TLS sessions with a server: at most [`MAX_TICKETS`] of them, in memory alone. Clones share it.
///
/// It is kept from one session with a server to the next ([`TowardsServer::sessions`]), and holds those with one server. A
/// session with another domain, another certificate of yours or another oldest version forgets what there is and begins anew.
/// While one session's handshake is going on, others neither use the cache nor add to it.
///
/// Only TLS 1.3 is resumed, with a new exchange of keys. The server's certificate is judged by the session's own
/// configuration each time, before and after: its dates, its chain, its name, the pins, as if it had been presented anew.
/// If it does not pass any longer, a full handshake is made.
#[derive(Clone, Default)]
pub struct SessionCache(Arc<Mutex<Option<Memory>>>);

/// What belongs to one server and one certificate of yours.
struct Memory {
    key: Key,
    front: Arc<Front>,
    own: Arc<OwnCertificate>,
    store: Arc<Store>,
    /// What the server presented last.
    chain: Vec<CertificateDer<'static>>,
}

#[derive(PartialEq, Eq)]
struct Key {
    server: ServerName<'static>,
    own: Option<Fingerprint>,
    minimum: TlsVersion,
}

impl SessionCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, so that the next handshake is a full one.
    pub fn forget(&self) {
        *lock(&self.0) = None;
    }

    /// None while another session has it.
    pub(crate) fn lease(&self, config: &TowardsServer, domain: &Domain, verifier: &Arc<PeerVerifier>) -> Option<Lease> {
        let key = Key {
            server: domain.server_name().clone(),
            own: config.identity.as_ref().map(Identity::fingerprint_sha256),
            minimum: config.minimum,
        };
        let mut memory = lock(&self.0);
        let kept = memory.take().filter(|memory| memory.key == key);
        if kept.as_ref().is_some_and(|memory| lock(&memory.front.session).is_some()) {
            *memory = kept;
            return None;
        }
        // What would be refused after the handshake is not even offered.
        let kept = kept.filter(|memory| memory.passes(config, domain));
        let kept = memory.insert(kept.unwrap_or_else(|| Memory {
            key,
            front: Arc::default(),
            own: OwnCertificate::of(config.identity.as_ref()),
            store: Arc::new(Store(ClientSessionMemoryCache::new(MAX_TICKETS))),
            chain: Vec::new(),
        }));
        *lock(&kept.front.session) = Some(Arc::clone(verifier));
        Some(Lease {
            sessions: self.clone(),
            front: Arc::clone(&kept.front),
            own: Arc::clone(&kept.own),
            store: Arc::clone(&kept.store),
            time: Arc::clone(&config.time),
        })
    }
}

impl Memory {
    fn passes(&self, config: &TowardsServer, domain: &Domain) -> bool {
        let Some((own, others)) = self.chain.split_first() else { return true };
        let now = config.time.current_time();
        now.is_some_and(|now| config.verifier(domain).judge(own, others, now).is_ok())
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = lock(&self.0).as_ref().map(|memory| memory.key.server.to_str().into_owned());
        f.debug_struct("SessionCache").field("server", &server).finish_non_exhaustive()
    }
}

/// One session's hold on the cache, until its handshake is over.
pub(crate) struct Lease {
    sessions: SessionCache,
    front: Arc<Front>,
    own: Arc<OwnCertificate>,
    store: Arc<Store>,
    time: Arc<dyn TimeProvider>,
}

impl Lease {
    pub(crate) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::<Front>::clone(&self.front)
    }

    pub(crate) fn own_certificate(&self) -> Arc<OwnCertificate> {
        Arc::clone(&self.own)
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// The handshake is complete, and this is the server's chain. In a resumed session it is judged now.
    pub(crate) fn completed(
        self,
        chain: &[CertificateDer<'static>],
        resumed: bool,
        verifier: &PeerVerifier,
    ) -> Result<(), Error> {
        if resumed {
            let judged = self.time.current_time().ok_or(Error::FailedToGetCurrentTime).and_then(|now| {
                let (own, others) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
                verifier.judge(own, others, now)
            });
            if judged.is_err() {
                self.with_memory(|memory| *memory = None);
                return judged;
            }
        }
        self.with_memory(|memory| {
            if let Some(memory) = memory {
                memory.chain = chain.to_vec();
            }
        });
        Ok(())
    }

    /// Unless it was forgotten meanwhile.
    fn with_memory(&self, change: impl FnOnce(&mut Option<Memory>)) {
        let mut memory = lock(&self.sessions.0);
        if memory.as_ref().is_some_and(|memory| Arc::ptr_eq(&memory.front, &self.front)) {
            change(&mut memory);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *lock(&self.front.session) = None;
    }
}

/// Stands before rustls for the verifiers of one session after the other.
#[derive(Debug, Default)]
struct Front {
    session: Mutex<Option<Arc<PeerVerifier>>>,
}

impl Front {
    fn session(&self) -> Result<Arc<PeerVerifier>, Error> {
        lock(&self.session).clone().ok_or_else(|| Error::General("a handshake after the handshake".to_owned()))
    }
}

impl ServerCertVerifier for Front {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.session()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(&*self.session()?, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(&*self.session()?, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.session().map_or_else(|_| Vec::new(), |session| ServerCertVerifier::supported_verify_schemes(&*session))
    }
}

/// The sessions of TLS 1.3. One of TLS 1.2 is resumed without a new exchange of keys, so that one stolen key would open
/// both; and rustls resumes one by its identifier even where told not to.
#[derive(Debug)]
pub(crate) struct Store(ClientSessionMemoryCache);

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, _server_name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(server_name)
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
