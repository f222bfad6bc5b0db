//! RFC 5054 §§ 2.4 to 2.6: the arithmetic of Secure Remote Password (SRP-6a with SHA-1).
//!
//! The names are those of the RFC. Integers become bytes in one of two ways (§ 2.1): without leading zeros, as on the wire
//! and in the premaster secret, or padded to the length of N where the RFC writes PAD(). One value in 256 is shorter than N,
//! and mixing up the two ways fails only then.
//!
//! Exponents have fixed widths whatever their values: x and u 160 bits, a and b 256, u·x 320, a + u·x 321. The time of each
//! function depends on the group alone, but for the last step that RFC 5054 prescribes, cutting the premaster secret's
//! leading zeros.

use crypto_bigint::modular::BoxedMontyForm;
use crypto_bigint::{BoxedUint, ConcatenatingMul};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::credentials::Credentials;
use crate::group::{Parameters, power};
use crate::wipe::{Wiped, wiped};

/// Bytes of a and b: "SHOULD be at least 256 bits" (RFC 5054 §§ 2.5.3, 2.5.4).
pub(crate) const PRIVATE_VALUE: usize = 32;

/// Bytes of x and u: one SHA-1.
const HASH: usize = 20;

/// The width in bits in which a + u·x is computed, and the bytes that it can really have: (2^160 - 1)^2 + 2^256 - 1 < 2^321.
const EXPONENT_PRECISION: u32 = 384;
const EXPONENT: usize = 321_usize.div_ceil(8);

pub(crate) type PrivateValue = Wiped<PRIVATE_VALUE>;
pub(crate) type Premaster = Zeroizing<Vec<u8>>;

/// A or B is not one that an honest peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IllegalPublicValue;

/// `x = SHA1(s | SHA1(I | ":" | P))` (RFC 5054 § 2.4).
#[derive(Clone)]
pub(crate) struct PrivateKey(Wiped<HASH>);

impl PrivateKey {
    pub(crate) fn new(salt: &[u8], credentials: &Credentials) -> Self {
        let mut inner: Wiped<HASH> = wiped();
        Sha1::new()
            .chain_update(credentials.username())
            .chain_update(":")
            .chain_update(credentials.password())
            .finalize_into((&mut **inner).into());
        let mut x: Wiped<HASH> = wiped();
        Sha1::new().chain_update(salt).chain_update(inner.as_slice()).finalize_into((&mut **x).into());
        Self(x)
    }

    /// `v = g^x % N` (RFC 5054 § 2.4), and not v but k·v, as v is used for nothing else.
    fn k_times_verifier(&self, group: &Parameters) -> Zeroizing<BoxedMontyForm> {
        let v = Zeroizing::new(group.power_of_g(self.0.as_slice()));
        Zeroizing::new(group.k().mul(&v))
    }

    /// `u·x`, exactly: it is an exponent, so it is never reduced modulo N.
    fn times(&self, u: &Scrambler) -> Zeroizing<BoxedUint> {
        let half = EXPONENT_PRECISION / 2;
        let x = Zeroizing::new(fixed(self.0.as_slice(), half));
        Zeroizing::new(x.concatenating_mul(fixed(&u.0, half)))
    }
}

/// A or B, checked.
#[derive(Clone, Debug)]
pub(crate) struct PublicValue(BoxedUint);

impl PublicValue {
    /// Accepts the minimal encoding of a number between 1 and N - 1, both excluded.
    ///
    /// RFC 5054 §§ 2.5.3 and 2.5.4 ask for `A % N != 0` and `B % N != 0`, and call it crucial. This is stricter: a number
    /// from N on, or with leading zeros, is one that no honest peer sends, and 1 and N - 1 make a premaster secret that
    /// whoever sent them can guess. The length is judged first, so that a peer cannot make us work on long numbers.
    pub(crate) fn parse(bytes: &[u8], group: &Parameters) -> Result<Self, IllegalPublicValue> {
        if bytes.len() > group.n().len() || bytes.first().is_none_or(|top| *top == 0) {
            return Err(IllegalPublicValue);
        }
        Self::new(fixed(bytes, group.bits()), group).ok_or(IllegalPublicValue)
    }

    fn new(value: BoxedUint, group: &Parameters) -> Option<Self> {
        let one = BoxedUint::one_with_precision(group.bits());
        (value > one && value < *group.n_minus_1()).then_some(Self(value))
    }

    /// The encoding for the wire, whose top byte is not zero (RFC 5054 § 2.1).
    pub(crate) fn minimal(&self) -> Box<[u8]> {
        self.0.to_be_bytes_trimmed_vartime()
    }

    /// `PAD()` of RFC 5054 § 2.1: the encoding that is as long as N.
    fn padded(&self) -> Box<[u8]> {
        self.0.to_be_bytes()
    }

    fn montgomery(&self, group: &Parameters) -> BoxedMontyForm {
        BoxedMontyForm::new(self.0.clone(), group.montgomery())
    }
}

/// `u = SHA1(PAD(A) | PAD(B))` (RFC 5054 § 2.6). It is public.
struct Scrambler([u8; HASH]);

impl Scrambler {
    fn new(a: &PublicValue, b: &PublicValue) -> Result<Self, IllegalPublicValue> {
        let digest = Sha1::new().chain_update(a.padded()).chain_update(b.padded()).finalize();
        #[cfg(test)]
        let digest = if tests::ZERO_SCRAMBLER.get() { Default::default() } else { digest };
        Self::from_digest(digest.into())
    }

    /// A client that makes u zero needs no password: SRP-6a's safeguard, which RFC 5054 leaves out.
    fn from_digest(digest: [u8; HASH]) -> Result<Self, IllegalPublicValue> {
        if digest == [0; HASH] {
            return Err(IllegalPublicValue);
        }
        Ok(Self(digest))
    }
}

/// The client's half (RFC 5054 § 2.6).
pub(crate) struct ClientExchange {
    pub(crate) public: PublicValue,
    pub(crate) premaster: Premaster,
}

impl ClientExchange {
    /// `A = g^a % N` and `(B - (k * g^x)) ^ (a + (u * x)) % N`.
    ///
    /// `None` if A is not one that a peer would accept, which a source of random bytes that is none can bring about.
    pub(crate) fn new(
        group: &Parameters,
        x: &PrivateKey,
        a: &PrivateValue,
        b_public: &PublicValue,
    ) -> Result<Option<Self>, IllegalPublicValue> {
        count_exchange();
        let Some(public) = PublicValue::new(group.power_of_g(a.as_slice()).retrieve(), group) else {
            return Ok(None);
        };
        let u = Scrambler::new(&public, b_public)?;
        // The subtraction is modulo N, so it is never negative.
        let base = b_public.montgomery(group).sub(&x.k_times_verifier(group));
        let base = Zeroizing::new(base);
        let a = Zeroizing::new(fixed(a.as_slice(), EXPONENT_PRECISION));
        let exponent = Zeroizing::new(a.wrapping_add(&*x.times(&u)));
        let exponent = Zeroizing::new(exponent.to_be_bytes());
        let unused = exponent.len() - EXPONENT;
        let secret = Zeroizing::new(power(&base, &exponent[unused..]));
        Ok(Some(Self { public, premaster: premaster(&secret) }))
    }
}

/// The server's half (RFC 5054 § 2.6), between ServerKeyExchange and ClientKeyExchange.
pub(crate) struct ServerExchange {
    group: &'static Parameters,
    x: PrivateKey,
    b: PrivateValue,
    public: PublicValue,
}

impl ServerExchange {
    /// `B = k*v + g^b % N`. `None` if B is not one that a peer would accept.
    pub(crate) fn new(group: &'static Parameters, x: PrivateKey, b: PrivateValue) -> Option<Self> {
        count_exchange();
        // With g^b an eavesdropper could subtract k*v from B, and try passwords on it.
        let g_to_b = Zeroizing::new(group.power_of_g(b.as_slice()));
        let public = x.k_times_verifier(group).add(&g_to_b).retrieve();
        Some(Self { public: PublicValue::new(public, group)?, group, x, b })
    }

    pub(crate) fn group(&self) -> &'static Parameters {
        self.group
    }

    pub(crate) fn public(&self) -> &PublicValue {
        &self.public
    }

    /// `(A * v^u) ^ b % N`.
    ///
    /// The password is at hand, so v^u is computed as g^(u·x), for which there is a table. With a stored verifier it would be
    /// `v.pow(u)`.
    pub(crate) fn premaster(&self, a: &PublicValue) -> Result<Premaster, IllegalPublicValue> {
        count_exchange();
        let u = Scrambler::new(a, &self.public)?;
        let exponent = Zeroizing::new(self.x.times(&u).to_be_bytes());
        let unused = exponent.len() - 2 * HASH;
        let v_to_u = Zeroizing::new(self.group.power_of_g(&exponent[unused..]));
        let base = Zeroizing::new(a.montgomery(self.group).mul(&v_to_u));
        let secret = Zeroizing::new(power(&base, self.b.as_slice()));
        Ok(premaster(&secret))
    }
}

/// The premaster secret is an implicit conversion (RFC 5054 § 2.1): leading zeros are cut, and their number shows in the
/// time of what follows. It says that about one secret in 256 is short, and nothing that outlives the session.
fn premaster(secret: &BoxedMontyForm) -> Premaster {
    let secret = Zeroizing::new(secret.retrieve());
    let bytes = Zeroizing::new(secret.to_be_bytes());
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    #[cfg(test)]
    tests::SHORT_SECRETS.set(tests::SHORT_SECRETS.get() + u32::from(zeros > 0));
    Zeroizing::new(bytes[zeros..].to_vec())
}

/// `bytes` as a number of fixed width. Every caller has a value that is no wider.
fn fixed(bytes: &[u8], precision: u32) -> BoxedUint {
    BoxedUint::from_be_slice(bytes, precision).expect("the width is chosen to hold the value")
}

/// Lets tests see that a hostile value was refused before any work was done on it.
fn count_exchange() {
    #[cfg(test)]
    tests::EXCHANGES.set(tests::EXCHANGES.get() + 1);
}

#[cfg(test)]
pub(crate) mod tests;
