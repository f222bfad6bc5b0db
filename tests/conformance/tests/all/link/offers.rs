//! XEP-0250: which method and which keys.

use std::time::Instant;

use xtls::error::TermsError;
use xtls::link::{LinkError, PeerLink};
use xtls::{Fault, Password, Terms, TrustPolicy, event::Side};
use xtls_stanza::HashAlgo;
use xtls_stanza::Method;
use xtls_testkit::LinkPair;

use super::scripted::{FROM_JULIET, FROM_ROMEO, I, PROCEED, R, STARTTLS, Scripted};

fn password() -> Terms {
    Terms::new(TrustPolicy::Pinned).with_password(Password::new("wherefore").unwrap())
}

fn srp_alone() -> Terms {
    let mut terms = password();
    terms.methods = vec![Method::Srp];
    terms
}

/// The keys of an end's certificate as an offer names them.
fn keys(pair: &LinkPair, side: Side) -> String {
    let names = [HashAlgo::Sha1, HashAlgo::Sha256].map(|algo| pair.identity(side).fingerprint(algo).unwrap().hex());
    names.map(|name| format!("<keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>{name}</name></keyinfo>")).concat()
}

fn offer(content: &str) -> String {
    format!("<offer xmlns='urn:xmpp:tmp:c2ctls'>{content}</offer>")
}

fn features(offer: &str) -> String {
    format!(
        "{FROM_JULIET}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>{offer}</starttls>\
         </stream:features>"
    )
}

fn starttls(offer: &str) -> String {
    format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>{offer}</starttls>")
}

fn proceed(offer: &str) -> String {
    format!("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'>{offer}</proceed>")
}

#[test]
fn xep_0250_2_3_the_user_name_is_the_bare_jid_of_the_initiator() {
    let mut pair = LinkPair::new(9);
    pair.connect(srp_alone());
    let name = b"\x0bromeo@forza";
    assert!(pair.sent(I).windows(name.len()).any(|window| window == name));
    assert!(pair.link(R).security().is_some_and(|security| security.method == Method::Srp));
}

/// RFC 5054 § 2.3: it is prepared by SASLprep, which knows no characters newer than Unicode 3.2. RFC 7622 does.
#[test]
fn xep_0250_2_3_an_address_that_saslprep_refuses_and_a_password_are_told_with_the_reason() {
    let new = "rome\u{242}@forza";
    let named = || {
        let mut pair = LinkPair::new(9);
        pair.name(I, new);
        pair
    };
    let slip = |terms: Terms| {
        let pair = named();
        #[allow(clippy::disallowed_methods, reason = "any moment will do")]
        PeerLink::connect(pair.setup(I), pair.jid(R).clone(), terms, Instant::now()).err()
    };
    let leap = Terms::new(TrustPolicy::LeapOfFaith);
    for terms in [srp_alone(), password(), leap.clone().with_password(Password::new("a rose").unwrap())] {
        assert_eq!(slip(terms), Some(LinkError::Terms(TermsError::UserName)));
    }
    assert_eq!(slip(leap.clone()), None);

    // The receiving end, where the peer asks for the password all the same.
    let mut link = Scripted::between(
        named(),
        R,
        Terms::new(TrustPolicy::LeapOfFaith),
        leap.with_password(Password::new("a rose").unwrap()),
    );
    link.say(&FROM_ROMEO.replace("romeo@forza", new));
    let answer = link.say(&starttls(&offer("<srp/>")));
    assert!(answer.starts_with("<failure"), "{answer}");
    assert!(matches!(link.fault(), Fault::UserName));
}

#[test]
fn xep_0250_3_3_1_the_feature_tells_of_all_methods_and_keys() {
    let mut link = Scripted::new(R, password());
    let answer = link.say(FROM_ROMEO);
    let expected = offer(&format!("{}<srp/>", keys(&link.pair, R)));
    assert!(answer.ends_with(&format!("<required/>{expected}</starttls></stream:features>")), "{answer}");
    let mut link = Scripted::of(LinkPair::new(9), R, srp_alone());
    assert!(link.say(FROM_ROMEO).contains(&offer("<srp/>")));
}

#[test]
fn xep_0250_3_3_1_without_an_offer_tls_goes_on_as_ever() {
    let mut link = Scripted::new(I, password());
    link.hear();
    assert_eq!(link.say(&features("")), STARTTLS);
}

#[test]
fn xep_0250_3_3_2_the_request_tells_of_the_methods_that_answer_the_offer() {
    let mut link = Scripted::new(I, password());
    link.hear();
    let theirs = offer(&format!("{}<srp/>", keys(&link.pair, R)));
    let own = offer(&format!("{}<srp/>", keys(&link.pair, I)));
    assert_eq!(link.say(&features(&theirs)), starttls(&own));
}

#[test]
fn xep_0250_3_2_a_key_is_shown_only_to_one_that_can_be_verified() {
    // Juliet's certificate is not known, so Romeo's is not shown.
    let mut pair = LinkPair::new(9);
    pair.trust(R);
    let mut link = Scripted::of(pair, I, password());
    link.hear();
    let theirs = offer(&format!("{}<srp/>", keys(&link.pair, R)));
    assert_eq!(link.say(&features(&theirs)), starttls(&offer("<srp/>")));
    // A client that would verify it later says so.
    let mut link = Scripted::of(LinkPair::new(9), I, Terms::new(TrustPolicy::Ask));
    link.hear();
    assert_eq!(link.say(&features(&theirs)), starttls(&offer("<insecure/>")));
}

#[test]
fn xep_0250_2_what_is_not_understood_is_ignored() {
    let mut link = Scripted::new(I, srp_alone());
    link.hear();
    let strange = offer("<kerberos/><keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>somebody's</name></keyinfo><srp/>");
    assert_eq!(link.say(&features(&strange)), starttls(&offer("<srp/>")));
}

#[test]
fn xep_0250_3_3_3_proceed_names_the_one_method() {
    let own = |pair: &LinkPair| {
        let name = pair.identity(R).fingerprint_sha256().hex();
        offer(&format!("<keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>{name}</name></keyinfo>"))
    };
    let asked = |link: &mut Scripted, content: &str| {
        link.say(FROM_ROMEO);
        link.say(&starttls(&offer(content)))
    };
    // A certificate that is known goes before a password.
    let mut link = Scripted::new(R, password());
    let content = format!("{}<srp/>", keys(&link.pair, I));
    assert_eq!(asked(&mut link, &content), proceed(&own(&link.pair)));
    // A password goes before one that is not.
    let mut terms = password();
    terms.trust = TrustPolicy::Ask;
    let mut link = Scripted::of(LinkPair::new(9), R, terms.clone());
    assert_eq!(asked(&mut link, &content), proceed(&offer("<srp/>")));
    let mut link = Scripted::of(LinkPair::new(9), R, Terms::new(TrustPolicy::Ask));
    assert_eq!(asked(&mut link, "<insecure/>"), proceed(&offer("<insecure/>")));
    // Whoever makes no offer gets none.
    let mut link = Scripted::new(R, password());
    link.say(FROM_ROMEO);
    assert_eq!(link.say(STARTTLS), PROCEED);
}

#[test]
fn xep_0250_3_3_3_without_a_method_left_there_is_a_failure_and_the_stream_is_closed() {
    for content in ["", "<srp/>", "<kerberos/>"] {
        let mut link = Scripted::new(R, Terms::new(TrustPolicy::Pinned));
        link.say(FROM_ROMEO);
        let answer = link.say(&starttls(&offer(content)));
        assert_eq!(answer, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>", "{content}");
        let fault = link.fault();
        assert!(matches!(fault, Fault::NoCommonMethod { .. }) && fault.is_security(), "{content}");
    }
}

#[test]
fn xep_0250_3_3_3_a_proceed_without_a_method_means_the_one_that_was_asked_for() {
    let mut link = Scripted::new(I, Terms::new(TrustPolicy::Pinned));
    link.hear();
    let theirs = offer(&keys(&link.pair, R));
    link.say(&features(&theirs));
    link.pair.inject(I, PROCEED.as_bytes());
    link.pair.run();
    assert!(link.secure().contains("<stream:stream"));
    assert!(link.say_inside(&format!("{FROM_JULIET}<stream:features/>")).is_empty());
    assert!(link.pair.link(I).security().is_some());
}
