//! Files inside of an end-to-end encrypted XML stream: Jingle file transfer (XEP-0234) with hashes (XEP-0300), sans-IO.
//!
//! [`Files`] is all that two ends of one stream have going between them. It has no I/O, no clock and no disk, and no opinion on who may
//! send what: whoever drives it passes stanzas and bytes, decides on offers, and reads and writes the files. For these there are
//!
//! - [`SafeName`] and [`SafePath`], which are what a peer may name a file;
//! - [`Manifest`], which says what is in a directory, or in a selection of files;
//! - [`PartialRecord`], which says what a partial file is of.
//!
//! ```
//! use std::time::Instant;
//!
//! use xtls_files::{FileEvent, FileHasher, FileInfo, Files, FilesConfig};
//! use xtls_stanza::jid::FullJid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (romeo, juliet) = (FullJid::new("romeo@montague.lit/orchard")?, FullJid::new("juliet@capulet.lit/balcony")?);
//! let mut sender = Files::new(romeo.clone(), juliet.clone(), [1; 32], FilesConfig::default());
//! let mut receiver = Files::new(juliet, romeo, [2; 32], FilesConfig::default());
//! let now = Instant::now();
//!
//! sender.offer(now, FileInfo::new("letter.txt", 5))?;
//! let (mut received, mut is_over) = (Vec::new(), false);
//! while !is_over {
//!     // What one has to say inside of the stream, the other hears.
//!     while let Some(stanza) = sender.poll_stanza(now) {
//!         receiver.handle_stanza(now, &stanza);
//!     }
//!     while let Some(stanza) = receiver.poll_stanza(now) {
//!         sender.handle_stanza(now, &stanza);
//!     }
//!     while let Some(event) = receiver.poll_event() {
//!         match event {
//!             FileEvent::Offered { id, file, .. } => receiver.accept(now, id, FileHasher::new(file.algo()))?,
//!             FileEvent::Readable { id } => drop(receiver.read(now, id, &mut received)),
//!             FileEvent::Checked { id, .. } => receiver.stored(now, id)?,
//!             _ => {}
//!         }
//!     }
//!     while let Some(event) = sender.poll_event() {
//!         match event {
//!             FileEvent::Accepted { id, .. } => drop(sender.write(now, id, b"hello")?),
//!             FileEvent::Ended { end, .. } => is_over = end.is_success(),
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(received, b"hello");
//! # Ok(())
//! # }
//! ```

mod config;
mod date;
mod element;
mod end;
mod error;
mod event;
mod features;
mod file;
mod files;
mod hash;
pub mod manifest;
mod name;
pub mod ns;
mod partial;
mod session;
mod shared;

pub use config::FilesConfig;
pub use date::{FileDate, FileDateError};
pub use end::FileEnd;
pub use error::FileError;
pub use event::{FileEvent, FileId};
pub use features::PeerFeatures;
pub use file::{FileInfo, FileRange, FileRequest, ManifestInfo};
pub use files::Files;
pub use hash::{FileHash, FileHashAlgo, FileHasher};
pub use manifest::{Manifest, ManifestEntry};
pub use name::{NameRefused, PARTIAL_SUFFIX, SafeName, SafePath};
pub use partial::{Difference, PartialRecord};
