//! What is hashed, what the peer says the hash is, and whether the two agree.

use crate::{FileEnd, FileHash, FileHasher, FileInfo, FileRange, element::FileElement};

/// The hashes of one session, at either end.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// The part that the receiver has and that is to be checked.
    pub(super) wanted: Option<FileRange>,
    /// Whether the peer knows how to do that.
    pub(super) peer_checks: bool,
    /// The receiver: what it has, as far as it was not said yet that it is right.
    unchecked: Option<FileHash>,
    /// The hash of the part that is there already, to go on from.
    start: Option<FileHasher>,
    /// All from the first byte of the file on, if it is to be hashed up to the last.
    whole: Option<FileHasher>,
    /// What is transferred in this session.
    part: Option<FileHasher>,
    /// What the sender says about the part.
    told_part: Option<FileHash>,
}

impl Check {
    /// The receiver has this before what it wants, which begins at `offset`.
    pub(super) fn has(&mut self, has: FileHasher, offset: u64) {
        if has.bytes() > 0 {
            self.wanted = Some(FileRange::new(offset.saturating_sub(has.bytes()), has.bytes()));
            self.unchecked = Some(has.finish());
        }
        self.start = Some(has);
    }

    /// The sender has hashed this before it begins.
    pub(super) fn begins_after(&mut self, start: FileHasher) {
        self.start = Some(start);
    }

    /// How many bytes the sender has to have hashed before it begins.
    pub(super) fn wanted_bytes(&self) -> u64 {
        self.wanted.and_then(|wanted| wanted.length).unwrap_or_default()
    }

    /// The receiver begins: whether what it has is still to be compared depends on what the sender knows.
    pub(super) fn begin_receiving(&mut self, file: &FileInfo, range: FileRange, contents: bool) {
        let start = self.take_start(file);
        if !self.peer_checks {
            self.unchecked = None;
        }
        self.begin(start, file, range, contents);
    }

    /// The sender begins. What it says about the part that the receiver has, if it wants to know.
    pub(super) fn begin_sending(
        &mut self,
        file: &FileInfo,
        range: FileRange,
        contents: bool,
    ) -> Option<(FileRange, FileHash)> {
        let start = self.take_start(file);
        let told = self.wanted.filter(|_| self.peer_checks).map(|wanted| (wanted, start.finish()));
        let algo = start.algo();
        self.begin(start, file, range, contents);
        // Who does not say what it has already may compare the one or the other (§ 8.2).
        if told.is_none() && range.offset != 0 && self.part.is_none() {
            self.part = Some(FileHasher::new(algo));
        }
        told
    }

    fn take_start(&mut self, file: &FileInfo) -> FileHasher {
        self.start.take().unwrap_or_else(|| FileHasher::new(file.algo()))
    }

    fn begin(&mut self, start: FileHasher, file: &FileInfo, range: FileRange, contents: bool) {
        let algo = start.algo();
        let is_to_the_end = range.length.is_none() || range.end(file.size) == file.size;
        if start.bytes() == range.offset && is_to_the_end && !contents {
            self.whole = Some(start);
        } else {
            self.part = Some(FileHasher::new(algo));
        }
    }

    /// Bytes of the file, in order.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for hasher in [&mut self.whole, &mut self.part].into_iter().flatten() {
            hasher.update(bytes);
        }
    }

    /// The sender has sent all: what it says about it.
    pub(super) fn told(&self) -> (Option<FileHash>, Option<FileHash>) {
        (self.whole.as_ref().map(FileHasher::finish), self.part.as_ref().map(FileHasher::finish))
    }

    /// Whether what the receiver has is still to be compared.
    pub(super) fn is_unchecked(&self) -> bool {
        self.unchecked.is_some()
    }

    /// The sender tells hashes (§ 8.2). `range` is what is transferred.
    pub(super) fn hear(&mut self, said: &FileElement, file: &mut FileInfo, range: FileRange) -> Result<(), FileEnd> {
        let algo = file.algo();
        if let Some(hash) = said.hashes.value(algo) {
            if file.hash.is_some_and(|known| known != hash) {
                return Err(FileEnd::Protocol("two hashes of one file"));
            }
            file.hash = Some(hash);
        }
        let Some((about, hashes)) = &said.range else { return Ok(()) };
        let hash = hashes.value(algo);
        let is = |own: FileRange| {
            own.offset == about.offset && (about.length.is_none() || own.length.is_none() || own.length == about.length)
        };
        if self.wanted.is_some_and(|wanted| wanted == *about) {
            match (self.unchecked.take(), hash) {
                (Some(own), Some(hash)) if own != hash => return Err(FileEnd::RangeDiffers),
                (Some(_), None) => return Err(FileEnd::Protocol("a checksum without a hash")),
                _ => {}
            }
            return Ok(());
        }
        if !is(range) {
            return Err(FileEnd::Protocol("the checksum of a part that was not asked for"));
        }
        self.told_part = hash.or(self.told_part);
        Ok(())
    }

    /// All is here. `None`: a hash is still to come. Otherwise whether there was one to compare.
    pub(super) fn compare(&self, file: &FileInfo) -> Option<Result<bool, FileEnd>> {
        let compare = |own: FileHash, told: FileHash| if own == told { Ok(true) } else { Err(FileEnd::HashDiffers) };
        let is_promised = file.hash_algo.is_some();
        match (&self.whole, &self.part) {
            (Some(whole), _) if is_promised && whole.algo() == file.algo() => Some(compare(whole.finish(), file.hash?)),
            (None, Some(part)) if is_promised && part.algo() == file.algo() => match self.told_part {
                Some(told) => Some(compare(part.finish(), told)),
                // XEP-0234 § 8.2: the hash of a part MAY be told. Who knows more than that, tells it.
                None if self.peer_checks => None,
                None => Some(Ok(false)),
            },
            _ => Some(Ok(false)),
        }
    }
}
