//! RFC 6120 § 5 and RFC 7590 § 3.1, in clear.

use xtls::{Fault, Terms, TrustPolicy};
use xtls_stream::StartTlsFault;

use super::scripted::{FROM_JULIET, FROM_ROMEO, I, PROCEED, R, STARTTLS, Scripted};

fn pinned() -> Terms {
    Terms::new(TrustPolicy::Pinned)
}

/// A link that has asked for TLS.
fn asked() -> Scripted {
    let mut link = Scripted::new(I, pinned());
    link.hear();
    let answer = link.say(&format!("{FROM_JULIET}<stream:features>{STARTTLS}</stream:features>"));
    assert_eq!(answer, STARTTLS);
    link
}

#[test]
fn rfc_7590_3_1_tls_is_tried_even_when_it_is_not_offered() {
    let mut link = Scripted::new(I, pinned());
    link.hear();
    assert_eq!(link.say(&format!("{FROM_JULIET}<stream:features/>")), STARTTLS);
}

#[test]
fn rfc_6120_5_3_1_the_feature_says_that_tls_is_required() {
    let mut link = Scripted::new(R, pinned());
    assert!(link.say(FROM_ROMEO).contains("<required/>"));
}

#[test]
fn rfc_6120_5_4_2_2_a_failure_ends_the_link_and_nothing_follows_in_clear() {
    let mut link = asked();
    let answer = link.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    assert_eq!(answer, "</stream:stream>");
    let fault = link.fault();
    assert!(matches!(fault, Fault::StartTls(StartTlsFault::Refused)) && fault.is_security());
}

#[test]
fn rfc_6120_5_4_3_1_tls_begins_at_once_behind_proceed() {
    let mut link = asked();
    link.pair.inject(I, PROCEED.as_bytes());
    link.pair.run();
    // What follows in clear is the ClientHello and nothing else.
    let sent = link.pair.sent(I);
    let at = sent.windows(STARTTLS.len()).position(|window| window == STARTTLS.as_bytes()).unwrap();
    assert_eq!(sent[at + STARTTLS.len()..][..2], [22, 3]);
    assert!(link.secure().contains("<stream:stream"));
}

#[test]
fn rfc_6120_5_4_2_3_white_space_between_proceed_and_tls_is_not_taken() {
    let mut link = asked();
    link.pair.inject(I, format!("{PROCEED} ").as_bytes());
    link.pair.run();
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::Injection)));
}

#[test]
fn rfc_6120_4_9_3_stanzas_before_tls_are_refused() {
    let mut link = Scripted::new(R, pinned());
    link.say(FROM_ROMEO);
    let answer = link.say("<message><body>Hi</body></message>");
    assert!(answer.contains("<policy-violation") && answer.ends_with("</stream:stream>"), "{answer}");
    assert!(matches!(link.fault(), Fault::StartTls(StartTlsFault::InClear)));
}

#[test]
fn rfc_6120_4_9_3_9_a_header_in_this_ends_own_name_is_refused() {
    let mut link = Scripted::new(R, pinned());
    let answer = link.say(&FROM_ROMEO.replace("romeo@forza", "juliet@pronto"));
    assert!(answer.contains("<invalid-from"), "{answer}");
    assert!(matches!(link.fault(), Fault::OwnAddress));
}

#[test]
fn rfc_6120_4_9_3_6_a_header_for_somebody_else_is_refused() {
    let mut link = Scripted::new(R, pinned());
    let answer = link.say(&FROM_ROMEO.replace("juliet@pronto", "nurse@pronto"));
    assert!(answer.contains("<host-unknown"), "{answer}");
    assert!(link.fault().is_security());
}
