//! What is offered before the peer has said anything.

use std::collections::BTreeSet;

use super::*;

/// Each method that is offered is chosen of some peer's, if the user says what it takes.
#[test]
fn what_is_offered_can_be_chosen() {
    each_known(|known| {
        for method in known.offerable().unwrap_or_default() {
            let can_be_chosen = SAID.iter().any(|said| {
                let known = known.saying(*said);
                LISTS.iter().any(|theirs| methods(known.choose(theirs, Announced::Nothing)).contains(&method))
            });
            assert!(can_be_chosen, "{method} {known:?}");
        }
    });
}

#[test]
fn the_offer_is_in_the_order_of_preference() {
    each_known(|known| {
        let Ok(offered) = known.offerable() else { return };
        assert!(offered.iter().all(|method| known.allows(*method)), "{known:?}");
        let has_srp = known.may_share() && !known.is_locked();
        let expected: &[Method] = match (known.allows(Method::X509), known.is_pinned()) {
            (true, true) if has_srp => BOTH,
            (true, true) => X509,
            (true, false) if known.takes_unknown() && has_srp => &[Method::Srp, Method::X509],
            (true, false) if known.takes_unknown() => X509,
            _ => SRP,
        };
        assert_eq!(offered, expected, "{known:?}");
    });
}

#[test]
fn a_reason_not_to_offer_is_the_true_one() {
    let mut reasons = BTreeSet::new();
    each_known(|known| {
        let Err(why) = known.offerable() else { return };
        let by_certificate = known.allows(Method::X509);
        assert!(!by_certificate || !(known.is_pinned() || known.policy.trust == Ask && !known.by_password_alone()));
        let expected = if known.may_share() && known.is_locked() {
            Unofferable::PasswordLocked { until: lock() }
        } else if known.allows(Method::Srp) {
            assert!(!known.standing.has_user_name, "{known:?}");
            Unofferable::UserName
        } else if !by_certificate {
            Unofferable::NoMethod
        } else {
            match known.policy.trust {
                Pinned => Unofferable::NotPinned,
                Authorities => {
                    assert!(!known.standing.has_authorities, "{known:?}");
                    Unofferable::NoAuthorities
                }
                LeapOfFaith => {
                    assert!(known.was_secured() && !known.policy.allow_downgrade, "{known:?}");
                    Unofferable::Downgraded
                }
                Ask => panic!("whoever asks can offer: {known:?}"),
            }
        };
        assert_eq!(why, expected, "{known:?}");
        reasons.insert(format!("{why:?}"));
    });
    assert_eq!(reasons.len(), 6, "{reasons:?}");
}

#[test]
fn an_unknown_certificate_may_be_named_where_the_policy_could_take_it() {
    each_known(|known| {
        let (policy, standing) = (&known.policy, &known.standing);
        let lock_and_strip =
            known.may_share() && known.is_locked() && known.by_password_alone() && !policy.allow_downgrade;
        let expected = match policy.trust {
            Pinned => false,
            Ask => !lock_and_strip,
            Authorities => standing.has_authorities && !known.is_pinned() && !lock_and_strip,
            LeapOfFaith if known.is_pinned() || (known.may_share() && known.is_locked()) => false,
            LeapOfFaith if !known.was_secured() || policy.allow_downgrade => true,
            // The user may say that the password is gone, or has said it.
            LeapOfFaith => known.by_password_alone() && (known.may_share() || standing.said == Said::NoPassword),
        };
        assert_eq!(known.takes_unknown(), expected, "{known:?}");
        if known.may_share() {
            let same = |said: &Said| known.saying(*said).takes_unknown() == expected;
            assert!(SAID.iter().all(same), "what the user says of a password does not show: {known:?}");
        }
    });
}
