//! Stanzas out of the bytes that follow the answer to the bind request.

use xtls_stanza::{Element, Limits, ParseError, StreamItem, StreamReader, ns};

/// Largest stanza that is read from the server. Servers forward less: 256 KiB from a client is usual.
const MAX_STANZA: usize = 1 << 20;

/// What the server sent.
#[derive(Debug)]
pub(super) enum Frame {
    /// A stanza, or another element at its place.
    Element(Element),
    /// The end of the stream.
    End,
}

/// Reads the middle of a stream whose header somebody else has read.
#[derive(Debug)]
pub(super) struct Framing {
    reader: StreamReader,
}

impl Framing {
    pub(super) fn new() -> Self {
        let mut limits = Limits::default();
        limits.stanza_bytes = MAX_STANZA;
        // A stanza that exceeds a limit ends the connection, and strangers can send some: what the server let
        // through is bounded by its size alone.
        limits.depth = MAX_STANZA;
        limits.attributes = MAX_STANZA;
        limits.name_bytes = MAX_STANZA;
        limits.value_bytes = MAX_STANZA;
        limits.nodes = MAX_STANZA;
        let mut reader = StreamReader::new(limits);
        let header = format!("<stream:stream xmlns='{}' xmlns:stream='{}' version='1.0'>", ns::CLIENT, ns::STREAM);
        let read = reader.read(&mut header.as_bytes());
        debug_assert!(matches!(read, Ok(Some(StreamItem::Header(_)))), "the header is well-formed");
        Self { reader }
    }

    /// Reads on in `input` and moves it past what was used; `None` when all of it was used and more is needed.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, ParseError> {
        Ok(match self.reader.read(input)? {
            Some(StreamItem::Stanza(element)) => Some(Frame::Element(element)),
            Some(StreamItem::Close) => Some(Frame::End),
            // A second header is refused by the reader.
            Some(_) | None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn stanzas_stream_errors_and_the_end_are_told_apart() {
        let mut framing = Framing::new();
        let mut input: &[u8] = b" <presence from='a@b/c'/>\n<stream:error><conflict \
            xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
        let Some(Frame::Element(presence)) = framing.read(&mut input).unwrap() else { panic!("a stanza") };
        assert!(presence.is("presence", ns::CLIENT));
        let Some(Frame::Element(error)) = framing.read(&mut input).unwrap() else { panic!("an error") };
        assert!(error.is("error", ns::STREAM));
        assert!(matches!(framing.read(&mut input).unwrap(), Some(Frame::End)));
    }

    #[test]
    fn a_strangers_deep_stanza_does_not_end_the_connection() {
        let mut framing = Framing::new();
        let deep = format!("<message>{}{}</message>", "<a>".repeat(5000), "</a>".repeat(5000));
        assert!(matches!(framing.read(&mut deep.as_bytes()).unwrap(), Some(Frame::Element(_))));
    }

    #[test]
    fn a_stanza_without_end_is_refused_at_the_limit() {
        let mut framing = Framing::new();
        let endless = format!("<message><body>{}", "x".repeat(MAX_STANZA));
        assert!(framing.read(&mut endless.as_bytes()).is_err());
    }
}
