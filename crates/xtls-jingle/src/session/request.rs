//! What a session does with the requests of its peer.

use super::{Role, Session, SessionEvent, SessionState};
use crate::{Action, Content, Creator, Jingle, JingleFault};

impl Session {
    /// Takes a request of the peer. It is acknowledged with an empty result; the event, if any, says what it brought.
    ///
    /// # Errors
    ///
    /// When it cannot be taken: it is answered with [`JingleFault::stanza_error`], and the session is as it was before.
    pub fn handle_request(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        // XEP-0166 § 6.7: whatever comes after the end MUST be answered unknown-session.
        // What comes in another namespace is about another session: this one is carried on in its own.
        if self.state == SessionState::Ended || request.sid != self.sid || request.version != self.version {
            return Err(JingleFault::UnknownSession);
        }
        match request.action {
            Action::SessionInitiate => Err(JingleFault::OutOfOrder("the session exists")),
            Action::SessionAccept => self.session_accept(request).map(Some),
            Action::SecurityInfo => self.security_info(request),
            Action::SessionInfo if is_ping(request) => Ok(None),
            Action::SessionInfo if self.takes_receipt(request) => Ok(request.proof().map(SessionEvent::Receipt)),
            // XEP-0166 § 6.8: informational messages that are not understood MUST be answered so.
            Action::SessionInfo | Action::DescriptionInfo => Err(JingleFault::UnsupportedInfo),
            Action::TransportInfo => self.transport_info_of(request),
            Action::SessionTerminate => {
                self.end();
                Ok(Some(SessionEvent::Terminated(request.reason.clone())))
            }
            // They answer what a session never asks for.
            Action::ContentAccept | Action::ContentReject => Err(JingleFault::OutOfOrder("no content-add was sent")),
            Action::TransportAccept => self.transport_accept(request),
            Action::TransportReject => self.transport_reject(request),
            Action::ContentAdd => self.content_add(request),
            Action::ContentModify => self.content_modify(request),
            Action::ContentRemove => self.content_remove(request),
            Action::TransportReplace => self.transport_replace(request),
        }
    }

    fn session_accept(&mut self, request: &Jingle) -> Result<SessionEvent, JingleFault> {
        if self.role != Role::Initiator {
            return Err(JingleFault::OutOfOrder("only the responder accepts"));
        }
        if self.state != SessionState::Pending {
            return Err(JingleFault::OutOfOrder("the session is accepted"));
        }
        let content = self.content_of(request)?;
        if content.name.is_none() {
            return Err(JingleFault::Malformed("a content without a name"));
        }
        // § 7.2.8: it accepts contents of the disposition "session" and no others.
        if !content.is_session() {
            return Err(JingleFault::Malformed("a content whose disposition is not session"));
        }
        // § 7.2.8: each content MUST contain one description and one transport.
        let (Some(description), Some(transport)) = (&content.description, &content.transport) else {
            return Err(JingleFault::Malformed("a content without description or transport"));
        };
        if !description.is_same_application(&self.offer.description) {
            return Err(JingleFault::NotAcceptable("another application than was offered"));
        }
        let (transport, socks5) = self.answered_transport(transport)?;
        self.answer_transport = Some(transport.ns());
        self.transport = transport;
        self.answer = content.xtls().cloned();
        self.receipts = self.offer.receipts && request.receipt.is_some();
        self.answer_creator = content.creator;
        self.answer_application =
            (description.ns() != self.offer.description.ns()).then(|| description.ns().to_owned());
        self.state = SessionState::Active;
        Ok(SessionEvent::Accepted { security: self.answer.clone(), socks5 })
    }

    /// The initiator's choice. The first that is acknowledged stands; the same again is harmless.
    fn security_info(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        if self.role != Role::Responder {
            return Err(JingleFault::OutOfOrder("only the initiator chooses the method"));
        }
        let Some(said) = self.content_of(request)?.xtls() else {
            return Err(JingleFault::Malformed("security-info without a security precondition of XTLS"));
        };
        if said.is_empty() {
            return Err(JingleFault::Malformed("security-info without a known method"));
        }
        let mut possible = said.methods.iter().copied().filter(|method| self.is_offered_by_both(*method));
        let method = possible.next().ok_or(JingleFault::OutOfOrder("a method that not both ends offered"))?;
        if possible.next().is_some() {
            // It says no more than the offers did. Nothing is chosen: the first bytes of TLS will tell.
            return if self.dialect.several_methods {
                Ok(None)
            } else {
                Err(JingleFault::Malformed("security-info with several possible methods"))
            };
        }
        match self.method {
            Some(chosen) if chosen != method => Err(JingleFault::OutOfOrder("another method was chosen already")),
            Some(_) => Ok(None),
            None => {
                self.method = Some(method);
                // Before the session is accepted the choice is only noted: our own answer may still exclude it.
                Ok((self.state == SessionState::Active).then_some(SessionEvent::MethodChosen(method)))
            }
        }
    }

    /// The one content of a request, which must be that of the session. Where the dialect allows it, a name may be missing,
    /// and an answer may name the responder as its creator.
    pub(super) fn content_of<'a>(&self, request: &'a Jingle) -> Result<&'a Content, JingleFault> {
        let [content] = request.contents.as_slice() else {
            return Err(JingleFault::Malformed("not exactly one content"));
        };
        let is_named = match &content.name {
            Some(name) => *name == self.offer.content_name,
            None => self.dialect.nameless_content,
        };
        // § 7.3: creator and name together identify a content, and the creator never changes.
        let tolerated = self.dialect.responder_creator && request.action == Action::SessionAccept;
        if !(content.creator == Creator::Initiator || tolerated) || !is_named {
            return Err(JingleFault::Malformed("a content that is not part of the session"));
        }
        Ok(content)
    }
}

/// XEP-0166 § 6.8: an empty session-info.
fn is_ping(request: &Jingle) -> bool {
    request.contents.is_empty() && request.payload.is_none() && request.receipt.is_none()
}
