//! Rows 8, 8b and 9: TLS-SRP beside OpenSSL's, which a process of its own drives from C.

use std::{cell::RefCell, hint::black_box, sync::Arc};

use rustls::crypto::CryptoProvider;
use tls_srp::{
    CipherSuite, ClientConfig, ClientSession, Credentials, Group, Random, RandomFailed, ServerConfig, ServerSession,
};
use xtls::tls::default_provider;

use crate::{
    args::Part,
    clock,
    failure::{Failure, Missing, measured},
    part,
    plan::Plan,
    references::{helper::Helper, openssl::OpenSsl},
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, Subject, float, speed},
};

/// The groups that are measured, with the gates of rows 8.
const GROUPS: [(Group, f64); 2] = [(Group::Rfc5054N2048, 0.9), (Group::Rfc5054N3072, 0.85)];

/// Bytes of a write of row 9: one full record.
const WRITE: usize = 1 << 14;

/// Measures those of rows 8, 8b and 9 that are wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let needs_openssl = plan.wants(Row::Srp) || plan.wants(Row::SrpBulk);
    let openssl = if needs_openssl { OpenSsl::compile() } else { Err(Missing::new("not asked for")) };
    let helper = |group: Group| openssl.as_ref().map_err(Clone::clone).and_then(|it| it.start(group.bits()));
    let mut lines = Vec::new();
    if plan.wants(Row::Srp) {
        for (group, gate) in GROUPS {
            let name = format!("handshakes / OpenSSL's, {} bits", group.bits());
            let target = Target::new(Row::Srp, name, Unit::Speed, gate, 1.0);
            let found = helper(group).map(|helper| handshakes(plan, group, helper));
            lines.push(target.line(measured(found)?));
        }
    }
    if plan.wants(Row::FirstSrp) {
        for (group, _) in GROUPS {
            let name = format!("first handshake of a process / a later one, {} bits", group.bits());
            let target = Target::new(Row::FirstSrp, name, Unit::Time, 1.3, 1.1);
            lines.push(target.line(Ok(first_handshakes(plan, group)?)));
        }
    }
    if plan.wants(Row::SrpBulk) {
        let target = Target::new(Row::SrpBulk, "bytes / OpenSSL's, writes of 16384", Unit::Speed, 1.0, 1.3);
        let found = helper(Group::Rfc5054N2048).map(|helper| bulk(plan, helper));
        lines.push(target.line(measured(found)?));
    }
    Ok(lines)
}

/// What a process of its own measures for row 8b: the seconds of its first handshake, and of a later one.
pub(crate) fn first_and_later(bits: u16) -> Result<String, Failure> {
    let group = GROUPS.iter().map(|entry| entry.0).find(|group| group.bits() == u32::from(bits));
    let group = group.ok_or_else(|| Failure::new(format!("there is no group of {bits} bits here")))?;
    // aws-lc collects entropy for some 50 ms before its first random number, whatever that is for.
    System::default().fill(&mut [0]).map_err(|_| Failure::new("no random numbers"))?;
    let once = || clock::seconds(|| drop(black_box(connect(group))));
    let first = once();
    let later: Vec<f64> = (0..9).map(|_| once()).collect();
    Ok(format!("{first:.9} {:.9}", Quartiles::of(&later).median))
}

fn handshakes(plan: &Plan, group: Group, helper: Helper) -> Result<Quartiles, Failure> {
    let helper = RefCell::new(helper);
    let mut subjects = [
        Subject::new("ours", || drop(black_box(connect(group)))),
        Subject::timed("OpenSSL", |count| helper.borrow_mut().ask(&format!("handshake {count}"))),
    ];
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        plan.note(format!("SRP, {} bits: {} {:.0} us", group.bits(), subject.name(), subject.median() * 1e6));
    }
    Ok(speed(subjects[0].samples(), subjects[1].samples()))
}

fn first_handshakes(plan: &Plan, group: Group) -> Result<Quartiles, Failure> {
    let bits = u16::try_from(group.bits()).map_err(Failure::new)?;
    let mut ratios = Vec::new();
    for _ in 0..plan.processes() {
        let figures = part::run(&Part::FirstSrp { bits })?;
        let [first, later] = figures[..] else { return Err(Failure::new("two figures were expected")) };
        ratios.push(first / later);
        plan.note(format!("SRP, {bits} bits: first {:.0} us, later {:.0} us", first * 1e6, later * 1e6));
    }
    Ok(Quartiles::of(&ratios))
}

fn bulk(plan: &Plan, helper: Helper) -> Result<Quartiles, Failure> {
    let helper = RefCell::new(helper);
    let (mut client, mut server) = connect(Group::Rfc5054N2048);
    let plain: Vec<u8> = vec![b'x'; WRITE];
    let (mut wire, mut heard, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    let mut subjects = [
        Subject::new("ours", || {
            wire.clear();
            heard.clear();
            client.write(black_box(&plain), &mut wire).expect("the session is open");
            server.read(&wire, &mut heard, &mut answer).expect("the records are authentic");
            assert_eq!(heard.len(), WRITE, "all of it is decrypted");
        }),
        Subject::timed("OpenSSL", |count| helper.borrow_mut().ask(&format!("bulk {WRITE} {count}"))),
    ];
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        let rate = float(WRITE) / subject.median() / 1e6;
        plan.note(format!("SRP, bytes: {} {rate:.0} MB/s", subject.name()));
    }
    let found = speed(subjects[0].samples(), subjects[1].samples());
    drop(subjects);
    assert!(heard == plain && answer.is_empty(), "what comes is what was sent");
    Ok(found)
}

/// A whole handshake, both ends, under the cipher suite that OpenSSL has too.
fn connect(group: Group) -> (ClientSession, ServerSession) {
    let credentials = Credentials::new("juliet", "correct horse").expect("sound credentials");
    let mut config = ClientConfig::new(credentials.clone());
    config.suites = vec![CipherSuite::TlsSrpShaWithAes128CbcSha];
    let mut client = ClientSession::new(config, Box::new(System::default())).expect("a client");
    let mut config = ServerConfig::new(credentials);
    config.group = group;
    let mut server = ServerSession::new(config, Box::new(System::default())).expect("a server");
    let (mut to_server, mut to_client, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    while client.is_handshaking() || server.is_handshaking() {
        client.read(&to_client, &mut plain, &mut to_server).expect("the password is right");
        to_client.clear();
        server.read(&to_server, &mut plain, &mut to_client).expect("the password is right");
        to_server.clear();
    }
    assert_eq!(client.group(), Some(group));
    assert_eq!(client.cipher_suite(), Some(CipherSuite::TlsSrpShaWithAes128CbcSha));
    (client, server)
}

/// The random numbers of aws-lc, as in the engine.
struct System(Arc<CryptoProvider>);

impl Default for System {
    fn default() -> Self {
        Self(default_provider())
    }
}

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        self.0.secure_random.fill(out).map_err(|_| RandomFailed)
    }
}
