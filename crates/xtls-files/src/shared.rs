//! What all sessions with the peer share.

use std::collections::VecDeque;

use xtls_jingle::JingleVersion;
use xtls_stanza::{Envelope, Id, Ids, Iq, IqType, StanzaError, jid::FullJid, write};

use crate::{FileEvent, FilesConfig, PeerFeatures};

pub(crate) struct Shared {
    pub(crate) own: FullJid,
    pub(crate) peer: FullJid,
    pub(crate) to_peer: Envelope,
    pub(crate) ids: Ids,
    pub(crate) config: FilesConfig,
    pub(crate) events: VecDeque<FileEvent>,
    /// Stanzas to send, before all data.
    pub(crate) out: VecDeque<String>,
    pub(crate) features: Option<PeerFeatures>,
    /// The peer did not say what it knows.
    pub(crate) is_silent: bool,
}

impl Shared {
    pub(crate) fn tell(&mut self, event: FileEvent) {
        self.events.push_back(event);
    }

    /// Queues an IQ of type set with a `<jingle/>` of this action, and returns its id.
    pub(crate) fn say(&mut self, sid: &str, action: &str, body: impl FnOnce(&mut String, &Self)) -> Id {
        let id = self.ids.next_id();
        let mut out = String::new();
        self.to_peer.write_start(&mut out, IqType::Set, id.as_str());
        out.push_str("<jingle");
        write::attribute(&mut out, "xmlns", JingleVersion::Jingle1.ns());
        write::attribute(&mut out, "action", action);
        // XEP-0166 § 7.1: who began and who answers is said by the first message of each.
        match action {
            "session-initiate" => write::attribute(&mut out, "initiator", self.own.as_str()),
            "session-accept" => write::attribute(&mut out, "responder", self.own.as_str()),
            _ => {}
        }
        write::attribute(&mut out, "sid", sid);
        out.push('>');
        body(&mut out, self);
        out.push_str("</jingle></iq>");
        self.out.push_back(out);
        id
    }

    pub(crate) fn answer(&mut self, id: &str) {
        let mut out = String::new();
        self.to_peer.write_result(&mut out, id);
        self.push_answer(out);
    }

    pub(crate) fn refuse(&mut self, id: &str, error: &StanzaError) {
        let mut out = String::new();
        Iq::write_error(&mut out, id, self.peer.as_str(), None, error);
        self.push_answer(out);
    }

    pub(crate) fn push_answer(&mut self, answer: String) {
        if self.out.len() < FilesConfig::MAX_ANSWERS {
            self.out.push_back(answer);
        }
    }
}
