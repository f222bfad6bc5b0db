//! Does the time of a step depend on what is secret in it? Welch's t-test, in the manner of dudect.
//!
//! ```sh
//! cargo run --release -p tls-srp --example timing -- 20000
//! cargo run --release -p tls-srp --example timing -- short
//! ```
//!
//! Each step is timed for two classes of inputs: secrets that are always the same, and secrets that are new each time. The
//! steps take turns, each with one sample of either class in random order, so that whatever else the machine does falls on
//! both. If the two distributions of times differ, |t| grows with the number of samples. The test is made with all samples,
//! and without the slowest tenth and half of them, which is where a noisy machine shows.
//!
//! The program fails if |t| reaches 4.5 for a step, twice in a row, or if it does not exceed 20 for the control: a power
//! computed bit by bit that skips the zeros, which the same test must catch. The short form takes a minute.
//!
//! What is measured is the time of this thread on the processor: to a peer the rest is noise, and to the test too. The steps
//! are those that a peer can time: whole calls of `read`, with everything in them, in the group that servers use
//! unless told otherwise. Passwords have several lengths, and the two of a pair have the same: how many blocks of SHA-1 name
//! and password fill is no secret. SASLprep is done before a session begins, at a time that no peer sees.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // It is a command, and it measures time.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use subtle::ConstantTimeEq;
use tls_srp::{ClientConfig, ClientSession, Credentials, Random, RandomFailed, ServerConfig, ServerSession};

/// What is kept of all samples, fastest first. What is cut off are interrupts and the like.
const KEPT: [f64; 3] = [1.0, 0.9, 0.5];

/// Below it nothing was found.
const FOUND: f64 = 4.5;
/// What the control must exceed.
const LEAKS: f64 = 20.0;

/// The short form: for how long, and how many pairs that has to give at least.
const SHORT: Duration = Duration::from_secs(50);
const MIN_PAIRS: u32 = 100;

/// With the name and a colon, 1, 1, 2 and 5 blocks of SHA-1.
const PASSWORD_LENGTHS: [usize; 4] = [6, 16, 64, 256];

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
    fn new(length: usize, random: &mut ChaCha8Rng) -> Self {
        let mut private = [0; 32];
        random.fill_bytes(&mut private);
        let letters = std::iter::repeat_with(|| char::from(b'a' + (random.next_u32() % 16).to_le_bytes()[0]));
        Self { password: letters.take(length).collect(), private }
    }

    /// The secrets of this sample: the fixed ones, or new ones. Both are made, so that making them takes the same time.
    fn choose(&self, fresh: bool, random: &mut ChaCha8Rng) -> Self {
        let new = Self::new(self.password.len(), random);
        let [first, second] = [self.clone(), new];
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
    // Hello random, salt, b, and the IVs of Finished and of an alert.
    let bytes = [&[9; 48][..], &secrets.private, &[9; 64]].concat();
    Ok(ServerSession::new(ServerConfig::new(credentials), Box::new(Prepared(bytes)))?)
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

/// An honest handshake with the fixed secrets of one length.
struct Honest {
    secrets: Secrets,
    hello: Vec<u8>,
    flight: Vec<u8>,
    answer: Vec<u8>,
    /// The bytes of `answer` before Finished, and of its ClientKeyExchange.
    before_finished: usize,
    key_exchange: usize,
}

impl Honest {
    fn new(length: usize, random: &mut ChaCha8Rng) -> Outcome<Self> {
        let secrets = Secrets::new(length, random);
        let mut honest = client(&secrets)?;
        let hello = read!(honest, &[]);
        let flight = read!(server(&secrets)?, &hello);
        let answer = read!(honest, &flight);
        let [_, _, _, high, low, ..] = answer[..] else {
            return Err("no record".into());
        };
        let key_exchange = 5 + usize::from(u16::from_be_bytes([high, low]));
        let before_finished = answer.len() - 57 - 16;
        Ok(Self { secrets, hello, flight, answer, before_finished, key_exchange })
    }
}

/// Times one sample: of fixed or fresh secrets, with a password of this place in [`PASSWORD_LENGTHS`].
type Sample = Box<dyn FnMut(bool, usize, &mut ChaCha8Rng) -> Outcome<f64>>;

struct Step {
    name: &'static str,
    sample: Sample,
    /// Seconds, by class, with the place of the length.
    times: [Vec<(usize, f64)>; 2],
}

impl Step {
    fn new(name: &'static str, sample: impl FnMut(bool, usize, &mut ChaCha8Rng) -> Outcome<f64> + 'static) -> Self {
        Self { name, sample: Box::new(sample), times: [Vec::new(), Vec::new()] }
    }

    /// One sample of either class, in random order.
    fn pair(&mut self, length: usize, random: &mut ChaCha8Rng) -> Outcome<()> {
        let first = random.next_u32() & 1 == 1;
        for fresh in [first, !first] {
            let seconds = (self.sample)(fresh, length, random)?;
            self.times[usize::from(fresh)].push((length, seconds));
        }
        Ok(())
    }

    /// The largest |t| of all ways to look at the samples.
    fn report(&self) -> f64 {
        let of = |wanted: Option<usize>| {
            self.times.each_ref().map(|class| {
                let chosen = class.iter().filter(|(length, _)| wanted.is_none_or(|wanted| *length == wanted));
                chosen.map(|(_, seconds)| *seconds).collect::<Vec<_>>()
            })
        };
        let all = of(None);
        let values = KEPT.map(|kept| welch(&cropped(&all, kept)));
        let by_length: Vec<f64> =
            (0..PASSWORD_LENGTHS.len()).map(|length| welch(&cropped(&of(Some(length)), 0.9))).collect();
        let pairs = all[0].len();
        println!("{}: {pairs} pairs, median {:.1} us", self.name, median(&all) * 1e6);
        println!(
            "    t = {:.2} (all), {:.2} (without the slowest tenth), {:.2} (half)",
            values[0], values[1], values[2]
        );
        println!("    by length of the password: {by_length:.2?}");
        values.into_iter().chain(by_length).map(f64::abs).fold(0.0, f64::max)
    }
}

/// How long to measure.
#[derive(Clone, Copy)]
enum Budget {
    Pairs(u32),
    Time(Duration),
}

fn measure(steps: &mut [Step], budget: Budget, random: &mut ChaCha8Rng) -> Outcome<()> {
    for step in &mut *steps {
        for length in (0..PASSWORD_LENGTHS.len()).cycle().take(20) {
            step.pair(length, random)?;
        }
        step.times = [Vec::new(), Vec::new()];
    }
    let started = Instant::now();
    for (number, length) in (0..).zip((0..PASSWORD_LENGTHS.len()).cycle()) {
        let enough = match budget {
            Budget::Pairs(pairs) => number >= pairs,
            Budget::Time(time) => started.elapsed() > time && number >= MIN_PAIRS,
        };
        if enough {
            break;
        }
        for step in &mut *steps {
            step.pair(length, random)?;
        }
    }
    Ok(())
}

fn steps(random: &mut ChaCha8Rng) -> Outcome<Vec<Step>> {
    let honest = || -> Outcome<Vec<Honest>> {
        // The same for each step.
        let mut random = ChaCha8Rng::seed_from_u64(1);
        PASSWORD_LENGTHS.iter().map(|length| Honest::new(*length, &mut random)).collect()
    };
    let mut steps = Vec::new();

    let handshakes = honest()?;
    steps.push(Step::new("server: g^x, k*v and g^b (ClientHello)", move |fresh, length, random| {
        let Honest { secrets, hello, .. } = &handshakes[length];
        let mut session = server(&secrets.choose(fresh, random))?;
        time(|| read!(session, hello))
    }));

    let handshakes = honest()?;
    steps.push(Step::new("server: v^u, S and the keys (ClientKeyExchange)", move |fresh, length, random| {
        let Honest { secrets, hello, answer, key_exchange, .. } = &handshakes[length];
        let mut session = server(&secrets.choose(fresh, random))?;
        let _ = read!(session, hello);
        time(|| read!(session, &answer[..*key_exchange]))
    }));

    let handshakes = honest()?;
    steps.push(Step::new("client: g^a, g^x, S and Finished (ServerHelloDone)", move |fresh, length, random| {
        let Honest { secrets, flight, .. } = &handshakes[length];
        let mut session = client(&secrets.choose(fresh, random))?;
        let _ = read!(session, &[]);
        time(|| read!(session, flight))
    }));

    // The first byte of the MAC is wrong, or the last.
    let handshakes = honest()?;
    steps.push(Step::new(
        "server: comparison of the MAC (Finished), first or last byte wrong",
        move |fresh, length, _| {
            let Honest { secrets, hello, answer, before_finished, .. } = &handshakes[length];
            let mut session = server(secrets)?;
            let _ = read!(session, hello);
            let (before, finished) = answer.split_at(*before_finished);
            let _ = read!(session, before);
            let mut record = finished.to_vec();
            let place = record.len() - [20, 1][usize::from(fresh)];
            record[place] ^= 1;
            time(|| read!(session, &record))
        },
    ));

    // Only who has the keys gets a Finished as far as its comparison, so it is the comparison itself that is timed here, a
    // thousand times over: the first byte of verify_data is wrong, or the last.
    let expected = [0x5A_u8; 12];
    let wrong = [0, 11].map(|place| {
        let mut wrong = expected;
        wrong[place] ^= 1;
        wrong
    });
    steps.push(Step::new("both: comparison of verify_data (Finished), 1000 times", move |fresh, _, _| {
        let wrong = wrong[usize::from(fresh)];
        let same = || bool::from(black_box(&expected[..]).ct_eq(black_box(&wrong[..])));
        time(|| (0..1000).filter(|_| same()).count())
    }));

    let params = modulus()?;
    let base = BoxedMontyForm::new(BoxedUint::from_be_slice(&[2], 3072)?, &params);
    steps.push(Step::new(CONTROL, move |fresh, _, random| {
        let mut exponents = [[0; 20]; 2];
        exponents[0][19] = 1;
        random.fill_bytes(&mut exponents[1]);
        let exponent = exponents[usize::from(fresh)];
        time(|| leaky_power(&base, &params, &exponent))
    }));
    // The first handshake makes the parameters of its group.
    let _ = Honest::new(PASSWORD_LENGTHS[0], random)?;
    Ok(steps)
}

const CONTROL: &str = "control: a power that skips zero bits";

fn main() -> Outcome<()> {
    let budget = match std::env::args().nth(1).as_deref() {
        Some("short") => Budget::Time(SHORT),
        Some(samples) => Budget::Pairs(samples.parse::<u32>()? / 2),
        None => Budget::Pairs(10_000),
    };
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut steps = steps(&mut random)?;
    measure(&mut steps, budget, &mut random)?;

    let mut suspects = Vec::new();
    for step in steps {
        let t = step.report();
        if step.name == CONTROL {
            if t <= LEAKS {
                return Err(format!("the control gives |t| = {t:.2}: a leak would not have been seen").into());
            }
        } else if t >= FOUND {
            suspects.push(step);
        }
    }
    if suspects.is_empty() {
        return Ok(());
    }
    println!("\nOnce more what |t| = {FOUND} was reached for:");
    measure(&mut suspects, budget, &mut random)?;
    let leaks: Vec<_> = suspects.iter().filter(|step| step.report() >= FOUND).map(|step| step.name).collect();
    if leaks.is_empty() { Ok(()) } else { Err(format!("the time depends on secrets: {}", leaks.join("; ")).into()) }
}

fn time<T>(work: impl FnOnce() -> T) -> Outcome<f64> {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime));
    let started = now()?;
    black_box(work());
    Ok((now()? - started).as_secs_f64())
}

fn sorted(classes: &[Vec<f64>; 2]) -> Vec<f64> {
    let mut all = classes.concat();
    all.sort_by(f64::total_cmp);
    all
}

fn median(classes: &[Vec<f64>; 2]) -> f64 {
    let all = sorted(classes);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// What is left of both classes without the slowest of all.
fn cropped(classes: &[Vec<f64>; 2], kept: f64) -> [Vec<f64>; 2] {
    let all = sorted(classes);
    let count = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let limit = all.iter().zip(0u32..).find(|(_, rank)| f64::from(*rank) >= count * kept);
    let limit = limit.map_or(f64::MAX, |(seconds, _)| *seconds);
    classes.each_ref().map(|class| class.iter().copied().filter(|seconds| *seconds < limit).collect())
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

/// Any odd number of 3072 bits will do for the control.
fn modulus() -> Outcome<BoxedMontyParams> {
    let number = BoxedUint::from_be_slice(&[0xA5; 384], 3072)?;
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
