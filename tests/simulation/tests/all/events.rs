//! What an engine tells names the tunnel that it is about.
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use crate::common::{
    ROMEO, SECOND, close, element,
    password::{action, provide},
    piping, raw,
    script::Script,
    send, sent, streaming, write, xml,
};
use xtls::{Event, TrustDecision, TrustPolicy, TunnelId, trust::MemoryTrustStore};
use xtls_testkit::{EntityId, EntityOptions, FailingStore, Fate, StoreCall, World};

/// The names of the events that were looked at.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    /// Takes an entity's events, all of which are about this tunnel.
    fn take(&mut self, world: &mut World, id: EntityId, tunnel: TunnelId) {
        for event in world.take_events(id) {
            assert_eq!(event.tunnel(), Some(tunnel), "{event:?}");
            let text = format!("{event:?}");
            let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            self.0.insert(name.to_owned());
        }
    }
}

/// Juliet is asked for a password and about a certificate; Romeo goes on without her word, and his store cannot write.
fn questions(seen: &mut Seen) {
    let mut world = World::default();
    let mut options = EntityOptions::seeded(1);
    let inside: Arc<Mutex<MemoryTrustStore>> = Arc::default();
    let store = FailingStore::new(Arc::clone(&inside));
    store.fail(StoreCall::Confirm);
    options.store = Some(inside);
    options.trust_store = Some(Box::new(store));
    let romeo = world.add(ROMEO, options);
    let juliet = world.add(crate::common::JULIET, EntityOptions::seeded(2));
    world.trust(romeo, juliet);
    let peer = world.jid(juliet).clone();
    let offered = xml(TrustPolicy::Pinned).asking_password();
    let here = world.with(romeo, |engine, now| engine.initiate(now, peer, offered)).unwrap();
    world.run();
    let there = world.accept(juliet, xml(TrustPolicy::Ask).asking_password()).unwrap();
    world.run();
    seen.take(&mut world, juliet, there);
    provide(&mut world, juliet, there, None);
    world.run_for(4 * SECOND);
    world.with(juliet, |engine, now| engine.tunnel(there).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    seen.take(&mut world, romeo, here);
    seen.take(&mut world, juliet, there);
}

/// A stream with all that can happen to one.
fn a_stream(seen: &mut Seen) {
    let (mut world, ends, tunnels) = streaming(3);
    world.with(ends[0], |engine, now| engine.tunnel(tunnels[0]).unwrap().request_certificates(now)).unwrap();
    send(&mut world, ends[0], tunnels[0], "but soft").unwrap();
    world.run();
    world.with(ends[0], |engine, now| engine.tunnel(tunnels[0]).unwrap().close_stream(now)).unwrap();
    world.run();
    close(&mut world, ends[0], tunnels[0]);
    world.run();
    for at in [0, 1] {
        seen.take(&mut world, ends[at], tunnels[at]);
    }
    let mut script = Script::new(5);
    let tunnel = script.streaming();
    let said = "<message from='romeo@montague.lit/orchard'/><message to='nurse@capulet.lit'/>";
    assert!(script.say(said).is_empty());
    seen.take(&mut script.world, script.juliet, tunnel);
}

/// Bytes, until there is no room for more.
fn bytes(seen: &mut Seen) {
    let (mut world, ends, tunnels) = piping(7);
    while write(&mut world, ends[0], tunnels[0], &[7; 1 << 16]) == 1 << 16 {}
    world.run();
    let _ = crate::common::read(&mut world, ends[1], tunnels[1]);
    world.run();
    world.with(ends[0], |engine, now| engine.tunnel(tunnels[0]).unwrap().finish(now)).unwrap();
    for _ in 0..100 {
        world.run();
        let _ = crate::common::read(&mut world, ends[1], tunnels[1]);
    }
    for at in [0, 1] {
        seen.take(&mut world, ends[at], tunnels[at]);
    }
}

/// An offer that is taken back, and one that is redirected.
fn offers(seen: &mut Seen) {
    let (mut world, romeo, juliet) = World::pair(9);
    let peer = world.jid(juliet).clone();
    let options = raw(TrustPolicy::Pinned);
    let here = world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), options.clone())).unwrap();
    world.run();
    let [Event::Incoming(incoming)] = &world.take_events(juliet)[..] else { panic!("an offer") };
    let there = incoming.id();
    close(&mut world, romeo, here);
    world.run();
    seen.take(&mut world, romeo, here);
    seen.take(&mut world, juliet, there);

    // Told, and accepted afterwards: it is the same one.
    world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), options.clone())).unwrap();
    world.run();
    let event = world.take_events(juliet).pop().unwrap();
    let told = event.tunnel();
    let Event::Incoming(incoming) = event else { panic!("an offer") };
    let accepted = world.with(juliet, |engine, now| engine.accept(now, incoming, options.clone())).unwrap();
    assert_eq!(told, Some(accepted));
    seen.0.insert("Incoming".to_owned());

    world.relay.meddle(
        |sent| {
            if action(&sent.stanza, "session-initiate") { Fate::Replace(Vec::new()) } else { Fate::Pass }
        },
    );
    world.run();
    let _ = world.take_events(romeo);
    let here = world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    world.run();
    let offer = sent(&world, ROMEO, crate::common::JULIET).pop().unwrap();
    let (now, id) = (world.now(), element(&offer).attribute("id").unwrap().to_owned());
    let error = format!(
        "<iq from='{}' to='{ROMEO}' id='{id}' type='error'><error type='modify'><redirect \
         xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:juliet@capulet.lit/chamber</redirect></error></iq>",
        crate::common::JULIET
    );
    world.relay.inject(now, ROMEO, &error);
    world.run();
    seen.take(&mut world, romeo, here);
}

#[test]
fn each_event_names_its_tunnel_and_an_answer_to_a_probe_names_none() {
    let mut seen = Seen::default();
    questions(&mut seen);
    a_stream(&mut seen);
    bytes(&mut seen);
    offers(&mut seen);
    let all = [
        "CertificatesReceived",
        "Closed",
        "Confirmed",
        "Impersonation",
        "Incoming",
        "IncomingGone",
        "Misaddressed",
        "PasswordRequired",
        "PeerFinished",
        "Readable",
        "Receipt",
        "Redirected",
        "Secured",
        "Stanza",
        "StoreFailed",
        "StreamClosed",
        "StreamOpened",
        "TrustRequired",
        "Writable",
    ];
    assert_eq!(seen.0.iter().map(String::as_str).collect::<Vec<_>>(), all);

    let (mut world, romeo, juliet) = World::pair(11);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.probe(now, peer, &xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    let events = world.take_events(romeo);
    assert!(matches!(&*events, [event @ Event::Probed { .. }] if event.tunnel().is_none()), "{events:?}");
}
