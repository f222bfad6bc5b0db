//! Your certificate and its key.

use core::time::Duration;

use xtls::tls::{KeyAlgorithm, PeerCertificate, UnixTime};
use zeroize::Zeroizing;

use crate::{Code, Error, Result};

/// Your certificate and its key, as text in PEM. The key is wiped when it is dropped, and does not show in `Debug`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Identity {
    /// The certificate: public.
    pub certificate: String,
    /// The private key: secret.
    pub key: Zeroizing<String>,
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Identity {
    /// What was kept from an earlier time.
    #[must_use]
    pub fn new(certificate: &str, key: &str) -> Self {
        Self { certificate: certificate.to_owned(), key: Zeroizing::new(key.to_owned()) }
    }

    /// The same from one text that has both, one after the other. What is kept as the certificate has nothing else of it.
    #[must_use]
    pub fn from_pem(both: &str) -> Self {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let sections = both.split_inclusive(END).filter_map(|part| part.find(BEGIN).and_then(|at| part.get(at..)));
        let certificate =
            sections.filter(|section| section.ends_with(END)).flat_map(|section| [section, "\n"]).collect();
        Self { certificate, key: Zeroizing::new(both.to_owned()) }
    }

    /// A new key, and a certificate for it. `algorithm` is `ecdsa-p256`, `ed25519` or `rsa-3072`; `unix_time` is in seconds.
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Name`], [`Code::Identity`].
    pub fn generate(jid: &str, algorithm: &str, unix_time: u64) -> Result<Self> {
        let algorithm = match algorithm {
            "ecdsa-p256" => KeyAlgorithm::EcdsaP256,
            "ed25519" => KeyAlgorithm::Ed25519,
            "rsa-3072" => KeyAlgorithm::Rsa3072,
            other => {
                let words = format!("no kind of key is called {other:?}: ecdsa-p256, ed25519 and rsa-3072 are");
                return Err(Error::new(Code::Name, words));
            }
        };
        let jid = jid.parse::<xtls::jid::Jid>()?.to_bare();
        let pem = xtls::Identity::generate(&jid, algorithm, time(unix_time))?.to_pem();
        Ok(Self::new(&pem.certificate, pem.key.expose()))
    }

    /// The one in this file, which its owner alone can read. The first time it is made, with a new key (P-256).
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Identity`].
    #[cfg(not(target_family = "wasm"))]
    pub fn in_file(path: &str, jid: &str, unix_time: u64) -> Result<Self> {
        let jid = jid.parse::<xtls::jid::Jid>()?.to_bare();
        let make = || xtls::Identity::generate(&jid, KeyAlgorithm::EcdsaP256, time(unix_time));
        let identity = xtls_store::IdentityFile::new(path).read_or_make(make);
        let pem = identity.map_err(|error| Error::new(Code::Identity, error))?.to_pem();
        Ok(Self::new(&pem.certificate, pem.key.expose()))
    }

    /// The fingerprint of the certificate, as `sha-256:…`.
    ///
    /// # Errors
    ///
    /// [`Code::Identity`].
    pub fn fingerprint(&self) -> Result<String> {
        let certificate =
            PeerCertificate::from_pem(&self.certificate).map_err(xtls::tls::IdentityError::Certificate)?;
        Ok(certificate.fingerprint_sha256().to_string())
    }

    pub(crate) fn read(&self) -> Result<xtls::Identity> {
        Ok(xtls::Identity::from_pem(&self.certificate, &self.key)?)
    }
}

/// Seconds since 1970 as a time of day.
pub(crate) fn time(unix_time: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(unix_time))
}
