//! How large stanzas may be on the outer stream: what its server says, and what refusals have taught.

use std::collections::VecDeque;

/// How large stanzas may be, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// What the server takes, as it says (XEP-0478).
    announced: Option<u32>,
    /// What it takes, as it has ended a stream because of a stanza.
    learned: Option<u32>,
    /// What gets through to the peers of a domain, as errors have told; that which was told last stands last.
    refused: VecDeque<(String, u32)>,
    /// The largest stanza that the engine has sent since a server refused one.
    largest: u32,
}

impl Sizes {
    /// What the stanza around a block takes besides its addresses.
    const AROUND: usize = 512;
    /// No refusal makes stanzas smaller than this: who refuses these does so for another reason (RFC 6120 § 13.12).
    const LEAST: u32 = 2048;
    /// Domains of which it is remembered.
    const DOMAINS: usize = 32;

    /// What the server says of itself from now on.
    pub(crate) fn announce(&mut self, bytes: Option<u32>) {
        self.announced = bytes;
    }

    /// What the server takes, as far as is known.
    pub(crate) fn limit(&self) -> Option<u32> {
        self.announced.into_iter().chain(self.learned).min()
    }

    /// A stanza is on its way.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.largest = self.largest.max(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// The server has ended the stream because of a stanza. If it was not the largest one of ours, it was none of ours.
    pub(crate) fn too_large(&mut self) {
        let largest = core::mem::take(&mut self.largest);
        if largest > 0 {
            let half = (largest / 2).max(Self::LEAST);
            self.learned = Some(self.learned.map_or(half, |learned| learned.min(half)));
        }
    }

    /// A block of so many bytes, as a stanza, did not get through to a peer of this domain, for what may be its size.
    pub(crate) fn refuse(&mut self, domain: &str, bytes: u64) {
        let half = u32::try_from(bytes / 2).unwrap_or(u32::MAX).max(Self::LEAST);
        let known = self.refused.iter().position(|(name, _)| name == domain);
        let before = known.and_then(|at| self.refused.remove(at)).map_or(u32::MAX, |(_, bytes)| bytes);
        self.refused.push_back((domain.to_owned(), half.min(before)));
        if self.refused.len() > Self::DOMAINS {
            self.refused.pop_front();
        }
    }

    /// The largest block of at most `most` bytes that fits into a stanza to a peer of this domain, with addresses of so many bytes in it,
    /// but at least `least`.
    pub(crate) fn block(&self, domain: &str, addresses: usize, least: u16, most: u16) -> u16 {
        let of_domain = self.refused.iter().find(|(name, _)| name == domain).map(|(_, bytes)| *bytes);
        let Some(stanza) = self.limit().into_iter().chain(of_domain).min() else { return most };
        let base64 = usize::try_from(stanza).unwrap_or(usize::MAX).saturating_sub(Self::AROUND + addresses);
        let fits = u16::try_from(base64 / 4 * 3).unwrap_or(u16::MAX);
        if fits >= most { most } else { (fits & !3).max(least) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(sizes: &Sizes) -> u16 {
        sizes.block("montague.lit", 88, 64, 4096)
    }

    #[test]
    fn a_block_fits_into_what_the_server_announces_at_the_limit_and_one_past_it() {
        let mut sizes = Sizes::default();
        assert_eq!(block(&sizes), 4096, "nothing is known");
        // 4096 bytes are 5464 in base64, and 600 are left for the rest.
        sizes.announce(Some(6064));
        assert_eq!(block(&sizes), 4096);
        sizes.announce(Some(6063));
        assert_eq!(block(&sizes), 4092);
        for (announced, expected) in [(10_000, 4096), (1024, 316), (691, 64), (600, 64), (1, 64), (0, 64)] {
            sizes.announce(Some(announced));
            assert_eq!(block(&sizes), expected, "{announced}");
        }
        sizes.announce(Some(u32::MAX));
        assert_eq!(sizes.block("montague.lit", 88, 64, u16::MAX), u16::MAX);
        sizes.announce(None);
        assert_eq!(block(&sizes), 4096);
    }

    #[test]
    fn each_refusal_by_the_server_halves_stanzas_down_to_2048_bytes() {
        let mut sizes = Sizes::default();
        sizes.too_large();
        assert_eq!(sizes.limit(), None, "nothing of ours was sent");
        for expected in [43_800, 21_900, 10_950, 5475, 2737, 2048, 2048] {
            sizes.sent(sizes.limit().map_or(87_600, |limit| usize::try_from(limit).unwrap_or_default()));
            sizes.sent(100);
            sizes.too_large();
            assert_eq!(sizes.limit(), Some(expected));
        }
        assert!(block(&sizes) >= 1024);
        sizes.announce(Some(10_000));
        assert_eq!(sizes.limit(), Some(2048), "what was seen counts as well");
        sizes.announce(Some(1000));
        assert_eq!(sizes.limit(), Some(1000));
    }

    #[test]
    fn what_was_refused_on_the_way_to_one_domain_changes_nothing_for_others_and_32_are_remembered() {
        let mut sizes = Sizes::default();
        sizes.refuse("montague.lit", 5700);
        sizes.refuse("montague.lit", 9000);
        assert_eq!(block(&sizes), 1684);
        assert_eq!(sizes.block("capulet.lit", 88, 64, 4096), 4096);
        for number in 1..Sizes::DOMAINS {
            sizes.refuse(&number.to_string(), 5700);
        }
        assert_eq!(block(&sizes), 1684);
        sizes.refuse("one more", 5700);
        assert_eq!((block(&sizes), sizes.refused.len()), (4096, Sizes::DOMAINS));
    }
}
