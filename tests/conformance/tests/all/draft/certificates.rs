//! § 5.1: exchanging certificates, inside the tunnel.

use xtls::{
    Application, Disposition, Event, TrustPolicy, TunnelOptions, error::RequestCertificatesError,
    event::CertificatesFault,
};
use xtls_stanza::{Condition, KeyInfo, Pubkeys, PubkeysVariant, ns};
use xtls_testkit::EntityOptions;

use crate::common::{JULIET, ROMEO, Stage, compact, element, id, kinds, payload, said};

const QUERY: &str = "<iq from='romeo@montague.lit/orchard'
  id='hf7634k4'
  to='juliet@capulet.lit/balcony'
  type='get'>
  <pubkeys xmlns='urn:xmpp:pubkey:0' />
</iq>";

/// The answer of the example, with the address that Juliet has in all others (the domain is editorial), and with the
/// certificate as XEP-0189 v0.9 § 2.1 prints it: the draft's copy has zeros where there are letters.
const ANSWER: &str = "<iq from='juliet@capulet.lit/balcony'
  id='hf7634k4'
  to='romeo@montague.lit/orchard'
  type='result'>
  <pubkeys xmlns='urn:xmpp:pubkey:0'>
    <keyinfo>
      <x509cert>
MIICCTCCAXKgAwIBAgIJALhU0Id6xxwQMA0GCSqGSIb3DQEBBQUAMA4xDDAKBgNV
BAMTA2ZvbzAeFw0wNzEyMjgyMDA1MTRaFw0wODEyMjcyMDA1MTRaMA4xDDAKBgNV
BAMTA2ZvbzCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEA0DPcfeJzKWLGE22p
RMINLKr+CxqozF14DqkXkLUwGzTqYRi49yK6aebZ9ssFspTTjqa2uNpw1U32748t
qU6bpACWHbcC+eZ/hm5KymXBhL3Vjfb/dW0xrtxjI9JRFgrgWAyxndlNZUpN2s3D
hKDfVgpPSx/Zp8d/ubbARxqZZZkCAwEAAaNvMG0wHQYDVR0OBBYEFJWwFqmSRGcx
YXmQfdF+XBWkeML4MD4GA1UdIwQ3MDWAFJWwFqmSRGcxYXmQfdF+XBWkeML4oRKk
EDAOMQwwCgYDVQQDEwNmb2+CCQC4VNCHesccEDAMBgNVHRMEBTADAQH/MA0GCSqG
SIb3DQEBBQUAA4GBAIhlUeGZ0d0msNVxYWAXg2lRsJt9INHJQTCJMmoUeTtaRjyp
ffJtuopguNNBDn+MjrEp2/+zLNMahDYLXaTVmBf6zvY0hzB9Ih0kNTh23Fb5j+yK
QChPXQUo0EGCaODWhfhKRNdseUozfNWOz9iTgMGw8eYNLllQRL//iAOfOr/8
      </x509cert>
    </keyinfo>
  </pubkeys>
</iq>";

/// "The peer MUST return its own client certificate."
#[test]
fn draft_5_1_the_query_of_the_example_is_answered_with_the_own_certificate() {
    let (mut stage, _) = Stage::responder_with_stream();
    stage.write(QUERY);
    assert_eq!(stage.play(), []);
    let identity = stage.world.identity(stage.engine).clone();
    let keys = Pubkeys::new(PubkeysVariant::Pubkey0).with_key(KeyInfo::new(identity.certificate()));
    let expected = format!("<iq type='result' id='hf7634k4'>{}</iq>", keys.to_element().unwrap().to_xml(ns::CLIENT));
    assert_eq!(stage.told(), expected);
    assert_eq!(kinds(&stage.events()), [""; 0], "the application sees nothing of it");
}

#[test]
fn draft_5_1_the_engine_asks_as_in_the_example_and_takes_the_answer() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
    assert_eq!(stage.play(), []);
    // Addresses are those of the tunnel's ends and left out (wire 2.20).
    let query = element(&stage.told());
    let expected =
        QUERY.replace("from='romeo@montague.lit/orchard'", "").replace("to='juliet@capulet.lit/balcony'", "");
    assert_eq!(query, compact(&expected.replace("hf7634k4", id(&query))));

    stage.write(&ANSWER.replace("hf7634k4", id(&query)));
    assert_eq!(stage.play(), []);
    let events = stage.events();
    let [Event::CertificatesReceived { id, result: Ok(certificates) }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*id, certificates.len(), certificates[0].held), (tunnel, 1, true));
    assert_eq!(certificates[0].certificate.der().len(), 0x209 + 4);
    assert_eq!(stage.told(), "");
}

/// The certificate as the draft prints it is none.
#[test]
fn draft_5_1_a_certificate_that_cannot_be_read_is_left_out() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
    stage.play();
    let query = element(&stage.told());
    let misprint = ANSWER.replace("MIICCTCCAXKg", "MIICCTCCAXK0");
    assert_ne!(misprint, ANSWER);
    stage.write(&misprint.replace("hf7634k4", id(&query)));
    stage.play();
    let events = stage.events();
    assert!(
        matches!(&*events, [Event::CertificatesReceived { result: Ok(certificates), .. }] if certificates.is_empty()),
        "{events:?}"
    );
}

/// "This works only if XTLS was used to set up an end-to-end secure XML stream".
#[test]
fn draft_5_1_certificates_travel_in_xml_streams_alone() {
    let (mut world, romeo, juliet) = xtls_testkit::World::pair(3);
    let options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    let (here, _) = world.connect_with(romeo, juliet, options);
    let refused = world.with(romeo, |engine, now| engine.tunnel(here).unwrap().request_certificates(now));
    assert_eq!(refused, Err(RequestCertificatesError::NotXml));
}

/// "A client MUST NOT request the certificate over the insecure stream", and nobody is given one there, tunnel or not.
#[test]
fn draft_5_1_nothing_is_given_over_the_servers_stream() {
    for (variant, kind) in [
        (PubkeysVariant::Pubkey0, "get"),
        (PubkeysVariant::Temporary, "get"),
        (PubkeysVariant::Pubkey2, "get"),
        (PubkeysVariant::Pubkey2Single, "get"),
        (PubkeysVariant::Pubkey0, "set"),
    ] {
        let (mut stage, _) = Stage::responder_with_stream();
        let query = Pubkeys::new(variant).to_element().unwrap().to_xml(ns::CLIENT);
        let query = format!("<iq from='{ROMEO}' to='{JULIET}' id='q' type='{kind}'>{query}</iq>");
        let Disposition::Unclaimed(refusal) = stage.deliver(&query) else { panic!("{query}") };
        stage.sent_nothing();
        stage.with(|engine, now| engine.refuse(now, refusal));
        let answer = stage.sent_one();
        assert_eq!((said(&answer).0, answer.attribute("to")), (Condition::ServiceUnavailable, Some(ROMEO)));
        assert_eq!(stage.told(), "");
    }
}

/// A sole handler has nobody else to ask.
#[test]
fn draft_5_1_a_sole_handler_refuses_at_once() {
    let mut options = EntityOptions::seeded(2);
    options.config.sole_handler = true;
    let mut stage = Stage::new(JULIET, ROMEO, options);
    assert!(matches!(stage.deliver(QUERY), Disposition::Consumed));
    assert_eq!(said(&stage.sent_one()).0, Condition::ServiceUnavailable);
}

/// An answer that comes over the server's stream answers nothing that was asked inside.
#[test]
fn draft_5_1_an_answer_outside_of_the_tunnel_is_none() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
    stage.play();
    let query = element(&stage.told());
    assert!(payload(&query).is("pubkeys", ns::PUBKEY_0));
    assert!(matches!(stage.deliver(&ANSWER.replace("hf7634k4", id(&query))), Disposition::NotOurs));
    stage.sent_nothing();
    assert!(stage.events().is_empty());
    stage.world.run_for(std::time::Duration::from_secs(30));
    let events = stage.events();
    let Some(Event::CertificatesReceived { result: Err(fault), .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!(**fault, CertificatesFault::Timeout);
}

/// Row P27: what a peer says of certificates is told to whoever asked, and nothing is made of it: neither for the peer nor for
/// the address in the certificate. Before the peer is authenticated nobody can be asked.
#[test]
fn p27_a_certificate_of_somebody_else_is_told_and_nothing_is_stored_of_it() {
    let mut stage = Stage::romeo();
    let (early, _) = stage.engine_offers(TrustPolicy::Pinned);
    let asked = stage.with(|engine, now| engine.tunnel(early).unwrap().request_certificates(now));
    assert_eq!(asked, Err(RequestCertificatesError::NotSecured));

    let (mut stage, tunnel) = Stage::initiator_with_stream();
    let known = |stage: &Stage| {
        stage.world.with_store(stage.engine, |store| {
            store.iter().map(|(peer, record)| (peer.clone(), record.fingerprints())).collect::<Vec<_>>()
        })
    };
    let before = known(&stage);
    assert_eq!(before.len(), 1, "the peer");
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
    stage.play();
    let query = element(&stage.told());
    let mallory = Stage::new("mallory@example.org/x", ROMEO, EntityOptions::seeded(66));
    let certificate = mallory.world.identity(mallory.engine).clone();
    let keys = Pubkeys::new(PubkeysVariant::Pubkey0).with_key(KeyInfo::new(certificate.certificate()));
    let keys = keys.to_element().unwrap().to_xml(ns::CLIENT);
    stage.write(&format!("<iq type='result' id='{}'>{keys}</iq>", id(&query)));
    stage.play();
    let events = stage.events();
    let [Event::CertificatesReceived { result: Ok(certificates), .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(certificates[0].certificate.xmpp_addrs()[0].as_str(), "mallory@example.org");
    assert_eq!(known(&stage), before);
}
