//! What the peer's answers to our requests mean.

use xtls_stanza::{Condition, ErrorType, StanzaError};

use super::{Session, SessionState, receipt::OwnReceipt};
use crate::{Action, JingleCondition};

/// One of our requests was answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Which request.
    pub action: Action,
    /// What it means for the session.
    pub verdict: Verdict,
}

/// What an error means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing: the peer is alive, and does not know or does not want the request, which it need not.
    Tolerated,
    /// The peer has no such session (any more): the state is [`SessionState::Ended`], and nothing is left to be sent.
    Ended,
    /// The session cannot go on as it is; the driver terminates it, unless it knows better (a temporary error to a ping).
    Fatal,
}

impl Session {
    /// The peer acknowledged a request: which one. `None` when no request of this id is open.
    pub fn handle_result(&mut self, id: &str) -> Option<Action> {
        let at = self.unanswered.iter().position(|sent| sent.id.as_str() == id)?;
        self.receipt_answered(id);
        Some(self.unanswered.swap_remove(at).action)
    }

    /// The peer, or a server on the way, refused a request: which one, and what it means. `None` when no request of this
    /// id is open.
    pub fn handle_error(&mut self, id: &str, error: &StanzaError) -> Option<Refused> {
        let is_receipt = self.is_receipt(id);
        let action = self.handle_result(id)?;
        let verdict = self.verdict(action, error);
        if verdict == Verdict::Ended {
            self.end();
        } else if is_receipt && error.error_type == ErrorType::Wait {
            self.own_receipt = OwnReceipt::Returned;
        }
        Some(Refused { action, verdict })
    }

    fn verdict(&self, action: Action, error: &StanzaError) -> Verdict {
        let is_item = error.condition == Condition::ItemNotFound;
        let is_unknown = is_item && action != Action::TransportInfo
            || JingleCondition::of(error) == Some(JingleCondition::UnknownSession);
        // A refused session-initiate has made no session (XEP-0166 § 6.3.2).
        let is_over = matches!(action, Action::SessionInitiate | Action::SessionTerminate);
        if self.state == SessionState::Ended || is_unknown || is_over {
            return Verdict::Ended;
        }
        // Clients that do not know security-info (it is "not really necessary", draft § 3) or pings answer so.
        let is_ignorance = matches!(error.condition, Condition::FeatureNotImplemented | Condition::BadRequest);
        // § 7.2.16: of two content-modify that cross, the initiator's stands. Whatever else a peer has against being
        // refused a change, nothing has changed.
        let is_objection = matches!(
            error.condition,
            Condition::Conflict | Condition::NotAcceptable | Condition::NotAllowed | Condition::UnexpectedRequest
        );
        let is_info = matches!(action, Action::SecurityInfo | Action::SessionInfo | Action::TransportInfo);
        let is_reply = matches!(action, Action::ContentReject | Action::ContentModify | Action::TransportReject);
        // XEP-0260 § 2.3: a candidate that the peer does not know; or it has stopped to look for a connection.
        let is_about_candidates = action == Action::TransportInfo && (is_objection || is_item);
        if is_ignorance && is_info || (is_ignorance || is_objection) && is_reply || is_about_candidates {
            return Verdict::Tolerated;
        }
        Verdict::Fatal
    }
}
