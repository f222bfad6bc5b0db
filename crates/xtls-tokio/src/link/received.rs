//! What the peer of a [`ByteLink`] sends.

use xtls::{Element, link::LinkEvent, xml::StanzaError};
use xtls_ibb::{
    Acked, Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, BytestreamState, Handled, Request,
};
use xtls_stanza::{Condition, Iq, IqType};

use super::{
    bytes::{BLOCK, ByteLink, MAX_ANSWERS},
    error::ByteLinkError,
};

impl<T> ByteLink<T> {
    pub(super) fn receive(&mut self, stanza: Element) {
        let Some(Ok(iq)) = Iq::parse(&stanza) else {
            return self.note(LinkEvent::Stanza { stanza });
        };
        match iq.iq_type {
            IqType::Set => match iq.payload.and_then(Request::parse) {
                Some(Ok(request)) => self.request(iq.id, &request),
                Some(Err(fault)) => self.refuse(iq.id, fault),
                None => self.answer(&stanza, iq.id),
            },
            IqType::Result => self.acknowledged(iq.id),
            IqType::Error => self.refused(iq.id, &stanza),
            IqType::Get | _ => self.answer(&stanza, iq.id),
        }
    }

    fn request(&mut self, id: &str, request: &Request<'_>) {
        if request.sid() == self.outgoing.sid() {
            return self.request_for_ours(id, request);
        }
        if let (None, Request::Open { sid, .. }) = (&self.incoming, request) {
            self.incoming = Some(Bytestream::new(BytestreamRole::Acceptor, *sid, BLOCK, BytestreamConfig::default()));
        }
        let incoming = self.incoming.as_mut().filter(|incoming| incoming.sid() == request.sid());
        let Some(incoming) = incoming else { return self.refuse(id, BytestreamFault::UnknownSid) };
        match incoming.handle_request(id, request, &mut self.inbox) {
            Ok(Handled::Data { bytes }) => {
                self.came = self.came.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                incoming.mark_ack(self.came);
            }
            Ok(Handled::Closed) => self.peer_finished = true,
            Ok(_) => {}
            Err(fault) => {
                self.refuse(id, fault);
                if fault.ends_bytestream() {
                    self.fail(ByteLinkError::Malformed(fault));
                }
            }
        }
    }

    /// The peer has nothing to send there; it may close it, and that means that it takes no more.
    fn request_for_ours(&mut self, id: &str, request: &Request<'_>) {
        let was_over = self.outgoing.state() == BytestreamState::Closed;
        match self.outgoing.handle_request(id, request, &mut Vec::new()) {
            Ok(Handled::Closed) if !was_over => self.fail(ByteLinkError::Stopped),
            Ok(Handled::Data { bytes }) if bytes > 0 => self.fail(ByteLinkError::Unexpected),
            Ok(_) => {}
            Err(fault) => self.refuse(id, fault),
        }
    }

    fn acknowledged(&mut self, id: &str) {
        match (self.outgoing.handle_result(id), &mut self.incoming) {
            (Some(Acked::Gap { .. }), _) => self.fail(ByteLinkError::Gap),
            // The answer to a close after a fault.
            (None, Some(incoming)) => drop(incoming.handle_result(id)),
            _ => {}
        }
    }

    fn refused(&mut self, id: &str, stanza: &Element) {
        let Some(error) = StanzaError::of_stanza(stanza) else { return };
        let opens = self.outgoing.state() == BytestreamState::Opening;
        if self.outgoing.handle_error(id, &error).is_some() && self.outgoing.state() != BytestreamState::Opening {
            self.fail(if opens { ByteLinkError::NotTaken(error) } else { ByteLinkError::Refused(error) });
        }
    }

    /// RFC 6120 § 8.2.3: a request is answered.
    fn answer(&mut self, stanza: &Element, id: &str) {
        if self.answers.len() >= MAX_ANSWERS {
            return;
        }
        match &mut self.answering {
            Some(answering) => self.answers.extend(answering(stanza)),
            None => self.error(id, &StanzaError::new(Condition::ServiceUnavailable)),
        }
    }

    fn refuse(&mut self, id: &str, fault: BytestreamFault) {
        if self.answers.len() < MAX_ANSWERS {
            self.error(id, &fault.to_stanza_error());
        }
    }

    fn error(&mut self, id: &str, error: &StanzaError) {
        let mut text = String::new();
        let Some(peer) = self.peer() else { return };
        Iq::write_error(&mut text, id, peer.as_str(), None, error);
        self.answers.push_back(text);
    }
}
