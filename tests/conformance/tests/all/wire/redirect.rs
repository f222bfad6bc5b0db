//! Decision 2.36: an offer that is to be made to somebody else.

use xtls::{Element, Event, Fault, TrustPolicy, TunnelId, TunnelOptions};
use xtls_stanza::ns;

use crate::common::{JULIET, ROMEO, Stage, closed, fault, id, kinds, payload, stage::texts};

const CHAMBER: &str = "juliet@capulet.lit/chamber";

/// An engine that has offered; its session-initiate, not answered yet.
fn offered(check_support: bool) -> (Stage, TunnelId, Element) {
    let mut stage = Stage::romeo();
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    options.check_support = check_support;
    let peer = stage.peer.parse().unwrap();
    let tunnel = stage.with(|engine, now| engine.initiate(now, peer, options)).unwrap();
    let mut sent = stage.sent_one();
    if check_support {
        tell_support(&mut stage, &sent);
        sent = stage.sent_one();
    }
    (stage, tunnel, sent)
}

/// The peer answers a disco#info query.
fn tell_support(stage: &mut Stage, query: &Element) {
    assert_eq!(payload(query).ns(), ns::DISCO_INFO);
    let answer = format!(
        "<iq from='{}' to='{ROMEO}' id='{}' type='result'><query xmlns='http://jabber.org/protocol/disco#info'>\
         <feature var='urn:xmpp:jingle:security:xtls:0'/></query></iq>",
        query.attribute("to").unwrap(),
        id(query)
    );
    let _ = stage.deliver(&answer);
}

/// The offer is answered with a redirect to this address.
fn redirect(stage: &mut Stage, initiate: &Element, to: &str) {
    let stanza = format!(
        "<iq from='{}' to='{ROMEO}' id='{}' type='error'><error type='modify'>\
         <redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{to}</redirect></error></iq>",
        initiate.attribute("to").unwrap(),
        id(initiate)
    );
    assert!(matches!(stage.deliver(&stanza), xtls::Disposition::Consumed));
}

#[test]
fn xep_0166_6_3_2_a_redirect_to_another_resource_is_followed_and_a_tunnel_comes_of_it() {
    for check_support in [false, true] {
        for to in [CHAMBER.to_owned(), format!("\n  xmpp:{CHAMBER}\n")] {
            let (mut stage, tunnel, first) = offered(check_support);
            stage.world.relay.set_online(CHAMBER, true);
            redirect(&mut stage, &first, &to);
            let mut second = stage.sent_one();
            if check_support {
                // What the one supports says nothing of the other.
                tell_support(&mut stage, &second);
                second = stage.sent_one();
            }
            assert_eq!(second.attribute("to"), Some(CHAMBER));
            let (one, other) = (payload(&first), payload(&second));
            assert_eq!(other.attribute("action"), Some("session-initiate"));
            assert_ne!(one.attribute("sid"), other.attribute("sid"), "another session");
            let ibb_sid = |jingle: &Element| {
                let content = jingle.child("content", ns::JINGLE).unwrap();
                content.child("transport", ns::JINGLE_IBB).unwrap().attribute("sid").unwrap().to_owned()
            };
            assert_ne!(ibb_sid(&one), ibb_sid(&other));
            let events = stage.events();
            let [Event::Redirected { id, peer }] = events.as_slice() else { panic!("{events:?}") };
            assert_eq!((*id, peer.as_str()), (tunnel, CHAMBER));
            // The other resource has the certificate of the account.
            CHAMBER.clone_into(&mut stage.peer);
            stage.sid = other.attribute("sid").unwrap().to_owned();
            stage.ibb_sid = ibb_sid(&other);
            stage.ack(&second);
            stage.start_server(&stage.tls_config());
            let accept = stage.accept_with(&stage.peer_security());
            let requests = stage.ask_fine(&accept);
            requests.iter().for_each(|request| stage.ack(request));
            stage.play();
            assert_eq!(kinds(&stage.events()), ["Secured"]);
        }
    }
}

#[test]
fn xep_0166_13_5_a_redirect_to_another_account_is_never_followed() {
    for to in ["voicemail@capulet.lit", "xmpp:mallory@verona.lit/square", "juliet@capulet.com/balcony", "capulet.lit/x"]
    {
        let (mut stage, _, first) = offered(false);
        redirect(&mut stage, &first, to);
        stage.sent_nothing();
        let closed = closed(stage.events());
        let Fault::Redirected { to: said } = fault(&closed) else { panic!("{closed:?}") };
        assert!(to.ends_with(said.as_str()), "{said}");
        assert!(closed.reason.is_security());
        assert!(closed.reason.to_string().contains(said.as_str()), "{}", closed.reason);
    }
}

/// Back to the same address, to no resource, to ourselves, to nowhere: the offer is refused, and that is all.
#[test]
fn xep_0166_6_3_2_a_redirect_that_leads_nowhere_refuses_the_offer() {
    for to in [JULIET, "juliet@capulet.lit", "", "@@", "xmpp://romeo@montague.lit/juliet@capulet.lit"] {
        let (mut stage, _, first) = offered(false);
        redirect(&mut stage, &first, to);
        stage.sent_nothing();
        let closed = closed(stage.events());
        assert!(matches!(fault(&closed), Fault::Refused { .. }), "{to}: {closed:?}");
        assert!(!closed.reason.is_security());
    }
    // An account may talk to another resource of its own, but no resource to itself.
    let mut stage = Stage::new(ROMEO, "romeo@montague.lit/garden", xtls_testkit::EntityOptions::seeded(1));
    let (_, initiate) = {
        let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        options.check_support = false;
        let peer = stage.peer.parse().unwrap();
        let tunnel = stage.with(|engine, now| engine.initiate(now, peer, options)).unwrap();
        (tunnel, stage.sent_one())
    };
    redirect(&mut stage, &initiate, ROMEO);
    stage.sent_nothing();
    assert!(matches!(fault(&closed(stage.events())), Fault::Refused { .. }));
}

#[test]
fn xep_0166_6_3_2_a_redirect_is_followed_once() {
    let (mut stage, _, first) = offered(false);
    stage.world.relay.set_online(CHAMBER, true);
    redirect(&mut stage, &first, CHAMBER);
    let second = stage.sent_one();
    // From whom the offer is not with any more, the redirect says nothing.
    let stanza = format!(
        "<iq from='{JULIET}' to='{ROMEO}' id='{}' type='error'><error type='modify'>\
         <redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>juliet@capulet.lit/x</redirect></error></iq>",
        id(&second)
    );
    assert!(matches!(stage.deliver(&stanza), xtls::Disposition::NotOurs));
    redirect(&mut stage, &second, JULIET);
    let sent = stage.sent();
    assert!(sent.is_empty(), "{}", texts(&sent));
    assert_eq!(kinds_after_redirect(stage.events()), ["Closed"]);
}

fn kinds_after_redirect(mut events: Vec<Event>) -> Vec<&'static str> {
    assert!(matches!(events.remove(0), Event::Redirected { .. }));
    kinds(&events)
}

/// A redirect of anything but an offer is an error like another.
#[test]
fn xep_0166_6_3_2_nothing_but_an_offer_is_redirected() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    redirect(&mut stage, &requests[0], CHAMBER);
    assert!(stage.sent().iter().all(|stanza| stanza.attribute("to") == Some(JULIET)));
    assert!(matches!(fault(&closed(stage.events())), Fault::Refused { .. }));
}
