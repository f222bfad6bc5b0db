//! A tunnel with the resource that an offer was redirected to (XEP-0166 § 6.3.2).
use crate::common::{JULIET, ROMEO, bodies, close, closed, element, errors, message, password::action, raw, sent, xml};
use xtls::{
    CloseReason, EndedBy, Event, Fault, TrustPolicy,
    error::{InitiateError, SendError},
};
use xtls_stanza::{Condition, Element, ns};
use xtls_testkit::{EntityId, EntityOptions, Fate, World};

const CHAMBER: &str = "juliet@capulet.lit/chamber";

fn addressed(to: &str) -> Element {
    let message = Element::builder("message", ns::CLIENT).attribute("to", to);
    message.open("body", ns::CLIENT).text("addressed").close().build().unwrap()
}

/// Romeo offers to the balcony, and is sent to the chamber, where Juliet is too.
fn redirected() -> (World, [EntityId; 3], xtls::TunnelId) {
    let (mut world, ids, tunnel) = redirected_after(0);
    let events = world.take_events(ids[0]);
    let [Event::Redirected { id, peer }] = &*events else { panic!("{events:?}") };
    assert_eq!((*id, peer.as_str()), (tunnel, CHAMBER));
    (world, ids, tunnel)
}

/// The same after so many offers of raw bytes to the chamber itself.
fn redirected_after(offers: usize) -> (World, [EntityId; 3], xtls::TunnelId) {
    let (mut world, romeo, balcony) = World::pair(1);
    let mut options = EntityOptions::seeded(3);
    options.identity = Some(world.identity(balcony).clone());
    let chamber = world.add(CHAMBER, options);
    world.trust(chamber, romeo);
    let peer = world.jid(chamber).clone();
    for _ in 0..offers {
        world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), raw(TrustPolicy::Pinned))).unwrap();
    }
    world.run();
    let meddler = |sent: &xtls_testkit::Passed| {
        let is_lost = sent.to == JULIET && action(&sent.stanza, "session-initiate");
        if is_lost { Fate::Replace(Vec::new()) } else { Fate::Pass }
    };
    world.relay.meddle(meddler);
    let peer = world.jid(balcony).clone();
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    let offer = sent(&world, ROMEO, JULIET).pop().unwrap();
    let (now, id) = (world.now(), element(&offer).attribute("id").unwrap().to_owned());
    world.relay.inject(
        now,
        ROMEO,
        &format!(
            "<iq from='{JULIET}' to='{ROMEO}' id='{id}' type='error'><error type='modify'>\
             <redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:{CHAMBER}</redirect></error></iq>"
        ),
    );
    world.run();
    (world, [romeo, balcony, chamber], tunnel)
}

/// `Config::tunnels_per_peer` is 4.
#[test]
fn a_redirected_tunnel_counts_among_those_of_the_resource_it_goes_to() {
    for (others, followed) in [(3, true), (4, false)] {
        let (mut world, [romeo, ..], tunnel) = redirected_after(others);
        let events = world.take_events(romeo);
        assert_eq!(events.iter().any(|event| matches!(event, Event::Redirected { .. })), followed, "{events:?}");
        let peer = CHAMBER.parse().unwrap();
        let more = world.with(romeo, |engine, now| engine.initiate(now, peer, raw(TrustPolicy::Pinned)));
        assert_eq!(more, Err(InitiateError::TooManyWithPeer), "{others}");
        if !followed {
            let Some(Event::Closed(closed)) = events.last() else { panic!("{events:?}") };
            let CloseReason::Fault(fault) = &closed.reason else { panic!("{closed:?}") };
            assert_eq!(closed.id, tunnel);
            assert!(
                matches!(&**fault, Fault::Refused { error, .. } if error.condition == Condition::Redirect),
                "{fault}"
            );
        }
    }
}

#[test]
fn xep_0166_6_3_2_a_redirected_tunnel_carries_stanzas_between_its_new_ends() {
    let (mut world, [romeo, balcony, chamber], here) = redirected();
    let there = world.accept(chamber, xml(TrustPolicy::Pinned)).unwrap();
    world.run();
    for id in [romeo, chamber] {
        let events = world.take_events(id);
        assert!(matches!(&*events, [Event::Secured { .. }, Event::StreamOpened { .. }]), "{events:?}");
    }
    assert_eq!(
        world.with(romeo, |engine, _| engine.tunnel(here).unwrap().peer().map(ToString::to_string)).as_deref(),
        Some(CHAMBER)
    );
    for (id, tunnel, other, own, peer) in
        [(romeo, here, chamber, ROMEO, CHAMBER), (chamber, there, romeo, CHAMBER, ROMEO)]
    {
        let stanzas = [message("but soft"), addressed(peer)];
        for stanza in &stanzas {
            world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().send(now, stanza)).unwrap();
        }
        world.run();
        let events = world.take_events(other);
        assert_eq!(bodies(&events), ["but soft", "addressed"]);
        for event in &events {
            let Event::Stanza { stanza, .. } = event else { panic!("{event:?}") };
            assert_eq!((stanza.attribute("from"), stanza.attribute("to")), (Some(own), Some(peer)));
        }
    }
    // The first resource is no end of it.
    let slip = world.with(romeo, |engine, now| engine.tunnel(here).unwrap().send(now, &addressed(JULIET)));
    assert_eq!(slip, Err(SendError::ForeignAddress));
    close(&mut world, romeo, here);
    world.run();
    assert!(closed(&mut world, romeo).is_clean(EndedBy::Local));
    assert!(closed(&mut world, chamber).is_clean(EndedBy::Remote));
    assert!(world.take_events(balcony).is_empty(), "it has seen nothing of all that");
}

#[test]
fn xep_0166_6_3_2_what_the_first_resource_still_says_is_nothing_to_a_redirected_tunnel() {
    let (mut world, [romeo, _, chamber], here) = redirected();
    world.accept(chamber, xml(TrustPolicy::Pinned)).unwrap();
    world.run();
    let _ = world.take_events(romeo);
    let jingle =
        element(&sent(&world, ROMEO, CHAMBER).into_iter().find(|sent| action(sent, "session-initiate")).unwrap());
    let sid = jingle.child("jingle", ns::JINGLE).unwrap().attribute("sid").unwrap().to_owned();
    let terminate = crate::common::script::terminate(&sid, "gone");
    let _ = world.deliver(romeo, &format!("<iq from='{JULIET}' to='{ROMEO}' type='set' id='t'>{terminate}</iq>"));
    world.run();
    assert_eq!(errors(&world, ROMEO, JULIET), ["item-not-found/unknown-session"]);
    assert!(world.take_events(romeo).is_empty());
    assert!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().security().is_some()));
}
