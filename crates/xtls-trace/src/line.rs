//! One line of a trace.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use xtls_stanza::{Element, Limits, ns};

use crate::Stanza;

/// One line of a trace: what happened to whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Milliseconds since the beginning of the trace.
    pub ms: u64,
    /// Whose line it is: an entity's address, or a name of the server.
    pub own: String,
    /// Who is at the other end, if that is known.
    pub peer: Option<String>,
    /// What happened.
    pub what: What,
    /// What else there is to say of it, by name.
    pub parameters: BTreeMap<String, Parameter>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A stanza came or went.
    Stanza {
        /// Which way.
        direction: Direction,
        /// What it is.
        stanza: Stanza,
        /// Its length as it is written here; what came may have been written otherwise.
        bytes: u64,
    },
    /// Bytes of a direct connection came or went.
    Bytes {
        /// Which way.
        direction: Direction,
        /// How many.
        bytes: u64,
    },
    /// An engine or a link told something.
    Event {
        /// Its name, such as `secured`.
        event: Cow<'static, str>,
        /// The stanza that came through a tunnel or a link.
        stanza: Option<Stanza>,
        /// How the tunnel or the link ended.
        end: Option<End>,
    },
    /// A hostile server or network did something.
    Fault(String),
    /// An application did something.
    Op(String),
    /// The entity's own connection to its server changed.
    Connection(Connection),
    /// What should hold does not: words of whoever checks it.
    Failure(String),
    /// A line of a later version of this format.
    Other,
}

/// Which way something goes, seen by the entity whose line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "there is no third one")]
pub enum Direction {
    /// It came.
    In,
    /// It was sent.
    Out,
}

/// What became of an entity's connection to its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Connection {
    /// It is there.
    Online,
    /// It is gone, for good.
    Offline,
    /// It is away, and may come back (XEP-0198).
    Suspended,
    /// It is back, with everything that waited.
    Resumed,
}

/// How a tunnel or a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// Who ended it: `local`, `remote` or `engine`.
    pub by: Cow<'static, str>,
    /// Why.
    pub reason: String,
    /// A tunnel: whether the peer's data broke off without an authenticated end.
    pub truncated: Option<bool>,
    /// A tunnel: the bytes that were not acknowledged.
    pub unacked: Option<u64>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Parameter {
    /// A number.
    Number(u64),
    /// A word.
    Word(String),
}

impl Line {
    /// A line that says this.
    #[must_use]
    pub fn new(ms: u64, own: &str, what: What) -> Self {
        Self { ms, own: own.to_owned(), peer: None, what, parameters: BTreeMap::new() }
    }

    /// A stanza that `own` got or sent. The peer is its sender or its addressee.
    #[must_use]
    pub fn stanza(ms: u64, own: &str, direction: Direction, stanza: &Element) -> Self {
        let bytes = u64::try_from(stanza.to_xml(ns::CLIENT).len()).unwrap_or(u64::MAX);
        let peer = match direction {
            Direction::In => stanza.attribute("from"),
            Direction::Out => stanza.attribute("to"),
        };
        let what = What::Stanza { direction, stanza: Stanza::of(stanza), bytes };
        Self { peer: peer.map(str::to_owned), ..Self::new(ms, own, what) }
    }

    /// The same of its text; `None` if that is no stanza that could be read.
    #[must_use]
    pub fn stanza_text(ms: u64, own: &str, direction: Direction, text: &str) -> Option<Self> {
        let stanza = Element::parse(text, &Limits::default()).ok()?;
        Some(Self::stanza(ms, own, direction, &stanza))
    }

    /// Bytes of a direct connection that `own` got or sent: how many, and nothing else.
    #[must_use]
    pub fn bytes(ms: u64, own: &str, direction: Direction, bytes: usize) -> Self {
        Self::new(ms, own, What::Bytes { direction, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) })
    }

    /// Something that a hostile server or network did, in a word such as `drop`; `own` is the server or whom it was done to.
    #[must_use]
    pub fn fault(ms: u64, own: &str, word: &str) -> Self {
        Self::new(ms, own, What::Fault(word.to_owned()))
    }

    /// Something that the application of `own` did, in a word such as `initiate`.
    #[must_use]
    pub fn op(ms: u64, own: &str, word: &str) -> Self {
        Self::new(ms, own, What::Op(word.to_owned()))
    }

    /// The connection of `own` to its server changed.
    #[must_use]
    pub fn connection(ms: u64, own: &str, connection: Connection) -> Self {
        Self::new(ms, own, What::Connection(connection))
    }

    /// What should hold does not, in the words of whoever checked it.
    #[must_use]
    pub fn failure(ms: u64, own: &str, words: &str) -> Self {
        Self::new(ms, own, What::Failure(words.to_owned()))
    }

    /// The line with this peer.
    #[must_use]
    pub fn with_peer(self, peer: &str) -> Self {
        Self { peer: Some(peer.to_owned()), ..self }
    }

    /// The line with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Parameter>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// What happened, in a few words.
    #[must_use]
    pub fn label(&self) -> String {
        let words = match &self.what {
            What::Stanza { stanza, .. } => stanza.label(),
            What::Bytes { bytes, .. } => format!("{bytes} bytes"),
            What::Event { event, stanza, end } => {
                let name = event.replace('_', " ");
                match (stanza, end) {
                    (Some(stanza), _) => format!("{name}: {}", stanza.label()),
                    (None, Some(end)) => format!("{name} by {}: {}", end.by, end.reason),
                    (None, None) => name,
                }
            }
            What::Fault(word) | What::Op(word) | What::Failure(word) => word.clone(),
            What::Connection(connection) => connection.as_str().to_owned(),
            What::Other => "?".to_owned(),
        };
        self.parameters.iter().fold(words, |words, (name, value)| format!("{words}, {name} {value}"))
    }
}

impl Connection {
    /// The word for it, as the trace has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => word.fmt(f),
        }
    }
}

impl From<u64> for Parameter {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Parameter {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl From<String> for Parameter {
    fn from(word: String) -> Self {
        Self::Word(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_happened_with_its_parameters() {
        for (line, label) in [
            (
                Line::fault(1, "server", "delay").with("ms", 500).with("of", "ibb data 3"),
                "delay, ms 500, of ibb data 3",
            ),
            (Line::op(1, "a@x/1", "initiate").with_peer("b@x/2"), "initiate"),
            (Line::bytes(1, "a@x/1", Direction::In, 517), "517 bytes"),
            (Line::connection(1, "a@x/1", Connection::Resumed), "resumed"),
            (Line::failure(1, "a@x/1", "closed twice"), "closed twice"),
        ] {
            assert_eq!(line.label(), label);
        }
    }

    #[test]
    fn what_is_no_xml_has_no_line() {
        assert_eq!(Line::stanza_text(0, "a@x/1", Direction::In, "<iq"), None);
    }
}
