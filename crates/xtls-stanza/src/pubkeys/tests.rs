use super::*;
use crate::{HashAlgo, Limits};

/// The first example of XEP-0189 v0.9 § 2.1.
const X509: &str = "<keyinfo xmlns='urn:xmpp:pubkey:0'>
  <x509cert>
    MIICCTCCAXKgAwIBAgIJALhU0Id6xxwQMA0GCSqGSIb3DQEBBQUAMA4xDDAKBgNV
    BAMTA2ZvbzAeFw0wNzEyMjgyMDA1MTRaFw0wODEyMjcyMDA1MTRaMA4xDDAKBgNV
    BAMTA2ZvbzCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEA0DPcfeJzKWLGE22p
    RMINLKr+CxqozF14DqkXkLUwGzTqYRi49yK6aebZ9ssFspTTjqa2uNpw1U32748t
    qU6bpACWHbcC+eZ/hm5KymXBhL3Vjfb/dW0xrtxjI9JRFgrgWAyxndlNZUpN2s3D
    hKDfVgpPSx/Zp8d/ubbARxqZZZkCAwEAAaNvMG0wHQYDVR0OBBYEFJWwFqmSRGcx
    YXmQfdF+XBWkeML4MD4GA1UdIwQ3MDWAFJWwFqmSRGcxYXmQfdF+XBWkeML4oRKk
    EDAOMQwwCgYDVQQDEwNmb2+CCQC4VNCHesccEDAMBgNVHRMEBTADAQH/MA0GCSqG
    SIb3DQEBBQUAA4GBAIhlUeGZ0d0msNVxYWAXg2lRsJt9INHJQTCJMmoUeTtaRjyp
    ffJtuopguNNBDn+MjrEp2/+zLNMahDYLXaTVmBf6zvY0hzB9Ih0kNTh23Fb5j+yK
    QChPXQUo0EGCaODWhfhKRNdseUozfNWOz9iTgMGw8eYNLllQRL//iAOfOr/8
  </x509cert>
</keyinfo>";

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

fn parse(xml: &str) -> Option<Pubkeys> {
    Pubkeys::parse(element(xml).root())
}

fn keys(content: &str) -> Vec<KeyInfo> {
    parse(&format!("<pubkeys xmlns='urn:xmpp:pubkey:0'>{content}</pubkeys>")).unwrap().keys
}

fn certificate(text: &str) -> Option<Vec<u8>> {
    keys(&format!("<keyinfo><x509cert>{text}</x509cert></keyinfo>")).pop().map(|key| key.certificate)
}

#[test]
fn xep_0189_v0_9_2_1_the_certificate_of_the_example_is_read() {
    let keys = keys(X509);
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].jid.as_deref(), keys[0].name.as_deref()), (None, None));
    // A SEQUENCE of 0x209 bytes behind its head of four: all of it is there.
    assert_eq!(keys[0].certificate[..4], [0x30, 0x82, 0x02, 0x09]);
    assert_eq!(keys[0].certificate.len(), 0x209 + 4);
}

#[test]
fn xep_0189_v0_9_2_1_a_certificate_is_written_in_the_lines_of_the_example() {
    let key = KeyInfo { name: None, ..KeyInfo::new(&keys(X509)[0].certificate) };
    let written = Pubkeys::new(PubkeysVariant::Pubkey0).with_key(key).to_element().unwrap();
    let text = written.root().children().next().unwrap().child("x509cert", ns::PUBKEY_0).unwrap().text();
    let example = element(X509).child("x509cert", ns::PUBKEY_0).unwrap().text();
    let lines: Vec<_> = example.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(text, lines.join("\n") + "\n");
    assert!(lines.split_last().unwrap().1.iter().all(|line| line.len() == 64));
}

/// § 2.2: an OpenPGP key is no certificate; § 2.3: signatures beside one do not matter.
#[test]
fn xep_0189_v0_9_2_2_other_keys_and_signatures_are_passed_over() {
    let keys = keys(
        "<keyinfo jid='romeo@montague.net'><pgpdata>mQGiBDsK</pgpdata></keyinfo><keyinfo/><other/>
         <keyinfo jid='juliet@capulet.com'><x509cert>AAAA</x509cert><signature><issuer algo='sha1'>42</issuer>
         <value method='RSA-SHA1'>E3q/</value></signature></keyinfo>",
    );
    let expected = KeyInfo { jid: Some("juliet@capulet.com".into()), name: None, certificate: vec![0, 0, 0] };
    assert_eq!(keys, [expected]);
}

/// § 5: all keys, or some; § 6: those of somebody else.
#[test]
fn xep_0189_v0_9_5_the_requests_of_the_examples() {
    let all = parse("<pubkeys xmlns='urn:xmpp:pubkey:0'/>").unwrap();
    assert_eq!(all, Pubkeys::new(PubkeysVariant::Pubkey0));
    let sha1 = Fingerprint::sha1(b"der");
    let some = parse(&format!(
        "<pubkeys xmlns='urn:xmpp:pubkey:0'><fingerprint algo='sha1'>{}</fingerprint>\
         <fingerprint>Juliet-PKP-Hash</fingerprint></pubkeys>",
        sha1.hex()
    ))
    .unwrap();
    assert_eq!(some.wanted, Some(vec![sha1]));
    let unreadable = parse("<pubkeys xmlns='urn:xmpp:pubkey:0'><fingerprint>x</fingerprint></pubkeys>").unwrap();
    assert_eq!(unreadable.wanted, Some(Vec::new()), "not the same as a request for all");
    let third = parse("<pubkeys xmlns='urn:xmpp:pubkey:0' jid='benvolio@montague.net'/>").unwrap();
    assert_eq!(third.jid.as_deref(), Some("benvolio@montague.net"));
}

#[test]
fn wire_1_every_spelling_of_pubkeys_is_read_and_written() {
    let spellings = [
        ("pubkeys", "urn:xmpp:pubkey:0", PubkeysVariant::Pubkey0),
        ("pubkeys", "urn:xmpp:tmp:pubkey", PubkeysVariant::Temporary),
        ("pubkeys", "urn:xmpp:pubkey:2", PubkeysVariant::Pubkey2),
        ("pubkey", "urn:xmpp:pubkey:2", PubkeysVariant::Pubkey2Single),
    ];
    for (name, ns, variant) in spellings {
        let key = KeyInfo { jid: Some("a@b".into()), ..KeyInfo::new(b"abc") };
        let mut keys = Pubkeys::new(variant).with_key(key);
        keys.jid = Some("c@d".into());
        keys.wanted = Some(vec![Fingerprint::of(HashAlgo::Sha256, b"abc").unwrap()]);
        let written = keys.to_element().unwrap();
        assert!(written.is(name, ns));
        assert_eq!(Pubkeys::parse(written.root()), Some(keys));
        assert_eq!(parse(&format!("<{name} xmlns='{ns}'/>")), Some(Pubkeys::new(variant)));
    }
    for other in ["<pubkey xmlns='urn:xmpp:pubkey:0'/>", "<pubkeys/>", "<keyinfo xmlns='urn:xmpp:pubkey:0'/>"] {
        assert_eq!(parse(other), None, "{other}");
    }
}

/// The name is the SHA-1 in lower-case digits; the text has no leading blank and ends with a line's end.
#[test]
fn wire_1_certificate_text_exactly() {
    let written = Pubkeys::new(PubkeysVariant::Pubkey0).with_key(KeyInfo::new(b"abc")).to_element().unwrap();
    assert_eq!(
        written.to_xml(""),
        "<pubkeys xmlns='urn:xmpp:pubkey:0'><keyinfo><name>a9993e364706816aba3e25717850c26c9cd0d89d</name>\
         <x509cert>YWJj\n</x509cert></keyinfo></pubkeys>"
    );
    let line = |bytes: usize| in_lines(&vec![0; bytes]);
    assert_eq!(line(48), "A".repeat(64) + "\n");
    assert_eq!(line(49), format!("{}\nAA==\n", "A".repeat(64)));
}

#[test]
fn wire_1_white_space_and_armour_are_taken() {
    let armour = "\n-----BEGIN CERTIFICATE-----\r\nYW\n Jj\r\n-----END CERTIFICATE-----\n";
    for text in ["YWJj", "\n  YW\n\tJj \n", "Y W J j", armour] {
        assert_eq!(certificate(text).as_deref(), Some(&b"abc"[..]), "{text}");
    }
    let wrong = [
        "",
        " ",
        "YWJ",
        "YWJj=",
        "YW!j",
        "=YWJj",
        "YWJj-",
        "-----BEGIN CERTIFICATE-----YWJj",
        "YWJj-----END CERTIFICATE-----",
    ];
    for text in wrong {
        assert_eq!(certificate(text), None, "{text}");
    }
}

#[test]
fn a_name_is_kept_and_bounded() {
    let named = |name: &str| {
        let key = format!("<keyinfo><name>{name}</name><x509cert>YWJj</x509cert></keyinfo>");
        keys(&key).pop().unwrap().name.unwrap()
    };
    assert_eq!(named(" JulietX509CertificateHash\n"), "JulietX509CertificateHash");
    assert_eq!(named(&"a".repeat(128)).len(), 128);
    assert_eq!(named(&"a".repeat(129)).len(), 128);
    assert_eq!(named(&format!("{}  b", "a".repeat(127))), "a".repeat(127), "no blank is left where it was cut");
}

#[test]
fn at_most_eight_keys_and_fingerprints_are_read() {
    let many = |count: usize| {
        let key = "<keyinfo><x509cert>YWJj</x509cert></keyinfo>".repeat(count);
        let wanted = format!("<fingerprint>{}</fingerprint>", "ab".repeat(20)).repeat(count);
        let read = parse(&format!("<pubkeys xmlns='urn:xmpp:pubkey:0'>{wanted}{key}</pubkeys>")).unwrap();
        (read.keys.len(), read.wanted.unwrap().len())
    };
    assert_eq!(many(8), (8, 8));
    assert_eq!(many(9), (8, 8));
}

#[test]
fn a_certificate_has_at_most_16_kib() {
    let read = |bytes: usize| certificate(&in_lines(&vec![7; bytes])).map(|der| der.len());
    assert_eq!(read(16 * 1024), Some(16 * 1024));
    assert_eq!(read(16 * 1024 + 1), None);
    assert_eq!(read(16 * 1024 + 3), None);
}
