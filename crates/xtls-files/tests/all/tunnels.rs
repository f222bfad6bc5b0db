//! Bytes that go by a tunnel of their own.

use xtls_files::{FileEnd, FileError, FileEvent, FileInfo, FileRequest, FilesConfig, ns};

use crate::{
    raw::{Answer, Raw},
    world::{End, bytes, carry, hash, hasher, join, run, two},
};

fn by_tunnel() -> FilesConfig {
    let mut config = FilesConfig::default();
    config.tunnels = true;
    config
}

#[test]
fn two_that_both_know_tunnels_use_one_and_no_block_goes_inside() {
    for size in [1, 5, 256 * 1024, 3_000_000] {
        for has in [0, size / 2] {
            let (mut romeo, mut juliet) = two(by_tunnel());
            romeo.file = bytes(size);
            juliet.has = romeo.file[..has].to_vec();
            romeo.files.offer(romeo.now, FileInfo::new("f", size as u64)).unwrap();
            run(&mut romeo, &mut juliet);
            assert_eq!(romeo.end(), Some((FileEnd::Success, true)), "{:?}", romeo.events);
            assert_eq!(juliet.end(), Some((FileEnd::Success, false)));
            assert_eq!(juliet.got.values().next(), Some(&romeo.file));
            assert!(!romeo.said.iter().any(|stanza| stanza.contains("http://jabber.org/protocol/ibb'")));
            assert!(romeo.events.iter().any(|event| matches!(event, FileEvent::OpenTunnel { .. })));
            assert!(juliet.events.iter().any(|event| matches!(event, FileEvent::ExpectTunnel { .. })));
        }
    }
}

#[test]
fn who_began_the_session_opens_the_tunnel_and_who_has_the_file_writes() {
    let (mut romeo, mut juliet) = two(by_tunnel());
    romeo.file = bytes(100_000);
    juliet.files.request(juliet.now, FileRequest::by_hash(hash(&romeo.file)), hasher(&[])).unwrap();
    run(&mut juliet, &mut romeo);
    assert_eq!(romeo.end(), Some((FileEnd::Success, true)), "{:?}", romeo.events);
    assert_eq!(juliet.got.values().next(), Some(&romeo.file));
    assert!(juliet.events.iter().any(|event| matches!(event, FileEvent::OpenTunnel { .. })));
    assert!(romeo.events.iter().any(|event| matches!(event, FileEvent::ExpectTunnel { .. })));
}

#[test]
fn where_nothing_is_to_be_sent_there_is_no_tunnel() {
    for (size, has) in [(0, 0), (100, 100)] {
        let (mut romeo, mut juliet) = two(by_tunnel());
        romeo.file = bytes(size);
        juliet.has = romeo.file[..has].to_vec();
        romeo.files.offer(romeo.now, FileInfo::new("f", size as u64)).unwrap();
        run(&mut romeo, &mut juliet);
        assert_eq!(romeo.end(), Some((FileEnd::Success, true)), "{:?}", romeo.events);
        assert!(romeo.tunnels.is_empty() && juliet.tunnels.is_empty());
    }
}

#[test]
fn one_that_does_not_know_tunnels_gets_the_file_in_band() {
    for (one, other) in [(true, false), (false, true)] {
        let config = |tunnels| if tunnels { by_tunnel() } else { FilesConfig::default() };
        let mut romeo = End::new(crate::world::ROMEO, crate::world::JULIET, config(one));
        let mut juliet = End::new(crate::world::JULIET, crate::world::ROMEO, config(other));
        romeo.file = bytes(100_000);
        romeo.files.offer(romeo.now, FileInfo::new("f", 100_000)).unwrap();
        run(&mut romeo, &mut juliet);
        assert_eq!(romeo.end(), Some((FileEnd::Success, true)));
        assert!(romeo.tunnels.is_empty());
    }
}

/// Both have agreed on a tunnel, which is not there yet.
fn agreed(size: usize) -> (End, End) {
    let (mut romeo, mut juliet) = two(by_tunnel());
    romeo.file = bytes(size);
    romeo.files.offer(romeo.now, FileInfo::new("f", size as u64)).unwrap();
    exchange(&mut romeo, &mut juliet);
    assert!(!romeo.tunnels.is_empty() && !juliet.tunnels.is_empty());
    (romeo, juliet)
}

/// Stanzas go to and fro, and nothing else.
fn exchange(a: &mut End, b: &mut End) {
    loop {
        for end in [&mut *a, &mut *b] {
            end.act();
            end.say();
        }
        if a.wire.is_empty() && b.wire.is_empty() {
            return;
        }
        while let Some(stanza) = a.wire.pop_front() {
            assert!(b.hear(&stanza));
        }
        while let Some(stanza) = b.wire.pop_front() {
            assert!(a.hear(&stanza));
        }
    }
}

#[test]
fn a_tunnel_that_cannot_be_opened_ends_the_session_and_the_file_is_offered_again_in_band() {
    let (mut romeo, mut juliet) = agreed(1000);
    let id = *romeo.tunnels.keys().next().unwrap();
    romeo.files.tunnel_failed(romeo.now, id).unwrap();
    exchange(&mut romeo, &mut juliet);
    assert_eq!(romeo.end(), Some((FileEnd::TransportFailed, false)));
    assert_eq!(juliet.end(), Some((FileEnd::TransportFailed, true)));
    romeo.files.use_tunnels(false);
    romeo.files.offer(romeo.now, FileInfo::new("f", 1000)).unwrap();
    run(&mut romeo, &mut juliet);
    assert_eq!(romeo.ends()[1], (FileEnd::Success, true));
}

#[test]
fn a_tunnel_that_is_lost_or_ends_too_early() {
    let begun = |count: usize| {
        let (mut romeo, mut juliet) = agreed(100_000);
        join(&mut romeo, &mut juliet);
        let mut out = Vec::new();
        let id = *romeo.tunnels.keys().next().unwrap();
        romeo.files.poll_tunnel(romeo.now, id, &mut out);
        let to = *juliet.tunnels.keys().next().unwrap();
        juliet.files.handle_tunnel_bytes(juliet.now, to, &out[..count]).unwrap();
        (romeo, juliet, to)
    };
    let (mut romeo, mut juliet, id) = begun(99_999);
    juliet.files.tunnel_finished(juliet.now, id).unwrap();
    exchange(&mut romeo, &mut juliet);
    assert_eq!(juliet.end(), Some((FileEnd::TooShort, false)));
    let (mut romeo, mut juliet, id) = begun(99_999);
    juliet.files.tunnel_failed(juliet.now, id).unwrap();
    exchange(&mut romeo, &mut juliet);
    assert_eq!(juliet.end(), Some((FileEnd::TransportFailed, false)));
    assert_eq!(romeo.end(), Some((FileEnd::TransportFailed, true)));
    // When all is through, nothing is lost any more.
    let (mut romeo, mut juliet, id) = begun(100_000);
    juliet.files.tunnel_failed(juliet.now, id).unwrap();
    exchange(&mut romeo, &mut juliet);
    assert_eq!(juliet.end(), Some((FileEnd::Success, false)), "{:?}", juliet.events);
}

#[test]
fn one_byte_more_than_was_said_by_a_tunnel() {
    for more in [0, 1] {
        let (mut romeo, mut juliet) = agreed(1000);
        join(&mut romeo, &mut juliet);
        let id = *juliet.tunnels.keys().next().unwrap();
        juliet.files.handle_tunnel_bytes(juliet.now, id, &bytes(1000 + more)).unwrap();
        if more > 0 {
            exchange(&mut romeo, &mut juliet);
            assert_eq!(juliet.end(), Some((FileEnd::TooLarge, false)));
            assert_eq!(juliet.got[&id], b"");
        } else {
            carry(&mut romeo, &mut juliet);
            exchange(&mut romeo, &mut juliet);
            assert_eq!(juliet.end(), Some((FileEnd::Success, false)), "{:?}", juliet.events);
        }
    }
}

#[test]
fn the_other_direction_of_a_tunnel_stays_empty() {
    let (mut romeo, mut juliet) = agreed(1000);
    join(&mut romeo, &mut juliet);
    let id = *romeo.tunnels.keys().next().unwrap();
    assert_eq!(romeo.files.tunnel_room(id), 0);
    romeo.files.handle_tunnel_bytes(romeo.now, id, b"x").unwrap();
    exchange(&mut romeo, &mut juliet);
    assert_eq!(romeo.end(), Some((FileEnd::Protocol("bytes from the receiver of a file"), false)));
}

#[test]
fn the_room_of_a_tunnel_is_the_buffer_and_what_is_here_already_is_checked_first() {
    let (mut romeo, mut juliet) = two(by_tunnel());
    romeo.file = bytes(1_000_000);
    juliet.has = romeo.file[..500].to_vec();
    romeo.files.offer(romeo.now, FileInfo::new("f", 1_000_000)).unwrap();
    // Up to where Romeo would tell the hash of what she has, which is held back.
    let mut held = Vec::new();
    loop {
        for end in [&mut romeo, &mut juliet] {
            end.act();
            end.say();
        }
        if romeo.wire.is_empty() && juliet.wire.is_empty() {
            break;
        }
        while let Some(stanza) = romeo.wire.pop_front() {
            if stanza.to_xml("").contains("<checksum") {
                held.push(stanza);
            } else {
                juliet.hear(&stanza);
            }
        }
        while let Some(stanza) = juliet.wire.pop_front() {
            romeo.hear(&stanza);
        }
    }
    join(&mut romeo, &mut juliet);
    let id = *juliet.tunnels.keys().next().unwrap();
    let most = FilesConfig::default().buffer_bytes;
    assert_eq!(juliet.files.tunnel_room(id), most);
    let refused = juliet.files.handle_tunnel_bytes(juliet.now, id, &bytes(most + 1));
    assert_eq!(refused, Err(FileError::NoRoom));
    juliet.files.handle_tunnel_bytes(juliet.now, id, &romeo.file[500..500 + most]).unwrap();
    assert_eq!(juliet.files.tunnel_room(id), 0);
    juliet.act();
    assert_eq!(juliet.got[&id].len(), 500);
    assert!(juliet.hear(&held[0]));
    juliet.act();
    assert_eq!(juliet.got[&id], romeo.file[..500 + most]);
    assert_eq!(juliet.files.tunnel_room(id), most);
}

#[test]
fn a_tunnel_that_is_not_wanted_here_is_no_way_and_its_sid_is_used_once() {
    let offer = |raw: &mut Raw, sid: &str, tunnel: &str| {
        let transport = format!("<transport xmlns='{}' sid='{tunnel}'/>", ns::TUNNEL_TRANSPORT);
        raw.initiate_over(sid, "initiator", "<name>f</name><size>3</size>", &transport)
    };
    let mut raw = Raw::new(FilesConfig::default());
    assert_eq!(offer(&mut raw, "s", "t"), Answer::Result);
    assert_eq!(raw.actions(), ["session-terminate"]);
    assert_eq!(raw.end.events, []);
    let mut raw = Raw::new(by_tunnel());
    assert_eq!(offer(&mut raw, "s", "t"), Answer::Result);
    assert_eq!(offer(&mut raw, "s2", "t"), Answer::Error("conflict", None));
    assert_eq!(raw.jingle("session-terminate", "s", "<reason><cancel/></reason>"), Answer::Result);
    assert_eq!(offer(&mut raw, "s3", "t"), Answer::Error("conflict", None));
    // No sid, or one that is none.
    assert_eq!(offer(&mut raw, "s4", ""), Answer::Result);
    assert_eq!(offer(&mut raw, "s5", &"t".repeat(257)), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept", "session-terminate", "session-terminate"]);
    assert_eq!(offer(&mut raw, "s6", &"t".repeat(256)), Answer::Result);
    assert_eq!(raw.actions(), ["session-accept"]);
}
