//! RFC 5054 appendix A (SRP Group Parameters): which groups there are, and what is computed once for each.

pub(crate) mod constants;
mod power;

use std::sync::OnceLock;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use sha1::{Digest, Sha1};

pub(crate) use power::{Comb, power};

/// A group of RFC 5054 appendix A.
///
/// The groups of 1024 and 1536 bits are missing on purpose, though RFC 5054 wants them: they are too small (RFC 9325 § 4.1
/// asks for 2048 bits). So is the one of 6144 bits, which a common peer refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// 1024 bits, g = 2: the vectors of appendix B, and quick tests.
    #[cfg(test)]
    Rfc5054N1024,
    /// 2048 bits, g = 2.
    Rfc5054N2048,
    /// 3072 bits, g = 5. What a server uses unless told otherwise.
    Rfc5054N3072,
    /// 4096 bits, g = 5.
    Rfc5054N4096,
    /// 8192 bits, g = 19.
    Rfc5054N8192,
}

impl Group {
    /// Every group that can be used, smallest first.
    pub const ALL: [Self; 4] = [Self::Rfc5054N2048, Self::Rfc5054N3072, Self::Rfc5054N4096, Self::Rfc5054N8192];

    /// The size of N in bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            #[cfg(test)]
            Self::Rfc5054N1024 => 1024,
            Self::Rfc5054N2048 => 2048,
            Self::Rfc5054N3072 => 3072,
            Self::Rfc5054N4096 => 4096,
            Self::Rfc5054N8192 => 8192,
        }
    }

    /// The group among `known` with exactly this N and g, both as they came over the wire.
    ///
    /// RFC 5054 § 3.2: a prime of unknown origin may hide a trapdoor, so groups are recognized and never judged, and no
    /// arithmetic is done with one that is not known.
    pub(crate) fn recognize(n: &[u8], g: &[u8], known: &[Self]) -> Option<Self> {
        known.iter().copied().find(|group| g == [group.generator()].as_slice() && group.parameters().n() == n)
    }

    pub(crate) fn generator(self) -> u8 {
        match self {
            #[cfg(test)]
            Self::Rfc5054N1024 => 2,
            Self::Rfc5054N2048 => 2,
            Self::Rfc5054N3072 | Self::Rfc5054N4096 => 5,
            Self::Rfc5054N8192 => 19,
        }
    }

    /// What is computed once for each group and kept.
    pub(crate) fn parameters(self) -> &'static Parameters {
        #[cfg(test)]
        static N1024: OnceLock<Parameters> = OnceLock::new();
        static N2048: OnceLock<Parameters> = OnceLock::new();
        static N3072: OnceLock<Parameters> = OnceLock::new();
        static N4096: OnceLock<Parameters> = OnceLock::new();
        static N8192: OnceLock<Parameters> = OnceLock::new();
        let (cell, hex, comb): (_, _, &[u8]) = match self {
            #[cfg(test)]
            Self::Rfc5054N1024 => (&N1024, constants::N_1024, include_bytes!("group/comb/1024.bin")),
            Self::Rfc5054N2048 => (&N2048, constants::N_2048, include_bytes!("group/comb/2048.bin")),
            Self::Rfc5054N3072 => (&N3072, constants::N_3072, include_bytes!("group/comb/3072.bin")),
            Self::Rfc5054N4096 => (&N4096, constants::N_4096, include_bytes!("group/comb/4096.bin")),
            Self::Rfc5054N8192 => (&N8192, constants::N_8192, include_bytes!("group/comb/8192.bin")),
        };
        cell.get_or_init(|| Parameters::new(hex, self.bits(), self.generator(), Comb::new(comb)))
    }
}

/// N, g and k, ready for arithmetic. Everything in it is public.
pub(crate) struct Parameters {
    n: Box<[u8]>,
    bits: u32,
    montgomery: BoxedMontyParams,
    /// `k = SHA1(N | PAD(g))` (RFC 5054 § 2.5.3).
    k: BoxedMontyForm,
    /// N - 1: with 0 and 1 what no public value may be.
    n_minus_1: BoxedUint,
    comb: Comb,
}

impl Parameters {
    fn new(hex: &str, bits: u32, generator: u8, comb: Comb) -> Self {
        let modulus = BoxedUint::from_be_hex(hex, bits)
            .into_option()
            .expect("the constants are hexadecimal and of the stated size");
        let n = modulus.to_be_bytes();
        let n_minus_1 = modulus.wrapping_sub(BoxedUint::one_with_precision(bits));
        let odd = Odd::new(modulus).into_option().expect("a prime of this size is odd");
        let montgomery = BoxedMontyParams::new_vartime(odd);

        // N is as long as PAD() makes everything else.
        let mut padded = vec![0; n.len()];
        if let Some(last) = padded.last_mut() {
            *last = generator;
        }
        let k = Sha1::new().chain_update(&n).chain_update(&padded).finalize();
        let k = BoxedUint::from_be_slice(&k, bits).expect("160 bits fit any group");
        Self { k: BoxedMontyForm::new(k, &montgomery), n, bits, montgomery, n_minus_1, comb }
    }

    /// N as big-endian bytes; the top one is not zero.
    pub(crate) fn n(&self) -> &[u8] {
        &self.n
    }

    /// The size of N in bits.
    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }

    pub(crate) fn n_minus_1(&self) -> &BoxedUint {
        &self.n_minus_1
    }

    pub(crate) fn k(&self) -> &BoxedMontyForm {
        &self.k
    }

    pub(crate) fn montgomery(&self) -> &BoxedMontyParams {
        &self.montgomery
    }

    /// g to the power of `exponent`, big-endian, in constant time for its length.
    pub(crate) fn power_of_g(&self, exponent: &[u8]) -> BoxedMontyForm {
        self.comb.power(exponent, &self.montgomery)
    }
}

#[cfg(test)]
mod tests;
