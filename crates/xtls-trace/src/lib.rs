//! Traces: who sent what to whom and when, without what was said.
//!
//! A trace is a list of [`Line`]s, each a JSON object in a line of its own. It is what the command's `--trace` writes and
//! what simulations write of a history; `docs/command.md`, "Traces", has the members.
//!
//! A line has names, addresses, identifiers, sizes, numbers of blocks, and words that the specifications define. It never
//! has text, blocks, certificates, passwords, or attribute values of payloads besides those words and numbers: a trace can
//! be shown to others. (What a caller itself gives as a fault, an operation or a failure is written as it is.)
//!
//! [`ladder`] makes a picture of them.
//!
//! Nothing here does I/O: lines are made of what the caller has, at the caller's time, and written into what it gives.
//!
//! ```
//! use xtls_trace::{Direction, Line};
//!
//! let stanza = "<iq type='set' id='7' to='juliet@capulet.lit/balcony'>\
//!               <data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='0'>c2VjcmV0</data></iq>";
//! let line = Line::stanza_text(125, "romeo@montague.lit/orchard", Direction::Out, stanza).expect("it is XML");
//! assert_eq!(line.label(), "ibb data 0, 6 bytes");
//! let json = line.to_json();
//! assert!(!json.contains("c2VjcmV0"));
//! assert_eq!(Line::parse(&json), Ok(line));
//! ```

mod event;
mod json;
pub mod ladder;
mod line;
mod stanza;

pub use json::LineError;
pub use line::{Connection, Direction, End, Line, Parameter, What};
pub use stanza::Stanza;
