//! The examples of XEP-0234 and XEP-0300, read and answered, and their rules.

use xtls_files::{
    FileEnd, FileEvent, FileHash, FileHashAlgo, FileInfo, FileRange, FileRequest, Files, FilesConfig, ns,
};
use xtls_stanza::{Element, jid::FullJid};

use crate::{
    raw::{Answer, Raw, element},
    world::{bytes, hash, hasher, run, two},
};

/// The two of the examples.
const ROMEO: &str = "romeo@montague.example/dr4hcr0st3lup4c";
const JULIET: &str = "juliet@capulet.example/yn0cl4bnw0yr3vym";

fn example(number: u8) -> Element {
    let text = match number {
        1 => include_str!("xep_0234/example_01.xml"),
        3 => include_str!("xep_0234/example_03.xml"),
        5 => include_str!("xep_0234/example_05.xml"),
        6 => include_str!("xep_0234/example_06.xml"),
        8 => include_str!("xep_0234/example_08.xml"),
        9 => include_str!("xep_0234/example_09.xml"),
        10 => include_str!("xep_0234/example_10.xml"),
        12 => include_str!("xep_0234/example_12.xml"),
        13 => include_str!("xep_0234/example_13.xml"),
        14 => include_str!("xep_0234/example_14.xml"),
        15 => include_str!("xep_0234/example_15.xml"),
        16 => include_str!("xep_0234/example_16.xml"),
        17 => include_str!("xep_0234/example_17.xml"),
        18 => include_str!("xep_0234/example_18.xml"),
        19 => include_str!("xep_0234/example_19.xml"),
        _ => panic!("no stanza in example {number}"),
    };
    // The examples' values stand on lines of their own in places.
    element(text.trim())
}

fn end(own: &str, peer: &str) -> Files {
    Files::new(FullJid::new(own).unwrap(), FullJid::new(peer).unwrap(), [3; 32], FilesConfig::default())
}

fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn event(files: &mut Files) -> FileEvent {
    files.poll_event().unwrap()
}

/// All that it has to say.
fn says(files: &mut Files) -> Vec<String> {
    core::iter::from_fn(|| files.poll_stanza(now())).map(|stanza| stanza.to_xml("jabber:client")).collect()
}

fn the_file() -> FileInfo {
    let mut file = FileInfo::new("test.txt", 6144).with_date("1969-07-21T02:56:15Z").with_media_type("text/plain");
    file.description = Some("This is a test. If this were a real file...".to_owned());
    // Of SHA-1, which nothing is compared with here.
    file.hash_algo = None;
    file
}

#[test]
fn xep_0234_example_1_the_offer_is_read_and_acknowledged() {
    let mut juliet = end(JULIET, ROMEO);
    assert!(juliet.handle_stanza(now(), &example(1)));
    let FileEvent::Offered { id, file, range } = event(&mut juliet) else { panic!("not offered") };
    assert_eq!((file, range), (the_file(), FileRange::WHOLE));
    // Example 2.
    assert_eq!(says(&mut juliet), ["<iq type='result' id='nzu25s8' to='romeo@montague.example/dr4hcr0st3lup4c'/>"]);
    // SOCKS5 is not for files here: in-band is asked for in its place, which everybody has (§ 10.1).
    juliet.accept(now(), id, hasher(&[])).unwrap();
    let said = says(&mut juliet);
    assert!(
        said[0].contains("action='transport-replace'") && said[0].contains("urn:xmpp:jingle:transports:ibb:1"),
        "{said:?}"
    );
    assert_eq!(said.len(), 1);
}

#[test]
fn xep_0234_10_1_who_offers_another_transport_is_asked_for_in_band_and_the_file_comes() {
    let s5b = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' mode='tcp' sid='vj3hs98y'/>";
    let file = "<name>f</name><size>3</size>";
    for refused in [false, true] {
        let mut raw = Raw::new(FilesConfig::default());
        assert_eq!(raw.initiate_over("s", "initiator", file, s5b), Answer::Result);
        let (action, stanza) = raw.asked().unwrap();
        assert_eq!(action, "transport-replace");
        let content = stanza.children().next().unwrap().children().next().unwrap();
        let mut transport = String::new();
        content.children().next().unwrap().write_xml(&mut transport, "");
        let body = format!("<content creator='initiator' name='c'>{transport}</content>");
        if refused {
            assert_eq!(raw.jingle("transport-reject", "s", &body), Answer::Result);
            assert_eq!(raw.end.ends(), [(FileEnd::UnsupportedTransport, false)]);
            continue;
        }
        assert_eq!(raw.jingle("transport-accept", "s", &body), Answer::Result);
        assert_eq!(raw.actions(), ["session-accept"]);
        let sid = content.children().next().unwrap().attribute("sid").unwrap().to_owned();
        let open = format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='{sid}'/>");
        assert_eq!(raw.set(&open), Answer::Result);
        let data = format!("<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='{sid}'>YWJj</data>");
        assert_eq!(raw.set(&data), Answer::Result);
        assert_eq!(raw.end.got.values().next().unwrap(), b"abc");
        assert_eq!(raw.end.ends(), [(FileEnd::Success, false)]);
    }
}

#[test]
fn the_initiator_replaces_the_transport_itself() {
    let s5b = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='x'/>";
    let ibb = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='bs'/>";
    let of = |transport: &str| format!("<content creator='initiator' name='c'>{transport}</content>");
    for takes in [false, true] {
        // Before the application has decided, or crossing our own request, which it overrules.
        let mut raw = Raw::new(FilesConfig::default());
        raw.end.takes = takes;
        assert_eq!(raw.initiate_over("s", "initiator", "<size>3</size>", s5b), Answer::Result);
        assert_eq!(raw.jingle("transport-replace", "s", &of(s5b)), Answer::Result);
        assert_eq!(raw.jingle("transport-replace", "s", &of(ibb)), Answer::Result);
        if !takes {
            let id = raw.id();
            raw.end.files.accept(raw.end.now, id, hasher(&[])).unwrap();
            raw.settle();
        }
        let actions = raw.actions();
        let expected = ["transport-replace", "transport-reject", "transport-accept", "session-accept"];
        assert_eq!(actions, expected[usize::from(!takes)..]);
        assert_eq!(raw.open("s"), Answer::Result);
        raw.data("s", 0, b"abc");
        // Afterwards nothing is replaced any more.
        if raw.end.ends().is_empty() {
            assert_eq!(raw.jingle("transport-replace", "s", &of(ibb)), Answer::Result);
            assert_eq!(raw.actions(), ["transport-reject"]);
        }
    }
}

#[test]
fn xep_0234_example_3_an_acceptance_over_what_was_not_offered_is_refused() {
    let mut romeo = end(ROMEO, JULIET);
    let id = romeo.offer(now(), the_file()).unwrap();
    let sid = started(&mut romeo);
    let mut accept = example(3).to_xml("jabber:client");
    accept = accept.replace("851ba2", &sid).replace("a-file-offer", "file");
    assert!(romeo.handle_stanza(now(), &element(&accept)));
    // It names a SOCKS5 bytestream, and in-band was offered.
    assert!(says(&mut romeo)[0].contains("<not-acceptable"));
    // The same with what was offered.
    let (from, to) = (accept.find("<transport").unwrap(), accept.find("</transport>").unwrap() + "</transport>".len());
    accept.replace_range(from..to, "<transport xmlns='urn:xmpp:jingle:transports:ibb:1'/>");
    assert!(romeo.handle_stanza(now(), &element(&accept)));
    // Example 4.
    assert_eq!(says(&mut romeo)[0], format!("<iq type='result' id='jn2vs71g' to='{JULIET}'/>"));
    assert_eq!(event(&mut romeo), FileEvent::Accepted { id, range: FileRange::new(0, 6144), check: None });
}

/// The offer goes out to a peer that does not say what it knows; the sid of the session.
fn started(files: &mut Files) -> String {
    let asked = element(&says(files)[0]);
    let id = asked.attribute("id").unwrap();
    let refusal = format!(
        "<iq type='error' id='{id}'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    assert!(files.handle_stanza(now(), &element(&refusal)));
    let offer = element(&says(files)[0]);
    offer.children().next().unwrap().attribute("sid").unwrap().to_owned()
}

#[test]
fn xep_0234_6_1_the_offer_is_that_of_the_example() {
    let mut romeo = end(ROMEO, JULIET);
    let mut info = the_file();
    info.hash_algo = Some(FileHashAlgo::Sha256);
    romeo.offer(now(), info).unwrap();
    let asked = element(&says(&mut romeo)[0]);
    let id = asked.attribute("id").unwrap();
    let refusal = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    assert!(romeo.handle_stanza(now(), &element(&format!("<iq type='error' id='{id}'>{refusal}</iq>"))));
    let offer = says(&mut romeo).remove(0);
    let said = element(&offer);
    let jingle = said.children().next().unwrap();
    let sid = jingle.attribute("sid").unwrap();
    let content = jingle.children().next().unwrap();
    let bytestream = content.children().nth(1).unwrap().attribute("sid").unwrap();
    let expected = format!(
        "<iq type='set' id='{}' to='{JULIET}'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' \
         initiator='{ROMEO}' sid='{sid}'><content creator='initiator' name='file' senders='initiator'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><date>1969-07-21T02:56:15Z</date>\
         <desc>This is a test. If this were a real file...</desc><media-type>text/plain</media-type>\
         <name>test.txt</name><range/><size>6144</size><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>\
         <check xmlns='urn:xtls:files:0'/></file></description>\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='32768' sid='{bytestream}'/></content></jingle></iq>",
        said.attribute("id").unwrap()
    );
    assert_eq!(element(&offer), element(&expected));
}

#[test]
fn xep_0234_example_5_the_request_is_read() {
    let mut romeo = end(ROMEO, JULIET);
    assert!(romeo.handle_stanza(now(), &example(5)));
    let FileEvent::Requested { wanted, check, .. } = event(&mut romeo) else { panic!("not requested") };
    // Its hash is of SHA-1: nothing that could be looked for here.
    assert_eq!((wanted, check), (FileRequest::default(), None));
    let xml = example(5).to_xml("jabber:client").replace("sha-1", "sha-256");
    let xml = xml.replace("w0mcJylzCn+AfvuGdqkty2+KP48=", &hash(b"a").base64()).replace("uj3b2", "other");
    assert!(romeo.handle_stanza(now(), &element(&xml)));
    let FileEvent::Requested { id, wanted, .. } = event(&mut romeo) else { panic!("not requested") };
    assert_eq!(wanted, FileRequest::by_hash(hash(b"a")));
    // § 9.1: the file cannot be found, as in example 17.
    romeo.end(now(), id, FileEnd::NotAvailable).unwrap();
    let said = says(&mut romeo).pop().unwrap();
    assert!(said.contains("action='session-terminate'") && said.contains("<failed-application/>"), "{said}");
    assert!(said.contains("<file-not-available xmlns='urn:xmpp:jingle:apps:file-transfer:errors:0'/>"), "{said}");
}

#[test]
fn xep_0234_example_6_an_additional_file_is_acknowledged_and_rejected() {
    let mut raw = offered_to("uj3b2", "<size>5</size>");
    // Example 7 is the acknowledgement.
    assert_eq!(raw.say(&example(6)), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept", "content-reject"]);
    assert_eq!(raw.end.ends(), []);
}

#[test]
fn xep_0234_example_8_an_offer_that_goes_on_after_a_break() {
    let mut juliet = end(JULIET, ROMEO);
    assert!(juliet.handle_stanza(now(), &example(8)));
    let FileEvent::Offered { id, file, range } = event(&mut juliet) else { panic!("not offered") };
    assert_eq!((file.size, file.ranged, range), (None, true, FileRange::from(270_336)));
    // What is here already must reach as far as that.
    assert!(juliet.accept(now(), id, hasher(&[0; 270_335])).is_err());
    juliet.accept(now(), id, hasher(&[0; 270_336])).unwrap();
}

fn offered_to(sid: &str, file: &str) -> Raw {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate(sid, "initiator", file), Answer::Result);
    raw
}

#[test]
fn xep_0234_6_5_either_party_aborts_with_cancel() {
    for number in [9, 10] {
        let mut raw = offered_to("a73sjjvkla37jfea", "<size>5</size>");
        let mut stanza = example(number).to_xml("jabber:client");
        stanza = stanza.replace("a-file-offer", "c");
        assert_eq!(raw.say(&element(&stanza)), Answer::Result);
        assert_eq!(raw.end.ends(), [(FileEnd::Cancelled, true)], "{number}");
    }
    let mut raw = offered_to("s", "<size>5</size>");
    let id = raw.id();
    raw.end.files.end(raw.end.now, id, FileEnd::Cancelled).unwrap();
    raw.settle();
    assert!(raw.said.iter().any(|stanza| stanza.to_xml("").contains("<reason><cancel/>")));
}

#[test]
fn xep_0234_6_6_the_receiver_ends_the_session_with_success() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(10);
    romeo.files.offer(romeo.now, FileInfo::new("f", 10)).unwrap();
    run(&mut romeo, &mut juliet);
    let last: Vec<_> = juliet.said.iter().filter(|stanza| stanza.contains("<jingle")).collect();
    // Examples 13 and 12.
    assert!(
        last[last.len() - 2]
            .contains("<received xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='file'/>")
    );
    assert!(
        last[last.len() - 1].contains("action='session-terminate'")
            && last[last.len() - 1].contains("<reason><success/></reason>")
    );
}

#[test]
fn xep_0234_example_12_the_sender_ends_it_too_once_all_is_there() {
    let mut raw = offered_to("a73sjjvkla37jfea", "<size>3</size>");
    raw.end.takes = false;
    assert_eq!(raw.open("a73sjjvkla37jfea"), Answer::Result);
    // Nothing is stored before the application says so; the peer has ended the session, and is not told any more.
    let id = raw.id();
    raw.quiet_data("a73sjjvkla37jfea", b"abc");
    assert_eq!(raw.quiet(&example(12)), Answer::Result);
    let mut out = Vec::new();
    assert_eq!(raw.end.ends(), []);
    assert_eq!(raw.end.files.read(raw.end.now, id, &mut out), 3);
    raw.settle();
    assert_eq!(raw.end.ends(), [(FileEnd::Success, true)]);
    assert_eq!(raw.actions(), ["session-accept"]);
}

#[test]
fn xep_0234_8_1_a_sender_that_hears_received_waits_for_the_end_and_then_makes_it() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(0);
    assert_eq!(raw.initiate("a73sjjvkla37jfea", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.open("a73sjjvkla37jfea"), Answer::Result);
    raw.actions();
    let received = example(13).to_xml("jabber:client").replace("a-file-offer", "c");
    assert_eq!(raw.say(&element(&received)), Answer::Result);
    assert_eq!(raw.say(&element(&received)), Answer::Result);
    let told = raw.end.events.iter().filter(|event| matches!(event, FileEvent::Received { .. })).count();
    assert_eq!((told, raw.end.ends().len()), (1, 0));
    raw.end.pass(FilesConfig::default().confirmation);
    raw.settle();
    assert_eq!(raw.end.ends(), [(FileEnd::Success, false)]);
}

#[test]
fn xep_0234_8_1_received_names_the_content() {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("a73sjjvkla37jfea", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.say(&example(13)), Answer::Error("item-not-found", None));
}

#[test]
fn xep_0234_8_2_checksums_are_read() {
    for (number, hash_is_there) in [(14, true), (15, true)] {
        let mut raw = offered_to(
            "a73sjjvkla37jfea",
            "<size>6144</size><range/><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-1'/>",
        );
        let stanza = example(number).to_xml("jabber:client").replace("a-file-offer", "c");
        assert_eq!(raw.say(&element(&stanza)), Answer::Result, "{number}");
        let ended = number == 15;
        // That of the second is of a part that nobody has asked for.
        assert_eq!(!raw.end.ends().is_empty(), ended && hash_is_there);
    }
    // § 8.2: there MUST be at least one hash, in a file.
    let mut raw = offered_to("s", "<size>3</size>");
    assert!(matches!(raw.checksum("s", "<name>f</name>"), Answer::Error("bad-request", _)));
    let empty = "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='c'/>";
    assert!(matches!(raw.info("s", empty), Answer::Error("bad-request", _)));
}

#[test]
fn xep_0234_8_2_the_checksum_is_that_of_the_example() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(6144);
    romeo.files.offer(romeo.now, FileInfo::new("f", 6144)).unwrap();
    run(&mut romeo, &mut juliet);
    let told = romeo.said.iter().find(|stanza| stanza.contains("session-info")).unwrap();
    let expected = format!(
        "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='file'><file>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file></checksum>",
        hash(&romeo.file).base64()
    );
    assert!(told.contains(&expected), "{told}");
    // Of a part, as in example 15.
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(6144);
    let wanted = FileRequest::by_name("f").with_range(FileRange::new(2048, 1024));
    juliet.files.request(juliet.now, wanted, hasher(&[])).unwrap();
    run(&mut juliet, &mut romeo);
    let told = romeo.said.iter().find(|stanza| stanza.contains("session-info")).unwrap();
    let expected = format!(
        "<file><range offset='2048' length='1024'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></range></file>",
        hash(&romeo.file[2048..3072]).base64()
    );
    assert!(told.contains(&expected), "{told}");
    assert_eq!(juliet.got.values().next().unwrap(), &romeo.file[2048..3072]);
    assert_eq!(juliet.end(), Some((FileEnd::Success, false)));
}

#[test]
fn xep_0234_example_16_the_function_is_named_and_the_hash_follows() {
    let mut juliet = end(JULIET, ROMEO);
    let xml = example(16).to_xml("jabber:client");
    assert!(juliet.handle_stanza(now(), &element(&xml)));
    let FileEvent::Offered { file, .. } = event(&mut juliet) else { panic!("not offered") };
    assert_eq!((file.hash, file.hash_algo), (None, None));
    let xml = xml.replace("sha-1", "sha-512").replace("851ba2", "other").replace("vj3hs98y", "another");
    assert!(juliet.handle_stanza(now(), &element(&xml)));
    let FileEvent::Offered { file, .. } = event(&mut juliet) else { panic!("not offered") };
    assert_eq!((file.hash, file.hash_algo), (None, Some(FileHashAlgo::Sha512)));
}

#[test]
fn xep_0234_9_the_reasons_of_the_examples() {
    for (number, sid, end) in [(17, "uj3b2", FileEnd::NotAvailable), (18, "uj3b2", FileEnd::TooLarge)] {
        let mut raw = offered_to(sid, "<size>5</size>");
        let mut stanza = example(number).to_xml("jabber:client");
        for name in ["requesting-file", "big-file"] {
            stanza = stanza.replace(name, "c");
        }
        assert_eq!(raw.say(&element(&stanza)), Answer::Result);
        assert_eq!(raw.end.ends(), [(end, true)]);
    }
}

#[test]
fn xep_0234_11_and_xep_0300_5_what_is_known_is_told() {
    let mut config = FilesConfig::default();
    config.features = vec!["urn:example:more".to_owned()];
    for tunnels in [false, true] {
        config.tunnels = tunnels;
        let mut juliet =
            Files::new(FullJid::new(JULIET).unwrap(), FullJid::new(ROMEO).unwrap(), [3; 32], config.clone());
        assert!(juliet.handle_stanza(now(), &example(19)));
        let said = says(&mut juliet).remove(0);
        for feature in [
            "urn:xmpp:jingle:1",
            "urn:xmpp:jingle:apps:file-transfer:5",
            "urn:xmpp:jingle:transports:ibb:1",
            "http://jabber.org/protocol/ibb",
            "urn:xmpp:hashes:2",
            "urn:xmpp:hash-function-text-names:sha-256",
            "urn:xmpp:hash-function-text-names:sha-512",
            "urn:xtls:files:0",
            "urn:example:more",
        ] {
            assert!(said.contains(&format!("<feature var='{feature}'/>")), "{feature}");
        }
        assert_eq!(said.contains(ns::TUNNEL_TRANSPORT), tunnels);
        // One of a node is somebody else's.
        let node = example(19).to_xml("jabber:client").replace("<query", "<query node='n'");
        assert!(!juliet.handle_stanza(now(), &element(&node)));
    }
    config.answers_disco = false;
    let mut juliet = Files::new(FullJid::new(JULIET).unwrap(), FullJid::new(ROMEO).unwrap(), [3; 32], config);
    assert!(!juliet.handle_stanza(now(), &example(19)));
}

#[test]
fn xep_0234_4_1_who_sends_is_said_and_is_one_of_the_two() {
    for senders in ["both", "none"] {
        let mut raw = Raw::new(FilesConfig::default());
        assert!(matches!(raw.initiate("s", senders, "<name>f</name>"), Answer::Error("bad-request", _)), "{senders}");
    }
    // Some leave it out, who mean an offer.
    let mut raw = Raw::new(FilesConfig::default());
    let content = "<content creator='initiator' name='c'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'>\
                   <file><name>f</name></file></description>\
                   <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='b'/></content>";
    assert_eq!(raw.jingle("session-initiate", "s", content), Answer::Result);
    assert!(matches!(raw.end.events[..], [FileEvent::Offered { .. }]));
}

#[test]
fn xep_0234_5_what_a_description_may_not_be() {
    let hash = |algo: &str, value: &str| format!("<hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{value}</hash>");
    let right = hash("sha-256", &FileHash::of(FileHashAlgo::Sha256, b"").base64());
    for wrong in [
        "<size>-1</size>".to_owned(),
        "<size>1e3</size>".to_owned(),
        "<size>18446744073709551616</size>".to_owned(),
        "<size/>".to_owned(),
        "<range offset='-1'/>".to_owned(),
        "<range length='x'/>".to_owned(),
        "<manifest xmlns='urn:xtls:files:0' files='1'/>".to_owned(),
        "<check xmlns='urn:xtls:files:0' offset='x'/>".to_owned(),
        hash("sha-256", "AAAA"),
        hash("sha-256", "no base64!"),
        hash("sha-512", &FileHash::of(FileHashAlgo::Sha256, b"").base64()),
        format!("{right}{right}"),
        "<hash xmlns='urn:xmpp:hashes:2'>AAAA</hash>".to_owned(),
    ] {
        let mut raw = Raw::new(FilesConfig::default());
        assert!(matches!(raw.initiate("s", "initiator", &wrong), Answer::Error("not-acceptable", _)), "{wrong}");
        assert_eq!(raw.end.events, [], "{wrong}");
    }
    for right in [
        "<size>0</size>",
        "<size>\n 5 \n</size>",
        "<size>18446744073709551615</size>",
        "<date>2015-07-26T21:46:00+01:00</date>",
        "<date>2026-11-28T09:30:00.123Z</date>",
        "<date>2026-11-28</date>",
        "<date>yesterday</date>",
        "<name></name>",
        "<x xmlns='urn:xmpp:thumbs:1' uri='cid:a'/>",
        "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'/>",
        "<hash xmlns='urn:xmpp:hashes:2' algo='blake2b-256'>anything</hash>",
        "<hash xmlns='urn:xmpp:hashes:1' algo='sha-256'>an older one</hash>",
        "<desc xml:lang='en'>one</desc><desc xml:lang='de'>eins</desc>",
    ] {
        let mut raw = Raw::new(FilesConfig::default());
        assert_eq!(raw.initiate("s", "initiator", right), Answer::Result, "{right}");
    }
}

#[test]
fn xep_0234_5_a_date_is_one_of_xep_0082_or_not_known() {
    for (date, is_one) in [
        ("2015-07-26T21:46:00+01:00", true),
        ("2026-11-28T09:30:00.123Z", true),
        ("2026-11-28", false),
        ("yesterday", false),
        ("2026-11-28T25:00:00Z", false),
    ] {
        let mut raw = Raw::new(FilesConfig::default());
        assert_eq!(raw.initiate("s", "initiator", &format!("<date>{date}</date>")), Answer::Result);
        let FileEvent::Offered { file, .. } = &raw.end.events[0] else { panic!("not offered") };
        assert_eq!(file.date.as_deref(), is_one.then_some(date));
    }
}

#[test]
fn xep_0300_3_a_hash_is_base64_of_its_length_without_white_space() {
    let right = FileHash::of(FileHashAlgo::Sha256, b"abc");
    let text = right.base64();
    assert_eq!(FileHash::from_base64(FileHashAlgo::Sha256, &text), Some(right));
    assert_eq!(right.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let mut trailing = text.clone().into_bytes();
    // The bits after the last byte are zero.
    let at = trailing.len() - 2;
    trailing[at] += 1;
    for wrong in [
        format!(" {text}"),
        format!("{text}\n"),
        text.trim_end_matches('=').to_owned(),
        String::from_utf8(trailing).unwrap(),
        text.replace('+', "-"),
        String::new(),
        "A".repeat(257),
    ] {
        assert!(wrong == text || FileHash::from_base64(FileHashAlgo::Sha256, &wrong).is_none(), "{wrong:?}");
    }
    let of_512 = FileHash::of(FileHashAlgo::Sha512, b"abc");
    assert!(of_512.hex().starts_with("ddaf35a193617abacc417349ae204131"));
    assert_eq!(FileHash::from_base64(FileHashAlgo::Sha512, &of_512.base64()), Some(of_512));
    assert_eq!(FileHash::from_base64(FileHashAlgo::Sha256, &of_512.base64()), None);
    assert_eq!(FileHash::new(FileHashAlgo::Sha256, &[0; 31]), None);
    assert_eq!(FileHash::new(FileHashAlgo::Sha256, &[0; 33]), None);
}

#[test]
fn xep_0300_3_the_names_of_functions_are_exact() {
    assert_eq!(FileHashAlgo::parse("sha-256"), Some(FileHashAlgo::Sha256));
    for wrong in ["SHA-256", "sha256", "sha-1", "md5", ""] {
        assert_eq!(FileHashAlgo::parse(wrong), None, "{wrong}");
    }
}
