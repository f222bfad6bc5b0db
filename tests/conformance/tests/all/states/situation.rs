//! The situations of a tunnel that behave differently, and the way to each.

use xtls::{
    TrustPolicy, TunnelOptions,
    event::Side,
    jingle::{Reason, ReasonCondition},
};

use super::scene::Scene;
use crate::common::Stage;

listed! {
    /// Where a tunnel is: finer than its phase, as the phase says nothing of TLS and of the stream inside.
    pub enum Situation {
        // Of an initiator.
        Asking = "Asking",
        Offered = "Offered",
        OfferedAcked = "OfferedAcked",
        OpenedEarly = "OpenedEarly",
        ChoosesPassword = "ChoosesPassword",
        Opening = "Opening",
        Greeting = "Greeting",
        Judging = "Judging",
        Confirming = "Confirming",
        Unconfirmed = "Unconfirmed",
        AwaitsHeader = "AwaitsHeader",
        AwaitsHash = "AwaitsHash",
        BytesAwaitHash = "BytesAwaitHash",
        // Of a responder.
        Ringing = "Ringing",
        AnswersPassword = "AnswersPassword",
        Accepted = "Accepted",
        Opened = "Opened",
        Handshaking = "Handshaking",
        JudgingClient = "JudgingClient",
        AwaitsFirstHeader = "AwaitsFirstHeader",
        // Of either.
        Streaming = "Streaming",
        StreamClosing = "StreamClosing",
        StreamClosed = "StreamClosed",
        Bytes = "Bytes",
        BytesFinished = "BytesFinished",
        Closing = "Closing",
        ClosingByPeer = "ClosingByPeer",
        ClosingIdle = "ClosingIdle",
        Unread = "Unread",
        Farewell = "Farewell",
        Forgotten = "Forgotten",
    }
}

use Situation::*;

impl Situation {
    /// Whether a tunnel may stay here for as long as the peer shows that it is there.
    pub fn lasts(self) -> bool {
        matches!(self, Streaming | Bytes | BytesFinished)
    }

    /// The phase of the tunnel and the state of its channel, as `Debug` shows them; none where there is no tunnel any more.
    pub fn parts(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Asking => ("Asking", "choosing"),
            Offered | OfferedAcked | OpenedEarly => ("Offered", "choosing"),
            ChoosesPassword | AnswersPassword => ("Password", "choosing"),
            Opening | Accepted | Opened => ("Running", "choosing"),
            Greeting | Handshaking => ("Running", "handshake"),
            Judging | JudgingClient => ("Running", "judging"),
            Confirming => ("Running", "confirming"),
            AwaitsHash | BytesAwaitHash => ("Running", "secured"),
            Unconfirmed | AwaitsHeader | AwaitsFirstHeader | Streaming | StreamClosing | StreamClosed | Bytes => {
                ("Running", "secured")
            }
            BytesFinished => ("Running", "secured"),
            Ringing => ("Ringing", ""),
            Closing | ClosingByPeer | ClosingIdle => ("Closing", "secured"),
            Unread => ("Ended", "secured"),
            Farewell => ("Ended", "closed"),
            Forgotten => return None,
        })
    }

    /// The ends that may be here.
    pub fn sides(self) -> &'static [Side] {
        match self {
            Asking | Offered | OfferedAcked | OpenedEarly | ChoosesPassword | Opening | Greeting | Judging
            | Confirming | Unconfirmed | AwaitsHeader | AwaitsHash | BytesAwaitHash => &[Side::Initiator],
            Ringing | AnswersPassword | Accepted | Opened | Handshaking | JudgingClient | AwaitsFirstHeader => {
                &[Side::Responder]
            }
            _ => &[Side::Initiator, Side::Responder],
        }
    }

    pub fn scene(self, side: Side) -> Scene {
        let mut scene = self.reach(side);
        let shown = scene.stage.with(|engine, _| format!("{engine:?}"));
        match self.parts() {
            None => assert!(!shown.contains("phase"), "{self:?}: {shown}"),
            Some((phase, channel)) => {
                assert!(shown.contains(&format!("phase: {phase},")), "{self:?}: {shown}");
                let state = format!("state: \"{channel}\"");
                assert!(channel.is_empty() || shown.contains(&state), "{self:?}: {shown}");
            }
        }
        let _ = scene.stage.told();
        scene
    }

    fn reach(self, side: Side) -> Scene {
        match self {
            Asking => {
                let mut scene = Scene::new(Stage::romeo(), false);
                scene.initiate(TunnelOptions::xml_stream(TrustPolicy::Pinned));
                scene
            }
            Offered => Scene::offered(TunnelOptions::xml_stream(TrustPolicy::Pinned)),
            OfferedAcked => Scene::offered(TunnelOptions::xml_stream(TrustPolicy::Pinned)).acked(),
            // The responder has opened the bytestream, and has not accepted.
            OpenedEarly => {
                let mut scene = OfferedAcked.reach(side);
                let open = scene.stage.open();
                assert!(scene.stage.ask_fine(&open).is_empty());
                scene
            }
            ChoosesPassword => {
                let options = TunnelOptions::xml_stream(TrustPolicy::Pinned).asking_password();
                let mut scene = Scene::offered(options).acked();
                scene.peer_accepts("<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='srp'/></security>");
                scene.expect(&["PasswordRequired"])
            }
            Opening => Scene::agreed(TrustPolicy::Pinned, false),
            Greeting => Scene::agreed(TrustPolicy::Pinned, false).acked(),
            Judging => {
                let mut scene = Scene::agreed(TrustPolicy::Ask, false).acked();
                scene.play(|_| true);
                scene.expect(&["TrustRequired"])
            }
            Confirming => Scene::confirming(),
            Unconfirmed => {
                let mut scene = Scene::confirming();
                scene.stage.world.run_for(core::time::Duration::from_secs(4));
                scene.expect(&["Secured"])
            }
            AwaitsHeader => Scene::secured(side, false),
            AwaitsHash => Scene::announced(),
            BytesAwaitHash => Scene::secured_without_hash(),
            Streaming => Scene::streaming(side),
            StreamClosing => {
                let mut scene = Scene::streaming(side);
                scene.act(|tunnel, now| tunnel.close_stream(now).unwrap());
                scene.acked()
            }
            StreamClosed => {
                let mut scene = StreamClosing.reach(side);
                scene.stage.write("</stream:stream>");
                scene.expect(&["StreamClosed"])
            }
            Bytes => Scene::secured(side, true),
            BytesFinished => {
                let mut scene = Scene::secured(side, true);
                scene.act(|tunnel, now| tunnel.finish(now).unwrap());
                scene.acked()
            }
            Closing => {
                let mut scene = Scene::streaming(side);
                scene.act(|tunnel, now| tunnel.close(now));
                scene.acked()
            }
            ClosingByPeer => {
                let mut scene = Scene::streaming(side);
                scene.stage.write("</stream:stream>");
                scene.stage.write_close_notify();
                scene.expect(&["StreamClosed"]).acked()
            }
            // The peer has closed the bytestream, between two streams.
            ClosingIdle => {
                let mut scene = StreamClosed.reach(side);
                let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", scene.stage.ibb_sid);
                assert!(scene.stage.ask_fine(&close).is_empty());
                scene
            }
            Unread => {
                let mut scene = Scene::secured(side, true);
                scene.stage.write("bytes that nobody reads");
                scene.act(|tunnel, now| tunnel.abort(now, Reason::new(ReasonCondition::Cancel)));
                scene.play(|_| false);
                scene.expect(&["Readable"])
            }
            Farewell => {
                let mut scene = match side {
                    Side::Responder => Scene::accepted(TrustPolicy::Pinned, false),
                    _ => Scene::offered(TunnelOptions::xml_stream(TrustPolicy::Pinned)).acked(),
                };
                scene.act(|tunnel, now| tunnel.abort(now, Reason::new(ReasonCondition::Cancel)));
                scene.expect(&["Closed"])
            }
            Forgotten => Farewell.reach(side).acked(),
            Ringing => Scene::ringing(false),
            AnswersPassword => {
                let options = TunnelOptions::xml_stream(TrustPolicy::Pinned).asking_password();
                let mut scene = Scene::new(Stage::juliet(), false);
                let security =
                    "<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='srp'/></security>".to_owned();
                scene.ring(&security);
                scene.accept(options);
                scene.expect(&["PasswordRequired"])
            }
            Accepted => Scene::accepted(TrustPolicy::Pinned, false),
            Opened => Scene::opened(TrustPolicy::Pinned, false),
            Handshaking => Scene::handshaking(TrustPolicy::Pinned, false),
            JudgingClient => {
                let mut scene = Scene::handshaking(TrustPolicy::Ask, false);
                scene.play(|_| true);
                scene.expect(&["TrustRequired"])
            }
            AwaitsFirstHeader => Scene::secured(side, false),
        }
    }
}
