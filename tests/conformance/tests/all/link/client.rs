//! A server and a client: RFC 6120, RFC 7590 § 3.1, XEP-0178 § 2, XEP-0368.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use xtls::link::{ClientLink, ClientTerms, LinkError, LinkEvent, LinkSetup, ServerLink, ServerTerms};
use xtls::{
    Fault, Local, Timer, TrustPolicy,
    error::SendError,
    link::Stage,
    trust::{Authentication, MemoryTrustStore, Pin},
};
use xtls_stanza::{Element, ns};
use xtls_stream::{DirectFault, Features, StartTlsFault};
use xtls_testkit::LinkPair;
use xtls_tls::{Authorities, Identity};

use super::scripted::{I, R, STARTTLS, Scripted};

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    to='im.example.com' version='1.0'>";
const ROMEO: &str = "romeo@im.example.com";
const NURSE: &str = "nurse@im.example.com";

/// An authority, and what it issues.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    trusted: Arc<Authorities>,
}

fn params(last_year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(last_year, 6, 1));
    params
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(2030);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let trusted = Authorities::from_der([params.self_signed(&key).unwrap().der()]).unwrap();
        Self { issuer: Issuer::new(params, key), trusted: Arc::new(trusted) }
    }

    /// A certificate with these XMPP addresses, valid until June of this year. It is October 2025.
    fn issue(&self, addresses: &[&str], last_year: i32) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = params(last_year);
        let xmpp = |address: &&str| SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 5], (*address).into()));
        params.subject_alt_names = addresses.iter().map(xmpp).collect();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = |label: &str, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
        };
        let key = pem("PRIVATE KEY", key.serialized_der());
        Identity::from_pem(&pem("CERTIFICATE", certificate.der()), &key).unwrap()
    }
}

fn ends() -> LinkPair {
    let mut pair = LinkPair::new(4);
    pair.name(I, ROMEO);
    pair.name(R, "im.example.com");
    pair
}

/// Lets a client in as far as the features in TLS; what they are.
fn negotiate(link: &mut Scripted) -> String {
    let features = link.say(HEADER);
    assert!(features.contains("<required/></starttls></stream:features>"), "{features}");
    assert!(!features.contains("mechanism"), "nothing but TLS in clear: {features}");
    assert_eq!(link.say(STARTTLS), super::scripted::PROCEED);
    assert_eq!(link.secure(), "");
    greet(link, &["PLAIN"])
}

/// Opens the stream in TLS, and lets the application say that there are these mechanisms.
fn greet(link: &mut Scripted, mechanisms: &[&str]) -> String {
    let header = link.say_inside(HEADER);
    assert!(header.contains("from='im.example.com'"), "{header}");
    let mechanisms: Vec<_> = mechanisms.iter().map(|&mechanism| mechanism.to_owned()).collect();
    let features = Features::new(mechanisms, Vec::new());
    link.pair.with_server(|link, now| link.send_features(now, &features)).unwrap();
    link.pair.run();
    link.say_inside("")
}

/// A server that trusts this authority, with a client that has this certificate, as far as the features.
fn server(ca: &Ca, certificate: Option<Identity>) -> (Scripted, String) {
    let mut pair = ends();
    pair.authorities(R, Arc::clone(&ca.trusted));
    let mut link = Scripted::server(pair, &ClientTerms::new(), certificate);
    let features = negotiate(&mut link);
    (link, features)
}

fn auth(response: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{response}</auth>")
}

const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

fn failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
}

/// Whom the client is, by what was told; nothing of its own may have been handed on.
fn authenticated(link: &mut Scripted) -> Option<(String, Authentication)> {
    let mut found = None;
    let mut by = None;
    for event in link.events() {
        match event {
            LinkEvent::Secured { security } => by = Some(security.authenticated_by),
            LinkEvent::ClientAuthenticated { client } => found = Some(client.to_string()),
            LinkEvent::Stanza { .. } | LinkEvent::Nonza(_) => panic!("{event:?}"),
            _ => {}
        }
    }
    found.zip(by)
}

fn message() -> Element {
    Element::builder("message", ns::CLIENT).attribute("to", "juliet@capulet.lit").build().unwrap()
}

#[test]
fn xep_0178_2_a_client_and_its_server_by_external() {
    for direct in [false, true] {
        let mut pair = ends();
        pair.trust(I);
        pair.trust(R);
        let (mut to_server, mut from_client) = (ServerTerms::new(TrustPolicy::Pinned), ClientTerms::new());
        to_server.present_certificate = true;
        (to_server.direct_tls, from_client.direct_tls) = (direct, direct);
        pair.start_client_and_server(&to_server, &from_client);
        pair.run();
        let events = pair.take_events(R);
        let [LinkEvent::Encrypted { certificate: Some(_), .. }, LinkEvent::FeaturesRequired { client: None }] =
            &events[..]
        else {
            panic!("{events:?}")
        };
        assert!(pair.link(R).security().is_none() && pair.link(R).peer().is_none());
        pair.with_server(|link, now| link.send_features(now, &Features::default())).unwrap();
        pair.run();
        let events = pair.take_events(I);
        assert!(matches!(&events[1], LinkEvent::Features(features) if features.mechanisms == ["EXTERNAL"]));
        let binding = pair.link(I).channel_binding();
        assert!(binding.is_some() && binding == pair.link(R).channel_binding());
        pair.with_client(|link, now| link.authenticate_external(now, None)).unwrap();
        pair.run();
        let events = pair.take_events(R);
        let [LinkEvent::Secured { security }, LinkEvent::ClientAuthenticated { client }, required] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((security.authenticated_by, client.as_str()), (Authentication::Pinned, ROMEO));
        assert_eq!(security.certificate.as_ref(), Some(pair.identity(I).as_peer_certificate()));
        assert!(matches!(required, LinkEvent::FeaturesRequired { client: Some(client) } if client.as_str() == ROMEO));
        assert_eq!(pair.link(R).peer().unwrap().as_str(), ROMEO);
        pair.with_server(|link, now| link.send_features(now, &Features::default())).unwrap();
        pair.run();
        assert!(matches!(pair.take_events(I)[..], [LinkEvent::Authenticated, LinkEvent::Features(_)]));
        for side in [I, R] {
            pair.send(side, &message()).unwrap();
            pair.run();
        }
        assert!(matches!(pair.take_events(I)[..], [LinkEvent::Stanza { .. }]));
        assert!(matches!(pair.take_events(R)[..], [LinkEvent::Stanza { .. }]));
        pair.with_client(ClientLink::close);
        pair.run();
        let [LinkEvent::Closed(closed)] = &pair.take_events(R)[..] else { panic!() };
        assert!(matches!(closed.reason, xtls::CloseReason::Done));
    }
}

#[test]
fn xep_0178_2_who_the_client_is_follows_from_its_certificate() {
    let ca = Ca::new();
    let romeo = STANDARD.encode(ROMEO);
    let nurse = STANDARD.encode(NURSE);
    let one: &[&str] = &[ROMEO];
    let both: &[&str] = &[ROMEO, NURSE];
    for (addresses, response, is) in [
        (one, "=", Ok(ROMEO)),
        (one, &*romeo, Ok(ROMEO)),
        (one, &*STANDARD.encode("Romeo@IM.example.com"), Ok(ROMEO)),
        // Those of other domains do not count, nor does one that stands there twice.
        (&[ROMEO, "romeo@montague.lit", ROMEO], "=", Ok(ROMEO)),
        (both, &*nurse, Ok(NURSE)),
        (both, "=", Err("invalid-authzid")),
        // Somebody else, no account, no address, not even text.
        (one, &*nurse, Err("invalid-authzid")),
        (&[ROMEO, "romeo@montague.lit"], &*STANDARD.encode("romeo@montague.lit"), Err("invalid-authzid")),
        (one, &*STANDARD.encode("im.example.com"), Err("invalid-authzid")),
        (one, &*STANDARD.encode("romeo@im.example.com/orchard"), Err("invalid-authzid")),
        (one, &*STANDARD.encode("romeo@im.example.com\0"), Err("invalid-authzid")),
        (one, &*STANDARD.encode([0xff]), Err("invalid-authzid")),
        // RFC 6120 § 6.5.5.
        (one, " ", Err("incorrect-encoding")),
        (one, "==", Err("incorrect-encoding")),
        (one, "cm9tZW8", Err("incorrect-encoding")),
        (one, "cm9t ZW9v", Err("incorrect-encoding")),
        (one, "cm9tZW9=", Err("incorrect-encoding")),
    ] {
        let (mut link, features) = server(&ca, Some(ca.issue(addresses, 2026)));
        assert!(features.contains("<mechanism>EXTERNAL</mechanism><mechanism>PLAIN</mechanism>"), "{features}");
        let answer = link.say_inside(&auth(response));
        let found = authenticated(&mut link);
        match is {
            Ok(client) => {
                assert_eq!(answer, SUCCESS, "{addresses:?} {response}");
                assert_eq!(found, Some((client.to_owned(), Authentication::Authority)));
                let features = greet(&mut link, &[]);
                assert_eq!(features, "<stream:features/>");
            }
            Err(condition) => {
                assert_eq!(answer, failure(condition), "{addresses:?} {response}");
                assert!(found.is_none() && link.pair.link(R).security().is_none());
                // It may do better.
                assert_eq!(link.say_inside(&auth(&romeo)), SUCCESS);
                assert_eq!(authenticated(&mut link).unwrap().0, ROMEO);
            }
        }
    }
}

#[test]
fn rfc_6120_6_3_4_external_is_offered_only_to_a_certificate_that_is_believed() {
    let ca = Ca::new();
    let other = xtls_stanza::Fingerprint::sha256(b"another");
    for (certificate, pinned, condition) in [
        (None, None, "invalid-mechanism"),
        (Some(ca.issue(&[], 2026)), None, "not-authorized"),
        (Some(ca.issue(&["romeo@montague.lit"], 2026)), None, "not-authorized"),
        (Some(ca.issue(&["im.example.com"], 2026)), None, "not-authorized"),
        (Some(ca.issue(&[ROMEO], 2025)), None, "not-authorized"),
        (Some(Ca::new().issue(&[ROMEO], 2026)), None, "not-authorized"),
        // A pin goes before authorities.
        (Some(ca.issue(&[ROMEO], 2026)), Some(other), "not-authorized"),
    ] {
        let mut pair = ends();
        pair.authorities(R, Arc::clone(&ca.trusted));
        if let Some(pin) = pinned {
            pair.with_store(R, |store| store.pin(&ROMEO.parse().unwrap(), Pin::manual(pin)));
        }
        let mut link = Scripted::server(pair, &ClientTerms::new(), certificate);
        let features = negotiate(&mut link);
        assert!(features.ends_with("<mechanism>PLAIN</mechanism></mechanisms></stream:features>"), "{features}");
        assert!(!features.contains("EXTERNAL"), "{features}");
        for response in ["=", &STANDARD.encode(ROMEO)] {
            assert_eq!(link.say_inside(&auth(response)), failure(condition));
        }
        assert_eq!(authenticated(&mut link), None);
        assert!(link.pair.link(R).security().is_none());
    }
}

#[test]
fn a_pin_makes_a_certificate_good_for_that_account_alone_and_outlives_its_dates() {
    let certificate = Ca::new().issue(&[ROMEO, NURSE], 2025);
    let weak = certificate.as_peer_certificate().fingerprint(xtls_stanza::HashAlgo::Sha1).unwrap();
    for (pin, is_good) in [(certificate.fingerprint_sha256(), true), (weak, false)] {
        let pair = ends();
        pair.with_store(R, |store| store.pin(&ROMEO.parse().unwrap(), Pin::manual(pin)));
        let mut link = Scripted::server(pair, &ClientTerms::new(), Some(certificate.clone()));
        assert_eq!(negotiate(&mut link).contains("EXTERNAL"), is_good);
        if !is_good {
            assert_eq!(link.say_inside(&auth("=")), failure("not-authorized"));
            continue;
        }
        assert_eq!(link.say_inside(&auth(&STANDARD.encode(NURSE))), failure("invalid-authzid"));
        assert_eq!(link.say_inside(&auth("=")), SUCCESS);
        assert_eq!(authenticated(&mut link), Some((ROMEO.to_owned(), Authentication::Pinned)));
        assert!(link.pair.link(R).security().unwrap().out_of_date);
    }
}

#[test]
fn a_server_that_does_not_ask_for_certificates_has_no_external() {
    let ca = Ca::new();
    let mut pair = ends();
    pair.authorities(R, Arc::clone(&ca.trusted));
    let mut terms = ClientTerms::new();
    terms.external = false;
    let mut link = Scripted::server(pair, &terms, Some(ca.issue(&[ROMEO], 2026)));
    assert!(!negotiate(&mut link).contains("EXTERNAL"));
    assert_eq!(link.say_inside(&auth("=")), failure("invalid-mechanism"));
}

#[test]
fn rfc_4422_5_without_a_response_there_is_a_challenge_first() {
    let ca = Ca::new();
    let (mut link, _) = server(&ca, Some(ca.issue(&[ROMEO], 2026)));
    let sasl = |name: &str| format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(link.say_inside(&auth("")), sasl("challenge"));
    assert_eq!(link.say_inside(&sasl("abort")), failure("aborted"));
    assert_eq!(authenticated(&mut link), None);
    assert_eq!(link.say_inside(&auth("")), sasl("challenge"));
    assert_eq!(link.say_inside(&sasl("response")), SUCCESS);
    assert_eq!(authenticated(&mut link).unwrap().0, ROMEO);
    // A response that nobody waits for is no answer to EXTERNAL.
    let (mut link, _) = server(&ca, Some(ca.issue(&[ROMEO], 2026)));
    link.events();
    assert_eq!(link.say_inside(&sasl("response")), "");
    assert!(matches!(&link.events()[..], [LinkEvent::Nonza(nonza)] if nonza.name() == "response"));
}

#[test]
fn rfc_6120_6_4_5_attempts_are_bounded() {
    let ca = Ca::new();
    for retries in [2, 5] {
        for attempt in [auth(&STANDARD.encode(NURSE)), auth("")] {
            let mut pair = ends();
            pair.authorities(R, Arc::clone(&ca.trusted));
            let mut terms = ClientTerms::new();
            terms.retries = retries;
            let mut link = Scripted::server(pair, &terms, Some(ca.issue(&[ROMEO], 2026)));
            negotiate(&mut link);
            for _ in 0..=retries {
                assert!(!link.say_inside(&attempt).contains("error"));
                assert_eq!(link.pair.link(R).stage(), Stage::Open);
            }
            let answer = link.say_inside(&attempt);
            assert!(answer.contains("<policy-violation") && answer.ends_with("</stream:stream>"), "{answer}");
            assert!(matches!(link.fault(), Fault::TooManyAttempts));
        }
    }
}

#[test]
fn rfc_6120_5_3_1_external_in_clear_is_refused() {
    let ca = Ca::new();
    let mut link = Scripted::server(ends(), &ClientTerms::new(), Some(ca.issue(&[ROMEO], 2026)));
    link.say(HEADER);
    let answer = link.say(&auth("="));
    assert!(answer.contains("<policy-violation") && answer.ends_with("</stream:stream>"), "{answer}");
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::InClear)));
}

#[test]
fn rfc_6120_6_4_6_nothing_is_negotiated_behind_success() {
    let ca = Ca::new();
    let (mut link, _) = server(&ca, Some(ca.issue(&[ROMEO, NURSE], 2026)));
    assert_eq!(link.say_inside(&auth(&STANDARD.encode(ROMEO))), SUCCESS);
    greet(&mut link, &[]);
    assert_eq!(authenticated(&mut link).unwrap().0, ROMEO);
    let answer = link.say_inside(&auth(&STANDARD.encode(NURSE)));
    assert!(answer.contains("<policy-violation") && !answer.contains("success"), "{answer}");
    let events = link.events();
    let [LinkEvent::Closed(closed)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(closed.peer.as_ref().unwrap().as_str(), ROMEO);
}

#[test]
fn rfc_6120_4_9_3_12_a_stanza_has_to_wait_for_authentication() {
    let ca = Ca::new();
    let certificate = ca.issue(&[ROMEO], 2026);
    // Before it, with a failure before it, behind a caller's mechanism, and before the answer to EXTERNAL.
    for said in [
        "<message/>".to_owned(),
        format!("{}<iq type='get' id='1'/>", auth("==")),
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth><presence/>".to_owned(),
        format!("{}<message/>", auth("=")),
    ] {
        let (mut link, _) = server(&ca, Some(certificate.clone()));
        link.events();
        let answer = link.say_inside(&said);
        assert!(answer.contains("<not-authorized") && answer.ends_with("</stream:stream>"), "{answer}");
        let events = link.events();
        assert!(!events.iter().any(|event| matches!(event, LinkEvent::Stanza { .. })), "{events:?}");
        let Some(LinkEvent::Closed(closed)) = events.last() else { panic!("{events:?}") };
        let xtls::CloseReason::Fault(fault) = &closed.reason else { panic!("{closed:?}") };
        assert!(matches!(**fault, Fault::NotAuthenticated) && fault.is_security());
    }
}

#[test]
fn an_application_says_nothing_to_a_client_that_it_does_not_know() {
    let ca = Ca::new();
    let (mut link, _) = server(&ca, None);
    assert_eq!(link.pair.link(R).stage(), Stage::Open);
    let sent = link.pair.send(R, &message());
    assert_eq!(sent, Err(SendError::NoStream));
    assert_eq!(link.say_inside(""), "");
}

#[test]
fn rfc_6120_6_4_6_the_callers_mechanisms_say_who_it_is() {
    let ca = Ca::new();
    // Its certificate has nothing to do with that.
    let (mut link, _) = server(&ca, Some(ca.issue(&[NURSE], 2026)));
    link.events();
    link.say_inside("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHIAcA==</auth>");
    assert!(matches!(&link.events()[..], [LinkEvent::Nonza(nonza)] if nonza.name() == "auth"));
    let success = Element::builder("success", ns::SASL).build().unwrap();
    link.pair.with_server(|link, now| link.send_nonza(now, &success)).unwrap();
    let says = |link: &mut Scripted, client: &str| {
        let client = client.parse().unwrap();
        link.pair.with_server(|link, now| link.client_authenticated(now, &client))
    };
    for foreign in ["romeo@montague.lit", "im.example.com"] {
        assert_eq!(says(&mut link, foreign), Err(SendError::ForeignAddress));
    }
    assert_eq!(says(&mut link, ROMEO), Ok(()));
    assert_eq!(says(&mut link, NURSE), Err(SendError::NoStream));
    link.pair.run();
    assert_eq!(link.say_inside(""), SUCCESS);
    assert_eq!(authenticated(&mut link), Some((ROMEO.to_owned(), Authentication::Sasl)));
    assert!(link.pair.link(R).security().unwrap().certificate.is_none());
    greet(&mut link, &[]);
    assert_eq!(says(&mut link, NURSE), Err(SendError::NoStream));
    link.say_inside("<message to='juliet@capulet.lit'/>");
    assert!(matches!(link.events().last(), Some(LinkEvent::Stanza { .. })));
}

#[test]
fn rfc_6120_4_9_3_9_the_header_behind_success_is_the_clients_own() {
    let ca = Ca::new();
    for (from, is_good) in [(ROMEO, true), (NURSE, false)] {
        let (mut link, _) = server(&ca, Some(ca.issue(&[ROMEO], 2026)));
        link.say_inside(&auth("="));
        let answer = link.say_inside(&HEADER.replace(" to=", &format!(" from='{from}' to=")));
        assert_eq!(!answer.contains("<invalid-from"), is_good, "{answer}");
    }
}

#[test]
fn what_the_link_adds_itself_is_not_the_callers_to_offer() {
    let ca = Ca::new();
    let mut pair = ends();
    pair.authorities(R, Arc::clone(&ca.trusted));
    let mut link = Scripted::server(pair, &ClientTerms::new(), Some(ca.issue(&[ROMEO], 2026)));
    let features =
        |mechanisms: &[&str]| Features::new(mechanisms.iter().map(|&mechanism| mechanism.to_owned()), Vec::new());
    let offer = |link: &mut Scripted, features: &Features| {
        let sent = link.pair.with_server(|link, now| link.send_features(now, features));
        link.pair.run();
        sent
    };
    // Nobody asked yet.
    assert_eq!(offer(&mut link, &features(&["PLAIN"])), Err(SendError::NoStream));
    link.say(HEADER);
    assert_eq!(offer(&mut link, &features(&["PLAIN"])), Err(SendError::NoStream));
    link.say(STARTTLS);
    link.secure();
    link.say_inside(HEADER);
    assert_eq!(link.pair.link(R).stage(), Stage::Offering);
    for bad in [features(&["EXTERNAL"]), Features::tls(None)] {
        assert_eq!(offer(&mut link, &bad), Err(SendError::Reserved));
    }
    let long = "x".repeat(300_000);
    assert_eq!(offer(&mut link, &features(&[&long])), Err(SendError::TooLarge));
    assert_eq!(link.pair.link(R).stage(), Stage::Offering);
    assert_eq!(offer(&mut link, &features(&[])), Ok(()));
    assert_eq!(link.say_inside(&auth("=")).matches("<success").count(), 1);
    link.say_inside(HEADER);
    assert_eq!(offer(&mut link, &features(&["PLAIN"])), Err(SendError::Reserved));
    assert_eq!(offer(&mut link, &features(&[])), Ok(()));
}

#[test]
fn rfc_6120_4_9_3_6_another_domain_is_not_served() {
    for (to, condition) in [
        (" to='capulet.lit'", "host-unknown"),
        (" to='romeo@im.example.com'", "host-unknown"),
        ("", "improper-addressing"),
    ] {
        let mut link = Scripted::server(ends(), &ClientTerms::new(), None);
        let answer = link.say(&HEADER.replace(" to='im.example.com'", to));
        assert!(answer.contains(&format!("<{condition}")) && answer.ends_with("</stream:stream>"), "{answer}");
        assert!(matches!(link.fault(), Fault::Link(DirectFault::Stream(_) | DirectFault::Addressing)));
    }
}

#[test]
fn a_client_that_does_not_authenticate_does_not_stay() {
    let ca = Ca::new();
    let (mut link, _) = server(&ca, None);
    link.events();
    link.pair.run_for(Duration::from_secs(329));
    assert_eq!(link.pair.link(R).stage(), Stage::Open);
    link.pair.run_for(Duration::from_secs(1));
    assert!(matches!(link.fault(), Fault::Timeout { timer: Timer::Answer, stage: Some(Stage::Open), .. }));
    // One that has does.
    let (mut link, _) = server(&ca, Some(ca.issue(&[ROMEO], 2026)));
    link.say_inside(&auth("="));
    greet(&mut link, &[]);
    link.pair.run_for(Duration::from_secs(3600));
    assert_eq!(link.pair.link(R).stage(), Stage::Open);
}

#[test]
fn however_the_bytes_are_cut_the_client_is_the_same() {
    for cut in [1, 7, 333] {
        let ca = Ca::new();
        let mut pair = ends();
        pair.cut = cut;
        pair.authorities(R, Arc::clone(&ca.trusted));
        let mut link = Scripted::server(pair, &ClientTerms::new(), Some(ca.issue(&[ROMEO], 2026)));
        negotiate(&mut link);
        assert_eq!(link.say_inside(&auth("=")), SUCCESS);
        assert_eq!(authenticated(&mut link).unwrap().0, ROMEO);
    }
}

#[test]
fn a_server_is_a_domain_and_the_bound_of_attempts_is_reasonable() {
    let mut pair = ends();
    pair.start_from_client(&ClientTerms::new());
    let now = pair.with_server(|_, now| now);
    let identity = pair.identity(R).clone();
    let slip = |jid: &str, retries| {
        let mut terms = ClientTerms::new();
        terms.retries = retries;
        let local = Local::new(jid.parse().unwrap(), identity.clone());
        let setup = LinkSetup::new(local, Box::new(MemoryTrustStore::default()), [1; 32], xtls_testkit::unix(1));
        ServerLink::listen(setup, &terms, now).err()
    };
    for (retries, error) in [(1, Some(LinkError::Retries)), (2, None), (5, None), (6, Some(LinkError::Retries))] {
        assert_eq!(slip("im.example.com", retries), error);
    }
    for jid in ["juliet@im.example.com", "im.example.com/x"] {
        assert_eq!(slip(jid, 2), Some(LinkError::NotADomain));
    }
}
