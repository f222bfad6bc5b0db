//! Choices out of the bytes of an input.

/// What is left of an input. Once it is used up, every choice is the first one.
#[derive(Debug, Clone)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = if bound <= 256 { u16::from(self.byte()) } else { self.number() };
        usize::from(number) % bound
    }

    /// The next bytes, as many as there are of so many.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Everything up to the next line feed, which is dropped.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let line = self.take(end);
        self.byte();
        line
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Cuts bytes into pieces of which no more is the same than their order: by lengths that come from `pattern`, all in one
/// if that is 0.
pub(crate) fn pieces(bytes: &[u8], pattern: u8) -> Vec<&[u8]> {
    if pattern == 0 {
        return vec![bytes];
    }
    let mut pieces = Vec::new();
    let (mut rest, mut state) = (bytes, u32::from(pattern));
    while !rest.is_empty() {
        // A linear congruential generator: any sequence will do, as long as it is the same each time.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let long = if pattern & 1 == 0 { 7 } else { 67 };
        let length = usize::try_from(state >> 16).unwrap_or(0) % long;
        let (piece, left) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}
