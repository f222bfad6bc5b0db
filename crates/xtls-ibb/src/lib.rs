//! In-band bytestreams (XEP-0047) as a Jingle transport (XEP-0261), sans-IO: seq, base64, windows, acknowledgements.
//!
//! A [`Bytestream`] is one end of one bytestream. It reads no clock and knows no addresses: its owner matches the sender
//! of what comes in, keeps the timers, and passes the addresses to write. The methods are of four kinds:
//!
//! - getters take `&self`;
//! - `handle_*` bring in what the peer sent: a [`Request`], a result, an error;
//! - commands ([`open`](Bytestream::open), [`outgoing`](Bytestream::outgoing), [`close`](Bytestream::close),
//!   [`abort`](Bytestream::abort), [`release_acks`](Bytestream::release_acks), [`resume`](Bytestream::resume)) bring in what this side wants;
//! - [`poll`](Bytestream::poll) takes one stanza out.
//!
//! Bytes to send are cut into blocks when they are polled, not when they are written, so the window and the block size
//! of that moment apply; base64 goes straight from the queue into the caller's string. Faults of the peer are values
//! ([`BytestreamFault`]) that say what to answer.
//!
//! ```
//! use xtls_ibb::{Bytestream, BytestreamConfig, BytestreamRole, Handled, Request, Sent};
//! use xtls_stanza::{Element, Envelope, Ids, Iq, Limits};
//!
//! let mut ids = Ids::new([7; 32]);
//! let mut romeo = Bytestream::new(BytestreamRole::Opener, "ch3d9s71", 4096, BytestreamConfig::default());
//! let mut juliet = Bytestream::new(BytestreamRole::Acceptor, "ch3d9s71", 4096, BytestreamConfig::default());
//!
//! romeo.open();
//! let to_juliet = Envelope::new("juliet@capulet.lit/balcony", None);
//! let mut stanza = String::new();
//! let sent = romeo.poll(&mut ids, &to_juliet, &mut |bytes, _| bytes.len(), &mut stanza);
//! assert_eq!(sent, Some(Sent::Open));
//!
//! let element = Element::parse(&stanza, &Limits::default())?;
//! let iq = Iq::parse(&element).ok_or("not an IQ")??;
//! let request = iq.payload.and_then(Request::parse).ok_or("not XEP-0047")??;
//! let mut received = Vec::new();
//! assert_eq!(juliet.handle_request(iq.id, &request, &mut received)?, Handled::Opened);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acks;
mod bytestream;
mod codec;
mod config;
mod fault;
pub mod wire;

pub use bytestream::{Acked, Bytestream, BytestreamRole, BytestreamState, ErrorOutcome, Handled, Sent};
pub use config::{BytestreamConfig, Whitespace};
pub use fault::BytestreamFault;
pub use wire::{Payload, PlainIq, Request};
