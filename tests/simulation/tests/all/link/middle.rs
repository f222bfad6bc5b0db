//! Somebody on the wire.

use xtls::link::LinkEvent;
use xtls::{Fault, Terms, TrustPolicy, link::Stage, trust::Authentication};
use xtls_stanza::{HashAlgo, Method};
use xtls_stream::StartTlsFault;
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, clear, fault, friends, message, password, pinned, secured};

/// Changes text in clear that one end sends.
fn replace(from: &'static str, to: &'static str) -> impl FnMut(&mut Vec<u8>) {
    move |bytes: &mut Vec<u8>| {
        if let Ok(text) = core::str::from_utf8(bytes) {
            *bytes = text.replace(from, to).into_bytes();
        }
    }
}

/// Cuts what stands between two marks, both included, out of the text.
fn cut(begin: &'static str, end: &'static str) -> impl FnMut(&mut Vec<u8>) {
    move |bytes: &mut Vec<u8>| {
        let Ok(text) = core::str::from_utf8(bytes) else { return };
        if let Some((before, rest)) = text.split_once(begin)
            && let Some((_, after)) = rest.split_once(end)
        {
            *bytes = format!("{before}{after}").into_bytes();
        }
    }
}

#[test]
fn an_offer_that_was_stripped_leaves_pinned_peers_secured() {
    let mut pair = friends(1);
    pair.tamper(R, cut("<offer ", "</offer>"));
    pair.connect(pinned());
    assert!(!clear(pair.arrived_from(R)).contains("offer"));
    for side in SIDES {
        assert_eq!(secured(&mut pair, side).method, Method::X509);
    }
}

#[test]
fn an_offer_that_was_stripped_is_a_security_fault_where_a_password_is_needed() {
    let mut pair = LinkPair::new(1);
    pair.tamper(R, cut("<offer ", "</offer>"));
    pair.connect(password("wherefore"));
    let found = fault(&mut pair, I);
    assert!(found.is_security() && !clear(pair.sent(I)).contains("<starttls"), "{found:?}");
    assert!(!clear(pair.sent(I)).contains("message"));
}

#[test]
fn a_method_that_was_taken_out_of_the_offer_is_a_security_fault() {
    let mut pair = LinkPair::new(1);
    pair.tamper(R, replace("<srp/>", ""));
    pair.connect(password("wherefore"));
    assert!(fault(&mut pair, I).is_security());
    let mut pair = LinkPair::new(1);
    pair.tamper(I, replace("<srp/>", ""));
    pair.connect(password("wherefore"));
    assert!(fault(&mut pair, R).is_security());
    assert!(matches!(fault(&mut pair, I), Fault::StartTls(StartTlsFault::Refused)));
}

#[test]
fn rfc_7590_3_1_tls_is_asked_for_when_the_feature_was_stripped() {
    let mut pair = friends(1);
    pair.tamper(R, cut("<starttls ", "</starttls>"));
    pair.connect(pinned());
    assert!(clear(pair.arrived_from(R)).contains("<stream:features>") && clear(pair.sent(I)).contains("<starttls"));
    for side in SIDES {
        assert_eq!(secured(&mut pair, side).method, Method::X509);
    }
}

#[test]
fn a_stripped_feature_is_a_security_fault_where_nothing_unoffered_is_tried() {
    let mut pair = friends(1);
    pair.config(I).try_unoffered = false;
    pair.tamper(R, cut("<starttls ", "</starttls>"));
    pair.connect(pinned());
    let found = fault(&mut pair, I);
    assert!(matches!(found, Fault::NoTls) && found.is_security());
    assert!(found.to_string().contains("taken away"));
    assert!(!clear(pair.sent(I)).contains("<starttls"));
}

#[test]
fn bytes_behind_starttls_and_proceed_are_thrown_away_and_end_the_link() {
    for (side, behind) in [(I, "</starttls>"), (R, "</proceed>")] {
        let mut pair = friends(1);
        let injected = format!("{behind}<message xmlns='jabber:client'><body>mine</body></message>");
        pair.tamper(side, move |bytes| {
            if let Ok(text) = core::str::from_utf8(bytes) {
                *bytes = text.replace(behind, &injected).into_bytes();
            }
        });
        pair.connect(pinned());
        let other = if side == I { R } else { I };
        let found = fault(&mut pair, other);
        assert!(matches!(found, Fault::StartTls(StartTlsFault::Injection)), "{found:?}");
    }
}

#[test]
fn bytes_that_come_later_behind_proceed_are_no_tls_and_end_the_link() {
    let mut pair = friends(1);
    pair.cut = 1;
    pair.tamper(R, replace("</proceed>", "</proceed><message/>"));
    pair.connect(pinned());
    let found = fault(&mut pair, I);
    assert!(found.is_security() && found.to_string().contains("not TLS"), "{found}");
}

#[test]
fn a_proceed_that_names_a_method_nobody_asked_for_is_refused_before_tls() {
    for (from, to) in [("<insecure/>", "<srp/>"), ("</keyinfo>", "</keyinfo><srp/>")] {
        let mut pair = friends(1);
        pair.tamper(R, move |bytes| {
            if let Ok(text) = core::str::from_utf8(bytes)
                && text.contains("<proceed")
            {
                *bytes = text.replace(from, to).into_bytes();
            }
        });
        pair.connect(pinned());
        if clear(pair.arrived_from(R)).split("<proceed").nth(1).is_some_and(|proceed| proceed.contains("<srp/>")) {
            assert!(matches!(fault(&mut pair, I), Fault::StartTls(StartTlsFault::Method)));
            assert!(!pair.sent(I).contains(&22));
        } else {
            assert_eq!(to, "<srp/>", "the one that changes nothing");
        }
    }
    // A key is named where only the password was asked for, alone or beside it.
    for beside in ["", "<srp/>"] {
        let mut pair = LinkPair::new(1);
        pair.tamper(R, move |bytes| {
            if let Ok(text) = core::str::from_utf8(bytes)
                && text.contains("<proceed")
            {
                let key = format!("<keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>00</name></keyinfo>{beside}");
                *bytes = text.replace("<srp/>", &key).into_bytes();
            }
        });
        pair.connect(password("wherefore"));
        assert!(matches!(fault(&mut pair, I), Fault::StartTls(StartTlsFault::Method)));
        assert!(!pair.sent(I).contains(&22));
    }
}

#[test]
fn an_announced_key_that_was_exchanged_is_found_out() {
    // In the offer: none of the keys is the one of the certificate that comes.
    let mut pair = friends(1);
    let (weak, own) = (HashAlgo::Sha1, HashAlgo::Sha256);
    let [weak, own] = [weak, own].map(|algo| pair.identity(R).fingerprint(algo).unwrap().hex());
    let other = "ab".repeat(32);
    let exchange = move |bytes: &mut Vec<u8>| {
        if let Ok(text) = core::str::from_utf8(bytes) {
            *bytes = text.replace(&own, &other).into_bytes();
        }
    };
    let exchange_one = exchange.clone();
    let exchange_all = move |bytes: &mut Vec<u8>| {
        exchange_one(bytes);
        if let Ok(text) = core::str::from_utf8(bytes) {
            *bytes = text.replace(&weak, &"cd".repeat(20)).into_bytes();
        }
    };
    pair.tamper(R, exchange_all);
    pair.connect(pinned());
    assert!(matches!(fault(&mut pair, I), Fault::FingerprintMismatch { .. }));
    // One of them is: the other may be that of another key, and TLS shows which one it is (XEP-0250 § 3.1).
    let mut pair = friends(1);
    pair.tamper(R, exchange.clone());
    pair.connect(pinned());
    assert_eq!(secured(&mut pair, I).authenticated_by, Authentication::Pinned);
    // In the answer to a peer that leaps: the certificate that comes is another one.
    let mut pair = LinkPair::new(1);
    pair.tamper(R, move |bytes| {
        if bytes.starts_with(b"<proceed") {
            exchange(bytes);
        }
    });
    pair.trust(I);
    pair.start(pinned(), Some(Terms::new(TrustPolicy::LeapOfFaith)));
    pair.run();
    let found = fault(&mut pair, I);
    assert!(matches!(found, Fault::FingerprintMismatch { .. }), "{found:?}");
    assert!(pair.record(R).pins.is_empty(), "nothing was learnt");
}

#[test]
fn stanzas_in_clear_are_never_handed_on() {
    for (side, at) in [(I, 0), (R, 1)] {
        let mut pair = friends(1);
        pair.start(pinned(), Some(pinned()));
        if at == 1 {
            pair.tamper(R, replace("<stream:features>", "<message xmlns='jabber:client'/><stream:features>"));
            pair.run();
            assert!(fault(&mut pair, I).is_security());
            continue;
        }
        pair.inject(
            R,
            b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
            version='1.0' from='romeo@forza' to='juliet@pronto'><message/>",
        );
        pair.run();
        let events = pair.take_events(R);
        assert!(!events.iter().any(|event| matches!(event, LinkEvent::Stanza { .. })), "{events:?} {side:?}");
        assert_eq!(pair.link(R).stage(), Stage::Ended);
    }
}

#[test]
fn a_password_link_that_somebody_claims_in_anothers_name_fails() {
    let mut pair = LinkPair::new(1);
    pair.tamper(I, replace("romeo@forza", "tybalt@forza"));
    pair.tamper(R, replace("tybalt@forza", "romeo@forza"));
    pair.connect(password("wherefore"));
    for side in SIDES {
        assert!(fault(&mut pair, side).is_security());
    }
}

#[test]
fn the_name_inside_of_tls_has_to_be_the_one_in_clear() {
    // A pinned peer whose header was changed on the way: the certificate is not that of the name.
    let mut pair = friends(1);
    pair.tamper(I, replace("romeo@forza", "romeo@forza/other"));
    pair.tamper(R, replace("romeo@forza/other", "romeo@forza"));
    pair.connect(pinned());
    // The bare address is the same, and so is the pin; the header inside tells of the difference.
    let found = fault(&mut pair, I);
    assert!(found.is_security() && matches!(found, Fault::Link(_)), "{found:?}");
    assert!(fault(&mut pair, R).to_string().contains("host-unknown"));
}

#[test]
fn records_that_are_altered_or_cut_off_end_the_link() {
    let mut pair = friends(1);
    pair.connect(pinned());
    let _ = (pair.take_events(I), pair.take_events(R));
    pair.tamper(I, |bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    });
    pair.with(I, |link, now| link.send(now, &message("But soft!"))).unwrap();
    pair.run();
    let found = fault(&mut pair, R);
    assert!(found.is_security(), "{found:?}");
    // The other end hears of it by an alert.
    assert!(fault(&mut pair, I).is_security());

    let mut pair = friends(1);
    pair.connect(pinned());
    let _ = (pair.take_events(I), pair.take_events(R));
    pair.cut_off(R);
    let found = fault(&mut pair, R);
    assert!(matches!(found, Fault::EndedEarly { stage: Stage::Open, truncated: true }), "{found:?}");
}
