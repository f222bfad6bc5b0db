//! Whose a stanza is.

use xtls_ibb::Request;
use xtls_jingle::{Action, Jingle};
use xtls_stanza::{Condition, DiscoInfo, Element, ElementRef, Instant, Iq, IqType, StanzaError, jid::Jid, ns as xmpp};

use super::Files;
use crate::{
    FileEnd, FileEvent, FileId, PeerFeatures, features, ns,
    session::{Refusal, offered},
};

impl Files {
    /// Takes a stanza that came inside of the stream. False: it is not for files, and the application's.
    pub fn handle_stanza(&mut self, now: Instant, stanza: &Element) -> bool {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return false };
        // Inside of the stream there is nobody but the peer: another address is of no file.
        if !iq.from.is_none_or(|from| Jid::new(from).is_ok_and(|from| from == *self.shared.peer)) {
            return false;
        }
        match (iq.iq_type, iq.payload) {
            (IqType::Get, Some(payload)) => self.handle_get(iq.id, payload),
            (IqType::Set, Some(payload)) if payload.ns() == xmpp::IBB => self.handle_block(now, iq.id, payload),
            (IqType::Set, Some(payload)) if payload.is("jingle", xmpp::JINGLE) => {
                self.handle_jingle(now, iq.id, payload)
            }
            (IqType::Result | IqType::Error, payload) => self.handle_answer(now, &iq, payload),
            _ => false,
        }
    }

    fn handle_get(&mut self, id: &str, payload: ElementRef<'_>) -> bool {
        let is_ours = self.shared.config.answers_disco
            && payload.is("query", xmpp::DISCO_INFO)
            && payload.attribute("node").is_none();
        if is_ours {
            let mut out = String::new();
            let info = features::own(&self.shared.config);
            info.write_result(&mut out, id, self.shared.peer.as_str(), None, None);
            self.shared.push_answer(out);
        }
        is_ours
    }

    fn handle_block(&mut self, now: Instant, id: &str, payload: ElementRef<'_>) -> bool {
        let Some(Ok(request)) = Request::parse(payload) else { return false };
        let sid = request.sid();
        let found = self.sessions.values().find(|session| session.has_bytestream(sid)).map(|session| session.id);
        let Some(found) = found else {
            let was_ours = self.old.iter().any(|old| old == sid);
            if was_ours {
                self.shared.refuse(id, &StanzaError::new(Condition::ItemNotFound));
            }
            return was_ours;
        };
        self.with(found, |session, shared| session.take_block(id, &request, now, shared));
        self.settle(found, true, now);
        true
    }

    fn handle_answer(&mut self, now: Instant, iq: &Iq<'_>, payload: Option<ElementRef<'_>>) -> bool {
        let error = iq.error();
        if self.asked.is_some_and(|asked| asked == *iq.id) {
            self.asked = None;
            let info = payload.filter(|_| error.is_none()).and_then(DiscoInfo::parse);
            // Who refuses to say anything, or says too much, is asked for what everybody knows.
            self.shared.is_silent = !matches!(info, Some(Ok(_)));
            if let Some(Ok(info)) = info {
                self.shared.features = Some(PeerFeatures::of(&info));
                self.shared.tell(FileEvent::FeaturesKnown);
            }
            for id in self.ids() {
                self.with(id, |session, shared| session.ask(now, shared));
                self.settle(id, false, now);
            }
            return true;
        }
        for id in self.ids() {
            let mut is_ours = false;
            self.with(id, |session, shared| {
                is_ours = session.answered(iq.id, error.as_ref())
                    || match &error {
                        Some(error) => session.block_refused(iq.id, error, now, shared),
                        None => session.block_acked(iq.id, now, shared),
                    };
            });
            if is_ours {
                self.settle(id, true, now);
                return true;
            }
        }
        if let Some(at) = self.late.iter().position(|late| *late == *iq.id) {
            self.late.remove(at);
            return true;
        }
        false
    }

    fn handle_jingle(&mut self, now: Instant, id: &str, element: ElementRef<'_>) -> bool {
        let known = element
            .attribute("sid")
            .and_then(|sid| self.sessions.values().find(|session| session.sid == sid).map(|session| session.id));
        let parsed = Jingle::parse(element);
        let Some(jingle) = parsed else { return false };
        let is_of_files = known.is_some() || is_about_files(element);
        let jingle = match jingle {
            Ok(jingle) => jingle,
            Err(malformed) => {
                if is_of_files {
                    self.shared.refuse(id, &malformed.stanza_error());
                }
                return is_of_files;
            }
        };
        let Some(known) = known else {
            let was_ours = self.old.iter().any(|old| *old == jingle.sid);
            if jingle.action == Action::SessionInitiate && is_of_files {
                self.handle_offer(id, &jingle, element);
            } else if was_ours || is_of_files {
                let error = xtls_jingle::JingleCondition::UnknownSession.stanza_error(jingle.version);
                self.shared.refuse(id, &error);
            } else {
                return false;
            }
            return true;
        };
        // The answer goes before what follows from the request.
        let behind = self.shared.out.split_off(0);
        let mut heard = Ok(());
        self.with(known, |session, shared| heard = session.hear(&jingle, element, now, shared));
        let follows = core::mem::replace(&mut self.shared.out, behind);
        match heard {
            Ok(()) => self.shared.answer(id),
            Err(error) => self.shared.refuse(id, &error),
        }
        self.shared.out.extend(follows);
        self.settle(known, true, now);
        true
    }

    fn handle_offer(&mut self, id: &str, jingle: &Jingle, element: ElementRef<'_>) {
        if self.count(true) >= self.shared.config.sessions_max {
            self.shared.answer(id);
            return self.refuse_session(&jingle.sid, FileEnd::Busy);
        }
        let session_id = self.next_id();
        let (session, event) = match offered(session_id, jingle, element, &self.shared.config) {
            Ok(offered) => offered,
            Err(Refusal::Error(error)) => return self.shared.refuse(id, &error),
            Err(Refusal::End(end)) => {
                self.shared.answer(id);
                return self.refuse_session(&jingle.sid, end);
            }
        };
        // Each bytestream and each tunnel has a sid of its own, and a tunnel's is never used again.
        let is_used = |sid: &str| {
            self.sessions.values().any(|session| session.carrier_sid() == Some(sid))
                || self.old.iter().any(|old| old == sid)
        };
        if session.carrier_sid().is_some_and(is_used) {
            let error = StanzaError::new(Condition::Conflict).with_text("the sid of the transport was used before");
            return self.shared.refuse(id, &error);
        }
        self.shared.answer(id);
        self.sessions.insert(session_id, session);
        self.shared.tell(event);
    }

    /// Ends a session that never became one.
    fn refuse_session(&mut self, sid: &str, end: FileEnd) {
        if self.shared.out.len() >= crate::FilesConfig::MAX_ANSWERS {
            return;
        }
        let id = self.shared.say(sid, "session-terminate", |out, _| end.write(out));
        self.late.push_back(id);
        self.old.push_back(sid.to_owned());
        super::forget(&mut self.late);
        super::forget(&mut self.old);
    }

    fn ids(&self) -> Vec<FileId> {
        self.sessions.keys().copied().collect()
    }
}

/// Whether a `<jingle/>` has anything of file transfer in it.
fn is_about_files(jingle: ElementRef<'_>) -> bool {
    let is_content = |child: &ElementRef<'_>| child.is("content", xmpp::JINGLE);
    let describes = |content: ElementRef<'_>| content.children().any(|child| child.ns() == ns::FILE_TRANSFER);
    jingle.children().any(|child| child.ns() == ns::FILE_TRANSFER)
        || jingle.children().filter(is_content).any(describes)
}
