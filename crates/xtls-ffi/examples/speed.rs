//! Bytes through the C interface, in memory, beside the bare engine: `cargo run --release -p xtls-ffi --example speed`.
//!
//! Both do the same: two ends on one thread, a tunnel of raw bytes, a mebibyte in writes of 64 KiB, 32 blocks on their way, every stanza
//! handed to the other end, every event taken; and what comes is collected in one buffer of the application's. C has two ways to get a
//! stanza: copied into a buffer of its own, and lent. All take turns, 63 rounds of 20 ms of the processor or so each, seven in each of nine layouts of
//! memory, on which a copy depends; a figure is the median of the quotients
//! within the rounds, with its quartiles. `speed bare`, `copied` and `lent` do one of them, for a profiler. With `--check` it ends with status 1 if one of what is lent is below 0.95.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and says what")]

use std::ffi::{CStr, CString, c_char, c_long};
use std::process::ExitCode;
use std::time::Instant;

use xtls::config::Window;
use xtls::jid::FullJid;
use xtls::tls::{KeyAlgorithm, UnixTime};
use xtls::trust::{MemoryTrustStore, Pin};
use xtls::{Application, Config, Engine, Event, Identity, Local, Setup, TrustPolicy, TunnelId, TunnelOptions};
use xtls_ffi::{
    XTLS_BUFFER_SIZE, XTLS_IDENTITY_SIZE, XtlsEvent, XtlsHandled, XtlsSetting, XtlsSetup, xtls_accept,
    xtls_engine_free, xtls_engine_new, xtls_handle_stanza, xtls_identity_fingerprint, xtls_identity_generate,
    xtls_initiate, xtls_lend_transmit, xtls_pin, xtls_poll_event, xtls_poll_transmit, xtls_read, xtls_write,
};

const WRITE: usize = 64 * 1024;
const ALL: usize = 16 * WRITE;
const ROUNDS: usize = 7;
const LAYOUTS: usize = 9;
const JIDS: [&CStr; 2] = [c"romeo@montague.example/orchard", c"juliet@capulet.example/balcony"];

fn main() -> ExitCode {
    let content: Vec<u8> = (0..ALL).map(|at| u8::try_from(at * 7 % 251).unwrap_or_default()).collect();
    if let Some(only) = std::env::args().nth(1).filter(|only| only != "--check") {
        return alone(&only, &content);
    }
    let mut is_fast = true;
    for block in [4096, 32_760] {
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        for layout in 0..LAYOUTS {
            measure(block, layout, &content, &mut samples);
        }
        let [bare, copied, lent] = &samples;
        let rate = |times: &[f64]| 1_048_576.0 / quartiles(times.to_vec())[1] / 1e6;
        for (name, c) in [("copied", copied), ("lent", lent)] {
            let [q1, median, q3] = quartiles(bare.iter().zip(c).map(|(bare, c)| bare / c).collect());
            println!(
                "blocks of {block}, stanzas {name}: C / bare engine {median:.3} [{q1:.3}..{q3:.3}] ({:.0} beside {:.0} MB/s)",
                rate(c),
                rate(bare)
            );
            is_fast &= median >= 0.95 || name == "copied";
        }
    }
    if is_fast || !std::env::args().any(|argument| argument == "--check") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One of them and nothing else, for a profiler: `bare`, `copied` or `lent`.
fn alone(only: &str, content: &[u8]) -> ExitCode {
    let (mut bare, mut c) = (Bare::new(32_760), C::new(32_760, only == "lent"));
    let took = seconds(|| (0..2000).for_each(|_| if only == "bare" { bare.send(content) } else { c.send(content) }));
    println!("{only}: {:.0} MB/s", 2000.0 * 1.048_576 / took);
    ExitCode::SUCCESS
}

/// Lets all three take turns, in memory that lies somewhere else in each layout.
fn measure(block: u16, layout: usize, content: &[u8], samples: &mut [Vec<f64>; 3]) {
    let moved = |by: usize| vec![1_u8; (layout * 3 + by) * 1808 + 16];
    let pads = [moved(0), moved(1), moved(2)];
    let mut bare = Bare::new(block);
    let mut copied = C::new(block, false);
    let mut lent = C::new(block, true);
    let mut send = |subject: usize| match subject {
        0 => bare.send(content),
        1 => copied.send(content),
        _ => lent.send(content),
    };
    (0..3).for_each(&mut send);
    let times = (0.02 / seconds(|| send(0))).max(1.0);
    for round in 0..ROUNDS {
        for turn in 0..3 {
            let subject = (round + turn) % 3;
            send(subject);
            let mut done = 0.0;
            let took = seconds(|| {
                while done < times {
                    send(subject);
                    done += 1.0;
                }
            });
            samples[subject].push(took / done);
        }
    }
    assert!(bare.got == content && copied.got == content && lent.got == content, "every byte is what was sent");
    drop(pads);
}

unsafe extern "C" {
    /// What the processor has spent on this program, in microseconds (POSIX): other programs do not count.
    safe fn clock() -> c_long;
}

#[allow(clippy::as_conversions, reason = "no count here comes near 2^53")]
fn seconds(work: impl FnOnce()) -> f64 {
    let start = clock();
    work();
    (clock() - start) as f64 / 1e6
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarters| values[quarters * (values.len() - 1) / 4])
}

/// Two engines as a Rust program has them.
struct Bare {
    ends: [Engine; 2],
    ids: [TunnelId; 2],
    now: Instant,
    stanza: Vec<u8>,
    got: Vec<u8>,
}

impl Bare {
    fn new(block: u16) -> Self {
        let (now, time) = (Instant::now(), UnixTime::now());
        let who = JIDS.map(|jid| {
            let jid: FullJid = jid.to_str().expect("UTF-8").parse().expect("a full JID");
            let identity = Identity::generate(&jid.to_bare(), KeyAlgorithm::default(), time).expect("a key");
            (jid, identity)
        });
        let mut ends = [0, 1].map(|end| {
            let ((jid, identity), (peer, of)) = (who[end].clone(), &who[1 - end]);
            let mut store = MemoryTrustStore::default();
            store.pin(&peer.to_bare(), Pin::manual(of.fingerprint_sha256()));
            let mut config = Config::default();
            config.block_size = block;
            config.window = Window::Fixed(32);
            (config.receive_buffer, config.send_buffer, config.stamp_from) = (4 << 20, 1 << 20, true);
            let setup = Setup::new(Local::new(jid, identity), Box::new(store), [7; 32], time).with_config(config);
            Engine::new(setup, now).expect("an engine")
        });
        let mut options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
        options.check_support = false;
        let his = ends[0].initiate(now, who[1].0.clone(), options.clone()).expect("an offer");
        let mut pair = Self { ends, ids: [his; 2], now, stanza: Vec::new(), got: Vec::new() };
        pair.settle(&options);
        pair
    }

    fn settle(&mut self, options: &TunnelOptions) {
        let mut stanza = std::mem::take(&mut self.stanza);
        loop {
            let mut moved = false;
            for end in [0, 1] {
                while self.ends[end].poll_transmit_bytes(self.now, &mut stanza).is_some() {
                    drop(self.ends[1 - end].handle_stanza_bytes(self.now, &stanza));
                    stanza.clear();
                    moved = true;
                }
                while let Some(event) = self.ends[end].poll_event() {
                    moved = true;
                    if let Event::Incoming(offer) = event {
                        self.ids[end] = self.ends[end].accept(self.now, offer, options.clone()).expect("it stands");
                    }
                }
            }
            if !moved {
                self.stanza = stanza;
                return;
            }
        }
    }

    fn send(&mut self, content: &[u8]) {
        let options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
        self.got.clear();
        for part in content.chunks(WRITE) {
            let mut rest = part;
            while !rest.is_empty() {
                let mut his = self.ends[0].tunnel(self.ids[0]).expect("it is open");
                rest = &rest[his.write(self.now, rest).expect("written")..];
                self.settle(&options);
                let mut hers = self.ends[1].tunnel(self.ids[1]).expect("it is open");
                hers.read(self.now, &mut self.got);
            }
        }
    }
}

/// The same as a program in C has them.
struct C {
    ends: [u64; 2],
    ids: [u64; 2],
    buffer: Vec<u8>,
    texts: Vec<c_char>,
    got: Vec<u8>,
    lends: bool,
}

impl Drop for C {
    fn drop(&mut self) {
        self.ends.into_iter().for_each(|engine| assert!(did(xtls_engine_free(engine))));
    }
}

/// What a call has done, which is what it was made for, or nothing at the moment.
fn did(code: i32) -> bool {
    assert!(code == 0 || code == 9, "code {code}");
    code == 0
}

impl C {
    const TRUST: [XtlsSetting; 3] = [
        XtlsSetting { name: c"trust".as_ptr(), value: c"pinned".as_ptr() },
        XtlsSetting { name: c"application".as_ptr(), value: c"bytes".as_ptr() },
        XtlsSetting { name: c"check_support".as_ptr(), value: c"false".as_ptr() },
    ];

    fn new(block: u16, lends: bool) -> Self {
        let block = CString::new(block.to_string()).expect("a number");
        let settings = [
            (c"block_size", block.as_c_str()),
            (c"window", c"32"),
            (c"receive_buffer", c"4194304"),
            (c"send_buffer", c"1048576"),
            (c"stamp_from", c"true"),
        ];
        let settings = settings.map(|(name, value)| XtlsSetting { name: name.as_ptr(), value: value.as_ptr() });
        let (mut ends, mut ids) = ([0; 2], [0; 2]);
        let mut pems = [[0; XTLS_IDENTITY_SIZE]; 2];
        let mut length = 0;
        for (end, pem) in pems.iter_mut().enumerate() {
            let (jid, kind) = (JIDS[end].as_ptr(), c"ecdsa-p256".as_ptr());
            // SAFETY: texts of C, and a buffer of the size that is said, all of which live longer.
            let made = unsafe {
                xtls_identity_generate(jid, kind, 1_760_000_000, pem.as_mut_ptr(), pem.len(), &raw mut length)
            };
            assert!(did(made));
            let setup = XtlsSetup {
                size: size_of::<XtlsSetup>(),
                jid,
                identity: pem.as_ptr(),
                store_path: std::ptr::null(),
                store: std::ptr::null(),
                authorities: std::ptr::null(),
                settings: settings.as_ptr(),
                settings_count: settings.len(),
                unix_time: 1_760_000_000,
                now: 0,
                log: None,
                log_user: std::ptr::null_mut(),
                log_level: 0,
            };
            // SAFETY: everything that the setup points to lives longer.
            let made = unsafe { xtls_engine_new(&raw const setup, &raw mut ends[end]) };
            assert!(did(made));
        }
        for end in [0, 1] {
            let mut print = [0; 128];
            let pem = pems[1 - end].as_ptr();
            // SAFETY: a text of C, and a buffer of the size that is said.
            assert!(did(unsafe { xtls_identity_fingerprint(pem, print.as_mut_ptr(), print.len(), &raw mut length) }));
            // SAFETY: two texts of C.
            assert!(did(unsafe { xtls_pin(ends[end], JIDS[1 - end].as_ptr(), print.as_ptr()) }));
        }
        // SAFETY: a text of C, three settings of such, and a place for the id.
        assert!(did(unsafe { xtls_initiate(ends[0], 0, JIDS[1].as_ptr(), Self::TRUST.as_ptr(), 3, &raw mut ids[0]) }));
        let mut pair = Self {
            lends,
            ends,
            ids,
            buffer: vec![0; XTLS_BUFFER_SIZE],
            texts: vec![0; XTLS_BUFFER_SIZE],
            got: vec![0; ALL],
        };
        pair.settle();
        pair
    }

    fn settle(&mut self) {
        let mut handled = XtlsHandled { disposition: 0, refusal: 0 };
        let mut length = 0;
        // SAFETY: zeros are a struct of null pointers, numbers and falses.
        let mut event: XtlsEvent = unsafe { std::mem::zeroed() };
        event.size = size_of::<XtlsEvent>();
        loop {
            let mut moved = false;
            for end in [0, 1] {
                while let Some((stanza, length)) = self.next_stanza(end) {
                    // SAFETY: so many bytes are there, and stay until the next call of this end.
                    let code = unsafe { xtls_handle_stanza(self.ends[1 - end], 0, stanza, length, &raw mut handled) };
                    assert!(did(code));
                    moved = true;
                }
                let (texts, size) = (self.texts.as_mut_ptr(), self.texts.len());
                // SAFETY: a struct with its size, a buffer of the size that is said, and a place for the length.
                while did(unsafe { xtls_poll_event(self.ends[end], &raw mut event, texts, size, &raw mut length) }) {
                    moved = true;
                    if event.kind == 1 {
                        self.ids[end] = event.id;
                        // SAFETY: settings of texts of C.
                        assert!(did(unsafe { xtls_accept(self.ends[end], 0, event.id, Self::TRUST.as_ptr(), 1) }));
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// The next stanza of this end: where it is, and its length.
    fn next_stanza(&mut self, end: usize) -> Option<(*const c_char, usize)> {
        let (mut start, mut length) = (std::ptr::null(), 0);
        if self.lends {
            // SAFETY: places for a pointer and a length.
            let code = unsafe { xtls_lend_transmit(self.ends[end], 0, &raw mut start, &raw mut length) };
            return did(code).then_some((start, length));
        }
        let (buffer, size) = (self.buffer.as_mut_ptr().cast::<c_char>(), self.buffer.len());
        // SAFETY: a buffer of the size that is said, and a place for the length.
        let code = unsafe { xtls_poll_transmit(self.ends[end], 0, buffer, size, &raw mut length) };
        did(code).then_some((buffer.cast_const(), length))
    }

    fn send(&mut self, content: &[u8]) {
        let (mut read, mut count) = (0, 0);
        for part in content.chunks(WRITE) {
            let mut rest = part;
            while !rest.is_empty() {
                // SAFETY: so many bytes, and a place for the count.
                let code =
                    unsafe { xtls_write(self.ends[0], 0, self.ids[0], rest.as_ptr(), rest.len(), &raw mut count) };
                assert!(did(code));
                rest = &rest[count..];
                self.settle();
                let room = &mut self.got[read..];
                let (place, size) = (room.as_mut_ptr(), room.len());
                // SAFETY: a buffer of the size that is said, and a place for the count.
                assert!(did(unsafe { xtls_read(self.ends[1], 0, self.ids[1], place, size, &raw mut count) }));
                read += count;
            }
        }
        assert_eq!(read, content.len());
    }
}
