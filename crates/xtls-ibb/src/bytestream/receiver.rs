//! The direction from the peer: seq, and blocks with nothing in them.

use crate::{BytestreamConfig, BytestreamFault};

/// What is known about the blocks of the peer.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Blocks processed so far; their number modulo 65536 is the seq that is due (XEP-0047 § 2.2: the seq starts at 0
    /// and starts again at 0 after 65535).
    blocks: u64,
    /// Empty blocks since the last one that was not.
    empty: u16,
}

impl Receiver {
    /// Processes one block, whose size `decode` tells once it is known to be the one that is due.
    pub(super) fn block(
        &mut self,
        seq: u16,
        config: &BytestreamConfig,
        decode: impl FnOnce() -> Result<usize, BytestreamFault>,
    ) -> Result<usize, BytestreamFault> {
        self.check_seq(seq)?;
        let size = decode()?;
        if size > 0 {
            self.empty = 0;
        } else if self.empty >= config.empty_blocks_max {
            return Err(BytestreamFault::EmptyBlocks);
        } else {
            self.empty += 1;
        }
        self.blocks += 1;
        Ok(size)
    }

    /// XEP-0047 § 2.2: the data of an out-of-sequence packet MUST NOT be processed.
    fn check_seq(&self, seq: u16) -> Result<(), BytestreamFault> {
        let expected = u16::try_from(self.blocks & 0xFFFF).unwrap_or_default();
        // With a counter that wraps, what lies less than half a turn back was used, if there were so many blocks.
        let back = expected.wrapping_sub(seq);
        match back {
            0 => Ok(()),
            1..=0x7FFF if u64::from(back) <= self.blocks => Err(BytestreamFault::SeqUsed { seq, expected }),
            _ => Err(BytestreamFault::SeqAhead { seq, expected }),
        }
    }
}
