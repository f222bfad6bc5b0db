//! Extension probing: what two ends could use, told before there is a tunnel (XEP-0250 § 3.2).
//!
//! An answer tells whose certificates are trusted here, so it is given to few and not often, and to everybody else the
//! question is one that nobody here understands.

use core::time::Duration;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use xtls_channel::{
    Fault, Instant, StoreError, TrustPolicy,
    rules::{self, Choice, Offered, Policy, Said, Standing},
};
use xtls_stanza::{
    Condition, ElementRef, ErrorType, Fingerprint, HashAlgo, Id, Iq, IqType, KeyKind, KeyName, Method, OwnMethods,
    StanzaError, TlsOffer,
    jid::{BareJid, FullJid, Jid},
    ns,
};

use super::{Engine, inbound::Sender, pace::Pace};
use crate::{
    answer::Answer,
    application::TunnelOptions,
    config::AnswerOffers,
    error::ProbeError,
    event::{Event, ProbeFault, ProbeId},
    shared::{Shared, address},
    tunnel::Place,
};

/// Questions of ours and those of others.
#[derive(Debug, Default)]
pub(super) struct Probing {
    /// Ours that wait to be sent or answered, in the order in which they were asked; so their times are over in that order.
    asked: VecDeque<Asked>,
    /// Whose questions were answered lately.
    answered: Pace,
    /// To whom the embedder lets answers go.
    allowed: BTreeSet<BareJid>,
}

#[derive(Debug)]
struct Asked {
    id: ProbeId,
    peer: FullJid,
    to: Arc<str>,
    offer: TlsOffer,
    /// The id of the query, once it is out.
    sent: Option<Id>,
    until: Instant,
}

impl Probing {
    /// Questions of ours at once.
    const ASKED: usize = 32;

    pub(super) fn poll(&mut self, shared: &mut Shared, out: &mut String) -> Option<Arc<str>> {
        let asked = self.asked.iter_mut().find(|asked| asked.sent.is_none())?;
        let id = shared.ids.next_id();
        Iq::write_start(out, IqType::Get, id.as_str(), &asked.to, shared.from());
        asked.offer.write(out);
        out.push_str("</iq>");
        asked.sent = Some(id);
        Some(Arc::clone(&asked.to))
    }

    /// When the next question of ours has waited for long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.front().map(|asked| asked.until)
    }

    /// The outer stream is back.
    pub(super) fn resume(&mut self, away: Duration, earliest: Instant) {
        for asked in &mut self.asked {
            asked.until = earliest.max(asked.until.checked_add(away).unwrap_or(asked.until));
        }
    }

    fn take_if(&mut self, is_it: impl FnMut(&Asked) -> bool) -> Option<Asked> {
        let at = self.asked.iter().position(is_it)?;
        self.asked.remove(at)
    }
}

impl Engine {
    /// Asks what `peer` is ready for with us, without opening a tunnel (XEP-0250 § 3.2). `options` are the conditions that a
    /// tunnel would be under; nothing of them but methods, policy and the presence of a password matters.
    ///
    /// What comes of it is told by [`Event::Probed`], within [`Timers::answer`](crate::config::Timers::answer). The question shows the
    /// peer, and the servers on the way, the fingerprints of your certificate where certificates are allowed, and which
    /// methods are. The answer went through the same servers and proves nothing.
    ///
    /// # Errors
    ///
    /// When there is nothing to ask, or 32 questions are open; nothing was sent then.
    pub fn probe(&mut self, now: Instant, peer: FullJid, options: &TunnelOptions) -> Result<ProbeId, ProbeError> {
        self.shared.env.advance(now);
        if peer == self.shared.jid {
            return Err(ProbeError::OwnAddress);
        }
        if self.probing.asked.len() >= Probing::ASKED {
            return Err(ProbeError::TooMany);
        }
        let standing = self.standing_of(&peer, options).map_err(|_| ProbeError::Store)?;
        let offer = self.probing_offer(&Policy::of(&options.terms), &standing);
        if offer.is_empty() {
            return Err(ProbeError::NoMethod);
        }
        let id = ProbeId(self.new_id());
        let until = self.shared.after(self.shared.config.timers.answer).protocol;
        let to = address(peer.as_str());
        self.probing.asked.push_back(Asked { id, peer, to, offer, sent: None, until });
        Ok(id)
    }

    /// By which method a tunnel with `peer` would be secured, if `theirs` is what the peer said of itself and what is known of
    /// the peer stays what it is; or the fault that it would fail with. Where the user would have to be asked for a password,
    /// the yes is assumed. Nothing is sent.
    ///
    /// # Errors
    ///
    /// When nothing would do.
    pub fn would_choose(
        &self,
        peer: &FullJid,
        options: &TunnelOptions,
        theirs: &TlsOffer,
    ) -> Result<Method, Box<Fault>> {
        let mut standing = self.standing_of(peer, options).map_err(Fault::Store)?;
        let policy = Policy::of(&options.terms);
        let announced = fingerprints(theirs);
        // A key that nobody here knows may be a certificate or not (XEP-0250 § 3.1).
        let certificates = !theirs.keys.is_empty() || theirs.insecure;
        let methods: Vec<Method> = [(Method::X509, certificates), (Method::Srp, theirs.srp)]
            .into_iter()
            .filter_map(|(method, is_there)| is_there.then_some(method))
            .collect();
        let peer = Offered { methods: &methods, announced: &announced };
        let mut choice = rules::choose(peer, &policy, &standing);
        if matches!(choice, Choice::AskPassword) {
            standing.said = Said::Password;
            choice = rules::choose(peer, &policy, &standing);
        }
        let method = match choice {
            Choice::Methods(methods) => methods.first().copied().unwrap_or(Method::X509),
            Choice::AskPassword => Method::Srp,
            Choice::Refuse(fault) => return Err(Box::new(fault)),
        };
        let pins = &standing.pins;
        let changed = method == Method::X509 && !pins.is_empty() && !rules::announcement_fits(&announced, pins);
        if changed && policy.trust != TrustPolicy::Ask {
            // TLS would show it.
            let presented = announced.iter().max().copied();
            return Err(Box::new(Fault::CertificateChanged { presented, pinned: standing.pins }));
        }
        Ok(method)
    }

    /// Lets a peer be answered that asks what we are ready for, or whether we are there ([`Event::PresenceWanted`]), whatever is known
    /// of it, or takes that back. It counts where
    /// [`Config::answer_offers`](crate::Config::answer_offers) is not [`AnswerOffers::Never`].
    pub fn allow_offers(&mut self, peer: BareJid, allow: bool) {
        if allow {
            self.probing.allowed.insert(peer);
        } else {
            self.probing.allowed.remove(&peer);
        }
    }

    /// The peer asks what we are ready for. `None` if it is nobody who is to be answered: then it is a question that is not
    /// understood here, and whoever answers those answers it too, so that the two cannot be told apart.
    pub(super) fn handle_offer_query(&mut self, id: &str, from: &Sender<'_>, payload: ElementRef<'_>) -> Option<()> {
        let theirs = TlsOffer::parse(payload)?;
        let peer = FullJid::new(from.stamped).ok()?.to_bare();
        if !self.answers_offers_of(&peer) {
            return None;
        }
        let answer = if self.probing.answered.admit(self.shared.env.clock().now(), &peer) {
            Answer::Offer(self.answering_offer(&peer, &theirs))
        } else {
            Answer::Error(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait))
        };
        self.answers.push(from.stamped, id, answer);
        Some(())
    }

    /// An answer to a question of ours, by its id and its sender.
    pub(super) fn handle_offer_answer(&mut self, iq: &Iq<'_>, from: &Sender<'_>) -> bool {
        let is_it = |asked: &Asked| {
            asked.sent.is_some_and(|sent| sent.as_str() == iq.id) && asked.peer.canonical() == from.address
        };
        let Some(asked) = self.probing.take_if(is_it) else { return false };
        let offer = iq.payload.and_then(TlsOffer::parse);
        let result = match iq.error() {
            Some(error) => Err(ProbeFault::Refused(error)),
            None => offer.ok_or(ProbeFault::Malformed),
        };
        self.probed(asked, result);
        true
    }

    /// The same, answered from an address that a server may confuse with the peer's.
    pub(super) fn confused_probe(&mut self, id: &str, other: Jid) -> bool {
        let is_it =
            |asked: &Asked| asked.sent.is_some_and(|sent| sent.as_str() == id) && asked.peer.is_confused_with(&other);
        let Some(asked) = self.probing.take_if(is_it) else { return false };
        self.probed(asked, Err(ProbeFault::AnotherAnswered(other)));
        true
    }

    /// Gives up questions that were not answered in time.
    pub(super) fn expire_questions(&mut self) {
        if self.shared.suspended_since.is_some() {
            return;
        }
        let now = self.shared.env.clock().now();
        while let Some(asked) = self.probing.take_if(|asked| asked.until <= now) {
            // It may still be answered, and that belongs to nobody else.
            if let Some(sent) = asked.sent {
                self.answers.expect(sent, &address(asked.peer.canonical()));
            }
            self.probed(asked, Err(ProbeFault::Timeout));
        }
    }

    pub(super) fn lose_questions(&mut self) {
        while let Some(asked) = self.probing.asked.pop_front() {
            self.probed(asked, Err(ProbeFault::Disconnected));
        }
    }

    fn probed(&mut self, asked: Asked, result: Result<TlsOffer, ProbeFault>) {
        let Asked { id, peer, .. } = asked;
        self.shared.events.push(Event::Probed { id, peer, result: result.map_err(Box::new) });
    }

    /// Whether a peer may learn what there is to learn of us before there is a tunnel.
    pub(super) fn answers_offers_of(&self, peer: &BareJid) -> bool {
        match self.shared.config.answer_offers {
            AnswerOffers::Never => false,
            AnswerOffers::Allowed => self.probing.allowed.contains(peer),
            AnswerOffers::Known => self.is_known(peer),
        }
    }

    /// Whether a peer is no stranger: it has a pin, was secured before, has a tunnel with us, or the embedder names it.
    pub(super) fn is_known(&self, peer: &BareJid) -> bool {
        // An offer that is not decided on makes nobody known: anybody can make one.
        self.tunnels.index().is_usable_with(peer) || self.is_remembered(peer)
    }

    /// Whose place an offer of this peer takes. That others of its offers were accepted makes it no friend: whoever shares a
    /// password accepts everybody's, and nobody is authenticated by that.
    pub(super) fn place_of(&self, peer: &BareJid) -> Place {
        if self.tunnels.index().places.is_friend(peer) || self.is_remembered(peer) {
            Place::Known
        } else {
            Place::Stranger
        }
    }

    fn is_remembered(&self, peer: &BareJid) -> bool {
        let is_in_store = || {
            // What cannot be read is as good as unknown.
            let record = self.shared.env.record(peer).unwrap_or_default();
            !record.pins.is_empty() || record.secured_before()
        };
        self.probing.allowed.contains(peer) || is_in_store()
    }

    /// What is known of a peer that a tunnel would be offered to.
    fn standing_of(&self, peer: &FullJid, options: &TunnelOptions) -> Result<Standing, StoreError> {
        let env = &self.shared.env;
        env.standing(&peer.to_bare(), env.own(), Said::by(&options.terms))
    }

    /// What to say when a peer is asked: every method that is allowed, with your certificate by SHA-1 and SHA-256.
    ///
    /// The certificate is named although none of the peer's may be trusted here: whether the peer trusts ours is half of what
    /// is asked.
    fn probing_offer(&self, policy: &Policy, standing: &Standing) -> TlsOffer {
        let methods = rules::offerable(policy, standing).unwrap_or_default();
        let own = self.shared.env.identity().announced_fingerprints();
        let keys = own.iter().filter(|_| policy.methods.contains(&Method::X509)).map(KeyName::from);
        let mut offer = TlsOffer::new(keys, methods.contains(&Method::Srp));
        let takes_unknown = standing.pins.is_empty() || policy.trust == TrustPolicy::Ask;
        offer.insecure = methods.contains(&Method::X509) && takes_unknown;
        offer
    }

    /// § 3.2: a key is shown only to who has named one that can be verified; by its name alone that is a pinned one.
    fn answering_offer(&self, peer: &BareJid, theirs: &TlsOffer) -> TlsOffer {
        let shared = &self.shared;
        let mut own = OwnMethods::default();
        let names = shared.env.identity().announced_fingerprints();
        own.keys = names.iter().map(|name| (KeyKind::X509, KeyName::from(name))).collect();
        own.insecure = shared.config.offers_insecure;
        // Who asks is who would begin (§ 2.3).
        let standing = shared.env.standing(peer, peer, Said::Nothing);
        let is_usable = |standing: &Standing| standing.has_user_name && standing.locked_until.is_none();
        own.srp = shared.config.offers_password && standing.as_ref().is_ok_and(is_usable);
        let pins = standing.map(|standing| standing.pins).unwrap_or_default();
        let is_pinned = |name: &KeyName| {
            let fingerprint = name.fingerprint().filter(|fingerprint| fingerprint.algo() != HashAlgo::Md5);
            fingerprint.is_some_and(|fingerprint| pins.contains(&fingerprint))
        };
        theirs.answer(&own, |name| is_pinned(name).then_some(KeyKind::X509))
    }
}

/// Whether this is what a peer asks that wants to know what we are ready for.
pub(super) fn is_offer(payload: ElementRef<'_>) -> bool {
    payload.is("offer", ns::C2C_TLS)
}

/// The fingerprints that an offer's keys have for names; MD5 says nothing either way.
fn fingerprints(offer: &TlsOffer) -> Vec<Fingerprint> {
    let names = offer.keys.iter().filter_map(KeyName::fingerprint);
    names.filter(|fingerprint| fingerprint.algo() != HashAlgo::Md5).collect()
}
