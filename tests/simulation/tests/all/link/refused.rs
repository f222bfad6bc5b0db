//! Peers that cannot be authenticated.

use std::{cell::RefCell, rc::Rc};

use xtls::link::{ClientLink, LinkAcceptError, LinkError, LinkEvent, PeerLink, ServerTerms};
use xtls::{
    CloseReason, EndedBy, Fault, Password, Terms, TrustDecision, TrustPolicy,
    error::{Blame, TermsError},
    link::Stage,
    trust::{Authentication, Guess, GuessCount, GuessLimits, Learned, Permit, Pin},
};
use xtls_stanza::Method;
use xtls_stream::StartTlsFault;
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, clear, closed, fault, friends, password, pinned, secured};

#[test]
fn a_wrong_password_ends_the_link_at_both_ends_and_counts_as_a_guess() {
    let mut pair = LinkPair::new(1);
    pair.start(password("wherefore"), Some(password("therefore")));
    pair.run();
    for side in SIDES {
        assert!(matches!(fault(&mut pair, side), Fault::WrongPassword));
        assert_eq!(pair.record(side).attempts.failed, 1);
        assert!(!pair.record(side).secured_before());
    }
    pair.connect(password("wherefore"));
    assert_eq!(secured(&mut pair, I).authenticated_by, Authentication::Password);
    for side in SIDES {
        assert_eq!(pair.record(side).attempts.failed, 0, "{side:?}");
    }
}

/// The user could not be asked in time: in TLS 1.2 an initiator finishes first. A receiving end can wait.
#[test]
fn a_link_that_asks_is_refused_at_once_where_the_provider_has_no_tls_1_3() {
    let mut pair = LinkPair::new(1);
    SIDES.iter().for_each(|side| pair.tls12(*side));
    pair.start(Terms::new(TrustPolicy::LeapOfFaith), Some(Terms::new(TrustPolicy::Ask)));
    let now = pair.with(I, |_, now| now);
    let made = PeerLink::connect(pair.setup(I), pair.jid(R).clone(), Terms::new(TrustPolicy::Ask), now);
    assert_eq!(made.err(), Some(LinkError::Terms(TermsError::NoTls13)));
    let server = "capulet.lit".parse().unwrap();
    let made = ClientLink::connect(pair.setup(I), server, &ServerTerms::new(TrustPolicy::Ask), now);
    assert_eq!(made.err(), Some(LinkError::Terms(TermsError::NoTls13)));
    pair.run();
    assert!(pair.with(R, |link, now| link.trust(now, TrustDecision::Accept)).is_ok(), "it was asked");
}

#[test]
fn after_three_wrong_passwords_none_is_tried_until_the_cool_down_is_over() {
    let mut pair = LinkPair::new(1);
    for _ in 0..3 {
        pair.start(password("wherefore"), Some(password("therefore")));
        pair.run();
    }
    assert_eq!(pair.record(R).attempts.failed, 3);
    let terms = password("wherefore");
    pair.with_store(I, |store| assert!(store.forgive(&"juliet@pronto".parse().unwrap())));
    pair.start(terms.clone(), None);
    pair.run();
    let refused = pair.with(R, |link, now| link.accept(now, terms.clone()));
    assert_eq!(refused, Err(LinkAcceptError::Terms(TermsError::PasswordLocked)));
    // The question still stands.
    pair.with(R, |link, now| link.accept(now, Terms::new(TrustPolicy::Ask).asking_password())).unwrap();
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::NotTrusted { .. }));
    assert!(!clear(pair.sent(R)).contains("<srp/>"));
}

#[test]
fn a_receiving_end_that_is_asked_for_a_password_goes_on_with_the_right_one() {
    let mut pair = LinkPair::new(1);
    pair.start(password("wherefore"), Some(pinned().asking_password()));
    pair.run();
    assert_eq!(pair.link(R).stage(), Stage::Password);
    assert!(matches!(pair.take_events(R)[..], [LinkEvent::Incoming { .. }, LinkEvent::PasswordRequired]));
    let known = Password::new("wherefore").unwrap();
    pair.with(R, |link, now| link.provide_password(now, Some(known))).unwrap();
    pair.run();
    assert_eq!(secured(&mut pair, I).method, Method::Srp);
    assert_eq!(secured(&mut pair, R).method, Method::Srp);
}

#[test]
fn an_initiating_end_that_is_asked_for_a_password_goes_on_with_the_right_one() {
    let mut pair = LinkPair::new(1);
    pair.start(pinned().asking_password(), Some(password("wherefore")));
    pair.run();
    assert_eq!(pair.link(I).stage(), Stage::Password);
    let known = Password::new("wherefore").unwrap();
    pair.with(I, |link, now| link.provide_password(now, Some(known))).unwrap();
    pair.run();
    assert_eq!(secured(&mut pair, R).method, Method::Srp);
}

#[test]
fn without_a_password_at_the_receiving_end_it_says_failure_and_closes() {
    let mut pair = LinkPair::new(1);
    pair.start(password("wherefore"), Some(pinned().asking_password()));
    pair.run();
    pair.with(R, |link, now| link.provide_password(now, None)).unwrap();
    pair.run();
    assert!(clear(pair.sent(R)).ends_with("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"));
    assert!(matches!(fault(&mut pair, I), Fault::StartTls(StartTlsFault::Refused)));
    assert!(matches!(fault(&mut pair, R), Fault::NotTrusted { .. }));
    assert_eq!(pair.record(I).attempts.failed, 0);
}

#[test]
fn offers_with_nothing_in_common_are_refused_and_no_tls_begins() {
    let mut pair = friends(1);
    let mut srp = password("wherefore");
    srp.methods = vec![Method::Srp];
    pair.start(srp.clone(), Some(pinned()));
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::NoCommonMethod { offered } if offered == [Method::X509]));
    assert!(!clear(pair.sent(I)).contains("<starttls"));
    pair.start(pinned(), Some(srp));
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::NoCommonMethod { offered } if offered == [Method::Srp]));
    assert!(closed(&mut pair, R).reason.to_string().contains("policy-violation"));
}

#[test]
fn a_peer_without_a_pin_is_refused_where_only_pins_count() {
    // The initiating end cannot verify the other one.
    let mut pair = LinkPair::new(1);
    pair.trust(R);
    let mut terms = password("wherefore");
    terms.trust = TrustPolicy::Pinned;
    pair.start(terms, Some(pinned()));
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::NotTrusted { fingerprint: Some(_) }));
    // The receiving end has nothing to offer.
    let mut pair = LinkPair::new(1);
    pair.trust(I);
    pair.start(pinned(), None);
    pair.run();
    assert_eq!(
        pair.with(R, |link, now| link.accept(now, pinned())),
        Err(LinkAcceptError::Terms(TermsError::NotPinned))
    );
    pair.with(R, PeerLink::refuse).unwrap();
    pair.run();
    let ended = closed(&mut pair, R);
    assert!(matches!(ended.reason, CloseReason::Aborted) && ended.by == EndedBy::Local);
    assert!(matches!(fault(&mut pair, I), Fault::Link(_)));
}

#[test]
fn a_changed_certificate_is_shown_by_tls_and_refused() {
    for policy in [TrustPolicy::Pinned, TrustPolicy::LeapOfFaith] {
        let mut pair = friends(1);
        pair.renew(R);
        pair.connect(Terms::new(policy));
        let presented = pair.identity(R).fingerprint_sha256();
        let found = fault(&mut pair, I);
        assert!(found.is_security() && found.blame() == Blame::Misbehaved);
        assert!(matches!(found, Fault::CertificateChanged { presented: Some(p), .. } if p == presented));
        assert!(matches!(fault(&mut pair, R), Fault::Tls(_)), "an alert says so");
    }
}

#[test]
fn a_changed_certificate_of_the_initiating_end_is_refused_by_the_receiving_one() {
    let mut pair = friends(1);
    pair.renew(I);
    pair.connect(pinned());
    assert!(matches!(fault(&mut pair, R), Fault::CertificateChanged { .. }));
    let found = fault(&mut pair, I);
    assert!(matches!(found, Fault::Tls(_)) && found.is_security(), "an alert says so: {found:?}");
}

#[test]
fn a_changed_certificate_that_a_person_accepts_is_pinned_and_told() {
    let mut pair = friends(1);
    let old = pair.identity(R).fingerprint_sha256();
    pair.renew(R);
    pair.start(Terms::new(TrustPolicy::Ask), Some(pinned()));
    pair.run();
    assert_eq!(pair.link(I).stage(), Stage::Judging);
    // Nothing of ours goes out while a person judges: the certificate neither.
    let sent = pair.sent(I).len();
    let events = pair.take_events(I);
    let [LinkEvent::TrustRequired { question, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(question.certificate.fingerprint_sha256(), pair.identity(R).fingerprint_sha256());
    assert_eq!(question.previous[..], [old]);
    assert_eq!(pair.sent(I).len(), sent);
    assert_eq!(pair.record(I).pins.len(), 1);
    pair.with(I, |link, now| link.trust(now, TrustDecision::Accept)).unwrap();
    pair.run();
    let security = secured(&mut pair, I);
    assert_eq!((security.authenticated_by, &security.changed_from[..]), (Authentication::Approved, &[old][..]));
    assert!(
        pair.record(I)
            .pins
            .iter()
            .any(|pin| pin.fingerprint == pair.identity(R).fingerprint_sha256() && pin.since.is_some())
    );
    assert_eq!(secured(&mut pair, R).authenticated_by, Authentication::Pinned);
}

#[test]
fn a_certificate_that_a_person_refuses_ends_the_link_and_pins_nothing() {
    for judge in SIDES {
        let mut pair = LinkPair::new(1);
        pair.trust(if judge == I { R } else { I });
        let ask = Terms::new(TrustPolicy::Ask);
        let (first, second) = if judge == I { (ask, pinned()) } else { (pinned(), ask) };
        pair.start(first, Some(second));
        pair.run();
        assert_eq!(pair.link(judge).stage(), Stage::Judging);
        pair.with(judge, |link, now| link.trust(now, TrustDecision::Refuse)).unwrap();
        pair.run();
        assert!(matches!(fault(&mut pair, judge), Fault::TrustRefused));
        assert!(pair.record(judge).pins.is_empty() && !pair.record(judge).secured_before());
        // The driver closes the connection of a link that has ended.
        let other = if judge == I { R } else { I };
        pair.cut_off(other);
        let found = fault(&mut pair, other);
        if judge == R {
            // TLS 1.3: the initiating end was done, and is told that it was not accepted.
            assert!(matches!(found, Fault::NotAccepted) && found.is_security(), "{found:?}");
        } else {
            assert!(matches!(found, Fault::EndedEarly { stage: Stage::Handshake, truncated: true }));
        }
        assert!(!pair.record(other).secured_before(), "nobody was secured");
    }
}

#[test]
fn a_leap_of_faith_pins_what_is_seen_first_at_both_ends_and_only_then() {
    let mut pair = LinkPair::new(1);
    pair.connect(Terms::new(TrustPolicy::LeapOfFaith));
    for (side, other) in [(I, R), (R, I)] {
        assert_eq!(secured(&mut pair, side).authenticated_by, Authentication::LeapOfFaith);
        let pin = Pin::new(pair.identity(other).fingerprint_sha256(), Learned::LeapOfFaith);
        assert_eq!(pair.record(side).pins, [pin.with_since(xtls_testkit::unix(1_760_000_000))]);
    }
    pair.connect(Terms::new(TrustPolicy::LeapOfFaith));
    assert_eq!(secured(&mut pair, I).authenticated_by, Authentication::Pinned);
}

#[test]
fn no_leap_is_taken_where_a_password_may_be_shared_unless_somebody_says_that_there_is_none() {
    let leap = Terms::new(TrustPolicy::LeapOfFaith);
    let asks = || {
        let mut pair = LinkPair::new(1);
        // The other end knows no password: an attacker may have left it out.
        pair.start(leap.clone().asking_password(), Some(leap.clone()));
        pair.run();
        assert_eq!(pair.link(I).stage(), Stage::Password);
        pair
    };
    // Whoever has one takes no leap.
    let mut pair = asks();
    let known = Password::new("wherefore").unwrap();
    pair.with(I, |link, now| link.provide_password(now, Some(known))).unwrap();
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::NotTrusted { .. }));
    let mut pair = asks();
    pair.with(I, |link, now| link.provide_password(now, None)).unwrap();
    pair.run();
    assert_eq!(secured(&mut pair, I).authenticated_by, Authentication::LeapOfFaith);
    // Both do, and are asked one after the other.
    let mut pair = LinkPair::new(1);
    pair.start(leap.clone().asking_password(), Some(leap.clone().asking_password()));
    pair.run();
    for side in SIDES {
        assert_eq!(pair.link(side).stage(), Stage::Password);
        pair.with(side, |link, now| link.provide_password(now, None)).unwrap();
        pair.run();
    }
    for side in SIDES {
        assert_eq!(secured(&mut pair, side).authenticated_by, Authentication::LeapOfFaith);
    }
}

#[test]
fn a_peer_that_was_secured_by_a_password_is_never_taken_for_less() {
    let mut pair = LinkPair::new(1);
    pair.connect(password("wherefore"));
    for policy in [TrustPolicy::LeapOfFaith, TrustPolicy::Ask] {
        pair.start(Terms::new(policy).asking_password(), Some(Terms::new(TrustPolicy::Ask)));
        pair.run();
        assert!(matches!(fault(&mut pair, I), Fault::Downgraded { .. }), "{policy:?}");
    }
}

#[test]
fn a_leap_is_not_taken_with_a_peer_that_was_secured_before() {
    let mut pair = LinkPair::new(1);
    pair.connect(password("wherefore"));
    let leap = Terms::new(TrustPolicy::LeapOfFaith);
    pair.start(password("wherefore"), None);
    pair.run();
    assert_eq!(pair.with(R, |link, now| link.accept(now, leap)), Err(LinkAcceptError::Terms(TermsError::Downgraded)));
}

#[test]
fn a_password_that_was_locked_since_it_was_agreed_on_is_not_put_to_the_test() {
    let flight = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&flight);
    let mut pair = LinkPair::new(1);
    pair.tamper(R, move |bytes| {
        if bytes[0] == 22 {
            kept.borrow_mut().append(bytes);
        }
    });
    pair.connect(password("wherefore"));
    assert_eq!(pair.link(I).stage(), Stage::Handshake);
    let peer = "juliet@pronto".parse().unwrap();
    for _ in 0..3 {
        let guess = Guess::new(xtls_testkit::unix(1_760_000_000), GuessLimits::default());
        assert_eq!(
            pair.with_store(I, |store| store.of(&peer).begin_guess(&mut GuessCount::default(), &guess)),
            Permit::Granted
        );
    }
    let sent = pair.sent(I).len();
    pair.inject(I, &flight.borrow());
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::PasswordLocked { .. }));
    assert_eq!((pair.sent(I).len(), pair.record(I).attempts.failed), (sent, 3), "nothing was sent or counted");
}
