//! Which TLS method, and whose password: the offers of XEP-0250, by the rules that tunnels follow.

use xtls_stanza::{
    Fingerprint, HashAlgo, KeyName, Method, TlsOffer,
    jid::{BareJid, Jid},
};
use xtls_tls::{SrpCredentials, TlsSession};

use super::{Link, LinkEvent, LinkStage, LinkTerms, LinkTermsError};
use crate::{
    fault::{Fault, Missing},
    password::{Password, is_user_name},
    trust::{PasswordOutcome, TrustPolicy, TrustRecord},
};

/// The password of a link.
#[derive(Debug, Clone)]
pub(super) enum Secret {
    /// Nobody was asked yet.
    Unknown,
    /// This is it.
    Known(Password),
    /// Somebody was asked and has none.
    Declined,
}

/// What can be done about the peer's methods.
enum Choice {
    /// These would do, the preferred one first; never empty.
    Methods(Vec<Method>),
    /// Somebody has to be asked for the password first.
    AskPassword,
    /// None.
    Refuse(Fault),
}

impl Link {
    /// The conditions with the peer, if they can be met.
    pub(super) fn take_terms(&mut self, terms: LinkTerms) -> Result<(), LinkTermsError> {
        let secret = terms.password.clone().map_or(Secret::Unknown, Secret::Known);
        let before = (self.terms.replace(terms), core::mem::replace(&mut self.secret, secret));
        let checked = self.check_terms();
        if checked.is_err() {
            (self.terms, self.secret) = before;
        }
        checked
    }

    fn check_terms(&self) -> Result<(), LinkTermsError> {
        let certificates = self.allows(Method::X509) && (self.is_pinned() || self.takes_unknown());
        if certificates || (self.allows_password() && self.locked_until().is_none()) {
            return Ok(());
        }
        Err(match (self.allows(Method::X509), self.allows(Method::Srp)) {
            (_, true) if !self.allows_password() => LinkTermsError::UserName,
            (_, true) => LinkTermsError::PasswordLocked,
            (true, false) if self.policy() == TrustPolicy::Authorities => LinkTermsError::NoAuthorities,
            (true, false) => LinkTermsError::NotPinned,
            (false, false) => LinkTermsError::NoMethod,
        })
    }

    /// Receiving: what this end is ready for with this peer (XEP-0250 § 3.3.1).
    pub(super) fn own_offer(&self) -> TlsOffer {
        let unknown = self.takes_unknown();
        let certificates = self.allows(Method::X509) && (self.is_pinned() || unknown);
        let mut offer = self.offer_of(certificates, self.allows_password() && self.locked_until().is_none());
        offer.insecure = certificates && unknown;
        offer
    }

    /// What the peer says that it is ready for; without an offer it is TLS as ever, with certificates.
    pub(super) fn learn_offer(&mut self, offer: Option<&TlsOffer>) {
        self.peer_offers = offer.is_some();
        let Some(offer) = offer else {
            self.announced.clear();
            self.peer_shows = false;
            self.theirs = vec![Method::X509];
            return;
        };
        self.announced = fingerprints(offer);
        self.peer_shows = !offer.keys.is_empty();
        // A key that nobody here knows may be a certificate or not (XEP-0250 § 3.1).
        self.theirs = [(Method::X509, !offer.keys.is_empty() || offer.insecure), (Method::Srp, offer.srp)]
            .into_iter()
            .filter_map(|(method, is_there)| is_there.then_some(method))
            .collect();
    }

    /// Chooses among the peer's methods, or asks for the password that the choice depends on.
    pub(super) fn negotiate(&mut self) {
        match self.choose() {
            Choice::AskPassword => {
                self.wait_for_answer(LinkStage::Password);
                self.events.push(LinkEvent::PasswordRequired, 0);
            }
            Choice::Refuse(fault) => self.fail(fault.into()),
            Choice::Methods(methods) if self.initiating => {
                let offer = self.peer_offers.then(|| self.answering(&methods));
                self.asked = methods;
                self.ask(offer.as_ref());
            }
            Choice::Methods(methods) => {
                self.method = methods.first().copied();
                let offer = self.peer_offers.then(|| self.naming());
                self.proceed(offer.as_ref());
            }
        }
    }

    /// Initiating: takes the method that `<proceed/>` names. Whether it is one that was asked for.
    pub(super) fn choose_among_asked(&mut self, chosen: Option<&TlsOffer>) -> bool {
        let named = |method: &Method, chosen: &TlsOffer| match method {
            Method::Srp => chosen.srp,
            Method::X509 | _ => !chosen.keys.is_empty() || chosen.insecure,
        };
        let Some(chosen) = chosen else {
            // It SHOULD name one (XEP-0250 § 3.3.3); then it is the one that this end prefers.
            self.method = self.asked.first().copied();
            return self.method.is_some();
        };
        if [Method::X509, Method::Srp].iter().any(|method| named(method, chosen) && !self.asked.contains(method)) {
            return false;
        }
        self.method = self.asked.iter().find(|method| named(method, chosen)).copied();
        // The certificate that is announced last is the one to come.
        let keys = fingerprints(chosen);
        if !keys.is_empty() {
            self.announced = keys;
        }
        self.method.is_some()
    }

    /// Initiating: the answer to the peer's offer. A key is shown only if the peer showed one that can be verified (XEP-0250
    /// § 3.2); a certificate that cannot be is asked for as insecure.
    fn answering(&self, methods: &[Method]) -> TlsOffer {
        let certificates = methods.contains(&Method::X509);
        let pins = self.record().fingerprints();
        let verifiable = self.announced.iter().any(|announced| pins.contains(announced));
        let mut offer = self.offer_of(certificates && verifiable, methods.contains(&Method::Srp));
        offer.insecure = certificates && !verifiable;
        offer
    }

    /// Receiving: the one method that was chosen (XEP-0250 § 3.3.3).
    fn naming(&self) -> TlsOffer {
        let mut offer = TlsOffer::new([], self.method == Some(Method::Srp));
        if self.method == Some(Method::X509) {
            if self.peer_shows {
                offer = TlsOffer::new([KeyName::from(&self.local.identity.fingerprint_sha256())], false);
            } else {
                offer.insecure = true;
            }
        }
        offer
    }

    /// The own certificate is named by SHA-1, which old peers look for, and by SHA-256.
    fn offer_of(&self, certificates: bool, srp: bool) -> TlsOffer {
        let own = self.local.identity.announced_fingerprints();
        TlsOffer::new(own.iter().filter(|_| certificates).map(KeyName::from), srp)
    }

    /// A certificate that is known needs nobody; a password is better than a certificate that nobody knows.
    fn choose(&self) -> Choice {
        let x509 = self.theirs.contains(&Method::X509) && self.allows(Method::X509);
        let srp = self.theirs.contains(&Method::Srp) && self.allows_password();
        let locked = self.locked_until();
        let record = self.record();
        let pins = record.fingerprints();
        if let Some(missing) = self.stripped(&record) {
            return Choice::Refuse(Fault::Downgraded { missing: Missing::Methods(missing) });
        }
        let pinned = x509 && !pins.is_empty() && self.announcement_fits(&pins);
        let unknown = x509 && self.takes_unknown();
        let ready = srp && locked.is_none() && matches!(self.secret, Secret::Known(_));
        let mut methods = Vec::new();
        methods.extend(pinned.then_some(Method::X509));
        methods.extend(ready.then_some(Method::Srp));
        methods.extend((unknown && !pinned).then_some(Method::X509));
        let asks = srp && locked.is_none() && matches!(self.secret, Secret::Unknown);
        if asks && !pinned {
            return Choice::AskPassword;
        }
        if !methods.is_empty() {
            return Choice::Methods(methods);
        }
        Choice::Refuse(match locked {
            Some(until) if self.allows(Method::Srp) => Fault::PasswordLocked { until },
            _ if x509 && !pins.is_empty() => {
                Fault::CertificateChanged { presented: self.announced.iter().max().copied(), pinned: pins }
            }
            _ if x509 || srp => Fault::NotTrusted { fingerprint: self.announced.iter().max().copied() },
            _ => Fault::NoCommonMethod { offered: self.theirs.clone() },
        })
    }

    /// The methods that have secured this peer before, if none of them is left, nor a certificate that is pinned: somebody in
    /// between may have left them out. One that we would not speak ourselves is not missed.
    fn stripped(&self, record: &TrustRecord) -> Option<Vec<Method>> {
        let is_left =
            |method| record.secured_by.contains(method) || (*method == Method::X509 && !record.pins.is_empty());
        if self.theirs.iter().any(is_left) {
            return None;
        }
        let missing: Vec<Method> = record.secured_by.iter().copied().filter(|method| self.allows(*method)).collect();
        (!missing.is_empty()).then_some(missing)
    }

    /// Whether the policy may take a certificate that is not pinned.
    ///
    /// A leap of faith is for a first meeting: none is taken where somebody in between could have brought it about, by
    /// leaving out the password method or by wrong guesses, nor with a peer that was secured by something better before.
    fn takes_unknown(&self) -> bool {
        let record = self.record();
        match self.policy() {
            TrustPolicy::Pinned => false,
            TrustPolicy::Ask => true,
            TrustPolicy::Authorities => self.local.authorities.is_some() && record.pins.is_empty(),
            TrustPolicy::LeapOfFaith => {
                let declined = matches!(self.secret, Secret::Declined);
                let by_password_alone = !record.secured_by.contains(&Method::X509);
                let first = !record.secured_before() && !self.allows(Method::Srp);
                record.pins.is_empty() && (first || (declined && by_password_alone))
            }
        }
    }

    /// Whether the announced certificates leave hope that it is a pinned one. It is a hint: it chooses a method and proves
    /// nothing.
    pub(super) fn announcement_fits(&self, pins: &[Fingerprint]) -> bool {
        let mut comparable =
            self.announced.iter().filter(|one| pins.iter().any(|pin| pin.algo() == one.algo())).peekable();
        comparable.peek().is_none() || comparable.any(|one| pins.contains(one))
    }

    pub(super) fn policy(&self) -> TrustPolicy {
        self.terms.as_ref().map_or(TrustPolicy::Pinned, |terms| terms.trust)
    }

    fn allows(&self, method: Method) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.methods.contains(&method))
    }

    fn allows_password(&self) -> bool {
        self.allows(Method::Srp) && self.initiator().is_some_and(|initiator| is_user_name(&initiator))
    }

    fn is_pinned(&self) -> bool {
        !self.record().pins.is_empty()
    }

    pub(super) fn record(&self) -> TrustRecord {
        self.peer_bare().map(|peer| self.store.record(&peer)).unwrap_or_default()
    }

    pub(super) fn peer_bare(&self) -> Option<BareJid> {
        self.peer.as_ref().map(Jid::to_bare)
    }

    /// XEP-0250 § 2.3: whose bare JID is the user name.
    fn initiator(&self) -> Option<BareJid> {
        if self.initiating { Some(self.local.jid.to_bare()) } else { self.peer_bare() }
    }

    /// Name and password for TLS; both are this end's own, never taken from what the peer says in TLS.
    pub(super) fn credentials(&self) -> Option<SrpCredentials> {
        let Secret::Known(password) = &self.secret else { return None };
        password.credentials(&self.initiator()?)
    }

    pub(super) fn forget_secret(&mut self) {
        self.secret = Secret::Declined;
        if let Some(terms) = &mut self.terms {
            terms.password = None;
        }
    }

    /// Until when, in Unix time, no password may be tried with this peer.
    pub(super) fn locked_until(&self) -> Option<u64> {
        let (tries, cooldown) = (self.config.password_tries, self.config.password_cooldown.as_secs());
        self.record().locked_until(tries, cooldown, self.clock.unix_time())
    }

    pub(super) fn password_tried(&mut self, outcome: PasswordOutcome) {
        if let Some(peer) = self.peer_bare() {
            self.store.password_tried(&peer, outcome, self.clock.unix_time());
        }
    }

    /// A link that ended after the password was put to the test, and before it proved right, was a guess: whoever was at the
    /// other end may have made it.
    pub(super) fn count_guess(&mut self) {
        let attempted = self.tls.as_ref().is_some_and(TlsSession::password_attempted);
        if attempted && self.verified.is_none() && !self.password_was_right {
            self.password_tried(PasswordOutcome::Wrong);
        }
    }
}

/// The fingerprints that an offer's keys have for names; MD5 says nothing either way.
pub(crate) fn fingerprints(offer: &TlsOffer) -> Vec<Fingerprint> {
    let names = offer.keys.iter().filter_map(KeyName::fingerprint);
    names.filter(|fingerprint| fingerprint.algo() != HashAlgo::Md5).collect()
}
