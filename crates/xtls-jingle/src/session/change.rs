//! Requests to change the content: a session keeps its one.

use super::{Session, SessionEvent};
use crate::{Action, Content, Creator, Jingle, JingleFault, Reason, ReasonCondition, Winner, tie_break_in_session};

impl Session {
    /// § 7.2.2: whoever does not want the new content MUST send a content-reject.
    pub(super) fn content_add(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        if request.contents.is_empty() {
            return Err(JingleFault::Malformed("content-add without a content"));
        }
        let contents = request.contents.iter().map(|content| self.rejected(content)).collect::<Result<_, _>>()?;
        let reason = Reason::new(ReasonCondition::UnsupportedApplications).with_text("one content in a session");
        let reply = Jingle { contents, reason: Some(reason), ..self.request(Action::ContentReject) };
        self.reply(reply)?;
        Ok(None)
    }

    /// The name of a content that was to be added. To reject what is part of the session would be to remove it.
    fn rejected(&self, content: &Content) -> Result<Content, JingleFault> {
        let Some(name) = &content.name else {
            return Err(JingleFault::Malformed("a content without a name"));
        };
        if content.creator == Creator::Initiator && *name == self.offer.content_name {
            return Err(JingleFault::Malformed("a content that is part of the session already"));
        }
        Ok(Content { creator: content.creator, ..Content::new(name) })
    }

    /// § 7.2.3: to a change of who sends, the answer MAY be a contrary content-modify, and MUST NOT be a content-accept.
    pub(super) fn content_modify(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        let senders = self.content_of(request)?.senders;
        if senders == self.offer.senders {
            return Ok(None);
        }
        if self.is_open(Action::ContentModify) {
            // § 7.2.16: both accept what the initiator says. The responder goes on refusing data in a direction that was
            // not negotiated, which § 7.2.3 allows too.
            return match tie_break_in_session(self.role) {
                Winner::Ours => Err(JingleFault::TieBreak),
                Winner::Theirs => Ok(None),
            };
        }
        let content = Content { senders: self.offer.senders, ..Content::new(&self.offer.content_name) };
        self.reply(self.request(Action::ContentModify).with_content(content))?;
        Ok(None)
    }

    /// § 7.2.5: a session without a content is void, and SHOULD be terminated by who is told so.
    pub(super) fn content_remove(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        self.content_of(request)?;
        self.terminate(Reason::new(ReasonCondition::Success));
        Ok(Some(SessionEvent::Terminated(request.reason.clone())))
    }

    /// Queues what answers a request beside its acknowledgement. While the last of the kind is open, the request is refused
    /// altogether: no peer can make the queue grow.
    pub(super) fn reply(&mut self, reply: Jingle) -> Result<(), JingleFault> {
        if self.is_open(reply.action) {
            return Err(JingleFault::Busy("the last request of this kind is not settled yet"));
        }
        self.queue.push_back(reply);
        Ok(())
    }
}
