//! § 4: the XML stream in the tunnel.

use xtls::{Event, Fault, TrustPolicy};
use xtls_stanza::ns;

use crate::common::{
    HEADER_JULIET, HEADER_ROMEO, JULIET, ROMEO, Stage, closed, compact, element, fault, kinds, message, stanzas,
};

const MESSAGE: &str = "<message from='romeo@montague.lit/orchard'
  to='juliet@capulet.lit/balcony'>
  <body>
    M'lady, I would be pleased to make your acquaintance.
  </body>
</message>";

const REPLY: &str = "<message from='juliet@capulet.lit/balcony'
  to='romeo@montague.lit/orchard'>
  <body>Art thou not Romeo, and a Montague?</body>
</message>";

#[test]
fn draft_4_the_initiator_opens_with_the_stream_header_of_the_example() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    assert_eq!(stage.play(), []);
    // Byte for byte: addresses in full, version 1.0, no id.
    assert_eq!(stage.told(), HEADER_ROMEO);
}

#[test]
fn draft_4_the_responder_answers_with_the_stream_header_of_the_example_and_features() {
    let mut stage = Stage::juliet();
    stage.secure_as_responder();
    assert_eq!(stage.told(), "");
    stage.write(HEADER_ROMEO);
    assert_eq!(stage.play(), []);
    let told = stage.told();
    let (before, after) = HEADER_JULIET.split_once("hs91gh1836d8s717").unwrap();
    let announced = before.replace(" from=", " xmlns:n='urn:xtls:negotiation:1' from=");
    let rest = told.strip_prefix(&*announced).expect(&told);
    let (id, rest) = rest.split_once('\'').unwrap();
    // RFC 6120 § 4.7.3: the id is there, and unpredictable.
    assert!(id.len() >= 20, "{id}");
    // What is ours alone is the announcement of the hash, and the hash (wire.md § 5).
    let (header, features) = rest.split_at(rest.find('>').unwrap() + 1);
    assert_eq!(format!("'{header}"), after);
    assert!(
        features.starts_with("<stream:features><hash ") && features.ends_with("</hash></stream:features>"),
        "{features}"
    );
}

#[test]
fn draft_4_the_response_header_of_the_example_opens_the_stream() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    stage.play();
    // The example has no features behind it.
    stage.write(HEADER_JULIET);
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured", "StreamOpened"]);
}

#[test]
fn draft_4_the_message_and_the_reply_of_the_example() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    stage.write(MESSAGE);
    assert_eq!(stage.play(), []);
    assert_eq!(stanzas(stage.events()), [element(MESSAGE)]);

    let reply = compact(REPLY);
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &reply)).unwrap();
    assert_eq!(stage.play(), []);
    // "With or without 'to' and 'from' addresses": those of the tunnel's ends are left out.
    assert_eq!(stage.told(), "<message><body>Art thou not Romeo, and a Montague?</body></message>");
}

#[test]
fn draft_4_stanzas_without_addresses_are_of_the_tunnels_ends() {
    let (mut stage, _) = Stage::responder_with_stream();
    let kinds = ["<message><body>x</body></message>", "<presence/>", "<iq type='get' id='1'><q xmlns='n'/></iq>"];
    for text in kinds {
        stage.write(text);
    }
    assert_eq!(stage.play(), []);
    let received = stanzas(stage.events());
    assert_eq!(received.len(), 3);
    for (stanza, text) in received.iter().zip(kinds) {
        let name = stanza.name();
        let addressed = text.replacen(&format!("<{name}"), &format!("<{name} from='{ROMEO}' to='{JULIET}'"), 1);
        assert_eq!(*stanza, element(&addressed));
    }
}

/// As printed, the body has an entity "apost", which XML does not know.
#[test]
fn draft_4_the_message_as_printed_ends_the_stream() {
    let (mut stage, _) = Stage::responder_with_stream();
    stage.write(&MESSAGE.replace('\'', "\"").replace("M\"lady", "M&apost;lady"));
    let requests = stage.play();
    let told = stage.told();
    let (error, end) = told.split_at(told.find("</stream:error>").unwrap() + "</stream:error>".len());
    let (before, condition) = error.split_once("><").unwrap();
    assert_eq!(before, "<stream:error");
    let name = condition.split([' ', '/']).next().unwrap();
    assert!(matches!(name, "not-well-formed" | "restricted-xml"), "{told}");
    assert_eq!(end, "</stream:stream>");
    let closed = closed(stage.events());
    assert!(
        matches!(fault(&closed), Fault::Stream(xtls_stream_fault) if !xtls_stream_fault.is_security()),
        "{closed:?}"
    );
    let last = requests.last().unwrap();
    assert_eq!(crate::common::payload(last), crate::common::terminate(&stage.sid, "general-error"));
}

/// "Either entity then can send": the flow between two engines, in both directions.
#[test]
fn draft_4_two_engines_exchange_the_messages_of_the_example() {
    let (mut world, romeo, juliet) = xtls_testkit::World::pair(3);
    let (tunnel, other) = world.connect_with(romeo, juliet, xtls::TunnelOptions::xml_stream(TrustPolicy::Pinned));
    let body = "M'lady, I would be pleased to make your acquaintance.";
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message(body))).unwrap();
    world.run();
    let events = world.take_events(juliet);
    assert_eq!(kinds(&events), ["Secured", "StreamOpened", "Stanza"]);
    let Some(Event::Stanza { id, stanza }) = events.into_iter().last() else { panic!("a stanza") };
    assert_eq!(id, other);
    let expected = format!(
        "<message from='{ROMEO}' to='{JULIET}'><body>M&apos;lady, I would be pleased to make your acquaintance.</body></message>"
    );
    assert_eq!(stanza, element(&expected));
    assert_eq!(stanza.ns(), ns::CLIENT);

    let reply = compact(REPLY);
    world.with(juliet, |engine, now| engine.tunnel(other).unwrap().send(now, &reply)).unwrap();
    world.run();
    let events = world.take_events(romeo);
    assert_eq!(kinds(&events), ["Secured", "StreamOpened", "Stanza"]);
    assert_eq!(stanzas(events), [reply]);
}
