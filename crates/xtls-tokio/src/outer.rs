//! What carries the stanzas: the client's connection to its server, or whatever else does.

use core::task::{Context, Poll};
use std::{io, time::Instant};

use xtls::{
    Disposition, Element, Engine,
    jid::Jid,
    xml::{Limits, ns},
};

/// The way of whole stanzas to and from the server: what an engine needs of a client's connection.
///
/// All of it is polled and nothing is awaited, so that a future that is dropped loses nothing. `Pending` means that the task of the
/// context is woken once there is more to be done. Two rules:
///
/// - What comes is given in the order in which it came, [`Received::Suspended`] and [`Received::Resumed`] too, and what is
///   sent leaves in the order of [`start_send`](Self::start_send).
/// - Each stanza is written at once, without waiting for others to go with it (`TCP_NODELAY`).
pub trait OuterStream: Send + Unpin {
    /// What a stanza is here.
    type Stanza: OuterStanza;

    /// What comes next. It is not called again after [`Received::Ended`], [`Received::Lost`] or
    /// [`Received::StanzaTooLarge`].
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<Self::Stanza>>;

    /// Whether there is room for one stanza. A stream that is suspended may keep room for what is to be sent after its return.
    ///
    /// # Errors
    ///
    /// When nothing can be sent any more. What has come may still be received.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Takes a stanza. It is called after [`poll_ready`](Self::poll_ready) has said that there is room, once for each time.
    ///
    /// # Errors
    ///
    /// When nothing can be sent any more.
    fn start_send(&mut self, stanza: Self::Stanza) -> io::Result<()>;

    /// Writes what was taken.
    ///
    /// # Errors
    ///
    /// When nothing can be sent any more.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The largest stanza that the server takes, in bytes, if it says so in its features (XEP-0478): the driver asks once, and tells
    /// the engine. See [`Engine::set_stanza_limit`].
    fn stanza_limit(&self) -> Option<u32> {
        None
    }
}

/// What comes over an [`OuterStream`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Received<S> {
    /// A stanza.
    Stanza(S),
    /// The stream is away and is to be resumed (XEP-0198 § 5): see [`Engine::handle_suspended`].
    Suspended,
    /// It is back as it was. This comes before the stanzas that waited.
    Resumed,
    /// It ended in order.
    Ended,
    /// It broke, or could not be resumed.
    Lost(io::Error),
    /// The server ended it, since a stanza was larger than it takes (RFC 6120 § 4.9.3.14). The driver tells the engine, of which
    /// [`Engine::stanza_limit`] has then what the next engine is to be told: [`Handle::with_engine`](crate::Handle::with_engine).
    StanzaTooLarge(io::Error),
}

/// A stanza of an [`OuterStream`]: text, bytes, an [`Element`], or what another library makes of one.
pub trait OuterStanza: Sized + Send + Unpin + 'static {
    /// Makes one of the text that an engine gave.
    ///
    /// # Errors
    ///
    /// When the type cannot express it. It is not sent then.
    fn from_text(text: String) -> io::Result<Self>;

    /// Hands it to an engine.
    fn offer(&self, engine: &mut Engine, now: Instant) -> Disposition;

    /// The stanza as an element, if it is an IQ that asks for an answer. It is asked for when the engine did not take it.
    fn to_request(&self) -> Option<Element>;

    /// The stanza as an element, if it is an IQ of type result or error. It is asked for when the engine did not take it and
    /// [`Handle::find`](crate::Handle::find) waits for answers.
    fn to_answer(&self) -> Option<Element>;

    /// Whether stanzas for this address go there: another library may take it for another one. Nobody else is called.
    #[must_use]
    fn carries(_peer: &Jid) -> bool {
        true
    }
}

impl OuterStanza for String {
    fn from_text(text: String) -> io::Result<Self> {
        Ok(text)
    }

    fn offer(&self, engine: &mut Engine, now: Instant) -> Disposition {
        engine.handle_stanza(now, self)
    }

    fn to_request(&self) -> Option<Element> {
        parsed_iq(self).filter(is_request)
    }

    fn to_answer(&self) -> Option<Element> {
        parsed_iq(self).filter(is_answer)
    }
}

impl OuterStanza for Vec<u8> {
    fn from_text(text: String) -> io::Result<Self> {
        Ok(text.into_bytes())
    }

    fn offer(&self, engine: &mut Engine, now: Instant) -> Disposition {
        engine.handle_stanza_bytes(now, self)
    }

    fn to_request(&self) -> Option<Element> {
        parsed_iq(core::str::from_utf8(self).ok()?).filter(is_request)
    }

    fn to_answer(&self) -> Option<Element> {
        parsed_iq(core::str::from_utf8(self).ok()?).filter(is_answer)
    }
}

impl OuterStanza for Element {
    fn from_text(text: String) -> io::Result<Self> {
        Self::parse(&text, &Limits::default()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn offer(&self, engine: &mut Engine, now: Instant) -> Disposition {
        engine.handle_element(now, self)
    }

    fn to_request(&self) -> Option<Element> {
        is_request(self).then(|| self.clone())
    }

    fn to_answer(&self) -> Option<Element> {
        is_answer(self).then(|| self.clone())
    }
}

/// Whether this is an IQ of type get or set.
pub(crate) fn is_request(stanza: &Element) -> bool {
    let is_iq = stanza.name() == "iq" && stanza.ns() == ns::CLIENT;
    is_iq && matches!(stanza.attribute("type"), Some("get" | "set"))
}

/// Whether this is an IQ of type result or error.
fn is_answer(stanza: &Element) -> bool {
    let is_iq = stanza.name() == "iq" && stanza.ns() == ns::CLIENT;
    is_iq && matches!(stanza.attribute("type"), Some("result" | "error"))
}

fn parsed_iq(text: &str) -> Option<Element> {
    // Whatever else begins like this is seen then.
    let text = text.trim_start();
    if text.starts_with("<iq") { Element::parse(text, &Limits::default()).ok() } else { None }
}
