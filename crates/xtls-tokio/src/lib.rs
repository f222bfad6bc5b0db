//! Tunnels of [`xtls`] as tokio streams, over any outer stream.
//!
//! An [`Engine`](xtls::Engine) does no I/O. A [`Driver`] moves what it needs to have moved: stanzas to and from the client's
//! connection, which is an [`OuterStream`], time, and what happens. What the application holds is a [`Handle`], and of each
//! tunnel a stream: [`ByteTunnel`] is `AsyncRead` and `AsyncWrite`, [`XmlTunnel`] a `Stream` and a `Sink` of stanzas, and
//! [`FileTunnel`] the same with files.
//!
//! ```
//! use xtls::{Element, Engine, TrustPolicy, TunnelOptions, jid::FullJid};
//! use futures::{SinkExt as _, StreamExt as _};
//! use xtls_tokio::{Driver, OuterStream};
//! # use std::error::Error;
//!
//! async fn chat(engine: Engine, server: impl OuterStream + 'static, peer: FullJid, hello: Element)
//! -> Result<(), Box<dyn Error>> {
//!     let (driver, handle, _stanzas) = Driver::new(engine, server);
//!     tokio::spawn(driver);
//!     let tunnel = handle.call(peer, TunnelOptions::xml_stream(TrustPolicy::Pinned)).await?;
//!     let mut tunnel = tunnel.into_xml().map_err(|_| "raw bytes")?;
//!     tunnel.send(hello).await?;
//!     while let Some(stanza) = tunnel.next().await {
//!         println!("{:?}", stanza?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What holds everywhere
//!
//! - **Back-pressure.** What the application does not read is not acknowledged, and the peer stops. What the outer stream has no room
//!   for stays in the engine, and writers wait. Every queue between the two is bounded: the engine's by
//!   [`Config`](xtls::Config), the client's stanzas by 32, notices by 256.
//! - **Dropping.** A future that is dropped loses nothing: what a write took is sent, what nobody took waits for the next one. A
//!   tunnel that is dropped is broken off, and its peer is told; after a shutdown it ends in order. A call that is dropped is
//!   called off, an offer declined, a certificate refused.
//! - **The end.** However the outer stream ends, every tunnel and every future is told, with the reason: [`End`],
//!   [`CallError`], [`TunnelError`].
//! - **Features.** `tokio-xmpp` has an outer stream over that library; off by default.
//! - **Runtimes.** The timers are tokio's, so the driver is polled inside of a tokio runtime, of either kind.

#![forbid(unsafe_code)]

mod bytes;
#[cfg(feature = "net")]
mod connections;
#[cfg(not(feature = "net"))]
#[path = "connections/none.rs"]
mod connections;

mod dispatch;
mod driver;
mod error;
mod files;
mod find;
mod handle;
mod incoming;
pub mod link;
pub mod memory;
mod opening;
mod outer;
mod proxies;
mod question;
mod setup;
mod shared;
mod stanzas;
#[cfg(feature = "net")]
mod tcp;
#[cfg(feature = "tokio-xmpp")]
pub mod tokio_xmpp;
mod tunnel;
mod xml;

#[cfg(feature = "net")]
pub use self::tcp::PromptTcp;
pub use self::{
    bytes::ByteTunnel,
    driver::{Driver, Ended},
    error::{CallError, End, TunnelError},
    files::{FileTunnel, FileTurn},
    handle::{Handle, Notice},
    incoming::Incoming,
    opening::Opening,
    outer::{OuterStanza, OuterStream, Received},
    question::{CertificateQuestion, PasswordQuestion, Question},
    setup::setup,
    stanzas::{StanzaSender, Stanzas},
    tunnel::Tunnel,
    xml::XmlTunnel,
};
pub use xtls;
pub use xtls_files;

/// The example of the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
