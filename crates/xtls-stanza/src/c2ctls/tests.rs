use super::*;
use crate::{Element, HashAlgo, Limits};

fn parse(xml: &str) -> Option<TlsOffer> {
    TlsOffer::parse(Element::parse(xml, &Limits::default()).unwrap().root())
}

fn name(text: &str) -> KeyName {
    KeyName::new(text).unwrap()
}

fn keyinfo(name: &str) -> String {
    format!("<keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>{name}</name></keyinfo>")
}

fn offer(content: &str) -> String {
    format!("<offer xmlns='urn:xmpp:tmp:c2ctls'>{content}</offer>")
}

/// Parses an example with its white space, and holds the value and what it is written as against what was meant.
#[track_caller]
fn example(xml: &str, keys: &[&str], insecure: bool, srp: bool) {
    let read = parse(xml).unwrap();
    assert_eq!(read.keys, keys.iter().map(|key| name(key)).collect::<Vec<_>>());
    assert_eq!((read.insecure, read.srp), (insecure, srp));
    let mut out = String::new();
    read.write(&mut out);
    assert_eq!(out, xml.split('\n').map(str::trim).collect::<String>());
    assert_eq!(parse(&out), Some(read));
}

#[test]
fn xep_0250_3_1_client_offer_supporting_x509_openpgp_and_srp() {
    let keys = ["428b1358a286430f628da23fb33ddaf6e474f5c5", "89d099a3428481cc63fe3fa44e7df2d002b4ce44"];
    let xml = "<offer xmlns='urn:xmpp:tmp:c2ctls'>
      <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
        <name>428b1358a286430f628da23fb33ddaf6e474f5c5</name>
      </keyinfo>
      <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
        <name>89d099a3428481cc63fe3fa44e7df2d002b4ce44</name>
      </keyinfo>
      <srp/>
    </offer>";
    example(xml, &keys, false, true);
    // A name that is a fingerprint is one, and the other way round.
    let fingerprint = name(keys[0]).fingerprint().unwrap();
    assert_eq!((fingerprint.algo(), KeyName::from(&fingerprint)), (HashAlgo::Sha1, name(keys[0])));
    assert_eq!(name("RomeoX509CertificateHash").fingerprint(), None);
}

/// An IQ of an example, and what its offer is written as.
#[track_caller]
fn probe(kind: &str, from: &str, to: &str, payload: &str) {
    let iq =
        format!("<iq type='{kind}'\n        from='{from}'\n        to='{to}'\n        id='info'>{payload}\n    </iq>");
    let iq = Element::parse(&iq, &Limits::default()).unwrap();
    assert_eq!(iq.attribute("id"), Some("info"));
    let read = TlsOffer::within(iq.root()).unwrap();
    let mut out = String::new();
    read.write(&mut out);
    assert_eq!(out, payload.split('\n').map(str::trim).collect::<String>());
    assert_eq!(parse(&out), Some(read));
}

#[test]
fn xep_0250_3_2_the_probing_iqs() {
    const ROMEO: &str = "romeo@montague.net/b345687ba7607d3ddf401a0257464843a0a1c0b7";
    const JULIET: &str = "juliet@capulet.com/da39a3ee5e6b4b0d3255bfef95601890afd80709";
    probe(
        "get",
        ROMEO,
        JULIET,
        "
      <offer xmlns='urn:xmpp:tmp:c2ctls'>
        <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
          <name>RomeoX509CertificateHash</name>
        </keyinfo>
        <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
          <name>RomeoOpenPGPFingerprint</name>
        </keyinfo>
        <srp/>
      </offer>",
    );
    probe(
        "result",
        JULIET,
        ROMEO,
        "
      <offer xmlns='urn:xmpp:tmp:c2ctls'>
        <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
          <name>JulietX509CertificateHash</name>
        </keyinfo>
        <srp/>
      </offer>",
    );
    probe(
        "result",
        JULIET,
        ROMEO,
        "
      <offer xmlns='urn:xmpp:tmp:c2ctls'>
        <insecure/>
        <srp/>
      </offer>",
    );
    example(&offer("\n<insecure/>\n<srp/>\n"), &[], true, true);
}

#[test]
fn xep_0250_3_2_only_keys_that_match_one_of_the_offer_are_returned() {
    let romeo = TlsOffer::new([name("RomeoX509CertificateHash"), name("RomeoOpenPGPFingerprint")], true);
    let juliet = OwnMethods {
        keys: vec![
            (KeyKind::OpenPgp, name("JulietOpenPGPFingerprint")),
            (KeyKind::X509, name("JulietX509CertificateHash")),
        ],
        insecure: true,
        srp: true,
    };
    let knows = |known: &'static [(&'static str, KeyKind)]| {
        move |key: &KeyName| known.iter().find(|(name, _)| key.as_str() == *name).map(|(_, kind)| *kind)
    };
    // The examples: OpenPGP cannot be verified; then the certificate cannot be verified either.
    let mut out = String::new();
    romeo.answer(&juliet, knows(&[("RomeoX509CertificateHash", KeyKind::X509)])).write(&mut out);
    assert_eq!(out, offer(&format!("{}<srp/>", keyinfo("JulietX509CertificateHash"))));
    let mut out = String::new();
    romeo.answer(&juliet, |_| None).write(&mut out);
    assert_eq!(out, offer("<insecure/><srp/>"));

    let both = romeo.answer(
        &juliet,
        knows(&[("RomeoX509CertificateHash", KeyKind::X509), ("RomeoOpenPGPFingerprint", KeyKind::OpenPgp)]),
    );
    assert_eq!(both.keys, [name("JulietOpenPGPFingerprint"), name("JulietX509CertificateHash")]);
    assert!(!both.insecure);
    let pgp = romeo.answer(&juliet, knows(&[("RomeoOpenPGPFingerprint", KeyKind::OpenPgp)]));
    assert_eq!(pgp.keys, [name("JulietOpenPGPFingerprint")]);
    assert!(pgp.insecure && pgp.srp);
}

#[test]
fn xep_0250_3_3_3_nothing_may_be_left() {
    let only_srp = TlsOffer::new([], true);
    let own = OwnMethods { keys: vec![(KeyKind::X509, name("a"))], insecure: true, srp: false };
    let answer = only_srp.answer(&own, |_| Some(KeyKind::X509));
    assert!(answer.is_empty());
    assert_eq!(answer.methods(), 0);
    // Who wants no insecure certificate gets none.
    let own = OwnMethods { insecure: false, ..own };
    assert!(TlsOffer::new([name("b")], false).answer(&own, |_| None).is_empty());
}

#[test]
fn xep_0250_2_unknown_methods_are_ignored_and_repetition_is_folded() {
    let content = format!(
        "<sas/><srp xmlns='urn:other'/>text<keyinfo><name>x</name></keyinfo>{}{}<keyinfo xmlns='urn:xmpp:tmp:pubkey'/>{}",
        keyinfo("a"),
        keyinfo(" a "),
        keyinfo(" \n"),
    );
    let read = parse(&offer(&content)).unwrap();
    assert_eq!(read, TlsOffer::new([name("a")], false));
    assert!(parse(&offer("")).unwrap().is_empty());
    assert_eq!(parse("<offer xmlns='urn:xmpp:tmp:pubkey'/>"), None);
    assert_eq!(parse("<srp xmlns='urn:xmpp:tmp:c2ctls'/>"), None);
}

#[test]
fn an_offer_keeps_eight_keys_and_no_ninth() {
    let many = |count: usize| {
        let content: String = (0..count).map(|number| keyinfo(&number.to_string())).collect();
        parse(&offer(&format!("{content}<srp/>"))).unwrap()
    };
    assert_eq!(many(8).keys.len(), 8);
    let nine = many(9);
    assert_eq!((nine.keys.len(), nine.srp), (8, true));
    assert_eq!(nine.keys, many(8).keys);
    // One that was filled by hand writes no more either.
    let mut full = many(8);
    full.keys.push(name("x"));
    let mut out = String::new();
    full.write(&mut out);
    assert_eq!(parse(&out), Some(nine));
}

#[test]
fn a_name_has_at_most_256_bytes() {
    let longest = "x".repeat(KeyName::MAX_BYTES);
    assert_eq!(KeyName::new(&format!(" {longest}\n")).unwrap().as_str(), longest);
    let longer = "x".repeat(KeyName::MAX_BYTES + 1);
    assert_eq!(KeyName::new(&longer), Err(KeyNameError::TooLong));
    assert_eq!(KeyName::new(" \t"), Err(KeyNameError::Empty));
    assert_eq!(KeyName::new("a\u{0}"), Err(KeyNameError::Character));
    assert_eq!(parse(&offer(&format!("{}{}", keyinfo(&longer), keyinfo(&longest)))).unwrap().keys, [name(&longest)]);
}

#[test]
fn a_name_is_escaped() {
    let offer = TlsOffer::new([name("<a&b>")], false);
    let mut out = String::new();
    offer.write(&mut out);
    assert_eq!(parse(&out), Some(offer));
}
