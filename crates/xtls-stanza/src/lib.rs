//! The vocabulary of XTLS: namespaces, [`Element`], [`Iq`], stanza errors, bounded parsing, [`StreamReader`], and the
//! values that several layers carry.
//!
//! Everything here is text in, values out: no clock, no I/O. XML is accepted under [`Limits`] and only as far as
//! RFC 6120 § 11 allows: no comments, processing instructions, document types or entities, and nothing that is not
//! well-formed.

mod c2ctls;
mod caps;
mod disco;
mod element;
mod error;
mod fingerprint;
mod id;
mod instant;
mod iq;
pub mod jid;
mod limits;
mod names;
pub mod ns;
mod pubkeys;
mod reader;
mod security;
#[cfg(feature = "serde")]
pub mod serde;
mod shown;
mod stanza_error;
pub mod write;

pub use c2ctls::{KeyKind, KeyName, KeyNameError, OwnMethods, TlsOffer};
pub use caps::{Caps, CapsError, Disco};
pub use disco::{DiscoError, DiscoField, DiscoForm, DiscoIdentity, DiscoInfo};
pub use element::{Attribute, BuildError, Builder, Element, ElementRef, Node, Scope, StanzaParser};
pub use error::{ParseError, ParseErrorKind};
pub use fingerprint::{Fingerprint, FingerprintError, HashAlgo};
pub use id::{Id, Ids};
pub use instant::Instant;
pub use iq::{Envelope, Iq, IqError, IqType};
pub use limits::Limits;
pub use pubkeys::{KeyInfo, Pubkeys, PubkeysVariant};
pub use reader::{StreamHeader, StreamItem, StreamReader};
pub use security::{Method, MethodError, SecurityOffer, XtlsVersion};
pub use shown::Shown;
pub use stanza_error::{Condition, ErrorType, StanzaError};
