//! The rules as a table, one row for each: what is allowed, what is known, what the peer says, and what comes of it.

mod product;

use super::*;
use crate::terms::TrustPolicy::{Ask, Authorities, LeapOfFaith, Pinned};

const X509: &[Method] = &[Method::X509];
const SRP: &[Method] = &[Method::Srp];
const BOTH: &[Method] = &[Method::X509, Method::Srp];
fn lock() -> UnixTime {
    UnixTime::since_unix_epoch(core::time::Duration::from_secs(1_760_003_600))
}

fn pin() -> Fingerprint {
    Fingerprint::sha256(b"the certificate that is pinned")
}

fn other() -> Fingerprint {
    Fingerprint::sha256(b"another certificate")
}

/// A policy of both methods, without downgrades.
fn policy(trust: TrustPolicy) -> Policy {
    Policy { methods: BOTH.to_vec(), trust, allow_downgrade: false }
}

fn certificates_only(trust: TrustPolicy) -> Policy {
    Policy { methods: X509.to_vec(), ..policy(trust) }
}

fn downgrades_allowed(trust: TrustPolicy) -> Policy {
    Policy { allow_downgrade: true, ..policy(trust) }
}

/// Nothing is known of the peer, and nobody has asked for a password.
fn stranger() -> Standing {
    Standing {
        pins: Vec::new(),
        secured_by: Vec::new(),
        locked_until: None,
        has_user_name: true,
        has_authorities: false,
        said: Said::Nothing,
    }
}

fn who_said(said: Said) -> Standing {
    Standing { said, ..stranger() }
}

fn secured_by(methods: &[Method]) -> Standing {
    Standing { secured_by: methods.to_vec(), ..stranger() }
}

impl Standing {
    fn pinned(self) -> Self {
        Self { pins: vec![pin()], ..self }
    }

    fn locked(self) -> Self {
        Self { locked_until: Some(lock()), ..self }
    }

    fn said(self, said: Said) -> Self {
        Self { said, ..self }
    }

    fn nameless(self) -> Self {
        Self { has_user_name: false, ..self }
    }

    fn with_authorities(self) -> Self {
        Self { has_authorities: true, ..self }
    }
}

fn names(methods: &[Method]) -> String {
    methods.iter().map(Method::to_string).collect::<Vec<_>>().join(" ")
}

/// A choice in short.
fn told(choice: &Choice) -> String {
    match choice {
        Choice::Methods(methods) => names(methods),
        Choice::AskPassword => "ask for the password".to_owned(),
        Choice::Refuse(Fault::Downgraded { missing: Missing::Methods(missing) }) => {
            format!("downgraded: {}", names(missing))
        }
        Choice::Refuse(Fault::Downgraded { missing: Missing::Proof }) => "downgraded: proof".to_owned(),
        Choice::Refuse(fault) => fault.as_str().to_owned(),
    }
}

/// What is chosen of these methods, where nothing is announced.
fn of(methods: &[Method], policy: &Policy, standing: &Standing) -> String {
    told(&choose(Offered { methods, announced: &[] }, policy, standing))
}

/// What is chosen of both methods, where this is announced.
fn announcing(announced: Fingerprint, policy: &Policy, standing: &Standing) -> String {
    told(&choose(Offered { methods: BOTH, announced: &[announced] }, policy, standing))
}

fn offer(policy: &Policy, standing: &Standing) -> String {
    offerable(policy, standing).map_or_else(|why| format!("{why:?}"), |methods| names(&methods))
}

#[test]
fn draft_3_a_method_that_cannot_succeed_is_not_offered() {
    let locked = format!("{:?}", Unofferable::PasswordLocked { until: lock() });
    let rows = [
        // A pinned certificate needs no user; a password is better than a certificate that nobody knows.
        (policy(Pinned), stranger().pinned(), "x509 srp"),
        (policy(Ask), stranger(), "srp x509"),
        (policy(Pinned), stranger(), "srp"),
        (policy(Authorities), stranger().with_authorities(), "srp x509"),
        // A leap is offered whatever the user says of a password: the offer gives nothing away.
        (policy(LeapOfFaith), stranger(), "srp x509"),
        (policy(LeapOfFaith), who_said(Said::Password), "srp x509"),
        // Nobody can say that a certificate is gone: it would be offered in vain.
        (policy(LeapOfFaith), secured_by(SRP), "srp x509"),
        (policy(LeapOfFaith), secured_by(X509), "srp"),
        // The initiator's address is no user name, or the password is locked.
        (policy(Ask), stranger().nameless(), "x509"),
        (policy(Pinned), stranger().pinned().locked(), "x509"),
        (policy(Ask), stranger().locked(), "x509"),
        // Whoever locks the password gets no leap for it.
        (policy(LeapOfFaith), stranger().locked(), &locked),
        (certificates_only(LeapOfFaith), stranger().locked(), "x509"),
        // Nothing would do.
        (Policy { methods: Vec::new(), ..policy(Ask) }, stranger().pinned(), "NoMethod"),
        (policy(Pinned), stranger().nameless(), "UserName"),
        (policy(Pinned), stranger().locked(), &locked),
        (certificates_only(Authorities), stranger(), "NoAuthorities"),
        (certificates_only(LeapOfFaith), secured_by(X509), "Downgraded"),
        (certificates_only(Pinned), stranger(), "NotPinned"),
    ];
    for (policy, standing, expected) in rows {
        assert_eq!(offer(&policy, &standing), expected, "{policy:?} {standing:?}");
    }
}

#[test]
fn draft_3_a_certificate_that_is_known_goes_before_a_password_and_a_password_before_one_that_is_not() {
    let rows = [
        // Rule 3: the certificate can be verified. The password is the next best.
        (BOTH, policy(Pinned), stranger().pinned(), "x509"),
        (BOTH, policy(Pinned), stranger().pinned().said(Said::Password), "x509 srp"),
        // Rule 4: it cannot, and the user is asked for a password that might be shared.
        (BOTH, policy(Pinned), stranger(), "ask for the password"),
        (BOTH, policy(Ask), stranger(), "ask for the password"),
        (BOTH, policy(Authorities), stranger().with_authorities(), "ask for the password"),
        (BOTH, policy(Pinned), who_said(Said::Password), "srp"),
        (BOTH, policy(Ask), who_said(Said::Password), "srp x509"),
        (SRP, policy(Pinned), stranger(), "ask for the password"),
        // Rule 5: there is none. What the policy makes of an unknown certificate decides.
        (BOTH, policy(Pinned), who_said(Said::NoPassword), "not-trusted"),
        (BOTH, policy(Ask), who_said(Said::NoPassword), "x509"),
        (BOTH, policy(Authorities), who_said(Said::NoPassword).with_authorities(), "x509"),
        (BOTH, policy(Authorities), who_said(Said::NoPassword), "not-trusted"),
        (SRP, policy(Ask), who_said(Said::NoPassword), "not-trusted"),
        // Where a password would change nothing, nobody is asked.
        (X509, policy(Pinned), stranger(), "not-trusted"),
        (X509, policy(Ask), stranger(), "x509"),
        (BOTH, certificates_only(Ask), stranger(), "x509"),
        (BOTH, policy(Ask), stranger().nameless(), "x509"),
        // There is nothing in common.
        (SRP, certificates_only(Ask), stranger(), "no-common-method"),
        (SRP, policy(Ask), stranger().nameless(), "no-common-method"),
        (&[], policy(Ask), stranger(), "no-common-method"),
        // Wrong guesses have locked the password.
        (BOTH, policy(Pinned), who_said(Said::Password).locked(), "password-locked"),
        (BOTH, policy(Pinned), stranger().pinned().locked(), "x509"),
        (BOTH, policy(Ask), stranger().locked(), "x509"),
    ];
    for (theirs, policy, standing, expected) in rows {
        assert_eq!(of(theirs, &policy, &standing), expected, "{theirs:?} {policy:?} {standing:?}");
    }
}

#[test]
fn draft_3_an_announcement_chooses_the_method_and_proves_nothing() {
    let known = stranger().pinned();
    let weak = Fingerprint::sha1(b"another certificate");
    let rows = [
        (pin(), policy(Pinned), known.clone(), "x509"),
        // By another digest than the pin's, it says nothing.
        (weak, policy(Pinned), known.clone(), "x509"),
        // Another certificate is announced: a password could tell what is true, and else TLS does.
        (other(), policy(Pinned), known.clone(), "ask for the password"),
        (other(), policy(Pinned), known.clone().said(Said::Password), "srp"),
        (other(), policy(Pinned), known.clone().said(Said::NoPassword), "x509"),
        (other(), certificates_only(Pinned), known, "x509"),
        (other(), certificates_only(Pinned), stranger(), "not-trusted"),
    ];
    for (announced, policy, standing, expected) in rows {
        assert_eq!(announcing(announced, &policy, &standing), expected, "{announced} {policy:?} {standing:?}");
    }
}

#[test]
fn draft_5_a_leap_of_faith_is_for_a_first_meeting_where_no_password_is_shared() {
    let rows = [
        (BOTH, certificates_only(LeapOfFaith), stranger(), "x509"),
        (BOTH, policy(LeapOfFaith), stranger().nameless(), "x509"),
        // The user has to say that there is no password; silence does not.
        (BOTH, policy(LeapOfFaith), stranger(), "ask for the password"),
        (X509, policy(LeapOfFaith), stranger(), "ask for the password"),
        (X509, policy(LeapOfFaith), who_said(Said::NoPassword), "x509"),
        (X509, policy(LeapOfFaith), who_said(Said::NoAnswer), "not-trusted"),
        (BOTH, policy(LeapOfFaith), who_said(Said::NoAnswer), "not-trusted"),
        // Somebody in between has left the password method out, or locked it by wrong guesses.
        (X509, policy(LeapOfFaith), who_said(Said::Password), "not-trusted"),
        (BOTH, policy(LeapOfFaith), stranger().locked(), "password-locked"),
        (X509, policy(LeapOfFaith), who_said(Said::Password).locked(), "password-locked"),
        // It is no first meeting.
        (X509, certificates_only(LeapOfFaith), secured_by(X509), "downgraded: proof"),
        (BOTH, certificates_only(LeapOfFaith), secured_by(SRP), "downgraded: proof"),
        (BOTH, policy(LeapOfFaith), secured_by(X509).said(Said::NoPassword), "downgraded: proof"),
        // Of a password the user can say that it is gone; nobody can say that of a certificate.
        (BOTH, policy(LeapOfFaith), secured_by(SRP), "ask for the password"),
        (BOTH, policy(LeapOfFaith), secured_by(SRP).said(Said::NoPassword), "x509"),
        (BOTH, policy(LeapOfFaith), secured_by(BOTH).said(Said::NoPassword), "downgraded: proof"),
        // A pin is held to.
        (BOTH, certificates_only(LeapOfFaith), secured_by(X509).pinned(), "x509"),
    ];
    for (theirs, policy, standing, expected) in rows {
        assert_eq!(of(theirs, &policy, &standing), expected, "{theirs:?} {policy:?} {standing:?}");
    }
}

#[test]
fn draft_8_3_what_secured_a_peer_before_is_missed() {
    let rows = [
        (X509, policy(Ask), secured_by(SRP).said(Said::Password), "downgraded: srp"),
        (SRP, policy(Ask), secured_by(X509).said(Said::Password), "downgraded: x509"),
        (&[], policy(Ask), secured_by(BOTH), "downgraded: x509 srp"),
        // The user's no does not bring back a method that is missing.
        (X509, policy(LeapOfFaith), secured_by(SRP).said(Said::NoPassword), "downgraded: srp"),
        // One of several is enough, and so is a pin.
        (X509, policy(Ask), secured_by(BOTH), "x509"),
        (X509, policy(Pinned), secured_by(SRP).pinned(), "x509"),
        // What we would not speak ourselves is not missed.
        (X509, certificates_only(Ask), secured_by(SRP), "x509"),
        (X509, policy(Ask), secured_by(SRP).nameless(), "x509"),
        // Three broken handshakes lock the password: nobody is asked to trust what then comes in its place.
        (X509, policy(Ask), secured_by(SRP).locked(), "password-locked"),
        (BOTH, policy(Ask), secured_by(SRP).locked(), "password-locked"),
        (BOTH, policy(LeapOfFaith), secured_by(SRP).locked(), "password-locked"),
        (BOTH, policy(Authorities), secured_by(SRP).locked().with_authorities(), "password-locked"),
        (X509, policy(Ask), secured_by(SRP).locked().pinned(), "x509"),
        // Nobody has locked a certificate: one that is missing is missed.
        (SRP, policy(Ask), secured_by(X509).locked(), "downgraded: x509"),
        // A downgrade that is allowed by name leaves the rules for strangers.
        (X509, downgrades_allowed(Ask), secured_by(SRP), "x509"),
        (X509, downgrades_allowed(Ask), secured_by(SRP).locked(), "x509"),
        (X509, downgrades_allowed(LeapOfFaith), secured_by(SRP), "ask for the password"),
        (X509, downgrades_allowed(LeapOfFaith), secured_by(SRP).said(Said::NoPassword), "x509"),
        (X509, downgrades_allowed(LeapOfFaith), secured_by(SRP).locked(), "password-locked"),
    ];
    for (theirs, policy, standing, expected) in rows {
        assert_eq!(of(theirs, &policy, &standing), expected, "{theirs:?} {policy:?} {standing:?}");
    }
}
