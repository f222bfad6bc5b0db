//! What comes from the peer: its requests, and its answers to ours.

use xtls_stanza::{Condition, ErrorType, StanzaError};

use super::{Acked, Bytestream, BytestreamRole, Close, ErrorOutcome, Handled, Phase, sender::Taken};
use crate::{BytestreamFault, Request, codec};

impl Bytestream {
    /// Takes a request that the peer sent under `id`; the bytes of a block are appended to `received`, unless it is a
    /// [`Request::Block`], which has them.
    ///
    /// # Errors
    ///
    /// The fault that the peer made, to be answered with [`BytestreamFault::to_stanza_error`]; nothing was appended. After
    /// one that [ends the bytestream](BytestreamFault::ends_bytestream) nothing more is taken, what was queued is dropped,
    /// withheld results are released, and `<close/>` goes out (XEP-0047 § 2.2).
    pub fn handle_request(
        &mut self,
        id: &str,
        request: &Request<'_>,
        received: &mut Vec<u8>,
    ) -> Result<Handled, BytestreamFault> {
        let handled = self.request(id, request, received);
        if let Err(fault) = handled
            && fault.ends_bytestream()
        {
            self.fail();
        }
        handled
    }

    /// Takes a result that the peer sent under `id`. `None` if we wait for no such answer: the one to our `<open/>` is
    /// not waited for once an `<open/>` of the peer has crossed it.
    ///
    /// The caller has matched the sender: an answer counts only if it comes from the peer.
    #[must_use]
    pub fn handle_result(&mut self, id: &str) -> Option<Acked> {
        if self.answers_open(id) {
            self.phase = Phase::Open;
            return Some(Acked::Open);
        }
        if self.answers_close(id) {
            self.finish();
            self.close = Close::No;
            return Some(Acked::Close);
        }
        match self.sender.acked(id)? {
            Taken::InTurn(bytes) => {
                self.close_without_stanza();
                Some(Acked::Data { bytes })
            }
            // Its peer lets bytes go missing, or what came back had got there: it cannot be sent again.
            Taken::BehindReturned(bytes) if !self.receiving_is_over() => {
                self.fail();
                Some(Acked::Gap { bytes })
            }
            Taken::BehindReturned(bytes) => Some(Acked::Data { bytes }),
        }
    }

    /// Takes an error that came back under `id`, from the peer or from a server in its name. `None` if we wait for no
    /// such answer.
    #[must_use]
    pub fn handle_error(&mut self, id: &str, error: &StanzaError) -> Option<ErrorOutcome> {
        if self.answers_open(id) {
            let half = (self.block_size / 2) & !3;
            if error.condition == Condition::ResourceConstraint && half >= Self::SMALLEST_TRIED {
                // XEP-0047 § 2.1: the peer wants smaller blocks.
                self.block_size = half;
                self.phase = Phase::OpenQueued;
                return Some(ErrorOutcome::Retrying);
            }
            self.finish();
            return Some(ErrorOutcome::OpenRefused);
        }
        if self.answers_close(id) {
            // XEP-0047 § 2.3: in either case, both parties MUST consider the bytestream to be closed.
            self.finish();
            self.close = Close::No;
            return Some(ErrorOutcome::Closed);
        }
        let was_over = self.receiving_is_over();
        if !was_over && is_delivery_error(error) && self.sender.returned(id)? {
            return Some(ErrorOutcome::Suspended);
        }
        self.sender.refused(id)?;
        if was_over {
            return Some(ErrorOutcome::Late);
        }
        // XEP-0047 § 2.2: upon receiving an error related to the data packet, the sender MUST close the bytestream.
        self.fail();
        Some(ErrorOutcome::Ended { temporary: error.error_type == ErrorType::Wait })
    }

    fn request(&mut self, id: &str, request: &Request<'_>, received: &mut Vec<u8>) -> Result<Handled, BytestreamFault> {
        if request.sid() != self.sid {
            return Err(BytestreamFault::UnknownSid);
        }
        if self.phase == Phase::Closed {
            return Err(BytestreamFault::Closed);
        }
        if id.len() > Self::MAX_REQUEST_ID {
            return Err(BytestreamFault::IdTooLong);
        }
        match *request {
            Request::Open { block_size, .. } => self.opened(id, block_size),
            Request::Data { seq, payload, .. } => {
                let (white_space, block_size) = (self.config.whitespace, self.block_size);
                self.block(id, seq, || codec::decode(payload, white_space, block_size, received))
            }
            Request::Block { seq, block, .. } => {
                let block_size = self.block_size;
                let too_large = BytestreamFault::BlockTooLarge { bytes: block.len(), block_size };
                let fits = block.len() <= usize::from(block_size);
                self.block(id, seq, || fits.then_some(block.len()).ok_or(too_large))
            }
            Request::Close { .. } => {
                // XEP-0047 § 2.3: the receiving party acknowledges, and the bytestream is closed for both.
                self.acks.answer(id);
                self.finish();
                Ok(Handled::Closed)
            }
            Request::Malformed { fault: BytestreamFault::Seq, .. } => self.check_open().and(Err(BytestreamFault::Seq)),
            Request::Malformed { fault, .. } => Err(fault),
        }
    }

    fn block(
        &mut self,
        id: &str,
        seq: u16,
        decode: impl FnOnce() -> Result<usize, BytestreamFault>,
    ) -> Result<Handled, BytestreamFault> {
        self.check_open()?;
        if self.acks.withheld() >= self.config.withheld_max || self.acks.len() >= self.config.answers_max {
            return Err(BytestreamFault::Unacknowledged);
        }
        let bytes = self.receiver.block(seq, &self.config, decode)?;
        self.acks.withhold(id);
        Ok(Handled::Data { bytes })
    }

    /// An `<open/>` from either side opens: the Jingle session has agreed to it. One that crosses ours answers it.
    fn opened(&mut self, id: &str, block_size: u16) -> Result<Handled, BytestreamFault> {
        if self.phase == Phase::Open && (self.role != BytestreamRole::Negotiated || self.opened_by_peer) {
            return Err(BytestreamFault::AlreadyOpen);
        }
        // XEP-0261 § 2.2: a block size that was not agreed is answered resource-constraint; a smaller one does no harm.
        if block_size > self.block_size {
            return Err(BytestreamFault::BlockSizeAboveAgreed { asked: block_size, agreed: self.block_size });
        }
        let least = self.config.block_size_min.min(self.block_size);
        if block_size < least {
            return Err(BytestreamFault::BlockSizeTooSmall { asked: block_size, least });
        }
        self.block_size = block_size;
        self.phase = Phase::Open;
        self.opened_by_peer = true;
        self.acks.answer(id);
        Ok(Handled::Opened)
    }

    /// Whether data of the peer may come now.
    fn check_open(&self) -> Result<(), BytestreamFault> {
        if self.receiving_is_over() {
            Err(BytestreamFault::Closed)
        } else if self.phase == Phase::Open {
            Ok(())
        } else {
            Err(BytestreamFault::NotOpen)
        }
    }

    fn answers_open(&self, id: &str) -> bool {
        matches!(self.phase, Phase::OpenSent(open) if open == *id)
    }

    fn answers_close(&self, id: &str) -> bool {
        matches!(self.close, Close::Sent { id: close, .. } if close == *id)
    }
}

/// XEP-0047 § 2.2, delivery errors: the way to the peer is blocked for now, and what was sent did not get there. So it is
/// when a server on the way wants less to be sent.
pub(super) fn is_delivery_error(error: &StanzaError) -> bool {
    let is_temporary = matches!(
        error.condition,
        Condition::RecipientUnavailable
            | Condition::RemoteServerTimeout
            | Condition::ResourceConstraint
            | Condition::PolicyViolation
    );
    is_temporary && error.error_type == ErrorType::Wait
}
