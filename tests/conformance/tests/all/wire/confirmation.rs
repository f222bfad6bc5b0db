//! What an initiator takes for the word of a responder that it was accepted (2.17): in TLS 1.3 its own handshake is complete
//! before the responder has judged its certificate.

use std::time::Duration;

use xtls::{Application, Event, TrustPolicy, TunnelOptions, jid::FullJid, trust::TrustStore as _};
use xtls_stanza::Element;

use crate::common::{HEADER_JULIET, Stage, bytes_without_hash, is_data, kinds};

/// Romeo's engine has offered this; Juliet, whom the test plays, has accepted, and sends no ticket. Gives Romeo's last flight,
/// which is on the way.
fn last_flight(application: Application) -> (Stage, Vec<Element>) {
    let mut stage = Stage::romeo();
    let mut options = TunnelOptions::new(application.clone(), TrustPolicy::Pinned);
    options.check_support = false;
    stage.engine_offers_with(options);
    let mut config = stage.tls_config();
    config.send_ticket = false;
    stage.start_server(&config);
    let mut accept = stage.accept_with(&stage.peer_security());
    if application != Application::XmlStream {
        accept = accept.replace("urn:xmpp:jingle:apps:xmlstream:0", "urn:xtls:apps:bytes:0");
        accept = accept.replace("name='xmlstream'", "name='data'");
    }
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    // The ClientHello.
    let sent = stage.sent();
    let [hello] = &*sent else { panic!("{sent:?}") };
    stage.ack(hello);
    stage.take_block(hello);
    let flight: Vec<Element> = stage.sent().into_iter().filter(is_data).collect();
    assert!(!flight.is_empty() && heard(&mut stage).is_empty());
    flight.iter().for_each(|block| stage.take_block(block));
    (stage, flight)
}

/// What the engine has told by now.
fn heard(stage: &mut Stage) -> Vec<Event> {
    stage.world.run();
    stage.events()
}

fn has_learned(stage: &Stage) -> bool {
    let peer: FullJid = stage.peer.parse().unwrap();
    let peer = peer.to_bare();
    stage.world.with_store(stage.engine, |store| store.record(&peer).unwrap().secured_before())
}

/// Romeo's engine has told just this since, and has remembered the peer.
fn is_confirmed(stage: &mut Stage, by: &[&str]) {
    assert_eq!(kinds(&heard(stage)), by);
    assert!(has_learned(stage));
}

#[test]
fn wire_2_17_without_a_ticket_the_header_that_answers_confirms() {
    for is_acknowledged in [true, false] {
        let (mut stage, flight) = last_flight(Application::XmlStream);
        if is_acknowledged {
            flight.iter().for_each(|block| stage.ack(block));
        }
        assert!(heard(&mut stage).is_empty() && !has_learned(&stage));
        stage.write(&format!("{HEADER_JULIET}<stream:features/>"));
        let events = heard(&mut stage);
        assert!(matches!(&events[0], Event::Secured { security, .. } if security.confirmed), "{events:?}");
        assert_eq!(kinds(&events), ["Secured", "StreamOpened"]);
        assert!(has_learned(&stage));
    }
}

#[test]
fn wire_2_17_a_part_of_a_header_confirms_nothing() {
    let (mut stage, flight) = last_flight(Application::XmlStream);
    flight.iter().for_each(|block| stage.ack(block));
    let (first, last) = HEADER_JULIET.split_at(HEADER_JULIET.len() - 1);
    for part in ["<?xml version='1.0'?>", first] {
        stage.write(part);
        assert!(heard(&mut stage).is_empty() && !has_learned(&stage), "{part}");
    }
    stage.write(last);
    is_confirmed(&mut stage, &["Secured", "StreamOpened"]);
}

#[test]
fn wire_2_17_without_a_ticket_raw_bytes_confirm_once_our_flight_is_acknowledged() {
    let (mut stage, flight) = last_flight(bytes_without_hash());
    stage.write("half-RTT");
    assert!(heard(&mut stage).is_empty() && !has_learned(&stage), "it may not have seen the certificate");
    flight.iter().for_each(|block| stage.ack(block));
    // The acknowledgement itself is the server's word as much as the peer's.
    assert!(heard(&mut stage).is_empty() && !has_learned(&stage));
    stage.write("!");
    is_confirmed(&mut stage, &["Secured", "Readable"]);
}

#[test]
fn wire_2_17_without_any_sign_the_tunnel_is_unconfirmed_and_nothing_is_learned() {
    let (mut stage, flight) = last_flight(bytes_without_hash());
    stage.write("half-RTT");
    stage.world.run_for(Duration::from_secs(4));
    let events = heard(&mut stage);
    assert!(matches!(&events[0], Event::Secured { security, .. } if !security.confirmed), "{events:?}");
    assert_eq!(kinds(&events), ["Secured", "Readable"]);
    assert!(!has_learned(&stage));
    flight.iter().for_each(|block| stage.ack(block));
    stage.write("accepted");
    let events = heard(&mut stage);
    assert_eq!(kinds(&events)[0], "Confirmed", "{events:?}");
    assert!(has_learned(&stage));
}
