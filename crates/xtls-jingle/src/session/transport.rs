//! What carries the data: what is agreed, what is said about it meanwhile, and its replacement (XEP-0166 §§ 7.2.13 to 7.2.15).

use xtls_s5b::{S5bPayload, S5bTransport};

use super::{AcceptError, Role, Session, SessionEvent, SessionState, TransportError};
use crate::{Acceptance, Action, Content, IbbTransport, InBand, Jingle, JingleFault, SessionTransport, Transport};

/// A SOCKS5 bytestream is to be replaced by this, or was.
#[derive(Debug)]
pub(super) struct Replacement {
    /// As the initiator asked for it.
    asked: InBand,
    /// The namespace that the responder answered with, once it has taken it.
    taken: Option<&'static str>,
}

impl Session {
    /// How many transport-infos may wait to be sent or to be answered: one that tells which candidate is used, one that ends the
    /// choice, and one to spare.
    pub const MAX_INFOS: usize = 3;

    /// Says something about the SOCKS5 bytestream. Queues a transport-info.
    ///
    /// # Errors
    ///
    /// When the session is not one that a SOCKS5 bytestream is to carry, or too many wait.
    pub fn transport_info(&mut self, payload: S5bPayload) -> Result<(), TransportError> {
        let SessionTransport::Socks5(socks5) = &self.transport else { return Err(TransportError::NotSocks5) };
        if self.state != SessionState::Active {
            return Err(TransportError::NotActive);
        }
        let is_info = |action: &Action| *action == Action::TransportInfo;
        let queued = self.queue.iter().map(|request| request.action).filter(is_info).count();
        if queued + self.unanswered.iter().map(|sent| sent.action).filter(is_info).count() >= Self::MAX_INFOS {
            return Err(TransportError::Unanswered);
        }
        let info = Transport::S5b(S5bTransport::new(&socks5.sid, payload));
        self.queue.push_back(self.about_transport(Action::TransportInfo, info));
        Ok(())
    }

    /// Initiator: wants this in-band bytestream instead of the SOCKS5 one (XEP-0260 § 3). Queues a transport-replace.
    ///
    /// # Errors
    ///
    /// When there is no SOCKS5 bytestream to replace any more, TLS has begun, or the values cannot be offered.
    pub fn replace_transport(&mut self, in_band: InBand) -> Result<(), TransportError> {
        if !matches!(self.transport, SessionTransport::Socks5(_)) {
            return Err(TransportError::NotSocks5);
        }
        if self.role != Role::Initiator || self.state != SessionState::Active || self.tls_began {
            return Err(TransportError::NotActive);
        }
        if self.replacement.is_some() {
            return Err(TransportError::Unanswered);
        }
        if in_band.block_size < IbbTransport::MIN_BLOCK_SIZE || !crate::sid::is_nmtoken(&in_band.sid) {
            return Err(TransportError::Value);
        }
        self.queue.push_back(self.about_transport(Action::TransportReplace, in_band.transport()));
        self.replacement = Some(Replacement { asked: in_band, taken: None });
        Ok(())
    }

    /// Responder: takes the in-band bytestream that the initiator wants instead, with blocks of so many bytes at most. Queues a
    /// transport-accept.
    ///
    /// # Errors
    ///
    /// When nobody asked, or for a block size that cannot be answered.
    pub fn accept_transport(&mut self, block_size: u16) -> Result<(), TransportError> {
        let replacement = self.asked_replacement()?;
        if block_size < IbbTransport::MIN_BLOCK_SIZE {
            return Err(TransportError::Value);
        }
        let mut in_band = replacement.asked.clone();
        in_band.block_size = in_band.block_size.min(block_size);
        replacement.taken = Some(in_band.version.ns());
        self.queue.push_back(self.about_transport(Action::TransportAccept, in_band.transport()));
        self.transport = SessionTransport::InBand(in_band);
        Ok(())
    }

    /// Responder: does not want it. Queues a transport-reject.
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn reject_transport(&mut self) -> Result<(), TransportError> {
        let transport = self.asked_replacement()?.asked.transport();
        self.replacement = None;
        self.queue.push_back(self.about_transport(Action::TransportReject, transport));
        Ok(())
    }

    /// The namespaces of the transports that the initiator has offered, and that the responder has answered with.
    pub(super) fn transports(&self) -> [Vec<&'static str>; 2] {
        let answered = self.answer_transport.unwrap_or_else(|| self.offer.transport.ns());
        let mut both = [vec![self.offer.transport.ns()], vec![answered]];
        // One that was refused leads nowhere.
        if let Some(Replacement { asked, taken: Some(taken) }) = &self.replacement {
            both[0].push(asked.version.ns());
            both[1].push(taken);
        }
        both
    }

    /// What we answer to the transport that was offered.
    pub(super) fn own_answer(&mut self, answer: &Acceptance) -> Result<Transport, AcceptError> {
        match &mut self.transport {
            SessionTransport::InBand(_) if answer.block_size < IbbTransport::MIN_BLOCK_SIZE => {
                Err(AcceptError::BlockSize)
            }
            SessionTransport::InBand(in_band) => {
                in_band.block_size = answer.block_size.min(in_band.block_size);
                Ok(in_band.transport())
            }
            // XEP-0260 § 2.2: the same sid.
            SessionTransport::Socks5(socks5) => {
                let mut own = S5bTransport::new(&socks5.sid, S5bPayload::Candidates(answer.candidates.clone()));
                own.dst_addr = answer.dst_addr;
                Ok(Transport::S5b(own))
            }
        }
    }

    /// What the responder answers to the transport that was offered.
    pub(super) fn answered_transport(
        &self,
        answer: &Transport,
    ) -> Result<(SessionTransport, Option<S5bTransport>), JingleFault> {
        match (&self.offer.transport, answer) {
            (SessionTransport::InBand(in_band), answer) => {
                in_band.answered(answer).map(|in_band| (SessionTransport::InBand(in_band), None))
            }
            (SessionTransport::Socks5(offered), Transport::S5b(answer)) => {
                // XEP-0260 § 2.2: the same sid MUST be in it.
                if answer.sid != offered.sid {
                    return Err(JingleFault::NotAcceptable("another bytestream than was offered"));
                }
                if !matches!(answer.payload, S5bPayload::Candidates(_)) {
                    return Err(JingleFault::Malformed("an answer to candidates instead of candidates"));
                }
                Ok((self.offer.transport.clone(), Some(answer.clone())))
            }
            (SessionTransport::Socks5(_), Transport::Ibb(_) | Transport::Other { .. }) => {
                Err(JingleFault::NotAcceptable("another transport than was offered"))
            }
        }
    }

    /// XEP-0166 § 7.2.13: what the peer has to say about the transport.
    pub(super) fn transport_info_of(&self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        // A session has one bytestream: one that XEP-0261 § 2.4 would let the peer add would only be refused when it is opened.
        let SessionTransport::Socks5(socks5) = &self.transport else { return Err(JingleFault::UnsupportedInfo) };
        let Some(Transport::S5b(said)) = &self.content_of(request)?.transport else {
            return Err(JingleFault::UnsupportedInfo);
        };
        if said.sid != socks5.sid {
            return Err(JingleFault::NotAcceptable("another bytestream than that of the session"));
        }
        if self.state != SessionState::Active || self.tls_began {
            return Err(JingleFault::OutOfOrder("no transport is being chosen"));
        }
        Ok(Some(SessionEvent::TransportInfo(said.clone())))
    }

    /// § 7.2.15: whoever does not want the new transport MUST send a transport-reject.
    pub(super) fn transport_replace(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        let Some(transport) = self.content_of(request)?.transport.clone() else {
            return Err(JingleFault::Malformed("transport-replace without a transport"));
        };
        let is_replaceable = self.role == Role::Responder
            && self.state == SessionState::Active
            && matches!(self.transport, SessionTransport::Socks5(_))
            && !self.tls_began
            && self.replacement.is_none();
        if is_replaceable && let Ok(SessionTransport::InBand(asked)) = SessionTransport::offered(&transport, &self.sid)
        {
            self.replacement = Some(Replacement { asked, taken: None });
            return Ok(Some(SessionEvent::ReplaceTransport));
        }
        // Which one is refused says its sid: the peer knows its candidates.
        let refused = match transport {
            Transport::S5b(socks5) => {
                Transport::S5b(S5bTransport::new(&socks5.sid, S5bPayload::Candidates(Vec::new())))
            }
            other @ (Transport::Ibb(_) | Transport::Other { .. }) => other,
        };
        let reply = self.about_transport(Action::TransportReject, refused);
        self.reply(reply)?;
        Ok(None)
    }

    /// § 7.2.11: the responder takes the replacement.
    pub(super) fn transport_accept(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        let replacement = self.own_replacement().ok_or(JingleFault::OutOfOrder("no transport-replace was sent"))?;
        let Some(transport) = &self.content_of(request)?.transport else {
            return Err(JingleFault::Malformed("transport-accept without a transport"));
        };
        let in_band = replacement.asked.answered(transport)?;
        if let Some(replacement) = &mut self.replacement {
            replacement.taken = Some(in_band.version.ns());
        }
        self.transport = SessionTransport::InBand(in_band);
        Ok(Some(SessionEvent::TransportReplaced))
    }

    /// § 7.2.14: the responder does not take it.
    pub(super) fn transport_reject(&mut self, request: &Jingle) -> Result<Option<SessionEvent>, JingleFault> {
        self.own_replacement().ok_or(JingleFault::OutOfOrder("no transport-replace was sent"))?;
        self.content_of(request)?;
        self.replacement = None;
        Ok(Some(SessionEvent::TransportRejected))
    }

    fn about_transport(&self, action: Action, transport: Transport) -> Jingle {
        let content = Content { transport: Some(transport), ..Content::new(&self.offer.content_name) };
        self.request(action).with_content(content)
    }

    /// What we asked for and the responder has not answered.
    fn own_replacement(&self) -> Option<&Replacement> {
        self.replacement.as_ref().filter(|replacement| self.role == Role::Initiator && replacement.taken.is_none())
    }

    /// What the initiator asked for and we have not answered.
    fn asked_replacement(&mut self) -> Result<&mut Replacement, TransportError> {
        let is_due = self.role == Role::Responder && self.state == SessionState::Active && !self.tls_began;
        let asked = self.replacement.as_mut().filter(|replacement| is_due && replacement.taken.is_none());
        asked.ok_or(TransportError::NotAsked)
    }
}
