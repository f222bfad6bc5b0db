//! Peers that lie, and peers that never stop. Each session ends by name, and nothing is handed on that does not belong to the file.

use xtls_files::{FileEnd, FileEvent, FilesConfig};

use crate::{
    raw::{Answer, Raw},
    world::{bytes, hash},
};

/// What a file is said to be, with the hash of `of`.
fn said(size: usize, of: &[u8]) -> String {
    format!("<name>f</name><size>{size}</size><range/>{}", hash_of(of))
}

fn hash_of(of: &[u8]) -> String {
    format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash>", hash(of).base64())
}

const USED: &str = "<hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>";

/// Juliet takes what the peer offers.
fn accepted(file: &str, has: &[u8]) -> Raw {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.has = has.to_vec();
    assert_eq!(raw.initiate("s", "initiator", file), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.open("s"), Answer::Result);
    raw
}

/// The session ended so by Juliet, who said why.
fn ended(raw: &mut Raw, end: FileEnd) {
    assert_eq!(raw.end.ends(), [(end, false)], "{:?}", raw.end.events);
    let said = core::iter::from_fn(|| raw.asked()).collect::<Vec<_>>();
    assert!(said.iter().any(|(action, _)| action == "session-terminate"), "{said:?}");
    assert_eq!(raw.data("s", 9, b"more"), Answer::Error("item-not-found", None));
    assert_eq!(
        raw.jingle("session-terminate", "s", ""),
        Answer::Error("item-not-found", Some("unknown-session".into()))
    );
}

#[test]
fn p32_the_hash_that_was_offered_is_another_one() {
    let file = bytes(5000);
    let mut raw = accepted(&said(5000, b"another file"), &[]);
    assert_eq!(raw.data("s", 0, &file[..4096]), Answer::Result);
    raw.data("s", 1, &file[4096..]);
    ended(&mut raw, FileEnd::HashDiffers);
    assert!(!raw.end.events.iter().any(|event| matches!(event, FileEvent::Checked { .. })));
}

#[test]
fn the_hash_that_is_told_in_the_end_is_another_one() {
    let mut raw = accepted(&format!("<size>3</size>{USED}"), &[]);
    assert_eq!(raw.data("s", 0, b"abc"), Answer::Result);
    assert_eq!(raw.actions(), [""; 0]);
    assert_eq!(raw.checksum("s", &hash_of(b"abd")), Answer::Result);
    ended(&mut raw, FileEnd::HashDiffers);
}

#[test]
fn the_hash_that_was_promised_never_comes() {
    let mut raw = accepted(&format!("<size>3</size>{USED}"), &[]);
    assert_eq!(raw.data("s", 0, b"abc"), Answer::Result);
    assert_eq!(raw.close("s"), Answer::Result);
    let wait = FilesConfig::default().answer;
    raw.end.pass(wait - std::time::Duration::from_nanos(1));
    assert_eq!(raw.end.files.poll_event(), None);
    raw.end.pass(std::time::Duration::from_nanos(1));
    raw.settle();
    ended(&mut raw, FileEnd::NoHash);
    // And not where the peer says that it is done.
    let mut raw = accepted(&format!("<size>3</size>{USED}"), &[]);
    assert_eq!(raw.data("s", 0, b"abc"), Answer::Result);
    assert_eq!(raw.jingle("session-terminate", "s", "<reason><success/></reason>"), Answer::Result);
    assert_eq!(raw.end.ends(), [(FileEnd::NoHash, true)]);
}

#[test]
fn two_hashes_of_one_file_are_told() {
    let mut raw = accepted(&said(3, b"abc"), &[]);
    assert_eq!(raw.checksum("s", &hash_of(b"abd")), Answer::Result);
    ended(&mut raw, FileEnd::Protocol("two hashes of one file"));
}

#[test]
fn p32_one_byte_more_than_was_said() {
    // At the limit it is the file.
    let mut raw = accepted(&said(4, b"abcd"), &[]);
    assert_eq!(raw.data("s", 0, b"abcd"), Answer::Result);
    assert_eq!(raw.end.ends(), [(FileEnd::Success, false)]);
    assert_eq!(raw.end.got[&raw.id()], b"abcd");
    // One past it nothing of that block is handed on.
    for blocks in [vec![&b"abcde"[..]], vec![b"abc", b"de"], vec![b"ab", b"", b"cde"]] {
        let mut raw = accepted(&said(4, b"abcd"), &[]);
        for (seq, block) in blocks.iter().enumerate() {
            raw.data("s", seq as u16, block);
        }
        assert!(raw.end.got[&raw.id()].len() < 4);
        ended(&mut raw, FileEnd::TooLarge);
    }
}

#[test]
fn p32_bytes_without_an_end_stop_at_the_size() {
    let mut raw = accepted(&format!("<size>100000</size>{USED}"), &[]);
    for seq in 0.. {
        if raw.data("s", seq, &[0; 4096]) != Answer::Result {
            break;
        }
    }
    assert!(raw.end.got[&raw.id()].len() <= 100_000);
    ended(&mut raw, FileEnd::TooLarge);
}

#[test]
fn bytes_without_an_end_and_without_a_size_are_up_to_the_application() {
    let mut raw = accepted(USED, &[]);
    for seq in 0..100 {
        assert_eq!(raw.data("s", seq, &[0; 4096]), Answer::Result);
    }
    let id = raw.id();
    raw.end.files.end(raw.end.now, id, FileEnd::TooLarge).unwrap();
    raw.settle();
    ended(&mut raw, FileEnd::TooLarge);
}

#[test]
fn the_bytestream_ends_before_the_file_does() {
    let mut raw = accepted(&said(5, b"abcde"), &[]);
    assert_eq!(raw.data("s", 0, b"abcd"), Answer::Result);
    assert_eq!(raw.close("s"), Answer::Result);
    ended(&mut raw, FileEnd::TooShort);
}

#[test]
fn success_before_the_file_is_here_is_none() {
    let mut raw = accepted(&said(5, b"abcde"), &[]);
    assert_eq!(raw.data("s", 0, b"abcd"), Answer::Result);
    assert_eq!(raw.jingle("session-terminate", "s", "<reason><success/></reason>"), Answer::Result);
    assert_eq!(raw.end.ends(), [(FileEnd::TooShort, true)]);
}

#[test]
fn blocks_out_of_order_and_blocks_that_are_none() {
    for (seq, bytes) in [(1, &b"b"[..]), (0, &[0; 4097])] {
        let mut raw = accepted(&said(5, b"abcde"), &[]);
        assert!(matches!(raw.data("s", seq, bytes), Answer::Error(..)));
        ended(&mut raw, FileEnd::Protocol("a block that does not fit into its bytestream"));
    }
}

#[test]
fn data_before_anything_is_agreed_is_of_no_bytestream() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "initiator", &said(3, b"abc")), Answer::Result);
    assert_eq!(raw.open("s"), Answer::Error("item-not-found", None));
    assert_eq!(raw.data("s", 0, b"abc"), Answer::Error("item-not-found", None));
    assert_eq!(raw.end.ends(), []);
}

/// The peer says that it checks what is here already.
fn checking(size: usize, of: &[u8]) -> String {
    format!("{}<check xmlns='urn:xtls:files:0'/>", said(size, of))
}

fn range(offset: usize, length: usize, of: &[u8]) -> String {
    format!("<range offset='{offset}' length='{length}'>{}</range>", hash_of(of))
}

#[test]
fn p32_no_byte_is_handed_on_before_what_is_here_is_found_to_be_right() {
    let mut raw = accepted(&checking(6, b"abcdef"), b"abc");
    assert_eq!(raw.data("s", 0, b"def"), Answer::Result);
    assert_eq!(raw.end.got[&raw.id()], b"abc");
    // Nor to an application that has not been told to read.
    let (id, now) = (raw.id(), raw.end.now);
    assert_eq!(raw.end.files.read(now, id, &mut Vec::new()), 0);
    assert_eq!(raw.checksum("s", &range(0, 3, b"abc")), Answer::Result);
    assert_eq!(raw.end.got[&raw.id()], b"abcdef");
    assert_eq!(raw.end.ends(), [(FileEnd::Success, false)]);
}

#[test]
fn what_is_here_differs() {
    let mut raw = accepted(&checking(6, b"abcdef"), b"abc");
    assert_eq!(raw.checksum("s", &range(0, 3, b"abd")), Answer::Result);
    ended(&mut raw, FileEnd::RangeDiffers);
}

#[test]
fn a_check_without_its_hash_or_of_another_part() {
    let none = "<range offset='0' length='3'/><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>";
    for (checksum, why) in [
        (none.to_owned(), "a checksum without a hash"),
        (range(0, 2, b"ab"), "the checksum of a part that was not asked for"),
        (range(1, 2, b"bc"), "the checksum of a part that was not asked for"),
        (range(3, 4, b"def"), "the checksum of a part that was not asked for"),
    ] {
        let mut raw = accepted(&checking(6, b"abcdef"), b"abc");
        assert_eq!(raw.checksum("s", &checksum), Answer::Result);
        ended(&mut raw, FileEnd::Protocol(why));
    }
}

#[test]
fn a_check_that_never_comes_ends_in_time() {
    let mut raw = accepted(&checking(6, b"abcdef"), b"abc");
    assert_eq!(raw.data("s", 0, b"def"), Answer::Result);
    raw.end.pass(FilesConfig::default().preparation);
    raw.settle();
    ended(&mut raw, FileEnd::Timeout);
    assert_eq!(raw.end.got[&raw.id()], b"abc");
}

#[test]
fn a_peer_that_checks_nothing_is_compared_with_in_the_end() {
    let mut raw = accepted(&said(6, b"abcdef"), b"abx");
    assert_eq!(raw.data("s", 0, b"ef"), Answer::Result);
    raw.data("s", 1, b"f");
    ended(&mut raw, FileEnd::HashDiffers);
}

#[test]
fn received_before_the_end_and_from_who_sends() {
    let received = "<received xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='c'/>";
    let mut raw = accepted(&said(5, b"abcde"), &[]);
    let out_of_order = || Answer::Error("unexpected-request", Some("out-of-order".into()));
    assert_eq!(raw.info("s", received), out_of_order());
    // The file is Juliet's, who waits for the bytestream.
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.info("s", received), out_of_order());
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.info("s", received), Answer::Result);
    ended(&mut raw, FileEnd::Protocol("received before all was sent"));
}

#[test]
fn a_checksum_from_who_gets_the_file() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.checksum("s", &hash_of(b"x")), Answer::Error("unexpected-request", Some("out-of-order".into())));
    assert_eq!(raw.end.ends(), []);
}

#[test]
fn bytes_from_who_gets_the_file() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.open("s"), Answer::Result);
    // An empty block has none.
    assert_eq!(raw.data("s", 0, b""), Answer::Result);
    raw.data("s", 1, b"x");
    ended(&mut raw, FileEnd::Protocol("bytes from the receiver of a file"));
}

#[test]
fn a_part_beyond_the_end() {
    // Of 100 bytes.
    for (range, is_there) in [
        ("<range offset='100'/>", true),
        ("<range offset='0' length='100'/>", true),
        ("<range offset='99' length='1'/>", true),
        ("<range offset='101'/>", false),
        ("<range offset='0' length='101'/>", false),
        ("<range offset='100' length='1'/>", false),
        ("<range offset='18446744073709551615'/>", false),
    ] {
        let mut raw = Raw::new(FilesConfig::default());
        raw.end.file = bytes(100);
        assert_eq!(raw.initiate("s", "responder", &format!("<name>f</name>{range}")), Answer::Result);
        if is_there {
            assert_eq!(raw.actions()[0], "session-accept", "{range}");
        } else {
            ended(&mut raw, FileEnd::NotAvailable);
        }
    }
    // Nothing that can be counted.
    let mut raw = Raw::new(FilesConfig::default());
    let wrong = "<name>f</name><range offset='18446744073709551615' length='1'/>";
    assert!(matches!(raw.initiate("s", "responder", wrong), Answer::Error("not-acceptable", _)));
    // An offer of a part that the file does not have.
    assert_eq!(raw.initiate("s", "initiator", "<size>5</size><range offset='6'/>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-terminate"]);
    assert_eq!(raw.end.events, []);
}

#[test]
fn p32_a_receiver_lies_about_what_it_has() {
    let accept = |file: &str| {
        let mut raw = Raw::new(FilesConfig::default());
        raw.end.file = bytes(100);
        let now = raw.end.now;
        raw.end.files.offer(now, xtls_files::FileInfo::new("f", 100)).unwrap();
        raw.settle();
        raw.refuse_disco();
        let (action, stanza) = raw.asked().unwrap();
        assert_eq!(action, "session-initiate");
        let jingle = stanza.children().next().unwrap();
        let sid = jingle.attribute("sid").unwrap().to_owned();
        let content = jingle.children().next().unwrap();
        let transport = content.children().find(|child| child.name() == "transport").unwrap();
        let mut written = String::new();
        transport.write_xml(&mut written, "");
        let body = format!(
            "<content creator='initiator' name='file' senders='initiator'>\
             <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>{file}</file></description>{written}</content>"
        );
        let answer = raw.jingle("session-accept", &sid, &body);
        (raw, answer)
    };
    let check =
        |offset: u64, length: u64| format!("<check xmlns='urn:xtls:files:0' offset='{offset}' length='{length}'/>");
    for (file, end) in [
        ("<range offset='100'/>".to_owned(), None),
        (format!("<range offset='50'/>{}", check(0, 50)), None),
        (format!("<range offset='50'/>{}", check(20, 30)), None),
        ("<range offset='101'/>".to_owned(), Some(FileEnd::BadRange)),
        ("<range offset='50' length='51'/>".to_owned(), Some(FileEnd::BadRange)),
        (format!("<range offset='50'/>{}", check(0, 49)), Some(FileEnd::BadRange)),
        (format!("<range offset='50'/>{}", check(0, 51)), Some(FileEnd::BadRange)),
        (check(0, 10), Some(FileEnd::BadRange)),
    ] {
        let (raw, answer) = accept(&file);
        assert_eq!(answer, Answer::Result, "{file}");
        assert_eq!(raw.end.end(), end.map(|end| (end, false)), "{file}");
    }
    // Half of a check is none.
    let (raw, answer) = accept("<check xmlns='urn:xtls:files:0' offset='7'/>");
    assert_eq!((answer, raw.end.end()), (Answer::Result, None));
}

#[test]
fn a_requested_file_that_turns_out_to_be_another_one() {
    let request = |file: &str| {
        let mut raw = Raw::new(FilesConfig::default());
        let wanted = xtls_files::FileRequest::by_hash(hash(b"abc")).with_size(3);
        raw.end.files.request(raw.end.now, wanted, crate::world::hasher(&[])).unwrap();
        raw.settle();
        raw.refuse_disco();
        let (_, stanza) = raw.asked().unwrap();
        let jingle = stanza.children().next().unwrap();
        let sid = jingle.attribute("sid").unwrap().to_owned();
        let transport = jingle.children().next().unwrap().children().find(|child| child.name() == "transport").unwrap();
        let mut written = String::new();
        transport.write_xml(&mut written, "");
        let body = format!(
            "<content creator='initiator' name='file' senders='responder'>\
             <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>{file}</file></description>{written}</content>"
        );
        assert_eq!(raw.jingle("session-accept", &sid, &body), Answer::Result);
        raw.end.end().map(|(end, _)| end)
    };
    assert_eq!(request(&said(3, b"abc")), None);
    assert_eq!(request("<size>3</size>"), None);
    let other = Some(FileEnd::Protocol("another file than the one that was asked for"));
    assert_eq!(request(&said(4, b"abc")), other);
    assert_eq!(request(&said(3, b"abd")), other);
    let part = Some(FileEnd::Protocol("another part than the one that was asked for"));
    assert_eq!(request("<range offset='1'/>"), part);
    assert_eq!(request("<size>3</size><range length='4'/>"), Some(FileEnd::BadRange));
}

#[test]
fn second_contents_are_rejected_and_the_file_goes_on() {
    let mut raw = accepted(&said(3, b"abc"), &[]);
    let more = "<content creator='initiator' name='d' senders='initiator'><description \
                xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>g</name></file></description>\
                <transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='x' block-size='4096'/></content>";
    assert_eq!(raw.jingle("content-add", "s", more), Answer::Result);
    let (action, stanza) = raw.asked().unwrap();
    assert_eq!(action, "content-reject");
    assert!(stanza.to_xml("").contains("name='d'"));
    // Sixteen unanswered ones are enough.
    for _ in 0..16 {
        assert_eq!(raw.jingle("content-add", "s", more), Answer::Result);
    }
    assert!(matches!(raw.jingle("content-add", "s", more), Answer::Error("resource-constraint", _)));
    assert_eq!(raw.data("s", 0, b"abc"), Answer::Result);
    assert_eq!(raw.end.ends(), [(FileEnd::Success, false)]);
    // Several at once are no session.
    let mut raw = Raw::new(FilesConfig::default());
    let body = format!("{more}{}", more.replace("'d'", "'e'").replace("'x'", "'y'"));
    assert_eq!(raw.jingle("session-initiate", "s", &body), Answer::Result);
    assert_eq!(raw.actions(), ["session-terminate"]);
    assert_eq!(raw.end.events, []);
}

#[test]
fn without_its_only_content_the_session_is_over() {
    let mut raw = accepted(&said(3, b"abc"), &[]);
    let other = "<content creator='initiator' name='x'/>";
    assert!(matches!(raw.jingle("content-remove", "s", other), Answer::Error("unexpected-request", _)));
    let body = "<content creator='initiator' name='c'/><reason><cancel/></reason>";
    assert_eq!(raw.jingle("content-remove", "s", body), Answer::Result);
    assert_eq!(raw.end.ends(), [(FileEnd::Cancelled, true)]);
    // XEP-0234 § 6.5: the session MUST be terminated.
    assert_eq!(raw.actions(), ["session-terminate"]);
}

#[test]
fn sids_that_are_used_and_sids_that_nobody_knows() {
    let mut raw = accepted(&said(3, b"abc"), &[]);
    let out_of_order = Answer::Error("unexpected-request", Some("out-of-order".into()));
    assert_eq!(raw.initiate("s", "initiator", &said(3, b"abc")), out_of_order);
    // A second session over the same bytestream.
    let transport = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='bs'/>";
    assert_eq!(raw.initiate_over("t", "initiator", "<name>g</name>", transport), Answer::Error("conflict", None));
    let unknown = || Answer::Error("item-not-found", Some("unknown-session".into()));
    assert_eq!(raw.checksum("u", &hash_of(b"")), unknown());
    // What might be somebody else's is left to the application.
    assert_eq!(raw.info("u", ""), Answer::NotForFiles);
    assert_eq!(raw.jingle("session-terminate", "u", ""), Answer::NotForFiles);
    assert_eq!(raw.data("u", 0, b"x"), Answer::NotForFiles);
    let ends = raw.end.ends().len();
    assert_eq!(ends, 0);
    assert_eq!(raw.data("s", 0, b"abc"), Answer::Result);
    assert_eq!(raw.end.ends(), [(FileEnd::Success, false)]);
    // What was ours stays ours.
    assert_eq!(raw.info("s", ""), unknown());
    assert_eq!(raw.data("s", 1, b"x"), Answer::Error("item-not-found", None));
}

#[test]
fn sixteen_sessions_of_the_peer_at_once_and_not_one_more() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    for number in 0..16 {
        assert_eq!(raw.initiate(&format!("s{number}"), "initiator", "<name>f</name>"), Answer::Result);
    }
    assert_eq!(raw.actions(), [""; 0]);
    assert_eq!(raw.initiate("s16", "initiator", "<name>f</name>"), Answer::Result);
    let (action, stanza) = raw.asked().unwrap();
    assert_eq!(action, "session-terminate");
    assert!(stanza.to_xml("").contains("<busy/>"));
    // Ours are not among them, and are as many.
    for number in 0..17 {
        let offered = raw.end.files.offer(raw.end.now, xtls_files::FileInfo::new("f", 1));
        assert_eq!(offered.is_ok(), number < 16, "{number}");
    }
    // Where one ends another one can begin.
    assert_eq!(raw.jingle("session-terminate", "s3", "<reason><cancel/></reason>"), Answer::Result);
    assert_eq!(raw.initiate("s17", "initiator", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.end.events.iter().filter(|event| matches!(event, FileEvent::Offered { .. })).count(), 17);
}

#[test]
fn a_peer_that_ignores_the_window_is_stopped() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "initiator", &format!("<size>100000000</size>{USED}")), Answer::Result);
    let id = raw.id();
    raw.end.files.accept(raw.end.now, id, crate::world::hasher(&[])).unwrap();
    raw.settle();
    assert_eq!(raw.actions(), ["session-accept"]);
    raw.open("s");
    // Juliet's application takes nothing any more.
    let mut held = 0;
    for seq in 0.. {
        raw.count_without_reading(seq);
        if raw.end.files.poll_event().is_some_and(|event| matches!(event, FileEvent::Ended { .. })) {
            break;
        }
        held += 4096;
        assert!(held < 1_000_000, "there is no end to it");
    }
    // What fits the buffer is acknowledged, and 32 blocks more may wait for that.
    assert_eq!(held, 256 * 1024 + 32 * 4096);
}
