//! The in-band bytestream of a tunnel (XEP-0047): its requests, and what answers ours.

use xtls_channel::{CloseReason, EndedBy, Fault, Timer};
use xtls_ibb::{
    Acked, Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, ErrorOutcome, Handled, Request, Whitespace,
};
use xtls_jingle::{IbbTransport, JingleCondition, Role, Session, SessionState};
use xtls_stanza::{Condition, StanzaError};
use xtls_tls::TlsErrorKind;

use super::{Transport, carrier::Carrier};
use crate::{
    answer::Answer,
    shared::Shared,
    tunnel::{Phase, TunnelCore},
};

impl TunnelCore {
    /// Both have agreed, or the responder opens before it accepts: the bytestream of the session, in the block size that is
    /// agreed so far.
    pub(in crate::tunnel) fn make_transport(&mut self, shared: &Shared) {
        let Some(in_band) = self.negotiation.session.as_ref().and_then(Session::in_band) else { return };
        let mut config = BytestreamConfig::default();
        config.outgoing_bytes = shared.config.send_buffer.saturating_add(Self::MAX_OWED);
        config.block_size_min = IbbTransport::MIN_BLOCK_SIZE;
        config.whitespace = if shared.dialect.white_space { Whitespace::Tolerant } else { Whitespace::Strict };
        let bytestream = Bytestream::new(self.bytestream_role(), &in_band.sid, in_band.block_size, config);
        self.transport = Some(Transport::new(Carrier::InBand(bytestream)));
    }

    /// Who opens: the namespace of the transport says so.
    pub(in crate::tunnel) fn bytestream_role(&self) -> BytestreamRole {
        let in_band = self.negotiation.session.as_ref().and_then(Session::in_band);
        let has_open = in_band.is_none_or(|in_band| in_band.version.has_open());
        match self.role {
            _ if !has_open => BytestreamRole::Negotiated,
            Role::Responder => BytestreamRole::Acceptor,
            Role::Initiator | _ => BytestreamRole::Opener,
        }
    }

    /// Takes a request of the bytestream. Gives the error that answers it; results go out by themselves.
    pub(crate) fn handle_ibb(&mut self, id: &str, request: &Request<'_>, shared: &mut Shared) -> Option<Answer> {
        let is_early = self.phase <= Phase::Password && matches!(request, Request::Open { .. });
        if is_early && self.role == Role::Initiator && self.transport.is_none() {
            // A responder may open before it accepts.
            self.make_transport(shared);
        }
        let accepted = self.phase > Phase::Password;
        let transport = self.transport.as_mut().filter(|_| accepted || is_early);
        let Some((bytestream, blocks)) = transport.and_then(Transport::in_band) else {
            // XEP-0047 § 2.2: there is no such bytestream before the session is accepted.
            return Some(Answer::Error(BytestreamFault::UnknownSid.to_stanza_error()));
        };
        let mut decoded = shared.scratch.take_empty();
        let handled = bytestream.handle_request(id, request, &mut decoded);
        let answer = match handled {
            Ok(Handled::Opened) => {
                self.begin_handshake(shared);
                None
            }
            Ok(Handled::Data { .. }) => {
                *blocks += 1;
                let ended = self.ended.is_some();
                self.receive(if let Request::Block { block, .. } = request { block } else { &decoded }, shared);
                if ended { None } else { self.refuse_data_in_the_clear() }
            }
            Ok(Handled::Closed) => {
                // What is owed is of no more use.
                self.resume(shared);
                self.bytestream_closed(shared);
                None
            }
            Ok(_) => None,
            Err(fault) => {
                if fault.ends_bytestream() {
                    self.fail(Fault::Bytestream(fault), shared);
                }
                Some(Answer::Error(fault.to_stanza_error()))
            }
        };
        shared.scratch.put_back(decoded, shared.config.block_size);
        answer
    }

    /// Takes an answer to a request of the bytestream, if it is one.
    pub(in crate::tunnel) fn handle_bytestream_answer(
        &mut self,
        id: &str,
        error: Option<&StanzaError>,
        shared: &mut Shared,
    ) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        let block = shared.flow.answered(shared.env.clock().now(), id, error.is_none(), &mut transport.lane);
        let Some(error) = error else {
            let Some(acked) = transport.carrier.in_band().and_then(|bytestream| bytestream.handle_result(id)) else {
                return false;
            };
            match acked {
                Acked::Open => self.begin_handshake(shared),
                Acked::Data { .. } => {
                    self.data_acked(shared);
                    self.measure(id, shared);
                }
                Acked::Gap { .. } => {
                    let error = transport.returned.take().unwrap_or_else(|| Condition::UndefinedCondition.into());
                    self.fail(Fault::Undelivered { error }, shared);
                }
                Acked::Close | _ => {}
            }
            return true;
        };
        let Some(outcome) = transport.carrier.in_band().and_then(|bytestream| bytestream.handle_error(id, error))
        else {
            return false;
        };
        transport.throttle.rest();
        let again = transport.retries >= 3;
        self.block_refused(error, block, again, shared);
        match outcome {
            ErrorOutcome::OpenRefused | ErrorOutcome::Ended { .. } => {
                if matches!(error.condition, Condition::PolicyViolation | Condition::ResourceConstraint) {
                    // It may have been for all that goes this way.
                    shared.flow.back_off();
                }
                self.fail(Fault::Undelivered { error: error.clone() }, shared);
            }
            ErrorOutcome::Suspended => self.data_returned(error, shared),
            ErrorOutcome::Retrying | ErrorOutcome::Closed | ErrorOutcome::Late | _ => {}
        }
        true
    }

    /// XEP-0166 § 9: data that comes in the clear, where it has to be inside TLS, is answered with an error.
    fn refuse_data_in_the_clear(&mut self) -> Option<Answer> {
        let CloseReason::Fault(fault) = &self.ended.as_ref()?.reason else { return None };
        let in_the_clear = matches!(&**fault, Fault::Tls(error) if *error.kind() == TlsErrorKind::NotTls);
        let version = self.negotiation.session.as_ref().filter(|_| in_the_clear).map(Session::version)?;
        let withdrawn = self
            .transport
            .as_mut()
            .and_then(|transport| transport.carrier.in_band())
            .is_some_and(Bytestream::withdraw_ack);
        withdrawn.then(|| Answer::Error(JingleCondition::SecurityRequired.stanza_error(version)))
    }

    /// Data came back and may get through later (XEP-0047 § 2.2). The wait doubles each time; the stall timer, which goes on
    /// meanwhile, ends it.
    fn data_returned(&mut self, error: &StanzaError, shared: &mut Shared) {
        let Some(transport) = &mut self.transport else { return };
        let is_first = transport.returned.is_none();
        transport.returned.get_or_insert_with(|| error.clone());
        // A receipt that came back waits by the same timer, and longer perhaps.
        if is_first || !self.timers.is_set(Timer::Retry) {
            shared.flow.back_off();
            let wait = shared.config.timers.retry.saturating_mul(2_u32.saturating_pow(transport.retries));
            transport.retries += 1;
            transport.total_retries = transport.total_retries.saturating_add(1);
            self.set(Timer::Retry, wait, shared);
        }
    }

    /// An acknowledgement of data came.
    fn data_acked(&mut self, shared: &Shared) {
        let Some(transport) = &mut self.transport else { return };
        if !transport.carrier.is_suspended() {
            transport.returned = None;
            transport.retries = 0;
        }
        transport.acknowledged();
        if transport.carrier.in_flight() > 0 {
            self.set(Timer::Stall, shared.config.timers.stall, shared);
        }
        if self.phase == Phase::Closing {
            // As long as something gets through, the end is on its way.
            self.set(Timer::Close, shared.config.timers.close, shared);
        }
    }

    /// The peer closed the bytestream: in order only after the end of TLS.
    fn bytestream_closed(&mut self, shared: &Shared) {
        let session = self.negotiation.session.as_ref();
        let session_ended = session.is_none_or(|session| session.state() == SessionState::Ended);
        if self.ended.is_some() || session_ended || self.phase == Phase::Closing {
            return;
        }
        let in_order = self.is_idle_stream() || self.peer_closed();
        if self.is_secured() && in_order {
            return self.begin_close(EndedBy::Remote, shared);
        }
        self.fail(Fault::BytestreamClosed, shared);
    }
}
