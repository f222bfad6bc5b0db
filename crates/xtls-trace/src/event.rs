//! What engines and links tell, as lines.

use std::borrow::Cow;

use xtls::link::LinkEvent;
use xtls::{CloseReason, EndedBy, Engine, Event};

use crate::line::{End, Line, What};
use crate::stanza::Stanza;

impl Line {
    /// What the engine of `own` told. The peer is the one that the event names, else that of the tunnel, which is looked up in
    /// the engine: it is not there any more if the tunnel has ended meanwhile.
    #[must_use]
    pub fn event(ms: u64, own: &str, engine: &mut Engine, event: &Event) -> Self {
        let tunnel = event.tunnel().and_then(|id| engine.tunnel(id));
        let peer = tunnel.and_then(|tunnel| tunnel.peer().map(ToString::to_string));
        Self::event_about(ms, own, peer.as_deref(), event)
    }

    /// The same for a caller who knows whom the tunnel is with. The peer is the one that the event names, else `peer`.
    #[must_use]
    pub fn event_about(ms: u64, own: &str, peer: Option<&str>, event: &Event) -> Self {
        let mut named = None;
        let (name, stanza, end) = match event {
            Event::Incoming(incoming) => {
                named = Some(incoming.peer.to_string());
                ("incoming", None, None)
            }
            Event::IncomingGone { .. } => ("incoming_gone", None, None),
            Event::Redirected { peer, .. } => {
                named = Some(peer.to_string());
                ("redirected", None, None)
            }
            Event::PasswordRequired { .. } => ("password_required", None, None),
            Event::TrustRequired { .. } => ("trust_required", None, None),
            Event::Secured { .. } => ("secured", None, None),
            Event::Confirmed { .. } => ("confirmed", None, None),
            Event::StoreFailed { .. } => ("store_failed", None, None),
            Event::StreamOpened { .. } => ("stream_opened", None, None),
            Event::StreamClosed { .. } => ("stream_closed", None, None),
            Event::Stanza { stanza, .. } => ("stanza", Some(Stanza::of(stanza)), None),
            Event::Impersonation { .. } => ("impersonation", None, None),
            Event::Misaddressed { .. } => ("misaddressed", None, None),
            Event::CertificatesReceived { .. } => ("certificates_received", None, None),
            Event::Probed { peer, .. } => {
                named = Some(peer.to_string());
                ("probed", None, None)
            }
            Event::PresenceWanted { peer } => {
                named = Some(peer.to_string());
                ("presence_wanted", None, None)
            }
            Event::Connect { .. } => ("connect", None, None),
            Event::Abandon { .. } => ("abandon", None, None),
            Event::Readable { .. } => ("readable", None, None),
            Event::Writable { .. } => ("writable", None, None),
            Event::Throttled { .. } => ("throttled", None, None),
            Event::PeerFinished { .. } => ("peer_finished", None, None),
            Event::Receipt { .. } => ("receipt", None, None),
            Event::Closed(closed) => {
                named = Some(closed.peer.to_string());
                let mut end = End::of(closed.by, &closed.reason);
                end.truncated = Some(closed.truncated);
                end.unacked = Some(closed.unacked);
                ("closed", None, Some(end))
            }
            _ => ("other", None, None),
        };
        let what = What::Event { event: Cow::Borrowed(name), stanza, end };
        Self { peer: named.or_else(|| peer.map(str::to_owned)), ..Self::new(ms, own, what) }
    }

    /// What a link of `own` told. The peer is the one that the event names, else `peer`.
    #[must_use]
    pub fn link_event(ms: u64, own: &str, peer: Option<&str>, event: &LinkEvent) -> Self {
        let mut named = None;
        let (name, stanza, end) = match event {
            LinkEvent::Incoming { peer } => {
                named = Some(peer.to_string());
                ("incoming", None, None)
            }
            LinkEvent::PasswordRequired => ("password_required", None, None),
            LinkEvent::TrustRequired { .. } => ("trust_required", None, None),
            LinkEvent::Encrypted { .. } => ("encrypted", None, None),
            LinkEvent::FeaturesRequired { .. } => ("features_required", None, None),
            LinkEvent::ClientAuthenticated { client } => {
                named = Some(client.to_string());
                ("client_authenticated", None, None)
            }
            LinkEvent::Secured { .. } => ("secured", None, None),
            LinkEvent::Confirmed => ("confirmed", None, None),
            LinkEvent::StoreFailed { .. } => ("store_failed", None, None),
            LinkEvent::StreamOpened => ("stream_opened", None, None),
            LinkEvent::Features(_) => ("features", None, None),
            LinkEvent::Authenticated => ("authenticated", None, None),
            LinkEvent::Stanza { stanza } => ("stanza", Some(Stanza::of(stanza)), None),
            LinkEvent::Nonza(_) => ("nonza", None, None),
            LinkEvent::Impersonation { .. } => ("impersonation", None, None),
            LinkEvent::Misaddressed { .. } => ("misaddressed", None, None),
            LinkEvent::Writable => ("writable", None, None),
            LinkEvent::Closed(closed) => {
                named = closed.peer.as_ref().map(ToString::to_string);
                ("closed", None, Some(End::of(closed.by, &closed.reason)))
            }
            _ => ("other", None, None),
        };
        let what = What::Event { event: Cow::Borrowed(name), stanza, end };
        Self { peer: named.or_else(|| peer.map(str::to_owned)), ..Self::new(ms, own, what) }
    }
}

impl End {
    fn of(by: EndedBy, reason: &CloseReason) -> Self {
        // With the reason of a session-terminate the peer may have sent words of its own.
        let reason = if let CloseReason::Terminated(reason) = reason {
            reason.condition.as_str().to_owned()
        } else {
            reason.to_string()
        };
        Self { by: Cow::Borrowed(by.as_str()), reason, truncated: None, unacked: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::event::Side;
    use xtls::{Terms, TrustPolicy};
    use xtls_stanza::{Element, Limits};
    use xtls_testkit::{EntityId, LinkPair, World};

    use super::*;

    const SECRET: &str = "<message type='chat' id='1'><body>secret</body></message>";

    fn secret() -> Element {
        Element::parse(SECRET, &Limits::default()).unwrap()
    }

    fn lines(world: &mut World, id: EntityId) -> Vec<Line> {
        let own = world.jid(id).to_string();
        let events = world.take_events(id);
        world.with(id, |engine, _| events.iter().map(|event| Line::event(7, &own, engine, event)).collect())
    }

    fn words(lines: &[Line]) -> Vec<String> {
        for line in lines {
            let json = line.to_json();
            assert!(!json.contains("secret"), "{json}");
            assert_eq!(Line::parse(&json).as_ref(), Ok(line));
        }
        lines.iter().map(|line| format!("{}: {}", line.peer.as_deref().unwrap_or("-"), line.label())).collect()
    }

    #[test]
    fn what_an_engine_tells_has_the_peer_of_the_tunnel_and_nothing_of_what_was_said() {
        let (mut world, romeo, juliet) = World::pair(1);
        let tunnel = world.connect(romeo, juliet);
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &secret())).unwrap();
        world.run();
        let said = lines(&mut world, juliet);
        assert_eq!(words(&said), ["romeo@montague.lit/orchard: stanza: message chat body"]);
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
        world.run();
        let ended = lines(&mut world, romeo);
        // The tunnel had ended when the first of these was taken.
        assert_eq!(words(&ended), ["-: stream closed", "juliet@capulet.lit/balcony: closed by local: done"]);
        let json = ended[1].to_json();
        assert!(json.ends_with(r#""by":"local","reason":"done","truncated":false,"unacked":0}"#), "{json}");
    }

    #[test]
    fn what_a_link_tells_has_its_peer() {
        let mut pair = LinkPair::new(1);
        pair.trust(Side::Initiator);
        pair.trust(Side::Responder);
        pair.start(Terms::new(TrustPolicy::Pinned), Some(Terms::new(TrustPolicy::Pinned)));
        pair.run();
        pair.send(Side::Initiator, &secret()).unwrap();
        pair.run();
        pair.with(Side::Initiator, |link, now| link.close(now));
        pair.run();
        let peer = pair.jid(Side::Initiator).to_string();
        let events = pair.take_events(Side::Responder);
        let told: Vec<Line> = events.iter().map(|event| Line::link_event(7, "own", Some(&peer), event)).collect();
        let expected = ["incoming", "secured", "stream opened", "stanza: message chat body", "closed by remote: done"];
        assert_eq!(words(&told), expected.map(|label| format!("{peer}: {label}")));
        let json = told[4].to_json();
        assert!(json.ends_with(r#""by":"remote","reason":"done"}"#), "{json}");
    }
}
