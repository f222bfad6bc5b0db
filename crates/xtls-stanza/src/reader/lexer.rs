//! Where the pieces of a stream end, byte by byte.
//!
//! Only what is needed to find the ends is understood here; whether a piece is well-formed is for the parser to say. A
//! fault that shows without the rest of the piece is found at once, so that nothing is buffered for it.

use crate::{ParseErrorKind, element::is_space};

/// A part of the stream that has been scanned to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// `<?xml … ?>`.
    Declaration,
    /// The start tag of the stream, or a whole empty element in its place.
    Header { empty: bool },
    /// The start tag of a first-level child; the child itself goes on.
    FirstTag,
    /// A whole first-level child.
    Child,
    /// The end tag of the stream.
    Close,
}

#[derive(Debug)]
pub(super) struct Lexer {
    place: Place,
    state: State,
    /// Elements open inside the stream.
    depth: usize,
    max_depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    AfterDeclaration,
    Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Character data, or the space between first-level children.
    Text,
    /// After `<`.
    Markup,
    /// After `<!` and as many bytes of `[CDATA[`.
    Bang(usize),
    CData {
        brackets: u8,
    },
    /// After `<?` and as many bytes of `xml`.
    Question(usize),
    Declaration {
        question: bool,
    },
    StartTag {
        slash: bool,
    },
    /// In an attribute's value, which ends at this byte.
    Quoted(u8),
    EndTag,
}

const CDATA: &[u8] = b"[CDATA[";
const XML: &[u8] = b"xml";

impl Lexer {
    pub(super) fn new(max_depth: usize) -> Self {
        Self { place: Place::Start, state: State::Text, depth: 0, max_depth }
    }

    /// Looks at `bytes`, the continuation of what was looked at before. Tells how many were used and what ends there; on
    /// a fault, how many stand before it.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> (usize, Result<Option<Piece>, ParseErrorKind>) {
        let mut at = 0;
        loop {
            at += self.indifferent(&bytes[at..]);
            let Some(&byte) = bytes.get(at) else { return (at, Ok(None)) };
            match self.step(byte) {
                Ok(None) => at += 1,
                Ok(piece) => return (at + 1, Ok(piece)),
                Err(kind) => return (at, Err(kind)),
            }
        }
    }

    /// How many bytes there are before the next one that can change the state.
    fn indifferent(&self, bytes: &[u8]) -> usize {
        let found = match self.state {
            State::Text if self.depth > 0 => bytes.iter().position(|&byte| byte == b'<'),
            State::Quoted(quote) => bytes.iter().position(|&byte| byte == quote || byte == b'<'),
            State::CData { brackets: 0 } => bytes.iter().position(|&byte| byte == b']'),
            State::StartTag { slash: false } => {
                bytes.iter().position(|byte| matches!(byte, b'<' | b'>' | b'/' | b'"' | b'\''))
            }
            State::Text
            | State::Markup
            | State::Bang(_)
            | State::CData { .. }
            | State::Question(_)
            | State::Declaration { .. }
            | State::StartTag { .. }
            | State::EndTag => return 0,
        };
        found.unwrap_or(bytes.len())
    }

    fn step(&mut self, byte: u8) -> Result<Option<Piece>, ParseErrorKind> {
        self.state = match self.state {
            State::Text if byte == b'<' => State::Markup,
            State::Text if self.depth > 0 => State::Text,
            // No character's UTF-8 begins with these (RFC 3629 § 4): the stream is in some other encoding.
            State::Text if matches!(byte, 0x80..=0xC1 | 0xF5..=0xFF) => return Err(ParseErrorKind::NotUtf8),
            State::Text => return Err(ParseErrorKind::NotWellFormed("text outside of a stanza")),
            State::Markup => self.markup(byte)?,
            State::Bang(matched) => bang(matched, byte, self.depth)?,
            State::CData { brackets: 2.. } if byte == b'>' => State::Text,
            State::CData { brackets } if byte == b']' => State::CData { brackets: brackets.saturating_add(1) },
            State::CData { .. } => State::CData { brackets: 0 },
            State::Question(matched) => question(matched, byte)?,
            State::Declaration { question: true } if byte == b'>' => {
                self.state = State::Text;
                self.place = Place::AfterDeclaration;
                return Ok(Some(Piece::Declaration));
            }
            State::Declaration { .. } if byte == b'<' => return Err(INSIDE_MARKUP),
            State::Declaration { .. } => State::Declaration { question: byte == b'?' },
            State::StartTag { .. } | State::Quoted(_) | State::EndTag if byte == b'<' => return Err(INSIDE_MARKUP),
            State::StartTag { slash } if byte == b'>' => return self.start_tag_ends(slash),
            State::StartTag { .. } if matches!(byte, b'"' | b'\'') => State::Quoted(byte),
            State::StartTag { .. } => State::StartTag { slash: byte == b'/' },
            State::Quoted(quote) if byte == quote => State::StartTag { slash: false },
            State::Quoted(quote) => State::Quoted(quote),
            State::EndTag if byte == b'>' => return Ok(self.end_tag_ends()),
            State::EndTag => State::EndTag,
        };
        Ok(None)
    }

    /// The byte after `<`.
    fn markup(&self, byte: u8) -> Result<State, ParseErrorKind> {
        match byte {
            b'?' if self.place == Place::Start => Ok(State::Question(0)),
            b'?' => Err(ParseErrorKind::Restricted("a processing instruction or a late XML declaration")),
            b'!' => Ok(State::Bang(0)),
            b'/' if self.place == Place::Stream => Ok(State::EndTag),
            b'/' => Err(ParseErrorKind::NotWellFormed("an end tag before the stream header")),
            // XML 1.0 § 2.3. Which of the other characters may begin a name is for the parser to tell.
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80.. => {
                // The header is not a level: depth counts from the stanza.
                if self.place == Place::Stream && self.depth >= self.max_depth {
                    return Err(ParseErrorKind::Limit("depth"));
                }
                Ok(State::StartTag { slash: false })
            }
            _ => Err(ParseErrorKind::NotWellFormed("`<` that begins no markup")),
        }
    }

    fn start_tag_ends(&mut self, empty: bool) -> Result<Option<Piece>, ParseErrorKind> {
        self.state = State::Text;
        if self.place != Place::Stream {
            self.place = Place::Stream;
            return Ok(Some(Piece::Header { empty }));
        }
        if empty {
            return Ok((self.depth == 0).then_some(Piece::Child));
        }
        self.depth += 1;
        Ok((self.depth == 1).then_some(Piece::FirstTag))
    }

    fn end_tag_ends(&mut self) -> Option<Piece> {
        self.state = State::Text;
        if self.depth == 0 {
            return Some(Piece::Close);
        }
        self.depth -= 1;
        (self.depth == 0).then_some(Piece::Child)
    }
}

fn bang(matched: usize, byte: u8, depth: usize) -> Result<State, ParseErrorKind> {
    match byte {
        _ if CDATA.get(matched) != Some(&byte) => Err(match (matched, byte) {
            // RFC 6120 § 11.1.
            (0, b'-') => ParseErrorKind::Restricted("a comment"),
            (0, b'D') => ParseErrorKind::Restricted("a document type declaration"),
            (0, b'E' | b'A' | b'N') => ParseErrorKind::Restricted("a markup declaration"),
            _ => ParseErrorKind::NotWellFormed("`<` that begins no markup"),
        }),
        _ if depth == 0 => Err(ParseErrorKind::NotWellFormed("text outside of a stanza")),
        _ if matched + 1 == CDATA.len() => Ok(State::CData { brackets: 0 }),
        _ => Ok(State::Bang(matched + 1)),
    }
}

fn question(matched: usize, byte: u8) -> Result<State, ParseErrorKind> {
    if matched == XML.len() && is_space(byte) {
        return Ok(State::Declaration { question: false });
    }
    if XML.get(matched) == Some(&byte) {
        return Ok(State::Question(matched + 1));
    }
    Err(ParseErrorKind::Restricted("a processing instruction"))
}

const INSIDE_MARKUP: ParseErrorKind = ParseErrorKind::NotWellFormed("`<` inside a tag");
