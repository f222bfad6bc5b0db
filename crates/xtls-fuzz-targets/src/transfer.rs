//! A peer that says anything about files, beside an application that takes, serves, offers and asks for whatever comes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use xtls_files::{
    FileEnd, FileEvent, FileHash, FileHasher, FileId, FileInfo, FileRange, FileRequest, Files, FilesConfig,
};
use xtls_stanza::{Element, Iq, IqType, Limits, jid::FullJid};

use crate::input::Input;

/// No wait is longer.
const LONG: Duration = Duration::from_secs(10_000);

/// What is sent from here, whatever is asked for.
const FILE: &[u8] = b"It is the east, and Juliet is the sun.";

/// The first byte says what both know. Then come lines: the payload of an IQ of type set, or what its first character says besides.
pub fn run(data: &[u8]) {
    play(data);
}

/// How the sessions ended.
fn play(data: &[u8]) -> Vec<FileEnd> {
    let mut input = Input::new(data);
    let options = input.byte();
    let mut scene = Scene::new(options);
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(input.line()).into_owned();
        scene.line(&line);
        scene.settle();
    }
    scene.finish()
}

struct Scene {
    files: Files,
    now: Instant,
    count: u32,
    /// What is here of a file before it comes.
    has: usize,
    /// What came in each session, with what was there; how many bytes it may be, and how far the file that goes out is written.
    got: BTreeMap<FileId, Got>,
    ended: Vec<(FileId, FileEnd)>,
    /// Everything that the peer said.
    heard: String,
    ids: Vec<FileId>,
    reads: bool,
}

#[derive(Default)]
struct Got {
    bytes: Vec<u8>,
    there: usize,
    most: Option<u64>,
    /// From the first byte of the file to the last.
    is_whole: bool,
    written: usize,
}

impl Scene {
    fn new(options: u8) -> Self {
        let mut config = FilesConfig::default();
        config.tunnels = options & 1 != 0;
        config.buffer_bytes = if options & 2 == 0 { 256 * 1024 } else { 10 };
        config.window = u16::from(options >> 4);
        config.block_size = if options & 4 == 0 { 4096 } else { 64 };
        let jid = |address| FullJid::new(address).expect("an address");
        let files = Files::new(jid("juliet@capulet.lit/balcony"), jid("romeo@montague.lit/orchard"), [7; 32], config);
        Self {
            files,
            now: start(),
            count: 0,
            has: if options & 8 == 0 { 0 } else { 3 },
            got: BTreeMap::new(),
            ended: Vec::new(),
            heard: String::new(),
            ids: Vec::new(),
            reads: true,
        }
    }

    fn line(&mut self, line: &str) {
        let number = || line.get(1..).and_then(|rest| rest.trim().parse::<u32>().ok()).unwrap_or_default();
        let newest = || self.ids.iter().rev().nth(small(number()) % 4).copied();
        let now = self.now;
        match line.as_bytes().first() {
            Some(b'<') => self.hear(line),
            // Time, in seconds.
            Some(b't') => {
                self.now += Duration::from_secs(u64::from(number().min(1_000_000)));
                self.files.handle_timeout(self.now);
            }
            Some(b'o') => {
                let file = FileInfo::new("f", wide(FILE.len()));
                let file = if number() == 0 { file } else { file.with_hash(hash(FILE)) };
                self.ids.extend(self.files.offer(now, file));
            }
            Some(b'r') => {
                let offset = u64::from(number());
                let has = hasher(&FILE[..self.has.min(small(number()))]);
                let wanted = FileRequest::by_name("f").with_range(FileRange::from(offset));
                self.ids.extend(self.files.request(now, wanted, has));
            }
            // The application reads, or does not.
            Some(b'R') => self.reads = number() == 0,
            Some(b'e') => drop(newest().map(|id| self.files.end(now, id, FileEnd::Cancelled))),
            Some(b'O') => drop(newest().map(|id| self.files.tunnel_opened(now, id))),
            Some(b'F') => drop(newest().map(|id| self.files.tunnel_failed(now, id))),
            Some(b'E') => drop(newest().map(|id| self.files.tunnel_finished(now, id))),
            Some(b'B') => {
                if let Some(id) = self.ids.last().copied() {
                    let bytes = &line.as_bytes()[1..];
                    let room = self.files.tunnel_room(id);
                    let _ = self.files.handle_tunnel_bytes(now, id, &bytes[..room.min(bytes.len())]);
                }
            }
            Some(b'G') => self.files.handle_closed(now),
            // The peer answers.
            Some(b'=') => self.answer(&line[1..]),
            Some(_) | None => {}
        }
    }

    /// The payload of a request; each is answered once, if it is for files at all and is not data that waits to be read.
    fn hear(&mut self, payload: &str) {
        self.count += 1;
        let xml = format!("<iq type='set' id='n{}'>{payload}</iq>", self.count);
        let Ok(stanza) = Element::parse(&xml, &Limits::default()) else { return };
        self.heard.push_str(payload);
        let before = self.files.poll_event();
        assert!(before.is_none(), "{before:?}");
        if !self.files.handle_stanza(self.now, &stanza) {
            assert!(self.files.poll_event().is_none() && self.files.poll_stanza(self.now).is_none());
        }
    }

    /// An answer to whatever has this id; those of Juliet are the same each time.
    fn answer(&mut self, line: &str) {
        let (id, said) = line.split_once(' ').unwrap_or((line, ""));
        let is_result = said.is_empty() || said.starts_with("<query");
        let kind = if is_result { "result" } else { "error" };
        let body = if is_result { said.to_owned() } else { format!("<error type='cancel'>{said}</error>") };
        let mut escaped = String::new();
        xtls_stanza::write::text_in_attribute(&mut escaped, id);
        let xml = format!("<iq type='{kind}' id='{escaped}'>{body}</iq>");
        if let Ok(stanza) = Element::parse(&xml, &Limits::default()) {
            self.files.handle_stanza(self.now, &stanza);
        }
    }

    /// The application does what is due, and what is said is sound.
    fn settle(&mut self) {
        let mut answers = 0;
        loop {
            if self.reads {
                for id in self.ids.clone() {
                    self.read(id);
                }
            }
            let mut is_still = true;
            while let Some(event) = self.files.poll_event() {
                self.event(event);
                is_still = false;
            }
            while let Some(stanza) = self.files.poll_stanza(self.now) {
                let iq = Iq::parse(&stanza).expect("an IQ").expect("a sound one");
                answers += usize::from(matches!(iq.iq_type, IqType::Result | IqType::Error));
                assert!(answers <= 64, "more answers than were asked for");
                is_still = false;
            }
            if is_still {
                return;
            }
        }
    }

    fn event(&mut self, event: FileEvent) {
        match event {
            FileEvent::Offered { id, file, range } => {
                self.ids.push(id);
                let has = if file.ranged && range.offset == 0 { self.has } else { 0 };
                let mut start = FileHasher::new(file.algo());
                start.update(&FILE[..has]);
                if self.files.accept(self.now, id, start).is_ok() {
                    let end = range.length.map(|length| range.offset + length);
                    let is_whole = range.offset == 0 && end.is_none_or(|end| Some(end) == file.size);
                    let most = end.or(file.size).map(|end| end - range.offset);
                    let bytes = FILE[..has].to_vec();
                    self.got.insert(id, Got { bytes, there: has, most, is_whole, ..Got::default() });
                }
            }
            FileEvent::Requested { id, wanted, check } => {
                self.ids.push(id);
                let info = FileInfo::new("f", wide(FILE.len()));
                let start = self.hashed(check, wanted.file.algo());
                let served = start.map(|start| self.files.serve(self.now, id, info, start));
                if !matches!(served, Some(Ok(()))) {
                    let _ = self.files.end(self.now, id, FileEnd::NotAvailable);
                }
                let written = usize::try_from(wanted.range.offset).unwrap_or(usize::MAX);
                self.got.insert(id, Got { written, ..Got::default() });
                self.write(id);
            }
            FileEvent::Accepted { id, range, check } => {
                let start = self.hashed(check, xtls_files::FileHashAlgo::Sha256);
                if let Some(start) = start.filter(|_| check.is_some()) {
                    let _ = self.files.start(self.now, id, start);
                }
                self.got
                    .insert(id, Got { written: usize::try_from(range.offset).unwrap_or(usize::MAX), ..Got::default() });
                self.write(id);
            }
            FileEvent::Writable { id } => self.write(id),
            FileEvent::Checked { id, compared } => {
                let got = &self.got[&id];
                if compared && got.is_whole {
                    let hashes = [FileHash::of(xtls_files::FileHashAlgo::Sha256, &got.bytes), {
                        FileHash::of(xtls_files::FileHashAlgo::Sha512, &got.bytes)
                    }];
                    assert!(hashes.iter().any(|hash| self.heard.contains(&hash.base64())), "a hash that nobody told");
                }
                let _ = self.files.stored(self.now, id);
            }
            FileEvent::Ended { id, end, .. } => {
                assert!(!self.has_ended(id), "it ends twice");
                self.ended.push((id, end));
                assert_eq!(self.files.progress(id), None);
            }
            FileEvent::Granted { id, file } => {
                self.got.insert(id, Got { most: file.size, ..Got::default() });
            }
            _ => {}
        }
    }

    fn has_ended(&self, id: FileId) -> bool {
        self.ended.iter().any(|(ended, _)| *ended == id)
    }

    fn hashed(&self, part: Option<FileRange>, algo: xtls_files::FileHashAlgo) -> Option<FileHasher> {
        let mut hasher = FileHasher::new(algo);
        if let Some(part) = part {
            let from = usize::try_from(part.offset).ok()?;
            let to = from.checked_add(usize::try_from(part.length?).ok()?)?;
            hasher.update(FILE.get(from..to)?);
        }
        Some(hasher)
    }

    fn write(&mut self, id: FileId) {
        let Some(got) = self.got.get_mut(&id) else { return };
        if let Ok(taken) = self.files.write(self.now, id, FILE.get(got.written..).unwrap_or_default()) {
            got.written += taken;
        }
    }

    fn read(&mut self, id: FileId) {
        let Some(got) = self.got.get_mut(&id) else { return };
        self.files.read(self.now, id, &mut got.bytes);
        let came = wide(got.bytes.len() - got.there);
        assert!(got.most.is_none_or(|most| came <= most), "more bytes than the file has");
    }

    /// Time passes: what waits for the peer ends, and when the application ends the rest, nothing is left.
    fn finish(mut self) -> Vec<FileEnd> {
        for _ in 0..8 {
            self.now += LONG;
            self.files.handle_timeout(self.now);
            self.settle();
        }
        for id in self.ids.clone() {
            let _ = self.files.end(self.now, id, FileEnd::Cancelled);
        }
        self.settle();
        for id in &self.ids {
            assert!(self.has_ended(*id), "{id} never ends");
        }
        assert_eq!(self.files.poll_timeout(), None);
        self.ended.into_iter().map(|(_, end)| end).collect()
    }
}

fn small(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[allow(clippy::disallowed_methods, reason = "a moment to count from")]
fn start() -> Instant {
    Instant::now()
}

fn hash(bytes: &[u8]) -> FileHash {
    hasher(bytes).finish()
}

fn hasher(bytes: &[u8]) -> FileHasher {
    let mut hasher = FileHasher::default();
    hasher.update(bytes);
    hasher
}

/// The inputs that were written by hand come to what they are about.
#[test]
fn a_corpus_reaches_files_that_come_and_files_that_do_not() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/transfer");
    let mut ends = BTreeMap::new();
    for entry in std::fs::read_dir(corpus).expect("a corpus") {
        let data = std::fs::read(entry.expect("an entry").path()).expect("an input");
        for end in play(&data) {
            *ends.entry(format!("{end:?}")).or_insert(0) += 1;
        }
    }
    for end in
        ["Success", "HashDiffers", "RangeDiffers", "TooLarge", "TransportFailed", "UnsupportedTransport", "Timeout"]
    {
        assert!(ends.contains_key(end), "{end}: {ends:?}");
    }
    assert!(ends["Success"] >= 10, "{ends:?}");
}
