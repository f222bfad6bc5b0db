//! `xtls probe PEER`: what a peer tells of itself, and what a tunnel with it would come to.

use std::future::pending;
use std::pin::pin;
use std::time::{Duration, Instant};

use xtls::{
    Application, Element, Event,
    error::ProbeError,
    jingle::{KeyName, TlsOffer},
    trust::{Fingerprint, Method, TrustRecord},
    xml::{Caps, DiscoInfo},
};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_stanza::{Ids, Iq, IqType, ns};

use crate::args::{AccountArgs, TrustArgs};
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Announced, Key, Output, Probed, Report};
use crate::random::random;
use crate::reach;
use crate::session::{Happening, Rules, Session, unreachable_server};

/// How long the peer may take to say what it can do.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Resources whose capabilities are remembered.
const MAX_RESOURCES: usize = 32;
/// What the tunnel would be for.
const MESSAGES: Application = Application::XmlStream;
/// The features that have to do with tunnels.
const FEATURES: [&str; 15] = [
    ns::XTLS_0,
    ns::XTLS_1,
    ns::XMLSTREAM_0,
    ns::XMLSTREAM_1,
    ns::JINGLE,
    ns::JINGLE_0,
    ns::JINGLE_TMP,
    ns::JINGLE_IBB,
    ns::JINGLE_IBB_0,
    ns::JINGLE_IBB_TMP,
    ns::IBB,
    ns::PUBKEY_0,
    ns::PUBKEY_2,
    ns::PUBKEY_TMP,
    ns::CAPS,
];

/// What a peer said, or why not.
type Said<T> = Result<T, String>;

/// Logs in, and asks the peer what it can do and, with `asks`, what it is ready for.
///
/// # Errors
///
/// A security failure when the peer has no XTLS; else when it cannot be reached.
pub(crate) async fn run_peer(
    output: Output,
    data: &DataDir,
    peer: &Jid,
    account: &AccountArgs,
    trust: &TrustArgs,
    asks: bool,
) -> Result<(), Failure> {
    let mut known = data.trust()?;
    let mut rules = Rules::from_args(trust, &[peer.to_bare()], &mut known)?;
    rules.ask(output, peer.to_bare().as_str())?;
    rules.warn(output);
    let mut session = Session::start(output, data, account, known, &rules).await?;
    let result = Probe { peer: peer.to_bare(), caps: Vec::new() }.run(&mut session, &rules, peer, asks).await;
    session.end().await;
    result
}

/// What is learned on the way.
struct Probe {
    peer: BareJid,
    /// What the presence of each of its resources announced.
    caps: Vec<(FullJid, Caps)>,
}

impl Probe {
    async fn run(mut self, session: &mut Session, rules: &Rules, peer: &Jid, asks: bool) -> Result<(), Failure> {
        let peer = match peer.to_full() {
            Some(full) => full,
            None => self.search(session).await?,
        };
        let info = self.ask_features(session, &peer).await?;
        let has_xtls = info.supports(ns::XTLS_0) || info.supports(ns::XTLS_1);
        let mut offer = None;
        if has_xtls && asks {
            offer = Some(self.ask_offer(session, rules, &peer).await?);
        }
        let record = reach::known(&session.trust(), &peer.to_bare())?;
        let chosen = offer.as_ref().and_then(|offer| offer.as_ref().ok()).map(|offer| {
            let choice =
                session.handle.with_engine(|engine, _| engine.would_choose(&peer, &rules.options(MESSAGES), offer));
            choice.map_err(|fault| fault.to_string())
        });
        let caps = self.caps.iter().find(|(resource, _)| *resource == peer).map(|(_, caps)| Announced {
            node: caps.node(),
            ver: caps.ver(),
            verified: caps.verify(&info).is_ok(),
        });
        let features: Vec<&str> = FEATURES.into_iter().filter(|feature| info.supports(feature)).collect();
        session.report(&report(&peer, has_xtls, features, caps, offer.as_ref(), chosen.as_ref(), &record))?;
        if has_xtls { Ok(()) } else { Err(reach::without_xtls(&peer)) }
    }

    /// The next thing that is not declined at once: a stanza of the outer stream, an event, or the end of the time.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or after Ctrl-C.
    async fn next<T>(
        &mut self,
        session: &mut Session,
        beside: impl Future<Output = T>,
        until: Option<Instant>,
    ) -> Result<Happening<T>, Failure> {
        let mut beside = pin!(beside);
        loop {
            match session.next(&mut beside, until).await? {
                Happening::Incoming(incoming) => {
                    let offered = incoming.application().clone();
                    reach::decline(incoming, &offered);
                }
                Happening::Stanza(stanza) => {
                    self.note_caps(&stanza);
                    return Ok(Happening::Stanza(stanza));
                }
                Happening::Interrupted => return Err(Failure::interrupted()),
                other => return Ok(other),
            }
        }
    }

    /// A presence that says nothing of capabilities changes nothing: servers leave out what they have said before
    /// (XEP-0115 § 8.4).
    fn note_caps(&mut self, stanza: &Element) {
        let from = stanza.attribute("from").and_then(|from| from.parse::<FullJid>().ok());
        let Some(from) = from.filter(|from| stanza.name() == "presence" && from.to_bare() == self.peer) else { return };
        let kind = stanza.attribute("type");
        let caps = stanza.child("c", ns::CAPS).filter(|_| kind.is_none()).and_then(Caps::parse);
        if caps.is_some() || kind == Some("unavailable") {
            self.caps.retain(|(resource, _)| *resource != from);
        }
        if let Some(caps) = caps.filter(|_| self.caps.len() < MAX_RESOURCES) {
            self.caps.push((from, caps));
        }
    }

    /// Looks for a resource with XTLS.
    async fn search(&mut self, session: &mut Session) -> Result<FullJid, Failure> {
        let (handle, peer) = (session.handle.clone(), self.peer.clone());
        let usual = reach::usual(&peer);
        let mut find = pin!(handle.find_or_ask(&peer, &usual));
        let mut confused = None;
        loop {
            match self.next(session, &mut find, None).await? {
                Happening::Beside(Ok(full)) => return Ok(full),
                Happening::Beside(Err(error)) => {
                    return Err(reach::not_found(session, &peer, &error, confused.as_ref()));
                }
                Happening::Stanza(stanza) => {
                    confused = confused.or_else(|| reach::confused_in(&stanza, session.jid(), &peer));
                }
                _ => {}
            }
        }
    }

    /// What the peer can do.
    async fn ask_features(&mut self, session: &mut Session, peer: &FullJid) -> Result<DiscoInfo, Failure> {
        // Whoever has an address that servers take for the peer's could answer under an id that is known.
        let id = Ids::new(random()?).next_id();
        let mut query = String::new();
        DiscoInfo::write_request(&mut query, id.as_str(), peer.as_str(), None, None);
        session.send(&query).await;
        let until = clock::now() + ANSWER_TIME;
        loop {
            match self.next(session, pending::<()>(), Some(until)).await? {
                Happening::Stanza(stanza) => match features_in(&stanza, id.as_str(), peer) {
                    Some(Ok(info)) => return Ok(info),
                    Some(Err(failure)) => return Err(failure),
                    None => {}
                },
                Happening::Time => return Err(crate::chat::no_answer(peer)),
                Happening::Notice(_) | Happening::Incoming(_) | Happening::Interrupted | Happening::Beside(()) => {}
            }
        }
    }

    /// What the peer is ready for (XEP-0250 § 3.2).
    async fn ask_offer(
        &mut self,
        session: &mut Session,
        rules: &Rules,
        peer: &FullJid,
    ) -> Result<Said<TlsOffer>, Failure> {
        let options = rules.options(MESSAGES);
        let asked = session.handle.with_engine(|engine, now| engine.probe(now, peer.clone(), &options));
        let asked = asked.map_err(|e| match e {
            ProbeError::OwnAddress => Failure::usage(format!("{peer} is this very login: name another address")),
            e => Failure::other(format!("{peer} cannot be asked what it is ready for: {e}")),
        })?;
        // The engine's own time is up first.
        let until = clock::now() + 2 * ANSWER_TIME;
        loop {
            match self.next(session, pending::<()>(), Some(until)).await? {
                Happening::Notice(Event::Probed { id, result, .. }) if id == asked => {
                    return Ok(result.map_err(|fault| fault.to_string()));
                }
                Happening::Time => return Err(crate::chat::no_answer(peer)),
                _ => {}
            }
        }
    }
}

/// The peer's answer to the question of this id what it can do, if this is it.
fn features_in(stanza: &Element, id: &str, peer: &FullJid) -> Option<Result<DiscoInfo, Failure>> {
    let nonsense =
        || Failure::connection(format!("{peer} does not tell what it is: its answer makes no sense")).about(peer);
    let iq = Iq::parse(stanza)?.ok()?;
    let from = iq.from?.parse::<FullJid>().ok()?;
    let is_answer = iq.id == id && matches!(iq.iq_type, IqType::Result | IqType::Error);
    if is_answer && from.is_confused_with(peer) {
        return Some(Err(reach::another(peer.as_str(), &from)));
    }
    if !is_answer || from != *peer {
        return None;
    }
    match iq.iq_type {
        IqType::Result => {
            let info = iq.payload.and_then(DiscoInfo::parse).and_then(Result::ok);
            Some(info.ok_or_else(nonsense))
        }
        IqType::Error => Some(Err(match iq.error() {
            Some(error) => unreachable_server(peer, &error).unwrap_or_else(|| {
                Failure::connection(format!("{peer} does not tell what it is: {error}")).about(peer)
            }),
            None => nonsense(),
        })),
        _ => None,
    }
}

fn report<'a>(
    peer: &'a FullJid,
    has_xtls: bool,
    features: Vec<&'a str>,
    caps: Option<Announced<'a>>,
    offer: Option<&'a Said<TlsOffer>>,
    chosen: Option<&'a Result<Method, String>>,
    record: &TrustRecord,
) -> Report<'a> {
    let answered = offer.and_then(|offer| offer.as_ref().ok());
    let keys = answered.map(|offer| offer.keys.iter().map(|name| key(name, record)).collect());
    Report::Probe(Probed {
        peer: peer.as_str(),
        xtls: has_xtls,
        features,
        caps,
        asked: offer.is_some(),
        keys,
        insecure: answered.map(|offer| offer.insecure),
        srp: answered.map(|offer| offer.srp),
        not_answered: offer.and_then(|offer| offer.as_ref().err()).map(String::as_str),
        chosen: chosen.and_then(|chosen| chosen.as_ref().ok()).map(|method| method.as_str()),
        nothing: chosen.and_then(|chosen| chosen.as_ref().err()).map(String::as_str),
    })
}

/// A key by its name. What is not pinned may be anything: a certificate, a key of OpenPGP, or made up on the way.
fn key<'a>(name: &'a KeyName, record: &TrustRecord) -> Key<'a> {
    let is_pinned = |fingerprint: &Fingerprint| record.pins.iter().any(|pin| pin.fingerprint == *fingerprint);
    Key { name: name.as_str(), trusted: name.fingerprint().as_ref().is_some_and(is_pinned) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::trust::Pin;
    use xtls_stanza::Limits;

    use super::*;

    const DISCO_ID: &str = "probe";

    fn peer() -> FullJid {
        "romeo@montague.lit/xtls".parse().unwrap()
    }

    #[test]
    fn only_the_peers_own_answer_to_this_question_counts() {
        let query = format!("<query xmlns='{}'><identity category='client' type='pc'/></query>", ns::DISCO_INFO);
        let said = |from: &str, kind: &str, id: &str, inner: &str| {
            let stanza = format!("<iq type='{kind}' from='{from}' id='{id}'>{inner}</iq>");
            features_in(&Element::parse(&stanza, &Limits::default()).unwrap(), DISCO_ID, &peer())
        };
        assert!(said("romeo@montague.lit/phone", "result", DISCO_ID, &query).is_none());
        assert!(said("romeo@montague.lit/xtls", "result", "find-0", &query).is_none());
        assert!(said("romeo@montague.lit/xtls", "get", DISCO_ID, &query).is_none());
        assert!(said("romeo@montague.lit/xtls", "result", DISCO_ID, &query).unwrap().is_ok());
        assert!(said("romeo@montague.lit/xtls", "result", DISCO_ID, "").unwrap().is_err());
        let error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        assert!(
            said("romeo@montague.lit/xtls", "error", DISCO_ID, error).unwrap().unwrap_err().message.contains("gone")
        );
        // Whom a server takes the peer for answers.
        let meant: FullJid = "romeo@straße.example/xtls".parse().unwrap();
        let from = |kind: &str, id: &str| {
            let inner = if kind == "error" { error } else { &query };
            let stanza = format!("<iq type='{kind}' from='romeo@strasse.example/xtls' id='{id}'>{inner}</iq>");
            features_in(&Element::parse(&stanza, &Limits::default()).unwrap(), DISCO_ID, &meant)
        };
        for kind in ["result", "error"] {
            let words = from(kind, DISCO_ID).unwrap().unwrap_err().message;
            assert!(
                words.starts_with("romeo@strasse.example/xtls answers what is sent to romeo@straße.example/xtls"),
                "{words}"
            );
        }
        assert!(from("get", DISCO_ID).is_none() && from("result", "find-0").is_none());
    }

    #[test]
    fn each_resource_keeps_the_capabilities_that_it_announced() {
        let mut probe = Probe { peer: peer().to_bare(), caps: Vec::new() };
        let presence = |from: &str, rest: &str| {
            let stanza = format!("<presence from='{from}'{rest}");
            Element::parse(&stanza, &Limits::default()).unwrap()
        };
        let caps = |ver: &str| format!("><c xmlns='{}' hash='sha-1' node='n' ver='{ver}'/></presence>", ns::CAPS);
        let known = |probe: &Probe, resource: &str| {
            let mut of = probe.caps.iter().filter(|(from, _)| from.resource() == resource);
            let found = of.next().map(|(_, caps)| caps.ver().to_owned());
            assert!(of.next().is_none(), "once");
            found
        };
        probe.note_caps(&presence("romeo@montague.lit/xtls", &caps("first")));
        probe.note_caps(&presence("romeo@montague.lit/phone", &caps("other")));
        probe.note_caps(&presence("mercutio@montague.lit/xtls", &caps("another")));
        probe.note_caps(&presence("romeo@montague.lit/xtls", "/>"));
        assert_eq!(known(&probe, "xtls"), Some("first".to_owned()));
        assert_eq!(known(&probe, "phone"), Some("other".to_owned()));
        probe.note_caps(&presence("romeo@montague.lit/xtls", &caps("second")));
        probe.note_caps(&presence("romeo@montague.lit/phone", " type='unavailable'/>"));
        assert_eq!((known(&probe, "xtls"), known(&probe, "phone")), (Some("second".to_owned()), None));
        for number in 0..2 * MAX_RESOURCES {
            probe.note_caps(&presence(&format!("romeo@montague.lit/{number}"), &caps("many")));
        }
        assert_eq!(probe.caps.len(), MAX_RESOURCES);
    }

    #[test]
    fn a_key_is_trusted_if_it_is_pinned_and_by_no_other_name() {
        let fingerprint = Fingerprint::sha256(b"certificate");
        let mut record = TrustRecord::default();
        record.add(Pin::manual(fingerprint));
        assert!(key(&KeyName::from(&fingerprint), &record).trusted);
        assert!(!key(&KeyName::from(&Fingerprint::sha1(b"certificate")), &record).trusted);
        assert!(!key(&KeyName::new("RomeoOpenPGPFingerprint").unwrap(), &record).trusted);
    }
}
