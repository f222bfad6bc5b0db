//! The short names that stand in the fields of events, by what they name.

use xtls::error::Blame;
use xtls::event::{CertificatesFault, ProbeFault};
use xtls::jingle::ReasonCondition;
use xtls::trust::Authentication;
use xtls::{CloseReason, EndedBy, Fault, Receipt, TrustDecision, TrustPolicy};

use crate::{Code, Disposition, EventKind};

/// All short names: what they are names of, and each of them. A language that has types for texts makes them of these.
#[must_use]
pub fn names() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("authentication", Authentication::NAMES.to_vec()),
        ("blame", Blame::NAMES.to_vec()),
        ("certificates-fault", CertificatesFault::NAMES.to_vec()),
        ("close-reason", CloseReason::NAMES.to_vec()),
        ("code", Code::ALL.iter().map(|code| code.as_str()).collect()),
        ("condition", ReasonCondition::ALL.iter().map(|condition| condition.as_str()).collect()),
        ("disposition", Disposition::ALL.iter().map(|disposition| disposition.as_str()).collect()),
        ("ended-by", EndedBy::NAMES.to_vec()),
        ("event", EventKind::ALL.iter().map(|kind| kind.as_str()).collect()),
        ("fault", Fault::NAMES.to_vec()),
        ("probe-fault", ProbeFault::NAMES.to_vec()),
        ("receipt", Receipt::NAMES.to_vec()),
        ("trust-decision", TrustDecision::NAMES.to_vec()),
        ("trust-policy", TrustPolicy::NAMES.to_vec()),
    ]
}
