//! One session with a foreign stack: what `tests/srp-interop/run` drives.
//!
//! ```text
//! peer serve PORT NAME PASSWORD SUITE BITS       echo until close_notify
//! peer connect PORT NAME PASSWORD SUITE TEXT     say TEXT, expect it back, close
//! ```
//!
//! SUITE is 128 or 256. The first line of output says what was negotiated, the last `closed` or why not.
#![allow(clippy::print_stdout)] // It is a command.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use tls_srp::{
    CipherSuite, ClientConfig, ClientSession, Credentials, Group, Random, RandomFailed, ServerConfig, ServerSession,
};

struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match *arguments {
        ["serve", port, name, password, suite, bits] => serve(port, name, password, suite, bits),
        ["connect", port, name, password, suite, text] => connect(port, name, password, suite, text.as_bytes()),
        _ => Err("usage: see the source".into()),
    };
    match outcome {
        Ok(()) => {
            println!("closed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn suite(name: &str) -> Outcome<Vec<CipherSuite>> {
    match name {
        "128" => Ok(vec![CipherSuite::TlsSrpShaWithAes128CbcSha]),
        "256" => Ok(vec![CipherSuite::TlsSrpShaWithAes256CbcSha]),
        _ => Err("no such suite".into()),
    }
}

/// Both session types have these methods.
macro_rules! describe {
    ($session:expr) => {{
        let (mut empty, mut absent) = ([0; 32], [0; 32]);
        let label = b"EXPORTER-Channel-Binding";
        $session.export_keying_material(&mut empty, label, Some(b""))?;
        $session.export_keying_material(&mut absent, label, None)?;
        let hex = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
        println!(
            "{} group={} exporter={} exporter_without_context={}",
            $session.cipher_suite().map_or("?", CipherSuite::name),
            $session.group().map_or(0, Group::bits),
            hex(empty),
            hex(absent),
        );
    }};
}

/// Reads once, and gives what it must answer before it passes a fault on.
macro_rules! receive {
    ($session:expr, $stream:expr, $plaintext:expr) => {{
        let mut input = [0; 4096];
        let count = $stream.read(&mut input)?;
        if count == 0 {
            $session.end_of_input()?;
        }
        let mut records = Vec::new();
        let result = $session.read(&input[..count], $plaintext, &mut records);
        if result.is_err() {
            $stream.write_all(&records)?;
        }
        result?;
        records
    }};
}

fn serve(port: &str, name: &str, password: &str, suites: &str, bits: &str) -> Outcome<()> {
    let bits: u32 = bits.parse()?;
    let mut config = ServerConfig::new(Credentials::new(name, password)?);
    config.suites = suite(suites)?;
    let mut groups = Group::ALL.into_iter();
    config.group = groups.find(|group| group.bits() == bits).ok_or("no such group")?;
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    println!("listening");
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut session = ServerSession::new(config, Box::new(System))?;
    let mut described = false;
    while !session.peer_closed() {
        let mut plaintext = Vec::new();
        let mut records = receive!(session, stream, &mut plaintext);
        if !described && !session.is_handshaking() {
            described = true;
            describe!(session);
        }
        if !plaintext.is_empty() && !session.peer_closed() {
            session.write(&plaintext, &mut records)?;
        }
        stream.write_all(&records)?;
    }
    Ok(())
}

fn connect(port: &str, name: &str, password: &str, suites: &str, text: &[u8]) -> Outcome<()> {
    let mut config = ClientConfig::new(Credentials::new(name, password)?);
    config.suites = suite(suites)?;
    let mut session = ClientSession::new(config, Box::new(System))?;
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut heard, mut records) = (Vec::new(), Vec::new());
    session.read(&[], &mut heard, &mut records)?;
    stream.write_all(&records)?;
    while session.is_handshaking() {
        records = receive!(session, stream, &mut heard);
        stream.write_all(&records)?;
    }
    describe!(session);
    records.clear();
    session.write(text, &mut records)?;
    stream.write_all(&records)?;
    while heard.len() < text.len() {
        records = receive!(session, stream, &mut heard);
        stream.write_all(&records)?;
    }
    if heard != text {
        return Err("the echo differs".into());
    }
    records.clear();
    session.close(&mut records);
    stream.write_all(&records)?;
    while !session.peer_closed() {
        let _ = receive!(session, stream, &mut heard);
    }
    if heard != text {
        return Err("data after the end".into());
    }
    Ok(())
}
