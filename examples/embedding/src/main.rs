//! Small models of what an embedder does, without a server and without a network. Each module is one; its tests run it.
//!
//! ```sh
//! cargo run -p embedding-examples -- bytes      # a file with its progress
//! cargo run -p embedding-examples -- store DIR  # what is known of peers, kept in this directory
//! cargo run -p embedding-examples -- prompts    # the questions for a password and for trust
//! cargo run -p embedding-examples -- link       # a link over TCP on loopback
//! cargo run -p embedding-examples -- simulated  # a client in a simulated world
//! cargo run -p embedding-examples -- fuzz FILE  # harnesses for a fuzzer play this input
//! ```

#![allow(clippy::disallowed_methods, reason = "the embedder is where the clock is read")]
#![allow(clippy::wildcard_enum_match_arm, reason = "an embedder takes what it needs")]

mod bytes;
mod fuzz;
mod link;
mod pair;
mod prompts;
mod simulated;
mod store;

use std::{error::Error, io, path::Path};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut io::stdout();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bytes"] => bytes::run(out).await,
        ["store", directory] => store::run(Path::new(directory), out).await,
        ["prompts"] => prompts::run(out).await,
        ["link"] => link::run(out).await,
        ["simulated"] => simulated::run(out),
        ["fuzz", file] => fuzz::run(Path::new(file), out),
        _ => Err("one of: bytes, store DIR, prompts, link, simulated, fuzz FILE".into()),
    }
}

/// What an example that is to succeed has written.
#[cfg(test)]
fn written(run: impl AsyncFnOnce(&mut Vec<u8>) -> Result<(), Failure>) -> String {
    let mut out = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(&mut out)).expect("the example succeeds");
    String::from_utf8(out).expect("it is text")
}
