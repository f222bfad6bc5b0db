//! Bytes to elements, each byte once and in its order: a stanza cut anyhow is read like one in a piece, and what breaks a
//! rule is found by the byte that breaks it. A name is judged when it ends, a prefix and a second attribute of the same
//! name by the end of the tag, since the declaration may come last.

mod grammar;

use core::mem;

use super::{Element, MAX_BYTES, Scope, chars, table::Table};
use crate::{Limits, ParseError, ParseErrorKind};

/// A part of the stream that has been read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The start tag of the stream, or a whole empty element in its place.
    Header { empty: bool },
    /// A whole first-level child.
    Child,
    /// The end tag of the stream.
    Close,
}

pub(crate) struct Parser {
    limits: Limits,
    place: Place,
    state: State,
    /// The declarations in force around the first-level children.
    scope: Scope,
    /// The element that is being read.
    table: Table,
    /// The names of the stream and of the open elements as they were written, one after the other; then those of an
    /// attribute and of a reference in its value, or what else is being read and kept as it is. A stack: each part is cut
    /// off when it has been understood.
    words: String,
    /// Where the name of the stream ends; nothing of it is there outside of a stream.
    root: usize,
    /// Where the last part begins.
    word: usize,
    /// Where the name of the attribute begins whose value is being read.
    attribute: usize,
    cut: Cut,
    /// Bytes that were there when reading began: as a rule a stanza and not much more.
    expected: usize,
    /// How many `]` stand directly before, two at most.
    brackets: usize,
    /// A carriage return stands directly before: a line feed after it is the same line end (XML 1.0 § 2.11).
    after_return: bool,
    /// Bytes read since the beginning, how many there were before the piece that is being read, and before its present
    /// markup or run of text.
    position: usize,
    piece: usize,
    token: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Start,
    AfterDeclaration,
    Stream,
    /// No stream is around it.
    Alone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Character data, or the space between first-level children.
    Text,
    /// After `<`.
    Markup,
    /// After `<!` and as many bytes of `[CDATA[`.
    Bang(usize),
    CData,
    /// After `<?` and as many bytes of `xml`.
    Question(usize),
    Declaration,
    /// After `&`; in an attribute's value that ends at this byte.
    Reference(Option<u8>),
    TagName,
    /// After white space in a start tag.
    Tag,
    AttributeName,
    /// After the white space that follows an attribute's name.
    AttributeNamed,
    /// After `=`.
    Equals,
    /// In an attribute's value, which ends at this byte.
    Value(u8),
    ValueEnded,
    /// After `/` in a start tag.
    Slash,
    EndName,
    /// After white space in an end tag.
    EndSpace,
}

/// The first bytes of a character whose others have not come.
#[derive(Debug, Default)]
struct Cut {
    bytes: [u8; 4],
    length: usize,
}

/// What is wrong, and where.
enum Fault {
    /// At this very byte.
    Here(ParseErrorKind),
    /// In the markup or run of text that this byte is part of.
    Token(ParseErrorKind),
    /// This many bytes since the beginning.
    At(usize, ParseErrorKind),
}

impl Parser {
    /// Expects a stream from its very beginning.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            place: Place::Start,
            state: State::Text,
            scope: Scope::default(),
            table: Table::default(),
            words: String::new(),
            root: 0,
            word: 0,
            attribute: 0,
            cut: Cut::default(),
            expected: 0,
            brackets: 0,
            after_return: false,
            position: 0,
            piece: 0,
            token: 0,
        }
    }

    /// Expects this one element, where these declarations are in force. What the last one needed is used again, as far as most
    /// stanzas need it.
    pub(crate) fn begin_one(&mut self, scope: &Scope, xml: &str) {
        let (mut table, mut words) = (mem::take(&mut self.table), mem::take(&mut self.words));
        // An element with an attribute, or with text and an end tag.
        let nodes = 2 * xml.bytes().filter(|byte| *byte == b'<').count();
        table.begin((xml.len(), nodes.min(self.limits.nodes)), self.limits, scope);
        words.clear();
        words.shrink_to(WORDS);
        words.reserve(WORDS);
        *self = Self { place: Place::Alone, table, words, ..Self::new(self.limits) };
    }

    /// Takes the memory of an element for the next one.
    pub(crate) fn reuse(&mut self, element: Element) {
        self.table.reuse(element);
    }

    /// How many bytes it holds in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        self.words.capacity() + self.table.held_bytes()
    }

    /// Reads on to the end of the next piece and moves `input` past it. `None` when all of `input` was used.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Piece>, ParseError> {
        self.expected = input.len();
        // One look at what is likely to be a stanza is cheaper than one at each run of it. Where that finds a fault, or a
        // character that is cut, each run is looked at, and so is what comes after.
        let all = *input;
        let whole = core::str::from_utf8(&all[..all.len().min(LOOKED_AT)]).ok().filter(|_| self.cut.length == 0);
        while let Some(&byte) = input.first() {
            if self.is_between() && chars::is_space(byte) {
                self.advance(input, 1);
                self.piece = self.position;
                continue;
            }
            let room = self.limits.stanza_bytes.min(MAX_BYTES).saturating_sub(self.buffered());
            let window = &input[..room.min(input.len())];
            if room > 0 {
                self.begin_name(byte).map_err(|fault| self.located(&fault))?;
            }
            let plain = self.plain(window);
            if plain > 0 {
                let start = all.len() - input.len();
                let run = match whole.and_then(|whole| whole.get(start..start + plain)) {
                    Some(text) => self.text(text),
                    None => self.characters(&window[..plain], self.position),
                };
                run.map_err(|fault| self.located(&fault))?;
                self.advance(input, plain);
            }
            let result = match window.get(plain) {
                Some(&byte) => self.step(byte),
                None if input.is_empty() => break,
                // One byte more than the limit is there, and still no end.
                None => Err(Fault::Here(ParseErrorKind::Limit("stanza_bytes"))),
            };
            let piece = result.map_err(|fault| self.located(&fault))?;
            self.advance(input, 1);
            if piece.is_some() {
                self.piece = self.position;
                return Ok(piece);
            }
        }
        Ok(None)
    }

    /// Bytes read of a piece whose end has not come.
    pub(crate) fn buffered(&self) -> usize {
        self.position - self.piece
    }

    /// The first-level child, after [`Piece::Child`].
    pub(crate) fn take_element(&mut self) -> Element {
        self.table.finish(self.place != Place::Alone)
    }

    /// The header and the declarations that it puts in force, after [`Piece::Header`].
    pub(crate) fn take_header(&mut self) -> Result<(Element, Scope), ParseError> {
        let (element, scope) = self.table.finish_header().map_err(|kind| ParseError { kind, offset: self.token })?;
        self.scope = scope.clone();
        Ok((element, scope))
    }

    fn is_between(&self) -> bool {
        self.state == State::Text && self.table.is_empty()
    }

    fn advance(&mut self, input: &mut &[u8], count: usize) {
        *input = &input[count..];
        self.position = self.position.saturating_add(count);
    }

    fn located(&self, fault: &Fault) -> ParseError {
        match *fault {
            Fault::Here(kind) => ParseError { kind, offset: self.position },
            Fault::Token(kind) => ParseError { kind, offset: self.token },
            Fault::At(offset, kind) => ParseError { kind, offset },
        }
    }

    /// How many bytes there are before the next one that can change the state.
    fn plain(&self, bytes: &[u8]) -> usize {
        match self.state {
            State::Text if self.table.is_empty() => 0,
            State::Text if self.brackets > 0 && bytes.first() == Some(&b'>') => 0,
            State::Text => chars::position(bytes, &chars::OF_TEXT),
            State::CData if self.brackets > 0 => 0,
            State::CData => chars::position(bytes, &chars::OF_CDATA),
            State::Value(b'"') => chars::position(bytes, &chars::OF_QUOTED),
            State::Value(_) => chars::position(bytes, &chars::OF_APOSTROPHES),
            State::TagName | State::AttributeName | State::EndName | State::Reference(_) => chars::name_length(bytes),
            State::Declaration => bytes.iter().take_while(|byte| !matches!(byte, b'<' | b'>')).count(),
            State::Markup
            | State::Bang(_)
            | State::Question(_)
            | State::Tag
            | State::AttributeNamed
            | State::Equals
            | State::ValueEnded
            | State::Slash
            | State::EndSpace => 0,
        }
    }

    /// Plain bytes, the first of which stands at `at`.
    fn characters(&mut self, mut bytes: &[u8], mut at: usize) -> Result<(), Fault> {
        while self.cut.length > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            (bytes, at) = (rest, at + 1);
            let Cut { bytes: cut, length } = &mut self.cut;
            cut[*length] = byte;
            *length += 1;
            let (cut, length) = (*cut, *length);
            match core::str::from_utf8(&cut[..length]) {
                Ok(character) => {
                    self.cut.length = 0;
                    self.text(character)?;
                }
                Err(fault) if fault.error_len().is_some() => {
                    return Err(Fault::At(at - length, ParseErrorKind::NotUtf8));
                }
                Err(_) => {}
            }
        }
        let fault = match core::str::from_utf8(bytes) {
            Ok(text) => return self.text(text),
            Err(fault) => fault,
        };
        let (sound, rest) = bytes.split_at(fault.valid_up_to());
        self.text(core::str::from_utf8(sound).unwrap_or_default())?;
        if fault.error_len().is_some() {
            return Err(Fault::At(at + sound.len(), ParseErrorKind::NotUtf8));
        }
        self.cut.bytes[..rest.len()].copy_from_slice(rest);
        self.cut.length = rest.len();
        Ok(())
    }

    /// Plain characters.
    fn text(&mut self, text: &str) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        match self.state {
            State::Text | State::CData => {
                self.brackets = 0;
                self.table.characters(text, &mut self.after_return)?;
            }
            State::Value(_) => {
                self.after_return = false;
                self.table.value(text)?;
            }
            State::EndName => {
                self.words.push_str(text);
                if !self.innermost().starts_with(&self.words[self.word..]) {
                    return Err(MISMATCH.into());
                }
            }
            State::Reference(_) => {
                self.words.push_str(text);
                chars::check_reference(&self.words[self.word..])?;
            }
            State::Declaration => self.words.push_str(text),
            // No other state takes plain bytes.
            State::TagName
            | State::AttributeName
            | State::Markup
            | State::Bang(_)
            | State::Question(_)
            | State::Tag
            | State::AttributeNamed
            | State::Equals
            | State::ValueEnded
            | State::Slash
            | State::EndSpace => {
                if self.words.len() - self.word + text.len() > self.limits.name_bytes {
                    return Err(ParseErrorKind::Limit("name_bytes").into());
                }
                self.words.push_str(text);
            }
        }
        Ok(())
    }
}

impl From<ParseErrorKind> for Fault {
    fn from(kind: ParseErrorKind) -> Self {
        Self::Token(kind)
    }
}

const fn not_well_formed(what: &'static str) -> ParseErrorKind {
    ParseErrorKind::NotWellFormed(what)
}

const MISMATCH: ParseErrorKind = not_well_formed("an end tag that does not match its start tag");
/// Bytes that are looked at in one go whether they are UTF-8: reading goes on from here after each element, and some are small.
const LOOKED_AT: usize = 512;
/// Bytes of the names that most elements need at once.
const WORDS: usize = 64;
