//! Draws a trace: `cargo run -p xtls-trace --example ladder < trace > ladder.svg`.

use std::io::{self, Read, Write};

use xtls_trace::{Line, ladder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut trace = String::new();
    io::stdin().read_to_string(&mut trace)?;
    io::stdout().write_all(ladder::svg(&Line::parse_all(&trace)?).as_bytes())?;
    Ok(())
}
