//! What the engine tells of itself, for a log of the other language.

use core::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// How much a line matters. Nothing that the library writes stands above `Debug`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Phases and stages; with whom a tunnel is, and why it ended.
    Debug = 1,
    /// The kinds of stanzas too.
    Trace = 2,
}

/// Takes lines for a log. Nothing that is said in a tunnel, no key and no password is in them.
pub trait Log: Send + Sync {
    /// One line, from inside a call: nothing may be called back from here.
    fn line(&self, level: Level, target: &str, line: &str);
}

/// Makes lines of what the engine writes down to `most`.
pub(crate) fn dispatch(log: Box<dyn Log>, most: Level) -> Dispatch {
    Dispatch::new(Lines { log, most, spans: AtomicU64::new(0) })
}

struct Lines {
    log: Box<dyn Log>,
    most: Level,
    spans: AtomicU64,
}

impl Lines {
    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(String::new());
        record(&mut fields);
        self.log.line(level(metadata), metadata.target(), fields.0.trim_start());
    }
}

fn level(metadata: &Metadata<'_>) -> Level {
    if *metadata.level() <= tracing::Level::DEBUG { Level::Debug } else { Level::Trace }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("xtls") && level(metadata) <= self.most
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(span.metadata(), |fields| span.record(fields));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata(), |fields| event.record(fields));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
