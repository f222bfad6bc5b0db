//! What a silent peer costs: each wait ends in its time, to the nanosecond, and by name.

use std::time::Duration;

use xtls_files::{FileEnd, FileEvent, FileInfo, FilesConfig, ManifestInfo};

use crate::{
    raw::{Answer, Raw},
    world::{bytes, hash, hasher, run, two},
};

const TICK: Duration = Duration::from_nanos(1);

/// Nothing happens for all but a nanosecond of this time, and then it is over.
fn lasts(raw: &mut Raw, time: Duration, end: FileEnd) {
    let before = raw.end.ends().len();
    raw.end.pass(time - TICK);
    raw.settle();
    assert_eq!(raw.end.ends().len(), before, "it ended before its time");
    assert!(raw.end.files.poll_timeout().is_some_and(|due| due <= raw.end.now + TICK), "nobody would look");
    raw.end.pass(TICK);
    raw.settle();
    assert_eq!(raw.end.ends()[before..], [(end, false)]);
    assert_eq!(raw.end.files.poll_timeout(), None);
}

fn offered() -> Raw {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    raw.end.files.offer(raw.end.now, FileInfo::new("f", 100)).unwrap();
    raw.settle();
    raw
}

#[test]
fn a_peer_that_does_not_say_what_it_knows_is_offered_the_file_after_ten_seconds() {
    let mut raw = offered();
    raw.end.pass(FilesConfig::default().discovery - TICK);
    raw.settle();
    assert_eq!(raw.actions(), [""; 0]);
    raw.end.pass(TICK);
    raw.settle();
    assert_eq!(raw.actions(), ["session-initiate"]);
    // The next one need not wait.
    raw.end.files.offer(raw.end.now, FileInfo::new("g", 100)).unwrap();
    raw.settle();
    assert_eq!(raw.actions(), ["session-initiate"]);
    // It says so in the end, and that is no end of anything.
    raw.answer_disco(&["urn:xmpp:jingle:apps:file-transfer:5"]);
    assert_eq!(raw.end.events, [FileEvent::FeaturesKnown]);
}

#[test]
fn a_peer_without_files_is_offered_none() {
    let mut raw = offered();
    raw.answer_disco(&["urn:xmpp:jingle:1"]);
    assert_eq!(raw.actions(), [""; 0]);
    assert_eq!(raw.end.ends(), [(FileEnd::Unsupported, true)]);
}

#[test]
fn a_request_without_an_answer_ends_after_a_minute() {
    let mut raw = offered();
    raw.refuse_disco();
    lasts(&mut raw, FilesConfig::default().answer, FileEnd::Timeout);
}

#[test]
fn a_peer_decides_in_ten_minutes() {
    let mut raw = offered();
    raw.refuse_disco();
    assert_eq!(raw.actions(), ["session-initiate"]);
    lasts(&mut raw, FilesConfig::default().decision, FileEnd::Timeout);
}

#[test]
fn our_own_application_has_all_the_time_that_it_wants() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "initiator", "<size>3</size>"), Answer::Result);
    assert_eq!(raw.end.files.poll_timeout(), None);
    raw.end.pass(Duration::from_secs(1_000_000));
    raw.settle();
    assert_eq!(raw.end.ends(), []);
}

#[test]
fn a_bytestream_is_opened_in_a_minute() {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("s", "initiator", "<size>3</size>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    lasts(&mut raw, FilesConfig::default().opening, FileEnd::Timeout);
}

#[test]
fn a_tunnel_is_opened_in_a_minute() {
    let mut config = FilesConfig::default();
    config.tunnels = true;
    let mut raw = Raw::new(config);
    let transport = "<transport xmlns='urn:xtls:jingle:transports:tunnel:0' sid='t'/>";
    assert_eq!(raw.initiate_over("s", "initiator", "<size>3</size>", transport), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    lasts(&mut raw, FilesConfig::default().opening, FileEnd::Timeout);
}

#[test]
fn another_transport_is_agreed_in_a_minute() {
    let mut raw = Raw::new(FilesConfig::default());
    let transport = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='t'/>";
    assert_eq!(raw.initiate_over("s", "initiator", "<size>3</size>", transport), Answer::Result);
    assert_eq!(raw.actions(), ["transport-replace"]);
    lasts(&mut raw, FilesConfig::default().opening, FileEnd::Timeout);
}

#[test]
fn bytes_may_be_missing_for_two_minutes_and_each_begins_them_anew() {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("s", "initiator", "<size>9</size>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.open("s"), Answer::Result);
    for seq in 0..8 {
        raw.end.pass(FilesConfig::default().idle - TICK);
        assert_eq!(raw.data("s", seq, b"x"), Answer::Result);
    }
    lasts(&mut raw, FilesConfig::default().idle, FileEnd::Timeout);
}

#[test]
fn an_application_that_does_not_read_is_not_the_peers_fault() {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("s", "initiator", "<size>9</size>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.open("s"), Answer::Result);
    raw.quiet_data("s", b"x");
    assert_eq!(raw.end.files.poll_timeout(), None);
    raw.settle();
    lasts(&mut raw, FilesConfig::default().idle, FileEnd::Timeout);
}

#[test]
fn blocks_are_acknowledged_in_two_minutes() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.open("s"), Answer::Result);
    // All of it is on its way, and its hash: what is waited for is the peer's word. The hash is acknowledged.
    let at = raw.said.iter().position(|stanza| stanza.to_xml("").contains("<checksum")).unwrap();
    let checksum = raw.said.remove(at);
    raw.answer(checksum.attribute("id").unwrap());
    lasts(&mut raw, FilesConfig::default().confirmation, FileEnd::Timeout);
    // More than a window of blocks.
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100_000);
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
    assert_eq!(raw.open("s"), Answer::Result);
    assert_eq!(raw.said.len(), 8);
    lasts(&mut raw, FilesConfig::default().idle, FileEnd::Timeout);
}

#[test]
fn a_peer_that_has_everything_says_so_in_five_minutes() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.file = bytes(100);
    assert_eq!(raw.initiate("s", "responder", "<name>f</name>"), Answer::Result);
    assert_eq!(raw.open("s"), Answer::Result);
    raw.actions();
    lasts(&mut raw, FilesConfig::default().confirmation, FileEnd::Timeout);
}

#[test]
fn what_is_to_be_stored_takes_as_long_as_it_takes() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "initiator", "<size>1</size>"), Answer::Result);
    let (id, now) = (raw.id(), raw.end.now);
    raw.end.files.accept(now, id, hasher(&[])).unwrap();
    raw.settle();
    raw.actions();
    assert_eq!(raw.open("s"), Answer::Result);
    raw.quiet_data("s", b"x");
    let mut out = Vec::new();
    assert_eq!(raw.end.files.read(raw.end.now, id, &mut out), 1);
    assert_eq!(raw.end.files.poll_timeout(), None);
    raw.end.pass(Duration::from_secs(1_000_000));
    raw.end.files.stored(raw.end.now, id).unwrap();
}

#[test]
fn what_a_manifest_lists_takes_as_long_as_it_takes() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = b"a list".to_vec();
    juliet.stores = false;
    let info = FileInfo::new("folder", 6).with_hash(hash(&romeo.file)).with_manifest(ManifestInfo::new(1, 1 << 40));
    romeo.files.offer(romeo.now, info).unwrap();
    run(&mut romeo, &mut juliet);
    let id = juliet.events.iter().find_map(|event| match event {
        FileEvent::Checked { id, .. } => Some(*id),
        _ => None,
    });
    for end in [&mut romeo, &mut juliet] {
        assert_eq!(end.files.poll_timeout(), None);
        end.pass(Duration::from_secs(30 * 24 * 3600));
        assert_eq!(end.ends(), []);
    }
    juliet.files.stored(juliet.now, id.unwrap()).unwrap();
    run(&mut romeo, &mut juliet);
    assert_eq!((romeo.ends(), juliet.ends()), (vec![(FileEnd::Success, true)], vec![(FileEnd::Success, false)]));
    assert!(romeo.events.iter().any(|event| matches!(event, FileEvent::Received { .. })));
}
