//! What this end of a link is and knows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use xtls::link::{LinkConfig, LinkSetup, PeerLink};
use xtls::{Local, Terms, trust::StoreError};
use xtls_stanza::jid::{BareJid, Jid};

use super::address;
use crate::args::LinkArgs;
use crate::clock;
use crate::data::{DataDir, TrustFile};
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::session::{self, Disco, Own, RECEIPTS, Rules};

/// How much longer a whole TLS handshake may take than a single step.
const HANDSHAKE_STEPS: u32 = 2;

/// This end: its name, its certificate, whom it trusts.
pub(super) struct End {
    pub(super) output: Output,
    pub(super) rules: Rules,
    pub(super) disco: Disco,
    pub(super) timeout: Duration,
    local: Local<Jid>,
    trust: Arc<Mutex<TrustFile>>,
}

impl End {
    /// Reads everything local. The command line has `named` these peers, or means anybody.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the options and the files.
    pub(super) fn new(output: Output, data: &DataDir, args: &LinkArgs, named: &[BareJid]) -> Result<Self, Failure> {
        let mut trust = data.trust()?;
        let mut rules = Rules::from_args(&args.trust, named, &mut trust)?;
        let jid = match &args.jid {
            Some(jid) => jid.clone(),
            None => address::own()?,
        };
        rules.ask(output, named.first().map_or("your peers", |peer| peer.as_str()))?;
        rules.warn(output);
        let identity = crate::identity::own(output, data, &jid, None, false)?;
        let disco = Disco::new(&jid, &[RECEIPTS])?;
        let timeout = Duration::from_secs(args.timeout);
        let mut local = Local::new(Jid::from(jid), identity);
        local.authorities = rules.authorities();
        Ok(Self { output, rules, disco, timeout, local, trust: Arc::new(Mutex::new(trust)) })
    }

    /// What a link is made of.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random numbers.
    pub(super) fn setup(&self) -> Result<LinkSetup, Failure> {
        let mut seed = [0; 32];
        self.random(&mut seed)?;
        let mut config = LinkConfig::default();
        config.timers.answer = self.timeout;
        config.timers.handshake = self.timeout.saturating_mul(HANDSHAKE_STEPS);
        let store = Box::new(Arc::clone(&self.trust));
        Ok(LinkSetup::new(self.local.clone(), store, seed, clock::unix()).with_config(config))
    }

    /// Fills it with random bytes.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub(super) fn random(&self, out: &mut [u8]) -> Result<(), Failure> {
        let random = self.local.provider.secure_random.fill(out);
        random.map_err(|_| Failure::other("the operating system gives no random numbers"))
    }

    /// This end, as its peers know it.
    pub(super) fn own(&self) -> Own {
        Own {
            jid: self.local.jid.to_bare(),
            fingerprint: self.local.identity.fingerprint_sha256(),
            has_password: self.rules.has_password(),
        }
    }

    /// Your name.
    pub(super) fn jid(&self) -> &Jid {
        &self.local.jid
    }

    /// The conditions of a link.
    pub(super) fn terms(&self) -> Terms {
        self.rules.terms()
    }

    /// What is known of peers.
    pub(super) fn trust(&self) -> std::sync::MutexGuard<'_, TrustFile> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of something on standard output.
    pub(super) fn report(&self, report: &Report<'_>) -> Result<(), Failure> {
        session::tell(self.output, report)
    }

    /// Warns that what was learned of the other end could not be written.
    pub(super) fn store_failed(&self, link: &PeerLink, error: &StoreError) {
        let peer = link.peer().map(Jid::to_bare);
        self.output.store_failed(peer.as_ref(), link.security().map(|security| security.method), error);
    }
}
