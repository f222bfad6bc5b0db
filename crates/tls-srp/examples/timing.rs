//! Does the time of a step depend on what is secret in it? Welch's t-test, in the manner of dudect.
//!
//! ```sh
//! cargo run --release -p tls-srp --example timing -- 20000
//! ```
//!
//! Each step is timed for two classes of inputs in random order: secrets that are always the same, and secrets that are new
//! each time. If the two distributions of times differ, |t| grows with the number of samples; below 4.5 nothing was found.
//! The last line is a control: a power computed bit by bit that skips the zeros, which the same test must catch.
//!
//! The steps are those that a peer can time: whole calls of `read`, with everything in them.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // It is a command, and it measures time.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use subtle::ConstantTimeEq;
use tls_srp::{ClientConfig, ClientSession, Credentials, Group, Random, RandomFailed, ServerConfig, ServerSession};

/// What is cut off at the top before the second test: interrupts and the like.
const KEPT: f64 = 0.9;

/// Hands out prepared bytes.
struct Prepared(Vec<u8>);

impl Random for Prepared {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        if self.0.len() < out.len() {
            return Err(RandomFailed);
        }
        out.copy_from_slice(&self.0[..out.len()]);
        self.0.drain(..out.len());
        Ok(())
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Everything secret that goes into a sample.
#[derive(Clone)]
struct Secrets {
    password: String,
    private: [u8; 32],
}

impl Secrets {
    fn new(random: &mut ChaCha8Rng) -> Self {
        let mut word = [0; 8];
        random.fill_bytes(&mut word);
        let mut private = [0; 32];
        random.fill_bytes(&mut private);
        Self { password: format!("{:016x}", u64::from_le_bytes(word)), private }
    }

    /// The secrets of this sample: the fixed ones, or new ones. Both are made, so that making them takes the same time.
    fn choose(fixed: &Self, fresh: bool, random: &mut ChaCha8Rng) -> Self {
        let new = Self::new(random);
        let [first, second] = [fixed.clone(), new];
        if fresh { second } else { first }
    }
}

fn client(secrets: &Secrets) -> Outcome<ClientSession> {
    let credentials = Credentials::new("juliet", &secrets.password)?;
    // Hello random, a, and the IVs of Finished and of an alert.
    let bytes = [&[7; 32][..], &secrets.private, &[7; 64]].concat();
    Ok(ClientSession::new(ClientConfig::new(credentials), Box::new(Prepared(bytes)))?)
}

fn server(secrets: &Secrets) -> Outcome<ServerSession> {
    let credentials = Credentials::new("juliet", &secrets.password)?;
    let mut config = ServerConfig::new(credentials);
    config.group = Group::Rfc5054N2048;
    // Hello random, salt, b, and the IVs of Finished and of an alert.
    let bytes = [&[9; 48][..], &secrets.private, &[9; 64]].concat();
    Ok(ServerSession::new(config, Box::new(Prepared(bytes)))?)
}

/// Both session types have `read`. Gives what is to be sent, whether or not the session lives on.
macro_rules! read {
    ($session:expr, $input:expr) => {{
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        // A wrong password is an error, and one that is timed.
        let _ = $session.read($input, &mut plaintext, &mut out);
        out
    }};
}

fn main() -> Outcome<()> {
    let samples: u32 = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 20_000,
    };
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let fixed = Secrets::new(&mut random);
    let hello = read!(client(&fixed)?, &[]);
    let flight = read!(server(&fixed)?, &hello);
    let mut honest = client(&fixed)?;
    let _ = read!(honest, &[]);
    let answer = read!(honest, &flight);

    test("server: g^x, k*v and g^b (ClientHello)", samples, &mut random, |fresh, random| {
        let mut session = server(&Secrets::choose(&fixed, fresh, random))?;
        time(|| read!(session, &hello))
    })?;

    let key_exchange = &answer[..first_record(&answer)?];
    test("server: v^u, S and the keys (ClientKeyExchange)", samples, &mut random, |fresh, random| {
        let mut session = server(&Secrets::choose(&fixed, fresh, random))?;
        let _ = read!(session, &hello);
        time(|| read!(session, key_exchange))
    })?;

    test("client: g^a, g^x, S and Finished (ServerHelloDone)", samples, &mut random, |fresh, random| {
        let mut session = client(&Secrets::choose(&fixed, fresh, random))?;
        let _ = read!(session, &[]);
        time(|| read!(session, &flight))
    })?;

    // The first byte of the MAC is wrong, or the last.
    let (before, finished) = answer.split_at(answer.len() - 57 - 16);
    let before = before.to_vec();
    let wrong_at = |place: usize| {
        let mut record = finished.to_vec();
        let place = record.len() - place;
        if let Some(byte) = record.get_mut(place) {
            *byte ^= 1;
        }
        record
    };
    let records = [wrong_at(20), wrong_at(1)];
    test("server: comparison of the MAC (Finished)", samples, &mut random, |fresh, _| {
        let mut session = server(&fixed)?;
        let _ = read!(session, &hello);
        let _ = read!(session, &before);
        let record = records[usize::from(fresh)].clone();
        time(|| read!(session, &record))
    })?;

    // Only who has the keys gets a Finished as far as its comparison, so it is the comparison itself that is timed here, a
    // thousand times over: the first byte of verify_data is wrong, or the last.
    let expected = [0x5A_u8; 12];
    let wrong = [0, 11].map(|place| {
        let mut wrong = expected;
        if let Some(byte) = wrong.get_mut(place) {
            *byte ^= 1;
        }
        wrong
    });
    test("both: comparison of verify_data (Finished), 1000 times", samples, &mut random, |fresh, _| {
        let wrong = wrong[usize::from(fresh)];
        let same = || bool::from(black_box(&expected[..]).ct_eq(black_box(&wrong[..])));
        time(|| (0..1000).filter(|_| same()).count())
    })?;

    let params = modulus()?;
    let base = BoxedMontyForm::new(BoxedUint::from_be_slice(&[2], 2048)?, &params);
    test("control: a power that skips zero bits", samples.min(3000), &mut random, |fresh, random| {
        let mut exponents = [[0; 20]; 2];
        exponents[0][19] = 1;
        random.fill_bytes(&mut exponents[1]);
        let exponent = exponents[usize::from(fresh)];
        time(|| leaky_power(&base, &params, &exponent))
    })?;
    Ok(())
}

fn first_record(bytes: &[u8]) -> Outcome<usize> {
    let [_, _, _, high, low, ..] = bytes else {
        return Err("no record".into());
    };
    Ok(5 + usize::from(u16::from_be_bytes([*high, *low])))
}

fn time<T>(work: impl FnOnce() -> T) -> Outcome<f64> {
    let started = Instant::now();
    black_box(work());
    Ok(started.elapsed().as_secs_f64())
}

/// Times a step for both classes, in random order, and prints t for all samples and without the slowest tenth.
fn test(
    name: &str,
    samples: u32,
    random: &mut ChaCha8Rng,
    mut step: impl FnMut(bool, &mut ChaCha8Rng) -> Outcome<f64>,
) -> Outcome<()> {
    for _ in 0..100 {
        step(false, random)?;
        step(true, random)?;
    }
    let mut classes = [Vec::new(), Vec::new()];
    for _ in 0..samples {
        let fresh = random.next_u32() & 1 == 1;
        let seconds = step(fresh, random)?;
        classes[usize::from(fresh)].push(seconds);
    }
    let mut all = classes.concat();
    all.sort_by(f64::total_cmp);
    let kept = f64::from(samples) * KEPT;
    let limit = all.iter().zip(0u32..).find(|(_, rank)| f64::from(*rank) >= kept);
    let limit = limit.map_or(f64::MAX, |(seconds, _)| *seconds);
    let cropped = classes.clone().map(|class| {
        let fast = class.into_iter().filter(|seconds| *seconds < limit);
        fast.collect::<Vec<_>>()
    });
    let median = all.get(all.len() / 2).copied().unwrap_or_default();
    println!(
        "{name}: median {:.1} us, t = {:.2} (all {samples}), {:.2} (without the slowest tenth)",
        median * 1e6,
        welch(&classes),
        welch(&cropped),
    );
    Ok(())
}

/// Welch's t for two samples.
fn welch([left, right]: &[Vec<f64>; 2]) -> f64 {
    let moments = |sample: &[f64]| {
        let count = f64::from(u32::try_from(sample.len()).unwrap_or(u32::MAX));
        let mean = sample.iter().sum::<f64>() / count;
        let squares = sample.iter().map(|value| (value - mean).powi(2));
        (mean, squares.sum::<f64>() / (count - 1.0) / count)
    };
    let ((left_mean, left_error), (right_mean, right_error)) = (moments(left), moments(right));
    (left_mean - right_mean) / (left_error + right_error).sqrt()
}

/// Any odd number of 2048 bits will do for the control.
fn modulus() -> Outcome<BoxedMontyParams> {
    let number = BoxedUint::from_be_slice(&[0xA5; 256], 2048)?;
    let odd = Odd::new(number).into_option().ok_or("it is odd")?;
    Ok(BoxedMontyParams::new_vartime(odd))
}

/// Square and multiply as in a textbook: what must not be used with a secret exponent.
fn leaky_power(base: &BoxedMontyForm, params: &BoxedMontyParams, exponent: &[u8]) -> BoxedMontyForm {
    let mut result = BoxedMontyForm::one(params);
    for byte in exponent {
        for bit in (0..8).rev() {
            result = result.square();
            if byte >> bit & 1 == 1 {
                result = result.mul(base);
            }
        }
    }
    result
}
