//! What can happen to a tunnel, and what comes of it in short.

use xtls::{
    CloseReason, Disposition, Engine, Event, Password, TrustDecision, TrustPolicy, Tunnel, TunnelOptions,
    event::Side,
    jingle::{Reason, ReasonCondition},
};
use xtls_stanza::{Element, ns};

use super::{scene::Scene, situation::Situation};
use crate::common::{base64, is_request, kinds, message, payload, terminate};

listed! {
    /// What can happen.
    pub enum Input {
        // Requests of the peer.
        Initiate = "session-initiate",
        AcceptSession = "session-accept",
        SecurityInfo = "security-info",
        Ping = "session-info",
        ContentRemove = "content-remove",
        Terminate = "session-terminate",
        Open = "open",
        Junk = "junk",
        Gap = "gap",
        CloseBytestream = "ibb-close",
        // Answers to the oldest of what the engine asked.
        Result = "result",
        NotFound = "item-not-found",
        Wait = "recipient-unavailable",
        // Other stanzas.
        Message = "message",
        Available = "available",
        Unavailable = "unavailable",
        // Inside of TLS.
        Header = "tls:header",
        Stanza = "tls:stanza",
        StreamEnd = "tls:stream-end",
        Notify = "tls:close-notify",
        // The world.
        Timeout = "TIMEOUT",
        Suspended = "SUSPENDED",
        Disconnect = "DISCONNECT",
        // Commands.
        Accept = "accept()",
        Reject = "reject()",
        Trust = "trust(yes)",
        Distrust = "trust(no)",
        Password = "password(some)",
        NoPassword = "password(none)",
        Send = "send()",
        Write = "write()",
        Read = "read()",
        Finish = "finish()",
        OpenStream = "open_stream()",
        CloseStream = "close_stream()",
        AskCertificates = "request_certificates()",
        Close = "close()",
        Abort = "abort()",
    }
}

impl Input {
    /// What comes of it: the answer or the command's result, what the engine then sends, its events.
    pub fn outcome(self, situation: Situation, side: Side) -> String {
        let mut scene = situation.scene(side);
        // What was out before is no part of the outcome.
        scene.collect();
        let mut words = vec![self.happens(&mut scene)];
        let sent: Vec<_> = scene.stage.sent().iter().filter_map(shown).collect();
        if !sent.is_empty() {
            words.push(format!("> {}", sent.join(" ")));
        }
        let events: Vec<_> = scene.stage.events().iter().map(told).collect();
        if !events.is_empty() {
            words.push(format!("* {}", events.join(" ")));
        }
        words.retain(|word| !word.is_empty());
        if words.is_empty() { "-".to_owned() } else { words.join(" ") }
    }

    /// Lets it happen, and gives what answers it.
    #[allow(clippy::too_many_lines, reason = "one arm for each input")]
    fn happens(self, scene: &mut Scene) -> String {
        let (sid, ibb) = (scene.stage.sid.clone(), scene.stage.ibb_sid.clone());
        let info = |action: &str, inner: &str| {
            format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{inner}</jingle>")
        };
        let data = |seq: u16, text: &str| crate::common::stage::data(&ibb, seq, text);
        let (own, peer) = (scene.stage.own.clone(), scene.stage.peer.clone());
        let reason = || Reason::new(ReasonCondition::Decline);
        match self {
            Self::Initiate => request(scene, &scene.initiate_text(&scene.stage.peer_security())),
            Self::AcceptSession => request(scene, &scene.accept_text(&scene.stage.peer_security())),
            Self::SecurityInfo => request(scene, &scene.described(&scene.stage.security_info("<method name='x509'/>"))),
            Self::Ping => request(scene, &info("session-info", "")),
            Self::ContentRemove => request(
                scene,
                &scene.described(&info("content-remove", "<content creator='initiator' name='xmlstream'/>")),
            ),
            Self::Terminate => request(scene, &terminate(&sid, "success").to_xml("")),
            Self::Open => request(scene, &scene.stage.open()),
            Self::Junk => request(scene, &data(scene.stage.seq_out, &base64(b"neither TLS nor anything else"))),
            Self::Gap => request(scene, &data(scene.stage.seq_out + 1, "AAAA")),
            Self::CloseBytestream => {
                request(scene, &format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{ibb}'/>"))
            }
            Self::Result => answer(scene, "result", ""),
            Self::NotFound => answer(scene, "error", &error("cancel", "item-not-found")),
            Self::Wait => answer(scene, "error", &error("wait", "recipient-unavailable")),
            Self::Message => taken(&scene.stage.deliver(&format!("<message from='{peer}' to='{own}'/>"))),
            Self::Available => taken(&scene.stage.deliver(&format!("<presence from='{peer}' to='{own}'/>"))),
            Self::Unavailable => {
                taken(&scene.stage.deliver(&format!("<presence type='unavailable' from='{peer}' to='{own}'/>")))
            }
            Self::Header => say(scene, scene.header()),
            Self::Stanza => say(scene, "<message/>"),
            Self::StreamEnd => say(scene, "</stream:stream>"),
            Self::Notify => notify(scene),
            Self::Timeout => {
                let now = scene.stage.world.now();
                let Some(due) = scene.stage.with(|engine, _| engine.poll_timeout()) else { return String::new() };
                scene.stage.world.run_for(due.at - now);
                due.timer.as_str().to_owned()
            }
            Self::Suspended => {
                scene.stage.with(Engine::handle_suspended);
                String::new()
            }
            Self::Disconnect => {
                scene.stage.with(Engine::handle_disconnect);
                String::new()
            }
            Self::Accept | Self::Reject => {
                let Some(incoming) = scene.incoming.take() else { return "no offer".to_owned() };
                let options = TunnelOptions::new(incoming.application.clone(), TrustPolicy::Pinned);
                scene.stage.with(|engine, now| match self {
                    Self::Accept => said(engine.accept(now, incoming, options).map(|_| ())),
                    _ => said(engine.reject(now, incoming, reason())),
                })
            }
            Self::Trust => command(scene, |tunnel, now| said(tunnel.trust(now, TrustDecision::Accept))),
            Self::Distrust => command(scene, |tunnel, now| said(tunnel.trust(now, TrustDecision::Refuse))),
            Self::Password => command(scene, |tunnel, now| {
                said(tunnel.provide_password(now, Some(Password::new("wherefore").unwrap())))
            }),
            Self::NoPassword => command(scene, |tunnel, now| said(tunnel.provide_password(now, None))),
            Self::Send => command(scene, |tunnel, now| said(tunnel.send(now, &message("Hi")))),
            Self::Write => command(scene, |tunnel, now| said(tunnel.write(now, b"bytes").map(|_| ()))),
            Self::Read => command(scene, |tunnel, now| match tunnel.read(now, &mut Vec::new()) {
                0 => "nothing".to_owned(),
                _ => "bytes".to_owned(),
            }),
            Self::Finish => command(scene, |tunnel, now| said(tunnel.finish(now))),
            Self::OpenStream => command(scene, |tunnel, now| said(tunnel.open_stream(now))),
            Self::CloseStream => command(scene, |tunnel, now| said(tunnel.close_stream(now))),
            Self::AskCertificates => command(scene, |tunnel, now| said(tunnel.request_certificates(now))),
            Self::Close => command(scene, |tunnel, now| {
                tunnel.close(now);
                "ok".to_owned()
            }),
            Self::Abort => command(scene, |tunnel, now| {
                tunnel.abort(now, reason());
                "ok".to_owned()
            }),
        }
    }
}

fn said<E: core::fmt::Debug>(result: Result<(), E>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(slip) => format!("{slip:?}"),
    }
}

fn taken(disposition: &Disposition) -> String {
    match disposition {
        Disposition::Consumed => "consumed",
        Disposition::Observed => "observed",
        Disposition::NotOurs => "not ours",
        Disposition::Unclaimed(_) => "unclaimed",
        _ => "malformed",
    }
    .to_owned()
}

/// The peer asks for something. What it is answered: `ok`, or a condition.
fn request(scene: &mut Scene, payload: &str) -> String {
    let id = "asked";
    let disposition = scene.stage.deliver(&scene.stage.iq(id, payload));
    let Disposition::Consumed = disposition else { return taken(&disposition) };
    let mut out = String::new();
    // Answers go before everything else.
    let now = scene.stage.world.now();
    let sent = scene.stage.with(|engine, _| engine.poll_transmit(now, &mut out));
    assert!(sent.is_some(), "a request is answered: {payload}");
    let answer = crate::common::element(&out);
    assert!(!is_request(&answer) && answer.attribute("id") == Some(id), "{out}");
    match answer.child("error", ns::CLIENT) {
        None => "ok".to_owned(),
        Some(error) => {
            let names: Vec<_> = error.children().map(|child| child.name()).filter(|name| *name != "text").collect();
            names.join("/")
        }
    }
}

fn error(kind: &str, condition: &str) -> String {
    format!("<error type='{kind}'><{condition} xmlns='{}'/></error>", ns::STANZA_ERRORS)
}

/// The peer answers the oldest of what the engine asked.
fn answer(scene: &mut Scene, kind: &str, inside: &str) -> String {
    let Some(request) = scene.unanswered.first() else { return "nothing asked".to_owned() };
    let (own, peer, id) = (&scene.stage.own, &scene.stage.peer, request.attribute("id").unwrap());
    let stanza = format!("<iq from='{peer}' to='{own}' id='{id}' type='{kind}'>{inside}</iq>");
    taken(&scene.stage.deliver(&stanza))
}

/// The peer says something inside of TLS, where that is up.
fn say(scene: &mut Scene, text: &str) -> String {
    let mut records = Vec::new();
    let Some(tls) = &mut scene.stage.tls else { return "no TLS".to_owned() };
    let written = scene.stage.random.enter(|| tls.write(text.as_bytes(), &mut records));
    match written {
        Ok(()) => blocks(scene, &records),
        Err(_) => "no TLS".to_owned(),
    }
}

fn notify(scene: &mut Scene) -> String {
    let mut records = Vec::new();
    let Some(tls) = scene.stage.tls.as_mut().filter(|tls| tls.parameters().is_some()) else {
        return "no TLS".to_owned();
    };
    tls.close(&mut records);
    if records.is_empty() { "no TLS".to_owned() } else { blocks(scene, &records) }
}

/// The answer to the blocks that hold these records: they fit into one.
fn blocks(scene: &mut Scene, records: &[u8]) -> String {
    let data = scene.stage.data(records);
    request(scene, &data)
}

fn command(scene: &mut Scene, action: impl FnOnce(&mut Tunnel<'_>, std::time::Instant) -> String) -> String {
    let Some(tunnel) = scene.tunnel else { return "no tunnel".to_owned() };
    scene.stage.with(|engine, now| match engine.tunnel(tunnel) {
        Some(mut tunnel) => action(&mut tunnel, now),
        None => "no tunnel".to_owned(),
    })
}

/// What the engine asks for, in short.
fn shown(stanza: &Element) -> Option<String> {
    if !is_request(stanza) {
        return None;
    }
    let payload = payload(stanza);
    let name = payload.attribute("action").unwrap_or_else(|| payload.name());
    let reason = payload.child("reason", ns::JINGLE).and_then(|reason| reason.children().next().map(|it| it.name()));
    Some(match reason {
        Some(reason) => format!("{name}({reason})"),
        None => name.to_owned(),
    })
}

pub fn told(event: &Event) -> String {
    let Event::Closed(closed) = event else { return kinds(std::slice::from_ref(event))[0].to_owned() };
    let reason = match &closed.reason {
        CloseReason::Done => "done".to_owned(),
        CloseReason::Terminated(reason) => reason.condition.to_string(),
        CloseReason::Fault(fault) => format!("!{}", fault.as_str()),
        _ => "?".to_owned(),
    };
    let truncated = if closed.truncated { ", truncated" } else { "" };
    format!("Closed({}, {reason}{truncated})", closed.by.as_str())
}
