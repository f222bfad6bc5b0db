//! A password-authenticated echo over TCP.
//!
//! ```sh
//! cargo run -p tls-srp --example echo -- serve 127.0.0.1:4433 juliet wherefore
//! cargo run -p tls-srp --example echo -- connect 127.0.0.1:4433 juliet wherefore "Good night"
//! ```
//!
//! The server takes one client after the other, sends back what it gets, and says how each session ended. Passwords on a
//! command line are for examples alone.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is a command.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use tls_srp::{ClientConfig, ClientSession, Credentials, Random, RandomFailed, ServerConfig, ServerSession};

/// The operating system's random bytes.
struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["serve", address, name, password] => serve(address, name, password),
        ["connect", address, name, password, text] => connect(address, name, password, text),
        _ => Err("usage: echo serve ADDRESS NAME PASSWORD | connect ADDRESS NAME PASSWORD TEXT".into()),
    }
}

fn serve(address: &str, name: &str, password: &str) -> Result<(), Box<dyn Error>> {
    let config = ServerConfig::new(Credentials::new(name, password)?);
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let session = ServerSession::new(config.clone(), Box::new(System))?;
        match echo(stream?, session) {
            Ok(()) => println!("closed"),
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}

/// Echoes until the client says that it is done.
fn echo(mut stream: TcpStream, mut session: ServerSession) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut input = [0; 4096];
    while !session.peer_closed() {
        let count = stream.read(&mut input)?;
        if count == 0 {
            // The bytes so far are genuine, but nobody says that they are all.
            return Ok(session.end_of_input()?);
        }
        let (mut plaintext, mut records) = (Vec::new(), Vec::new());
        let result = session.read(&input[..count], &mut plaintext, &mut records);
        if !plaintext.is_empty() && !session.peer_closed() && result.is_ok() {
            session.write(&plaintext, &mut records)?;
        }
        // After an error too: the alert is in there.
        stream.write_all(&records)?;
        result?;
    }
    Ok(())
}

fn connect(address: &str, name: &str, password: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let config = ClientConfig::new(Credentials::new(name, password)?);
    let mut session = ClientSession::new(config, Box::new(System))?;
    let mut stream = TcpStream::connect(address)?;
    let (mut heard, mut records) = (Vec::new(), Vec::new());
    // The first read makes the ClientHello.
    session.read(&[], &mut heard, &mut records)?;
    let mut said = false;
    let mut input = [0; 4096];
    while !session.peer_closed() {
        stream.write_all(&records)?;
        records.clear();
        let count = stream.read(&mut input)?;
        if count == 0 {
            session.end_of_input()?;
        }
        let result = session.read(&input[..count], &mut heard, &mut records);
        if let Err(error) = result {
            stream.write_all(&records)?;
            return Err(error.into());
        }
        if !said && !session.is_handshaking() {
            said = true;
            session.write(text.as_bytes(), &mut records)?;
        }
        if heard.len() >= text.len() {
            session.close(&mut records);
        }
    }
    println!("{}", String::from_utf8_lossy(&heard));
    Ok(())
}
