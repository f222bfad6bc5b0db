//! What is learned when two ends have authenticated one another. The library alone can say that they have, so they do.

use core::{fmt, mem};
use std::sync::{Arc, Mutex, PoisonError};

use xtls::{
    Password, Terms, TrustDecision, TrustPolicy, TunnelOptions,
    event::Side,
    jid::BareJid,
    link::LinkEvent,
    tls::UnixTime,
    trust::{
        Confirmation, Confirmed, Fingerprint, Guess, Learned, Method, Permit, Pin, StoreError, TrustRecord, TrustStore,
    },
};

use super::{NOW, PEER, Shop, guess, rule};
use crate::{EntityOptions, LinkPair, World};

/// Who has the store, in a link.
const ROMEO: &str = "romeo@forza";
/// Whom it gets to know.
const JULIET: &str = "juliet@pronto";

pub(super) fn check<'a, P: 'a, S: TrustStore + 'static>(shop: impl Fn() -> Shop<'a, P, S>) {
    a_first_meeting_is_remembered(&shop());
    of_two_first_meetings_at_once_one_is_remembered(&shop());
    the_users_word_replaces_a_pin_or_adds_to_it(&shop());
    a_password_is_remembered(&shop());
    guesses_and_pins_leave_one_another_alone(&shop());
    the_negotiation_hash_is_remembered(&shop());
}

fn a_first_meeting_is_remembered<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    let pin = meet(shop.shared(), 1, &leap(), None);
    let known = shop.known(JULIET);
    rule(
        known.pins.as_slice(),
        &[Pin::new(pin, Learned::LeapOfFaith).with_since(crate::unix(NOW))],
        "a pin is remembered when both ends have accepted one another, how it was learned, and when",
    );
    rule(known.secured_by.as_slice(), &[Method::X509], "the method that secured a peer is remembered");
    rule(shop.known(PEER), TrustRecord::default(), "what is learned of one peer is not known of another");
    meet(shop.shared(), 1, &leap(), None);
    rule(shop.known(JULIET), known, "a second meeting like the first changes nothing");
}

fn of_two_first_meetings_at_once_one_is_remembered<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    let other = shop.shared();
    // Another process finishes its own first meeting between our judgement and our confirmation.
    let before = Box::new(move || {
        meet(other, 3, &leap(), None);
    });
    let raced = Arc::new(Mutex::new(Raced { store: shop.shared(), before: Some(before), seen: Vec::new() }));
    let (mut pair, _) = start(&raced, 1, &leap());
    pair.run();
    let seen = mem::take(&mut raced.lock().unwrap_or_else(PoisonError::into_inner).seen);
    rule(
        seen.first(),
        Some(&Ok(Confirmation::PinsChanged)),
        "a confirmation by pins that have changed since is refused",
    );
    let first = LinkPair::new(3).identity(Side::Responder).fingerprint_sha256();
    rule(
        shop.known(JULIET).pins.as_slice(),
        &[Pin::new(first, Learned::LeapOfFaith).with_since(crate::unix(NOW))],
        "a confirmation that is refused leaves no pin",
    );
}

fn the_users_word_replaces_a_pin_or_adds_to_it<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    let ask = Terms::new(TrustPolicy::Ask);
    meet(shop.shared(), 1, &leap(), None);
    let second = meet(shop.shared(), 3, &ask, Some(TrustDecision::Accept));
    rule(
        shop.known(JULIET).pins.as_slice(),
        &[Pin::manual(second).with_since(crate::unix(NOW))],
        "a certificate that the user takes in the place of others replaces them",
    );
    let third = meet(shop.shared(), 5, &ask, Some(TrustDecision::AcceptAndKeep));
    let pins = shop.known(JULIET).pins;
    rule(
        (pins.len(), [second, third].map(|one| pins.contains(&Pin::manual(one).with_since(crate::unix(NOW))))),
        (2, [true; 2]),
        "a certificate that the user takes beside others is added to them",
    );
}

fn a_password_is_remembered<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    let mut terms = Terms::new(TrustPolicy::Pinned).with_password(Password::new("wherefore").expect("a password"));
    terms.methods = vec![Method::Srp];
    meet(shop.shared(), 1, &terms, None);
    let known = shop.known(JULIET);
    rule(known.secured_by.as_slice(), &[Method::Srp], "that a password secured a peer is remembered");
    rule(known.attempts.failed, 0, "the guess of a password that was right is not held against it");
    // From now on strangers cannot keep it out.
    let mut tight = guess(NOW);
    tight.limits.by_listener = 1;
    rule(shop.guess(ROMEO, "tybalt@capulet.lit", &tight), Permit::Granted, "a stranger may guess within the limits");
    rule(
        shop.guess(ROMEO, JULIET, &tight),
        Permit::Granted,
        "guesses of strangers do not lock out a peer that a password has secured",
    );
    let mut without = leap();
    without.allow_downgrade = true;
    meet(shop.shared(), 1, &without, None);
    let methods = shop.known(JULIET).secured_by;
    rule(
        (methods.len(), [Method::Srp, Method::X509].map(|one| methods.contains(&one))),
        (2, [true; 2]),
        "a second method is remembered beside the first",
    );
}

fn guesses_and_pins_leave_one_another_alone<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    for time in [NOW, NOW + 1] {
        let _ = shop.guess(ROMEO, JULIET, &guess(time));
    }
    let attempts = shop.known(JULIET).attempts;
    meet(shop.shared(), 1, &leap(), None);
    let known = shop.known(JULIET);
    rule(known.attempts, attempts, "what is learned of a peer leaves its guesses counted");
    let trusted = |record: TrustRecord| (record.pins, record.secured_by);
    let _ = shop.guess(ROMEO, JULIET, &guess(NOW + 2));
    rule(trusted(shop.known(JULIET)), trusted(known.clone()), "a guess leaves whom one trusts");
    shop.was_right(ROMEO, JULIET);
    rule(trusted(shop.known(JULIET)), trusted(known), "a right guess leaves whom one trusts");
}

fn the_negotiation_hash_is_remembered<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    let mut world = World::default();
    let mut options = EntityOptions::seeded(1);
    options.trust_store = Some(Box::new(shop.open()));
    let romeo = world.add("romeo@montague.lit/orchard", options);
    let juliet = world.add("juliet@capulet.lit/balcony", EntityOptions::seeded(2));
    world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::LeapOfFaith));
    let known = shop.known(PEER);
    rule(known.pins.len(), 1, "what a tunnel learns is remembered as what a link learns");
    rule(known.negotiation_hash, true, "that a peer has shown the negotiation hash is remembered");
}

/// Romeo, with this store, meets Juliet at one of her devices. Gives the certificate of that one.
fn meet<S: TrustStore + 'static>(
    store: Arc<Mutex<S>>,
    device: u8,
    terms: &Terms,
    decision: Option<TrustDecision>,
) -> Fingerprint {
    let (mut pair, fingerprint) = start(&store, device, terms);
    pair.run();
    if let Some(decision) = decision {
        pair.with(Side::Initiator, |link, now| link.trust(now, decision)).expect("the user is asked");
        pair.run();
    }
    let events = pair.take_events(Side::Initiator);
    let is_secured = events.iter().any(|event| matches!(event, LinkEvent::Secured { .. }));
    let has_failed = events.iter().any(|event| matches!(event, LinkEvent::StoreFailed { .. }));
    assert!(is_secured && !has_failed, "a peer that may be trusted is: {events:?}");
    fingerprint
}

fn start<S: TrustStore + 'static>(store: &Arc<Mutex<S>>, device: u8, terms: &Terms) -> (LinkPair, Fingerprint) {
    let mut pair = LinkPair::new(device);
    pair.trust(Side::Responder);
    pair.use_store(Side::Initiator, Arc::clone(store));
    let mut receiving = terms.clone();
    receiving.trust = TrustPolicy::Pinned;
    pair.start(terms.clone(), Some(receiving));
    let fingerprint = pair.identity(Side::Responder).fingerprint_sha256();
    (pair, fingerprint)
}

fn leap() -> Terms {
    Terms::new(TrustPolicy::LeapOfFaith)
}

/// A store where something happens just before the first confirmation.
struct Raced<S> {
    store: Arc<Mutex<S>>,
    before: Option<Box<dyn FnOnce() + Send + Sync>>,
    seen: Vec<Result<Confirmation, StoreError>>,
}

impl<S> fmt::Debug for Raced<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raced").finish_non_exhaustive()
    }
}

impl<S: TrustStore> TrustStore for Raced<S> {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.store.record(peer)
    }

    fn locked_until(&self, own: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.store.locked_until(own, peer, guess)
    }

    fn begin_guess(&mut self, own: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.store.begin_guess(own, peer, guess)
    }

    fn guess_was_right(&mut self, own: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.store.guess_was_right(own, peer)
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        if let Some(before) = self.before.take() {
            before();
        }
        let result = self.store.confirm(peer, confirmed);
        self.seen.push(result.clone());
        result
    }
}
