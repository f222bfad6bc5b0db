//! What links share with tunnels: downgrades and locks.

use std::time::Duration;

use xtls::link::{ClientTerms, LinkAcceptError, LinkEvent, ServerTerms};
use xtls::{
    Fault, Terms, TrustPolicy,
    error::{Missing, TermsError},
    link::Stage,
    trust::{Authentication, Guess, GuessCount, GuessLimits, Permit},
};
use xtls_stanza::Method;
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, fault, password, secured};

/// Locks the password at an end.
fn lock(pair: &LinkPair, side: xtls::event::Side) {
    let peer = pair.jid(if side == I { R } else { I }).to_bare();
    let guess = Guess::new(xtls_testkit::unix(1_760_000_000), GuessLimits::default());
    for _ in 0..3 {
        assert_eq!(
            pair.with_store(side, |store| store.of(&peer).begin_guess(&mut GuessCount::default(), &guess)),
            Permit::Granted
        );
    }
}

#[test]
fn a_downgrade_is_allowed_by_name_alone() {
    let mut pair = LinkPair::new(1);
    pair.connect(password("wherefore"));
    let ask = Terms::new(TrustPolicy::Ask).asking_password();
    let certificates = Terms::new(TrustPolicy::Ask);
    pair.start(ask.clone(), Some(certificates.clone()));
    pair.run();
    let found = fault(&mut pair, I);
    assert!(
        matches!(&found, Fault::Downgraded { missing: Missing::Methods(missing) } if missing[..] == [Method::Srp]),
        "{found:?}"
    );
    let mut allowed = ask;
    allowed.allow_downgrade = true;
    pair.start(allowed, Some(certificates));
    pair.run();
    assert_eq!(pair.link(I).stage(), Stage::Judging);
    let events = pair.take_events(I);
    assert!(
        matches!(&events[..], [LinkEvent::TrustRequired { question, .. }] if question.secured_by[..] == [Method::Srp]),
        "{events:?}"
    );
}

#[test]
fn a_password_that_is_locked_here_is_not_missed_at_the_peer() {
    let mut pair = LinkPair::new(1);
    pair.connect(password("wherefore"));
    let ask = Terms::new(TrustPolicy::Ask).asking_password();
    pair.start(ask, Some(Terms::new(TrustPolicy::Ask)));
    lock(&pair, I);
    pair.run();
    assert!(matches!(fault(&mut pair, I), Fault::PasswordLocked { .. }));
}

#[test]
fn under_a_leap_with_a_password_the_certificate_is_offered_all_the_same() {
    let leap = Terms::new(TrustPolicy::LeapOfFaith);
    let mut pair = LinkPair::new(1);
    pair.start(leap.clone(), Some(leap.asking_password()));
    pair.run();
    // The initiating end knows no password; the receiving one's user says that there is none.
    assert_eq!(pair.link(R).stage(), Stage::Password);
    pair.with(R, |link, now| link.provide_password(now, None)).unwrap();
    pair.run();
    for side in SIDES {
        assert_eq!(secured(&mut pair, side).authenticated_by, Authentication::LeapOfFaith);
    }
}

#[test]
fn terms_that_cannot_be_met_leave_the_question_open() {
    let mut pair = LinkPair::new(1);
    lock(&pair, R);
    pair.start(password("wherefore"), None);
    pair.run();
    let refused = pair.with(R, |link, now| link.accept(now, password("wherefore")));
    assert_eq!(refused, Err(LinkAcceptError::Terms(TermsError::PasswordLocked)));
    assert_eq!(pair.link(R).stage(), Stage::Deciding);
}

#[test]
fn whatever_comes_where_tls_begins_with_the_connection_nothing_is_said_in_clear() {
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"<stream:stream>", &[22, 3, 1, 0, 1, 0], b""] {
        let mut pair = LinkPair::new(1);
        pair.name(R, "pronto");
        let mut terms = ClientTerms::new();
        terms.direct_tls = true;
        pair.start_from_client(&terms);
        pair.inject(R, bytes);
        pair.run_for(Duration::from_secs(61));
        assert!(matches!(fault(&mut pair, R), Fault::Tls(_) | Fault::Timeout { .. }));
        let sent = pair.sent(R);
        assert!(sent.is_empty() || sent[0] == 21, "nothing but an alert: {sent:?}");
    }
    let mut terms = ServerTerms::new(TrustPolicy::Ask);
    terms.direct_tls = true;
    let mut pair = LinkPair::new(1);
    pair.start_to_server(&terms);
    pair.run_for(Duration::from_secs(61));
    assert!(matches!(fault(&mut pair, I), Fault::Timeout { stage: Some(Stage::Handshake), .. }));
    assert_eq!(pair.sent(I)[0], 22);
}
