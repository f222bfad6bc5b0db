//! Two honest ends whose stanzas, bytes and applications move in any order, and one end beside a peer that says anything.

use proptest::prelude::*;
use xtls_files::{FileEnd, FileEvent, FileInfo, FileRange, FileRequest, FilesConfig};

use crate::{
    raw::{Answer, Raw},
    world::{End, bytes, carry, hash, hasher, join, run, two},
};

#[derive(Debug, Clone)]
struct Play {
    size: usize,
    has: usize,
    wrong: bool,
    requested: bool,
    tunnels: bool,
    known_hash: bool,
    block_size: u16,
    window: u16,
    buffer: usize,
    steps: Vec<u8>,
    /// What breaks after the steps, if anything.
    breaks: Option<u8>,
}

prop_compose! {
    fn play()(
        size in prop_oneof![0_usize..300, 0_usize..40_000],
        has in 0_usize..40_000,
        flags in any::<[bool; 4]>(),
        (block_size, window, buffer) in (64_u16..3000, 1_u16..10, 1_usize..20_000),
        steps in prop::collection::vec(any::<u8>(), 0..300),
        breaks in prop::option::of(0_u8..6),
    ) -> Play {
        let [wrong, requested, tunnels, known_hash] = flags;
        Play { size, has: has.min(size), wrong, requested, tunnels, known_hash, block_size, window, buffer, steps, breaks }
    }
}

/// One thing happens, of those that keep the order of stanzas and bytes.
fn step(choice: u8, romeo: &mut End, juliet: &mut End) {
    match choice % 8 {
        0 => romeo.act(),
        1 => juliet.act(),
        2 => romeo.wire.extend(romeo.files.poll_stanza(romeo.now)),
        3 => juliet.wire.extend(juliet.files.poll_stanza(juliet.now)),
        4 => {
            if let Some(stanza) = romeo.wire.pop_front() {
                assert!(juliet.hear(&stanza));
            }
        }
        5 => {
            if let Some(stanza) = juliet.wire.pop_front() {
                assert!(romeo.hear(&stanza));
            }
        }
        6 => drop(join(romeo, juliet)),
        _ => drop(carry(romeo, juliet)),
    }
}

fn played(play: &Play) -> (End, End) {
    let mut config = FilesConfig::default();
    config.tunnels = play.tunnels;
    config.block_size = play.block_size;
    config.window = play.window;
    config.buffer_bytes = play.buffer;
    let (mut romeo, mut juliet) = two(config);
    romeo.file = bytes(play.size);
    juliet.has = romeo.file[..play.has].to_vec();
    if let Some(first) = juliet.has.first_mut().filter(|_| play.wrong) {
        *first ^= 1;
    }
    if play.requested {
        let wanted = FileRequest::by_name("f").with_range(FileRange::from(play.has as u64));
        juliet.files.request(juliet.now, wanted, hasher(&juliet.has)).unwrap();
    } else {
        let mut file = FileInfo::new("f", play.size as u64);
        if play.known_hash {
            file = file.with_hash(hash(&romeo.file));
        }
        romeo.files.offer(romeo.now, file).unwrap();
    }
    play.steps.iter().for_each(|choice| step(*choice, &mut romeo, &mut juliet));
    (romeo, juliet)
}

fn check(play: &Play, romeo: &End, juliet: &End) {
    let (of_romeo, of_juliet) = (romeo.ends(), juliet.ends());
    // Each session ends, once, at both.
    assert!(of_romeo.len() == 1 && of_juliet.len() <= 1, "{:?} {:?}", romeo.events, juliet.events);
    let succeeded = of_juliet.iter().any(|(end, _)| end.is_success());
    if of_romeo[0].0.is_success() {
        assert!(succeeded, "{:?}", juliet.events);
    }
    let got = juliet.got.values().next().map_or(&[][..], Vec::as_slice);
    if succeeded {
        assert_eq!(got, romeo.file);
    } else {
        // What came follows what was there, as far as it came.
        assert!(got.len() <= play.size.max(play.has));
        assert_eq!(got.get(play.has..).unwrap_or_default(), &romeo.file[play.has..got.len().max(play.has)]);
    }
    assert_eq!((romeo.files.poll_timeout(), juliet.files.poll_timeout()), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_honest_ends_agree_in_whatever_order_things_happen(play in play()) {
        let (mut romeo, mut juliet) = played(&play);
        let mut now = romeo.now;
        match play.breaks {
            // The applications break it off, at one end or at both at once.
            Some(0 | 1) => {
                for (end, wants) in [(&mut romeo, true), (&mut juliet, play.breaks == Some(1))] {
                    for id in end.sessions().into_iter().filter(|_| wants) {
                        end.files.end(end.now, id, FileEnd::Cancelled).unwrap();
                    }
                }
            }
            // The stream is gone.
            Some(2) => {
                for end in [&mut romeo, &mut juliet] {
                    end.files.handle_closed(end.now);
                    end.act();
                    end.wire.clear();
                }
            }
            // The tunnel is lost, or fails to open, at one end.
            Some(3 | 4) => {
                let end = if play.breaks == Some(3) { &mut romeo } else { &mut juliet };
                end.act();
                let ids: Vec<_> = end.tunnels.keys().copied().collect();
                for id in ids {
                    let _ = end.files.tunnel_failed(now, id);
                }
            }
            // Time passes, so that what is due comes too late.
            Some(_) => {
                now += std::time::Duration::from_secs(100_000);
                for end in [&mut romeo, &mut juliet] {
                    end.now = now;
                    end.files.handle_timeout(now);
                }
            }
            None => {}
        }
        run(&mut romeo, &mut juliet);
        if romeo.ends().is_empty() && juliet.ends().is_empty() {
            // It was gone before it was there: a request that its owner took back.
            prop_assert!(play.requested || play.breaks == Some(2));
            return Ok(());
        }
        if romeo.ends().is_empty() {
            prop_assert!(play.requested && play.breaks.is_some(), "{:?} {:?}", romeo.events, juliet.events);
            return Ok(());
        }
        check(&play, &romeo, &juliet);
        if play.breaks.is_none() {
            let is_wrong = play.wrong && play.has > 0;
            let expected = if is_wrong { FileEnd::RangeDiffers } else { FileEnd::Success };
            prop_assert_eq!(romeo.end(), Some((expected, true)), "{:?} {:?}", &romeo.events, &juliet.events);
        }
    }

    #[test]
    fn a_peer_that_says_anything_gets_nothing_past_the_checks(
        sizes in (0_usize..12, 0_usize..12, 0_usize..6),
        flags in any::<[bool; 4]>(),
        inputs in prop::collection::vec((0_u8..14, 0_usize..7), 0..40),
    ) {
        let (size, told, has) = sizes;
        let [promised, checks, wrong, says_size] = flags;
        let file = bytes(size);
        let said = |of: &[u8]| format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash>", hash(of).base64());
        let used = "<hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>".to_owned();
        let mut raw = Raw::new(FilesConfig::default());
        raw.end.has = file[..has.min(size).min(told)].to_vec();
        let there = raw.end.has.len();
        let offer = [
            if says_size { format!("<size>{told}</size>") } else { String::new() },
            "<range/>".to_owned(),
            if promised { used } else { said(if wrong { b"x" } else { &file }) },
            if checks { "<check xmlns='urn:xtls:files:0'/>".to_owned() } else { String::new() },
        ];
        prop_assert_eq!(raw.initiate("s", "initiator", &offer.concat()), Answer::Result);
        let (mut seq, mut at) = (0, there);
        for (input, number) in inputs {
            match input {
                0 => drop(raw.open("s")),
                1..=4 => {
                    let end = (at + number).min(file.len());
                    drop(raw.data("s", seq, &file[at.min(end)..end]));
                    (seq, at) = (seq + 1, end);
                }
                5 => {
                    drop(raw.data("s", seq, &vec![0; number]));
                    seq += 1;
                }
                6 => drop(raw.close("s")),
                7 => drop(raw.checksum("s", &said(&file))),
                8 => drop(raw.checksum("s", &said(&file[..number.min(size)]))),
                9 => drop(raw.checksum("s", &format!("<range length='{there}'>{}</range>", said(&file[..there])))),
                10 => drop(raw.checksum("s", &format!("<range length='{number}'>{}</range>", said(&file[..number.min(size)])))),
                11 => drop(raw.jingle("session-terminate", "s", "<reason><success/></reason>")),
                12 => drop(raw.info("s", "")),
                _ => raw.end.pass(std::time::Duration::from_secs(50)),
            }
            raw.settle();
        }
        let got = raw.end.got.values().next().cloned().unwrap_or_default();
        if says_size {
            prop_assert!(got.len() <= told.max(there));
        }
        let checked = raw.end.events.iter().any(|event| matches!(event, FileEvent::Checked { .. }));
        if checked {
            // A hash that agrees is one of what is here, whatever was said besides.
            let honest = got == file;
            let told = [said(&file), said(b"x")];
            let is_hash = (0..=size).any(|end| got == file[..end]) || told.contains(&said(&got));
            prop_assert!(honest || is_hash, "{:?}", got);
            if !promised {
                let is_told = wrong && got == b"x" || !wrong && honest;
                prop_assert!(is_told);
            }
        }
        prop_assert!(raw.end.ends().len() <= 1);
    }
}
