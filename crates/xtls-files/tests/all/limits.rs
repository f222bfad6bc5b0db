//! Bounds, at the limit and one past it, and slips of the caller.

use xtls_files::{
    FileEnd, FileError, FileEvent, FileHash, FileHashAlgo, FileHasher, FileInfo, FileRange, FileRequest, FilesConfig,
};

use crate::{
    raw::{Answer, Raw},
    world::{bytes, hash, hasher, run, two},
};

#[test]
fn texts_of_a_peer_are_bounded() {
    for (element, most) in [("name", 1024), ("desc", 4096), ("media-type", 255)] {
        for more in [0, 1] {
            let mut raw = Raw::new(FilesConfig::default());
            let file = format!("<{element}>{}</{element}>", "x".repeat(most + more));
            let answer = raw.initiate("s", "initiator", &file);
            assert_eq!(answer == Answer::Result, more == 0, "{element}: {answer:?}");
        }
    }
    for (length, is_date) in [(64, true), (65, false)] {
        let date = format!("2026-11-28T09:30:00.{}Z", "0".repeat(length - 21));
        let mut raw = Raw::new(FilesConfig::default());
        assert_eq!(raw.initiate("s", "initiator", &format!("<date>{date}</date>")) == Answer::Result, is_date);
    }
    // What is not the file's is not kept.
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("s", "initiator", &format!("<x xmlns='y'>{}</x>", "z".repeat(100_000))), Answer::Result);
}

#[test]
fn a_file_has_sixteen_hashes_and_not_one_more() {
    for (count, is_taken) in [(16, true), (17, false)] {
        let hashes: String =
            (0..count).map(|n| format!("<hash xmlns='urn:xmpp:hashes:2' algo='x{n}'>A</hash>")).collect();
        let mut raw = Raw::new(FilesConfig::default());
        assert_eq!(raw.initiate("s", "initiator", &hashes) == Answer::Result, is_taken);
    }
}

#[test]
fn what_is_said_of_a_file_of_ours_is_bounded_too() {
    let (mut romeo, _) = two(FilesConfig::default());
    let mut offer = |file: FileInfo| romeo.files.offer(romeo.now, file).map(|_| ());
    assert_eq!(offer(FileInfo::new(&"x".repeat(1024), 1)), Ok(()));
    assert_eq!(offer(FileInfo::new(&"x".repeat(1025), 1)), Err(FileError::Text));
    assert_eq!(offer(FileInfo::new("f", 1).with_media_type(&"x".repeat(256))), Err(FileError::Text));
    assert_eq!(offer(FileInfo::new("f", 1).with_date("yesterday")), Err(FileError::Text));
    let mut described = FileInfo::new("f", 1);
    described.description = Some("x".repeat(4097));
    assert_eq!(offer(described), Err(FileError::Text));
    let mut endless = FileInfo::new("f", 1);
    endless.size = None;
    assert_eq!(offer(endless), Err(FileError::NoSize));
}

#[test]
fn the_buffer_bounds_what_is_written_and_room_is_told_once() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(3_000_000);
    let most = FilesConfig::default().buffer_bytes;
    let id = romeo.files.offer(romeo.now, FileInfo::new("f", 3_000_000)).unwrap();
    assert_eq!(romeo.files.write(romeo.now, id, b"x"), Err(FileError::NotNow));
    // Up to the acceptance.
    while !romeo.events.iter().any(|event| matches!(event, FileEvent::Accepted { .. })) {
        romeo.say();
        while let Some(stanza) = romeo.wire.pop_front() {
            juliet.hear(&stanza);
        }
        juliet.act();
        juliet.say();
        while let Some(stanza) = juliet.wire.pop_front() {
            romeo.hear(&stanza);
        }
        romeo.events.extend(romeo.files.poll_event());
    }
    assert_eq!(romeo.files.write(romeo.now, id, &romeo.file), Ok(most));
    assert_eq!(romeo.files.write(romeo.now, id, &romeo.file[most..]), Ok(0));
    assert_eq!(romeo.files.poll_event(), None);
    // Once the bytestream is open, eight blocks go, and there is room for as many.
    romeo.say();
    while let Some(stanza) = romeo.wire.pop_front() {
        juliet.hear(&stanza);
    }
    juliet.say();
    while let Some(stanza) = juliet.wire.pop_front() {
        romeo.hear(&stanza);
    }
    romeo.say();
    assert_eq!(romeo.files.poll_event(), Some(FileEvent::Writable { id }));
    assert_eq!(romeo.files.poll_event(), None);
    assert_eq!(romeo.wire.len(), 8);
    assert_eq!(romeo.files.write(romeo.now, id, &romeo.file[most..]), Ok(8 * 32 * 1024));
}

#[test]
fn beyond_the_end_nothing_is_taken() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "responder", "<name>f</name><range offset='2' length='3'/>"), Answer::Result);
    let (id, now) = (raw.id(), raw.end.now);
    raw.end.files.serve(now, id, FileInfo::new("f", 10), hasher(&[])).unwrap();
    assert_eq!(raw.end.files.length(id), Some(3));
    assert_eq!(raw.end.files.write(now, id, b"cdefgh"), Ok(3));
    assert_eq!(raw.end.files.write(now, id, b"fgh"), Ok(0));
    assert_eq!(raw.end.files.progress(id), Some(0));
}

#[test]
fn answers_that_are_not_taken_are_bounded() {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("s", "initiator", "<name>f</name>"), Answer::Result);
    let ping = crate::raw::element(
        "<iq type='set' id='p'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'/></iq>",
    );
    for _ in 0..3 * FilesConfig::MAX_ANSWERS {
        assert!(raw.end.hear(&ping));
    }
    let waiting = core::iter::from_fn(|| raw.end.files.poll_stanza(raw.end.now)).count();
    assert_eq!(waiting, FilesConfig::MAX_ANSWERS);
}

#[test]
fn slips_of_the_caller() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "initiator", "<size>10</size><range/>"), Answer::Result);
    let (id, now) = (raw.id(), raw.end.now);
    let files = &mut raw.end.files;
    assert_eq!(files.serve(now, id, FileInfo::new("f", 1), hasher(&[])), Err(FileError::NotNow));
    assert_eq!(files.start(now, id, hasher(&[])), Err(FileError::NotNow));
    assert_eq!(files.stored(now, id), Err(FileError::NotNow));
    assert_eq!(files.write(now, id, b"x"), Err(FileError::NotNow));
    assert_eq!(files.tunnel_opened(now, id), Err(FileError::NotNow));
    assert_eq!(files.tunnel_failed(now, id), Err(FileError::NotNow));
    assert_eq!(files.tunnel_finished(now, id), Err(FileError::NotNow));
    assert_eq!(files.handle_tunnel_bytes(now, id, b"x"), Err(FileError::NotNow));
    assert_eq!((files.tunnel_room(id), files.poll_tunnel(now, id, &mut Vec::new())), (0, 0));
    assert_eq!(files.end(now, id, FileEnd::Success), Err(FileError::NotNow));
    assert_eq!(files.accept(now, id, hasher(&[0; 11])), Err(FileError::Range));
    let mut other = FileHasher::new(FileHashAlgo::Sha512);
    other.update(b"x");
    assert_eq!(files.accept(now, id, other), Err(FileError::Hasher));
    // A new hasher of another function is none yet.
    assert_eq!(files.accept(now, id, FileHasher::new(FileHashAlgo::Sha512)), Ok(()));
    assert_eq!(files.accept(now, id, hasher(&[])), Err(FileError::NotNow));
    assert_eq!(files.end(now, id, FileEnd::Failed), Ok(()));
    assert_eq!(files.end(now, id, FileEnd::Failed), Err(FileError::NoSession));
    assert_eq!(files.read(now, id, &mut Vec::new()), 0);
    assert_eq!((files.progress(id), files.length(id)), (None, None));
}

#[test]
fn a_file_of_which_no_part_can_be_had_comes_whole() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    assert_eq!(raw.initiate("s", "initiator", "<size>10</size>"), Answer::Result);
    let (id, now) = (raw.id(), raw.end.now);
    assert_eq!(raw.end.files.accept(now, id, hasher(b"abc")), Err(FileError::Range));
    assert_eq!(raw.end.files.accept(now, id, hasher(&[])), Ok(()));
}

#[test]
fn slips_in_requests() {
    let (_, mut juliet) = two(FilesConfig::default());
    let now = juliet.now;
    let mut request = |wanted: FileRequest, has: &[u8]| juliet.files.request(now, wanted, hasher(has)).map(|_| ());
    assert_eq!(request(FileRequest::default().with_size(5), &[]), Err(FileError::Selector));
    let named = || FileRequest::by_name("f").with_size(10);
    assert_eq!(request(named().with_range(FileRange::from(10)), &[]), Ok(()));
    assert_eq!(request(named().with_range(FileRange::from(11)), &[]), Err(FileError::Range));
    assert_eq!(request(named().with_range(FileRange::new(u64::MAX, 1)), &[]), Err(FileError::Range));
    assert_eq!(request(FileRequest::by_name("f").with_range(FileRange::new(u64::MAX, 1)), &[]), Err(FileError::Range));
    assert_eq!(request(named().with_range(FileRange::from(2)), b"abc"), Err(FileError::Range));
    assert_eq!(request(named().with_range(FileRange::from(3)), b"abc"), Ok(()));
    let of_512 = FileRequest::by_hash(FileHash::of(FileHashAlgo::Sha512, b""));
    assert_eq!(request(of_512, &[]), Err(FileError::Hasher));
}

#[test]
fn a_hasher_that_has_seen_something_else_does_not_serve() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    let check = "<range offset='5'/><check xmlns='urn:xtls:files:0' offset='2' length='3'/>";
    assert_eq!(raw.initiate("s", "responder", &format!("<name>f</name>{check}")), Answer::Result);
    let (id, now) = (raw.id(), raw.end.now);
    let FileEvent::Requested { check, .. } = &raw.end.events[0] else { panic!("not requested") };
    assert_eq!(*check, Some(FileRange::new(2, 3)));
    let mut serve = |has: &[u8]| raw.end.files.serve(now, id, FileInfo::new("f", 10), hasher(has));
    assert_eq!(serve(b""), Err(FileError::Hasher));
    assert_eq!(serve(b"cdef"), Err(FileError::Hasher));
    assert_eq!(serve(b"cde"), Ok(()));
    raw.settle();
    assert_eq!(raw.actions(), ["session-accept", "session-info"]);
}

#[test]
fn a_check_stands_before_what_is_wanted() {
    for check in ["offset='0' length='4'", "offset='2' length='4'", "offset='5' length='5'"] {
        let mut raw = Raw::new(FilesConfig::default());
        let file = format!("<name>f</name><range offset='5'/><check xmlns='urn:xtls:files:0' {check}/>");
        assert!(matches!(raw.initiate("s", "responder", &file), Answer::Error("bad-request", _)), "{check}");
    }
}

#[test]
fn a_file_that_is_not_the_one_that_was_offered_any_more() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(1000);
    let info = FileInfo::new("f", 1000).with_hash(hash(b"what it was"));
    romeo.files.offer(romeo.now, info).unwrap();
    run(&mut romeo, &mut juliet);
    assert_eq!(romeo.end(), Some((FileEnd::FileChanged, false)));
    // She had all bytes before she heard of it, and no matching hash either way.
    assert!(matches!(juliet.end(), Some((FileEnd::HashDiffers, false) | (FileEnd::FileChanged, true))));
}

#[test]
fn every_end_is_read_as_it_was_written() {
    for end in FileEnd::ALL.iter().copied().filter(|end| *end != FileEnd::Success) {
        let (mut romeo, mut juliet) = two(FilesConfig::default());
        juliet.takes = false;
        romeo.files.offer(romeo.now, FileInfo::new("f", 10)).unwrap();
        run(&mut romeo, &mut juliet);
        let FileEvent::Offered { id, .. } = juliet.events.last().unwrap().clone() else { panic!("not offered") };
        juliet.files.end(juliet.now, id, end).unwrap();
        run(&mut romeo, &mut juliet);
        assert_eq!(romeo.end(), Some((end, true)));
        assert_eq!(juliet.end(), Some((end, false)));
        assert!(!end.to_string().is_empty() && !end.is_success());
    }
}

#[test]
fn when_the_stream_is_gone_all_is_over_and_nothing_is_said() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(3_000_000);
    for name in ["f", "g"] {
        romeo.files.offer(romeo.now, FileInfo::new(name, 3_000_000)).unwrap();
    }
    romeo.say();
    while let Some(stanza) = romeo.wire.pop_front() {
        juliet.hear(&stanza);
    }
    romeo.files.handle_closed(romeo.now);
    romeo.act();
    assert_eq!(romeo.ends(), [(FileEnd::Gone, false), (FileEnd::Gone, false)]);
    assert!(romeo.files.poll_stanza(romeo.now).is_none() && romeo.files.poll_timeout().is_none());
}

#[test]
fn what_is_not_for_files_is_the_applications() {
    let mut raw = Raw::new(FilesConfig::default());
    for stanza in [
        "<message from='romeo@montague.lit/orchard'><body>hi</body></message>",
        "<presence/>",
        "<iq type='set' id='1'><x xmlns='y'/></iq>",
        "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='result' id='1'/>",
        "<iq type='error' id='1'><error type='cancel'/></iq>",
        "<iq type='set' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='x'/></iq>",
        "<iq type='set' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='nonsense' sid='x'/></iq>",
        "<iq type='set' id='1'><jingle xmlns='urn:xmpp:jingle:0' action='session-initiate' sid='x'/></iq>",
        "<iq type='set'/>",
        "<iq type='get' id='1' from='mallory@x.y/z'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    ] {
        assert!(!raw.stanza(stanza), "{stanza}");
    }
    assert!(raw.said.is_empty() && raw.end.events.is_empty());
    // What is of files and malformed is answered.
    let described = "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file/></description>";
    let content = format!("<content creator='nobody' name='c'>{described}</content>");
    assert!(matches!(raw.jingle("session-initiate", "s", &content), Answer::Error("bad-request", _)));
}

#[test]
fn a_session_that_the_peer_has_ended_well_waits_for_nothing_any_more() {
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(raw.initiate("s", "initiator", &format!("<size>1</size>{}", said(b"x"))), Answer::Result);
    // Our session-accept is never acknowledged.
    assert_eq!(raw.open("s"), Answer::Result);
    raw.quiet_data("s", b"x");
    let end = "<iq><jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s'><reason><success/></reason></jingle></iq>";
    assert_eq!(raw.quiet(&crate::raw::element(end)), Answer::Result);
    assert_eq!(raw.end.files.poll_timeout(), None);
    raw.end.pass(std::time::Duration::from_secs(100_000));
    raw.end.files.handle_closed(raw.end.now);
    raw.settle();
    assert_eq!(raw.end.ends(), [(FileEnd::Success, true)]);
    assert_eq!(raw.end.got.values().next().unwrap(), b"x");
}

fn said(of: &[u8]) -> String {
    format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash>", hash(of).base64())
}

#[test]
fn several_files_take_turns() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(500_000);
    for name in ["f", "g", "h"] {
        romeo.files.offer(romeo.now, FileInfo::new(name, 500_000)).unwrap();
    }
    run(&mut romeo, &mut juliet);
    assert_eq!(romeo.ends(), [(FileEnd::Success, true); 3]);
    assert!(juliet.got.values().all(|got| *got == romeo.file));
    let sid = |stanza: &String| {
        let at = stanza.find("<data")?;
        stanza[at..].split('\'').nth(5).map(str::to_owned)
    };
    let order: Vec<_> = romeo.said.iter().filter_map(sid).collect();
    let longest = order.chunk_by(|a, b| a == b).map(<[_]>::len).max();
    assert_eq!(longest, Some(1), "{order:?}");
}
