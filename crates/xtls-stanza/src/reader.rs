//! Whole stanzas out of the bytes of an XML stream.

mod lexer;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
mod tests;

use core::{fmt, mem};

use lexer::{Lexer, Piece};

use crate::{Element, Limits, ParseError, ParseErrorKind, Scope, element, ns};

/// Finds the header, the stanzas and the end of an XML stream (RFC 6120 § 4) in bytes that arrive in any pieces.
///
/// ```
/// use xtls_stanza::{Limits, StreamItem, StreamReader, ns};
///
/// let mut reader = StreamReader::new(Limits::default());
/// let mut bytes: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
///     version='1.0'><message><body>Art thou not Ro";
/// let Some(StreamItem::Header(header)) = reader.read(&mut bytes)? else { panic!("the header is there") };
/// assert_eq!((header.ns(), header.version()), (ns::STREAM, Some("1.0")));
/// assert!(reader.read(&mut bytes)?.is_none());
///
/// let mut bytes: &[u8] = b"meo?</body></message></stream:stream>";
/// let Some(StreamItem::Stanza(message)) = reader.read(&mut bytes)? else { panic!("the message is there") };
/// assert!(message.is("message", ns::CLIENT));
/// assert!(matches!(reader.read(&mut bytes)?, Some(StreamItem::Close)));
/// # Ok::<(), xtls_stanza::ParseError>(())
/// ```
///
/// How the bytes are cut makes no difference. Each is scanned once. No more is kept than the beginning of one stanza,
/// at most [`Limits::stanza_bytes`]; what comes after it stays with the caller until the next call. White space between
/// stanzas, which keeps connections alive (RFC 6120 § 4.6.1), is skipped and not kept.
pub struct StreamReader {
    limits: Limits,
    lexer: Lexer,
    place: Place,
    /// The beginning of a piece whose end has not come.
    buffer: Vec<u8>,
    /// Bytes used since the stream began.
    position: usize,
    fault: Option<ParseError>,
}

/// What a stream consists of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamItem {
    /// The start tag of the stream.
    Header(StreamHeader),
    /// A first-level child: a stanza, stream features, a stream error. Whether it belongs there was not looked at.
    Stanza(Element),
    /// The end tag of the stream.
    Close,
}

/// The start tag of a stream (RFC 6120 § 4.7). Nothing of it was checked but its form.
#[derive(Debug, Clone)]
pub struct StreamHeader {
    element: Element,
    scope: Scope,
}

#[derive(Debug)]
enum Place {
    Prolog,
    Stream {
        /// The stream element's name as it was written, prefix included.
        root: String,
        scope: Scope,
        /// The header was an empty element, so that the end follows without a tag of its own.
        ended: bool,
    },
    Closed,
}

impl StreamReader {
    /// Expects a stream from its very beginning.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lexer: Lexer::new(limits.depth),
            place: Place::Prolog,
            buffer: Vec::new(),
            position: 0,
            fault: None,
        }
    }

    /// Reads on to the end of the next item and moves `input` past it. `None` means that all of `input` was used and
    /// more is needed, or that the stream has ended and what is left belongs to something else: once
    /// [`StreamItem::Close`] has been returned, nothing is taken from `input` until [`StreamReader::reset`].
    ///
    /// An XML declaration is taken once, before the header (RFC 6120 § 11.5).
    ///
    /// # Errors
    ///
    /// When the stream is not well-formed, is not UTF-8, exceeds a limit or holds what RFC 6120 § 11.1 forbids; as soon
    /// as that shows, in the middle of a stanza if need be. The offset counts from the beginning of the stream. After a
    /// fault every further call returns the same one.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<StreamItem>, ParseError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let result = self.advance(input);
        if let Err(fault) = &result {
            self.fault = Some(fault.clone());
            self.buffer = Vec::new();
        }
        result
    }

    /// Expects a new stream from its very beginning: after a restart (RFC 6120 § 4.3.3), or when a closed stream may be
    /// followed by another. What was kept of the old one is dropped, a fault included.
    pub fn reset(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Bytes that are kept because the end of what they begin has not come.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<StreamItem>, ParseError> {
        loop {
            match self.place {
                Place::Closed => return Ok(None),
                Place::Stream { ended: true, .. } => {
                    self.place = Place::Closed;
                    return Ok(Some(StreamItem::Close));
                }
                Place::Prolog | Place::Stream { .. } => {}
            }
            if self.buffer.is_empty() {
                let blank = input.iter().take_while(|&&byte| element::is_space(byte)).count();
                self.take(input, blank);
            }
            let Some((piece, used)) = self.scan(input)? else {
                let rest = self.take(input, input.len());
                self.buffer.extend_from_slice(rest);
                return Ok(None);
            };
            let begin = self.position - self.buffer.len();
            let bytes = self.take(input, used);
            if let Some(item) = self.finish(piece, bytes, begin)? {
                return Ok(Some(item));
            }
        }
    }

    /// Looks for the end of the piece that `buffer` begins: which it is and how much of `input` belongs to it.
    fn scan(&mut self, input: &[u8]) -> Result<Option<(Piece, usize)>, ParseError> {
        let room = self.limits.stanza_bytes.min(element::MAX_BYTES).saturating_sub(self.buffer.len());
        let window = &input[..room.min(input.len())];
        let mut scanned = 0;
        loop {
            let (used, found) = self.lexer.scan(&window[scanned..]);
            scanned += used;
            match found.map_err(|kind| ParseError { kind, offset: self.position.saturating_add(scanned) })? {
                Some(Piece::FirstTag) => self.refuse_second_header(&window[..scanned])?,
                Some(piece) => return Ok(Some((piece, scanned))),
                // One byte more than the limit is there, and still no end.
                None if window.len() < input.len() => {
                    return Err(ParseError {
                        kind: ParseErrorKind::Limit("stanza_bytes"),
                        offset: self.position.saturating_add(scanned),
                    });
                }
                None => return Ok(None),
            }
        }
    }

    /// A stream inside the stream would only end with the stream itself: it is refused by its start tag.
    fn refuse_second_header(&self, tag: &[u8]) -> Result<(), ParseError> {
        let Place::Stream { root, .. } = &self.place else { return Ok(()) };
        let mut name = self.buffer.iter().chain(tag).skip(1).copied();
        let same = root.bytes().all(|byte| name.next() == Some(byte));
        if same && name.next().is_some_and(ends_name) {
            let begin = self.position - self.buffer.len();
            return Err(ParseError { kind: ParseErrorKind::NotWellFormed("a second stream header"), offset: begin });
        }
        Ok(())
    }

    fn finish(&mut self, piece: Piece, last: &[u8], begin: usize) -> Result<Option<StreamItem>, ParseError> {
        let mut buffer = mem::take(&mut self.buffer);
        let bytes = if buffer.is_empty() {
            last
        } else {
            buffer.extend_from_slice(last);
            &buffer
        };
        let text = core::str::from_utf8(bytes).map_err(|fault| ParseError {
            kind: ParseErrorKind::NotUtf8,
            offset: begin.saturating_add(fault.valid_up_to()),
        })?;
        let item = self
            .item(piece, text)
            .map_err(|fault| ParseError { kind: fault.kind, offset: begin.saturating_add(fault.offset) })?;
        // A long stanza's memory is given back: most streams wait most of the time.
        if buffer.capacity() <= KEPT {
            buffer.clear();
            self.buffer = buffer;
        }
        Ok(item)
    }

    fn item(&mut self, piece: Piece, text: &str) -> Result<Option<StreamItem>, ParseError> {
        let at_start = |kind| ParseError { kind, offset: 0 };
        match (piece, &self.place) {
            (Piece::Declaration, _) => {
                element::check_xml_declaration(text).map_err(at_start)?;
                Ok(None)
            }
            (Piece::Header { empty }, _) => {
                let (element, scope) = Element::parse_header(text, &self.limits)?;
                let root = text[1..].split([' ', '\t', '\n', '\r', '>', '/']).next().unwrap_or_default();
                self.place = Place::Stream { root: root.to_owned(), scope: scope.clone(), ended: empty };
                Ok(Some(StreamItem::Header(StreamHeader { element, scope })))
            }
            (Piece::Child, Place::Stream { scope, .. }) => {
                Ok(Some(StreamItem::Stanza(Element::parse_in(text, &self.limits, scope)?)))
            }
            (Piece::Close, Place::Stream { root, .. }) => {
                let name = text.strip_prefix("</").and_then(|rest| rest.strip_suffix('>')).unwrap_or_default();
                if name.trim_end_matches([' ', '\t', '\n', '\r']) != root {
                    let what = "an end tag that does not match its start tag";
                    return Err(at_start(ParseErrorKind::NotWellFormed(what)));
                }
                self.place = Place::Closed;
                Ok(Some(StreamItem::Close))
            }
            // The lexer knows children and an end only inside the stream, and `scan` keeps first tags to itself.
            (Piece::Child | Piece::Close | Piece::FirstTag, _) => Ok(None),
        }
    }

    fn take<'i>(&mut self, input: &mut &'i [u8], count: usize) -> &'i [u8] {
        let (taken, rest) = input.split_at(count);
        *input = rest;
        self.position = self.position.saturating_add(count);
        taken
    }
}

impl StreamHeader {
    /// The stream element's name without a prefix, which should be `stream`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.element.name()
    }

    /// The stream element's namespace, which should be [`ns::STREAM`] (RFC 6120 § 4.8.1).
    #[must_use]
    pub fn ns(&self) -> &str {
        self.element.ns()
    }

    /// The default namespace, that of the stanzas (RFC 6120 § 4.8.2); empty if none is declared.
    #[must_use]
    pub fn default_ns(&self) -> &str {
        self.scope.lookup("").unwrap_or_default()
    }

    /// Who sends the stream (RFC 6120 § 4.7.1).
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.element.attribute("from")
    }

    /// Whom it is meant for (RFC 6120 § 4.7.2).
    #[must_use]
    pub fn to(&self) -> Option<&str> {
        self.element.attribute("to")
    }

    /// The stream's identifier, given by the side that answers (RFC 6120 § 4.7.3).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.element.attribute("id")
    }

    /// The version of XMPP (RFC 6120 § 4.7.5).
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.element.attribute("version")
    }

    /// The language of what people are meant to read (RFC 6120 § 4.7.4).
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        self.element.root().attribute_in(ns::XML, "lang")
    }

    /// The declarations in force for all that is inside the stream.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The start tag as an element without content, for attributes that have no getter here.
    #[must_use]
    pub fn element(&self) -> &Element {
        &self.element
    }
}

impl fmt::Debug for StreamReader {
    /// Without what is buffered: content belongs to the people who wrote it and not into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader")
            .field("lexer", &self.lexer)
            .field("buffered", &self.buffer.len())
            .field("position", &self.position)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

fn ends_name(byte: u8) -> bool {
    element::is_space(byte) || matches!(byte, b'>' | b'/')
}

/// The largest buffer that is kept for the next stanza, in bytes.
const KEPT: usize = 16 * 1024;
