//! What is answered to a request that cannot be taken: Jingle's error conditions (XEP-0166 § 10) and [`JingleFault`].

use core::fmt;

use xtls_stanza::{Condition, ErrorType, StanzaError};

use crate::JingleVersion;

/// Jingle's own error conditions: those of XEP-0166 § 10, and security-required of § 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JingleCondition {
    /// The request cannot occur at this point of the state machine.
    OutOfOrder,
    /// The request crossed a similar one that overrules it.
    TieBreak,
    /// No live session of this sid with the sender is known.
    UnknownSession,
    /// The payload of an informational message is not supported.
    UnsupportedInfo,
    /// This was to be sent through the secured transport.
    SecurityRequired,
}

impl JingleCondition {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::OutOfOrder, Self::TieBreak, Self::UnknownSession, Self::UnsupportedInfo, Self::SecurityRequired];

    /// The name of the element in [`JingleVersion::errors_ns`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out-of-order",
            Self::TieBreak => "tie-break",
            Self::UnknownSession => "unknown-session",
            Self::UnsupportedInfo => "unsupported-info",
            Self::SecurityRequired => "security-required",
        }
    }

    /// The stanza error that carries it: the condition of the table in § 10, the type of the examples in §§ 6.7, 6.8,
    /// 7.2.16 and 9. Out-of-order has no example; it has the type that RFC 6120 § 8.3.3 gives unexpected-request.
    ///
    /// `version` is that of the request that it answers.
    #[must_use]
    pub fn stanza_error(self, version: JingleVersion) -> StanzaError {
        let (condition, error_type) = match self {
            Self::OutOfOrder => (Condition::UnexpectedRequest, ErrorType::Wait),
            Self::TieBreak => (Condition::Conflict, ErrorType::Cancel),
            Self::UnknownSession => (Condition::ItemNotFound, ErrorType::Cancel),
            Self::UnsupportedInfo => (Condition::FeatureNotImplemented, ErrorType::Modify),
            Self::SecurityRequired => (Condition::NotAcceptable, ErrorType::Cancel),
        };
        StanzaError::new(condition).with_type(error_type).with_specific(self.as_str(), version.errors_ns())
    }

    /// The condition that a received error carries, in the namespace of any version. Gajim's spelling `tiebreak` is understood.
    #[must_use]
    pub fn of(error: &StanzaError) -> Option<Self> {
        let is = |name| JingleVersion::ALL.iter().any(|version| error.is_specific(name, version.errors_ns()));
        if is("tiebreak") {
            return Some(Self::TieBreak);
        }
        Self::ALL.iter().copied().find(|condition| is(condition.as_str()))
    }
}

/// Why a request of the peer was not taken. The session is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JingleFault {
    /// It breaks a rule of XEP-0166 or of the draft; the words say which.
    Malformed(&'static str),
    /// It does not fit what was offered; the words say what.
    NotAcceptable(&'static str),
    /// It cannot occur now; the words say why.
    OutOfOrder(&'static str),
    /// The session has ended, or is another one.
    UnknownSession,
    /// An informational message whose payload is not understood (XEP-0166 § 6.8).
    UnsupportedInfo,
    /// It crossed a request of ours that overrules it (XEP-0166 § 7.2.16).
    TieBreak,
    /// There is still another one of the kind to be settled; the words say so.
    Busy(&'static str),
}

impl JingleFault {
    /// The error that answers the request, which is of this version.
    #[must_use]
    pub fn stanza_error(self, version: JingleVersion) -> StanzaError {
        match self {
            Self::Malformed(what) => StanzaError::new(Condition::BadRequest).with_text(what),
            // Not to be sent again as it is, and there is nothing to negotiate: as in XEP-0047 § 2.1.
            Self::NotAcceptable(what) => {
                StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Cancel).with_text(what)
            }
            Self::OutOfOrder(why) => JingleCondition::OutOfOrder.stanza_error(version).with_text(why),
            Self::UnknownSession => JingleCondition::UnknownSession.stanza_error(version),
            Self::UnsupportedInfo => JingleCondition::UnsupportedInfo.stanza_error(version),
            Self::TieBreak => JingleCondition::TieBreak.stanza_error(version),
            Self::Busy(why) => StanzaError::new(Condition::ResourceConstraint).with_text(why),
        }
    }
}

impl fmt::Display for JingleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed: {what}"),
            Self::NotAcceptable(what) => write!(f, "not acceptable: {what}"),
            Self::OutOfOrder(why) => write!(f, "out of order: {why}"),
            Self::UnknownSession => f.write_str("no such session"),
            Self::UnsupportedInfo => f.write_str("an informational message that is not understood"),
            Self::TieBreak => f.write_str("it crossed a request that overrules it"),
            Self::Busy(why) => write!(f, "busy: {why}"),
        }
    }
}

impl core::error::Error for JingleFault {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use xtls_stanza::{Element, Limits, ns};

    fn wire(error: &StanzaError) -> String {
        let mut out = String::new();
        error.write(&mut out);
        out
    }

    #[test]
    fn xep_0166_10_conditions_go_with_their_stanza_errors() {
        let expected = [
            (JingleCondition::OutOfOrder, "wait", "unexpected-request", "out-of-order"),
            (JingleCondition::TieBreak, "cancel", "conflict", "tie-break"),
            (JingleCondition::UnknownSession, "cancel", "item-not-found", "unknown-session"),
            (JingleCondition::UnsupportedInfo, "modify", "feature-not-implemented", "unsupported-info"),
            (JingleCondition::SecurityRequired, "cancel", "not-acceptable", "security-required"),
        ];
        assert_eq!(expected.map(|row| row.0), JingleCondition::ALL);
        for (condition, error_type, defined, specific) in expected {
            for (version, ns) in [
                (JingleVersion::Jingle1, "urn:xmpp:jingle:errors:1"),
                (JingleVersion::Jingle0, "urn:xmpp:jingle:errors:0"),
                (JingleVersion::Tmp, "urn:xmpp:tmp:jingle:errors"),
            ] {
                let xml = format!(
                    "<error type='{error_type}'><{defined} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                     <{specific} xmlns='{ns}'/></error>"
                );
                assert_eq!(wire(&condition.stanza_error(version)), xml);
                let read = StanzaError::parse(Element::parse(&xml, &Limits::default()).unwrap().root());
                assert_eq!(JingleCondition::of(&read), Some(condition));
            }
        }
    }

    #[test]
    fn gajims_spelling_of_tie_break_is_understood() {
        let gajim = StanzaError::new(Condition::Conflict).with_specific("tiebreak", ns::JINGLE_ERRORS);
        assert_eq!(JingleCondition::of(&gajim), Some(JingleCondition::TieBreak));
    }

    #[test]
    fn a_condition_of_another_namespace_is_not_jingles() {
        let other = StanzaError::new(Condition::Conflict).with_specific("tie-break", "urn:x");
        assert_eq!(JingleCondition::of(&other), None);
        assert_eq!(JingleCondition::of(&StanzaError::new(Condition::Conflict)), None);
    }

    #[test]
    fn every_fault_has_its_answer() {
        let answer = |fault: JingleFault| {
            let error = fault.stanza_error(JingleVersion::Jingle1);
            (error.condition, error.error_type, JingleCondition::of(&error))
        };
        assert_eq!(answer(JingleFault::Malformed("x")), (Condition::BadRequest, ErrorType::Modify, None));
        assert_eq!(answer(JingleFault::NotAcceptable("x")), (Condition::NotAcceptable, ErrorType::Cancel, None));
        assert_eq!(
            answer(JingleFault::TieBreak),
            (Condition::Conflict, ErrorType::Cancel, Some(JingleCondition::TieBreak))
        );
        assert_eq!(answer(JingleFault::Busy("x")), (Condition::ResourceConstraint, ErrorType::Wait, None));
        assert_eq!(answer(JingleFault::OutOfOrder("x")).2, Some(JingleCondition::OutOfOrder));
        assert_eq!(answer(JingleFault::UnknownSession).2, Some(JingleCondition::UnknownSession));
        assert_eq!(answer(JingleFault::UnsupportedInfo).2, Some(JingleCondition::UnsupportedInfo));
    }
}
