//! What is sent.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use xtls_files::manifest::{EntryKind, ManifestError};
use xtls_files::{FileHash, FileHashAlgo, FileInfo, ManifestInfo, NameRefused};

use super::*;
use crate::files::error::Change;

fn read_all(reader: &mut SourceReader) -> Result<Vec<u8>, SourceError> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 7]);
    while let read @ 1.. = reader.read(wide(bytes.len()), &mut buffer)? {
        bytes.extend_from_slice(&buffer[..read]);
    }
    Ok(bytes)
}

#[test]
fn one_file_is_sent_as_itself() {
    let dir = temp();
    plant(dir.path(), &[("ball.txt", "Tybalt was there.")]);
    let path = dir.path().join("ball.txt");
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    File::options().write(true).open(&path).unwrap().set_modified(date).unwrap();
    let file = find_file(&path);
    assert_eq!((file.name.as_str(), file.size, file.modified.unwrap().unix()), ("ball.txt", 17, 1));
    assert_eq!(file.info(), FileInfo::new("ball.txt", 17).with_date("1970-01-01T00:00:01Z"));
    let mut reader = file.reader();
    assert_eq!(read_all(&mut reader).unwrap(), b"Tybalt was there.");
    let mut told = 0;
    let hash = reader.hash(7..13, &mut |bytes| {
        told += bytes;
        ControlFlow::Continue(())
    });
    assert_eq!(hash.unwrap().finish(), FileHash::of(FileHashAlgo::Sha256, b"was th"));
    assert_eq!((told, reader.size()), (6, 17));
    assert!(matches!(reader.hash(0..17, &mut |_| ControlFlow::Break(())), Err(SourceError::Stopped)));
    assert_eq!(reader.read(17, &mut [0; 8]).unwrap(), 0);
    assert_eq!(reader.read(u64::MAX, &mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_directory_is_a_manifest_and_its_files_in_one_sequence() {
    let dir = temp();
    plant(dir.path(), &[("d/b/c", "cc"), ("d/a", "a"), ("d/none", ""), ("d/z", "zzz")]);
    fs::create_dir(dir.path().join("d/empty")).unwrap();
    let tree = find_tree(dir.path().join("d"));
    assert_eq!((tree.name.as_str(), tree.files, tree.size), ("d", 4, 6));
    let HashedTree { info, manifest, document, mut reader } = tree.hash(&mut on()).unwrap();
    assert_eq!((info.name.as_deref(), info.size), (Some("d"), Some(wide(document.len()))));
    assert_eq!(info.hash, Some(FileHash::of(FileHashAlgo::Sha256, document.as_bytes())));
    assert_eq!(info.manifest, Some(ManifestInfo::new(4, 6)));
    let paths: Vec<_> = manifest.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["a", "b", "b/c", "empty", "none", "z"]);
    assert_eq!(read_all(&mut reader).unwrap(), b"acczzz");
    for (index, bytes) in [(0, "a"), (2, "cc"), (4, ""), (5, "zzz")] {
        let hash = FileHash::of(FileHashAlgo::Sha256, bytes.as_bytes());
        assert_eq!(manifest.entries()[index].kind, EntryKind::File { size: wide(bytes.len()), hash });
    }
    assert_eq!(find_tree(dir.path().join("d/b/..")).name.as_str(), "d", "the directory's own name");
    assert_eq!(
        find_tree(dir.path().join("d")).hash(&mut on()).unwrap().document,
        document,
        "the same files are the same manifest"
    );
}

#[test]
fn several_are_sent_under_their_names() {
    let dir = temp();
    plant(dir.path(), &[("x", "x"), ("d/x", "dx"), ("e/x", "ex")]);
    let all = ["x", "d", "e/x"].map(|path| dir.path().join(path));
    let error = survey(&all, false, ManifestLimits::default()).unwrap_err();
    assert!(matches!(&error, SourceError::Manifest(ManifestError::Twice(path)) if path == "x"), "{error}");
    let Found::Tree(tree) = survey(&all[..2], false, ManifestLimits::default()).unwrap().found else { panic!() };
    assert_eq!((tree.name.as_str(), tree.files), ("x and 1 more", 2));
    let paths = tree.hash(&mut on()).unwrap().manifest;
    let paths: Vec<_> = paths.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["x", "d", "d/x"]);
    assert!(matches!(survey(&[], false, ManifestLimits::default()), Err(SourceError::Nothing)));
    fs::create_dir(dir.path().join("none")).unwrap();
    assert!(matches!(find(dir.path().join("none")), Err(SourceError::Nothing)));
    assert!(matches!(find("/"), Err(SourceError::NoName(_))));
    let missing = find(dir.path().join("missing")).unwrap_err().to_string();
    assert!(missing.contains("missing: it cannot be read"), "{missing}");
}

#[cfg(unix)]
#[test]
fn special_files_and_links_are_left_out_and_told() {
    use std::os::unix::fs::symlink;
    let dir = temp();
    plant(dir.path(), &[("d/a", "a"), ("secret/key", "key")]);
    let d = dir.path().join("d");
    symlink("../secret/key", d.join("link")).unwrap();
    symlink("../secret", d.join("links")).unwrap();
    symlink("nowhere", d.join("dangling")).unwrap();
    let fifo = rustix::fs::CWD;
    rustix::fs::mknodat(fifo, d.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(d.join("socket")).unwrap();
    let found = find(&d).unwrap();
    let skipped: Vec<_> = found.skipped.iter().map(|(path, why)| (path.file_name().unwrap(), *why)).collect();
    let expected = [
        ("dangling", Skipped::Link),
        ("link", Skipped::Link),
        ("links", Skipped::Link),
        ("pipe", Skipped::Fifo),
        ("socket", Skipped::Socket),
    ];
    assert_eq!(skipped, expected.map(|(name, why)| (name.as_ref(), why)));
    assert_eq!(found.skipped_count, 5);
    let Found::Tree(tree) = found.found else { panic!() };
    assert_eq!((tree.files, tree.size), (1, 1));
    for (special, said) in [("pipe", "a named pipe"), ("socket", "a socket"), ("/dev/null", "a device")] {
        let error = find(d.join(special)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    // What the user names may be a link.
    assert_eq!(find_file(d.join("link")).size, 3);
}

#[cfg(unix)]
#[test]
fn links_are_followed_by_choice_and_loops_are_noticed() {
    use std::os::unix::fs::symlink;
    let dir = temp();
    plant(dir.path(), &[("d/a", "a"), ("d/sub/b", "b"), ("other/key", "key")]);
    let d = dir.path().join("d");
    symlink("../other/key", d.join("file")).unwrap();
    symlink("../other", d.join("links")).unwrap();
    symlink("..", d.join("sub/up")).unwrap();
    symlink("nowhere", d.join("dangling")).unwrap();
    symlink("self", d.join("self")).unwrap();
    unlink(d.join("self"));
    let found = survey(std::slice::from_ref(&d), true, ManifestLimits::default()).unwrap();
    let skipped: Vec<_> = found.skipped.iter().map(|(path, why)| (path.file_name().unwrap(), *why)).collect();
    assert_eq!(skipped, [("dangling".as_ref(), Skipped::Dangling), ("up".as_ref(), Skipped::Loop)]);
    let Found::Tree(tree) = found.found else { panic!() };
    let HashedTree { manifest, mut reader, .. } = tree.hash(&mut on()).unwrap();
    let paths: Vec<_> = manifest.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["a", "file", "links", "links/key", "sub", "sub/b"]);
    assert_eq!(read_all(&mut reader).unwrap(), b"akeykeyb");
    symlink("self", d.join("self")).unwrap();
    let error = survey(&[d], true, ManifestLimits::default()).unwrap_err().to_string();
    assert!(error.contains("self: it cannot be read"), "{error}");
}

#[cfg(unix)]
#[test]
fn names_that_a_receiver_would_refuse_are_all_told_before_anything_is_sent() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = temp();
    let d = dir.path().join("d");
    plant(&d, &[("a:b", ""), ("aux.txt", ""), ("ok", ""), ("x/a\u{202e}b", ""), ("y.xtls-part", "")]);
    fs::write(d.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    let error = find(&d).unwrap_err();
    let SourceError::Problems(problems) = &error else { panic!("{error}") };
    assert_eq!(problems.count, 5);
    let why = |index: usize| &problems.first[index].1;
    assert!(matches!(why(0), Problem::Name(NameRefused::Reserved(':'))));
    assert!(matches!(why(1), Problem::Name(NameRefused::Device)));
    assert!(matches!(why(2), Problem::Name(NameRefused::Invisible('\u{202e}'))));
    assert!(matches!(why(3), Problem::Name(NameRefused::Partial)));
    assert!(matches!(why(4), Problem::NotUtf8));
    let text = error.to_string();
    assert!(text.starts_with("nothing was sent: ") && text.contains("a:b") && text.contains("a\\u{202e}b"), "{text}");
    plant(dir.path(), &[("e/README", ""), ("e/readme", "")]);
    let error = find(dir.path().join("e")).unwrap_err();
    assert!(matches!(error, SourceError::Manifest(ManifestError::Alike { .. })), "{error}");
    let deep = vec!["a"; 65].join("/");
    plant(dir.path(), &[(&format!("f/{deep}"), "")]);
    let error = find(dir.path().join("f")).unwrap_err().to_string();
    assert!(error.contains("64 names"), "{error}");
}

#[test]
fn too_many_files_are_told_at_once() {
    let dir = temp();
    plant(dir.path(), &[("d/a", ""), ("d/b", ""), ("d/c", "")]);
    let mut limits = ManifestLimits::default();
    let within = |limits| survey(&[dir.path().join("d")], false, limits);
    limits.entries = 3;
    assert!(within(limits).is_ok());
    limits.entries = 2;
    assert!(matches!(within(limits), Err(SourceError::Manifest(ManifestError::TooMany(2)))));
}

#[cfg(unix)]
#[test]
fn a_hundred_of_what_is_left_out_are_kept_and_all_are_counted() {
    let dir = temp();
    plant(dir.path(), &[("d/a", ""), ("e/a", "")]);
    for number in 0..101 {
        std::os::unix::fs::symlink("a", dir.path().join(format!("d/link{number}"))).unwrap();
        fs::write(dir.path().join(format!("e/a:{number}")), "").unwrap();
    }
    let found = find(dir.path().join("d")).unwrap();
    assert_eq!((found.skipped.len(), found.skipped_count), (100, 101));
    let error = find(dir.path().join("e")).unwrap_err();
    let SourceError::Problems(problems) = &error else { panic!("{error}") };
    assert_eq!((problems.first.len(), problems.count), (100, 101));
    let text = error.to_string();
    assert!(text.contains("a:1") && text.ends_with("and 96 more; rename or leave out what cannot be sent"), "{text}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_told_by_name() {
    let dir = temp();
    allow(dir.path(), 0o755);
    plant(dir.path(), &[("d/mine", "a"), ("d/open", "b"), ("d/shut/c", "c"), ("alone", "x")]);
    allow(&dir.path().join("d/mine"), 0);
    allow(&dir.path().join("alone"), 0);
    allow(&dir.path().join("d/shut"), 0);
    let (tree, file) = as_nobody(|| (find(dir.path().join("d")), find(dir.path().join("alone"))));
    let SourceError::Problems(problems) = tree.unwrap_err() else { panic!() };
    let names: Vec<_> = problems.first.iter().map(|(path, _)| path.strip_prefix(dir.path()).unwrap()).collect();
    assert_eq!(names, [Path::new("d/mine"), Path::new("d/shut")]);
    let error = file.unwrap_err().to_string();
    assert!(error.contains("alone: it cannot be read"), "{error}");
    allow(&dir.path().join("d/shut"), 0o755);
}

/// What a change of a file between two reads of it is told as.
fn changed_by(change: impl Fn(&Path)) -> Option<Change> {
    let dir = temp();
    plant(dir.path(), &[("d/a", "abcdefgh"), ("d/b", "b")]);
    let path = dir.path().join("d/a");
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    let HashedTree { mut reader, .. } = find_tree(dir.path().join("d")).hash(&mut on()).unwrap();
    let mut alone = find_file(&path).reader();
    assert_eq!(alone.read(0, &mut [0; 4]).unwrap(), 4);
    change(&path);
    let again = match reader.read(0, &mut [0; 4]) {
        Ok(_) => None,
        Err(SourceError::Changed(changed, change)) => {
            assert_eq!(changed, path);
            Some(change)
        }
        Err(error) => panic!("{error}"),
    };
    // The one that is open already sees what was done to it, and not what was done to its name.
    let going_on = alone.read(4, &mut [0; 4]);
    match again {
        Some(Change::Replaced | Change::Gone) | None => assert_eq!(going_on.unwrap(), 4),
        Some(change) => assert!(matches!(going_on, Err(SourceError::Changed(_, same)) if same == change)),
    }
    again
}

#[test]
fn a_file_that_shrinks_grows_or_changes_while_it_is_sent_is_noticed() {
    let open = |path: &Path| File::options().write(true).open(path).unwrap();
    assert_eq!(changed_by(|_| ()), None);
    assert_eq!(changed_by(|path| open(path).set_len(5).unwrap()), Some(Change::Shrank));
    assert_eq!(changed_by(|path| open(path).set_len(0).unwrap()), Some(Change::Shrank));
    assert_eq!(changed_by(|path| open(path).set_len(9).unwrap()), Some(Change::Grew));
    assert_eq!(changed_by(|path| open(path).write_all(b"ABCDEFGH").unwrap()), Some(Change::Written));
    assert_eq!(changed_by(|path| fs::remove_file(path).unwrap()), Some(Change::Gone));
    let replace = |path: &Path| {
        fs::rename(path, path.with_file_name("old")).unwrap();
        fs::copy(path.with_file_name("old"), path).unwrap();
    };
    assert_eq!(changed_by(replace), Some(Change::Replaced));
}

#[cfg(unix)]
#[test]
fn what_takes_the_place_of_a_file_is_neither_sent_nor_waited_for() {
    let pipe = |path: &Path| {
        unlink(path.to_owned());
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    };
    assert_eq!(changed_by(pipe), Some(Change::Replaced));
    let link = |path: &Path| {
        unlink(path.to_owned());
        std::os::unix::fs::symlink("b", path).unwrap();
    };
    assert_eq!(changed_by(link), Some(Change::Replaced));
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_noticed_too() {
    let dir = temp();
    plant(dir.path(), &[("d/a", "abc"), ("d/b", "b")]);
    let tree = find_tree(dir.path().join("d"));
    fs::write(dir.path().join("d/b"), "bb").unwrap();
    let error = tree.hash(&mut on()).unwrap_err();
    assert!(matches!(&error, SourceError::Changed(path, Change::Grew) if path.ends_with("d/b")), "{error}");
    let tree = find_tree(dir.path().join("d"));
    assert!(matches!(tree.hash(&mut |_| ControlFlow::Break(())), Err(SourceError::Stopped)));
}
