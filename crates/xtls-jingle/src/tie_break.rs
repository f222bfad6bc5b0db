//! Who gives way when both do the same at once (XEP-0166 § 7.2.16).

use crate::Role;

/// Whose request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Winner {
    /// Ours: theirs is answered with [`JingleCondition::TieBreak`](crate::JingleCondition::TieBreak).
    Ours,
    /// Theirs: it is treated as if ours had not been sent, and they answer ours with tie-break.
    Theirs,
}

/// Decides between two equivalent session-initiates that crossed (XEP-0166 § 7.2.16).
///
/// The lower sid wins, compared byte by byte (i;octet); if the sids are the same, the lower JID wins. If the JIDs are the
/// same too, what came is our own request thrown back, and ours stands.
#[must_use]
pub fn tie_break(our_sid: &str, their_sid: &str, our_jid: &str, their_jid: &str) -> Winner {
    let ours = (our_sid.as_bytes(), our_jid.as_bytes());
    let theirs = (their_sid.as_bytes(), their_jid.as_bytes());
    if ours <= theirs { Winner::Ours } else { Winner::Theirs }
}

/// Decides between two equivalent actions that crossed inside a session: that of the initiator stands (XEP-0166 § 7.2.16).
#[must_use]
pub fn tie_break_in_session(our_role: Role) -> Winner {
    match our_role {
        Role::Initiator => Winner::Ours,
        Role::Responder => Winner::Theirs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROMEO: &str = "romeo@montague.lit/orchard";
    const JULIET: &str = "juliet@capulet.lit/balcony";

    #[test]
    fn xep_0166_7_2_16_the_lower_sid_wins() {
        for (lower, higher) in [("a", "b"), ("A", "a"), ("a", "aa"), ("9", "A"), ("Z", "\u{E9}"), ("a-", "a0")] {
            assert_eq!(tie_break(lower, higher, ROMEO, JULIET), Winner::Ours, "{lower} {higher}");
            assert_eq!(tie_break(higher, lower, ROMEO, JULIET), Winner::Theirs, "{lower} {higher}");
            assert_eq!(tie_break(lower, higher, JULIET, ROMEO), Winner::Ours, "{lower} {higher}");
        }
    }

    #[test]
    fn xep_0166_7_2_16_of_equal_sids_the_lower_jid_wins() {
        assert_eq!(tie_break("s", "s", JULIET, ROMEO), Winner::Ours);
        assert_eq!(tie_break("s", "s", ROMEO, JULIET), Winner::Theirs);
    }

    #[test]
    fn xep_0166_7_2_16_in_a_session_the_initiator_overrules() {
        assert_eq!(tie_break_in_session(Role::Initiator), Winner::Ours);
        assert_eq!(tie_break_in_session(Role::Responder), Winner::Theirs);
    }

    #[test]
    fn our_own_request_thrown_back_never_wins() {
        assert_eq!(tie_break("s", "s", ROMEO, ROMEO), Winner::Ours);
    }

    #[test]
    fn both_ends_agree() {
        for (a, b) in [("x", "y"), ("y", "x"), ("x", "x")] {
            let here = tie_break(a, b, ROMEO, JULIET);
            let there = tie_break(b, a, JULIET, ROMEO);
            assert_ne!(here, there, "{a} {b}");
        }
    }
}
