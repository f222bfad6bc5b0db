//! XEP-0250 § 3.2, extension probing, by the examples of the document; names of keys are put in that can be known.

use xtls::{
    Disposition, Event, TrustPolicy, TunnelOptions,
    jingle::{KeyName, TlsOffer},
    trust::{Fingerprint, Method, Pin},
};
use xtls_stanza::{Element, ns};
use xtls_testkit::EntityOptions;

use crate::common::{JULIET, ROMEO, Stage, compact, kinds};

const OPENPGP: &str = "89d099a3428481cc63fe3fa44e7df2d002b4ce44";

/// Example: Client Sends Extension Probing IQ.
fn probing(from: &str, to: &str, certificate: &str) -> String {
    format!(
        "<iq type='get' from='{from}' to='{to}' id='info'>
           <offer xmlns='urn:xmpp:tmp:c2ctls'>
             <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
               <name>{certificate}</name>
             </keyinfo>
             <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
               <name>{OPENPGP}</name>
             </keyinfo>
             <srp/>
           </offer>
         </iq>"
    )
}

/// Juliet, who shares a password with Romeo, and answers the document's question with this certificate in it.
fn answered(insecure: bool, certificate: impl FnOnce(&Stage) -> String) -> (Stage, Element) {
    let mut options = EntityOptions::seeded(2);
    options.config.offers_password = true;
    options.config.offers_insecure = insecure;
    let mut stage = Stage::new(JULIET, ROMEO, options);
    let query = probing(ROMEO, JULIET, &certificate(&stage));
    assert!(matches!(stage.deliver(&query), Disposition::Consumed));
    let answer = stage.sent_one();
    assert!(stage.events().is_empty());
    (stage, answer)
}

fn assert_is(answer: &Element, offer: &str) {
    let expected = compact(&format!("<iq type='result' id='info' to='{ROMEO}' from='{JULIET}'>{offer}</iq>"));
    for name in ["type", "id", "to"] {
        assert_eq!(answer.attribute(name), expected.attribute(name));
    }
    let [answer, expected] = [answer, &expected].map(|iq| iq.child("offer", ns::C2C_TLS).unwrap().to_element());
    assert_eq!(answer, expected);
}

#[test]
fn xep_0250_3_2_the_answer_shows_a_certificate_for_one_that_is_known_and_srp() {
    let (stage, answer) = answered(false, |stage| stage.identity.fingerprint_sha256().hex());
    // Ours goes by two names: the document does not say which hash it is.
    let own = stage.world.identity(stage.engine).certificate().clone();
    let [sha1, sha256] = [Fingerprint::sha1(&own).hex(), Fingerprint::sha256(&own).hex()];
    assert_is(
        &answer,
        &format!(
            "<offer xmlns='urn:xmpp:tmp:c2ctls'>
               <keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>{sha1}</name></keyinfo>
               <keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>{sha256}</name></keyinfo>
               <srp/>
             </offer>"
        ),
    );
}

#[test]
fn xep_0250_3_2_a_certificate_that_cannot_be_verified_yet_is_answered_insecure() {
    let (_, answer) = answered(true, |_| "428b1358a286430f628da23fb33ddaf6e474f5c5".to_owned());
    assert_is(&answer, "<offer xmlns='urn:xmpp:tmp:c2ctls'><insecure/><srp/></offer>");
}

#[test]
fn xep_0250_3_2_no_certificate_is_shown_for_none_that_is_known() {
    let (_, answer) = answered(false, |_| "428b1358a286430f628da23fb33ddaf6e474f5c5".to_owned());
    assert_is(&answer, "<offer xmlns='urn:xmpp:tmp:c2ctls'><srp/></offer>");
}

/// Romeo asks, the test answers for Juliet with this, and the certificate by which he knows her put in.
fn asks(answer: &str) -> (TlsOffer, Method) {
    let mut stage = Stage::new(ROMEO, JULIET, EntityOptions::seeded(1));
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned).asking_password();
    let peer: xtls_stanza::jid::FullJid = JULIET.parse().unwrap();
    stage.with(|engine, now| engine.probe(now, peer.clone(), &options)).unwrap();
    let asked = stage.sent_one();
    assert_eq!((asked.attribute("type"), asked.attribute("to")), (Some("get"), Some(JULIET)));
    let offer = TlsOffer::parse(asked.child("offer", ns::C2C_TLS).unwrap()).unwrap();
    assert!(offer.srp && offer.keys.contains(&KeyName::from(&stage.world.identity(stage.engine).fingerprint_sha256())));
    let id = asked.attribute("id").unwrap();
    let answer = answer.replace("JulietX509CertificateHash", &stage.identity.fingerprint_sha256().hex());
    let stanza = format!("<iq type='result' from='{JULIET}' to='{ROMEO}' id='{id}'>{answer}</iq>");
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    stage.sent_nothing();
    let events = stage.events();
    assert_eq!(kinds(&events), ["Probed"]);
    let Some(Event::Probed { result: Ok(offer), .. }) = events.into_iter().next() else { panic!("an offer") };
    let chosen = stage.with(|engine, _| engine.would_choose(&peer, &options, &offer)).unwrap();
    (offer, chosen)
}

#[test]
fn xep_0250_3_2_both_results_of_the_document_are_understood() {
    let (offer, chosen) = asks(
        "<offer xmlns='urn:xmpp:tmp:c2ctls'>
           <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
             <name>JulietX509CertificateHash</name>
           </keyinfo>
           <srp/>
         </offer>",
    );
    assert_eq!((offer.keys.len(), offer.srp, offer.insecure), (1, true, false));
    assert_eq!(chosen, Method::X509);
    let (offer, chosen) = asks("<offer xmlns='urn:xmpp:tmp:c2ctls'><insecure/><srp/></offer>");
    assert_eq!((offer.keys.len(), offer.srp, offer.insecure), (0, true, true));
    // Juliet would verify Romeo's certificate later; hers is pinned.
    assert_eq!(chosen, Method::X509);
}

#[test]
fn xep_0250_3_2_an_openpgp_key_is_carried_as_it_is_named_and_never_taken_for_a_certificate_that_is_known() {
    let pin = |stage: &Stage| {
        // The owner's OpenPGP key has nothing to do with the pin.
        let peer = stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
        stage.world.with_store(stage.engine, |store| store.pin(&peer, Pin::manual(Fingerprint::sha1(b"another"))));
        "RomeoX509CertificateHash".to_owned()
    };
    let (_, answer) = answered(false, pin);
    assert_is(&answer, "<offer xmlns='urn:xmpp:tmp:c2ctls'><srp/></offer>");
    let (offer, _) = asks(&format!(
        "<offer xmlns='urn:xmpp:tmp:c2ctls'><keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>{OPENPGP}</name></keyinfo>\
         <srp/></offer>"
    ));
    assert_eq!(offer.keys, [KeyName::new(OPENPGP).unwrap()]);
}
