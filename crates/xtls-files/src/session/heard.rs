//! What the peer says in a session.

use xtls_jingle::{Action, Content, Jingle, JingleFault, JingleVersion, Role, Senders, Transport};
use xtls_stanza::{Condition, ElementRef, Instant, StanzaError, ns as xmpp};

use super::{Phase, Session, carrier::Carrier};
use crate::{
    FileEnd, FileEvent, FileId, FileRange, FileRequest, FilesConfig,
    element::{BadFile, FileElement},
    ns,
    shared::Shared,
};

/// Why a session-initiate becomes no session.
pub(crate) enum Refusal {
    /// It is answered with an error.
    Error(StanzaError),
    /// It is answered, and the session is ended (XEP-0166 § 6.3.1).
    End(FileEnd),
}

/// Requests of ours that may be unanswered for a peer to have one more rejected.
const MAX_WAITING: usize = 16;

type Heard = Result<(), StanzaError>;

/// Reads a session-initiate of the peer's that is for a file.
pub(crate) fn offered(
    id: FileId,
    jingle: &Jingle,
    element: ElementRef<'_>,
    config: &FilesConfig,
) -> Result<(Session, FileEvent), Refusal> {
    let mut contents = jingle.contents.iter().zip(content_elements(element));
    let first = contents.next().ok_or_else(|| Refusal::Error(bad("no content")))?;
    if contents.next().is_some() {
        // A session has one file here.
        return Err(Refusal::End(FileEnd::Busy));
    }
    let (content, within) = first;
    let sends = match content.senders {
        // XEP-0234 § 4.1: who sends MUST be said, and is one of the two.
        Senders::Initiator => false,
        Senders::Responder => true,
        // Some leave it out in an offer.
        Senders::Both if within.attribute("senders").is_none() => false,
        Senders::Both | Senders::None | _ => return Err(Refusal::Error(bad("nobody, or both, would send the file"))),
    };
    let name = content.name.as_deref().ok_or_else(|| Refusal::Error(bad("a content without a name")))?;
    let said = described(within, config).map_err(|BadFile(why)| Refusal::Error(not_acceptable(why)))?;
    let (transport, transport_element) = transport(content, within).map_err(Refusal::Error)?;
    let carrier = Carrier::offered(transport, transport_element, config);
    let carrier = carrier.ok_or(Refusal::End(FileEnd::UnsupportedTransport))?;
    let range = said.range.as_ref().map(|(range, _)| *range).unwrap_or_default();
    // XEP-0234 § 5: a selector, or an offer, says something about the file.
    let wanted = FileRequest { file: said.info, range, contents: said.contents };
    let mut session = Session::new(id, jingle.sid.clone(), Role::Responder, sends, Phase::Ringing, wanted.clone());
    session.content = name.to_owned();
    session.carrier = carrier;
    session.check.peer_checks = said.check.is_some();
    let event = if sends {
        session.check.wanted = said.check.filter(|check| check.length.is_some_and(|length| length > 0));
        if !is_before(session.check.wanted, range) {
            return Err(Refusal::Error(bad("a check of what does not stand before the range")));
        }
        let check = session.check.wanted;
        FileEvent::Requested { id, wanted, check }
    } else {
        if wanted.file.size.is_some() && range.end(wanted.file.size).is_none() {
            return Err(Refusal::End(FileEnd::BadRange));
        }
        FileEvent::Offered { id, file: wanted.file, range }
    };
    Ok((session, event))
}

impl Session {
    /// A request of Jingle's for this session; the error that answers it, or else it is acknowledged.
    pub(crate) fn hear(
        &mut self,
        jingle: &Jingle,
        element: ElementRef<'_>,
        now: Instant,
        shared: &mut Shared,
    ) -> Heard {
        if self.peer_is_done {
            return Err(JingleFault::UnknownSession.stanza_error(JingleVersion::Jingle1));
        }
        match jingle.action {
            Action::SessionAccept => self.hear_accept(jingle, element, now, shared),
            Action::SessionTerminate => {
                self.hear_end(FileEnd::read(element.child("reason", xmpp::JINGLE)));
                Ok(())
            }
            Action::SessionInfo => self.hear_info(element, now, shared),
            // XEP-0166 § 7.2.3 f.: what is added is rejected.
            Action::ContentAdd | Action::TransportReplace if self.waiting.len() >= MAX_WAITING => {
                Err(JingleFault::Busy("too much that was rejected is not answered")
                    .stanza_error(JingleVersion::Jingle1))
            }
            Action::ContentAdd => {
                let names = jingle
                    .contents
                    .iter()
                    .map(|content| (content.name.clone().unwrap_or_default(), content.creator.as_str()));
                let names: Vec<_> = names.collect();
                self.say_content_reject(&names, now, shared);
                Ok(())
            }
            Action::TransportAccept | Action::TransportReject if self.phase == Phase::Replacing => {
                self.hear_replaced(jingle, element, now, shared)
            }
            Action::TransportReplace => self.hear_replacement(jingle, element, now, shared),
            // XEP-0234 § 6.5: without its only content the session MUST be terminated.
            Action::ContentRemove | Action::ContentReject if self.is_about_the_file(&jingle.contents) => {
                let end = FileEnd::read(element.child("reason", xmpp::JINGLE));
                let end = if jingle.reason.is_some() { end } else { FileEnd::Cancelled };
                self.say_terminate(end, now, shared);
                self.hear_end(end);
                Ok(())
            }
            Action::SessionInitiate => Err(out_of_order("the session exists")),
            Action::ContentAccept
            | Action::ContentModify
            | Action::ContentReject
            | Action::ContentRemove
            | Action::DescriptionInfo
            | Action::SecurityInfo
            | Action::TransportAccept
            | Action::TransportInfo
            | Action::TransportReject
            | _ => Err(out_of_order("a file cannot be changed once it is offered")),
        }
    }

    /// The answer to one of our requests; whether it was one.
    pub(crate) fn answered(&mut self, id: &str, error: Option<&StanzaError>) -> bool {
        let Some(at) = self.waiting.iter().position(|(own, ..)| own == id) else { return false };
        let (_, action, _) = self.waiting.remove(at);
        let Some(error) = error else { return true };
        if matches!(action, "session-initiate" | "session-accept") {
            let known = [
                (Condition::FeatureNotImplemented, FileEnd::Unsupported),
                (Condition::ServiceUnavailable, FileEnd::Unsupported),
                (Condition::ResourceConstraint, FileEnd::Busy),
                (Condition::ItemNotFound, FileEnd::Cancelled),
            ];
            let meant = known.iter().find(|(condition, _)| *condition == error.condition).map(|(_, end)| *end);
            let end = meant.unwrap_or(FileEnd::Protocol("the peer refused what we said of the file"));
            self.ended.get_or_insert((end, true));
        }
        // XEP-0234 § 8: the others are told, and need not be understood.
        true
    }

    fn hear_accept(&mut self, jingle: &Jingle, element: ElementRef<'_>, now: Instant, shared: &mut Shared) -> Heard {
        if self.phase != Phase::Offered {
            return Err(out_of_order("nothing was offered that could be accepted"));
        }
        let (content, within) = only(jingle, element)?;
        if !self.is_about_the_file(&jingle.contents) {
            return Err(bad("an acceptance of another content than was offered"));
        }
        let said = described(within, &shared.config).map_err(|BadFile(why)| not_acceptable(why))?;
        let (transport, transport_element) = transport(content, within)?;
        self.carrier.agree(transport, transport_element).map_err(not_acceptable)?;
        if self.sends {
            self.hear_wanted(&said, now, shared)
        } else {
            self.hear_granted(said, now, shared)
        }
        Ok(())
    }

    /// The peer takes our offer, and says which part it wants.
    fn hear_wanted(&mut self, said: &FileElement, now: Instant, shared: &mut Shared) {
        let range = said.range.as_ref().map(|(range, _)| *range).unwrap_or_default();
        let wanted = said.check.filter(|check| check.length.is_some_and(|length| length > 0));
        let (Some(end), true) = (range.end(self.file.size), is_before(wanted, range)) else {
            return self.end(FileEnd::BadRange, now, shared);
        };
        self.range = FileRange::new(range.offset, end - range.offset);
        self.check.peer_checks = wanted.is_some();
        // Who does not ask for a check compares the whole in the end: for that its beginning is hashed too.
        self.check.wanted = wanted.or_else(|| (range.offset > 0).then(|| FileRange::new(0, range.offset)));
        let check = self.check.wanted;
        match check {
            Some(_) => self.phase = Phase::Starting,
            None => self.begin_sending(now, shared),
        }
        shared.tell(FileEvent::Accepted { id: self.id, range: self.range, check });
        self.run(shared);
    }

    /// The peer sends what we asked for.
    fn hear_granted(&mut self, said: FileElement, now: Instant, shared: &mut Shared) {
        let asked = &self.file;
        let differs = |own: Option<u64>, said: Option<u64>| own.zip(said).is_some_and(|(own, said)| own != said);
        let other_hash = asked.hash.is_some_and(|own| said.hashes.value(own.algo()).is_some_and(|said| said != own));
        if differs(asked.size, said.info.size) || other_hash {
            return self.end(FileEnd::Protocol("another file than the one that was asked for"), now, shared);
        }
        let range = said.range.as_ref().map_or(self.range, |(range, _)| *range);
        if range.offset != self.range.offset || differs(self.range.length, range.length) {
            return self.end(FileEnd::Protocol("another part than the one that was asked for"), now, shared);
        }
        let size = if self.contents { None } else { said.info.size.or(asked.size) };
        if size.is_some() && range.end(size).is_none() {
            return self.end(FileEnd::BadRange, now, shared);
        }
        let length = self.range.length.or(range.length).or_else(|| Some(range.end(size)? - range.offset));
        let hash = asked.hash.or(said.info.hash);
        let hash_algo = hash.map(|hash| hash.algo()).or(said.info.hash_algo);
        self.range.length = length;
        self.check.peer_checks = said.check.is_some();
        self.file = crate::FileInfo { hash, hash_algo, size: said.info.size.or(asked.size), ..said.info };
        shared.tell(FileEvent::Granted { id: self.id, file: self.file.clone() });
        self.run(shared);
    }

    /// The answer to our transport-replace.
    fn hear_replaced(&mut self, jingle: &Jingle, element: ElementRef<'_>, now: Instant, shared: &mut Shared) -> Heard {
        if jingle.action == Action::TransportReject {
            self.end(FileEnd::UnsupportedTransport, now, shared);
            return Ok(());
        }
        let (content, within) = only(jingle, element)?;
        let (transport, transport_element) = transport(content, within)?;
        self.carrier.agree(transport, transport_element).map_err(not_acceptable)?;
        self.agree(now, shared);
        Ok(())
    }

    /// The peer wants another way for the bytes: a bytestream before anything is agreed, and nothing else.
    fn hear_replacement(
        &mut self,
        jingle: &Jingle,
        element: ElementRef<'_>,
        now: Instant,
        shared: &mut Shared,
    ) -> Heard {
        let (content, within) = only(jingle, element)?;
        let (transport, transport_element) = transport(content, within)?;
        let is_open = matches!(self.phase, Phase::Ringing | Phase::Replacing);
        match Carrier::offered(transport, transport_element, &shared.config) {
            // XEP-0166 § 7.2.16: of two that cross, that of the initiator stands, and we are not that here.
            Some(carrier) if is_open && !carrier.is_none() && carrier.tunnel_sid().is_none() => {
                self.carrier = carrier;
                self.say_transport("transport-accept", now, shared);
                if self.phase == Phase::Replacing {
                    self.agree(now, shared);
                }
            }
            Some(_) | None => self.say_transport_reject(transport, now, shared),
        }
        Ok(())
    }

    fn hear_info(&mut self, element: ElementRef<'_>, now: Instant, shared: &mut Shared) -> Heard {
        let Some(payload) = element.children().find(|child| child.ns() != xmpp::JINGLE) else {
            // XEP-0166 § 6.8: a ping.
            return Ok(());
        };
        if !payload.is("checksum", ns::FILE_TRANSFER) && !payload.is("received", ns::FILE_TRANSFER) {
            return Err(JingleFault::UnsupportedInfo.stanza_error(JingleVersion::Jingle1));
        }
        // XEP-0234 § 8: they SHOULD say which content they are about. There is but one, whoever is said to have made it.
        if payload.attribute("name").is_some_and(|name| name != self.content) {
            return Err(StanzaError::new(Condition::ItemNotFound).with_text("no content of this name"));
        }
        if payload.name() == "checksum" {
            return self.hear_checksum(payload, now, shared);
        }
        if !self.sends || matches!(self.phase, Phase::Asking | Phase::Offered | Phase::Ringing | Phase::Replacing) {
            return Err(out_of_order("nothing was sent that could have been received"));
        }
        if self.phase != Phase::Sent {
            self.end(FileEnd::Protocol("received before all was sent"), now, shared);
            return Ok(());
        }
        if !self.received {
            self.received = true;
            shared.tell(FileEvent::Received { id: self.id });
        }
        Ok(())
    }

    fn hear_checksum(&mut self, checksum: ElementRef<'_>, now: Instant, shared: &mut Shared) -> Heard {
        if self.sends || matches!(self.phase, Phase::Asking) {
            return Err(out_of_order("a checksum from who does not send the file"));
        }
        let said = FileElement::of(checksum, &shared.config).map_err(|BadFile(why)| bad(why))?;
        // § 8.2: there MUST be at least one of them.
        if !said.hashes.any && !said.range.as_ref().is_some_and(|(_, hashes)| hashes.any) {
            return Err(bad("a checksum without a hash"));
        }
        if matches!(self.phase, Phase::Agreed) {
            return Ok(());
        }
        if let Err(end) = self.check.hear(&said, &mut self.file, self.range) {
            self.end(end, now, shared);
        }
        Ok(())
    }

    /// The peer has ended the session.
    fn hear_end(&mut self, end: FileEnd) {
        let end = match (end, self.phase) {
            // It saw the file through, and so do we: XEP-0234 § 6.6 lets either end it.
            (FileEnd::Success, Phase::Agreed) => {
                self.peer_is_done = true;
                return;
            }
            (FileEnd::Success, Phase::Sent) => FileEnd::Success,
            (FileEnd::Success, Phase::Running) if !self.sends && self.is_complete() && !self.check.is_unchecked() => {
                // All is here and not read yet, unless its hash was never told.
                self.peer_is_done = self.check.compare(&self.file).is_some();
                if self.peer_is_done {
                    return;
                }
                FileEnd::NoHash
            }
            (FileEnd::Success, _) if self.sends => FileEnd::Protocol("success before all was sent"),
            (FileEnd::Success, _) => FileEnd::TooShort,
            (end, _) => end,
        };
        self.ended.get_or_insert((end, true));
    }

    /// Whether these contents are the one of this session, by its name.
    fn is_about_the_file(&self, contents: &[Content]) -> bool {
        // XEP-0166 § 7.3 wants a name; who leaves it out can mean no other.
        matches!(contents, [content] if content.name.as_deref().is_none_or(|name| name == self.content))
    }
}

/// What is to be checked stands right before what is wanted.
fn is_before(check: Option<FileRange>, range: FileRange) -> bool {
    check.is_none_or(|check| check.end(None) == Some(range.offset))
}

fn content_elements(jingle: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    jingle.children().filter(|child| child.is("content", xmpp::JINGLE))
}

/// The one content that a request is about.
fn only<'j, 'e>(jingle: &'j Jingle, element: ElementRef<'e>) -> Result<(&'j Content, ElementRef<'e>), StanzaError> {
    let mut contents = jingle.contents.iter().zip(content_elements(element));
    match (contents.next(), contents.next()) {
        (Some(content), None) => Ok(content),
        _ => Err(bad("another number of contents than one")),
    }
}

fn transport<'c, 'e>(
    content: &'c Content,
    element: ElementRef<'e>,
) -> Result<(&'c Transport, ElementRef<'e>), StanzaError> {
    let said = content.transport.as_ref().zip(element.children().find(|child| child.name() == "transport"));
    said.ok_or_else(|| bad("a content without a transport"))
}

fn described(content: ElementRef<'_>, config: &FilesConfig) -> Result<FileElement, BadFile> {
    let description = content.child("description", ns::FILE_TRANSFER).ok_or(BadFile("no file is described"))?;
    FileElement::of(description, config)
}

fn bad(why: &'static str) -> StanzaError {
    JingleFault::Malformed(why).stanza_error(JingleVersion::Jingle1)
}

fn not_acceptable(why: &'static str) -> StanzaError {
    JingleFault::NotAcceptable(why).stanza_error(JingleVersion::Jingle1)
}

fn out_of_order(why: &'static str) -> StanzaError {
    JingleFault::OutOfOrder(why).stanza_error(JingleVersion::Jingle1)
}
