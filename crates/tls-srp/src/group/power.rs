//! Powers in constant time: of g from a table that is made once, of other numbers from one that is made and wiped.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, CtAssign, CtEq, MontyForm, MontyMultiplier};
use zeroize::{Zeroize, Zeroizing};

/// The most bytes an exponent may have: u·x, 320 bits, is the longest one.
pub(crate) const MAX_EXPONENT: usize = 40;

/// Bytes of the exponent that one row of the table serves: two bytes are four digits, so four rounds.
const ROW_BYTES: usize = 2;
const ROUNDS: usize = 4;
const ROWS: usize = MAX_EXPONENT / ROW_BYTES;
/// The exponent is read in digits of four bits.
const DIGITS: usize = 16;

/// A fixed-base comb: `rows[j][d] = g^(d · 2^(16 j))`.
///
/// The exponent is a row of hexadecimal digits. Every fourth of them, starting from the third, selects one entry from each
/// row; their product is raised to the 16th power, the digits one place lower are multiplied in, and so on four times. A
/// 256-bit power costs 64 multiplications and 12 squarings, where a sliding window over g itself needs some 80 and 256.
///
/// Which entry a digit selects is secret, as g^x betrays the password to an offline guess (the PARASITE attack read it
/// from the cache). So each lookup reads the whole row, digit zero multiplies by one as any other digit does, and only the
/// length of the exponent shows in the time.
#[derive(Debug)]
pub(crate) struct Comb {
    rows: Vec<[BoxedUint; DIGITS]>,
    params: BoxedMontyParams,
}

impl Comb {
    pub(crate) fn new(generator: u8, params: &BoxedMontyParams) -> Self {
        let mut multiplier = <BoxedMontyForm as MontyForm>::Multiplier::from(params);
        let one = BoxedMontyForm::one(params);
        let generator = BoxedUint::from_be_slice(&[generator], params.bits_precision()).expect("a byte fits any group");
        let mut base = BoxedMontyForm::new(generator, params);
        let mut rows = Vec::with_capacity(ROWS);
        for _ in 0..ROWS {
            let mut power = one.clone();
            rows.push(std::array::from_fn(|_| {
                let entry = power.as_montgomery().clone();
                multiplier.mul_assign(&mut power, &base);
                entry
            }));
            for _ in 0..8 * ROW_BYTES {
                multiplier.square_assign(&mut base);
            }
        }
        Self { rows, params: params.clone() }
    }

    /// g to the power of `exponent`: big-endian, an even number of bytes, at most [`MAX_EXPONENT`].
    pub(crate) fn power(&self, exponent: &[u8]) -> BoxedMontyForm {
        debug_assert!(exponent.len() <= MAX_EXPONENT && exponent.len().is_multiple_of(ROW_BYTES));
        let mut multiplier = <BoxedMontyForm as MontyForm>::Multiplier::from(&self.params);
        let mut result = BoxedMontyForm::one(&self.params);
        let mut entry = BoxedMontyForm::one(&self.params);
        for round in (0..ROUNDS).rev() {
            if round + 1 < ROUNDS {
                for _ in 0..4 {
                    multiplier.square_assign(&mut result);
                }
            }
            for (row, bytes) in self.rows.iter().zip(exponent.rchunks_exact(ROW_BYTES)) {
                select(row, digit(bytes, round), entry.as_montgomery_mut());
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
    let row: Zeroizing<[BoxedUint; DIGITS]> = Zeroizing::new(std::array::from_fn(|_| {
        let power = entry.as_montgomery().clone();
        multiplier.mul_assign(&mut entry, base);
        power
    }));
    let mut result = BoxedMontyForm::one(params);
    for digit in exponent.iter().flat_map(|byte| [byte >> 4, byte & 0xF]) {
        for _ in 0..4 {
            multiplier.square_assign(&mut result);
        }
        select(&row, digit, entry.as_montgomery_mut());
        multiplier.mul_assign(&mut result, &entry);
    }
    result
}

/// Digit `place` of two big-endian bytes; place 0 is the lowest.
fn digit(bytes: &[u8], place: usize) -> u8 {
    let byte = bytes[ROW_BYTES - 1 - place / 2];
    if place.is_multiple_of(2) { byte & 0xF } else { byte >> 4 }
}

/// Copies entry `digit` of the row, reading all of them.
fn select(row: &[BoxedUint; DIGITS], digit: u8, out: &mut BoxedUint) {
    for (index, entry) in (0u8..).zip(row) {
        out.ct_assign(entry, index.ct_eq(&digit));
    }
}
