//! Manifests, and the files that they list.

use xtls_files::{FileEnd, FileError, FileEvent, FileInfo, FileRange, FileRequest, Files, FilesConfig, ManifestInfo};

use crate::{
    raw::{Answer, Raw},
    world::{End, bytes, hash, hasher, two},
};

/// Romeo has these three files, in this order, and a manifest of them.
struct Several {
    manifest: Vec<u8>,
    files: [Vec<u8>; 3],
}

impl Several {
    fn new() -> Self {
        Self { manifest: b"a manifest".to_vec(), files: [bytes(70_000), bytes(0), bytes(50_001)] }
    }

    fn all(&self) -> Vec<u8> {
        self.files.concat()
    }

    fn info(&self) -> FileInfo {
        let size = self.all().len() as u64;
        FileInfo::new("folder", self.manifest.len() as u64)
            .with_hash(hash(&self.manifest))
            .with_media_type("application/vnd.xtls.manifest+xml")
            .with_manifest(ManifestInfo::new(3, size))
    }

    fn request(&self) -> FileRequest {
        FileRequest::by_hash(hash(&self.manifest)).of_contents()
    }
}

/// Plays Juliet's request for the contents; what came, and how it ended.
fn contents(several: &Several, wanted: FileRequest, has: &[u8]) -> (Vec<u8>, FileEnd, bool) {
    let (mut romeo, mut juliet) = two(FilesConfig::default());
    let id = juliet.files.request(juliet.now, wanted, hasher(has)).unwrap();
    let all = several.all();
    let (mut at, mut got, mut end, mut compared) = (0, Vec::new(), None, false);
    let write =
        |files: &mut Files, now, id, at: &mut usize| *at += files.write(now, id, &all[*at..]).unwrap_or_default();
    while end.is_none() {
        romeo.say();
        juliet.say();
        while let Some(stanza) = romeo.wire.pop_front() {
            assert!(juliet.hear(&stanza));
        }
        while let Some(stanza) = juliet.wire.pop_front() {
            assert!(romeo.hear(&stanza));
        }
        while let Some(event) = romeo.files.poll_event() {
            match event {
                FileEvent::Requested { id, wanted, check } => {
                    assert!(wanted.contents);
                    assert_eq!(wanted.file.hash, Some(hash(&several.manifest)));
                    let start = check.map_or_else(
                        || hasher(&[]),
                        |part| hasher(&all[part.offset as usize..(part.offset + part.length.unwrap()) as usize]),
                    );
                    at = wanted.range.offset as usize;
                    romeo.files.serve(romeo.now, id, several.info(), start).unwrap();
                    write(&mut romeo.files, romeo.now, id, &mut at);
                }
                FileEvent::Writable { id } => write(&mut romeo.files, romeo.now, id, &mut at),
                _ => {}
            }
        }
        while let Some(event) = juliet.files.poll_event() {
            match event {
                FileEvent::Readable { id } => drop(juliet.files.read(juliet.now, id, &mut got)),
                FileEvent::Checked { id, compared: is } => {
                    compared = is;
                    juliet.files.stored(juliet.now, id).unwrap();
                }
                FileEvent::Ended { id: ended, end: how, .. } => {
                    assert_eq!(ended, id);
                    end = Some(how);
                }
                _ => {}
            }
        }
    }
    (got, end.unwrap(), compared)
}

#[test]
fn the_files_of_a_manifest_come_in_a_row() {
    let several = Several::new();
    assert_eq!(contents(&several, several.request(), &[]), (several.all(), FileEnd::Success, true));
}

#[test]
fn files_that_have_as_many_bytes_as_their_manifest_are_not_taken_for_it() {
    let several = Several { manifest: b"a manifest".to_vec(), files: [bytes(4), bytes(0), bytes(6)] };
    assert_eq!(contents(&several, several.request(), &[]), (several.all(), FileEnd::Success, true));
}

#[test]
fn after_a_break_only_the_rest_comes_and_the_broken_file_is_checked() {
    let several = Several::new();
    let all = several.all();
    // The first file is complete, and of the third one some is here.
    for here in [0, 1, 777, 50_001] {
        let wanted = several.request().with_range(FileRange::from(70_000 + here as u64));
        let has = &several.files[2][..here];
        let came = contents(&several, wanted.clone(), has);
        assert_eq!(came, (all[70_000 + here..].to_vec(), FileEnd::Success, true));
        if here > 0 {
            let mut wrong = has.to_vec();
            wrong[here - 1] ^= 1;
            assert_eq!(contents(&several, wanted, &wrong), (vec![], FileEnd::RangeDiffers, false));
        }
    }
    // Some in the middle.
    let wanted = several.request().with_range(FileRange::new(10, 20));
    assert_eq!(contents(&several, wanted, &[]), (all[10..30].to_vec(), FileEnd::Success, true));
    let wanted = several.request().with_range(FileRange::new(10, all.len() as u64));
    assert_eq!(contents(&several, wanted, &[]), (vec![], FileEnd::NotAvailable, false));
}

#[test]
fn a_manifest_is_offered_and_asked_for_where_the_peer_knows_it() {
    let several = Several::new();
    let asked = |raw: &mut Raw, feature: &str| {
        raw.answer_disco(&["urn:xmpp:jingle:apps:file-transfer:5", feature]);
        raw.actions()
    };
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.files.offer(raw.end.now, several.info()).unwrap();
    raw.end.files.request(raw.end.now, several.request(), hasher(&[])).unwrap();
    raw.settle();
    assert_eq!(asked(&mut raw, "urn:xtls:files:0"), ["session-initiate", "session-initiate"]);
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.files.offer(raw.end.now, several.info()).unwrap();
    raw.end.files.request(raw.end.now, several.request(), hasher(&[])).unwrap();
    raw.end.files.offer(raw.end.now, FileInfo::new("one", 1)).unwrap();
    raw.settle();
    // Nothing is said that the peer would take for something else; the one file is offered.
    assert_eq!(asked(&mut raw, "urn:other"), ["session-initiate"]);
    assert_eq!(raw.end.ends(), [(FileEnd::Unsupported, true), (FileEnd::Unsupported, true)]);
    // So it is with a peer that says nothing.
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.files.offer(raw.end.now, several.info()).unwrap();
    raw.settle();
    raw.refuse_disco();
    assert_eq!(raw.end.ends(), [(FileEnd::Unsupported, true)]);
}

#[test]
fn the_counts_of_a_manifest_come_with_the_offer() {
    let mut raw = Raw::new(FilesConfig::default());
    let file = "<name>d</name><size>10</size><manifest xmlns='urn:xtls:files:0' files='1000' size='123456'/>";
    assert_eq!(raw.initiate("s", "initiator", file), Answer::Result);
    let FileEvent::Offered { file, .. } = &raw.end.events[0] else { panic!("not offered") };
    assert_eq!(file.manifest, Some(ManifestInfo::new(1000, 123_456)));
}

#[test]
fn files_of_a_manifest_are_served_with_it() {
    let mut raw = Raw::new(FilesConfig::default());
    raw.end.takes = false;
    let file = "<name>d</name><contents xmlns='urn:xtls:files:0'/>";
    assert_eq!(raw.initiate("s", "responder", file), Answer::Result);
    let (id, now) = (raw.id(), raw.end.now);
    let served = raw.end.files.serve(now, id, FileInfo::new("d", 10), hasher(&[]));
    assert_eq!(served, Err(FileError::NoSize));
    let _: &End = &raw.end;
}
