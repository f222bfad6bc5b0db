//! Inside of TLS: RFC 6120 §§ 4, 5.4.3.3, XEP-0246.

use xtls::link::{LinkEvent, PeerLink};
use xtls::{Fault, Terms, TrustPolicy, link::Stage};
use xtls_stanza::ns;
use xtls_stream::{DirectFault, StartTlsFault};

use super::scripted::{FROM_JULIET, FROM_ROMEO, I, PROCEED, R, STARTTLS, Scripted};

const FEATURES: &str = "<stream:features/>";

/// A link of the initiating end in TLS, whose new header came.
fn initiating() -> Scripted {
    let mut link = Scripted::new(I, Terms::new(TrustPolicy::Pinned));
    link.hear();
    link.say(&format!("{FROM_JULIET}<stream:features>{STARTTLS}</stream:features>"));
    link.pair.inject(I, PROCEED.as_bytes());
    link.pair.run();
    let header = link.secure();
    assert!(header.contains("<stream:stream") && header.contains("to='juliet@pronto'"), "{header}");
    link
}

/// A link of the receiving end in TLS, which waits for a header.
fn receiving() -> Scripted {
    let mut link = Scripted::new(R, Terms::new(TrustPolicy::Pinned));
    link.say(FROM_ROMEO);
    assert_eq!(link.say(STARTTLS), PROCEED);
    assert_eq!(link.secure(), "");
    link
}

#[test]
fn rfc_6120_5_4_3_3_the_stream_begins_anew_with_headers_and_features() {
    let mut link = initiating();
    assert!(link.pair.link(I).security().is_none(), "nothing shows yet that the peer has accepted us");
    assert_eq!(link.say_inside(&format!("{FROM_JULIET}{FEATURES}")), "");
    assert!(matches!(link.events()[..], [LinkEvent::Secured { .. }, LinkEvent::StreamOpened]));
    let mut link = receiving();
    let answer = link.say_inside(FROM_ROMEO);
    assert!(answer.contains("<stream:stream") && answer.ends_with(FEATURES), "{answer}");
    assert!(!answer.contains("starttls"));
    assert!(matches!(
        link.events()[..],
        [LinkEvent::Incoming { .. }, LinkEvent::Secured { .. }, LinkEvent::StreamOpened]
    ));
}

#[test]
fn rfc_6120_5_4_3_3_tls_that_is_offered_or_asked_for_inside_of_tls_ends_the_link() {
    let mut link = initiating();
    let features = format!("<stream:features>{STARTTLS}</stream:features>");
    let answer = link.say_inside(&format!("{FROM_JULIET}{features}"));
    assert!(answer.contains("<policy-violation") && link.tls_closed(), "{answer}");
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::OfferedAgain)));
    let mut link = receiving();
    link.say_inside(FROM_ROMEO);
    let answer = link.say_inside(STARTTLS);
    assert!(answer.starts_with("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") && link.tls_closed(), "{answer}");
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::AskedAgain)));
}

#[test]
fn rfc_6120_4_3_2_features_that_come_twice_end_the_link() {
    let mut link = initiating();
    link.say_inside(&format!("{FROM_JULIET}{FEATURES}{FEATURES}"));
    assert!(matches!(link.fault(), Fault::Link(DirectFault::FeaturesTwice)));
}

#[test]
fn rfc_6120_4_7_1_a_header_of_somebody_else_than_was_authenticated_ends_the_link() {
    for (mut link, header) in [(initiating(), FROM_JULIET), (receiving(), FROM_ROMEO)] {
        let other = header.replace("from='", "from='x");
        let answer = link.say_inside(&other);
        assert!(answer.contains("<invalid-from"), "{answer}");
        assert!(link.fault().is_security());
    }
}

#[test]
fn xep_0246_4_stanzas_are_held_to_the_ends() {
    let mut link = initiating();
    link.say_inside(&format!("{FROM_JULIET}{FEATURES}"));
    link.events();
    link.say_inside(
        "<message><body>1</body></message><message from='nurse@pronto'><body>2</body></message>\
         <message to='nurse@pronto'><body>3</body></message>",
    );
    let events = link.events();
    let [LinkEvent::Stanza { stanza }, LinkEvent::Impersonation { from }, LinkEvent::Misaddressed { to }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((stanza.attribute("from"), stanza.attribute("to")), (Some("juliet@pronto"), Some("romeo@forza")));
    assert_eq!((from.as_str(), to.as_str()), ("nurse@pronto", "nurse@pronto"));
    let element = xtls_stanza::Element::builder("message", ns::CLIENT).attribute("to", "nurse@pronto").build().unwrap();
    let slip = link.pair.with(I, |link, now| link.send(now, &element));
    assert_eq!(slip, Err(xtls::error::SendError::ForeignAddress));
}

#[test]
fn rfc_6120_4_4_the_stream_is_closed_by_both_and_then_tls() {
    let mut link = initiating();
    link.say_inside(&format!("{FROM_JULIET}{FEATURES}"));
    link.pair.with(I, PeerLink::close);
    link.pair.run();
    assert_eq!(link.say_inside("<message><body>late</body></message>"), "</stream:stream>");
    assert!(!link.tls_closed() && link.pair.link(I).stage() == Stage::Closing);
    assert_eq!(link.say_inside("</stream:stream>"), "");
    assert!(link.tls_closed());
    let events = link.events();
    // What the peer had to say before its own end still comes.
    assert!(matches!(events[2..], [LinkEvent::Stanza { .. }, LinkEvent::Closed(_)]), "{events:?}");
}

#[test]
fn rfc_6120_4_9_1_an_error_of_the_peers_is_told() {
    let mut link = receiving();
    link.say_inside(FROM_ROMEO);
    link.say_inside(
        "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    );
    let fault = link.fault();
    assert!(!fault.is_security() && fault.to_string().contains("system-shutdown"), "{fault}");
}
