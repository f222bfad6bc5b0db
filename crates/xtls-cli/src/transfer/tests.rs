//! What a peer that lies, or is hostile, comes to: by name, and with nothing where it should not be.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt as _;
use tempfile::TempDir;
use xtls::tls::{KeyAlgorithm, UnixTime};
use xtls::trust::{MemoryTrustStore, Pin};
use xtls::{Application, Config, Engine, Identity, Local, Setup, TrustPolicy, TunnelOptions};
use xtls_files::manifest::{MEDIA_TYPE, Manifest, ManifestBuilder, ManifestEntry, ManifestLimits};
use xtls_files::{FileEvent, FileHash, FileHashAlgo, FileHasher, FileInfo, FilesConfig, ManifestInfo};
use xtls_tokio::memory::{self, MemoryStream};
use xtls_tokio::{Driver, FileTunnel, FileTurn, Handle};

use super::*;
use crate::files::Target;

/// Juliet receives what Romeo, who is not honest, sends.
struct World {
    romeo: FileTunnel,
    juliet: FileTunnel,
    inbox: Inbox,
    dir: TempDir,
    handles: [Handle; 2],
}

/// What Romeo does when a part of what he has offered is wanted.
type Content<'a> = &'a dyn Fn(u64, u64) -> Vec<u8>;

fn unix() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

/// Two handles whose engines trust one another, and hold so many tunnels.
fn two(tunnels: usize) -> [Handle; 2] {
    let jids: [FullJid; 2] = ["romeo@montague.example/x", "juliet@capulet.example/x"].map(|jid| jid.parse().unwrap());
    let identities = jids.clone().map(|jid| Identity::generate(&jid.to_bare(), KeyAlgorithm::Ed25519, unix()).unwrap());
    let (one, other) = memory::pair(&jids[0], &jids[1], 16);
    let start = |own: usize, stream: MemoryStream| {
        let mut store = MemoryTrustStore::default();
        store.pin(&jids[1 - own].to_bare(), Pin::manual(identities[1 - own].fingerprint_sha256()));
        let local = Local::new(jids[own].clone(), identities[own].clone());
        let mut config = Config::default();
        config.sole_handler = true;
        config.tunnels_per_peer = tunnels;
        let seed = crate::random::random().unwrap();
        let setup = Setup::new(local, Box::new(store), seed, unix()).with_config(config);
        let engine = Engine::new(setup, tokio::time::Instant::now().into_std()).unwrap();
        let (driver, handle, _stanzas) = Driver::new(engine, stream);
        tokio::spawn(driver);
        handle
    };
    [start(0, one), start(1, other)]
}

impl World {
    async fn new() -> Self {
        Self::with(FilesConfig::default(), 4).await
    }

    /// One where bytes can go by tunnels of their own, of which there are so many beside the one of the stanzas.
    async fn with_tunnels(tunnels: usize) -> Self {
        let mut config = FilesConfig::default();
        config.tunnels = true;
        Self::with(config, tunnels + 1).await
    }

    async fn with(config: FilesConfig, tunnels: usize) -> Self {
        let handles = two(tunnels);
        let mut xml = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        xml.check_support = false;
        let peer: FullJid = "juliet@capulet.example/x".parse().unwrap();
        let called = handles[0].call(peer, xml.clone());
        let taken = async { handles[1].incoming().await.unwrap().accept(xml.clone()).await };
        let (called, taken) = tokio::join!(called, taken);
        let raw = || TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
        let with = |tunnel: xtls_tokio::Tunnel, at: u8| {
            let handle = handles[usize::from(at)].clone();
            FileTunnel::new(tunnel.into_xml().unwrap(), handle, [at; 32], raw(), config.clone())
        };
        let (romeo, juliet) = (with(called.unwrap(), 0), with(taken.unwrap(), 1));
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let target = Target::open(&dir.path().join("in")).unwrap();
        let inbox = Inbox::new("romeo@montague.example".parse().unwrap(), target.into(), false);
        Self { romeo, juliet, inbox, dir, handles }
    }

    fn offer(&mut self, file: FileInfo) -> FileId {
        self.romeo.with_files(|files, now| files.offer(now, file)).unwrap()
    }

    /// Goes on until Juliet's end tells something. She takes everything; Romeo sends `content` from here to there.
    async fn told(&mut self, content: Content<'_>) -> Arrived {
        let mut sending: Vec<(FileId, Vec<u8>)> = Vec::new();
        loop {
            let Self { romeo, juliet, inbox, .. } = self;
            let arrived = tokio::select! {
                turn = romeo.next() => {
                    if let Some(Ok(FileTurn::File(event))) = turn {
                        be_asked(*event, romeo, content, &mut sending);
                    }
                    None
                }
                turn = juliet.next() => match turn {
                    Some(Ok(FileTurn::File(event))) => inbox.handle(&event, juliet),
                    _ => None,
                },
                stored = poll_fn(|cx| inbox.poll_next(cx)) => inbox.stored(stored, juliet),
                () = tokio::time::sleep(Duration::from_secs(60)) => panic!("nothing happens"),
            };
            match arrived {
                Some(Arrived::Ask { id, .. }) => self.inbox.take(id),
                Some(Arrived::Begun { .. }) | None => {}
                Some(arrived) => return arrived,
            }
        }
    }

    /// Romeo, who is honest for once, sends this file. What Juliet is told until she has it, who takes everything.
    async fn sends(&mut self, path: &Path) -> Vec<Arrived> {
        let (goods, _) = gather(&[path.to_owned()], false, &mut |_, _| ControlFlow::Continue(())).unwrap();
        let mut outbox = Outbox::new(goods, None).unwrap();
        assert!(outbox.offer(&mut self.romeo).is_none());
        let (mut told, mut sent) = (Vec::new(), None);
        while !matches!(told.last(), Some(Arrived::Done { .. })) || sent.is_none() {
            let Self { romeo, juliet, inbox, handles, .. } = self;
            let now = Instant::now();
            let (arrived, end) = tokio::select! {
                turn = romeo.next() => match turn {
                    Some(Ok(FileTurn::File(event))) => (None, outbox.handle(&event, romeo, now)),
                    _ => (None, None),
                },
                turn = juliet.next() => match turn {
                    Some(Ok(FileTurn::File(event))) => (inbox.handle(&event, juliet), None),
                    _ => (None, None),
                },
                fetched = poll_fn(|cx| outbox.poll_next(cx)) => (None, outbox.take(fetched, romeo, now)),
                stored = poll_fn(|cx| inbox.poll_next(cx)) => (inbox.stored(stored, juliet), None),
                incoming = handles[1].incoming() => {
                    juliet.accept(incoming.unwrap());
                    (None, None)
                }
                () = tokio::time::sleep(Duration::from_secs(60)) => panic!("nothing happens: {told:?}"),
            };
            sent = end.filter(|end| !matches!(end, Sent::Begun { .. })).or(sent);
            if let Some(Arrived::Ask { id, .. }) = arrived {
                self.inbox.take(id);
            }
            told.extend(arrived);
        }
        assert!(matches!(sent, Some(Sent::Done)), "{sent:?}");
        told
    }

    /// What lies in the directory, and beside it.
    fn there(&self) -> Vec<String> {
        let beside: Vec<_> = fs::read_dir(self.dir.path()).unwrap().collect();
        assert_eq!(beside.len(), 1, "something was written beside the directory: {beside:?}");
        let names = fs::read_dir(self.dir.path().join("in")).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn be_asked(event: FileEvent, romeo: &mut FileTunnel, content: Content<'_>, sending: &mut Vec<(FileId, Vec<u8>)>) {
    match event {
        FileEvent::Accepted { id, range, .. } => {
            sending.push((id, content(range.offset, range.length.unwrap_or(u64::MAX))));
        }
        FileEvent::Requested { id, wanted, .. } => {
            let mut offered = FileInfo::new("x", 1 << 30).with_manifest(ManifestInfo::new(1, 1 << 30));
            offered.hash = wanted.file.hash;
            let served = romeo.with_files(|files, now| files.serve(now, id, offered, FileHasher::default()));
            served.unwrap();
            sending.push((id, content(wanted.range.offset, wanted.range.length.unwrap_or(u64::MAX))));
        }
        _ => {}
    }
    for (id, bytes) in sending {
        let taken = romeo.with_files(|files, now| files.write(now, *id, bytes)).unwrap_or_default();
        bytes.drain(..taken);
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn sha256(bytes: &[u8]) -> FileHash {
    FileHash::of(FileHashAlgo::Sha256, bytes)
}

fn part(bytes: &[u8], offset: u64, length: u64) -> Vec<u8> {
    let start = usize::try_from(offset).unwrap();
    let end = usize::try_from(length).map_or(bytes.len(), |length| (start + length).min(bytes.len()));
    bytes[start..end].to_vec()
}

fn failed(arrived: Arrived) -> (Gist, Why) {
    match arrived {
        Arrived::Failed { what, why, .. } => (what, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_with_another_hash_than_was_said_is_not_given_its_name_and_nothing_of_it_is_used_again() {
    run(async {
        let mut world = World::new().await;
        let info = FileInfo::new("letter", 5).with_hash(sha256(b"other"));
        world.offer(info.clone());
        let (_, why) = failed(world.told(&|offset, length| part(b"words", offset, length)).await);
        assert!(matches!(why, Why::Ended { end: FileEnd::HashDiffers, by_peer: false }), "{why:?}");
        assert!(world.there().iter().all(|name| name.starts_with("letter.xtls-part")), "{:?}", world.there());
        // From the first byte on: what is asked for is all of it.
        world.offer(info);
        let whole =
            world.told(&|offset, length| if offset == 0 { part(b"other", 0, length) } else { Vec::new() }).await;
        assert!(matches!(whole, Arrived::Done { .. }), "{whole:?}");
        assert_eq!(world.there(), ["letter"]);
    });
}

#[test]
fn names_that_lead_somewhere_else_are_refused_by_the_rule_that_they_break() {
    run(async {
        let mut world = World::new().await;
        for name in ["/etc/passwd", "..", "a/b", "a\\b", "CON", "x:y", "\u{202e}fdp.exe", "a\nb", "x.xtls-part"] {
            world.offer(FileInfo::new(name, 5));
            let (what, why) = failed(world.told(&|_, _| b"words".to_vec()).await);
            assert_eq!(what.name, name);
            assert!(matches!(&why, Why::Offer(words) if words.starts_with("its name is not taken")), "{name}: {why:?}");
            assert!(world.there().is_empty(), "{name}: {:?}", world.there());
        }
    });
}

#[test]
fn a_list_of_files_that_lead_elsewhere_or_are_too_many_is_refused_and_nothing_is_written() {
    let list = |entries: &str| format!("<manifest xmlns='urn:xtls:files:0'>{entries}</manifest>");
    let hash = sha256(b"").base64();
    let entry = |path: &str| format!("<file path='{path}' size='0' sha-256='{hash}'/>");
    let many: String = (0..100_001).map(|number| format!("<directory path='{number}'/>")).collect();
    let lists = [
        list(&entry("../up")),
        list(&entry("/etc/passwd")),
        list(&(entry("a") + &entry("a/b"))),
        list(&(entry("a") + &entry("A"))),
        list(&entry("a").replace("size='0'", "size='18446744073709551615'").repeat(2).replacen("'a'", "'b'", 1)),
        list(&many),
        "words".to_owned(),
        list(&entry("a"))[..50].to_owned(),
    ];
    run(async {
        let mut world = World::new().await;
        for list in lists {
            let bytes = list.as_bytes();
            let info = FileInfo::new("photos", bytes.len().try_into().unwrap())
                .with_hash(sha256(bytes))
                .with_media_type(MEDIA_TYPE)
                .with_manifest(ManifestInfo::new(1, 0));
            world.offer(info);
            let (_, why) = failed(world.told(&|offset, length| part(bytes, offset, length)).await);
            let shown = list.get(..80).unwrap_or(&list);
            assert!(matches!(&why, Why::Offer(words) if words.contains("its list of files")), "{shown}: {why:?}");
            assert!(world.there().is_empty(), "{shown}: {:?}", world.there());
        }
        // Ten million entries are not even looked at.
        let size = 10_000_000 * 60;
        let info = FileInfo::new("photos", size).with_hash(sha256(b"")).with_manifest(ManifestInfo::new(10_000_000, 0));
        world.offer(info);
        let (_, why) = failed(world.told(&|_, _| panic!("nobody wants it")).await);
        assert!(matches!(&why, Why::Offer(words) if words.contains("are taken")), "{why:?}");
    });
}

/// A list of one file, and what it is offered as.
fn listed(path: &str, size: u64, hash: FileHash) -> (Manifest, String, FileInfo) {
    let mut builder = ManifestBuilder::new(ManifestLimits::default());
    builder.push(ManifestEntry::file(path.parse().unwrap(), size, hash)).unwrap();
    let (manifest, document) = builder.finish();
    let info = FileInfo::new("photos", document.len().try_into().unwrap())
        .with_hash(sha256(document.as_bytes()))
        .with_manifest(ManifestInfo::new(1, size));
    (manifest, document, info)
}

#[test]
fn several_files_of_which_one_always_comes_wrong_are_asked_for_a_few_times_and_given_up() {
    run(async {
        let mut world = World::new().await;
        let (_, document, info) = listed("a/b", 5, sha256(b"other"));
        world.offer(info);
        // The list is right, and the file is not.
        let content = |offset: u64, length: u64| {
            let bytes = if length == 5 { b"words".to_vec() } else { document.clone().into_bytes() };
            part(&bytes, offset, length)
        };
        let mut wrong = 0;
        let why = loop {
            match world.told(&content).await {
                Arrived::Wrong { path } => {
                    assert_eq!(path, "a/b");
                    wrong += 1;
                }
                other => break failed(other).1,
            }
        };
        assert!(matches!(why, Why::Ended { end: FileEnd::HashDiffers, by_peer: false }), "{why:?}");
        assert_eq!(wrong, 2);
        assert!(world.there().iter().all(|name| name.starts_with("photos.xtls-part")), "{:?}", world.there());
    });
}

#[test]
fn what_is_offered_while_something_runs_is_asked_about_and_there_is_a_bound() {
    run(async {
        let mut world = World::new().await;
        for number in 0..9 {
            world.offer(FileInfo::new(&format!("{number}"), 5));
        }
        let mut asked = 0;
        let mut sending = Vec::new();
        let busy = loop {
            let World { romeo, juliet, inbox, .. } = &mut world;
            let arrived = tokio::select! {
                turn = romeo.next() => {
                    if let Some(Ok(FileTurn::File(event))) = turn {
                        be_asked(*event, romeo, &|_, _| panic!("nobody has taken anything"), &mut sending);
                    }
                    None
                }
                turn = juliet.next() => match turn {
                    Some(Ok(FileTurn::File(event))) => inbox.handle(&event, juliet),
                    _ => None,
                },
            };
            match arrived {
                Some(Arrived::Ask { .. }) => asked += 1,
                Some(other) => break failed(other).1,
                None => {}
            }
        };
        assert_eq!(asked, 8);
        assert!(matches!(&busy, Why::Offer(words) if words.contains("on their way")), "{busy:?}");
        assert!(world.there().is_empty());
    });
}

#[test]
fn where_no_tunnel_can_be_had_a_file_goes_in_band_and_is_asked_about_once() {
    run(async {
        // The only place is taken by the stanzas: Romeo learns that it fails when he tries.
        let mut world = World::with_tunnels(0).await;
        let from = tempfile::tempdir().unwrap();
        let path = from.path().join("letter");
        fs::write(&path, "words").unwrap();
        let told = world.sends(&path).await;
        assert!(matches!(&told[..2], [Arrived::Ask { .. }, Arrived::Begun { .. }]), "{told:?}");
        assert!(told.iter().any(|told| matches!(told, Arrived::Detour { .. })), "{told:?}");
        assert_eq!(told.iter().filter(|told| matches!(told, Arrived::Ask { .. })).count(), 1, "{told:?}");
        assert_eq!(fs::read(world.dir.path().join("in/letter")).unwrap(), b"words");

        // Juliet has learnt it, and Romeo has not.
        let mut world = World::with_tunnels(1).await;
        world.sends(&path).await;
        world.juliet.with_files(|files, _| files.use_tunnels(false));
        let told = world.sends(&path).await;
        assert!(matches!(&told[..], [Arrived::Ask { .. }, Arrived::Begun { .. }, Arrived::Done { .. }]), "{told:?}");
        assert_eq!(world.there(), ["letter", "letter (1)"]);
    });
}

#[test]
fn a_link_that_stands_where_a_file_is_to_come_leads_nowhere() {
    run(async {
        let mut world = World::new().await;
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let place = |world: &World, name: &str| -> std::path::PathBuf { world.dir.path().join("in").join(name) };
        link(&victim, &place(&world, "letter.xtls-part"));
        link(&victim, &place(&world, "letter"));
        world.offer(FileInfo::new("letter", 5).with_hash(sha256(b"words")));
        match world.told(&|offset, length| part(b"words", offset, length)).await {
            Arrived::Done { path, .. } => assert_eq!(fs::read(path).unwrap(), b"words"),
            Arrived::Failed { why: Why::Disk(_), .. } => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
    });
}

#[cfg(unix)]
fn link(to: &Path, from: &Path) {
    std::os::unix::fs::symlink(to, from).unwrap();
}
