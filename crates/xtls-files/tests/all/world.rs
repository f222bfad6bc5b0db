//! Two ends, and an application at each that keeps files in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use xtls_files::{
    FileEnd, FileEvent, FileHash, FileHashAlgo, FileHasher, FileId, FileInfo, FileRange, Files, FilesConfig,
};
use xtls_stanza::{Element, jid::FullJid};

pub(crate) const ROMEO: &str = "romeo@montague.lit/orchard";
pub(crate) const JULIET: &str = "juliet@capulet.lit/balcony";

/// One end and its application.
pub(crate) struct End {
    pub(crate) files: Files,
    pub(crate) now: Instant,
    /// The file that is sent from here, whatever is asked for.
    pub(crate) file: Vec<u8>,
    /// What was written in each session.
    sent: BTreeMap<FileId, usize>,
    /// What is here of a file before it is received.
    pub(crate) has: Vec<u8>,
    /// What came in each session, with what was there before.
    pub(crate) got: BTreeMap<FileId, Vec<u8>>,
    /// Everything that happened.
    pub(crate) events: Vec<FileEvent>,
    /// Everything that was said.
    pub(crate) said: Vec<String>,
    /// What it has to send and has not sent.
    pub(crate) wire: VecDeque<Element>,
    pub(crate) takes: bool,
}

pub(crate) fn hash(bytes: &[u8]) -> FileHash {
    FileHash::of(FileHashAlgo::Sha256, bytes)
}

pub(crate) fn hasher(bytes: &[u8]) -> FileHasher {
    let mut hasher = FileHasher::default();
    hasher.update(bytes);
    hasher
}

/// Bytes that are not all the same.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251) as u8).collect()
}

impl End {
    pub(crate) fn new(own: &str, peer: &str, config: FilesConfig) -> Self {
        let seed = [own.as_bytes()[0]; 32];
        let files = Files::new(FullJid::new(own).unwrap(), FullJid::new(peer).unwrap(), seed, config);
        Self {
            files,
            now: Instant::now(),
            file: Vec::new(),
            sent: BTreeMap::new(),
            has: Vec::new(),
            got: BTreeMap::new(),
            events: Vec::new(),
            said: Vec::new(),
            wire: VecDeque::new(),
            takes: true,
        }
    }

    /// Its application does what is due.
    pub(crate) fn act(&mut self) {
        while let Some(event) = self.files.poll_event() {
            self.events.push(event.clone());
            match event {
                FileEvent::Offered { id, file, .. } if self.takes => {
                    let mut has = FileHasher::new(file.algo());
                    has.update(&self.has);
                    self.got.insert(id, self.has.clone());
                    self.files.accept(self.now, id, has).unwrap();
                }
                FileEvent::Requested { id, check, wanted } if self.takes => {
                    let name = wanted.file.name.as_deref().unwrap_or("f");
                    let info = FileInfo::new(name, self.file.len() as u64);
                    let start = self.hashed(check);
                    self.files.serve(self.now, id, info, start).unwrap();
                    self.sent.insert(id, wanted.range.offset as usize);
                    self.write(id);
                }
                FileEvent::Accepted { id, range, check } => {
                    self.sent.insert(id, range.offset as usize);
                    if check.is_some() {
                        let start = self.hashed(check);
                        self.files.start(self.now, id, start).unwrap();
                    }
                    self.write(id);
                }
                FileEvent::Granted { id, .. } => {
                    self.got.insert(id, self.has.clone());
                }
                FileEvent::Writable { id } => self.write(id),
                FileEvent::Readable { id } => {
                    self.files.read(self.now, id, self.got.entry(id).or_default());
                }
                FileEvent::Checked { id, .. } => self.files.stored(self.now, id).unwrap(),
                _ => {}
            }
        }
    }

    fn hashed(&self, part: Option<FileRange>) -> FileHasher {
        part.map_or_else(FileHasher::default, |part| {
            let (from, length) = (part.offset as usize, part.length.unwrap() as usize);
            hasher(&self.file[from..from + length])
        })
    }

    pub(crate) fn write(&mut self, id: FileId) {
        let at = self.sent[&id];
        if let Ok(taken) = self.files.write(self.now, id, &self.file[at..]) {
            self.sent.insert(id, at + taken);
        }
    }

    /// Takes out what it has to say.
    pub(crate) fn say(&mut self) {
        while let Some(stanza) = self.files.poll_stanza(self.now) {
            self.said.push(stanza.to_xml("jabber:client"));
            self.wire.push_back(stanza);
        }
    }

    pub(crate) fn hear(&mut self, stanza: &Element) -> bool {
        self.files.handle_stanza(self.now, stanza)
    }

    pub(crate) fn end(&self) -> Option<(FileEnd, bool)> {
        self.ends().first().copied()
    }

    pub(crate) fn ends(&self) -> Vec<(FileEnd, bool)> {
        let ends = self.events.iter().filter_map(|event| match event {
            FileEvent::Ended { end, by_peer, .. } => Some((*end, *by_peer)),
            _ => None,
        });
        ends.collect()
    }
}

/// Romeo, who sends as a rule, and Juliet.
pub(crate) fn two(config: FilesConfig) -> (End, End) {
    (End::new(ROMEO, JULIET, config.clone()), End::new(JULIET, ROMEO, config))
}

/// Everything goes to and fro until nothing happens any more.
pub(crate) fn run(a: &mut End, b: &mut End) {
    loop {
        a.act();
        b.act();
        a.say();
        b.say();
        if a.wire.is_empty() && b.wire.is_empty() {
            return;
        }
        while let Some(stanza) = a.wire.pop_front() {
            assert!(b.hear(&stanza), "not for files: {}", stanza.to_xml("jabber:client"));
        }
        while let Some(stanza) = b.wire.pop_front() {
            assert!(a.hear(&stanza), "not for files: {}", stanza.to_xml("jabber:client"));
        }
    }
}
