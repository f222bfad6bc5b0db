//! Somebody on the wire who locks the password by handshakes that it breaks, and then leaves the password method out (draft
//! § 8.3).

use std::sync::Mutex;

use xtls::link::{LinkAcceptError, LinkError, LinkEvent, PeerLink};
use xtls::{
    CloseReason, Fault, Password, Terms, TrustDecision, TrustPolicy,
    error::TermsError,
    event::Side,
    link::Stage,
    trust::{Attempts, Authentication, Guess, GuessCount, GuessLimits, MemoryTrustStore, Permit},
};
use xtls_stanza::Method;
use xtls_stanza::jid::BareJid;
use xtls_testkit::LinkPair;

use super::common::{I, R, fault, password, secured};

const UNIX: u64 = 1_760_000_000;

/// All that could take a certificate that nobody knows and that no authority speaks for.
const POLICIES: [TrustPolicy; 2] = [TrustPolicy::Ask, TrustPolicy::LeapOfFaith];

/// Two ends whom a password has secured before.
fn acquaintances() -> LinkPair {
    let mut pair = LinkPair::new(1);
    pair.connect(password("wherefore"));
    for side in [I, R] {
        assert_eq!(secured(&mut pair, side).authenticated_by, Authentication::Password);
    }
    pair
}

fn word() -> Password {
    Password::new("wherefore").unwrap()
}

fn asking(trust: TrustPolicy) -> Terms {
    Terms::new(trust).asking_password()
}

/// Breaks three handshakes with the right password, by altering the client's Finished.
fn lock(pair: &mut LinkPair) {
    let mut flights = 0;
    pair.tamper(I, move |bytes| {
        if let [22, 3, .., last] = &mut bytes[..] {
            flights += 1;
            *last ^= u8::from(flights % 2 == 0);
        }
    });
    for broken in 1..=3 {
        pair.connect(password("wherefore"));
        for side in [I, R] {
            assert!(matches!(fault(pair, side), Fault::WrongPassword));
            assert_eq!(pair.record(side).attempts.failed, broken);
        }
    }
    pair.tamper(I, |_| ());
}

/// Locks the password in this store, as if the handshakes had been others of the same user.
fn lock_in(store: &Mutex<MemoryTrustStore>, peer: &BareJid) {
    for _ in 0..3 {
        let guess = Guess::new(xtls_testkit::unix(UNIX), GuessLimits::default());
        let permit = store.lock().unwrap().of(peer).begin_guess(&mut GuessCount::default(), &guess);
        assert_eq!(permit, Permit::Granted);
    }
}

/// Leaves the password out of what an end says in clear.
fn strip(bytes: &mut Vec<u8>) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        *bytes = text.replace("<srp/>", "").into_bytes();
    }
}

/// Forgets all about the other end, so that this one is put to no test.
fn forget(pair: &LinkPair, side: Side) {
    let peer = pair.jid(if side == I { R } else { I }).to_bare();
    pair.with_store(side, |store| {
        assert!(store.remove(&peer) | store.forgive(&peer));
    });
}

#[test]
fn m03_a_lock_is_told_when_the_link_is_asked_for() {
    let mut pair = acquaintances();
    lock(&mut pair);
    let now = pair.with(I, |_, now| now);
    for policy in POLICIES {
        let made = PeerLink::connect(pair.setup(I), pair.jid(R).clone(), asking(policy), now);
        assert_eq!(made.err(), Some(LinkError::Terms(TermsError::PasswordLocked)));
    }
}

#[test]
fn m03_a_lock_is_told_when_the_link_is_accepted_and_the_question_stands() {
    for policy in POLICIES {
        let mut pair = acquaintances();
        lock(&mut pair);
        forget(&pair, I);
        pair.start(Terms::new(TrustPolicy::Ask).with_password(word()), None);
        pair.run();
        let refused = pair.with(R, |link, now| link.accept(now, asking(policy)));
        assert_eq!(refused, Err(LinkAcceptError::Terms(TermsError::PasswordLocked)));
        assert_eq!(pair.link(R).stage(), Stage::Deciding);
    }
}

/// The lock falls while the ends agree on a method, and the password is left out of what the other one says.
#[test]
fn m03_who_is_locked_since_is_told_of_the_lock_and_asked_nothing() {
    for policy in POLICIES {
        for side in [I, R] {
            for stripped in [true, false] {
                let mut pair = acquaintances();
                let (store, peer) = (pair.store(side), pair.jid(if side == I { R } else { I }).to_bare());
                let other = if side == I { R } else { I };
                let mut is_locked = false;
                pair.tamper(other, move |bytes| {
                    if !is_locked && bytes.windows(6).any(|part| part == b"<srp/>") {
                        is_locked = true;
                        lock_in(&store, &peer);
                        if stripped {
                            strip(bytes);
                        }
                    }
                });
                let terms = Terms::new(policy).with_password(word());
                let asks = Terms::new(TrustPolicy::Ask).with_password(word());
                let [here, there] = if side == I { [terms, asks] } else { [asks, terms] };
                pair.start(here, Some(there));
                pair.run();
                let events = pair.take_events(side);
                let is_quiet = |event: &LinkEvent| matches!(event, LinkEvent::Incoming { .. } | LinkEvent::Closed(_));
                assert!(events.iter().all(is_quiet), "no question, no leap: {events:?}");
                let Some(LinkEvent::Closed(end)) = events.last() else { panic!("{events:?}") };
                let CloseReason::Fault(found) = &end.reason else { panic!("{end:?}") };
                assert!(matches!(**found, Fault::PasswordLocked { .. }), "{policy:?} {side:?} {stripped} {found:?}");
                assert!([side, other].into_iter().all(|end| pair.link(end).security().is_none()));
            }
        }
    }
}

#[test]
fn m03_a_pinned_certificate_is_as_good_as_ever_where_the_password_of_a_link_is_locked() {
    for policy in POLICIES {
        let mut pair = acquaintances();
        lock(&mut pair);
        pair.trust(I);
        pair.trust(R);
        pair.connect(asking(policy));
        for side in [I, R] {
            assert_eq!(secured(&mut pair, side).authenticated_by, Authentication::Pinned);
        }
    }
}

#[test]
fn m03_who_allows_a_downgrade_of_a_link_is_asked_and_told_what_secured_the_peer_before() {
    for side in [I, R] {
        let mut pair = acquaintances();
        lock(&mut pair);
        let other = if side == I { R } else { I };
        forget(&pair, other);
        pair.trust(other);
        let mut allowed = asking(TrustPolicy::Ask);
        allowed.allow_downgrade = true;
        let pinned = Terms::new(TrustPolicy::Pinned);
        let [here, there] = if side == I { [allowed, pinned] } else { [pinned, allowed] };
        pair.start(here, Some(there));
        pair.run();
        let events = pair.take_events(side);
        let Some(LinkEvent::TrustRequired { question, .. }) = events.last() else { panic!("{events:?}") };
        let (secured_by, previous) = (&question.secured_by, &question.previous);
        assert!(secured_by[..] == [Method::Srp] && previous.is_empty());
        pair.with(side, |link, now| link.trust(now, TrustDecision::Accept)).unwrap();
        pair.run();
        assert_eq!(secured(&mut pair, side).authenticated_by, Authentication::Approved);
        assert_eq!(pair.record(side).secured_by, [Method::Srp, Method::X509]);
    }
}

#[test]
fn a_right_password_before_a_broken_record_is_no_wrong_guess() {
    // The flight that ends with the other end's Finished, and a broken record with it.
    for (side, other, first, which) in [(I, R, 20, 1), (R, I, 22, 2)] {
        let mut pair = LinkPair::new(1);
        let mut flights = 0;
        pair.tamper(other, move |bytes| {
            if bytes.first() == Some(&first) {
                flights += 1;
                if flights == which {
                    bytes.extend_from_slice(&[23, 3, 3, 0, 32]);
                    bytes.extend_from_slice(&[0; 32]);
                }
            }
        });
        pair.connect(password("wherefore"));
        let found = fault(&mut pair, side);
        assert!(matches!(found, Fault::Tls(_)), "{found:?}");
        assert_eq!(pair.record(side).attempts, Attempts::default());
    }
}
