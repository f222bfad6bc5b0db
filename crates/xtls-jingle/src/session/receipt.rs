//! Receipts: the last word about what one end has sent (docs/wire.md § 9).

use xtls_stanza::Id;

use super::{ReceiptError, Session, SessionState};
use crate::{Action, Jingle, Receipt};

/// What became of the receipt that is given from here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum OwnReceipt {
    /// It is not given.
    #[default]
    None,
    Queued,
    Sent(Id),
    /// It came back with a temporary error.
    Returned,
    /// The peer has answered it.
    Answered,
}

impl Session {
    /// Whether both ends give receipts, and take them.
    #[must_use]
    pub fn has_receipts(&self) -> bool {
        self.receipts
    }

    /// Says that everything has come: queues a session-info with the proof.
    ///
    /// # Errors
    ///
    /// When the session is not active, not both ends have receipts, or one was given before and has not come back.
    pub fn give_receipt(&mut self, proof: [u8; 32]) -> Result<(), ReceiptError> {
        if self.state != SessionState::Active {
            return Err(ReceiptError::NotActive);
        }
        if !self.receipts {
            return Err(ReceiptError::NotAgreed);
        }
        if !matches!(self.own_receipt, OwnReceipt::None | OwnReceipt::Returned) {
            return Err(ReceiptError::Given);
        }
        self.queue.push_back(self.request(Action::SessionInfo).with_receipt(Receipt::Given(proof)));
        self.own_receipt = OwnReceipt::Queued;
        Ok(())
    }

    /// Whether a receipt was given.
    #[must_use]
    pub fn has_given_receipt(&self) -> bool {
        self.own_receipt != OwnReceipt::None
    }

    /// Whether a receipt was given, and the peer has not answered it.
    #[must_use]
    pub fn is_receipt_open(&self) -> bool {
        matches!(self.own_receipt, OwnReceipt::Queued | OwnReceipt::Sent(_) | OwnReceipt::Returned)
    }

    /// Whether our receipt came back with a temporary error (RFC 6120 § 8.3.2: "wait -- retry after waiting"), so that it may be
    /// [given](Self::give_receipt) again.
    #[must_use]
    pub fn is_receipt_returned(&self) -> bool {
        self.own_receipt == OwnReceipt::Returned
    }

    /// Whether a request of this id is our receipt, and not answered.
    #[must_use]
    pub fn is_receipt(&self, id: &str) -> bool {
        matches!(&self.own_receipt, OwnReceipt::Sent(own) if own.as_str() == id)
    }

    /// Whether a session-info is a receipt that can be taken.
    pub(super) fn takes_receipt(&self, request: &Jingle) -> bool {
        let is_due = self.receipts && self.state == SessionState::Active;
        is_due && request.contents.is_empty() && request.proof().is_some()
    }

    /// Our receipt, or something else, was answered.
    pub(super) fn receipt_answered(&mut self, id: &str) {
        if self.is_receipt(id) {
            self.own_receipt = OwnReceipt::Answered;
        }
    }
}

impl Jingle {
    /// The proof of the receipt in it.
    pub(super) fn proof(&self) -> Option<[u8; 32]> {
        match self.receipt? {
            Receipt::Given(proof) => Some(proof),
            Receipt::Announced => None,
        }
    }
}
