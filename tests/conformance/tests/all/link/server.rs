//! A client and its server: RFC 6120, RFC 7590, XEP-0178, XEP-0368.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use xtls::link::{ClientLink, LinkEvent, ServerTerms, ServerTls};
use xtls::{
    Fault, TrustPolicy,
    error::SendError,
    link::Stage,
    trust::{Authentication, Pin},
};
use xtls_stanza::{Element, ns};
use xtls_stream::{DirectFault, Features, StartTlsFault};
use xtls_testkit::LinkPair;
use xtls_tls::{Authorities, Identity};

use super::scripted::{I, PROCEED, R, STARTTLS, Scripted};

pub(crate) const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='im.example.com' id='x' version='1.0'>";
pub(crate) const MECHANISMS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";
const PLAIN: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>";
const BIND: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>";

/// A client and the server of its domain.
pub(crate) fn ends() -> LinkPair {
    let mut pair = LinkPair::new(4);
    pair.name(I, "romeo@im.example.com");
    pair.name(R, "im.example.com");
    pair
}

/// Those that trust an authority, and what it has issued for a server of this name.
fn issued(name: &str) -> (Arc<Authorities>, Identity) {
    let params = |names: Vec<String>| {
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
        params
    };
    let (root, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = params(Vec::new());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let trusted = Authorities::from_der([authority.self_signed(&root).unwrap().der()]).unwrap();
    let certificate = params(vec![name.to_owned()]).signed_by(&key, &Issuer::new(authority, root)).unwrap();
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let identity =
        Identity::from_pem(&pem("CERTIFICATE", certificate.der()), &pem("PRIVATE KEY", key.serialized_der()));
    (Arc::new(trusted), identity.unwrap())
}

pub(crate) fn terms(trust: TrustPolicy) -> ServerTerms {
    let mut terms = ServerTerms::new(trust);
    // The server of these tests asks for a certificate and wants one.
    terms.present_certificate = true;
    terms
}

/// A client whose stream inside of TLS is open; the server is pinned.
fn connected() -> Scripted {
    let mut pair = ends();
    pair.trust(I);
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Pinned));
    negotiate(&mut link);
    link.secure();
    assert_eq!(link.say_inside(&format!("{HEADER}{MECHANISMS}")), "");
    link
}

pub(crate) fn negotiate(link: &mut Scripted) {
    link.hear();
    assert_eq!(link.say(&format!("{HEADER}<stream:features>{STARTTLS}</stream:features>")), STARTTLS);
    link.pair.inject(I, PROCEED.as_bytes());
    link.pair.run();
}

fn mechanisms(event: &LinkEvent) -> Option<&Features> {
    match event {
        LinkEvent::Features(features) => Some(features),
        _ => None,
    }
}

#[test]
fn rfc_6120_4_7_1_a_client_tells_who_it_is_only_inside_of_tls() {
    let mut pair = ends();
    pair.trust(I);
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Pinned));
    let header = link.hear();
    assert!(header.contains("to='im.example.com'") && !header.contains("romeo"), "{header}");
    link.say(&format!("{HEADER}<stream:features>{STARTTLS}</stream:features>"));
    link.pair.inject(I, PROCEED.as_bytes());
    link.pair.run();
    let header = link.secure();
    assert!(header.contains("from='romeo@im.example.com'"), "{header}");
}

#[test]
fn rfc_6120_6_the_caller_speaks_sasl_and_begins_the_stream_anew() {
    let mut link = connected();
    let events = link.events();
    let [LinkEvent::Secured { security }, features] = &events[..] else { panic!("{events:?}") };
    assert_eq!(security.authenticated_by, Authentication::Pinned);
    assert_eq!(mechanisms(features).unwrap().mechanisms, ["EXTERNAL"]);
    assert!(link.pair.link(I).channel_binding().is_some());
    let auth = Element::builder("auth", ns::SASL).attribute("mechanism", "X").text("=").build().unwrap();
    link.pair.with_client(|link, now| link.send_nonza(now, &auth)).unwrap();
    link.pair.run();
    let said = link.say_inside("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(said.starts_with("<auth "), "{said}");
    let events = link.events();
    assert!(matches!(&events[..], [LinkEvent::Nonza(nonza)] if nonza.name() == "success"));
    link.pair.with_client(ClientLink::restart_stream).unwrap();
    link.pair.run();
    assert_eq!(link.pair.link(I).stage(), Stage::Restarting);
    assert!(link.say_inside(&format!("{HEADER}{BIND}")).contains("<stream:stream"));
    assert_eq!(mechanisms(&link.events()[0]).unwrap().others.len(), 1);
    // Stanzas go to anybody and come from anybody.
    let to = Element::builder("message", ns::CLIENT).attribute("to", "juliet@capulet.lit").build().unwrap();
    link.pair.with_client(|link, now| link.send(now, &to)).unwrap();
    assert!(link.say_inside("<message from='nurse@capulet.lit'/>").contains("juliet@capulet.lit"));
    let events = link.events();
    assert!(
        matches!(&events[..], [LinkEvent::Stanza { stanza }] if stanza.attribute("from") == Some("nurse@capulet.lit"))
    );
}

#[test]
fn xep_0178_3_external_is_the_links_own() {
    for (authorisation, response) in [(None, "="), (Some("romeo@im.example.com"), "cm9tZW9AaW0uZXhhbXBsZS5jb20=")] {
        let mut link = connected();
        link.events();
        let jid = authorisation.map(|jid| jid.parse().unwrap());
        link.pair.with_client(|link, now| link.authenticate_external(now, jid.as_ref())).unwrap();
        link.pair.run();
        let said = link.say_inside("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{response}</auth>");
        assert!(said.starts_with(&auth) && said[auth.len()..].contains("<stream:stream"), "{said}");
        link.say_inside(&format!("{HEADER}{BIND}"));
        let events = link.events();
        assert!(matches!(&events[..], [LinkEvent::Authenticated, LinkEvent::Features(_)]), "{events:?}");
    }
}

#[test]
fn xep_0178_3_an_external_that_fails_is_the_callers_to_see_and_nothing_begins_anew() {
    let mut link = connected();
    link.events();
    link.pair.with_client(|link, now| link.authenticate_external(now, None)).unwrap();
    link.pair.run();
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    assert!(!link.say_inside(failure).contains("<stream:stream"));
    // A success that nobody asked for any more is no success of the link's.
    link.say_inside("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let events = link.events();
    assert!(matches!(&events[..], [LinkEvent::Nonza(_), LinkEvent::Nonza(_)]), "{events:?}");
    assert_eq!(link.pair.link(I).stage(), Stage::Open);
}

#[test]
fn external_needs_a_certificate_and_a_secured_link() {
    let mut pair = ends();
    pair.trust(I);
    let mut link = Scripted::client(pair, &ServerTerms::new(TrustPolicy::Pinned));
    link.hear();
    let slip = link.pair.with_client(|link, now| link.authenticate_external(now, None));
    assert_eq!(slip, Err(SendError::NoStream));
}

#[test]
fn rfc_6120_13_7_2_the_certificate_has_to_name_the_domain_and_an_authority_to_vouch_for_it() {
    let (trusted, server) = issued("im.example.com");
    let mut pair = ends();
    pair.identify(R, server.clone());
    pair.authorities(I, trusted);
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Authorities));
    negotiate(&mut link);
    // The server is asked for by its name.
    assert!(link.pair.sent(I).windows(14).filter(|window| window == b"im.example.com").count() >= 2);
    assert!(link.secure().contains("<stream:stream"));
    link.say_inside(&format!("{HEADER}{MECHANISMS}"));
    let events = link.events();
    assert!(
        matches!(&events[0], LinkEvent::Secured { security: s } if s.authenticated_by == Authentication::Authority),
        "{events:?}"
    );

    // Another name, another authority.
    for (trusted, server) in [issued("im.example.org"), (issued("im.example.com").0, server)] {
        let mut pair = ends();
        pair.identify(R, server);
        pair.authorities(I, trusted);
        let mut link = Scripted::client(pair, &terms(TrustPolicy::Authorities));
        negotiate(&mut link);
        link.secure_in_vain();
        let fault = link.fault();
        assert!(matches!(fault, Fault::Tls(_)) && fault.is_security(), "{fault:?}");
    }
}

#[test]
fn rfc_7590_3_4_a_pin_goes_before_authorities() {
    let (trusted, server) = issued("im.example.com");
    let mut pair = ends();
    pair.authorities(I, trusted);
    pair.identify(R, server);
    let other = xtls_stanza::Fingerprint::sha256(b"another");
    pair.with_store(I, |store| store.pin(&"im.example.com".parse().unwrap(), Pin::manual(other)));
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Authorities));
    negotiate(&mut link);
    link.secure_in_vain();
    let fault = link.fault();
    assert!(matches!(fault, Fault::CertificateChanged { .. }), "{fault:?}");
}

#[test]
fn xep_0368_3_tls_begins_with_the_connection_where_it_is_asked_for() {
    let mut pair = ends();
    pair.trust(I);
    let mut terms = terms(TrustPolicy::Pinned);
    terms.direct_tls = true;
    let mut link = Scripted::client(pair, &terms);
    let sent = link.pair.sent(I);
    assert_eq!(sent[..2], [22, 3]);
    assert!(sent.windows(12).any(|window| window == b"\x0bxmpp-client"));
    assert!(link.secure().contains("from='romeo@im.example.com'"));
    link.say_inside(&format!("{HEADER}{MECHANISMS}"));
    assert!(matches!(link.events()[..], [LinkEvent::Secured { .. }, LinkEvent::Features(_)]));
}

#[test]
fn rfc_7590_3_1_without_an_offer_tls_is_tried_and_nothing_else_said() {
    let mut pair = ends();
    pair.trust(I);
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Pinned));
    link.hear();
    assert_eq!(link.say(&format!("{HEADER}{MECHANISMS}")), STARTTLS);
    link.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::Refused)));

    let mut pair = ends();
    pair.trust(I);
    pair.config(I).try_unoffered = false;
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Pinned));
    link.hear();
    link.say(&format!("{HEADER}{MECHANISMS}"));
    assert!(matches!(link.fault(), Fault::NoTls));
}

#[test]
fn rfc_6120_5_3_1_what_was_offered_in_clear_can_be_told_and_what_came_inside_of_tls_is_none_of_it() {
    let mut pair = ends();
    pair.trust(I);
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Pinned));
    link.hear();
    assert!(link.pair.client().clear_features().is_none());
    let required = STARTTLS.replace("/>", "><required/></starttls>");
    link.say(&format!("{HEADER}<stream:features>{required}{PLAIN}</stream:features>"));
    link.pair.inject(I, PROCEED.as_bytes());
    link.pair.run();
    link.secure();
    link.say_inside(&format!("{HEADER}{MECHANISMS}"));
    let clear = link.pair.client().clear_features().unwrap();
    assert!(clear.starttls.as_ref().is_some_and(|starttls| starttls.required));
    assert_eq!(clear.mechanisms, ["PLAIN"]);
    // Where TLS begins with the connection nothing was.
    let mut pair = ends();
    pair.trust(I);
    let mut terms = terms(TrustPolicy::Pinned);
    terms.direct_tls = true;
    let mut link = Scripted::client(pair, &terms);
    link.secure();
    link.say_inside(&format!("{HEADER}{MECHANISMS}"));
    assert!(link.pair.client().clear_features().is_none());
}

#[test]
fn what_may_go_in_clear_does_so_only_where_it_was_asked_for_by_name() {
    let mut pair = ends();
    pair.trust(I);
    let mut terms = terms(TrustPolicy::Pinned);
    terms.tls = ServerTls::Opportunistic;
    let mut link = Scripted::client(pair, &terms);
    link.hear();
    link.say(&format!("{HEADER}{MECHANISMS}"));
    let events = link.events();
    assert!(matches!(&events[..], [LinkEvent::Features(_)]), "{events:?}");
    assert!(link.pair.link(I).security().is_none() && link.pair.link(I).channel_binding().is_none());
    assert_eq!(link.say("<message/>"), "");
    assert!(matches!(&link.events()[..], [LinkEvent::Stanza { .. }]));
    // Where the server has TLS it is used, and its certificate counts.
    let mut pair = ends();
    pair.trust(I);
    pair.renew(R);
    let mut link = Scripted::client(pair, &terms);
    negotiate(&mut link);
    link.secure_in_vain();
    assert!(link.fault().is_security());
}

#[test]
fn no_tls_is_no_tls_even_where_it_is_offered() {
    let starttls = STARTTLS.to_owned();
    let required = STARTTLS.replace("/>", "><required/></starttls>");
    for (offer, is_sent) in [(String::new(), true), (starttls, true), (required, false)] {
        // Nothing is known of the server, and nothing has to be.
        let mut terms = terms(TrustPolicy::Pinned);
        terms.tls = ServerTls::Never;
        let mut link = Scripted::client(ends(), &terms);
        link.hear();
        link.say(&format!("{HEADER}<stream:features>{offer}{PLAIN}</stream:features>"));
        let events = link.events();
        let [LinkEvent::Features(features)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(
            (features.starttls.is_some(), &features.mechanisms[..]),
            (!offer.is_empty(), &["PLAIN".to_owned()][..])
        );
        assert!(link.pair.link(I).security().is_none() && link.pair.link(I).channel_binding().is_none());
        assert_eq!(link.hear(), "", "TLS is not asked for");
        let auth = Element::builder("auth", ns::SASL).build().unwrap();
        // RFC 6120 § 5.3.1: where TLS is required nothing else may be negotiated.
        assert_eq!(link.pair.with_client(|link, now| link.send_nonza(now, &auth)).is_ok(), is_sent);
    }
}

#[test]
fn features_twice_and_tls_inside_of_tls_end_the_link() {
    let mut link = connected();
    link.say_inside(MECHANISMS);
    assert!(matches!(link.fault(), Fault::Link(DirectFault::FeaturesTwice)));
    let mut pair = ends();
    pair.trust(I);
    let mut link = Scripted::client(pair, &terms(TrustPolicy::Pinned));
    negotiate(&mut link);
    link.secure();
    link.say_inside(&format!("{HEADER}<stream:features>{STARTTLS}</stream:features>"));
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::OfferedAgain)));
}
