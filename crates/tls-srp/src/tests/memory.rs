//! Row L5: what sessions leave in memory.
//!
//! The sessions are run by a process of their own, which is this test once more. It knows nothing but the password, which is
//! a constant in its program text, and its random bytes are made where they are asked for. This process makes the same random
//! bytes, derives every secret again, and looks for pieces of them in all that the other one can write to: live and freed
//! blocks of the heap, stacks, and variables. It never writes there, so it needs no help from an allocator.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha1::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::*;
use crate::message::{ClientKeyExchange, ServerKeyExchange};
use crate::srp::tests::intermediate_values;
use crate::srp::{PrivateKey, PrivateValue, PublicValue};
use crate::wipe::wiped;

/// Names the scenario to the process that is to run it.
const SCENARIO: &str = "TLS_SRP_L05_SCENARIO";

/// The second is not ASCII and changes by SASLprep, so it passes through the code that prepares it.
const PASSWORDS: [&str; 2] =
    ["wherefore art thou Romeo?", "\u{2168} r\u{e9}sum\u{e9}s and a \u{fb01}ne rose by any other name"];
const WRONG: &str = "a plague on both your houses";

/// Random bytes that both processes can make, and that leave no copy behind.
struct InPlace(u64);

impl Random for InPlace {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(())
    }
}

fn client_with(password: &str) -> ClientSession {
    let config = ClientConfig::new(credentials(password));
    ClientSession::new(config, Box::new(InPlace(1))).unwrap()
}

fn server_with(password: &str) -> ServerSession {
    let config = ServerConfig::new(credentials(password));
    ServerSession::new(config, Box::new(InPlace(2))).unwrap()
}

/// What the other process does. What it gives back stays alive until its memory has been read.
fn play(scenario: &str) -> Box<dyn Any> {
    let connected = |password: &str| {
        let (mut client, mut server) = (client_with(password), server_with(password));
        connect(&mut client, &mut server);
        let (mut record, mut secret) = (Vec::new(), [0; 32]);
        client.write(&[7; 40_000], &mut record).unwrap();
        assert_eq!(server.take(&record).plaintext.len(), 40_000);
        server.export_keying_material(&mut secret, b"EXPORTER-Channel-Binding", Some(&[])).unwrap();
        (client, server)
    };
    match scenario {
        "closed" => {
            let (mut client, mut server) = connected(PASSWORDS[0]);
            let mut record = Vec::new();
            client.close(&mut record);
            let answer = server.take(&record).quiet();
            let _ = client.take(&answer).quiet();
            Box::new((client, server))
        }
        "dropped" => {
            drop(connected(PASSWORDS[1]));
            Box::new(())
        }
        "wrong password" => {
            let (mut client, mut server) = (client_with(WRONG), server_with(PASSWORDS[0]));
            let hello = client.take(&[]).quiet();
            let flight = server.take(&hello).quiet();
            let answer = client.take(&flight).quiet();
            let alert = server.take(&answer);
            assert!(alert.result.is_err());
            assert!(client.take(&alert.records).result.is_err());
            Box::new((client, server))
        }
        "handshake broken off" => {
            let (mut client, mut server) = (client_with(PASSWORDS[0]), server_with(PASSWORDS[0]));
            let hello = client.take(&[]).quiet();
            let flight = server.take(&hello).quiet();
            let _ = client.take(&flight).quiet();
            // A = 0 for the server.
            assert!(server.take(&plain(22, &message(16, &[0, 1, 0]))).result.is_err());
            drop(client);
            Box::new(server)
        }
        "broken record" => {
            let (client, mut server) = connected(PASSWORDS[0]);
            assert!(server.take(&plain(23, &[0; 64])).result.is_err());
            drop(client);
            Box::new(server)
        }
        // What the search must find.
        "alive" => {
            let (mut client, mut server) = (client_with(PASSWORDS[0]), server_with(PASSWORDS[0]));
            let hello = client.take(&[]).quiet();
            let _ = server.take(&hello).quiet();
            Box::new((connected(PASSWORDS[0]), client, server))
        }
        "careless" => {
            let mut random = InPlace(2);
            random.fill(&mut [0; 48]).unwrap();
            // In the middle of a block that nobody asks for again.
            let mut block = vec![0; 5000];
            random.fill(&mut block[2000..2032]).unwrap();
            black_box(&block);
            drop(block);
            careless(InPlace(1));
            Box::new(())
        }
        _ => unreachable!("no scenario has this name"),
    }
}

/// Leaves a on the stack, so deep that what is called next does not reach it.
#[inline(never)]
fn careless(mut random: InPlace) {
    let mut stack = [0; 16 << 10];
    random.fill(&mut stack[..64]).unwrap();
    black_box(&stack);
}

/// Bytes of the stack that are painted before a scenario, to see how deep it went.
const PAINTED: usize = 256 << 10;
const PAINT: u8 = 0xA5;

#[inline(never)]
fn paint() {
    let mut stack = [0_u64; PAINTED / 8];
    // As `Zeroize` does it: these writes are not left out either.
    stack.zeroize();
    black_box(&mut stack).fill(u64::from_ne_bytes([PAINT; 8]));
    black_box(&stack);
}

/// The other process: plays, says where its stack is, and waits.
fn perform(scenario: &str) {
    paint();
    let rest = black_box(play)(scenario);
    let here = 0_u8;
    writeln!(std::io::stdout(), "\nscan {}", (&raw const here).addr()).unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    drop(rest);
}

/// A process that has played a scenario and waits.
struct Stage {
    process: Child,
    output: BufReader<ChildStdout>,
    stack: u64,
}

impl Stage {
    fn set(scenario: &str) -> Self {
        let test = "tests::memory::l05_nothing_secret_is_left_in_memory_however_a_session_ends";
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(SCENARIO, scenario)
            // A small block that is freed keeps more of what was in it.
            .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let lines = output.by_ref().lines().map(Result::unwrap);
        let stack = lines.take(100).find_map(|line| line.strip_prefix("scan ").map(|address| address.parse().unwrap()));
        let stack = stack.unwrap_or_else(|| panic!("{scenario}: {:?}", process.wait()));
        Self { process, output, stack }
    }

    /// Every region of memory that the process can write to, with its address.
    fn memory(&self) -> Vec<(u64, Vec<u8>)> {
        let number = self.process.id();
        let mut memory = File::open(format!("/proc/{number}/mem")).unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{number}/maps")).unwrap();
        let writable =
            maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")));
        writable
            .map(|line| {
                let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
                let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
                let mut bytes = vec![0; (end - start) as usize];
                memory.seek(SeekFrom::Start(start)).unwrap();
                memory.read_exact(&mut bytes).unwrap();
                (start, bytes)
            })
            .collect()
    }

    /// The end of the painted stack, from `depth` on: whether the paint is still on it.
    fn painted_from(&self, depth: usize) -> bool {
        let bottom = self.stack - (PAINTED - 4096) as u64;
        let memory = self.memory();
        let (start, bytes) = memory.iter().rfind(|(start, _)| *start <= bottom).unwrap();
        let place = (bottom - start) as usize;
        let zone = &bytes[place..(self.stack - start) as usize - depth];
        zone.len() > PAINTED / 2 && zone.iter().all(|byte| *byte == PAINT)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.output.read_to_end(&mut Vec::new());
        let _ = self.process.wait();
    }
}

/// Bytes of a secret that count as the secret. In a freed block the first 16 may be the allocator's.
const PIECE: usize = 8;

/// Pieces of secrets, by what they are pieces of.
struct Secrets {
    pieces: HashMap<[u8; PIECE], &'static str>,
    /// The first two bytes of each, which are compared first.
    starts: Vec<bool>,
}

fn start(piece: &[u8]) -> usize {
    usize::from(u16::from_ne_bytes([piece[0], piece[1]]))
}

impl Secrets {
    /// Those of a session between these two, who may have different passwords.
    fn new(client_password: &str, server_password: &str) -> Self {
        let (mut client, mut server) = (client_with(client_password), server_with(server_password));
        let hello = client.take(&[]).quiet();
        let flight = server.take(&hello).quiet();
        let answer = client.take(&flight).quiet();
        let [server_hello, exchange, _] = &messages(&flight)[..] else { panic!("three messages") };
        let client_exchange = messages(&answer).concat();

        let parameters = ServerKeyExchange::read(&exchange[4..]).unwrap();
        let group = Group::Rfc5054N3072.parameters();
        let b_public = PublicValue::parse(parameters.b, group).unwrap();
        let a = ClientKeyExchange::read(&client_exchange[4..]).unwrap().a;
        let a_public = PublicValue::parse(a, group).unwrap();
        let private = |mut random: InPlace, before: usize| {
            random.fill(&mut vec![0; before]).unwrap();
            let mut value: PrivateValue = wiped();
            random.fill(value.as_mut_slice()).unwrap();
            value
        };
        let (a, b) = (private(InPlace(1), 32), private(InPlace(2), 48));

        let mut secrets = Self { pieces: HashMap::new(), starts: vec![false; 1 << 16] };
        secrets.add("a", a.as_slice());
        secrets.add("b", b.as_slice());
        let hash = Sha256::digest([&hello[5..], server_hello, exchange, &[14, 0, 0, 0], &client_exchange].concat());
        let randoms = [&hello[11..43], &server_hello[6..38]];
        for password in BTreeSet::from([client_password, server_password]) {
            let credentials = credentials(password);
            let inner = Sha1::digest(format!("{NAME}:{}", credentials.password()));
            secrets.add("SHA1(I:P)", &inner);
            secrets.add("password", credentials.password().as_bytes());
            let x = PrivateKey::new(parameters.salt, &credentials);
            for (name, value) in intermediate_values(group, &x, (&a, &b), (&a_public, &b_public)) {
                secrets.add(name, &value);
                // The premaster secret is S, as it goes into the key derivation.
                if name.starts_with("S of") {
                    secrets.add_keys(&value[..value.len() / 2], &hash, randoms);
                }
            }
        }
        secrets
    }

    /// What is derived from a premaster secret.
    fn add_keys(&mut self, premaster: &[u8], hash: &[u8], [client_random, server_random]: [&[u8]; 2]) {
        let premaster = &premaster[premaster.iter().take_while(|byte| **byte == 0).count()..];
        self.add_hmac_sha256("HMAC keyed with the premaster secret", premaster);
        let master = p_sha256(premaster, &[b"extended master secret", hash].concat(), 48);
        self.add("master secret", &master);
        self.add_hmac_sha256("HMAC keyed with the master secret", &master);
        let block = p_sha256(&master, &[b"key expansion", server_random, client_random].concat(), 104);
        self.add("key block", &block);
        for key in [&block[..20], &block[20..40]] {
            let mut padded = [0; 64];
            padded[..20].copy_from_slice(key);
            for pad in [0x36, 0x5C] {
                let state = Sha1::new().chain_update(padded.map(|byte| byte ^ pad)).serialize();
                self.add("MAC key, hashed", &state[..20]);
            }
        }
    }

    fn add_hmac_sha256(&mut self, name: &'static str, key: &[u8]) {
        let mut padded = [0; 64];
        match key.len() {
            ..=64 => padded[..key.len()].copy_from_slice(key),
            _ => padded[..32].copy_from_slice(&Sha256::digest(key)),
        }
        for pad in [0x36, 0x5C] {
            let state = Sha256::new().chain_update(padded.map(|byte| byte ^ pad)).serialize();
            self.add(name, &state[..32]);
        }
    }

    /// Forwards and backwards, since numbers are kept by their lowest digits first.
    fn add(&mut self, name: &'static str, secret: &[u8]) {
        let backwards: Vec<u8> = secret.iter().rev().copied().collect();
        for piece in secret.windows(PIECE).chain(backwards.windows(PIECE)) {
            // Zeros at the end of a number are everywhere.
            if piece.iter().filter(|byte| **byte == 0).count() < 3 {
                self.pieces.insert(piece.try_into().unwrap(), name);
                self.starts[start(piece)] = true;
            }
        }
    }

    /// The names of those that are in memory.
    fn found(&self, stage: &Stage) -> BTreeSet<&'static str> {
        let memory = stage.memory();
        let pieces = memory.iter().flat_map(|(_, bytes)| bytes.windows(PIECE));
        pieces.filter(|piece| self.starts[start(piece)]).filter_map(|piece| self.pieces.get(piece).copied()).collect()
    }
}

/// RFC 5246 § 5, once more.
fn p_sha256(secret: &[u8], seed: &[u8], length: usize) -> Vec<u8> {
    let hmac = |parts: &[&[u8]]| -> Vec<u8> {
        let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().to_vec()
    };
    let (mut out, mut a) = (Vec::new(), hmac(&[seed]));
    while out.len() < length {
        out.extend(hmac(&[&a, seed]));
        a = hmac(&[&a]);
    }
    out.truncate(length);
    out
}

/// Row L5. The search is shown to find what is there: in sessions that are alive, and in what a careless program leaves in
/// freed memory and on its stack.
#[test]
fn l05_nothing_secret_is_left_in_memory_however_a_session_ends() {
    if let Ok(scenario) = std::env::var(SCENARIO) {
        return perform(&scenario);
    }
    let [honest, prepared] = PASSWORDS.map(|password| Secrets::new(password, password));
    let wrong = Secrets::new(WRONG, PASSWORDS[0]);

    let alive = honest.found(&Stage::set("alive"));
    for secret in ["password", "x", "b", "master secret", "key block", "MAC key, hashed"] {
        assert!(alive.contains(secret), "{secret} is not found in a live session: {alive:?}");
    }
    let careless = honest.found(&Stage::set("careless"));
    assert_eq!(careless, BTreeSet::from(["a", "b"]));

    for (scenario, secrets) in [
        ("closed", &honest),
        ("dropped", &prepared),
        ("wrong password", &wrong),
        ("handshake broken off", &honest),
        ("broken record", &honest),
    ] {
        let stage = Stage::set(scenario);
        assert_eq!(secrets.found(&stage), BTreeSet::new(), "{scenario}");
        // What is overwritten reaches below what was used: deeper down nobody was.
        assert!(stage.painted_from(40 << 10), "{scenario}");
    }
}
