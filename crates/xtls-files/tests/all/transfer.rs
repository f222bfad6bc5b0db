//! Files that get there.

use xtls_files::{FileEnd, FileEvent, FileInfo, FileRange, FileRequest, FilesConfig};

use crate::world::{End, bytes, hash, hasher, run, two};

fn succeeded(romeo: &End, juliet: &End) {
    assert_eq!(romeo.end(), Some((FileEnd::Success, true)), "{:?}", romeo.events);
    assert_eq!(juliet.end(), Some((FileEnd::Success, false)), "{:?}", juliet.events);
    assert!(juliet.events.iter().any(|event| matches!(event, FileEvent::Checked { compared: true, .. })));
    assert!(romeo.events.iter().any(|event| matches!(event, FileEvent::Received { .. })));
    assert_eq!(juliet.got.values().next(), Some(&romeo.file));
}

#[test]
fn an_offer_is_accepted_and_the_file_gets_there() {
    for size in [0, 1, 5, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 256 * 1024, 3_000_000] {
        let (mut romeo, mut juliet) = two(FilesConfig::default());
        romeo.file = bytes(size);
        romeo.files.offer(romeo.now, FileInfo::new("letter.txt", size as u64)).unwrap();
        run(&mut romeo, &mut juliet);
        succeeded(&romeo, &juliet);
        // The hash was not known when the file was offered, and follows.
        assert!(romeo.said.iter().any(|stanza| stanza.contains("<checksum")), "{size}");
    }
}

#[test]
fn a_hash_that_was_offered_is_not_told_again() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(100_000);
    let info = FileInfo::new("letter.txt", 100_000).with_hash(hash(&romeo.file));
    romeo.files.offer(romeo.now, info).unwrap();
    run(&mut romeo, &mut juliet);
    succeeded(&romeo, &juliet);
    assert!(!romeo.said.iter().any(|stanza| stanza.contains("<checksum")));
}

#[test]
fn only_the_rest_is_sent_when_the_beginning_is_there() {
    for has in [1, 50_000, 99_999, 100_000] {
        let (mut romeo, mut juliet) = two(FilesConfig::default());
        romeo.file = bytes(100_000);
        juliet.has = romeo.file[..has].to_vec();
        let id = romeo.files.offer(romeo.now, FileInfo::new("letter.txt", 100_000)).unwrap();
        run(&mut romeo, &mut juliet);
        succeeded(&romeo, &juliet);
        let range = FileRange::new(has as u64, 100_000 - has as u64);
        let check = Some(FileRange::new(0, has as u64));
        assert!(romeo.events.contains(&FileEvent::Accepted { id, range, check }));
    }
}

#[test]
fn a_byte_that_differs_in_the_beginning_ends_it_before_any_other_is_taken() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(100_000);
    juliet.has = romeo.file[..50_000].to_vec();
    juliet.has[777] ^= 1;
    romeo.files.offer(romeo.now, FileInfo::new("letter.txt", 100_000)).unwrap();
    run(&mut romeo, &mut juliet);
    assert_eq!(juliet.end(), Some((FileEnd::RangeDiffers, false)));
    assert_eq!(romeo.end(), Some((FileEnd::RangeDiffers, true)));
    assert_eq!(juliet.got.values().next(), Some(&juliet.has));
}

#[test]
fn a_file_is_asked_for() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(300_000);
    let wanted = FileRequest::by_hash(hash(&romeo.file));
    juliet.files.request(juliet.now, wanted, hasher(&[])).unwrap();
    run(&mut juliet, &mut romeo);
    succeeded(&romeo, &juliet);
}

#[test]
fn the_rest_of_a_file_is_asked_for() {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    romeo.file = bytes(300_000);
    juliet.has = romeo.file[..123_456].to_vec();
    let wanted = FileRequest::by_hash(hash(&romeo.file)).with_range(FileRange::from(123_456));
    juliet.files.request(juliet.now, wanted, hasher(&juliet.has)).unwrap();
    run(&mut juliet, &mut romeo);
    succeeded(&romeo, &juliet);
}
