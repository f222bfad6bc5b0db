//! Which TLS method, and what the user says about a password (draft-meyer-xmpp-e2e-encryption-02 § 3). The rules themselves are
//! those of `xtls_channel::rules`.

use xtls_channel::{
    Fault, Missing, NotAsked, Password, Timer,
    rules::{Choice, Unofferable},
};
use xtls_jingle::{Role, Session};
use xtls_stanza::{Method, SecurityOffer, XtlsVersion};

use super::{Phase, TunnelCore};
use crate::{event::Event, shared::Shared};

impl TunnelCore {
    /// What an initiator offers.
    pub(super) fn own_offer(&mut self, shared: &Shared) -> Result<SecurityOffer, Box<Fault>> {
        let Some(channel) = &mut self.channel else { return Ok(own_security(Vec::new(), shared)) };
        channel.refresh(&shared.env)?;
        // What could succeed when the tunnel was asked for may not any more, now that the peer told its features.
        let methods = channel.offerable().map_err(|why| match why {
            Unofferable::PasswordLocked { until } => Fault::PasswordLocked { until },
            Unofferable::Downgraded => Fault::Downgraded { missing: Missing::Proof },
            Unofferable::UserName => Fault::UserName,
            Unofferable::NoMethod | Unofferable::NoAuthorities | Unofferable::NotPinned | Unofferable::NoTls13 => {
                Fault::NotTrusted { fingerprint: None }
            }
        })?;
        Ok(own_security(methods, shared))
    }

    /// Responder: answers the offer, or asks for the password that the answer depends on (draft § 3, rules 3 to 5).
    pub(super) fn answer_offer(&mut self, shared: &mut Shared) {
        let session = self.negotiation.session.as_ref();
        let offered = session.map(|session| session.offer().security.methods.clone()).unwrap_or_default();
        if let Some(methods) = self.choose(&offered, shared) {
            self.accept_session(own_security(methods, shared), shared);
        }
    }

    /// Initiator: chooses among the responder's methods, or asks for the password that the choice depends on (draft § 3,
    /// initiator's rule 2).
    pub(super) fn choose_answer(&mut self, shared: &mut Shared) {
        let session = self.negotiation.session.as_ref();
        let answered = session.and_then(Session::peer_security);
        let mut answered = answered.map(|security| security.methods.clone()).unwrap_or_default();
        let offered = session.and_then(Session::local_security);
        // A method that we left out of our offer is none, whoever writes it into the answer.
        if let Some(offered) = offered.filter(|offered| offered.methods.iter().any(|method| answered.contains(method)))
        {
            answered.retain(|method| offered.methods.contains(method));
        }
        let Some(methods) = self.choose(&answered, shared) else { return };
        let method = methods.first().copied().unwrap_or(Method::X509);
        let chosen = self.negotiation.session.as_mut().map(|session| session.choose(method));
        if matches!(chosen, Some(Ok(()))) {
            self.begin_transport(shared);
        } else {
            self.fail(Fault::NoCommonMethod { offered: answered }, shared);
        }
    }

    /// The user has answered [`Event::PasswordRequired`].
    pub(crate) fn provide_password(&mut self, password: Option<Password>, shared: &mut Shared) -> Result<(), NotAsked> {
        let (Phase::Password, Some(channel)) = (self.phase, &mut self.channel) else {
            return Err(NotAsked);
        };
        self.timers.clear(Timer::Question);
        channel.provide_password(password);
        self.choose_again(shared);
        Ok(())
    }

    /// The question for a password is over.
    pub(super) fn choose_again(&mut self, shared: &mut Shared) {
        match self.role {
            Role::Responder => self.answer_offer(shared),
            Role::Initiator | _ => self.choose_answer(shared),
        }
    }

    /// The method that both ends know to be the one, before the first byte of TLS is seen.
    pub(super) fn agreed_method(&self) -> Option<Method> {
        let session = self.negotiation.session.as_ref()?;
        let only = match session.local_security().map(|security| security.methods.as_slice()) {
            Some([only]) if self.role == Role::Responder => Some(*only),
            _ => None,
        };
        session.method().or(only)
    }

    /// The methods that would do, of those of the peer; if there are none, what follows from that is seen to.
    fn choose(&mut self, theirs: &[Method], shared: &mut Shared) -> Option<Vec<Method>> {
        let channel = self.channel.as_mut()?;
        if let Err(fault) = channel.refresh(&shared.env) {
            self.fail(fault, shared);
            return None;
        }
        match channel.choose(theirs) {
            Choice::Methods(methods) => return Some(methods),
            Choice::AskPassword => self.ask_password(shared),
            Choice::Refuse(fault) => self.fail(fault, shared),
        }
        None
    }

    fn ask_password(&mut self, shared: &mut Shared) {
        self.phase = Phase::Password;
        self.timers.ask_user(shared.after(shared.config.timers.question));
        shared.events.push(Event::PasswordRequired { id: self.id, side: self.side() });
    }
}

/// What we say in `<security/>`: the SHA-1 fingerprint that old peers look for, the SHA-256 one, and the methods.
fn own_security(methods: Vec<Method>, shared: &Shared) -> SecurityOffer {
    let fingerprints = shared.env.identity().announced_fingerprints().to_vec();
    SecurityOffer::new(XtlsVersion::Xtls0, fingerprints, methods)
}
