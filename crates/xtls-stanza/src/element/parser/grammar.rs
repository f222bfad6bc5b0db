//! Which bytes may follow which (XML 1.0, without what RFC 6120 § 11.1 forbids).

use core::mem;

use super::{Fault, MISMATCH, Parser, Piece, Place, State, not_well_formed};
use crate::{
    ParseErrorKind,
    element::{chars, header},
};

impl Parser {
    /// A byte that can change the state.
    pub(super) fn step(&mut self, byte: u8) -> Result<Option<Piece>, Fault> {
        if self.cut.length > 0 {
            return Err(Fault::At(self.position - self.cut.length, ParseErrorKind::NotUtf8));
        }
        let after_return = mem::take(&mut self.after_return);
        self.state = match self.state {
            State::Text => self.text_step(byte)?,
            State::Markup => self.markup(byte)?,
            State::Bang(matched) => bang(matched, byte, self.table.is_empty())?,
            State::CData => self.cdata_step(byte)?,
            State::Question(matched) => self.question(matched, byte)?,
            State::Declaration => self.declaration_step(byte)?,
            State::Reference(quote) => self.reference_step(quote, byte)?,
            _ if byte == b'<' => return Err(INSIDE_MARKUP),
            State::Value(quote) => self.value_step(quote, byte, after_return)?,
            State::EndName | State::EndSpace if byte == b'>' => return self.end_tag_ends(),
            State::EndName | State::EndSpace if chars::is_space(byte) && self.has_word() => State::EndSpace,
            State::EndName | State::EndSpace => return Err(MISMATCH.into()),
            State::TagName => {
                self.table.start(&self.words[self.word..], self.word)?;
                return self.tag_step(byte, "a name that XML does not allow");
            }
            State::Tag => return self.tag_step(byte, "a name that XML does not allow"),
            State::ValueEnded => return self.tag_step(byte, "an attribute without white space before it"),
            State::Slash if byte == b'>' => return self.start_tag_ends(true),
            State::Slash => return Err(here("`/` that does not end its tag")),
            State::AttributeName => {
                let named = attribute_named(byte)?;
                self.table.attribute(&self.words[self.word..])?;
                self.attribute = self.word;
                named
            }
            State::AttributeNamed => attribute_named(byte)?,
            State::Equals if chars::is_space(byte) => State::Equals,
            State::Equals if matches!(byte, b'"' | b'\'') => State::Value(byte),
            State::Equals => return Err(here("an attribute value without quotes")),
        };
        Ok(None)
    }

    fn text_step(&mut self, byte: u8) -> Result<State, Fault> {
        let brackets = mem::take(&mut self.brackets);
        match byte {
            b'<' => {
                self.token = self.position;
                return Ok(State::Markup);
            }
            // No character's UTF-8 begins with these (RFC 3629 § 4): the stream is in some other encoding.
            0x80..=0xC1 | 0xF5..=0xFF if self.table.is_empty() => return Err(Fault::Here(ParseErrorKind::NotUtf8)),
            _ if self.table.is_empty() => return Err(here("text outside of a stanza")),
            b'&' => {
                self.token = self.position;
                self.begin_word();
                return Ok(State::Reference(None));
            }
            // XML 1.0 § 2.4.
            b'>' if brackets == 2 => return Err(not_well_formed("`]]>` in character data").into()),
            _ => {
                self.table.character(char::from(byte))?;
                self.brackets = if byte == b']' { 2.min(brackets + 1) } else { 0 };
            }
        }
        Ok(State::Text)
    }

    fn cdata_step(&mut self, byte: u8) -> Result<State, Fault> {
        match byte {
            b']' if self.brackets < 2 => {
                self.brackets += 1;
                return Ok(State::CData);
            }
            b']' => self.table.character(']')?,
            b'>' if self.brackets == 2 => {
                self.brackets = 0;
                return Ok(self.in_text());
            }
            _ => {
                for _ in 0..mem::take(&mut self.brackets) {
                    self.table.character(']')?;
                }
                self.characters(&[byte], self.position)?;
            }
        }
        Ok(State::CData)
    }

    /// Before a byte in a tag: if it begins a name, it is part of that, and changes no state itself.
    pub(super) fn begin_name(&mut self, byte: u8) -> Result<(), Fault> {
        // XML 1.0 § 2.3. Which of the other characters may begin a name is told by its end.
        let begins_tag = matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80..);
        if self.state == State::Markup && begins_tag {
            // The header is not a level: depth counts from the stanza.
            if self.place >= Place::Stream && self.table.depth() >= self.limits.depth {
                return Err(Fault::Here(ParseErrorKind::Limit("depth")));
            }
            if self.table.is_empty() && self.place != Place::Alone {
                let bytes = self.expected.clamp(EXPECTED, EXPECTED_MOST);
                self.table.begin((bytes, 0), self.limits, &self.scope);
            }
            self.state = State::TagName;
            self.begin_word();
        } else if self.state == State::Tag && chars::name_length(&[byte]) > 0 {
            self.state = State::AttributeName;
            self.begin_word();
        }
        Ok(())
    }

    /// The byte after `<`.
    fn markup(&mut self, byte: u8) -> Result<State, Fault> {
        match byte {
            b'?' if self.place == Place::Start => Ok(State::Question(0)),
            b'?' => Err(restricted("a processing instruction or a late XML declaration")),
            b'!' => Ok(State::Bang(0)),
            b'/' if self.place >= Place::Stream => {
                self.begin_word();
                Ok(State::EndName)
            }
            b'/' => Err(here("an end tag before the stream header")),
            _ => Err(here("`<` that begins no markup")),
        }
    }

    fn question(&mut self, matched: usize, byte: u8) -> Result<State, Fault> {
        if matched == XML.len() && chars::is_space(byte) {
            self.begin_word();
            self.words.push(char::from(byte));
            return Ok(State::Declaration);
        }
        if XML.get(matched) == Some(&byte) {
            return Ok(State::Question(matched + 1));
        }
        Err(restricted("a processing instruction"))
    }

    fn declaration_step(&mut self, byte: u8) -> Result<State, Fault> {
        if byte == b'<' {
            return Err(INSIDE_MARKUP);
        }
        let Some(inner) = self.words[self.word..].strip_suffix('?') else {
            self.words.push(char::from(byte));
            return Ok(State::Declaration);
        };
        header::check_xml_declaration(inner)?;
        self.words.truncate(self.word);
        self.place = Place::AfterDeclaration;
        // It is no part of the header, whose bytes are bounded by themselves.
        self.piece = self.position + 1;
        Ok(self.in_text())
    }

    fn reference_step(&mut self, quote: Option<u8>, byte: u8) -> Result<State, Fault> {
        match byte {
            b';' => {
                let c = chars::resolve(&self.words[self.word..])?;
                self.words.truncate(self.word);
                match quote {
                    Some(quote) => {
                        self.table.value_character(c)?;
                        Ok(State::Value(quote))
                    }
                    None => {
                        self.table.character(c)?;
                        Ok(self.in_text())
                    }
                }
            }
            b'#' if !self.has_word() => {
                self.words.push('#');
                Ok(State::Reference(quote))
            }
            _ => Err(not_well_formed("`&` that begins no reference").into()),
        }
    }

    /// XML 1.0 § 3.3.3: each white space becomes a space, a line end as one.
    fn value_step(&mut self, quote: u8, byte: u8, after_return: bool) -> Result<State, Fault> {
        match byte {
            b'&' => {
                self.begin_word();
                return Ok(State::Reference(Some(quote)));
            }
            b'\t' | b'\n' | b'\r' => {
                self.after_return = byte == b'\r';
                if !(after_return && byte == b'\n') {
                    self.table.value_character(' ')?;
                }
            }
            _ => {
                self.table.value_ends(&self.words[self.attribute..])?;
                self.words.truncate(self.attribute);
                return Ok(State::ValueEnded);
            }
        }
        Ok(State::Value(quote))
    }

    /// A byte after a name or a value in a start tag.
    fn tag_step(&mut self, byte: u8, otherwise: &'static str) -> Result<Option<Piece>, Fault> {
        self.state = match byte {
            b'>' => return self.start_tag_ends(false),
            b'/' => State::Slash,
            _ if chars::is_space(byte) => State::Tag,
            _ => return Err(here(otherwise)),
        };
        Ok(None)
    }

    fn start_tag_ends(&mut self, empty: bool) -> Result<Option<Piece>, Fault> {
        self.table.tag_ends()?;
        if self.place < Place::Stream {
            self.place = Place::Stream;
            self.root = self.words.len();
            self.state = self.in_text();
            return Ok(Some(Piece::Header { empty }));
        }
        // A stream inside the stream would only end with the stream itself.
        if self.table.depth() == 1 && !empty && self.innermost() == &self.words[..self.root] {
            return Err(not_well_formed("a second stream header").into());
        }
        self.state = self.in_text();
        Ok(if empty { self.element_ends() } else { None })
    }

    fn end_tag_ends(&mut self) -> Result<Option<Piece>, Fault> {
        if !self.has_word() || &self.words[self.word..] != self.innermost() {
            return Err(MISMATCH.into());
        }
        self.words.truncate(self.word);
        self.state = self.in_text();
        Ok(if self.table.is_empty() { Some(Piece::Close) } else { self.element_ends() })
    }

    fn element_ends(&mut self) -> Option<Piece> {
        let name = self.table.end();
        self.words.truncate(name);
        self.table.is_empty().then_some(Piece::Child)
    }

    fn begin_word(&mut self) {
        self.word = self.words.len();
    }

    fn has_word(&self) -> bool {
        self.words.len() > self.word
    }

    /// Text begins after this byte.
    fn in_text(&mut self) -> State {
        self.token = self.position + 1;
        State::Text
    }

    /// The name that the next end tag has to bear: it stands before what is read of that tag's own, or is the last.
    pub(super) fn innermost(&self) -> &str {
        let end =
            if self.state == State::EndName || self.state == State::EndSpace { self.word } else { self.words.len() };
        match self.table.innermost() {
            Some(name) => &self.words[name..end],
            None => &self.words[..self.root],
        }
    }
}

fn bang(matched: usize, byte: u8, is_between: bool) -> Result<State, Fault> {
    match byte {
        _ if CDATA.get(matched) != Some(&byte) => Err(match (matched, byte) {
            // RFC 6120 § 11.1.
            (0, b'-') => restricted("a comment"),
            (0, b'D' | b'd') => restricted("a document type declaration"),
            (0, b'E' | b'A' | b'N') => restricted("a markup declaration"),
            _ => here("`<` that begins no markup"),
        }),
        _ if is_between => Err(here("text outside of a stanza")),
        _ if matched + 1 == CDATA.len() => Ok(State::CData),
        _ => Ok(State::Bang(matched + 1)),
    }
}

/// The byte after an attribute's name, or after the white space that follows it.
fn attribute_named(byte: u8) -> Result<State, Fault> {
    match byte {
        b'=' => Ok(State::Equals),
        _ if chars::is_space(byte) => Ok(State::AttributeNamed),
        _ => Err(here("an attribute without a value")),
    }
}

fn here(what: &'static str) -> Fault {
    Fault::Here(not_well_formed(what))
}

fn restricted(what: &'static str) -> Fault {
    Fault::Here(ParseErrorKind::Restricted(what))
}

const CDATA: &[u8] = b"[CDATA[";
const XML: &[u8] = b"xml";
/// Most stanzas have no more bytes than the one, and few more than the other.
const EXPECTED: usize = 64;
const EXPECTED_MOST: usize = 1024;
const INSIDE_MARKUP: Fault = Fault::Here(not_well_formed("`<` inside a tag"));
