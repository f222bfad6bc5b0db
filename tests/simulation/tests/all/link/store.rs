//! Trust stores that fail, at either end of a link, and pins that change while one is made.

use std::{cell::Cell, rc::Rc};

use xtls::link::{ClientLink, ClientTerms, Features, LinkAcceptError, LinkError, LinkEvent, PeerLink, ServerTerms};
use xtls::{
    CloseReason, Fault, Terms, TrustDecision, TrustPolicy,
    error::{Blame, TermsError},
    event::Side,
    link::Stage,
    tls::TlsErrorKind,
    trust::Pin,
};
use xtls_stanza::{Fingerprint, Method};
use xtls_testkit::{FailingStore, LinkPair, SIDES, StoreCall};

use super::common::{I, R, bodies, clear, closed, fault, friends, message, password, pinned};

fn other(side: Side) -> Side {
    if side == I { R } else { I }
}

/// Two ends that have pinned one another, of which this one's store can be told to fail.
fn failing(side: Side) -> (LinkPair, FailingStore) {
    let mut pair = friends(1);
    let store = FailingStore::new(pair.store(side));
    pair.use_store(side, store.clone());
    (pair, store)
}

/// The password, and no certificate.
fn by_password() -> Terms {
    let mut terms = password("wherefore");
    terms.methods = vec![Method::Srp];
    terms
}

/// The link has ended by the store's failure, and this end was not secured.
fn ended_by_the_store(pair: &mut LinkPair, side: Side) {
    assert!(pair.link(side).security().is_none());
    let closed = closed(pair, side);
    let CloseReason::Fault(fault) = &closed.reason else { panic!("{closed:?}") };
    assert!(matches!(&**fault, Fault::Store(error) if *error == FailingStore::error()), "{fault:?}");
    assert!(fault.blame() == Blame::Ourselves && !fault.is_security());
}

/// Nor was the other one.
fn nobody_is_secured(pair: &mut LinkPair) {
    for side in SIDES {
        assert!(pair.link(side).security().is_none());
        let events = pair.take_events(side);
        assert!(
            !events.iter().any(|event| matches!(event, LinkEvent::Secured { .. } | LinkEvent::StreamOpened)),
            "{events:?}"
        );
    }
}

/// The store fails at this call as soon as the other end says something of the kind; gives how many bytes its own end had sent.
fn fail_at(
    pair: &mut LinkPair,
    side: Side,
    (store, call): (FailingStore, StoreCall),
    moment: impl Fn(&[u8]) -> bool + 'static,
) -> Rc<Cell<usize>> {
    let (sent, counted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (passed, at_failure) = (Rc::clone(&counted), Rc::clone(&sent));
    pair.tamper(side, move |bytes| passed.set(passed.get() + bytes.len()));
    pair.tamper(other(side), move |bytes| {
        if at_failure.get() == 0 && moment(bytes) {
            at_failure.set(counted.get());
            store.fail(call);
        }
    });
    sent
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn with_a_store_that_cannot_be_read_no_link_is_made() {
    let (pair, store) = failing(I);
    store.fail(StoreCall::Record);
    let mut started = friends(1);
    started.start(pinned(), None);
    let now = started.with(I, |_, now| now);
    for terms in [pinned(), by_password()] {
        let made = PeerLink::connect(pair.setup(I), pair.jid(R).clone(), terms, now);
        assert_eq!(made.err(), Some(LinkError::Terms(TermsError::Store)));
    }
    let to_server = ServerTerms::new(TrustPolicy::Pinned);
    let made = ClientLink::connect(pair.setup(I), "pronto".parse().unwrap(), &to_server, now);
    assert_eq!(made.err(), Some(LinkError::Terms(TermsError::Store)));
}

#[test]
fn with_a_store_that_cannot_be_read_nobody_is_accepted_and_the_question_stands() {
    for terms in [pinned(), by_password()] {
        let (mut pair, store) = failing(R);
        pair.start(terms.clone(), None);
        pair.run();
        store.fail(StoreCall::Record);
        let refused = pair.with(R, |link, now| link.accept(now, terms.clone()));
        assert_eq!(refused, Err(LinkAcceptError::Terms(TermsError::Store)));
        assert_eq!(pair.link(R).stage(), Stage::Deciding);
        store.mend();
        pair.with(R, |link, now| link.accept(now, terms)).unwrap();
        pair.run();
        assert!(SIDES.into_iter().all(|side| pair.link(side).stage() == Stage::Open));
    }
}

#[test]
fn a_store_that_fails_before_the_choice_ends_the_link_before_tls() {
    for terms in [pinned(), by_password()] {
        for (side, word) in [(I, "<stream:features"), (R, "<starttls")] {
            let (mut pair, store) = failing(side);
            fail_at(&mut pair, side, (store, StoreCall::Record), move |bytes| holds(bytes, word));
            pair.connect(terms.clone());
            ended_by_the_store(&mut pair, side);
            nobody_is_secured(&mut pair);
            assert_eq!(clear(pair.sent(side)).len(), pair.sent(side).len(), "nothing but text");
        }
    }
}

#[test]
fn a_store_that_fails_at_the_judgement_ends_the_link_and_nothing_of_the_last_flight_is_sent() {
    for (side, terms, decisive) in [(I, pinned(), 1), (R, pinned(), 2), (I, by_password(), 2), (R, by_password(), 2)] {
        let (mut pair, store) = failing(side);
        let flights = Cell::new(0);
        let sent = fail_at(&mut pair, side, (store, StoreCall::Record), move |bytes| {
            if matches!(bytes, [20..=23, 3, ..]) {
                flights.set(flights.get() + 1);
            }
            flights.get() == decisive
        });
        // A password ends with the receiving end's Finished: that end has accepted us by then.
        let last_word = side == I && terms.methods == [Method::Srp];
        pair.connect(terms);
        ended_by_the_store(&mut pair, side);
        if !last_word {
            nobody_is_secured(&mut pair);
        }
        assert!(sent.get() > 0);
        assert_eq!(pair.sent(side).len(), sent.get(), "{side:?}");
    }
}

#[test]
fn p14_a_guess_that_cannot_be_counted_is_not_made_at_either_end_of_a_link() {
    for (side, decisive) in [(I, 1), (R, 2)] {
        let (mut pair, store) = failing(side);
        let flights = Cell::new(0);
        let sent = fail_at(&mut pair, side, (store, StoreCall::BeginGuess), move |bytes| {
            if matches!(bytes, [20..=23, 3, ..]) {
                flights.set(flights.get() + 1);
            }
            flights.get() == decisive
        });
        pair.connect(by_password());
        ended_by_the_store(&mut pair, side);
        nobody_is_secured(&mut pair);
        assert!(sent.get() > 0);
        assert_eq!(pair.sent(side).len(), sent.get(), "{side:?}");
        assert_eq!(pair.record(side).attempts.failed, 0);
    }
}

#[test]
fn what_cannot_be_written_is_told_and_the_link_goes_on() {
    for (terms, call) in
        [(pinned(), StoreCall::Confirm), (by_password(), StoreCall::Confirm), (by_password(), StoreCall::GuessWasRight)]
    {
        for side in SIDES {
            let (mut pair, store) = failing(side);
            store.fail(call);
            pair.connect(terms.clone());
            let mut events = pair.take_events(side);
            events.retain(|event| !matches!(event, LinkEvent::Incoming { .. }));
            let [LinkEvent::Secured { security }, LinkEvent::StoreFailed { error }, LinkEvent::StreamOpened] =
                &events[..]
            else {
                panic!("{events:?}")
            };
            assert!(security.confirmed && *error == FailingStore::error());
            let _ = pair.take_events(other(side));
            for from in SIDES {
                pair.send(from, &message("But soft!")).unwrap();
                pair.run();
                assert_eq!(bodies(&pair.take_events(other(from))), ["But soft!"]);
            }
            assert_eq!(pair.record(side).secured_before(), call == StoreCall::GuessWasRight);
            assert_eq!(pair.record(side).attempts.failed, u32::from(call == StoreCall::GuessWasRight));
        }
    }
}

/// The receiving end's user is asked, and somebody else pins another certificate of that end's meanwhile. All that it says when
/// it has accepted us comes in one piece: its header, its features, a stanza.
#[test]
fn nothing_is_handed_on_from_a_peer_whose_certificate_turned_out_to_be_another_one() {
    let mut pair = LinkPair::new(1);
    pair.start(Terms::new(TrustPolicy::LeapOfFaith), Some(Terms::new(TrustPolicy::Ask)));
    pair.run();
    assert_eq!(pair.link(R).stage(), Stage::Judging);
    let pin = Pin::manual(Fingerprint::sha256(b"another certificate of hers"));
    let peer = pair.jid(R).to_bare();
    pair.with_store(I, |store| store.pin(&peer, pin));
    pair.with(R, |link, now| link.trust(now, TrustDecision::Accept)).unwrap();
    pair.with(R, |link, now| link.send(now, &message("But soft!"))).unwrap();
    pair.run();
    let events = pair.take_events(I);
    assert!(matches!(&events[..], [LinkEvent::Closed(_)]), "neither secured nor opened, and no stanza: {events:?}");
    assert!(pair.link(I).security().is_none());
    assert_eq!(pair.record(I).pins, [pin]);
    // RFC 8446 § 6.2: that end hears of it by an alert, and by nothing else.
    let found = fault(&mut pair, R);
    let Fault::Tls(error) = &found else { panic!("no alert: {found:?}") };
    let TlsErrorKind::AlertReceived(alert) = error.kind() else { panic!("no alert: {error:?}") };
    assert_eq!(alert.name(), "certificate_unknown");
}

/// A client and its server, which know one another's certificates, of which this one's store can be told to fail.
fn failing_accounts(side: Side) -> (LinkPair, FailingStore) {
    let mut pair = LinkPair::new(1);
    pair.name(I, "romeo@montague.lit");
    pair.name(R, "montague.lit");
    SIDES.into_iter().for_each(|side| pair.trust(side));
    let store = FailingStore::new(pair.store(side));
    pair.use_store(side, store.clone());
    (pair, store)
}

/// The client shows its certificate.
fn client_and_server(pair: &mut LinkPair) {
    let mut terms = ServerTerms::new(TrustPolicy::Pinned);
    terms.present_certificate = true;
    pair.start_client_and_server(&terms, &ClientTerms::new());
    pair.run();
}

#[test]
fn a_client_whose_store_fails_before_the_server_is_judged_says_nothing_more() {
    let (mut pair, store) = failing_accounts(I);
    let sent = fail_at(&mut pair, I, (store, StoreCall::Record), |bytes| bytes.starts_with(&[22]));
    client_and_server(&mut pair);
    ended_by_the_store(&mut pair, I);
    assert_eq!(pair.sent(I).len(), sent.get(), "not even the end of its handshake");
    let told = pair.take_events(R);
    assert!(!told.iter().any(|event| matches!(event, LinkEvent::ClientAuthenticated { .. })), "{told:?}");
}

#[test]
fn a_server_whose_store_fails_when_a_client_shows_who_it_is_authenticates_nobody() {
    let (mut pair, store) = failing_accounts(R);
    client_and_server(&mut pair);
    pair.with_server(|link, now| link.send_features(now, &Features::default())).unwrap();
    pair.run();
    store.fail(StoreCall::Record);
    pair.with_client(|link, now| link.authenticate_external(now, None)).unwrap();
    pair.run();
    let told = pair.take_events(R);
    assert!(!told.iter().any(|event| matches!(event, LinkEvent::ClientAuthenticated { .. })), "{told:?}");
    assert!(!pair.take_events(I).iter().any(|event| matches!(event, LinkEvent::Authenticated)));
    let Some(LinkEvent::Closed(closed)) = told.last() else { panic!("{told:?}") };
    let CloseReason::Fault(fault) = &closed.reason else { panic!("{closed:?}") };
    assert!(matches!(&**fault, Fault::Store(_)) && !fault.is_security(), "{fault:?}");
}
