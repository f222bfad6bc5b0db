//! Which TLS method, and whose password: the rules of draft-meyer-xmpp-e2e-encryption-02 § 3.

use xtls_jingle::{Role, Session};
use xtls_stanza::{Fingerprint, Method, SecurityOffer, XtlsVersion, jid::BareJid};
use xtls_tls::{SrpCredentials, TlsSession};

use super::{Phase, Tunnel};
use crate::{
    error::ProvidePasswordError,
    event::{Event, Side},
    fault::{Fault, Missing},
    password::{Password, is_user_name},
    shared::Shared,
    timer::Timer,
    trust::{PasswordOutcome, TrustPolicy},
};

/// The password of a tunnel.
#[derive(Debug, Clone, Default)]
pub(super) enum Secret {
    /// Nobody was asked yet.
    #[default]
    Unknown,
    /// This is it.
    Known(Password),
    /// Somebody was asked and has none.
    Declined,
}

/// What can be done about the peer's methods.
pub(super) enum Choice {
    /// These methods would do, the preferred one first; never empty.
    Methods(Vec<Method>),
    /// Somebody has to be asked for the password first.
    AskPassword,
    /// None.
    Refuse(Fault),
}

impl Tunnel {
    /// What an initiator offers. A method that cannot succeed is left out (draft § 3).
    pub(super) fn own_offer(&self, shared: &Shared) -> SecurityOffer {
        let pinned = !self.pinned(shared).is_empty();
        let by_policy = match self.trust_policy() {
            TrustPolicy::Pinned => false,
            TrustPolicy::Ask | TrustPolicy::LeapOfFaith => true,
            TrustPolicy::Authorities => self.authorities(shared).is_some(),
        };
        let certificates = self.allows(Method::X509) && (pinned || by_policy);
        let passwords = self.allows_password(shared) && self.locked_until(shared).is_none();
        let mut methods = Vec::new();
        // A certificate that is known needs nobody; a password is better than a certificate that nobody knows.
        if certificates && pinned {
            methods.push(Method::X509);
        }
        if passwords {
            methods.push(Method::Srp);
        }
        if certificates && !pinned {
            methods.push(Method::X509);
        }
        own_security(methods, shared)
    }

    /// Responder: answers the offer, or asks for the password that the answer depends on (draft § 3, rules 3 to 5).
    pub(super) fn answer_offer(&mut self, shared: &mut Shared) {
        let offered = self.session.as_ref().map(|session| session.offer().security.methods.clone()).unwrap_or_default();
        match self.choose_method(&offered, shared) {
            Choice::Methods(methods) => self.accept_session(own_security(methods, shared), shared),
            Choice::AskPassword => self.ask_password(shared),
            Choice::Refuse(fault) => self.fail(fault, shared),
        }
    }

    /// Initiator: chooses among the responder's methods, or asks for the password that the choice depends on (draft § 3,
    /// initiator's rule 2).
    pub(super) fn choose_answer(&mut self, shared: &mut Shared) {
        let answered = self.session.as_ref().and_then(Session::peer_security);
        let mut answered = answered.map(|security| security.methods.clone()).unwrap_or_default();
        let offered = self.session.as_ref().and_then(Session::local_security);
        // A method that we left out of our offer is none, whoever writes it into the answer.
        if let Some(offered) = offered.filter(|offered| offered.methods.iter().any(|method| answered.contains(method)))
        {
            answered.retain(|method| offered.methods.contains(method));
        }
        match self.choose_method(&answered, shared) {
            Choice::Methods(methods) => {
                let method = methods.first().copied().unwrap_or(Method::X509);
                let chosen = self.session.as_mut().map(|session| session.choose(method));
                if matches!(chosen, Some(Ok(()))) {
                    self.begin_transport(shared);
                } else {
                    self.fail(Fault::NoCommonMethod { offered: answered }, shared);
                }
            }
            Choice::AskPassword => self.ask_password(shared),
            Choice::Refuse(fault) => self.fail(fault, shared),
        }
    }

    /// Somebody has answered [`Event::PasswordRequired`].
    pub(crate) fn provide_password(
        &mut self,
        password: Option<Password>,
        shared: &mut Shared,
    ) -> Result<(), ProvidePasswordError> {
        if self.phase != Phase::Password {
            return Err(ProvidePasswordError::NotAsked);
        }
        self.timers.clear(Timer::Ring);
        self.secret = password.map_or(Secret::Declined, Secret::Known);
        match self.role {
            Role::Responder => self.answer_offer(shared),
            Role::Initiator | _ => self.choose_answer(shared),
        }
        Ok(())
    }

    /// The method that both ends know to be the one, before the first byte of TLS is seen.
    pub(super) fn agreed_method(&self) -> Option<Method> {
        let session = self.session.as_ref()?;
        let only = match session.local_security().map(|security| security.methods.as_slice()) {
            Some([only]) if self.role == Role::Responder => Some(*only),
            _ => None,
        };
        session.method().or(only)
    }

    /// Name and password for TLS. The name is the initiator's bare JID (XEP-0250 § 2.3), computed here at both ends and
    /// never taken from what the peer says.
    pub(super) fn credentials(&self, shared: &Shared) -> Option<SrpCredentials> {
        let Secret::Known(password) = &self.secret else { return None };
        password.credentials(&self.initiator(shared))
    }

    /// A password was put to the test.
    pub(super) fn password_tried(&self, outcome: PasswordOutcome, shared: &mut Shared) {
        let unix_time = shared.clock.unix_time();
        shared.store.password_tried(&self.peer.to_bare(), outcome, unix_time);
    }

    /// A tunnel that ended after the password was put to the test, and before it proved right, was a guess: whoever was at
    /// the other end may have made it.
    pub(super) fn count_guess(&mut self, shared: &mut Shared) {
        let attempted = self.tls.as_ref().is_some_and(TlsSession::password_attempted);
        if self.ended.is_some() && attempted && self.verified.is_none() && !self.guess_counted {
            self.guess_counted = true;
            self.password_tried(PasswordOutcome::Wrong, shared);
        }
    }

    /// Until when, in Unix time, what comes next in a handshake must not put the password to the test: others with the same
    /// peer may have failed since this one was agreed on.
    pub(super) fn no_more_guesses(&self, shared: &Shared) -> Option<u64> {
        let is_guess = |tls: &TlsSession| tls.is_handshaking() && !tls.password_attempted();
        let pending = self.is_by_password() && self.tls.as_ref().is_some_and(is_guess);
        if pending { self.locked_until(shared) } else { None }
    }

    fn ask_password(&mut self, shared: &mut Shared) {
        self.phase = Phase::Password;
        self.timers.set(Timer::Ring, shared.after(shared.config.timers.ring));
        let side = match self.role {
            Role::Responder => Side::Responder,
            Role::Initiator | _ => Side::Initiator,
        };
        shared.events.push(Event::PasswordRequired { id: self.id, side });
    }

    pub(super) fn choose_method(&self, theirs: &[Method], shared: &Shared) -> Choice {
        if let Some(methods) = self.stripped(theirs, shared) {
            return Choice::Refuse(Fault::Downgraded { missing: Missing::Methods(methods) });
        }
        let x509 = theirs.contains(&Method::X509) && self.allows(Method::X509);
        let srp = theirs.contains(&Method::Srp) && self.allows_password(shared);
        let pins = self.pinned(shared);
        let locked = self.locked_until(shared);
        let by_policy = x509
            && match self.trust_policy() {
                TrustPolicy::Pinned => false,
                TrustPolicy::Ask => true,
                TrustPolicy::LeapOfFaith => self.may_leap(shared),
                TrustPolicy::Authorities => self.authorities(shared).is_some() && pins.is_empty(),
            };
        let ready = srp && locked.is_none() && matches!(self.secret, Secret::Known(_));
        if x509 && !pins.is_empty() && self.announcement_fits(&pins) {
            let mut methods = vec![Method::X509];
            methods.extend(ready.then_some(Method::Srp));
            return Choice::Methods(methods);
        }
        if ready {
            let mut methods = vec![Method::Srp];
            methods.extend(by_policy.then_some(Method::X509));
            return Choice::Methods(methods);
        }
        if srp && locked.is_none() && matches!(self.secret, Secret::Unknown) {
            return Choice::AskPassword;
        }
        if by_policy || (x509 && !pins.is_empty()) {
            // With a pin that does not fit the announcement: TLS shows whether the certificate really changed.
            return Choice::Methods(vec![Method::X509]);
        }
        Choice::Refuse(match locked {
            Some(until) if self.allows(Method::Srp) => Fault::PasswordLocked { until },
            _ if x509 && self.has_lost_proof(shared) => Fault::Downgraded { missing: Missing::Proof },
            _ if x509 || srp => self.not_trusted(),
            _ => Fault::NoCommonMethod { offered: theirs.to_vec() },
        })
    }

    /// Why there is nothing to offer: the password is locked, or no certificate of the peer is trusted.
    pub(super) fn nothing_to_offer(&self, shared: &Shared) -> Fault {
        match self.locked_until(shared) {
            Some(until) if self.allows(Method::Srp) => Fault::PasswordLocked { until },
            _ => self.not_trusted(),
        }
    }

    fn not_trusted(&self) -> Fault {
        Fault::NotTrusted { fingerprint: self.announced.iter().max().copied() }
    }

    /// Whether the announced fingerprints leave hope that the certificate is a pinned one. It is a hint: it chooses a method
    /// and proves nothing.
    pub(super) fn announcement_fits(&self, pins: &[Fingerprint]) -> bool {
        let mut comparable =
            self.announced.iter().filter(|one| pins.iter().any(|pin| pin.algo() == one.algo())).peekable();
        comparable.peek().is_none() || comparable.any(|one| pins.contains(one))
    }

    pub(super) fn allows(&self, method: Method) -> bool {
        self.options.as_ref().is_some_and(|options| options.methods.contains(&method))
    }

    /// Whether the password method can be used: it is allowed, and the initiator's address can be the user name.
    fn allows_password(&self, shared: &Shared) -> bool {
        self.allows(Method::Srp) && is_user_name(&self.initiator(shared))
    }

    /// The methods that have secured this peer before, of which none is left: neither one of those nor a certificate that is
    /// pinned (draft § 8.3). One that we cannot or would not speak ourselves is not missed.
    fn stripped(&self, theirs: &[Method], shared: &Shared) -> Option<Vec<Method>> {
        let record = self.record(shared);
        let is_left =
            |method| record.secured_by.contains(method) || (*method == Method::X509 && !record.pins.is_empty());
        if self.allows_downgrade() || theirs.iter().any(is_left) {
            return None;
        }
        let offered = self.session.as_ref().and_then(Session::local_security);
        let is_expected = |method: &Method| match offered {
            Some(offered) => offered.methods.contains(method),
            None if *method == Method::Srp => self.allows_password(shared) && self.locked_until(shared).is_none(),
            None => self.allows(*method),
        };
        let missing: Vec<Method> = record.secured_by.iter().copied().filter(is_expected).collect();
        (!missing.is_empty()).then_some(missing)
    }

    /// Whether a leap of faith would give up nothing: neither what the password method protects, whose password somebody in
    /// between could lock by wrong guesses, nor what has secured this peer before.
    fn may_leap(&self, shared: &Shared) -> bool {
        let locked = self.allows(Method::Srp) && self.locked_until(shared).is_some();
        (!locked || self.has_declined()) && !self.has_lost_proof(shared)
    }

    /// Whether a peer without a pin was secured before, by an authority or a password, and only its own word would be left
    /// now; that there is no password any more somebody may say.
    fn has_lost_proof(&self, shared: &Shared) -> bool {
        let record = self.record(shared);
        let by_password_alone = !record.secured_by.contains(&Method::X509);
        let leaps = self.trust_policy() == TrustPolicy::LeapOfFaith && !self.allows_downgrade();
        let released = by_password_alone && self.has_declined();
        leaps && record.secured_before() && record.pins.is_empty() && !released
    }

    fn has_declined(&self) -> bool {
        matches!(self.secret, Secret::Declined)
    }

    fn allows_downgrade(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.allow_downgrade)
    }

    fn initiator(&self, shared: &Shared) -> BareJid {
        match self.role {
            Role::Responder => self.peer.to_bare(),
            Role::Initiator | _ => shared.local.jid.to_bare(),
        }
    }

    /// Until when, in Unix time, no password may be tried with this peer.
    fn locked_until(&self, shared: &Shared) -> Option<u64> {
        shared.password_locked_until(&self.peer.to_bare())
    }
}

/// What we say in `<security/>`: the SHA-1 fingerprint that old peers look for, the SHA-256 one, and the methods.
fn own_security(methods: Vec<Method>, shared: &Shared) -> SecurityOffer {
    let fingerprints = shared.local.identity.announced_fingerprints().to_vec();
    SecurityOffer::new(XtlsVersion::Xtls0, fingerprints, methods)
}
