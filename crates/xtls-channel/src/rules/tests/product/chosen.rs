//! What is chosen of what a peer speaks.

use std::collections::BTreeSet;

use super::*;

#[test]
fn the_choice_is_allowed_and_spoken_and_can_succeed() {
    let mut outcomes = BTreeSet::new();
    let cases = each(|case| {
        let choice = case.choice();
        outcomes.insert(told(&choice));
        let Choice::Methods(chosen) = choice else { return };
        assert!(!chosen.is_empty() && chosen.len() <= 2 && chosen.first() != chosen.get(1), "{chosen:?} {case:?}");
        for method in &chosen {
            assert!(case.known.allows(*method) && case.speaks(*method), "{chosen:?} {case:?}");
        }
        if chosen.contains(&Method::Srp) {
            let Standing { has_user_name, locked_until, said, .. } = case.known.standing;
            assert!(has_user_name && locked_until.is_none() && said == Said::Password, "{case:?}");
        }
    });
    assert_eq!(cases, 196_608);
    let outcomes: Vec<_> = outcomes.into_iter().collect();
    let all = [
        "ask for the password",
        "downgraded: proof",
        "downgraded: srp",
        "downgraded: x509",
        "downgraded: x509 srp",
        "no-common-method",
        "not-trusted",
        "password-locked",
        "srp",
        "srp x509",
        "user-name",
        "x509",
        "x509 srp",
    ];
    assert_eq!(outcomes, all, "each of them comes up, and nothing else does");
}

#[test]
fn a_certificate_without_a_pin_needs_a_policy_that_takes_it() {
    each(|case| {
        if !case.chosen().contains(&Method::X509) || case.known.is_pinned() {
            return;
        }
        match case.known.policy.trust {
            Pinned => panic!("{case:?}"),
            Authorities => assert!(case.known.standing.has_authorities, "{case:?}"),
            Ask | LeapOfFaith => {}
        }
    });
}

#[test]
fn no_leap_of_faith_is_taken_where_a_password_may_be_shared() {
    let mut leaps = 0;
    each(|case| {
        if case.leaps() {
            let said = case.known.standing.said;
            assert!(!case.known.may_share() || said == Said::NoPassword, "{case:?}");
            // Not even where the one that there is cannot be used.
            assert!(!(case.known.allows(Method::Srp) && said == Said::Password), "{case:?}");
            leaps += 1;
        }
    });
    assert!(leaps > 0);
}

#[test]
fn no_leap_of_faith_is_taken_to_a_peer_that_was_secured_before() {
    each(|case| {
        let is_released = case.known.by_password_alone() && case.known.standing.said == Said::NoPassword;
        if case.leaps() && case.known.was_secured() {
            assert!(case.known.policy.allow_downgrade || is_released, "{case:?}");
        }
    });
}

#[test]
fn the_user_is_asked_once_and_only_for_a_password_that_can_be_used() {
    each(|case| {
        if matches!(case.choice(), Choice::AskPassword) {
            assert!(case.known.standing.said == Said::Nothing && !case.known.is_locked(), "{case:?}");
            assert!(case.known.may_share(), "{case:?}");
            // The password is put to the test, or a leap of faith waits for the word that there is none.
            let leap_waits = case.known.would_leap() && case.known.allows(Method::X509) && case.speaks(Method::X509);
            assert!(case.speaks(Method::Srp) || leap_waits, "{case:?}");
            // The answer makes a difference.
            let answers = [Said::Password, Said::NoPassword]
                .map(|said| told(&case.known.saying(said).choose(case.theirs, case.announced)));
            assert_ne!(answers[0], answers[1], "{case:?}");
        }
    });
}

#[test]
fn a_lock_makes_no_stranger_of_a_peer_that_a_password_secured() {
    let mut cases = 0;
    each(|case| {
        let known = case.known;
        if known.by_password_alone() && known.is_locked() && known.may_share() && !known.policy.allow_downgrade {
            assert_eq!(told(&case.choice()), "password-locked", "{case:?}");
            cases += 1;
        }
    });
    assert!(cases > 0);
}

#[test]
fn a_password_that_is_locked_here_is_not_missed_at_the_peer() {
    each(|case| {
        if !case.known.is_locked() || !case.known.may_share() {
            return;
        }
        match case.choice() {
            // Nobody has locked a certificate.
            Choice::Refuse(Fault::Downgraded { missing: Missing::Methods(missing) }) => {
                assert!(missing.contains(&Method::X509), "{case:?}");
            }
            Choice::Refuse(fault) => {
                assert!(matches!(fault, Fault::PasswordLocked { until } if until == lock()), "{case:?}");
            }
            Choice::Methods(_) | Choice::AskPassword => {}
        }
    });
}

#[test]
fn a_fault_tells_the_truth() {
    each(|case| {
        let known = case.known;
        let in_common =
            |method: &&Method| known.allows(**method) && (**method != Method::Srp || known.standing.has_user_name);
        let Choice::Refuse(fault) = case.choice() else { return };
        #[allow(clippy::wildcard_enum_match_arm, reason = "the rules know five faults")]
        match fault {
            Fault::PasswordLocked { until } => {
                assert!(known.standing.locked_until == Some(until) && known.may_share(), "{case:?}");
            }
            Fault::UserName => {
                let Standing { has_user_name, said, .. } = known.standing;
                assert!(!has_user_name && said == Said::Password, "{case:?}");
                assert!(known.allows(Method::Srp) && case.speaks(Method::Srp), "{case:?}");
            }
            Fault::NoCommonMethod { offered } => {
                assert!(offered == case.theirs && !case.theirs.iter().any(|one| in_common(&one)), "{case:?}");
            }
            Fault::Downgraded { missing } => {
                assert!(known.was_secured() && !known.policy.allow_downgrade, "{case:?}");
                match missing {
                    Missing::Methods(missing) => {
                        let is_missing = |method: &Method| known.was_secured_by(*method) && !case.speaks(*method);
                        assert!(!missing.is_empty() && missing.iter().all(is_missing), "{case:?}");
                        assert!(missing.iter().all(|method| in_common(&method)), "{case:?}");
                    }
                    Missing::Proof => assert!(known.would_leap() && case.speaks(Method::X509), "{case:?}"),
                    Missing::Support | Missing::Security => panic!("{case:?}"),
                }
            }
            Fault::NotTrusted { fingerprint } => {
                assert_eq!(fingerprint.is_none(), case.announced == Announced::Nothing, "{case:?}");
                assert!(case.theirs.iter().any(|one| in_common(&one)), "{case:?}");
            }
            other => panic!("{other:?} {case:?}"),
        }
    });
}

#[test]
fn a_pin_that_fits_wins() {
    each(|case| {
        let is_possible = case.known.allows(Method::X509) && case.speaks(Method::X509);
        let wins = is_possible && case.may_be_pinned();
        let chosen = case.chosen();
        assert!(!wins || chosen.first() == Some(&Method::X509), "{case:?}");
        if let [first, second] = chosen[..] {
            assert_eq!([first, second], if wins { [Method::X509, Method::Srp] } else { [Method::Srp, Method::X509] });
        }
        // One that does not fit the announcement is still a pin, and TLS tells.
        if is_possible && case.known.is_pinned() {
            assert!(!matches!(case.choice(), Choice::Refuse(_)), "{case:?}");
        }
    });
}

#[test]
fn m03_methods_that_are_taken_away_get_nobody_a_leap_of_faith() {
    each(|case| {
        if case.leaps() {
            assert!(case.with_all_methods().leaps(), "{case:?}");
        }
    });
}

#[test]
fn m03_methods_that_are_taken_away_let_nothing_in_that_has_not_secured_the_peer_before() {
    let mut fewer = 0;
    each(|case| {
        let known = case.known;
        if !known.was_secured() || known.policy.allow_downgrade {
            return;
        }
        let all = case.with_all_methods().chosen();
        for method in case.chosen() {
            let was_there = known.was_secured_by(method) || (method == Method::X509 && known.is_pinned());
            assert!(was_there || all.contains(&method), "{method} {case:?}");
            fewer += usize::from(!all.contains(&method));
        }
        // Where nothing is left of what secured the peer, and we would speak it, it does not go on at all.
        let is_left = |method: &Method| known.was_secured_by(*method) || (*method == Method::X509 && known.is_pinned());
        let is_ours = |method: &Method| known.allows(*method) && (*method == Method::X509 || known.may_share());
        if !case.theirs.iter().any(is_left) && known.standing.secured_by.iter().any(is_ours) {
            assert!(matches!(case.choice(), Choice::Refuse(_)), "{case:?}");
        }
    });
    assert!(fewer > 0);
}

/// What is chosen could have been offered, except for one thing: a user who was asked before the password was locked has said
/// that there is none, and a leap of faith follows from that.
#[test]
fn what_is_chosen_could_have_been_offered() {
    let mut exceptions = 0;
    each(|case| {
        let known = case.known;
        for method in case.chosen() {
            if known.offers(method) {
                continue;
            }
            assert!(case.leaps() && known.is_locked() && known.standing.said == Said::NoPassword, "{method} {case:?}");
            exceptions += 1;
        }
    });
    assert!(exceptions > 0);
}
