//! Two ends, and an application at each that keeps files in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use xtls_files::{
    FileEnd, FileError, FileEvent, FileHash, FileHashAlgo, FileHasher, FileId, FileInfo, FileRange, Files, FilesConfig,
};
use xtls_stanza::{Element, jid::FullJid};

pub(crate) const ROMEO: &str = "romeo@montague.lit/orchard";
pub(crate) const JULIET: &str = "juliet@capulet.lit/balcony";

/// A tunnel as one end has it.
#[derive(Default)]
pub(crate) struct Tunnel {
    pub(crate) sid: String,
    pub(crate) is_open: bool,
    /// What it has for the other end.
    pub(crate) bytes: VecDeque<u8>,
    pub(crate) closes: bool,
    pub(crate) closed: bool,
}

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
    /// Whether what is checked is stored at once.
    pub(crate) stores: bool,
    /// The tunnels of sessions: which sid, whether it is open, and what is on its way to the other end.
    pub(crate) tunnels: BTreeMap<FileId, Tunnel>,
    /// The sessions that were ever told of.
    pub(crate) known: Vec<FileId>,
    /// The application does nothing at all.
    pub(crate) idle: bool,
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
            stores: true,
            idle: false,
            known: Vec::new(),
            tunnels: BTreeMap::new(),
        }
    }

    /// Its application does what is due.
    pub(crate) fn act(&mut self) {
        if self.idle {
            return;
        }
        while let Some(event) = self.files.poll_event() {
            self.events.push(event.clone());
            self.known.extend(of(&event));
            match event {
                FileEvent::Offered { id, file, .. } if self.takes => {
                    let mut has = FileHasher::new(file.algo());
                    has.update(&self.has);
                    self.got.insert(id, self.has.clone());
                    unless_over(self.files.accept(self.now, id, has));
                }
                FileEvent::Requested { id, check, wanted } if self.takes => {
                    let name = wanted.file.name.as_deref().unwrap_or("f");
                    let info = FileInfo::new(name, self.file.len() as u64);
                    let start = self.hashed(check);
                    unless_over(self.files.serve(self.now, id, info, start));
                    self.sent.insert(id, wanted.range.offset as usize);
                    self.write(id);
                }
                FileEvent::Accepted { id, range, check } => {
                    self.sent.insert(id, range.offset as usize);
                    if check.is_some() {
                        let start = self.hashed(check);
                        unless_over(self.files.start(self.now, id, start));
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
                FileEvent::Checked { id, .. } if self.stores => unless_over(self.files.stored(self.now, id)),
                FileEvent::OpenTunnel { id, sid } | FileEvent::ExpectTunnel { id, sid } => {
                    self.tunnels.insert(id, Tunnel { sid, ..Tunnel::default() });
                }
                FileEvent::CloseTunnel { id } => self.tunnels.get_mut(&id).unwrap().closes = true,
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
        if let Ok(taken) = self.files.write(self.now, id, self.file.get(at..).unwrap_or_default()) {
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

impl End {
    /// The sessions that its application knows of and that are not over.
    pub(crate) fn sessions(&self) -> Vec<FileId> {
        let ids = (1..=4).filter_map(|number| self.known.iter().copied().find(|id| id.number() == number));
        ids.filter(|id| self.files.progress(*id).is_some()).collect()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.files.handle_timeout(self.now);
    }
}

/// Romeo, who sends as a rule, and Juliet.
pub(crate) fn two(config: FilesConfig) -> (End, End) {
    (End::new(ROMEO, JULIET, config.clone()), End::new(JULIET, ROMEO, config))
}

/// What was told of a session that has ended meanwhile asks for nothing any more.
fn unless_over(result: Result<(), FileError>) {
    assert!(matches!(result, Ok(()) | Err(FileError::NoSession)), "{result:?}");
}

/// Which session it is about.
fn of(event: &FileEvent) -> Option<FileId> {
    match event {
        FileEvent::Offered { id, .. } | FileEvent::Requested { id, .. } => Some(*id),
        FileEvent::Accepted { id, .. } | FileEvent::Granted { id, .. } => Some(*id),
        _ => None,
    }
}

/// Everything goes to and fro until nothing happens any more.
pub(crate) fn run(a: &mut End, b: &mut End) {
    loop {
        a.act();
        b.act();
        a.say();
        b.say();
        let moved = join(a, b) | carry(a, b) | carry(b, a);
        if a.wire.is_empty() && b.wire.is_empty() && !moved {
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

/// Opens the tunnels that both know; whether there was one.
pub(crate) fn join(a: &mut End, b: &mut End) -> bool {
    let mut joined = false;
    for (id, tunnel) in &mut a.tunnels {
        let other = b.tunnels.iter_mut().find(|(_, other)| other.sid == tunnel.sid && !other.is_open);
        if let Some((other_id, other)) = other {
            (tunnel.is_open, other.is_open) = (true, true);
            // One that has ended meanwhile needs none.
            let _ = a.files.tunnel_opened(a.now, *id);
            let _ = b.files.tunnel_opened(b.now, *other_id);
            joined = true;
        }
    }
    joined
}

/// Carries the bytes of all tunnels from one to the other; whether there were any.
pub(crate) fn carry(from: &mut End, to: &mut End) -> bool {
    let mut moved = false;
    for (id, tunnel) in &mut from.tunnels {
        let mut bytes = Vec::new();
        from.files.poll_tunnel(from.now, *id, &mut bytes);
        tunnel.bytes.extend(bytes);
        let Some((to_id, _)) = to.tunnels.iter().find(|(_, other)| other.sid == tunnel.sid && other.is_open) else {
            continue;
        };
        let count = tunnel.bytes.len().min(to.files.tunnel_room(*to_id));
        if count > 0 {
            let bytes: Vec<u8> = tunnel.bytes.drain(..count).collect();
            to.files.handle_tunnel_bytes(to.now, *to_id, &bytes).unwrap();
            moved = true;
        } else if tunnel.bytes.is_empty() && tunnel.closes && !tunnel.closed {
            tunnel.closed = true;
            let _ = to.files.tunnel_finished(to.now, *to_id);
            moved = true;
        }
    }
    moved
}
