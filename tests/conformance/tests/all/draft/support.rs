//! § 7: determining support.

use xtls::{Fault, TrustPolicy, TunnelOptions};
use xtls_testkit::EntityOptions;

use crate::common::{ROMEO, Stage, closed, compact, fault, id, payload};

/// The examples of § 7 have Juliet in her chamber.
const CHAMBER: &str = "juliet@capulet.lit/chamber";

const QUERY: &str = "<iq from='romeo@montague.lit/orchard'
  id='disco1'
  to='juliet@capulet.lit/chamber'
  type='get'>
  <query xmlns='http://jabber.org/protocol/disco#info' />
</iq>";

const ANSWER: &str = "<iq from='juliet@capulet.lit/chamber'
  id='disco1'
  to='romeo@montague.lit/orchard'
  type='result'>
  <query xmlns='http://jabber.org/protocol/disco#info'>
    <feature var='urn:xmpp:jingle:security:xtls:1' />
    <feature var='urn:xmpp:jingle:apps:xmlstream:1' />
  </query>
</iq>";

/// The engine has asked; its query.
fn asked() -> (Stage, xtls::Element) {
    let mut stage = Stage::new(ROMEO, CHAMBER, EntityOptions::seeded(1));
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    stage.with(|engine, now| engine.initiate(now, CHAMBER.parse().unwrap(), options)).unwrap();
    let query = stage.sent_one();
    (stage, query)
}

#[test]
fn draft_7_the_query_of_the_example_is_sent_before_the_offer() {
    let (mut stage, query) = asked();
    assert_eq!(query, compact(&QUERY.replace("disco1", id(&query))));
    stage.sent_nothing();
}

#[test]
fn draft_7_the_answer_of_the_example_is_support() {
    for answer in [ANSWER.to_owned(), ANSWER.replace("xtls:1", "xtls:0").replace("xmlstream:1", "xmlstream:0")] {
        let (mut stage, query) = asked();
        let _ = stage.deliver(&answer.replace("disco1", id(&query)));
        let initiate = stage.sent_one();
        assert_eq!(payload(&initiate).attribute("action"), Some("session-initiate"));
        assert!(stage.events().is_empty());
    }
}

#[test]
fn draft_7_a_peer_without_the_feature_gets_no_offer() {
    let (mut stage, query) = asked();
    let answer = ANSWER.replace("<feature var='urn:xmpp:jingle:security:xtls:1' />", "");
    let _ = stage.deliver(&answer.replace("disco1", id(&query)));
    stage.sent_nothing();
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::PeerLacksXtls), "{closed:?}");
    assert!(closed.reason.is_security(), "§ 8.3: somebody may have taken the feature away");
}

#[test]
fn draft_7_an_answer_from_somebody_else_is_none() {
    let (mut stage, query) = asked();
    let answer = ANSWER
        .replace("disco1", id(&query))
        .replace("from='juliet@capulet.lit/chamber'", "from='juliet@capulet.lit/balcony'");
    let _ = stage.deliver(&answer);
    stage.sent_nothing();
    assert!(stage.events().is_empty());
}

/// "It MUST report that by including a service discovery feature", in both spellings of §§ 3 and 7.
#[test]
fn draft_7_the_features_of_the_example_are_reported() {
    let mut stage = Stage::juliet();
    let features = stage.with(|engine, _| engine.features());
    for feature in ["urn:xmpp:jingle:security:xtls:1", "urn:xmpp:jingle:security:xtls:0"] {
        assert!(features.contains(&feature));
    }
    for feature in ["urn:xmpp:jingle:apps:xmlstream:1", "urn:xmpp:jingle:apps:xmlstream:0"] {
        assert!(features.contains(&feature));
    }
}

/// A query is the embedder's to answer, whose features are not only the engine's.
#[test]
fn draft_7_the_query_of_the_example_is_left_to_the_embedder() {
    let mut stage = Stage::juliet();
    let query = QUERY.replace("juliet@capulet.lit/chamber", "juliet@capulet.lit/balcony");
    assert!(matches!(stage.deliver(&query), xtls::Disposition::NotOurs));
    stage.sent_nothing();
}
