//! Whole links: much data, any cut, the same bytes from the same seed, nothing in clear.

use proptest::prelude::*;
use xtls::link::{ClientTerms, LinkEvent, PeerLink, ServerTerms};
use xtls::{Terms, TrustPolicy};
use xtls_stanza::Method;
use xtls_stream::{Features, StartTlsDialect};
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, bodies, clear, friends, message, password, pinned, secured};

/// A conversation: connect, one message each way, close. Everything that was sent, and what was said.
fn conversation(terms: &Terms, cut: usize) -> ([Vec<u8>; 2], Vec<String>) {
    let mut pair = if terms.methods.contains(&Method::Srp) { LinkPair::new(3) } else { friends(3) };
    pair.cut = cut;
    pair.connect(terms.clone());
    for side in SIDES {
        pair.with(side, |link, now| link.send(now, &message("it is the secret east"))).unwrap();
    }
    pair.run();
    pair.with(I, PeerLink::close);
    pair.run();
    let said = SIDES.map(|side| format!("{:?}", pair.take_events(side)));
    (SIDES.map(|side| pair.sent(side).to_vec()), said.to_vec())
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for terms in [pinned(), password("wherefore")] {
        assert_eq!(conversation(&terms, 0), conversation(&terms, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_the_bytes_are_cut_the_conversation_is_the_same(cut in 1_usize..700, srp: bool) {
        let terms = if srp { password("wherefore") } else { pinned() };
        prop_assert_eq!(conversation(&terms, cut).1, conversation(&terms, 0).1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// From some byte on the peer sends noise, or what it sent before: nothing of it is handed on, whatever the stage.
    #[test]
    fn noise_at_any_point_is_never_handed_on(
        noisy in 0_usize..2,
        from in 0_usize..4000,
        noise in proptest::collection::vec(any::<u8>(), 1..200),
        cut in 0_usize..40,
        srp: bool,
    ) {
        let terms = if srp { password("wherefore") } else { pinned() };
        let mut pair = if srp { LinkPair::new(3) } else { friends(3) };
        pair.cut = cut;
        let mut passed = 0;
        let expected = noise.len();
        pair.tamper(SIDES[noisy], move |bytes| {
            let begins = (from - passed.min(from)).min(bytes.len());
            passed += bytes.len();
            let tail = bytes.len() - begins;
            bytes.truncate(begins);
            bytes.extend(noise.iter().cycle().take(if tail > 0 { tail.max(expected) } else { 0 }));
        });
        pair.connect(terms);
        let hears = SIDES[1 - noisy];
        let events = pair.take_events(hears);
        let heard = events.iter().any(|event| matches!(event, LinkEvent::Stanza { .. } | LinkEvent::Nonza(_)));
        prop_assert!(!heard, "{events:?}");
        let ends = events.iter().filter(|event| matches!(event, LinkEvent::Closed(_))).count();
        prop_assert!(ends <= 1);
        // Whoever still waits does not wait for ever.
        let waits = pair.link(hears).poll_timeout().is_some();
        prop_assert_eq!(waits, ends == 0);
    }
}

/// A client that logs in by EXTERNAL, as far as it gets; what its server was told.
fn log_in(pair: &mut LinkPair) -> Vec<LinkEvent> {
    let mut client = ServerTerms::new(TrustPolicy::Pinned);
    client.present_certificate = true;
    pair.start_client_and_server(&client, &ClientTerms::new());
    let mut told = Vec::new();
    let mut asked = false;
    loop {
        pair.run();
        let events = pair.take_events(R);
        let offers = events.iter().any(|event| matches!(event, LinkEvent::FeaturesRequired { .. }));
        told.extend(events);
        let hears = pair.take_events(I).iter().any(|event| matches!(event, LinkEvent::Features(_)));
        if offers {
            // The link may have ended since it asked.
            let _ = pair.with_server(|link, now| link.send_features(now, &Features::default()));
        } else if hears && !asked {
            asked = true;
            pair.with_client(|link, now| link.authenticate_external(now, None)).unwrap();
        } else {
            return told;
        }
    }
}

/// A client and its server, who know one another's certificates.
fn client_and_server(cut: usize) -> LinkPair {
    let mut pair = LinkPair::new(3);
    pair.name(I, "romeo@forza");
    pair.name(R, "forza");
    pair.trust(I);
    pair.trust(R);
    pair.cut = cut;
    pair
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// From some byte on what comes from a client is noise.
    #[test]
    fn noise_makes_nobody_a_client(
        from in 0_usize..4000,
        noise in proptest::collection::vec(any::<u8>(), 1..200),
        cut in 0_usize..40,
    ) {
        let mut pair = client_and_server(cut);
        let mut passed = 0;
        pair.tamper(I, move |bytes| {
            let begins = (from - passed.min(from)).min(bytes.len());
            passed += bytes.len();
            let tail = bytes.len() - begins;
            bytes.truncate(begins);
            bytes.extend(noise.iter().cycle().take(if tail > 0 { tail.max(noise.len()) } else { 0 }));
        });
        let told = log_in(&mut pair);
        let all = pair.sent(I).len();
        let is_known = told.iter().any(|event| matches!(event, LinkEvent::ClientAuthenticated { .. }));
        let is_handed_on = told.iter().any(|event| matches!(event, LinkEvent::Stanza { .. } | LinkEvent::Nonza(_)));
        prop_assert!(!is_handed_on, "{told:?}");
        prop_assert_eq!(is_known, pair.link(R).security().is_some());
        // All that it takes has to be there: the last of it are the header behind success and what follows.
        prop_assert!(is_known || from < all, "{told:?}");
        let ends = told.iter().filter(|event| matches!(event, LinkEvent::Closed(_))).count();
        prop_assert!(ends <= 1);
        prop_assert_eq!(pair.link(R).poll_timeout().is_some(), ends == 0);
    }
}

#[test]
fn a_server_knows_a_client_by_every_byte_of_what_it_said() {
    let mut pair = client_and_server(0);
    let told = log_in(&mut pair);
    assert!(told.iter().any(|event| matches!(event, LinkEvent::ClientAuthenticated { .. })), "{told:?}");
    // Whatever bit of it is another one up to the mechanism, and it knows nobody.
    let sent = pair.sent(I).to_vec();
    let header = sent.windows(3).rposition(|window| window == [23, 3, 3]).unwrap();
    let auth = sent[..header].windows(3).rposition(|window| window == [23, 3, 3]).unwrap();
    for at in (auth + 5..header).chain([0, auth / 2]) {
        let mut pair = client_and_server(0);
        let mut passed = 0;
        pair.tamper(I, move |bytes| {
            if (passed..passed + bytes.len()).contains(&at) {
                bytes[at - passed] ^= 0x40;
            }
            passed += bytes.len();
        });
        let told = log_in(&mut pair);
        assert!(!told.iter().any(|event| matches!(event, LinkEvent::ClientAuthenticated { .. })), "{at}: {told:?}");
        assert!(pair.link(R).security().is_none());
    }
}

#[test]
fn nothing_but_the_negotiation_is_ever_sent_in_clear() {
    for terms in [pinned(), password("wherefore")] {
        let ([first, second], _) = conversation(&terms, 0);
        for bytes in [first, second] {
            let text = clear(&bytes);
            for tag in text.split('<').skip(1) {
                let name = tag.split([' ', '>', '/']).find(|name| !name.is_empty()).unwrap_or_default();
                let known = [
                    "?xml",
                    "stream:stream",
                    "stream:features",
                    "starttls",
                    "required",
                    "offer",
                    "keyinfo",
                    "name",
                    "srp",
                    "insecure",
                    "proceed",
                ];
                assert!(known.contains(&name), "{name} in {text}");
            }
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
            // Behind the clear part there is nothing but records.
            let mut rest = &bytes[text.len()..];
            while let [kind, 3, 1 | 3, high, low, ..] = *rest {
                assert!((20..=23).contains(&kind));
                rest = &rest[5 + usize::from(u16::from_be_bytes([high, low]))..];
            }
            assert!(rest.is_empty());
        }
    }
}

#[test]
fn a_mebibyte_of_stanzas_goes_both_ways_at_once() {
    for terms in [pinned(), password("wherefore")] {
        let mut pair = if terms.methods.contains(&Method::Srp) { LinkPair::new(5) } else { friends(5) };
        pair.connect(terms);
        for side in SIDES {
            secured(&mut pair, side);
        }
        let stanza = message(&"wherefore art thou ".repeat(862));
        let mut heard = [0, 0];
        for _ in 0..65 {
            for side in SIDES {
                pair.with(side, |link, now| link.send(now, &stanza)).unwrap();
            }
            pair.run();
            for (count, side) in heard.iter_mut().zip(SIDES) {
                *count += bodies(&pair.take_events(side)).iter().map(String::len).sum::<usize>();
            }
        }
        assert_eq!(heard, [65 * 862 * 19; 2]);
        assert!(heard[0] > 1 << 20);
    }
}

#[test]
fn xep_0035_2_the_old_dialect_leads_to_the_same_link() {
    for terms in [pinned(), Terms::new(TrustPolicy::Ask)] {
        let mut pair = friends(1);
        for side in SIDES {
            pair.config(side).dialect = StartTlsDialect::Xep0035;
        }
        pair.connect(terms);
        assert!(!clear(pair.sent(I)).contains("version=") && !clear(pair.sent(R)).contains("stream:features"));
        for side in SIDES {
            assert_eq!(secured(&mut pair, side).method, Method::X509);
        }
        for side in SIDES {
            pair.with(side, |link, now| link.send(now, &message("But soft!"))).unwrap();
            pair.run();
        }
        for side in SIDES {
            assert_eq!(bodies(&pair.take_events(side)), ["But soft!"]);
        }
    }
}

#[test]
fn xep_0035_2_has_no_place_for_a_password() {
    let mut pair = LinkPair::new(1);
    for side in SIDES {
        pair.config(side).dialect = StartTlsDialect::Xep0035;
    }
    pair.connect(password("wherefore"));
    for side in SIDES {
        assert!(!clear(pair.sent(side)).contains("starttls/"));
    }
    assert!(super::common::fault(&mut pair, I).is_security());
}
