//! The negotiation hash (docs/wire.md § 5): what is in it, what is not, and that two honest ends have the same one.

use proptest::prelude::*;
use xtls_jingle::{Acceptance, Action, Description, Dialect, IbbVersion, Jingle, Offer, Profile, Session};
use xtls_stanza::{Element, Fingerprint, HashAlgo, Method, SecurityOffer, XtlsVersion};

use super::{
    BOTH, IBB_SID, JULIET, ROMEO, SID, active_with, jid, next, offer, over_version, parse, pending, security, write,
};

fn hex(hash: Option<[u8; 32]>) -> String {
    hash.expect("a method is chosen").iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both ends of a session, after what went over the wire was changed on the way.
fn meddled(offer: Offer, methods: &[Method], change: impl Fn(Action, String) -> String) -> (Session, Session) {
    let carry = |request: &Jingle| parse(&change(request.action, write(request)));
    let mut initiator = Session::initiate(SID, &jid(ROMEO), offer).unwrap();
    let (_, initiate) = next(&mut initiator);
    let mut responder = Session::incoming(&carry(&initiate)).unwrap();
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(methods))).unwrap();
    let (_, accept) = next(&mut responder);
    initiator.handle_request(&carry(&accept)).unwrap();
    (initiator, responder)
}

#[test]
fn wire_5_the_known_answer_of_the_document() {
    let (mut initiator, mut responder) = active_with(&[Method::X509]);
    assert_eq!((initiator.negotiation_hash(), responder.negotiation_hash()), (None, None), "no method is chosen");
    initiator.choose(Method::X509).unwrap();
    responder.handle_request(&next(&mut initiator).1).unwrap();
    // Made by another program, from the text of the document.
    let known = "f3a6cac45cf71ac2f93b747e691f9ae996d24ff9bf88b423aa4acf6125f3e450";
    assert_eq!(hex(initiator.negotiation_hash()), known);
    assert_eq!(hex(responder.negotiation_hash()), known);
}

#[test]
fn wire_5_whatever_was_changed_shows() {
    let digit = |text: String, before: &str| {
        let at = text.find(before).unwrap() + before.len();
        let other = if &text[at..=at] == "0" { "1" } else { "0" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    };
    type Change = Box<dyn Fn(Action, String) -> String>;
    let on = |wanted: Action, change: fn(String) -> String| -> Change {
        Box::new(move |action, text| if action == wanted { change(text) } else { text })
    };
    let mut changes: Vec<(&str, Change)> = vec![
        ("srp out of the offer", on(Action::SessionInitiate, |text| text.replace("<method name='srp'/>", ""))),
        ("srp out of the answer", on(Action::SessionAccept, |text| text.replace("<method name='srp'/>", ""))),
        ("x509 out of the answer", on(Action::SessionAccept, |text| text.replace("<method name='x509'/>", ""))),
        (
            "the application of the offer",
            on(Action::SessionInitiate, |text| text.replace("apps:xmlstream:0", "apps:xmlstream:1")),
        ),
        (
            "the application of the answer",
            on(Action::SessionAccept, |text| text.replace("apps:xmlstream:0", "apps:xmlstream:1")),
        ),
        ("the transport of the answer", on(Action::SessionAccept, |text| text.replace("ibb:1", "ibb:0"))),
        ("the creator of the answer", on(Action::SessionAccept, |text| text.replace("'initiator'", "'responder'"))),
        (
            "a fingerprint more in the answer",
            on(Action::SessionAccept, |text| {
                let more = format!("<fingerprint>{}</fingerprint><method name='x509'/>", "ab".repeat(20));
                text.replacen("<method name='x509'/>", &more, 1)
            }),
        ),
    ];
    for (what, wanted) in [("offer", Action::SessionInitiate), ("answer", Action::SessionAccept)] {
        for algo in ["sha1", "sha-256"] {
            let before = format!("<fingerprint algo='{algo}'>");
            changes
                .push((what, Box::new(move |action, text| if action == wanted { digit(text, &before) } else { text })));
        }
    }
    for (what, change) in changes {
        let (mut initiator, mut responder) = meddled(offer(), BOTH, change);
        let method = if what == "x509 out of the answer" { Method::Srp } else { Method::X509 };
        initiator.tls_started(method);
        responder.tls_started(method);
        assert_ne!(initiator.negotiation_hash(), responder.negotiation_hash(), "{what}");
    }
    // And by which method each of them took TLS to run.
    let (mut initiator, mut responder) = meddled(offer(), BOTH, |_, text| text);
    initiator.tls_started(Method::X509);
    responder.tls_started(Method::Srp);
    assert_ne!(initiator.negotiation_hash(), responder.negotiation_hash());
}

#[test]
fn wire_5_what_says_the_same_is_the_same() {
    // Order, repetition, spelling, what nobody knows, and the numbers that only steer the bytestream.
    let respelt = |_, text: String| {
        let text = text.replace(
            "<method name='x509'/><method name='srp'/>",
            "<method name='srp'/><method name='openpgp'/><method name='x509'/><method name='srp'/>",
        );
        let (before, rest) = text.split_once("<fingerprint algo='sha1'>").unwrap();
        let (digits, rest) = rest.split_once('<').unwrap();
        let spelt: Vec<_> =
            digits.to_uppercase().as_bytes().chunks(2).map(|two| String::from_utf8(two.to_vec()).unwrap()).collect();
        let (sha1, rest) =
            (format!("<fingerprint algo='SHA-1'> {} <", spelt.join(":")), rest.split_once('>').unwrap().1);
        // The other one first.
        let (other, rest) = rest.split_at(rest.find("</fingerprint>").unwrap() + "</fingerprint>".len());
        format!("{before}{other}{sha1}/fingerprint>{rest}")
            .replace("block-size='4096'", "block-size='1024'")
            .replace("xtls:0", "xtls:1")
    };
    let (mut initiator, mut responder) = meddled(offer(), BOTH, respelt);
    initiator.tls_started(Method::X509);
    responder.tls_started(Method::X509);
    assert_eq!(initiator.negotiation_hash(), responder.negotiation_hash());
    let (mut plain, _) = meddled(offer(), BOTH, |_, text| text);
    plain.tls_started(Method::X509);
    assert_eq!(plain.negotiation_hash(), initiator.negotiation_hash());
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    prop_oneof![
        Just(vec![Method::X509]),
        Just(vec![Method::Srp]),
        Just(BOTH.to_vec()),
        Just(vec![Method::Srp, Method::X509])
    ]
}

fn offers() -> impl Strategy<Value = SecurityOffer> {
    let algos = prop::collection::vec(
        (prop::sample::select(vec![HashAlgo::Sha1, HashAlgo::Sha256, HashAlgo::Sha384, HashAlgo::Sha512]), any::<u8>()),
        0..8,
    );
    (methods(), algos, any::<bool>()).prop_map(|(methods, prints, newer)| {
        let prints = prints.into_iter().map(|(algo, byte)| Fingerprint::of(algo, &[byte]).unwrap()).collect();
        SecurityOffer::new(if newer { XtlsVersion::Xtls1 } else { XtlsVersion::Xtls0 }, prints, methods)
    })
}

fn descriptions() -> impl Strategy<Value = Description> {
    prop_oneof![
        Just(Description::xmlstream()),
        "[a-z]{1,12}".prop_map(|name| {
            let element = Element::builder("description", &format!("urn:example:{name}")).build().unwrap();
            Description::new(&element).unwrap()
        }),
    ]
}

proptest! {
    /// Whatever two honest ends say to one another, and whichever messages of the choice get lost, they have the same hash.
    #[test]
    fn wire_5_two_honest_ends_have_the_same_hash(
        description in descriptions(),
        offered in offers(),
        answered in offers(),
        name in "[ -~]{0,40}",
        older in any::<bool>(),
        profile in prop::sample::select(vec![Profile::Strict, Profile::Draft02, Profile::Tolerant]),
        (told, pinged) in any::<(bool, bool)>(),
    ) {
        let mut offer = Offer::new(description, IBB_SID, 4096, offered);
        offer.content_name = name;
        offer.transport = over_version(&offer, if older { IbbVersion::Ibb0 } else { IbbVersion::Ibb1 });
        let (initiator, responder) = pending(offer);
        let dialect = Dialect::from(profile);
        let (mut initiator, mut responder) = (initiator.with_dialect(dialect), responder.with_dialect(dialect));
        responder.accept(Acceptance::new(jid(JULIET), 4096, answered)).unwrap();
        initiator.handle_request(&next(&mut responder).1).unwrap();
        let common = BOTH.iter().copied().find(|method| initiator.choose(*method).is_ok());
        let Some(method) = common else { return Ok(()) };
        let (_, info) = next(&mut initiator);
        if told {
            responder.handle_request(&info).unwrap();
        }
        if pinged {
            responder.ping().unwrap();
            initiator.handle_request(&next(&mut responder).1).unwrap();
        }
        initiator.tls_started(method);
        responder.tls_started(method);
        prop_assert!(initiator.negotiation_hash().is_some());
        prop_assert_eq!(initiator.negotiation_hash(), responder.negotiation_hash());
    }
}
