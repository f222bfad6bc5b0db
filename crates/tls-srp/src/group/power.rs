//! Powers in constant time: of g from a table that comes with the crate, of other numbers from one that is made and wiped.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, CtAssign, CtEq, MontyForm, MontyMultiplier, Word};
use zeroize::{Zeroize, Zeroizing};

/// The most bytes an exponent may have: u·x, 320 bits, is the longest one.
pub(super) const MAX_EXPONENT: usize = 40;

/// A row of the table serves ten bytes of the exponent: five teeth of sixteen bits.
pub(super) const TEETH: usize = 5;
pub(super) const TOOTH_BITS: usize = 16;
pub(super) const ROWS: usize = MAX_EXPONENT / ROW_BYTES;
const ROW_BYTES: usize = TEETH * TOOTH_BYTES;
const TOOTH_BYTES: usize = TOOTH_BITS / 8;
pub(super) const ENTRIES: usize = 1 << TEETH;

/// Powers of the other base are read in digits of four bits.
const DIGITS: usize = 16;

/// A fixed-base comb (Lim and Lee, CRYPTO '94): entry d of row j is the product of `g^(2^(80 j + 16 k))` over the bits k of d.
///
/// A row serves 80 bits of the exponent, cut into five teeth of sixteen. The highest bit of each tooth selects one entry from
/// each row; the product is squared, the next lower bits are multiplied in, and so on sixteen times. A 256-bit power costs
/// 64 multiplications and 15 squarings, where a window that slides over g itself needs some 80 and 256.
///
/// Which entry is selected is secret, as g^x betrays the password to an offline guess (the PARASITE attack read it from the
/// cache). So each lookup reads the whole row, entry zero multiplies by one as any other does, and only the length of the
/// exponent shows in the time.
///
/// The tables are part of the crate because the first handshake of a process is often the only one, and making one takes
/// half as long as a handshake. `comb/make.py` makes them; a test makes them in another way.
#[derive(Clone, Copy)]
pub(crate) struct Comb(&'static [u8]);

impl Comb {
    /// `table` has [`ROWS`] times [`ENTRIES`] numbers in Montgomery form, little-endian, each as long as N.
    pub(crate) const fn new(table: &'static [u8]) -> Self {
        Self(table)
    }

    #[cfg(test)]
    pub(super) fn table(self) -> &'static [u8] {
        self.0
    }

    /// g to the power of `exponent`, which is big-endian and has at most [`MAX_EXPONENT`] bytes.
    pub(crate) fn power(self, exponent: &[u8], params: &BoxedMontyParams) -> BoxedMontyForm {
        let mut padded = Zeroizing::new([0; MAX_EXPONENT]);
        let (_, low) = padded.split_at_mut(MAX_EXPONENT - exponent.len());
        low.copy_from_slice(exponent);
        let rows = exponent.len().div_ceil(ROW_BYTES);
        let row_size = self.0.len() / ROWS;
        let mut bytes = Zeroizing::new(vec![0; row_size / ENTRIES]);

        let mut multiplier = <BoxedMontyForm as MontyForm>::Multiplier::from(params);
        let mut result = BoxedMontyForm::one(params);
        let mut entry = BoxedMontyForm::one(params);
        for place in (0..TOOTH_BITS).rev() {
            multiplier.square_assign(&mut result);
            for (row, teeth) in self.0.chunks_exact(row_size).zip(padded.rchunks_exact(ROW_BYTES)).take(rows) {
                read(row, digit(teeth, place), &mut bytes);
                let (words, _) = bytes.as_chunks();
                for (limb, word) in entry.as_montgomery_mut().as_mut_words().iter_mut().zip(words) {
                    *limb = Word::from_le_bytes(*word);
                }
                multiplier.mul_assign(&mut result, &entry);
            }
        }
        entry.zeroize();
        result
    }
}

/// `base` to the power of `exponent`, which is big-endian, in constant time for its length.
///
/// [`BoxedMontyForm::pow`] does the same, but leaves its table of powers in memory that it frees. Passwords can be tried on
/// the client's base, B - k·g^x, and on the server's, A·v^u.
pub(crate) fn power(base: &BoxedMontyForm, exponent: &[u8]) -> BoxedMontyForm {
    let params = base.params();
    let mut multiplier = <BoxedMontyForm as MontyForm>::Multiplier::from(params);
    let mut entry = Zeroizing::new(BoxedMontyForm::one(params));
    let row: Zeroizing<[BoxedUint; DIGITS]> = Zeroizing::new(std::array::from_fn(|digit| {
        if digit > 0 {
            multiplier.mul_assign(&mut entry, base);
        }
        entry.as_montgomery().clone()
    }));
    let mut result = BoxedMontyForm::one(params);
    let mut digits = exponent.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    // There is nothing yet to be squared.
    if let Some(digit) = digits.next() {
        select(&row, digit, result.as_montgomery_mut());
    }
    for digit in digits {
        for _ in 0..4 {
            multiplier.square_assign(&mut result);
        }
        select(&row, digit, entry.as_montgomery_mut());
        multiplier.mul_assign(&mut result, &entry);
    }
    result
}

/// The bits at `place` of five big-endian teeth; place 0 and tooth 0 are the lowest.
fn digit(teeth: &[u8], place: usize) -> u8 {
    let byte = |tooth: &[u8]| tooth[TOOTH_BYTES - 1 - place / 8];
    teeth.chunks_exact(TOOTH_BYTES).fold(0, |digit, tooth| digit << 1 | (byte(tooth) >> (place % 8) & 1))
}

/// Copies entry `digit` of a row of the comb, reading all of them.
fn read(row: &[u8], digit: u8, out: &mut [u8]) {
    for (index, entry) in (0u8..).zip(row.chunks_exact(out.len())) {
        out.ct_assign(entry, index.ct_eq(&digit));
    }
}

/// Copies entry `digit` of the row, reading all of them.
fn select(row: &[BoxedUint; DIGITS], digit: u8, out: &mut BoxedUint) {
    for (index, entry) in (0u8..).zip(row) {
        out.ct_assign(entry, index.ct_eq(&digit));
    }
}
