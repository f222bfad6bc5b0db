//! Connections to servers: whom to believe, and the link on them.

use std::path::Path;
use std::sync::Arc;

use xtls::link::{ClientLink, LinkConfig, LinkSetup, ServerTerms};
use xtls::{
    Identity, Local, TrustPolicy,
    trust::{Authorities, Fingerprint, MemoryTrustStore, Pin},
};
use xtls_stanza::jid::BareJid;

use crate::account;
use crate::clock;
use crate::exit::Failure;
use crate::output::Output;
use crate::session;

/// What makes a server's certificate acceptable.
#[derive(Clone, Debug)]
pub(crate) enum ServerTrust {
    /// It is one of these, whoever vouches for it.
    Pins(Vec<Fingerprint>),
    /// One of these vouches for it, or it is one of these, and it names the domain.
    Authorities(Arc<Authorities>),
}

impl ServerTrust {
    /// The fingerprints, which `option` gives, if there are any; else the certificates in a file, or else the platform's
    /// authorities.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used, or there is none.
    pub(crate) fn new(
        output: Output,
        option: &str,
        fingerprints: &[String],
        ca_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        if fingerprints.is_empty() {
            return Ok(Self::Authorities(Arc::new(authorities(ca_file)?)));
        }
        let mut pins = Vec::new();
        for text in fingerprints {
            let pin = session::fingerprint(text)
                .map_err(|why| Failure::usage(format!("{option} {text} is no fingerprint: {why}")))?;
            session::warn_if_weak(output, &pin);
            pins.push(pin);
        }
        Ok(Self::Pins(pins))
    }

    /// The policy of a link under which nothing else is.
    pub(crate) fn policy(&self) -> TrustPolicy {
        match self {
            Self::Pins(_) => TrustPolicy::Pinned,
            Self::Authorities(_) => TrustPolicy::Authorities,
        }
    }
}

/// Who opens a stream to a server.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    /// Told inside TLS.
    pub(crate) jid: &'a BareJid,
    /// No server gets to see it.
    pub(crate) identity: &'a Identity,
    /// Whose server it has to be.
    pub(crate) domain: &'a BareJid,
}

impl Client<'_> {
    /// The client's end of a connection. With [`TrustPolicy::Pinned`] the fingerprints of `trust` count, with
    /// [`TrustPolicy::Authorities`] its authorities.
    ///
    /// # Errors
    ///
    /// When no link can be made.
    pub(crate) fn link(
        &self,
        trust: Option<&ServerTrust>,
        terms: &ServerTerms,
        config: LinkConfig,
    ) -> Result<ClientLink, Failure> {
        let mut local = Local::new(self.jid.clone().into(), self.identity.clone());
        let mut store = MemoryTrustStore::default();
        match trust {
            Some(ServerTrust::Pins(pins)) if terms.trust == TrustPolicy::Pinned => {
                pins.iter().for_each(|pin| store.pin(self.domain, Pin::manual(*pin)));
            }
            Some(ServerTrust::Authorities(authorities)) => local.authorities = Some(Arc::clone(authorities)),
            Some(ServerTrust::Pins(_)) | None => {}
        }
        let mut seed = [0; 32];
        let random = local.provider.secure_random;
        random.fill(&mut seed).map_err(|_| Failure::other("the operating system gives no random numbers"))?;
        let setup = LinkSetup::new(local, Box::new(store), seed, clock::unix()).with_config(config);
        ClientLink::connect(setup, self.domain.clone().into(), terms, clock::now())
            .map_err(|e| Failure::other(format!("no link to the server can be made: {e}")))
    }
}

/// Those whose word counts: of the file, or else the platform's.
fn authorities(ca_file: Option<&Path>) -> Result<Authorities, Failure> {
    if let Some(path) = ca_file {
        let text = account::read_file("the CA file", path)?;
        return Authorities::from_pem_with_servers(&String::from_utf8_lossy(&text))
            .map_err(|e| Failure::other(format!("the CA file cannot be used: {e}; check --ca-file")));
    }
    let certificates = rustls_native_certs::load_native_certs().certs;
    // A platform may have some that are no authorities by the rules of today.
    let usable = certificates.into_iter().filter(|certificate| Authorities::from_der([certificate]).is_ok());
    Authorities::from_der(usable).map_err(|e| {
        Failure::other(format!(
            "the platform's certificate authorities cannot be used: {e}; give those of the server with --ca-file"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn output() -> Output {
        Output::new(false)
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let refused = |text: &str| {
            std::fs::write(&path, text).unwrap();
            ServerTrust::new(output(), "--server-fingerprint", &[], Some(&path)).unwrap_err().message
        };
        assert!(refused("").contains("no certificate found"));
        assert!(
            refused("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").contains("not well-formed PEM")
        );
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(garbage).contains("certificate 1 cannot be used: it is not a readable X.509 certificate"));
    }

    #[test]
    fn fingerprints_go_before_authorities_and_are_named_by_their_option_if_they_are_none() {
        let given = |text: &str| ServerTrust::new(output(), "--server-fingerprint", &[text.to_owned()], None);
        let pinned = given(&"ab".repeat(32)).unwrap();
        assert_eq!(pinned.policy(), TrustPolicy::Pinned);
        assert!(matches!(pinned, ServerTrust::Pins(pins) if pins.len() == 1));
        let refused = given("xyz").unwrap_err();
        assert_eq!(refused.code, crate::exit::Code::Usage);
        assert!(refused.message.starts_with("--server-fingerprint xyz is no fingerprint"), "{}", refused.message);
    }
}
