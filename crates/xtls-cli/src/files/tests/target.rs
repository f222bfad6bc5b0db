//! One file that is received.

use std::time::{Duration, SystemTime};

use xtls_files::{Difference, FileDate, FileHash, FileHashAlgo};

use super::*;

fn part(dir: &Path, record: &PartialRecord) -> PartFile {
    claim(dir, record).file().unwrap()
}

fn claim(dir: &Path, record: &PartialRecord) -> Claim {
    Target::open(dir).unwrap().claim(record).unwrap()
}

/// Receives a whole file; under which name.
fn receive(dir: &Path, name: &str, bytes: &str, overwrite: bool) -> String {
    let mut part = part(dir, &record(name, wide(bytes.len())));
    part.append(bytes.as_bytes()).unwrap();
    let path = part.finish(overwrite).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_file_is_received_under_a_partial_name_and_gets_its_own_at_the_end() {
    let dir = temp();
    let mut record = record("ball.txt", 8);
    record.modified = Some(FileDate::from_unix(951_825_600));
    let mut part = part(dir.path(), &record);
    assert_eq!(part.length(), 0);
    part.append(b"Tyb").unwrap();
    part.append(b"alt").unwrap();
    assert_eq!(names(dir.path()), ["ball.txt.xtls-part", "ball.txt.xtls-part.info"]);
    assert_eq!(fs::read(part.path()).unwrap(), b"Tybalt");
    part.append(b"!\n").unwrap();
    let path = part.finish(false).unwrap();
    assert_eq!(path, dir.path().join("ball.txt"));
    assert_eq!(names(dir.path()), ["ball.txt"]);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(951_825_600));
}

#[test]
fn after_a_break_it_goes_on_with_what_is_there() {
    let dir = temp();
    let record = record("ball.txt", 8);
    let mut first = part(dir.path(), &record);
    first.append(b"Tybalt").unwrap();
    drop(first);
    let mut second = part(dir.path(), &record);
    assert!(second.claim().is_resumed() && second.length() == 6);
    let mut told = 0;
    let hash = second.hash(FileHashAlgo::Sha256, &mut |bytes| {
        told += bytes;
        ControlFlow::Continue(())
    });
    assert_eq!((hash.unwrap().finish(), told), (FileHash::of(FileHashAlgo::Sha256, b"Tybalt"), 6));
    assert!(matches!(second.hash(FileHashAlgo::Sha256, &mut |_| ControlFlow::Break(())), Err(TargetError::Stopped)));
    second.append(b"!\n").unwrap();
    assert_eq!(fs::read(second.finish(false).unwrap()).unwrap(), b"Tybalt!\n");
}

#[test]
fn what_is_not_the_beginning_is_not_gone_on_with() {
    let dir = temp();
    let record = record("ball.txt", 4);
    let mut first = part(dir.path(), &record);
    first.append(b"Tyb").unwrap();
    first.start_over().unwrap();
    assert_eq!((first.length(), fs::read(first.path()).unwrap().len()), (0, 0));
    first.append(b"Romeo").unwrap();
    drop(first);
    let again = part(dir.path(), &record);
    assert_eq!(again.length(), 0, "it is longer than the file is");
    assert!(matches!(again.finish(false), Err(TargetError::Unfinished(_))));
}

#[test]
fn nothing_that_is_there_is_replaced_unless_that_is_wished() {
    let dir = temp();
    plant(dir.path(), &[("a.txt", "old"), ("d/inner", "")]);
    assert_eq!(receive(dir.path(), "a.txt", "one", false), "a (1).txt");
    assert_eq!(receive(dir.path(), "a.txt", "two", false), "a (2).txt");
    assert_eq!(fs::read(dir.path().join("a.txt")).unwrap(), b"old");
    assert_eq!(receive(dir.path(), "a.txt", "three", true), "a.txt");
    assert_eq!(receive(dir.path(), "new", "four", true), "new");
    assert_eq!(receive(dir.path(), "d", "five", true), "d (1)", "a directory is never replaced");
    assert_eq!(names(dir.path()), ["a (1).txt", "a (2).txt", "a.txt", "d", "d (1)", "new"]);
}

#[test]
fn where_no_call_renames_without_replacing_it_is_done_in_two_steps() {
    let dir = temp();
    plant(dir.path(), &[("a", "a"), ("taken", "t"), ("d/x", "x"), ("full/y", "y")]);
    let open = cap_std::fs::Dir::open_ambient_dir(dir.path(), cap_std::ambient_authority()).unwrap();
    for (from, to) in [("a", "taken"), ("a", "d"), ("d", "full"), ("d", "taken")] {
        for rename in [system::rename_new, system::rename_onto_own] {
            let error = rename(&open, from, to).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{from} {to}");
        }
    }
    system::rename_onto_own(&open, "a", "b").unwrap();
    system::rename_onto_own(&open, "d", "e").unwrap();
    assert_eq!(names(dir.path()), ["b", "e", "full", "taken"]);
    assert_eq!(
        (fs::read(dir.path().join("b")).unwrap(), names(&dir.path().join("e"))),
        (b"a".to_vec(), vec!["x".into()])
    );
}

#[test]
fn a_partial_file_of_something_else_stays_and_another_one_is_begun() {
    let dir = temp();
    let mut first = part(dir.path(), &record("a", 8));
    first.append(b"Tybalt").unwrap();
    drop(first);
    let mut begun = part(dir.path(), &record("a", 9));
    assert_eq!((begun.length(), begun.path()), (0, dir.path().join("a (1).xtls-part")));
    let left = (dir.path().join("a.xtls-part"), Left::Different(Difference::Size));
    assert_eq!(begun.claim().left, [left]);
    let again = part(dir.path(), &record("a", 8));
    assert_eq!((again.length(), again.path()), (6, dir.path().join("a.xtls-part")));
    begun.append(b"x").unwrap();
    drop((begun, again));
    let mut of_another = record("a", 8);
    of_another.peer = "romeo@montague.lit".parse().unwrap();
    let third = part(dir.path(), &of_another);
    assert_eq!(third.path(), dir.path().join("a (2).xtls-part"));
    assert_eq!(third.claim().left.len(), 2);
}

#[test]
fn what_nothing_is_known_of_stays() {
    let dir = temp();
    plant(dir.path(), &[("a.xtls-part", "?"), ("a (1).xtls-part", "?"), ("a (1).xtls-part.info", "garbage")]);
    // Of these there is nothing but a record, of something else or of nothing: they are used again.
    plant(dir.path(), &[("a (2).xtls-part.info", "garbage"), ("b.xtls-part.info", &record("b", 1).to_text())]);
    let part = part(dir.path(), &record("a", 8));
    assert_eq!(part.path(), dir.path().join("a (2).xtls-part"));
    let unknown = |name: &str| (dir.path().join(name), Left::Unknown);
    assert_eq!(part.claim().left, [unknown("a.xtls-part"), unknown("a (1).xtls-part")]);
    assert_eq!(fs::read(dir.path().join("a.xtls-part")).unwrap(), b"?");
    drop(self::part(dir.path(), &record("b", 2)));
    let of_another = self::part(dir.path(), &record("b", 3));
    assert_eq!(
        (of_another.path(), of_another.claim().left.len()),
        (dir.path().join("b.xtls-part"), 0),
        "no byte is lost"
    );
    assert_eq!(fs::read(dir.path().join("a (1).xtls-part.info")).unwrap(), b"garbage");
}

#[test]
fn two_that_receive_at_once_do_not_touch_one_another() {
    let dir = temp();
    let record = record("a", 6);
    let mut first = part(dir.path(), &record);
    let mut second = part(dir.path(), &record);
    assert_eq!(second.claim().left, [(first.path(), Left::InUse)]);
    first.append(b"Tybalt").unwrap();
    second.append(b"Tyb").unwrap();
    assert_eq!(first.finish(false).unwrap(), dir.path().join("a"));
    second.append(b"alt").unwrap();
    assert_eq!(second.finish(false).unwrap(), dir.path().join("a (1)"));
    assert_eq!(names(dir.path()), ["a", "a (1)"]);
    for name in ["a", "a (1)"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"Tybalt");
    }
}

#[test]
fn many_that_receive_at_once_all_get_what_is_theirs() {
    let dir = temp();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dir = dir.path();
            scope.spawn(move || {
                for round in 0..20 {
                    let bytes = format!("{thread} {round}");
                    let record = record("a.txt", wide(bytes.len()));
                    let mut part = part(dir, &record);
                    // Threads whose bytes are as many may go on with one another's.
                    if part.length() > 0 {
                        part.start_over().unwrap();
                    }
                    bytes.bytes().for_each(|byte| part.append(&[byte]).unwrap());
                    let path = part.finish(false).unwrap();
                    assert_eq!(fs::read_to_string(path).unwrap(), bytes);
                }
            });
        }
    });
    assert_eq!(names(dir.path()).len(), 160, "{:?}", names(dir.path()));
}

#[test]
fn a_hundred_partial_files_of_one_name_are_kept_and_no_more() {
    let dir = temp();
    let target = Target::open(dir.path()).unwrap();
    for size in 0..100 {
        target.claim(&record("a", 1000 + size)).unwrap().file().unwrap().append(b"x").unwrap();
    }
    assert!(matches!(target.claim(&record("a", 100)), Err(TargetError::Names(_))));
    assert!(target.claim(&record("a", 1099)).unwrap().is_resumed());
    assert!(target.claim(&record("b", 0)).is_ok());
}

#[cfg(unix)]
#[test]
fn nothing_is_written_by_way_of_a_link() {
    use std::os::unix::fs::symlink;
    let outside = temp();
    plant(outside.path(), &[("victim", "as it was")]);
    let victim = outside.path().join("victim");
    for name in ["a", "a.xtls-part", "a.xtls-part.info", "a.xtls-part.manifest"] {
        for target in [victim.clone(), outside.path().join("new"), outside.path().to_owned()] {
            let dir = temp();
            symlink(&target, dir.path().join(name)).unwrap();
            let received = receive(dir.path(), "a", "something new", false);
            assert_eq!(received, if name == "a" { "a (1)" } else { "a" }, "{name}");
        }
    }
    let dir = temp();
    symlink(&victim, dir.path().join("a")).unwrap();
    assert_eq!(receive(dir.path(), "a", "new", true), "a", "the link is replaced, and not what it leads to");
    // The record is ours, and the partial file became a link, or another name of something else.
    let links: [fn(&Path, &Path) -> std::io::Result<()>; 2] =
        [|to, at| symlink(to, at), |to, at| fs::hard_link(to, at)];
    for link in links {
        let dir = tempfile::tempdir_in(outside.path()).unwrap();
        let record = record("a", 100);
        part(dir.path(), &record).append(b"Tybalt").unwrap();
        let path = dir.path().join("a.xtls-part");
        unlink(path.clone());
        link(&victim, &path).unwrap();
        let error = claim(dir.path(), &record).file().unwrap_err();
        assert!(matches!(&error, TargetError::Obstacle(at) if *at == path), "{error}");
        unlink(path.clone());
        assert!(claim(dir.path(), &record).file().is_ok(), "without it, it is begun anew");
        // So became the record.
        unlink(dir.path().join("a.xtls-part.info"));
        link(&victim, &dir.path().join("a.xtls-part.info")).unwrap();
        assert_eq!(claim(dir.path(), &record).left.len(), 1);
    }
    assert_eq!(fs::read(victim).unwrap(), b"as it was");
    assert!(!outside.path().join("new").exists());
}

#[cfg(unix)]
#[test]
fn what_another_user_laid_ready_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make files of others; what is looked at is the same for all: who has the file.
        let metadata = fs::metadata("/").unwrap();
        assert!(!system::is_own_dir(&metadata));
        return;
    }
    let dir = temp();
    allow(dir.path(), 0o777);
    let record = record("a", 6);
    as_nobody(|| part(dir.path(), &record).append(b"Tyb").unwrap());
    let part = part(dir.path(), &record);
    assert_eq!(part.claim().left, [(dir.path().join("a.xtls-part"), Left::Unknown)]);
    assert_eq!(part.length(), 0);
}

#[test]
fn a_target_that_is_none_is_told_as_what_it_is() {
    let dir = temp();
    plant(dir.path(), &[("file", "")]);
    let error = |path: &str| Target::open(&dir.path().join(path)).unwrap_err();
    assert!(matches!(error("missing"), TargetError::NoDirectory(_)));
    assert!(matches!(error("file"), TargetError::NotADirectory(_)));
    assert!(matches!(error("file/below"), TargetError::NotADirectory(_)));
    assert!(error("missing").to_string().ends_with("does not exist: make it, or name another one"));
    let target = Target::open(dir.path()).unwrap();
    assert!(target.free_space().is_none_or(|free| free > 0) && cfg!(unix) == target.free_space().is_some());
    assert_eq!(target.path(), dir.path());
}

#[cfg(unix)]
#[test]
fn a_target_that_vanishes_or_is_replaced_is_noticed_and_nothing_is_written_elsewhere() {
    let dir = temp();
    let at = dir.path().join("in");
    fs::create_dir(&at).unwrap();
    let target = Target::open(&at).unwrap();
    let mut part = target.claim(&record("a", 3)).unwrap().file().unwrap();
    fs::remove_dir_all(&at).unwrap();
    part.append(b"abc").unwrap();
    let error = part.finish(false).unwrap_err();
    assert!(matches!(error, TargetError::Vanished(_)), "{error}");
    assert!(matches!(target.claim(&record("b", 3)), Err(TargetError::Vanished(_))));
    // It is moved away, and a link is in its place.
    fs::create_dir(&at).unwrap();
    let mut part = Target::open(&at).unwrap().claim(&record("a", 3)).unwrap().file().unwrap();
    fs::rename(&at, dir.path().join("moved")).unwrap();
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &at).unwrap();
    part.append(b"abc").unwrap();
    part.finish(false).unwrap();
    assert_eq!(names(&dir.path().join("moved")), ["a"]);
    assert!(names(&dir.path().join("elsewhere")).is_empty());
    // Its partial file is removed, or replaced by one that nobody has looked at.
    for replace in [false, true] {
        let mut part = Target::open(&dir.path().join("moved")).unwrap().claim(&record("b", 3)).unwrap().file().unwrap();
        part.append(b"abc").unwrap();
        unlink(part.path());
        if replace {
            fs::write(part.path(), "xyz").unwrap();
        }
        assert!(matches!(part.finish(false), Err(TargetError::Vanished(_))));
    }
}

#[cfg(unix)]
#[test]
fn a_target_that_may_not_be_written_is_told_by_name() {
    let dir = temp();
    allow(dir.path(), 0o755);
    let target = Target::open(dir.path()).unwrap();
    if !rustix::process::geteuid().is_root() {
        allow(dir.path(), 0o555);
    }
    let error = as_nobody(|| target.claim(&record("a", 3)).unwrap_err()).to_string();
    assert!(error.contains("a.xtls-part.info cannot be written: Permission denied"), "{error}");
    allow(dir.path(), 0o755);
}

#[test]
fn the_longest_names_have_room_for_our_endings() {
    let dir = temp();
    let long = "ä".repeat(119) + ".tar.gz.txt.long";
    assert!(long.len() > 250);
    let mut part = part(dir.path(), &record(&long, 1));
    part.append(b"a").unwrap();
    assert!(part.path().file_name().unwrap().len() <= 255);
    assert_eq!(receive(dir.path(), &long, "b", false), long, "another one of the same name is received meanwhile");
    let path = part.finish(false).unwrap();
    assert_eq!(names(dir.path()).len(), 2);
    assert!(path.file_name().unwrap().to_str().unwrap().ends_with(" (1).long"), "{path:?}");
}
