//! Lines as JSON, one object a line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::line::{Connection, Direction, End, Line, Parameter, What};
use crate::stanza::Stanza;

/// Why something is no line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineError {
    /// Which one, counted from 1.
    pub number: usize,
    /// What is wrong with it.
    pub message: String,
}

impl Line {
    /// The line as a JSON object, without a line break.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        // Only the names of parameters could fail, and these are strings; memory does not.
        let written = serde_json::to_writer(&mut text, &Written::of(self));
        debug_assert!(written.is_ok(), "{written:?}");
        String::from_utf8(text).unwrap_or_default()
    }

    /// Writes the line, with its line break.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        out.write_all((self.to_json() + "\n").as_bytes())
    }

    /// Reads a line. Members that are not known are ignored, and a line that has no other ones is [`What::Other`].
    ///
    /// # Errors
    ///
    /// When it is no JSON object, or a member that belongs to its kind is missing or of another type.
    pub fn parse(json: &str) -> Result<Self, LineError> {
        let failed = |message: String| LineError { number: 1, message };
        // What serde derives takes a list of the members' values too.
        if !json.trim_start().starts_with('{') {
            return Err(failed("it is no JSON object".to_owned()));
        }
        let read: Read = serde_json::from_str(json).map_err(|e| failed(e.to_string()))?;
        read.line().map_err(|missing| failed(format!("the member {missing} is missing")))
    }

    /// Reads a whole trace. Empty lines are skipped.
    ///
    /// # Errors
    ///
    /// For the first line that is none.
    pub fn parse_all(trace: &str) -> Result<Vec<Self>, LineError> {
        let numbered = trace.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        numbered.map(|(at, line)| Self::parse(line).map_err(|error| LineError { number: at + 1, ..error })).collect()
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is no line of a trace: {}", self.number, self.message)
    }
}

impl std::error::Error for LineError {}

/// What is written. `peer` is there always, and of a stanza all that every stanza could have.
#[derive(Serialize)]
struct Written<'a> {
    ms: u64,
    own: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<Connection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    peer: Option<&'a str>,
    #[serde(flatten)]
    stanza: Option<WrittenStanza<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(flatten)]
    end: Option<WrittenEnd<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: &'a BTreeMap<String, Parameter>,
}

#[derive(Serialize)]
struct WrittenStanza<'a> {
    stanza: &'a str,
    id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    payload: Option<&'a str>,
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<u64>,
}

#[derive(Serialize)]
struct WrittenEnd<'a> {
    by: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unacked: Option<u64>,
}

/// What is read.
#[derive(Deserialize)]
struct Read {
    ms: u64,
    own: String,
    direction: Option<Direction>,
    event: Option<String>,
    fault: Option<String>,
    op: Option<String>,
    connection: Option<Connection>,
    failure: Option<String>,
    peer: Option<String>,
    stanza: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    payload: Option<String>,
    namespace: Option<String>,
    action: Option<String>,
    seq: Option<u16>,
    block: Option<u64>,
    condition: Option<String>,
    features: Option<u64>,
    bytes: Option<u64>,
    by: Option<String>,
    reason: Option<String>,
    truncated: Option<bool>,
    unacked: Option<u64>,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
}

impl<'a> Written<'a> {
    fn of(line: &'a Line) -> Self {
        let mut written = Self {
            ms: line.ms,
            own: &line.own,
            direction: None,
            event: None,
            fault: None,
            op: None,
            connection: None,
            failure: None,
            peer: line.peer.as_deref(),
            stanza: None,
            bytes: None,
            end: None,
            parameters: &line.parameters,
        };
        match &line.what {
            What::Stanza { direction, stanza, bytes } => {
                written.direction = Some(*direction);
                written.stanza = Some(WrittenStanza::of(stanza));
                written.bytes = Some(*bytes);
            }
            What::Bytes { direction, bytes } => {
                written.direction = Some(*direction);
                written.bytes = Some(*bytes);
            }
            What::Event { event, stanza, end } => {
                written.event = Some(event);
                written.stanza = stanza.as_ref().map(WrittenStanza::of);
                written.end = end.as_ref().map(WrittenEnd::of);
            }
            What::Fault(word) => written.fault = Some(word),
            What::Op(word) => written.op = Some(word),
            What::Connection(connection) => written.connection = Some(*connection),
            What::Failure(words) => written.failure = Some(words),
            What::Other => {}
        }
        written
    }
}

impl<'a> WrittenStanza<'a> {
    fn of(stanza: &'a Stanza) -> Self {
        Self {
            stanza: &stanza.name,
            id: stanza.id.as_deref(),
            kind: stanza.kind.as_deref(),
            payload: stanza.payload.as_deref(),
            namespace: stanza.namespace.as_deref(),
            action: stanza.action.as_deref(),
            seq: stanza.seq,
            block: stanza.block,
            condition: stanza.condition.as_deref(),
            features: stanza.features,
        }
    }
}

impl<'a> WrittenEnd<'a> {
    fn of(end: &'a End) -> Self {
        Self { by: &end.by, reason: &end.reason, truncated: end.truncated, unacked: end.unacked }
    }
}

impl Read {
    /// The line, or the name of the member that it lacks.
    fn line(mut self) -> Result<Line, &'static str> {
        let what = if let Some(direction) = self.direction {
            let bytes = self.bytes.ok_or("bytes")?;
            match self.stanza() {
                Some(stanza) => What::Stanza { direction, stanza, bytes },
                None => What::Bytes { direction, bytes },
            }
        } else if let Some(event) = self.event.take() {
            let stanza = self.stanza();
            let end = match self.by.take() {
                Some(by) => Some(End {
                    by: Cow::Owned(by),
                    reason: self.reason.take().ok_or("reason")?,
                    truncated: self.truncated,
                    unacked: self.unacked,
                }),
                None => None,
            };
            What::Event { event: Cow::Owned(event), stanza, end }
        } else if let Some(word) = self.fault.take() {
            What::Fault(word)
        } else if let Some(word) = self.op.take() {
            What::Op(word)
        } else if let Some(connection) = self.connection {
            What::Connection(connection)
        } else if let Some(words) = self.failure.take() {
            What::Failure(words)
        } else {
            What::Other
        };
        Ok(Line { ms: self.ms, own: self.own, peer: self.peer, what, parameters: self.parameters })
    }

    fn stanza(&mut self) -> Option<Stanza> {
        Some(Stanza {
            name: self.stanza.take()?,
            id: self.id.take(),
            kind: self.kind.take(),
            payload: self.payload.take(),
            namespace: self.namespace.take(),
            action: self.action.take(),
            seq: self.seq,
            block: self.block,
            condition: self.condition.take(),
            features: self.features,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    const STANZA: &str = "<iq type='set' id='7' to='a@b/c'><data xmlns='http://jabber.org/protocol/ibb' sid='secret' \
                          seq='0'>c2VjcmV0</data></iq>";

    #[test]
    fn a_line_names_a_stanza_and_says_nothing_of_what_is_in_it() {
        let data = Line::stanza_text(3, "own@b/c", Direction::Out, STANZA).unwrap();
        let status = "<presence from='x@y'><status>secret</status></presence>";
        let presence = Line::stanza_text(4, "own@b/c", Direction::In, status).unwrap();
        let action = "<iq type='set'><jingle xmlns='urn:xmpp:jingle:1' sid='secret' action='secret'/></iq>";
        let action = Line::stanza_text(5, "own@b/c", Direction::In, action).unwrap();
        let text = [&data, &presence, &action].map(Line::to_json).join("\n");
        assert!(!text.contains("secret") && !text.contains("c2Vj"), "{text}");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines[0],
            serde_json::json!({
                "ms": 3, "own": "own@b/c", "direction": "out", "peer": "a@b/c", "stanza": "iq", "id": "7", "type": "set",
                "payload": "data", "namespace": "http://jabber.org/protocol/ibb", "seq": 0, "block": 6,
                "bytes": STANZA.len(),
            })
        );
        assert_eq!((&lines[1]["direction"], &lines[1]["peer"]), (&"in".into(), &"x@y".into()));
        // What every stanza could have is there, and null if this one has not.
        assert_eq!(lines[1].as_object().unwrap().get("id"), Some(&serde_json::Value::Null));
    }

    #[test]
    fn the_members_are_those_that_the_documentation_names() {
        for (line, json) in [
            (
                Line::fault(1, "server", "delay").with("ms", 5),
                r#"{"ms":1,"own":"server","fault":"delay","peer":null,"parameters":{"ms":5}}"#,
            ),
            (Line::op(2, "a@x/1", "close").with_peer("b@x/2"), r#"{"ms":2,"own":"a@x/1","op":"close","peer":"b@x/2"}"#),
            (
                Line::connection(3, "a@x/1", Connection::Suspended),
                r#"{"ms":3,"own":"a@x/1","connection":"suspended","peer":null}"#,
            ),
            (
                Line::bytes(4, "a@x", Direction::In, 517).with_peer("b@x"),
                r#"{"ms":4,"own":"a@x","direction":"in","peer":"b@x","bytes":517}"#,
            ),
            (
                Line::failure(5, "a@x/1", "closed twice"),
                r#"{"ms":5,"own":"a@x/1","failure":"closed twice","peer":null}"#,
            ),
        ] {
            assert_eq!(line.to_json(), json);
            assert_eq!(Line::parse(json), Ok(line));
        }
    }

    #[test]
    fn unknown_members_are_ignored_and_unknown_lines_are_kept() {
        let line = Line::parse(r#"{"ms":1,"own":"a","op":"close","colour":{"red":[1]}}"#);
        assert_eq!(line, Ok(Line::op(1, "a", "close")));
        assert_eq!(Line::parse(r#"{"ms":1,"own":"a","colour":1}"#), Ok(Line::new(1, "a", What::Other)));
    }

    #[test]
    fn what_is_no_line_is_told_with_its_number() {
        for (bad, says) in [
            ("{", "EOF"),
            (r#"[1,"a"]"#, "no JSON object"),
            (r#"{"own":"a","op":"x"}"#, "missing field `ms`"),
            (r#"{"ms":-1,"own":"a"}"#, "invalid value"),
            (r#"{"ms":1,"own":"a","direction":"up","bytes":1}"#, "unknown variant"),
            (r#"{"ms":1,"own":"a","direction":"in"}"#, "the member bytes is missing"),
            (r#"{"ms":1,"own":"a","event":"closed","by":"local"}"#, "the member reason is missing"),
        ] {
            let trace = format!("{}\n\n{bad}\n", Line::op(0, "a", "x").to_json());
            let error = Line::parse_all(&trace).unwrap_err();
            assert_eq!(error.number, 3);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_whole_trace_reads_back() {
        let lines = [Line::op(0, "a", "x"), Line::stanza_text(1, "a", Direction::In, STANZA).unwrap()];
        let mut trace = Vec::new();
        lines.iter().for_each(|line| line.write(&mut trace).unwrap());
        assert_eq!(Line::parse_all(std::str::from_utf8(&trace).unwrap()).unwrap(), lines);
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), any::<String>(), Just("a@b/\u{2028}\"\\\n<&\u{0}".to_owned())]
    }

    fn stanza() -> impl Strategy<Value = Stanza> {
        let names = (text(), of(text()), of(text()), of(text()), of(text()));
        let words = (of(text()), of(any::<u16>()), of(any::<u64>()), of(text()), of(any::<u64>()));
        (names, words).prop_map(|((name, id, kind, payload, namespace), (action, seq, block, condition, features))| {
            Stanza { name, id, kind, payload, namespace, action, seq, block, condition, features }
        })
    }

    fn what() -> impl Strategy<Value = What> {
        let direction = || prop_oneof![Just(Direction::In), Just(Direction::Out)];
        let end = (text(), text(), of(any::<bool>()), of(any::<u64>()))
            .prop_map(|(by, reason, truncated, unacked)| End { by: by.into(), reason, truncated, unacked });
        let connection = prop_oneof![
            Just(Connection::Online),
            Just(Connection::Offline),
            Just(Connection::Suspended),
            Just(Connection::Resumed)
        ];
        prop_oneof![
            (direction(), stanza(), any::<u64>()).prop_map(|(direction, stanza, bytes)| What::Stanza {
                direction,
                stanza,
                bytes
            }),
            (direction(), any::<u64>()).prop_map(|(direction, bytes)| What::Bytes { direction, bytes }),
            (text(), of(stanza()), of(end)).prop_map(|(event, stanza, end)| What::Event {
                event: event.into(),
                stanza,
                end
            }),
            text().prop_map(What::Fault),
            text().prop_map(What::Op),
            connection.prop_map(What::Connection),
            text().prop_map(What::Failure),
            Just(What::Other),
        ]
    }

    /// Any line.
    pub(crate) fn line() -> impl Strategy<Value = Line> {
        let words = proptest::collection::btree_map(text(), text(), 0..3);
        let numbers = proptest::collection::btree_map(text(), any::<u64>(), 0..3);
        (any::<u64>(), text(), of(text()), what(), words, numbers).prop_map(|(ms, own, peer, what, words, numbers)| {
            let mut line = Line::new(ms, &own, what);
            line.peer = peer;
            line.parameters.extend(words.into_iter().map(|(name, word)| (name, word.into())));
            line.parameters.extend(numbers.into_iter().map(|(name, number)| (name, number.into())));
            line
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(line in line()) {
            let json = line.to_json();
            prop_assert!(!json.contains('\n'), "one line: {json}");
            prop_assert_eq!(Line::parse(&json), Ok(line));
        }
    }
}
