//! What is traced, and what is not: `cargo test -p xtls --features tracing --test tracing`.

#![cfg(all(feature = "tracing", feature = "aws-lc-rs"))]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
#![allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]

mod common;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{
    Event as Traced, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use xtls::{
    Element, Event, Instant, Local, Password, Terms, TrustPolicy, TunnelOptions,
    link::{LinkEvent, LinkSetup, PeerLink},
    tls::KeyAlgorithm,
    trust::MemoryTrustStore,
};

use self::common::{JIDS, engine, identity, play, time};

const PASSWORD: &str = "a rose by any other name";
const BODY: &str = "wherefore art thou";

/// Writes down everything that is traced.
#[derive(Default, Clone)]
struct Notebook {
    lines: Arc<Mutex<Vec<(Level, String)>>>,
    spans: Arc<AtomicU64>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl Notebook {
    fn note(&self, metadata: &Metadata<'_>, fields: impl FnOnce(&mut Fields)) {
        let mut line = Fields(metadata.name().split(' ').next().unwrap().to_owned());
        fields(&mut line);
        self.lines.lock().unwrap().push((*metadata.level(), line.0));
    }
}

impl Subscriber for Notebook {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(span.metadata(), |fields| span.record(fields));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Traced<'_>) {
        self.note(event.metadata(), |fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A tunnel by these passwords in which a word is said, from its beginning to its end.
fn a_tunnel(passwords: [&str; 2]) {
    let now = Instant::now();
    let ends = JIDS.map(|jid| engine(jid, identity(jid, KeyAlgorithm::Ed25519), MemoryTrustStore::default(), now));
    let message =
        Element::builder("message", "jabber:client").open("body", "jabber:client").text(BODY).build().unwrap();
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned).asking_password();
    options.check_support = false;
    let mut closed = 0;
    play(ends, now, &options, |end, at, event| match event {
        Event::PasswordRequired { id, .. } => {
            let password = Password::new(passwords[at]).unwrap();
            end.tunnel(id).unwrap().provide_password(now, Some(password)).unwrap();
        }
        Event::StreamOpened { id } if at == 0 => end.tunnel(id).unwrap().send(now, &message).unwrap(),
        Event::Stanza { id, .. } => end.tunnel(id).unwrap().close(now),
        Event::Closed(_) => closed += 1,
        _ => {}
    });
    assert_eq!(closed, 2);
}

/// A link by a password in which a word is said, from its beginning to its end.
fn a_link() {
    let now = Instant::now();
    let setup = |jid: &str| {
        let local = Local::new(jid.parse().unwrap(), identity(jid, KeyAlgorithm::Ed25519));
        LinkSetup::new(local, Box::new(MemoryTrustStore::default()), [7; 32], time())
    };
    let terms = Terms::new(TrustPolicy::Pinned).with_password(Password::new(PASSWORD).unwrap());
    let mut ends = [
        PeerLink::connect(setup(JIDS[0]), JIDS[1].parse().unwrap(), terms.clone(), now).unwrap(),
        PeerLink::listen(setup(JIDS[1]), None, now).unwrap(),
    ];
    let message =
        Element::builder("message", "jabber:client").open("body", "jabber:client").text(BODY).build().unwrap();
    let (mut bytes, mut closed) = (Vec::new(), 0);
    while closed < 2 {
        for at in 0..2 {
            while let Some(event) = ends[at].poll_event() {
                match event {
                    LinkEvent::Incoming { .. } => ends[at].accept(now, terms.clone()).unwrap(),
                    LinkEvent::StreamOpened if at == 0 => ends[at].send(now, &message).unwrap(),
                    LinkEvent::Stanza { .. } => ends[at].close(now),
                    LinkEvent::Closed(_) => closed += 1,
                    _ => {}
                }
            }
            if ends[at].poll_transmit(now, &mut bytes) {
                let taken = ends[1 - at].handle_bytes(now, &bytes);
                bytes.drain(..taken);
            }
        }
    }
}

/// Everything that is traced meanwhile.
fn traced(what: impl FnOnce()) -> Vec<(Level, String)> {
    let notebook = Notebook::default();
    tracing::subscriber::with_default(notebook.clone(), what);
    let lines = core::mem::take(&mut *notebook.lines.lock().unwrap());
    let said = lines.iter().map(|(_, line)| line.as_str()).collect::<String>();
    for secret in [PASSWORD, BODY, "PRIVATE", "fingerprint", "sha-256", "<"] {
        assert!(!said.contains(secret), "{secret}");
    }
    assert!(lines.iter().all(|(level, _)| *level >= Level::DEBUG), "nothing above debug");
    lines
}

#[test]
fn phases_and_kinds_of_stanzas_are_traced_and_nothing_that_is_said() {
    let lines = traced(|| a_tunnel([PASSWORD; 2]));
    let at = |level: Level| lines.iter().filter(move |(of, _)| *of == level).map(|(_, line)| line.as_str());
    let debug: Vec<_> = at(Level::DEBUG).collect();
    let spans: Vec<_> = debug.iter().filter(|line| line.starts_with("tunnel ")).collect();
    assert_eq!(spans.len(), 2, "{debug:?}");
    assert!(spans[0].contains("side=\"initiator\"") && spans[0].contains(JIDS[1]), "{spans:?}");
    assert!(spans[1].contains("side=\"responder\"") && spans[1].contains(JIDS[0]), "{spans:?}");
    for phase in ["offered", "ringing", "handshake", "secured", "closing", "ended"] {
        assert!(debug.iter().any(|line| line.contains(&format!("phase={phase}"))), "{phase}: {debug:?}");
    }
    assert_eq!(debug.iter().filter(|line| line.contains("reason=\"done\"")).count(), 2, "{debug:?}");
    let trace: Vec<_> = at(Level::TRACE).collect();
    for kind in ["session-initiate", "session-accept", "security-info", "open", "data", "result", "session-terminate"] {
        for way in ["sent", "received"] {
            let is_it = |line: &&&str| line.contains(&format!("kind=\"{kind}\"")) && line.contains(way);
            assert!(trace.iter().any(|line| is_it(&line)), "{way} {kind}: {trace:?}");
        }
    }
    let answers = trace.iter().filter(|line| line.contains("kind=\"result\"") && line.contains("received")).count();
    let requests =
        trace.iter().filter(|line| line.contains("sent") && !line.contains("result") && !line.contains("answer"));
    assert_eq!(answers, requests.count(), "each request has one result: {trace:?}");
}

#[test]
fn what_was_at_fault_is_traced_by_its_name() {
    let lines = traced(|| a_tunnel([PASSWORD, "another"]));
    let ends: Vec<_> = lines.iter().filter(|(_, line)| line.contains("phase=ended")).collect();
    assert_eq!(ends.len(), 2, "{lines:?}");
    assert!(ends.iter().any(|(_, line)| line.contains("reason=\"wrong-password\"")), "{ends:?}");
}

#[test]
fn stages_of_a_link_are_traced_and_nothing_that_is_said() {
    let lines = traced(a_link);
    let names = |line: &str| JIDS.iter().any(|jid| line.contains(jid));
    assert!(!lines.iter().any(|(_, line)| names(line)), "{lines:?}");
    let with = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    assert_eq!((with("link side=\"initiator\""), with("link side=\"responder\"")), (1, 1), "{lines:?}");
    for stage in ["handshake", "open", "closing", "ended"] {
        assert!(with(&format!("stage=\"{stage}\"")) >= 1, "{stage}: {lines:?}");
    }
    assert_eq!(with("reason=\"done\""), 2, "{lines:?}");
}
