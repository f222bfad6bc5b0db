//! What is traced, and what is not: `cargo test -p xtls --features tracing --test tracing`.

#![cfg(all(feature = "tracing", feature = "aws-lc-rs"))]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
#![allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{
    Event as Traced, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use xtls::{
    Element, Engine, Event, Identity, Instant, Local, Password, Setup, TrustPolicy, TunnelOptions,
    config::Config,
    jid::FullJid,
    tls::{KeyAlgorithm, UnixTime},
    trust::MemoryTrustStore,
};

const PASSWORD: &str = "a rose by any other name";
const BODY: &str = "wherefore art thou";
const JIDS: [&str; 2] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"];

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

/// A tunnel with a password in which a word is said, from its beginning to its end.
fn a_tunnel() {
    let now = Instant::now();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000));
    let mut ends = JIDS.map(|jid| {
        let jid: FullJid = jid.parse().unwrap();
        let identity = Identity::generate(&jid.to_bare(), KeyAlgorithm::Ed25519, time).unwrap();
        let mut config = Config::default();
        config.stamp_from = true;
        let store = Box::new(MemoryTrustStore::default());
        Engine::new(Setup::new(Local::new(jid, identity), store, [7; 32], time).with_config(config), now).unwrap()
    });
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned).with_password(Password::new(PASSWORD).unwrap());
    options.check_support = false;
    ends[0].initiate(now, JIDS[1].parse().unwrap(), options.clone()).unwrap();
    let message =
        Element::builder("message", "jabber:client").open("body", "jabber:client").text(BODY).build().unwrap();
    let (mut stanza, mut quiet, mut closed) = (String::new(), 0, 0);
    while quiet < 2 {
        quiet += 1;
        for at in 0..2 {
            while let Some(event) = ends[at].poll_event() {
                quiet = 0;
                match event {
                    Event::Incoming(offer) => drop(ends[at].accept(now, offer, options.clone()).unwrap()),
                    Event::StreamOpened { id } if at == 0 => ends[at].tunnel(id).unwrap().send(now, &message).unwrap(),
                    Event::Stanza { id, .. } => ends[at].tunnel(id).unwrap().close(now),
                    Event::Closed(_) => closed += 1,
                    _ => {}
                }
            }
            while ends[at].poll_transmit(now, &mut stanza).is_some() {
                quiet = 0;
                let _ = ends[1 - at].handle_stanza(now, &stanza);
                stanza.clear();
            }
        }
    }
    assert_eq!(closed, 2);
}

#[test]
fn phases_and_kinds_of_stanzas_are_traced_and_nothing_that_is_said() {
    let notebook = Notebook::default();
    tracing::subscriber::with_default(notebook.clone(), a_tunnel);
    let lines = notebook.lines.lock().unwrap();
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
    assert_eq!(debug.len() + trace.len(), lines.len(), "nothing above debug");
    let said = lines.iter().map(|(_, line)| line.as_str()).collect::<String>();
    for secret in [PASSWORD, BODY, "PRIVATE", "fingerprint", "sha-256", "<"] {
        assert!(!said.contains(secret), "{secret}");
    }
}
