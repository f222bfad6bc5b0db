//! Offers of Smack, rexmpp, Conversations, Dino, Gajim and slixmpp, as their public documentation and reports show them.

use xtls_files::{FileEnd, FileEvent, FilesConfig};

use crate::{
    raw::{Answer, Raw},
    world::hash,
};

/// The content of a session-initiate, and what is to come of it: whether in band is asked for first, and whether the bytes are compared.
struct Shape {
    whose: &'static str,
    content: String,
    replaces: bool,
    compared: bool,
}

fn shapes() -> Vec<Shape> {
    let ours = hash(b"abc").base64();
    let description = |file: &str| {
        format!("<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>{file}</file></description>")
    };
    let ibb = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='bs'/>";
    let s5b = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' mode='tcp' sid='x' dstaddr='1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba'>\
               <candidate cid='a' host='192.0.2.1' jid='romeo@montague.lit/orchard' port='5086' priority='8257636' type='direct'/>\
               </transport>";
    let smack = format!(
        "<date>2016-10-05T20:26:37.219Z</date><desc>desc</desc><media-type>application/octet-stream</media-type>\
         <name>name</name><size>3</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{ours}</hash>"
    );
    let rexmpp = format!(
        "<name>name</name><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{ours}</hash>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>OTqo2D+wbPNVgFEpZ+xUYXd8TdVAVoK6Ls6fNvIVZZk=</hash><size>3</size>"
    );
    let of_sha_1 = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>qZk+NkcGgWq6PiVxeFDCbJzQ2J0=</hash>";
    let with = |senders: &str, name: &str, inner: String| {
        format!("<content creator='initiator' name='{name}'{senders}>{inner}</content>")
    };
    let initiator = " senders='initiator'";
    vec![
        Shape {
            whose: "Smack: in band, with a date that has a fraction",
            content: with(initiator, "jsd", format!("{}{ibb}", description(&smack))),
            replaces: false,
            compared: true,
        },
        Shape {
            whose: "rexmpp: the transport first, nobody is said to send, and a name with a space",
            content: with("", "IBB file", format!("{ibb}{}", description(&rexmpp))),
            replaces: false,
            compared: true,
        },
        Shape {
            whose: "Conversations: SOCKS5 first, without a hash",
            content: with(initiator, "a1", format!("{}{s5b}", description("<size>3</size><name>name.jpg</name>"))),
            replaces: true,
            compared: false,
        },
        Shape {
            whose: "Dino: a media type, and no hash",
            content: with(
                initiator,
                "a-file-offer",
                format!("{}{s5b}", description("<name>n</name><size>3</size><media-type>image/jpeg</media-type>")),
            ),
            replaces: true,
            compared: false,
        },
        Shape {
            whose: "Gajim and slixmpp: an empty description, a range, and a hash of a function that is not compared here",
            content: with(
                initiator,
                "file",
                format!("{}{s5b}", description(&format!("<name>n</name><size>3</size><desc/><range/>{of_sha_1}"))),
            ),
            replaces: true,
            compared: false,
        },
    ]
}

#[test]
fn offers_as_clients_shape_them_are_taken_and_their_files_come() {
    for Shape { whose, content, replaces, compared } in shapes() {
        let mut raw = Raw::new(FilesConfig::default());
        assert_eq!(raw.jingle("session-initiate", "s", &content), Answer::Result, "{whose}");
        let mut sid = "bs".to_owned();
        if replaces {
            let (action, stanza) = raw.asked().unwrap();
            assert_eq!(action, "transport-replace", "{whose}");
            let offered = stanza.children().next().unwrap().children().next().unwrap();
            let transport = offered.children().next().unwrap();
            transport.attribute("sid").unwrap().clone_into(&mut sid);
            let name = offered.attribute("name").unwrap();
            let accepted = format!(
                "<content creator='initiator' name='{name}'>\
                 <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{sid}'/></content>"
            );
            assert_eq!(raw.jingle("transport-accept", "s", &accepted), Answer::Result, "{whose}");
        }
        assert_eq!(raw.actions(), ["session-accept"], "{whose}");
        let open = format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='{sid}' stanza='iq'/>");
        assert_eq!(raw.set(&open), Answer::Result, "{whose}");
        let data = format!("<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='{sid}'>YWJj</data>");
        assert_eq!(raw.set(&data), Answer::Result, "{whose}");
        assert_eq!(raw.end.got.values().next().unwrap(), b"abc", "{whose}");
        assert_eq!(raw.end.ends(), [(FileEnd::Success, false)], "{whose}");
        let checked = |event: &FileEvent| matches!(event, FileEvent::Checked { compared: is, .. } if *is == compared);
        assert!(raw.end.events.iter().any(checked), "{whose}: {:?}", raw.end.events);
    }
}
