//! XEP-0166 Jingle sessions with the security preconditions of draft-meyer-xmpp-e2e-encryption, sans-IO.
//!
//! [`Jingle`] is a `<jingle/>` element as it is read and written. [`Session`] is the state machine of one session: it
//! has no clock, no I/O and no opinion about trust; whoever drives it checks who sent what, keeps the timers, decides
//! which method to use, and carries the bytestream and TLS.
//!
//! Where the specifications, or the clients that were written to them, differ, a [`Dialect`] says what is read, offered and
//! tolerated.
//!
//! ```
//! use xtls_jingle::{Acceptance, Action, Description, Jingle, Offer, Session, SessionEvent};
//! use xtls_stanza::{Element, Ids, Iq, Limits, Method, SecurityOffer, XtlsVersion, jid::FullJid};
//!
//! # fn carried(xml: &str) -> Result<Jingle, Box<dyn std::error::Error>> {
//! #     let stanza = Element::parse(xml, &Limits::default())?;
//! #     let iq = Iq::parse(&stanza).ok_or("no IQ")??;
//! #     Ok(iq.payload.and_then(Jingle::parse).ok_or("no Jingle")??)
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (romeo, juliet) = ("romeo@montague.lit/orchard", "juliet@capulet.lit/balcony");
//! let mut ids = Ids::new([7; 32]);
//! let security = SecurityOffer::new(XtlsVersion::Xtls0, vec![], vec![Method::X509]);
//!
//! // Romeo offers an XML stream over an in-band bytestream.
//! let offer = Offer::new(Description::xmlstream(), "ch3d9s71", 4096, security.clone());
//! let mut initiator = Session::initiate("a73sjjvkl37jfea", &FullJid::new(romeo)?, offer)?;
//! let mut stanza = String::new();
//! let sent = initiator.poll(&mut ids, juliet, None, &mut stanza).ok_or("nothing to send")?;
//! assert_eq!(sent.action, Action::SessionInitiate);
//!
//! // Juliet takes it up and accepts.
//! let mut responder = Session::incoming(&carried(&stanza)?)?;
//! assert_eq!(initiator.handle_result(sent.id.as_str()), Some(Action::SessionInitiate));
//! responder.accept(Acceptance::new(FullJid::new(juliet)?, 4096, security))?;
//! stanza.clear();
//! responder.poll(&mut ids, romeo, None, &mut stanza).ok_or("nothing to send")?;
//!
//! // Romeo sees her methods and chooses one.
//! let event = initiator.handle_request(&carried(&stanza)?)?;
//! assert!(matches!(event, Some(SessionEvent::Accepted { security: Some(_), .. })));
//! initiator.choose(Method::X509)?;
//! stanza.clear();
//! initiator.poll(&mut ids, juliet, None, &mut stanza).ok_or("nothing to send")?;
//! assert_eq!(responder.handle_request(&carried(&stanza)?)?, Some(SessionEvent::MethodChosen(Method::X509)));
//! # Ok(())
//! # }
//! ```

mod action;
mod content;
mod description;
mod dialect;
mod error;
mod jingle;
mod offer;
mod reason;
mod receipt;
mod redirect;
mod session;
mod sid;
mod tie_break;
mod transport;
mod version;

pub use action::Action;
pub use content::{Content, Creator, Security, Senders};
pub use description::{Description, DescriptionError};
pub use dialect::{Dialect, Profile};
pub use error::{JingleCondition, JingleFault};
pub use jingle::{Jingle, Malformed, MalformedKind, Payload, Sent};
pub use offer::{Acceptance, Offer, OfferRefusal};
pub use reason::{Reason, ReasonCondition};
pub use receipt::{RECEIPT_NS, Receipt};
pub use redirect::{Redirect, redirect_allowed};
pub use session::{
    AcceptError, ChooseError, InitiateError, PingError, ReceiptError, Refused, Role, Session, SessionEvent,
    SessionState, TransportError, Verdict,
};
pub use sid::is_nmtoken as is_sid;
pub use tie_break::{Winner, tie_break, tie_break_in_session};
pub use transport::{IbbTransport, InBand, SessionTransport, Transport};
pub use version::{IbbVersion, JingleVersion};

/// The longest session identifier that is accepted, in bytes; it holds for Jingle and for bytestream sids.
pub const MAX_SID: usize = sid::MAX;
