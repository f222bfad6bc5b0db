//! `--trace`: what passes, one JSON object a line, without what is said.
//!
//! A line has names, addresses, identifiers and sizes. It never has text, attribute values of payloads, blocks,
//! certificates or passwords: a trace can be shown to others.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use xtls::{CloseReason, Element, Engine, Event};
use xtls_stanza::{Limits, ns};

use crate::clock;
use crate::exit::Failure;
use crate::output::Output;

/// Where a trace goes, if there is one.
#[derive(Debug)]
pub(crate) struct Trace {
    file: Option<File>,
    start: Instant,
    output: Output,
}

/// Which way a stanza goes.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    In,
    Out,
}

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Milliseconds since the beginning, by the monotonic clock.
    ms: u128,
    /// Whose trace it is.
    own: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    peer: Option<&'a str>,
    #[serde(flatten)]
    stanza: Option<Stanza<'a>>,
    /// Of a stanza, as it is written here; what came may have been written otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(flatten)]
    end: Option<End<'a>>,
}

#[derive(Debug, Serialize)]
struct Stanza<'a> {
    stanza: &'a str,
    id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    /// The first child, and its namespace.
    payload: Option<&'a str>,
    namespace: Option<&'a str>,
}

/// How a tunnel ended.
#[derive(Debug, Serialize)]
struct End<'a> {
    by: &'a str,
    reason: &'a str,
    truncated: bool,
    unacked: u64,
}

impl Trace {
    /// Makes the file, which must not exist; readable by its owner only.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is there already.
    pub(crate) fn create(path: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let file = path.map(|path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path).map_err(|e| {
                Failure::other(format!(
                    "the trace {} cannot be written: {e}; nothing is overwritten: give a new file",
                    path.display()
                ))
            })
        });
        Ok(Self { file: file.transpose()?, start: clock::now(), output })
    }

    /// Notes a stanza in text.
    pub(crate) fn text(&mut self, own: &str, direction: Direction, text: &str) {
        if self.file.is_some()
            && let Ok(stanza) = Element::parse(text, &Limits::default())
        {
            self.stanza(own, direction, &stanza);
        }
    }

    /// Notes a stanza.
    pub(crate) fn stanza(&mut self, own: &str, direction: Direction, stanza: &Element) {
        if self.file.is_none() {
            return;
        }
        let bytes = stanza.to_xml(ns::CLIENT).len();
        let peer = match direction {
            Direction::In => stanza.attribute("from"),
            Direction::Out => stanza.attribute("to"),
        };
        self.line(own, peer, |line| {
            line.direction = Some(direction);
            line.stanza = Some(Stanza::of(stanza));
            line.bytes = Some(bytes);
        });
    }

    /// Notes what an engine tells.
    pub(crate) fn event(&mut self, own: &str, engine: &mut Engine, event: &Event) {
        if self.file.is_none() {
            return;
        }
        let peer = peer_of(engine, event);
        let reason;
        let (name, stanza, end) = match event {
            Event::Incoming(_) => ("incoming", None, None),
            Event::IncomingGone { .. } => ("incoming_gone", None, None),
            Event::Redirected { .. } => ("redirected", None, None),
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
            Event::Probed { .. } => ("probed", None, None),
            Event::Readable { .. } => ("readable", None, None),
            Event::Writable { .. } => ("writable", None, None),
            Event::PeerFinished { .. } => ("peer_finished", None, None),
            Event::Closed(closed) => {
                reason = match &closed.reason {
                    // The peer may have added words of its own.
                    CloseReason::Terminated(reason) => reason.condition.as_str().to_owned(),
                    other => other.to_string(),
                };
                let (by, truncated, unacked) = (closed.by.as_str(), closed.truncated, closed.unacked);
                ("closed", None, Some(End { by, reason: &reason, truncated, unacked }))
            }
            _ => ("other", None, None),
        };
        self.line(own, peer.as_deref(), |line| {
            line.event = Some(name);
            line.stanza = stanza;
            line.end = end;
        });
    }

    /// Writes a line. If that fails the trace ends, and the command goes on.
    fn line<'a>(&mut self, own: &'a str, peer: Option<&'a str>, fill: impl FnOnce(&mut Line<'a>)) {
        let Some(file) = &mut self.file else { return };
        let ms = clock::now().duration_since(self.start).as_millis();
        let mut line = Line { ms, own, direction: None, event: None, peer, stanza: None, bytes: None, end: None };
        fill(&mut line);
        let written = serde_json::to_vec(&line).map_err(std::io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            file.write_all(&text)
        });
        if let Err(e) = written {
            self.file = None;
            self.output.error(&format!("the trace cannot be written and ends here: {e}"));
        }
    }
}

impl<'a> Stanza<'a> {
    fn of(stanza: &'a Element) -> Self {
        let payload = stanza.children().next();
        Self {
            stanza: stanza.name(),
            id: stanza.attribute("id"),
            kind: stanza.attribute("type"),
            payload: payload.map(|payload| payload.name()),
            namespace: payload.map(|payload| payload.ns()),
        }
    }
}

/// The peer of the tunnel that an event of this engine is about.
fn peer_of(engine: &mut Engine, event: &Event) -> Option<String> {
    let id = match event {
        Event::Incoming(incoming) => return Some(incoming.peer.to_string()),
        Event::Redirected { peer, .. } | Event::Probed { peer, .. } => return Some(peer.to_string()),
        Event::Closed(closed) => return Some(closed.peer.to_string()),
        Event::IncomingGone { id }
        | Event::PasswordRequired { id, .. }
        | Event::TrustRequired { id, .. }
        | Event::Secured { id, .. }
        | Event::Confirmed { id }
        | Event::StoreFailed { id, .. }
        | Event::StreamOpened { id }
        | Event::StreamClosed { id }
        | Event::Stanza { id, .. }
        | Event::Impersonation { id, .. }
        | Event::Misaddressed { id, .. }
        | Event::CertificatesReceived { id, .. }
        | Event::Readable { id }
        | Event::Writable { id }
        | Event::PeerFinished { id } => *id,
        _ => return None,
    };
    engine.tunnel(id).and_then(|tunnel| tunnel.peer().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const STANZA: &str = "<iq type='set' id='7' to='a@b/c'><data xmlns='http://jabber.org/protocol/ibb' sid='secret' \
                          seq='0'>c2VjcmV0</data></iq>";

    #[test]
    fn a_line_names_a_stanza_and_says_nothing_of_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let mut trace = Trace::create(Some(&path), Output::new(false)).unwrap();
        trace.text("own@b/c", Direction::Out, STANZA);
        trace.text("own@b/c", Direction::In, "<presence from='x@y'><status>secret</status></presence>");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("secret") && !text.contains("c2Vj"), "{text}");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut first = lines[0].clone();
        first.as_object_mut().unwrap().remove("ms").unwrap();
        assert_eq!(
            first,
            serde_json::json!({
                "own": "own@b/c", "direction": "out", "peer": "a@b/c", "stanza": "iq", "id": "7", "type": "set",
                "payload": "data", "namespace": "http://jabber.org/protocol/ibb", "bytes": STANZA.len(),
            })
        );
        assert_eq!((&lines[1]["direction"], &lines[1]["peer"]), (&"in".into(), &"x@y".into()));
    }

    #[test]
    fn a_file_that_exists_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        std::fs::write(&path, "kept").unwrap();
        let failure = Trace::create(Some(&path), Output::new(false)).unwrap_err();
        assert_eq!(failure.code, crate::exit::Code::Other);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }
}
