//! One end of ours, and a peer that says whatever it is told to say.

use xtls_files::{FileEvent, FileId, FilesConfig};
use xtls_stanza::{Element, Iq, Limits};

use crate::world::{End, JULIET, ROMEO};

pub(crate) const FILE_TRANSFER: &str = "urn:xmpp:jingle:apps:file-transfer:5";

/// Juliet, and somebody in Romeo's place.
pub(crate) struct Raw {
    pub(crate) end: End,
    count: u32,
    /// What Juliet said besides answers, the oldest first.
    pub(crate) said: Vec<Element>,
}

/// What a request was answered with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is acknowledged.
    Result,
    /// The condition, and the specific one.
    Error(&'static str, Option<String>),
    /// It was taken, and there is no answer.
    None,
    /// It is left to the application.
    NotForFiles,
}

impl Raw {
    pub(crate) fn new(config: FilesConfig) -> Self {
        Self { end: End::new(JULIET, ROMEO, config), count: 0, said: Vec::new() }
    }

    /// Says an IQ of type set with this payload.
    pub(crate) fn set(&mut self, payload: &str) -> Answer {
        self.count += 1;
        let id = format!("raw{}", self.count);
        let taken = self.stanza(&format!("<iq type='set' id='{id}' from='{ROMEO}' to='{JULIET}'>{payload}</iq>"));
        if !taken {
            return Answer::NotForFiles;
        }
        let Some(at) = self.said.iter().position(|stanza| stanza.attribute("id") == Some(&id)) else {
            return Answer::None;
        };
        let answer = self.said.remove(at);
        let error = Iq::parse(&answer).unwrap().unwrap().error();
        error.map_or(Answer::Result, |error| {
            Answer::Error(error.condition.as_str(), error.specific.map(|(name, _)| name))
        })
    }

    /// Says a stanza that is a request, from whoever it is, and gives the answer.
    pub(crate) fn say(&mut self, stanza: &Element) -> Answer {
        let payload = stanza.children().next().unwrap();
        let mut written = String::new();
        payload.write_xml(&mut written, "");
        self.set(&written)
    }

    /// The same while the application does nothing.
    pub(crate) fn quiet(&mut self, stanza: &Element) -> Answer {
        let events = core::mem::take(&mut self.end.events);
        self.end.idle = true;
        let answer = self.say(stanza);
        self.end.idle = false;
        self.end.events = events;
        answer
    }

    pub(crate) fn quiet_data(&mut self, sid: &str, bytes: &[u8]) {
        let mut data = String::new();
        xtls_ibb::wire::write_data(&mut data, &format!("b{sid}"), 0, bytes);
        assert_eq!(self.quiet(&element(&format!("<iq>{data}</iq>"))), Answer::Result);
    }

    /// Says a stanza; whether it is for files.
    pub(crate) fn stanza(&mut self, xml: &str) -> bool {
        let taken = self.end.hear(&element(xml));
        self.settle();
        taken
    }

    /// The application does what is due, and what it says is noted.
    pub(crate) fn settle(&mut self) {
        self.end.act();
        self.end.say();
        self.said.extend(self.end.wire.drain(..));
    }

    pub(crate) fn jingle(&mut self, action: &str, sid: &str, body: &str) -> Answer {
        self.set(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{body}</jingle>"))
    }

    /// Offers a file, or asks for one, over an in-band bytestream whose sid is that of the session with a `b` before it.
    pub(crate) fn initiate(&mut self, sid: &str, senders: &str, file: &str) -> Answer {
        let transport = format!("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='b{sid}'/>");
        self.initiate_over(sid, senders, file, &transport)
    }

    pub(crate) fn initiate_over(&mut self, sid: &str, senders: &str, file: &str, transport: &str) -> Answer {
        let content = format!(
            "<content creator='initiator' name='c' senders='{senders}'><description xmlns='{FILE_TRANSFER}'>\
             <file>{file}</file></description>{transport}</content>"
        );
        self.jingle("session-initiate", sid, &content)
    }

    /// A session-info with this payload.
    pub(crate) fn info(&mut self, sid: &str, payload: &str) -> Answer {
        self.jingle("session-info", sid, payload)
    }

    /// A checksum of this content of `<file/>`.
    pub(crate) fn checksum(&mut self, sid: &str, file: &str) -> Answer {
        self.info(
            sid,
            &format!("<checksum xmlns='{FILE_TRANSFER}' creator='initiator' name='c'><file>{file}</file></checksum>"),
        )
    }

    pub(crate) fn open(&mut self, sid: &str) -> Answer {
        self.set(&format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='b{sid}'/>"))
    }

    pub(crate) fn data(&mut self, sid: &str, seq: u16, bytes: &[u8]) -> Answer {
        let mut data = String::new();
        xtls_ibb::wire::write_data(&mut data, &format!("b{sid}"), seq, bytes);
        self.set(&data)
    }

    pub(crate) fn close(&mut self, sid: &str) -> Answer {
        self.set(&format!("<close xmlns='http://jabber.org/protocol/ibb' sid='b{sid}'/>"))
    }

    /// The next thing that Juliet asks of the peer, which acknowledges it: the action, and all of it.
    pub(crate) fn asked(&mut self) -> Option<(String, Element)> {
        let at = self.said.iter().position(|stanza| stanza.attribute("type") == Some("set"))?;
        let stanza = self.said.remove(at);
        let payload = stanza.children().next().unwrap();
        let action = payload.attribute("action").map_or_else(|| payload.name().to_owned(), str::to_owned);
        self.answer(stanza.attribute("id").unwrap());
        Some((action, stanza))
    }

    /// Refuses to say what it knows.
    pub(crate) fn refuse_disco(&mut self) {
        let at = self.said.iter().position(|stanza| stanza.attribute("type") == Some("get")).unwrap();
        let asked = self.said.remove(at);
        let id = asked.attribute("id").unwrap();
        let error = "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
        assert!(
            self.stanza(&format!(
                "<iq type='error' id='{id}' from='{ROMEO}'><error type='cancel'>{error}</error></iq>"
            ))
        );
    }

    /// Says what it knows.
    pub(crate) fn answer_disco(&mut self, features: &[&str]) {
        let at = self.said.iter().position(|stanza| stanza.attribute("type") == Some("get")).unwrap();
        let asked = self.said.remove(at);
        let id = asked.attribute("id").unwrap();
        let features: String = features.iter().map(|feature| format!("<feature var='{feature}'/>")).collect();
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>");
        assert!(self.stanza(&format!("<iq type='result' id='{id}' from='{ROMEO}'>{query}</iq>")));
    }

    /// A block of 4096 bytes while the application does nothing.
    pub(crate) fn count_without_reading(&mut self, seq: u16) {
        let mut data = String::new();
        xtls_ibb::wire::write_data(&mut data, "bs", seq, &[0; 4096]);
        let stanza = format!("<iq type='set' id='n{seq}' from='{ROMEO}'>{data}</iq>");
        assert!(self.end.hear(&element(&stanza)));
    }

    /// Acknowledges a request of Juliet's.
    pub(crate) fn answer(&mut self, id: &str) {
        assert!(self.stanza(&format!("<iq type='result' id='{id}' from='{ROMEO}'/>")));
    }

    /// All that Juliet asked, by the names of the actions; each is acknowledged.
    pub(crate) fn actions(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.asked().map(|(action, _)| action)).collect()
    }

    /// The session that the peer began last.
    pub(crate) fn id(&self) -> FileId {
        let mut ids = self.end.events.iter().filter_map(|event| match event {
            FileEvent::Offered { id, .. } | FileEvent::Requested { id, .. } => Some(*id),
            _ => None,
        });
        ids.next_back().unwrap()
    }
}

pub(crate) fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}
