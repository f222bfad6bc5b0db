//! Every parser, with an input of any size.

use xtls_stanza::{
    Caps, DiscoInfo, Element, Fingerprint, HashAlgo, Iq, Limits, Pubkeys, StreamReader, TlsOffer, jid::Jid,
};
use xtls_tls::{ClientHelloWatch, PeerCertificate};

use super::measured;
use crate::common::{
    noise,
    script::{HEADER, security},
};

/// Something whose input has a size.
pub struct Case {
    pub name: &'static str,
    /// The smaller one; the larger is twice that.
    pub size: usize,
    /// Does it, with what is to be counted inside of [`measured`].
    pub run: fn(usize),
}

impl Case {
    pub fn sizes(&self) -> [usize; 2] {
        [self.size, 2 * self.size]
    }
}

/// Larger than any default, so that what is measured is not where a bound stops it.
fn wide() -> Limits {
    let mut limits = Limits::default();
    limits.stanza_bytes = 1 << 20;
    limits.nodes = 1 << 20;
    limits.attributes = 1 << 12;
    limits.declarations = 1 << 12;
    limits.depth = 1 << 10;
    limits.name_bytes = 1 << 16;
    limits.value_bytes = 1 << 20;
    limits
}

fn parse(xml: &str) {
    measured(&mut || assert!(Element::parse(xml, &wide()).is_ok()));
}

fn element(xml: &str) -> Element {
    Element::parse(xml, &wide()).unwrap()
}

/// Feeds a stream reader so many bytes at a time.
fn read(text: &str, pieces: usize) {
    let mut reader = StreamReader::new(wide());
    let mut header = HEADER.as_bytes();
    assert!(matches!(reader.read(&mut header), Ok(Some(_))));
    measured(&mut || {
        for mut piece in text.as_bytes().chunks(pieces) {
            while !piece.is_empty() {
                let _ = reader.read(&mut piece).unwrap();
            }
        }
    });
}

/// Elements that hold one another.
fn nested(depth: usize) -> String {
    format!("<a xmlns='urn:x'>{}{}</a>", "<a>".repeat(depth), "</a>".repeat(depth))
}

/// So many namespaces, each of an attribute and of a child.
fn declared(namespaces: usize) -> String {
    let declared: String =
        (0..namespaces).map(|number| format!(" xmlns:p{number}='urn:{number}' p{number}:a='v'")).collect();
    let used: String = (0..namespaces).map(|number| format!("<p{number}:b/>")).collect();
    format!("<a xmlns='urn:x'{declared}>{used}</a>")
}

pub const PARSERS: &[Case] = &[
    Case { name: "element: text", size: 4000, run: |n| parse(&format!("<a xmlns='urn:x'>{}</a>", "t".repeat(n))) },
    Case {
        name: "element: text beyond ASCII and references",
        size: 500,
        run: |n| parse(&format!("<a xmlns='urn:x'>{}</a>", "é&amp;\u{10348}&#xe9;".repeat(n))),
    },
    Case {
        name: "element: children",
        size: 500,
        run: |n| parse(&format!("<a xmlns='urn:x'>{}</a>", "<b/>".repeat(n))),
    },
    Case { name: "element: depth", size: 200, run: |n| parse(&nested(n)) },
    Case {
        name: "element: attributes",
        size: 200,
        run: |n| {
            let attributes: String = (0..n).map(|number| format!(" a{number}='v'")).collect();
            parse(&format!("<a xmlns='urn:x'{attributes}/>"));
        },
    },
    Case { name: "element: declarations", size: 200, run: |n| parse(&declared(n)) },
    Case {
        name: "element: declarations to text",
        size: 200,
        run: |n| {
            let tree = element(&declared(n));
            measured(&mut || assert!(!tree.to_xml("").is_empty()));
        },
    },
    Case {
        name: "element: declarations inside one another",
        size: 200,
        run: |n| {
            let begin: String = (0..n).map(|number| format!("<p{number}:a xmlns:p{number}='urn:{number}'>")).collect();
            let end: String = (0..n).rev().map(|number| format!("</p{number}:a>")).collect();
            parse(&(begin + &end));
        },
    },
    Case { name: "element: a name", size: 4000, run: |n| parse(&format!("<{} xmlns='urn:x'/>", "n".repeat(n))) },
    Case { name: "element: a value", size: 4000, run: |n| parse(&format!("<a xmlns='urn:x' b='{}'/>", "v".repeat(n))) },
    Case {
        name: "element: CDATA",
        size: 4000,
        run: |n| parse(&format!("<a xmlns='urn:x'><![CDATA[{}]]></a>", "]".repeat(n))),
    },
    Case {
        name: "element: to text",
        size: 300,
        run: |n| {
            let tree = element(&format!("<a xmlns='urn:x'>{}</a>", "<b c='&lt;&apos;'>t&amp;</b>".repeat(n)));
            measured(&mut || assert!(!tree.to_xml("").is_empty()));
        },
    },
    Case {
        name: "element: a copy",
        size: 300,
        run: |n| {
            let tree = element(&format!("<a xmlns='urn:x'>{}</a>", "<b c='d'>t</b>".repeat(n)));
            measured(&mut || assert!(tree.root().to_element().is("a", "urn:x")));
        },
    },
    Case { name: "stream: stanzas", size: 100, run: |n| read(&"<message><body>Hi</body></message>".repeat(n), 4096) },
    Case {
        name: "stream: stanzas, byte by byte",
        size: 100,
        run: |n| read(&"<message><body>Hi</body></message>".repeat(n), 1),
    },
    Case { name: "stream: one stanza, byte by byte", size: 4000, run: |n| read(&format!("<a>{}", "t".repeat(n)), 1) },
    Case { name: "stream: one name, byte by byte", size: 4000, run: |n| read(&format!("<{}", "t".repeat(n)), 1) },
    Case { name: "stream: one value, byte by byte", size: 4000, run: |n| read(&format!("<a b='{}", "t".repeat(n)), 1) },
    Case { name: "stream: white space", size: 4000, run: |n| read(&" ".repeat(n), 1) },
    Case {
        name: "disco#info: features",
        size: 200,
        run: |n| {
            let features: String = (0..n).map(|number| format!("<feature var='urn:f:{number}'/>")).collect();
            let query = element(&format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>"));
            measured(&mut || assert!(DiscoInfo::parse(query.root()).is_some_and(|info| info.is_ok())));
        },
    },
    Case {
        name: "capabilities: hash",
        size: 200,
        run: |n| {
            let features: Vec<_> = (0..n).map(|number| format!("urn:f:{}", number * 7919 % n)).collect();
            let info = DiscoInfo::new(xtls_stanza::DiscoIdentity::new("client", "pc"))
                .with_features(features.iter().map(String::as_str));
            measured(&mut || assert!(info.caps_ver(HashAlgo::Sha1).is_ok()));
        },
    },
    Case {
        name: "capabilities: element",
        size: 400,
        run: |n| {
            let xml = format!(
                "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{}' ver='AAAA'/>",
                "n".repeat(n)
            );
            let caps = element(&xml);
            measured(&mut || assert!(Caps::parse(caps.root()).is_some()));
        },
    },
    Case {
        name: "address: localpart, resource and domain",
        size: 30,
        run: |n| {
            let address = format!("{}@{}lit/{}", "ab".repeat(n), "ab.".repeat(n), "ab".repeat(n));
            measured(&mut || assert!(Jid::new(&address).is_ok()));
        },
    },
    Case {
        name: "address: beyond ASCII",
        size: 100,
        run: |n| {
            let address = format!("{}@verona.lit/{}", "é".repeat(n), "ö ".repeat(n) + "x");
            measured(&mut || assert!(Jid::new(&address).is_ok()));
        },
    },
    Case {
        name: "fingerprints of an offer",
        size: 100,
        run: |n| {
            let print = Fingerprint::sha256(b"x");
            let offer = element(&security(&vec![print; n], &["x509"]));
            measured(&mut || drop(xtls_stanza::SecurityOffer::parse(offer.root())));
        },
    },
    Case {
        name: "keys of an offer",
        size: 400,
        run: |n| {
            let keys = "<keyinfo xmlns='urn:xmpp:tmp:pubkey'><name>x</name></keyinfo>".repeat(n);
            let tls = element(&format!("<offer xmlns='urn:xmpp:tmp:c2ctls'>{keys}</offer>"));
            measured(&mut || drop(TlsOffer::parse(tls.root())));
        },
    },
    Case {
        name: "certificates of a stanza",
        size: 3000,
        run: |n| {
            let text = crate::common::base64(&noise(n, 1));
            let xml = format!(
                "<pubkeys xmlns='urn:xmpp:pubkey:2' jid='a@b'><keyinfo><x509cert>{text}</x509cert></keyinfo></pubkeys>"
            );
            let keys = element(&xml);
            measured(&mut || drop(Pubkeys::parse(keys.root())));
        },
    },
    Case {
        name: "an IQ",
        size: 200,
        run: |n| {
            let iq = element(&format!(
                "<iq xmlns='jabber:client' type='error' id='1'>{}<error type='cancel'/></iq>",
                "<x xmlns='urn:x'/>".repeat(n)
            ));
            measured(&mut || {
                let iq = Iq::parse(&iq);
                drop(iq.and_then(Result::ok).and_then(|iq| iq.error()));
            });
        },
    },
    Case {
        name: "a certificate",
        size: 20,
        run: |n| {
            let names: Vec<_> = (0..n).map(|number| format!("host{number}.verona.lit")).collect();
            let key = rcgen::KeyPair::generate().unwrap();
            let made = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            // The first one makes what all share.
            assert!(PeerCertificate::from_der(made.der()).is_ok());
            measured(&mut || assert!(PeerCertificate::from_der(made.der()).is_ok()));
        },
    },
    Case {
        name: "a ClientHello, byte by byte",
        size: 2000,
        run: |n| {
            let mut hello = vec![22, 3, 1];
            let fragment = u16::try_from(n).unwrap();
            hello.extend(fragment.to_be_bytes());
            hello.extend([1, 0]);
            hello.extend((fragment - 4 + 1).to_be_bytes());
            hello.extend(vec![3; n - 4]);
            measured(&mut || {
                let mut watch = ClientHelloWatch::default();
                for end in 1..=hello.len() {
                    let _ = watch.look(&hello[..end]);
                }
            });
        },
    },
    Case {
        name: "a ClientHello in records of one byte, record by record",
        size: 500,
        run: |n| {
            let length = u16::try_from(n - 4).unwrap().to_be_bytes();
            let mut message = vec![1, 0, length[0], length[1]];
            message.extend(vec![3; n - 4]);
            let records: Vec<u8> = message.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
            measured(&mut || {
                let mut watch = ClientHelloWatch::default();
                for end in (6..=records.len()).step_by(6) {
                    let _ = watch.look(&records[..end]);
                }
            });
        },
    },
];
