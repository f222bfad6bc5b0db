//! Every input in every situation of a session, at either end: `states/cells.txt` has the outcomes. A test fails, and prints the table as
//! it is, where it is another one.

use std::{fmt::Write as _, time::Duration};

use xtls_files::{FileError, FileEvent, FileHasher, FileId, FileInfo, FileRange, FileRequest, FilesConfig};
use xtls_stanza::Element;

use crate::{
    raw::{Answer, FILE_TRANSFER, Raw},
    world::{hash, hasher},
};

/// One session that has come to some point, and what the peer knows of it.
struct At {
    raw: Raw,
    /// 1 is the first one that there is.
    id: FileId,
    sid: String,
    bytestream: String,
    content: &'static str,
    /// The requests of ours that are unanswered, the oldest first.
    unanswered: Vec<String>,
    /// The next block's number.
    seq: u16,
}

/// The file is these six bytes.
const FILE: &[u8] = b"abcdef";

type Situation = (&'static str, fn() -> At);
type Input = (&'static str, fn(&mut At) -> String);

const SITUATIONS: &[Situation] = &[
    ("Asking, with an offer", asking),
    ("Offered", offered),
    ("Accepted, what the peer has is to be hashed", starting),
    ("Accepted, the bytestream is being opened", || accepted(true)),
    ("Sending", sending),
    ("Sent", sent),
    ("Sent and received", || with(sent(), |at| said(&at.received()))),
    ("Requesting", requesting),
    ("Granted, the bytestream is being opened", || granted(false)),
    ("Granted and open", || granted(true)),
    ("Ringing", ringing),
    ("Replacing the transport", replacing),
    ("Taken, before the bytestream is open", || taken(b"", false)),
    ("Taken, what is here is unchecked", || taken(b"abc", true)),
    ("Receiving", || taken(b"", true)),
    ("Receiving, some is not read", || with(taken(b"", true), |at| said(&at.data(b"abc")))),
    ("All is here but the hash", || without_hash()),
    ("All is here and not read", || with(taken(b"", true), |at| said(&at.data(FILE)))),
    ("All is here, and the peer has ended it", || {
        with(taken(b"", true), |at| said(&at.data(FILE)) + &said(&at.end("success")))
    }),
    ("Agreed", agreed),
    ("Agreed, and the peer has ended it", || with(agreed(), |at| said(&at.end("success")))),
    ("Asked for", asked_for),
    ("Serving, before the bytestream is open", || serving(false)),
    ("Serving", || serving(true)),
    ("Served", || with(serving(true), Write::all)),
    ("By a tunnel, receiving, before it is open", || by_tunnel(false)),
    ("By a tunnel, receiving", || by_tunnel(true)),
    ("By a tunnel, sending, before it is open", || to_tunnel(false)),
    ("By a tunnel, sending", || to_tunnel(true)),
    ("By a tunnel, sent", || with(to_tunnel(true), |at| Write::all(at) + &at.take_tunnel())),
    ("Ended", || with(taken(b"", true), |at| said(&at.end("cancel")))),
];

const INPUTS: &[Input] = &[
    ("result", |at| at.answer(None)),
    ("error service-unavailable", |at| at.answer(Some("service-unavailable"))),
    ("error resource-constraint", |at| at.answer(Some("resource-constraint"))),
    ("session-initiate", |at| said(&at.initiate())),
    ("session-accept", |at| said(&at.accept(""))),
    ("session-accept from the third byte", |at| said(&at.accept("<range offset='3'/>"))),
    ("session-accept with a check", |at| {
        said(&at.accept("<range offset='3'/><check xmlns='urn:xtls:files:0' offset='0' length='3'/>"))
    }),
    ("session-terminate success", |at| said(&at.end("success"))),
    ("session-terminate cancel", |at| said(&at.end("cancel"))),
    ("session-terminate decline", |at| said(&at.end("decline"))),
    ("session-info ping", |at| said(&at.jingle("session-info", ""))),
    ("session-info unknown", |at| said(&at.jingle("session-info", "<x xmlns='y'/>"))),
    ("received", |at| said(&at.received())),
    ("checksum right", |at| said(&at.checksum(&hash_of(FILE)))),
    ("checksum wrong", |at| said(&at.checksum(&hash_of(b"x")))),
    ("checksum of the beginning, right", |at| {
        said(&at.checksum(&format!("<range offset='0' length='3'>{}</range>", hash_of(b"abc"))))
    }),
    ("checksum of the beginning, wrong", |at| {
        said(&at.checksum(&format!("<range offset='0' length='3'>{}</range>", hash_of(b"x"))))
    }),
    ("content-add", |at| said(&at.about("content-add", "more"))),
    ("content-remove", |at| said(&at.about("content-remove", at.content))),
    ("content-accept", |at| said(&at.about("content-accept", at.content))),
    ("content-modify", |at| said(&at.about("content-modify", at.content))),
    ("description-info", |at| said(&at.about("description-info", at.content))),
    ("transport-info", |at| said(&at.about("transport-info", at.content))),
    ("transport-replace", |at| said(&at.transport("transport-replace"))),
    ("transport-accept", |at| said(&at.transport("transport-accept"))),
    ("transport-reject", |at| said(&at.transport("transport-reject"))),
    ("open", |at| said(&at.open())),
    ("data", |at| said(&at.data(b"abc"))),
    ("data, all of it", |at| said(&at.data(FILE))),
    ("data, too much", |at| said(&at.data(b"abcdefg"))),
    ("data out of order", |at| {
        at.seq += 1;
        said(&at.data(b"abc"))
    }),
    ("close", |at| said(&at.close())),
    ("time", |at| {
        at.raw.end.pass(Duration::from_secs(100_000));
        String::new()
    }),
    ("gone", |at| {
        at.raw.end.files.handle_closed(at.raw.end.now);
        String::new()
    }),
    ("accept", |at| slip(at.raw.end.files.accept(at.raw.end.now, at.id, hasher(&[])))),
    ("accept from the third byte", |at| slip(at.raw.end.files.accept(at.raw.end.now, at.id, hasher(b"abc")))),
    ("serve", |at| slip(at.raw.end.files.serve(at.raw.end.now, at.id, FileInfo::new("f", 6), hasher(&[])))),
    ("start", |at| slip(at.raw.end.files.start(at.raw.end.now, at.id, hasher(b"abc")))),
    ("write", |at| match at.raw.end.files.write(at.raw.end.now, at.id, b"abc") {
        Ok(count) => format!("{count} taken "),
        Err(slip) => format!("{slip:?} "),
    }),
    ("read", |at| format!("{} read ", at.raw.end.files.read(at.raw.end.now, at.id, &mut Vec::new()))),
    ("stored", |at| slip(at.raw.end.files.stored(at.raw.end.now, at.id))),
    ("end", |at| slip(at.raw.end.files.end(at.raw.end.now, at.id, xtls_files::FileEnd::Failed))),
    ("tunnel opened", |at| slip(at.raw.end.files.tunnel_opened(at.raw.end.now, at.id))),
    ("tunnel failed", |at| slip(at.raw.end.files.tunnel_failed(at.raw.end.now, at.id))),
    ("tunnel finished", |at| slip(at.raw.end.files.tunnel_finished(at.raw.end.now, at.id))),
    ("tunnel bytes", |at| slip(at.raw.end.files.handle_tunnel_bytes(at.raw.end.now, at.id, b"abc"))),
    ("tunnel bytes, all of them", |at| slip(at.raw.end.files.handle_tunnel_bytes(at.raw.end.now, at.id, FILE))),
    ("tunnel polled", |at| at.take_tunnel()),
];

#[test]
fn every_input_in_every_situation() {
    let mut table = String::new();
    let mut cells = 0;
    for (situation, reach) in SITUATIONS {
        writeln!(table, "{situation}").unwrap();
        let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
        for (input, play) in INPUTS {
            let mut at = reach();
            at.settle();
            let answer = play(&mut at);
            let outcome = format!("{answer}{}", at.outcome());
            let outcome = if outcome.is_empty() { "-".to_owned() } else { outcome.trim_end().to_owned() };
            match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, inputs)) => inputs.push(input),
                None => outcomes.push((outcome, vec![input])),
            }
            cells += 1;
        }
        for (outcome, inputs) in outcomes {
            writeln!(table, "  {outcome} <- {}", inputs.join(", ")).unwrap();
        }
    }
    assert_eq!(cells, SITUATIONS.len() * INPUTS.len());
    if std::env::var_os("XTLS_WRITE_CELLS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/states/cells.txt");
        std::fs::write(path, &table).unwrap();
        return;
    }
    assert!(table == include_str!("states/cells.txt"), "another table than states/cells.txt:\n{table}");
}

fn slip(result: Result<(), FileError>) -> String {
    result.map_or_else(|slip| format!("{slip:?} "), |()| String::new())
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Result => "result ".to_owned(),
        Answer::Error(condition, None) => format!("error {condition} "),
        Answer::Error(_, Some(specific)) => format!("error {specific} "),
        Answer::None => String::new(),
        Answer::NotForFiles => "not for files ".to_owned(),
    }
}

fn hash_of(of: &[u8]) -> String {
    format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash>", hash(of).base64())
}

/// All is written.
struct Write;

impl Write {
    fn all(at: &mut At) -> String {
        assert_eq!(at.raw.end.files.write(at.raw.end.now, at.id, FILE), Ok(6));
        at.settle();
        String::new()
    }
}

impl At {
    fn new(config: FilesConfig) -> Self {
        let mut raw = Raw::new(config);
        raw.end.idle = true;
        Self { raw, id: none(), sid: "s".into(), bytestream: "bs".into(), content: "c", unanswered: Vec::new(), seq: 0 }
    }

    /// Notes what Juliet asks and leaves it unanswered; what happened is forgotten.
    fn settle(&mut self) {
        self.raw.settle();
        for stanza in core::mem::take(&mut self.raw.said) {
            if matches!(stanza.attribute("type"), Some("set" | "get")) {
                self.unanswered.push(stanza.attribute("id").unwrap().to_owned());
            }
        }
        while self.raw.end.files.poll_event().is_some() {}
    }

    /// What came of it: what she says, and what she tells the application.
    fn outcome(&mut self) -> String {
        self.raw.settle();
        let mut outcome = String::new();
        for stanza in &self.raw.said {
            write!(outcome, "{} ", action(stanza)).unwrap();
        }
        while let Some(event) = self.raw.end.files.poll_event() {
            let (name, more) = match event {
                FileEvent::Ended { end, by_peer, .. } => {
                    (format!("{end:?}"), if by_peer { " by the peer" } else { "" })
                }
                FileEvent::Checked { compared, .. } => ("Checked".to_owned(), if compared { "" } else { " nothing" }),
                other => (format!("{other:?}").split([' ', '{']).next().unwrap().to_owned(), ""),
            };
            write!(outcome, "→{name}{more} ").unwrap();
        }
        outcome
    }

    /// The oldest request of Juliet's is answered.
    fn answer(&mut self, error: Option<&str>) -> String {
        let Some(id) = (!self.unanswered.is_empty()).then(|| self.unanswered.remove(0)) else {
            return "nothing to answer ".to_owned();
        };
        let body = error.map_or(String::new(), |condition| {
            format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
        });
        let kind = if error.is_some() { "error" } else { "result" };
        let taken = self.raw.stanza(&format!("<iq type='{kind}' id='{id}'>{body}</iq>"));
        if taken { String::new() } else { "not for files ".to_owned() }
    }

    fn jingle(&mut self, action: &str, body: &str) -> Answer {
        let sid = self.sid.clone();
        self.raw.jingle(action, &sid, body)
    }

    fn initiate(&mut self) -> Answer {
        let sid = self.sid.clone();
        self.raw.initiate(&sid, "initiator", "<name>f</name>")
    }

    fn accept(&mut self, file: &str) -> Answer {
        let (content, bytestream) = (self.content, &self.bytestream);
        let body = format!(
            "<content creator='initiator' name='{content}'><description xmlns='{FILE_TRANSFER}'><file>{file}</file>\
             </description><transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{bytestream}'/></content>"
        );
        self.jingle("session-accept", &body)
    }

    fn end(&mut self, reason: &str) -> Answer {
        self.jingle("session-terminate", &format!("<reason><{reason}/></reason>"))
    }

    fn about(&mut self, action: &str, content: &str) -> Answer {
        self.jingle(action, &format!("<content creator='initiator' name='{content}'/>"))
    }

    fn transport(&mut self, action: &str) -> Answer {
        let (content, bytestream) = (self.content, &self.bytestream);
        let body = format!(
            "<content creator='initiator' name='{content}'>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{bytestream}'/></content>"
        );
        self.jingle(action, &body)
    }

    fn received(&mut self) -> Answer {
        let content = self.content;
        self.jingle(
            "session-info",
            &format!("<received xmlns='{FILE_TRANSFER}' creator='initiator' name='{content}'/>"),
        )
    }

    fn checksum(&mut self, file: &str) -> Answer {
        let content = self.content;
        let checksum = format!(
            "<checksum xmlns='{FILE_TRANSFER}' creator='initiator' name='{content}'><file>{file}</file></checksum>"
        );
        self.jingle("session-info", &checksum)
    }

    fn open(&mut self) -> Answer {
        let sid = &self.bytestream;
        let open = format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='{sid}'/>");
        self.raw.set(&open)
    }

    fn data(&mut self, bytes: &[u8]) -> Answer {
        let mut data = String::new();
        xtls_ibb::wire::write_data(&mut data, &self.bytestream, self.seq, bytes);
        self.seq += 1;
        self.raw.set(&data)
    }

    fn close(&mut self) -> Answer {
        let sid = &self.bytestream;
        let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{sid}'/>");
        self.raw.set(&close)
    }

    fn take_tunnel(&mut self) -> String {
        match self.raw.end.files.poll_tunnel(self.raw.end.now, self.id, &mut Vec::new()) {
            0 => String::new(),
            count => format!("{count} bytes "),
        }
    }

    /// The number of the session that the peer began.
    fn rung(mut self) -> Self {
        self.id = core::iter::from_fn(|| self.raw.end.files.poll_event())
            .find_map(|event| match event {
                FileEvent::Offered { id, .. } | FileEvent::Requested { id, .. } => Some(id),
                _ => None,
            })
            .unwrap();
        self
    }
}

/// The number of a session that has ended.
fn none() -> FileId {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.files.offer(raw.end.now, FileInfo::new("f", 1)).unwrap()
}

fn with(mut at: At, more: fn(&mut At) -> String) -> At {
    at.settle();
    more(&mut at);
    at
}

fn action(stanza: &Element) -> String {
    match (stanza.attribute("type"), stanza.children().next()) {
        (Some("set" | "get"), Some(payload)) if payload.name() == "jingle" => {
            let info = payload.children().next().filter(|child| child.ns() == FILE_TRANSFER);
            info.map_or_else(|| payload.attribute("action").unwrap().to_owned(), |info| info.name().to_owned())
        }
        (Some("set" | "get"), Some(payload)) => format!("<{}/>", payload.name()),
        (kind, _) => kind.unwrap().to_owned(),
    }
}

fn asking() -> At {
    let mut at = At::new(FilesConfig::default());
    at.content = "file";
    at.id = at.raw.end.files.offer(at.raw.end.now, FileInfo::new("f", 6)).unwrap();
    at
}

/// What is asked goes out, and the sids are noted.
fn went_out(mut at: At) -> At {
    at.raw.settle();
    at.raw.refuse_disco();
    let stanza = at.raw.said.remove(0);
    let jingle = stanza.children().next().unwrap();
    at.sid = jingle.attribute("sid").unwrap().to_owned();
    let content = jingle.children().next().unwrap();
    at.bytestream = content.children().nth(1).unwrap().attribute("sid").unwrap().to_owned();
    at.unanswered.push(stanza.attribute("id").unwrap().to_owned());
    at
}

fn offered() -> At {
    went_out(asking())
}

/// Our first request is answered.
fn answered(mut at: At) -> At {
    at.settle();
    assert_eq!(at.answer(None), "");
    at
}

fn starting() -> At {
    let mut at = answered(offered());
    assert_eq!(at.accept("<range offset='3'/>"), Answer::Result);
    at
}

fn accepted(whole: bool) -> At {
    let mut at = answered(offered());
    assert!(whole);
    assert_eq!(at.accept(""), Answer::Result);
    at
}

fn sending() -> At {
    // The `<open/>` is answered.
    answered(accepted(true))
}

fn sent() -> At {
    with(sending(), Write::all)
}

fn requesting() -> At {
    let mut at = At::new(FilesConfig::default());
    at.content = "file";
    let wanted = FileRequest::by_hash(hash(FILE)).with_size(6).with_range(FileRange::WHOLE);
    at.id = at.raw.end.files.request(at.raw.end.now, wanted, FileHasher::default()).unwrap();
    went_out(at)
}

fn granted(open: bool) -> At {
    let mut at = answered(requesting());
    assert_eq!(at.accept("<size>6</size>"), Answer::Result);
    if open { answered(at) } else { at }
}

fn ringing() -> At {
    let mut at = At::new(FilesConfig::default());
    let file = format!("<size>6</size><range/>{}", hash_of(FILE));
    assert_eq!(at.raw.initiate("s", "initiator", &file), Answer::Result);
    at.rung()
}

fn replacing() -> At {
    let mut at = At::new(FilesConfig::default());
    let transport = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='x'/>";
    assert_eq!(at.raw.initiate_over("s", "initiator", "<size>6</size>", transport), Answer::Result);
    let mut at = at.rung();
    at.raw.end.files.accept(at.raw.end.now, at.id, hasher(&[])).unwrap();
    at.raw.settle();
    let stanza = at.raw.said.remove(0);
    let content = stanza.children().next().unwrap().children().next().unwrap();
    at.bytestream = content.children().next().unwrap().attribute("sid").unwrap().to_owned();
    answered_with(at, &stanza)
}

fn answered_with(mut at: At, stanza: &Element) -> At {
    at.unanswered.push(stanza.attribute("id").unwrap().to_owned());
    answered(at)
}

/// Juliet takes it, has this of it, and the bytestream is open or not.
fn taken(has: &[u8], open: bool) -> At {
    let mut at = At::new(FilesConfig::default());
    let file = format!("<size>6</size><range/>{}<check xmlns='urn:xtls:files:0'/>", hash_of(FILE));
    assert_eq!(at.raw.initiate("s", "initiator", &file), Answer::Result);
    took(at.rung(), has, open)
}

fn took(mut at: At, has: &[u8], open: bool) -> At {
    at.raw.end.files.accept(at.raw.end.now, at.id, hasher(has)).unwrap();
    let mut at = answered(at);
    if open {
        assert_eq!(at.open(), Answer::Result);
    }
    at
}

fn without_hash() -> At {
    let mut at = At::new(FilesConfig::default());
    let file = "<size>6</size><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>";
    assert_eq!(at.raw.initiate("s", "initiator", file), Answer::Result);
    let mut at = took(at.rung(), b"", true);
    assert_eq!(at.data(FILE), Answer::Result);
    assert_eq!(at.raw.end.files.read(at.raw.end.now, at.id, &mut Vec::new()), 6);
    at
}

fn agreed() -> At {
    let mut at = taken(b"", true);
    assert_eq!(at.data(FILE), Answer::Result);
    assert_eq!(at.raw.end.files.read(at.raw.end.now, at.id, &mut Vec::new()), 6);
    at
}

fn asked_for() -> At {
    let mut at = At::new(FilesConfig::default());
    assert_eq!(at.raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    at.rung()
}

fn serving(open: bool) -> At {
    let mut at = asked_for();
    at.raw.end.files.serve(at.raw.end.now, at.id, FileInfo::new("f", 6), hasher(&[])).unwrap();
    let mut at = answered(at);
    if open {
        assert_eq!(at.open(), Answer::Result);
    }
    at
}

fn tunnelled(senders: &str) -> At {
    let mut config = FilesConfig::default();
    config.tunnels = true;
    let mut at = At::new(config);
    let transport = "<transport xmlns='urn:xtls:jingle:transports:tunnel:0' sid='t'/>";
    let file = format!("<name>f</name><size>6</size>{}", hash_of(FILE));
    assert_eq!(at.raw.initiate_over("s", senders, &file, transport), Answer::Result);
    at.rung()
}

fn by_tunnel(open: bool) -> At {
    let mut at = took(tunnelled("initiator"), b"", false);
    if open {
        at.raw.end.files.tunnel_opened(at.raw.end.now, at.id).unwrap();
    }
    at
}

fn to_tunnel(open: bool) -> At {
    let mut at = tunnelled("responder");
    at.raw.end.files.serve(at.raw.end.now, at.id, FileInfo::new("f", 6), hasher(&[])).unwrap();
    let mut at = answered(at);
    if open {
        at.raw.end.files.tunnel_opened(at.raw.end.now, at.id).unwrap();
    }
    at
}
