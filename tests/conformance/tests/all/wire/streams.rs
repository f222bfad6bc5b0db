//! Decisions on the XML stream: 2.18, 2.19, 2.20.

use xtls::{Event, Fault};
use xtls_stanza::ns;

use crate::common::{
    HEADER_JULIET, HEADER_ROMEO, JULIET, ROMEO, Stage, closed, element, fault, kinds, message, payload, stanzas,
    terminate,
};

const ROMEO_FROM: &str = "from='romeo@montague.lit/orchard'";
const JULIET_TO: &str = "to='juliet@capulet.lit/balcony'";

#[test]
fn wire_2_18_full_bare_and_absent_addresses_of_the_peer_are_accepted() {
    let froms = [ROMEO_FROM, "from='romeo@montague.lit'", "from='Romeo@Montague.LIT/orchard'", ""];
    let tos = [JULIET_TO, "to='juliet@capulet.lit'", ""];
    for (from, to) in froms.into_iter().flat_map(|from| tos.map(|to| (from, to))) {
        let mut stage = Stage::juliet();
        stage.secure_as_responder();
        stage.write(&HEADER_ROMEO.replace(ROMEO_FROM, from).replace(JULIET_TO, to));
        assert_eq!(stage.play(), [], "{from} {to}");
        assert_eq!(kinds(&stage.events()), ["StreamOpened"], "{from} {to}");
    }
}

/// A stream error that ends the stream: its condition.
fn stream_error(told: &str) -> &str {
    let (before, rest) = told.split_once("<stream:error><").expect(told);
    assert!(!before.contains("</stream:stream>"));
    let (name, rest) = rest.split_once(' ').unwrap();
    let expected = "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
    assert_eq!(rest, expected);
    name
}

#[test]
fn wire_2_18_any_other_address_is_a_stream_error_and_a_security_error() {
    let wrong = [
        (ROMEO_FROM, "from='romeo@montague.lit/balcony'", "invalid-from"),
        (ROMEO_FROM, "from='romeo@montague.net/orchard'", "invalid-from"),
        (ROMEO_FROM, "from='mallory@montague.lit'", "invalid-from"),
        (ROMEO_FROM, "from='montague.lit'", "invalid-from"),
        (ROMEO_FROM, "from=''", "invalid-from"),
        (JULIET_TO, "to='juliet@capulet.lit/chamber'", "host-unknown"),
        (JULIET_TO, "to='capulet.lit'", "host-unknown"),
    ];
    for (right, wrong, condition) in wrong {
        let mut stage = Stage::juliet();
        stage.secure_as_responder();
        stage.write(&HEADER_ROMEO.replace(right, wrong));
        let requests = stage.play();
        assert_eq!(stream_error(&stage.told()), condition, "{wrong}");
        assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"), "{wrong}");
        let closed = closed(stage.events());
        assert!(matches!(fault(&closed), Fault::Stream(fault) if fault.is_security()), "{closed:?}");
        assert!(closed.reason.is_security());
    }
}

#[test]
fn wire_2_18_the_response_header_is_held_to_the_same() {
    let mut stage = Stage::romeo();
    stage.engine_offers(xtls::TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    stage.play();
    assert_eq!(stage.told(), HEADER_ROMEO);
    stage.write(&HEADER_JULIET.replace("balcony", "chamber"));
    let requests = stage.play();
    assert_eq!(stream_error(&stage.told()), "invalid-from");
    assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"));
    assert!(closed(stage.events()).reason.is_security());
}

/// § 1: an XML declaration, white space between stanzas, no features.
#[test]
fn wire_2_19_a_declaration_and_keepalives_are_accepted() {
    let mut stage = Stage::juliet();
    stage.secure_as_responder();
    stage.write(&format!("<?xml version='1.0'?>{HEADER_ROMEO}"));
    stage.write(" \n ");
    stage.write("<presence/>\n\n");
    stage.write(" ");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["StreamOpened", "Stanza"]);
}

#[test]
fn wire_2_19_the_initiator_does_not_wait_for_features() {
    let mut stage = Stage::romeo();
    let (tunnel, _) = stage.engine_offers(xtls::TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    stage.play();
    stage.write(HEADER_JULIET);
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured", "StreamOpened"]);
    let _ = stage.told();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &message("hi"))).unwrap();
    stage.play();
    assert_eq!(stage.told(), "<message><body>hi</body></message>");
    // They may come late, with whatever in them, and mean nothing.
    stage.write("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><presence/>");
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
    assert_eq!(stage.told(), "");
}

/// Neither from nor to goes on the wire where they are those of the tunnel's ends; bare JIDs say more, and stay.
#[test]
fn wire_2_20_addresses_of_the_tunnels_ends_are_left_out() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    let cases = [
        ("<message from='{o}' to='{p}'><body>a</body></message>", "<message><body>a</body></message>"),
        ("<message to='{p}'><body>b</body></message>", "<message><body>b</body></message>"),
        ("<message><body>c</body></message>", "<message><body>c</body></message>"),
    ];
    for (sent, expected) in cases {
        let stanza = element(&sent.replace("{o}", JULIET).replace("{p}", ROMEO));
        stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &stanza)).unwrap();
        assert_eq!(stage.play(), []);
        assert_eq!(stage.told(), expected);
    }
    for foreign in ["from='mallory@evil.lit/x'", "to='mallory@evil.lit/x'", "to='juliet@capulet.lit/balcony'"] {
        let stanza = element(&format!("<message {foreign}/>"));
        let refused = stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &stanza));
        assert_eq!(refused, Err(xtls::error::SendError::ForeignAddress), "{foreign}");
    }
}

#[test]
fn wire_2_20_what_comes_is_stamped_with_the_authenticated_addresses() {
    let (mut stage, _) = Stage::responder_with_stream();
    stage.write("<message><body>a</body></message>");
    stage.write("<message from='romeo@montague.lit'><body>b</body></message>");
    stage.play();
    let expected = [
        format!("<message from='{ROMEO}' to='{JULIET}'><body>a</body></message>"),
        format!("<message from='romeo@montague.lit' to='{JULIET}'><body>b</body></message>"),
    ];
    assert_eq!(stanzas(stage.events()), expected.map(|xml| element(&xml)));
}

#[test]
fn wire_2_20_a_contradicting_from_is_told_and_dropped() {
    let (mut stage, _) = Stage::responder_with_stream();
    let claims = ["mallory@evil.lit/x", "romeo@montague.lit/balcony", "montague.lit", "juliet@capulet.lit/balcony", ""];
    for claim in claims {
        stage.write(&format!("<message from='{claim}'><body>no</body></message>"));
        stage.write("<message><body>yes</body></message>");
        assert_eq!(stage.play(), [], "the stream goes on");
        let events = stage.events();
        assert_eq!(kinds(&events), ["Impersonation", "Stanza"], "{claim}");
        assert!(matches!(&events[0], Event::Impersonation { from, .. } if from == claim));
        let bodies: Vec<_> = stanzas(events).iter().map(|s| s.child("body", ns::CLIENT).unwrap().text()).collect();
        assert_eq!(bodies, ["yes"]);
    }
    assert_eq!(stage.told(), "");
}

#[test]
fn wire_2_20_a_stanza_for_somebody_else_is_dropped() {
    let (mut stage, _) = Stage::responder_with_stream();
    stage.write("<message to='nurse@capulet.lit/hall'><body>no</body></message>");
    stage.write("<message><body>yes</body></message>");
    assert_eq!(stage.play(), []);
    let bodies: Vec<_> =
        stanzas(stage.events()).iter().map(|stanza| stanza.child("body", ns::CLIENT).unwrap().text()).collect();
    assert_eq!(bodies, ["yes"]);
}
