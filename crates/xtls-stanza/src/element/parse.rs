//! Text to elements.
//!
//! quick-xml cuts the text into tags and runs of character data; what XML and RFC 6120 § 11 forbid is refused here, since
//! the tokenizer lets much of it through.

use quick_xml::{
    Reader,
    errors::{Error, IllFormedError, SyntaxError},
    events::Event,
};

use super::{Element, Entry, MAX_BYTES, Scope, Span, chars, index, stored, tag::Tag};
use crate::{Limits, ParseError, ParseErrorKind, ns};

impl Element {
    /// Parses one stanza that was cut out of its stream: without a declaration of its own it is in `jabber:client`, and
    /// a prefix that it does not declare itself is refused.
    ///
    /// White space around it is allowed, nothing else is. The cost is linear in the text.
    ///
    /// # Errors
    ///
    /// When the text exceeds a limit, is not one well-formed element, or holds what RFC 6120 § 11.1 forbids.
    pub fn parse(xml: &str, limits: &Limits) -> Result<Self, ParseError> {
        Self::parse_in(xml, limits, &Scope::new(ns::CLIENT))
    }

    /// Parses one element that stands where the declarations of `scope` are in force.
    ///
    /// # Errors
    ///
    /// As for [`Element::parse`].
    pub fn parse_in(xml: &str, limits: &Limits, scope: &Scope) -> Result<Self, ParseError> {
        if xml.len() > limits.stanza_bytes.min(MAX_BYTES) {
            return Err(ParseError { kind: ParseErrorKind::Limit("stanza_bytes"), offset: 0 });
        }
        // The tokenizer takes it for a byte order mark, which a stream cannot have (RFC 6120 § 11.6).
        if xml.starts_with('\u{FEFF}') {
            return Err(ParseError { kind: OUTSIDE, offset: 0 });
        }
        let mut parser = Parser::new(xml.len(), limits, scope);
        let mut reader = Reader::from_str(xml);
        loop {
            let offset = position(reader.buffer_position());
            let result = match reader.read_event() {
                Ok(Event::Eof) => return parser.finish(xml.len()),
                Ok(event) => parser.event(event),
                Err(error) => Err(tokenizer_fault(&error)),
            };
            if let Err(kind) = result {
                return Err(ParseError { kind, offset });
            }
        }
    }
}

/// An element whose end has not been seen.
struct Open {
    at: usize,
    /// How many declarations were in force around it.
    bindings: usize,
}

/// Declared in the text itself: where the prefix and the namespace were kept.
#[derive(Clone, Copy)]
pub(super) struct Binding {
    pub(super) prefix: Span,
    pub(super) namespace: Span,
}

pub(super) struct Parser<'a> {
    pub(super) limits: &'a Limits,
    pub(super) text: String,
    pub(super) nodes: Vec<Entry>,
    pub(super) bindings: Vec<Binding>,
    /// How many of the declarations are those of the surroundings.
    pub(super) surrounding: usize,
    /// Where the namespace of the prefix `xml` was kept, once it has been used.
    pub(super) xml: Option<Span>,
    open: Vec<Open>,
    /// The last node is text and what comes next may continue it.
    in_text: bool,
    done: bool,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: usize, limits: &'a Limits, scope: &Scope) -> Self {
        let mut parser = Self {
            limits,
            // The declarations of the surroundings come on top of the text itself.
            text: String::with_capacity(bytes + 64),
            nodes: Vec::with_capacity(16),
            bindings: Vec::with_capacity(8),
            surrounding: 0,
            xml: None,
            open: Vec::with_capacity(8),
            in_text: false,
            done: false,
        };
        for (prefix, namespace) in scope.bindings() {
            let binding = Binding { prefix: parser.push_str(prefix), namespace: parser.push_str(namespace) };
            parser.bindings.push(binding);
        }
        parser.surrounding = parser.bindings.len();
        parser
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), ParseErrorKind> {
        match event {
            Event::Start(tag) => self.start(&tag, tag.name().0.len()),
            Event::Empty(tag) => {
                self.start(&tag, tag.name().0.len())?;
                self.end();
                Ok(())
            }
            // The tokenizer compares the names of start and end.
            Event::End(_) => {
                self.end();
                Ok(())
            }
            Event::Text(text) if text.contains("]]>") => Err(ParseErrorKind::NotWellFormed("`]]>` in character data")),
            Event::Text(text) => self.character_data(&text),
            // Not even white space may stand in it there: it is no `Misc` (XML 1.0 § 2.8).
            Event::CData(_) if self.open.is_empty() => Err(OUTSIDE),
            Event::CData(text) => self.character_data(&text),
            Event::GeneralRef(name) => {
                let c = chars::resolve(&name)?;
                self.resolved(c)
            }
            // RFC 6120 § 11.1.
            Event::Comment(_) => Err(ParseErrorKind::Restricted("a comment")),
            Event::PI(_) => Err(ParseErrorKind::Restricted("a processing instruction")),
            Event::DocType(_) => Err(ParseErrorKind::Restricted("a document type declaration")),
            // XML 1.0 § 2.8: it can only open a document, and a stanza is inside one.
            Event::Decl(_) => Err(ParseErrorKind::NotWellFormed("an XML declaration inside the stream")),
            // Taken care of by the caller.
            Event::Eof => Ok(()),
        }
    }

    pub(super) fn start(&mut self, raw: &str, name_bytes: usize) -> Result<(), ParseErrorKind> {
        if self.done {
            return Err(ParseErrorKind::NotWellFormed("a second root element"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(ParseErrorKind::Limit("depth"));
        }
        self.in_text = false;
        let (name, attributes) = raw.split_at(name_bytes);
        let open = Open { at: self.nodes.len(), bindings: self.bindings.len() };
        Tag { name, attributes }.push(self)?;
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) {
        self.in_text = false;
        let after = stored(self.nodes.len());
        if let Some(open) = self.open.pop() {
            self.bindings.truncate(open.bindings);
            if let Some(Entry::Element { end, .. }) = self.nodes.get_mut(open.at) {
                *end = after;
            }
        }
        self.done = self.open.is_empty();
    }

    fn character_data(&mut self, text: &str) -> Result<(), ParseErrorKind> {
        if self.open.is_empty() {
            let blank = text.bytes().all(chars::is_space);
            return if blank { Ok(()) } else { Err(OUTSIDE) };
        }
        self.begin_text()?;
        chars::append_text(&mut self.text, text)?;
        self.extend_text();
        Ok(())
    }

    fn resolved(&mut self, c: char) -> Result<(), ParseErrorKind> {
        if self.open.is_empty() {
            return Err(OUTSIDE);
        }
        self.begin_text()?;
        self.text.push(c);
        self.extend_text();
        Ok(())
    }

    /// Adds a text node, unless the last piece of text goes on: pieces around a reference become one.
    fn begin_text(&mut self) -> Result<(), ParseErrorKind> {
        if self.in_text {
            return Ok(());
        }
        self.in_text = true;
        let end = stored(self.text.len());
        self.push_node(Entry::Text(Span { start: end, end }))
    }

    fn extend_text(&mut self) {
        let after = stored(self.text.len());
        if let Some(Entry::Text(span)) = self.nodes.last_mut() {
            span.end = after;
        }
    }

    pub(super) fn push_node(&mut self, node: Entry) -> Result<(), ParseErrorKind> {
        if self.nodes.len() >= self.limits.nodes {
            return Err(ParseErrorKind::Limit("nodes"));
        }
        self.nodes.push(node);
        Ok(())
    }

    pub(super) fn push_str(&mut self, text: &str) -> Span {
        let start = stored(self.text.len());
        self.text.push_str(text);
        Span { start, end: stored(self.text.len()) }
    }

    pub(super) fn str(&self, span: Span) -> &str {
        &self.text[index(span.start)..index(span.end)]
    }

    /// For a start tag whose end is not parsed: the element, and the declarations in force inside it.
    pub(super) fn into_header(mut self) -> Result<(Element, Scope), ParseErrorKind> {
        let mut scope = Scope::default();
        for binding in &self.bindings {
            scope.declare(self.str(binding.prefix), self.str(binding.namespace))?;
        }
        self.end();
        Ok((Element { text: self.text, nodes: self.nodes }, scope))
    }

    fn finish(self, length: usize) -> Result<Element, ParseError> {
        let fault = |what| Err(ParseError { kind: ParseErrorKind::NotWellFormed(what), offset: length });
        if !self.open.is_empty() {
            return fault("an element is not closed");
        }
        if self.nodes.is_empty() {
            return fault("no element");
        }
        Ok(Element { text: self.text, nodes: self.nodes })
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// What the tokenizer itself refuses. It is never asked to do I/O, and names what it finds in its own words; these are
/// the cases worth telling apart.
pub(super) fn tokenizer_fault(error: &Error) -> ParseErrorKind {
    let what =
        if let Error::Syntax(SyntaxError::UnclosedComment | SyntaxError::UnclosedPI | SyntaxError::UnclosedDoctype) =
            error
        {
            return ParseErrorKind::Restricted("a comment, processing instruction or document type declaration");
        } else if let Error::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) =
            error
        {
            "an end tag that does not match its start tag"
        } else if let Error::IllFormed(IllFormedError::UnclosedReference) = error {
            "`&` that begins no reference"
        } else if let Error::Syntax(_) = error {
            "markup that is not closed"
        } else {
            "broken markup"
        };
    ParseErrorKind::NotWellFormed(what)
}

const OUTSIDE: ParseErrorKind = ParseErrorKind::NotWellFormed("text outside of the element");
