//! The string and the table of an element that is being read: names, attributes, namespace declarations, text.

use core::mem;
use std::collections::BTreeSet;

use super::{Element, Entry, Scope, Span, bindings::Bindings, chars, scope, stored};
use crate::{Limits, ParseErrorKind, ns};

/// An element whose end has not been seen.
struct Open {
    at: usize,
    /// How many declarations were in force around it.
    bindings: usize,
    /// Where its name begins among those kept as they were written.
    word: usize,
}

/// What a start tag has said so far, kept until its end. Declarations apply to the tag that they stand in, wherever they
/// stand in it, so prefixes are resolved last.
#[derive(Default)]
struct Tag {
    /// Where its element stands in the table.
    element: usize,
    /// The prefixes of the element, if it has one, and of its attributes: which row, and how long in `text`.
    prefixes: Vec<(usize, usize)>,
    text: String,
    attributes: usize,
    declarations: usize,
    /// Where the local part begins in the name of the attribute that is being read.
    local: usize,
    /// Where its value begins.
    value: usize,
}

#[derive(Default)]
pub(super) struct Table {
    limits: Limits,
    text: String,
    nodes: Vec<Entry>,
    bindings: Bindings,
    /// How many of the declarations are those of the surroundings.
    surrounding: usize,
    /// Where the namespace of the prefix `xml` was kept, once it has been used.
    xml: Option<Span>,
    open: Vec<Open>,
    tag: Tag,
    /// The last node is text and what comes next may continue it.
    in_text: bool,
}

impl Table {
    /// Begins an element of about so many bytes and nodes, where these declarations are in force. What the last one needed meanwhile is
    /// used again.
    pub(super) fn begin(&mut self, (bytes, nodes): (usize, usize), limits: Limits, scope: &Scope) {
        self.limits = limits;
        // The declarations of the surroundings come on top of the text itself, and maybe addresses that it is stamped with.
        let surroundings: usize = scope.bindings().map(|(prefix, namespace)| prefix.len() + namespace.len()).sum();
        self.text.clear();
        self.text.reserve(bytes + surroundings + STAMPS);
        self.nodes.clear();
        self.nodes.reserve(nodes.max(NODES));
        self.open.reserve(KEPT);
        for (prefix, namespace) in scope.bindings() {
            let (prefix, namespace) = (self.push_str(prefix), self.push_str(namespace));
            self.bindings.push(prefix, namespace, &self.text);
        }
        self.surrounding = self.bindings.len();
    }

    /// No element is open.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Where the name of the innermost open element begins among those kept as they were written.
    pub(super) fn innermost(&self) -> Option<usize> {
        self.open.last().map(|open| open.word)
    }

    /// The name of a start tag, which begins at `word` among those kept as they were written.
    pub(super) fn start(&mut self, name: &str, word: usize) -> Result<(), ParseErrorKind> {
        let (prefix, local) = split_name(name)?;
        self.in_text = false;
        let element = self.nodes.len();
        self.open.push(Open { at: element, bindings: self.bindings.len(), word });
        let name = self.push_str(local);
        self.push_node(Entry::Element { ns: Span::default(), name, attributes: 0, end: 0 })?;
        let tag = &mut self.tag;
        (tag.element, tag.attributes, tag.declarations) = (element, 0, 0);
        tag.text.clear();
        tag.prefixes.clear();
        self.note_prefix(element, prefix);
        Ok(())
    }

    /// The name of an attribute, whose value follows.
    pub(super) fn attribute(&mut self, name: &str) -> Result<(), ParseErrorKind> {
        if self.tag.attributes + self.tag.declarations >= self.limits.attributes {
            return Err(ParseErrorKind::Limit("attributes"));
        }
        let (_, local) = split_name(name)?;
        (self.tag.local, self.tag.value) = (name.len() - local.len(), self.text.len());
        Ok(())
    }

    /// Characters of an attribute's value that stand for themselves.
    pub(super) fn value(&mut self, text: &str) -> Result<(), ParseErrorKind> {
        let room = self.limits.value_bytes.saturating_sub(self.text.len() - self.tag.value);
        let fits = text.len().min(room);
        let fits = (0..=fits).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        chars::append_text(&mut self.text, &text[..fits], &mut false)?;
        if fits < text.len() { Err(ParseErrorKind::Limit("value_bytes")) } else { Ok(()) }
    }

    /// The end of the value of the attribute of this name.
    pub(super) fn value_ends(&mut self, name: &str) -> Result<(), ParseErrorKind> {
        let value = Span { start: stored(self.tag.value), end: stored(self.text.len()) };
        let (prefix, local) = name.split_at(self.tag.local);
        let prefix = prefix.strip_suffix(':').unwrap_or_default();
        if prefix == "xmlns" || (prefix.is_empty() && local == "xmlns") {
            self.declare(if prefix.is_empty() { "" } else { local }, value)?;
            self.tag.declarations += 1;
            return Ok(());
        }
        let name = self.push_str(local);
        let at = self.nodes.len();
        self.push_node(Entry::Attribute { ns: Span::default(), name, value })?;
        self.tag.attributes += 1;
        self.note_prefix(at, prefix);
        Ok(())
    }

    /// The end of a start tag.
    pub(super) fn tag_ends(&mut self) -> Result<(), ParseErrorKind> {
        let tag = mem::take(&mut self.tag);
        let mut prefixes = tag.prefixes.iter().scan(0, |at, &(node, length)| {
            let prefix = &tag.text[*at..*at + length];
            *at += length;
            Some((node, prefix))
        });
        let mut next = prefixes.next();
        for at in tag.element..=tag.element + tag.attributes {
            let prefix = match next {
                Some((node, prefix)) if node == at => {
                    next = prefixes.next();
                    prefix
                }
                _ => "",
            };
            self.resolve(&tag, at, prefix)?;
        }
        if self.has_twice(&tag) {
            return Err(TWICE);
        }
        self.tag = tag;
        Ok(())
    }

    /// An end tag, or the end of an empty element. Where its name begins among those kept as they were written.
    pub(super) fn end(&mut self) -> usize {
        self.in_text = false;
        let after = stored(self.nodes.len());
        let Some(open) = self.open.pop() else { return 0 };
        self.bindings.truncate(open.bindings, &self.text);
        if let Some(Entry::Element { end, .. }) = self.nodes.get_mut(open.at) {
            *end = after;
        }
        open.word
    }

    /// Character data. `after_return` says that a carriage return stands before it, and afterwards that one ends it.
    pub(super) fn characters(&mut self, text: &str, after_return: &mut bool) -> Result<(), ParseErrorKind> {
        self.begin_text()?;
        let result = chars::append_text(&mut self.text, text, after_return);
        let after = stored(self.text.len());
        if let Some(Entry::Text(span)) = self.nodes.last_mut() {
            span.end = after;
        }
        result
    }

    /// A character that something else stood for, in character data.
    pub(super) fn character(&mut self, c: char) -> Result<(), ParseErrorKind> {
        self.begin_text()?;
        self.text.push(c);
        let after = stored(self.text.len());
        if let Some(Entry::Text(span)) = self.nodes.last_mut() {
            span.end = after;
        }
        Ok(())
    }

    /// A character that something else stood for, in an attribute's value.
    pub(super) fn value_character(&mut self, c: char) -> Result<(), ParseErrorKind> {
        if self.text.len() - self.tag.value + c.len_utf8() > self.limits.value_bytes {
            return Err(ParseErrorKind::Limit("value_bytes"));
        }
        self.text.push(c);
        Ok(())
    }

    /// The element, all of which has been seen. What is kept of a peer's is to be about what it sent, and the addresses that it is
    /// stamped with: a stream has room for what else has come, and is `cut` down to what the element needs.
    pub(super) fn finish(&mut self, cut: bool) -> Element {
        let (mut text, mut nodes) = (mem::take(&mut self.text), mem::take(&mut self.nodes));
        if cut && text.capacity() > text.len() + text.len() / 2 + STAMPS {
            text.shrink_to(text.len() + STAMPS);
        }
        if nodes.capacity() > 2 * nodes.len().max(MANY_NODES) {
            nodes.shrink_to_fit();
        }
        self.bindings.clear(KEPT);
        self.open.clear();
        self.open.shrink_to(KEPT);
        (self.surrounding, self.tag, self.xml, self.in_text) = (0, Tag::default(), None, false);
        Element { text, nodes }
    }

    /// Takes the memory of an element for the next one.
    pub(super) fn reuse(&mut self, Element { text, nodes }: Element) {
        (self.text, self.nodes) = (text, nodes);
    }

    /// How many bytes it holds in memory, while no element is open.
    pub(super) fn held_bytes(&self) -> usize {
        let text = self.text.capacity() + self.tag.text.capacity();
        let rows = self.nodes.capacity() * size_of::<Entry>() + self.open.capacity() * size_of::<Open>();
        text + rows + self.tag.prefixes.capacity() * size_of::<(usize, usize)>() + self.bindings.held_bytes()
    }

    /// For a start tag whose end comes much later: the element, and the declarations in force inside it.
    pub(super) fn finish_header(&mut self) -> Result<(Element, Scope), ParseErrorKind> {
        let mut scope = Scope::default();
        for binding in self.bindings.iter() {
            scope.declare(self.str(binding.prefix), self.str(binding.namespace))?;
        }
        self.end();
        Ok((self.finish(true), scope))
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

    fn note_prefix(&mut self, node: usize, prefix: &str) {
        if !prefix.is_empty() {
            self.tag.prefixes.push((node, prefix.len()));
            self.tag.text.push_str(prefix);
        }
    }

    /// Gives the element or attribute at `at` its namespace.
    fn resolve(&mut self, tag: &Tag, at: usize, prefix: &str) -> Result<(), ParseErrorKind> {
        let is_element = at == tag.element;
        // Namespaces in XML § 6.2: the default namespace does not apply to attributes.
        let resolved = if prefix.is_empty() && !is_element { Span::default() } else { self.lookup(prefix)? };
        match &mut self.nodes[at] {
            Entry::Element { ns, attributes, .. } => (*ns, *attributes) = (resolved, stored(tag.attributes)),
            Entry::Attribute { ns, .. } => *ns = resolved,
            Entry::Text(_) => {}
        }
        Ok(())
    }

    /// Whether two attributes of a start tag have one name (XML 1.0 § 3.1, Namespaces in XML § 6.3). Few are compared with one
    /// another; many are sorted, so that the work follows their number.
    fn has_twice(&self, tag: &Tag) -> bool {
        let attributes = &self.nodes[tag.element + 1..][..tag.attributes];
        let name = |entry: &Entry| match entry {
            Entry::Attribute { ns, name, .. } => (self.str(*name), self.str(*ns)),
            Entry::Element { .. } | Entry::Text(_) => Default::default(),
        };
        if attributes.len() <= FEW_ATTRIBUTES {
            return (1..attributes.len())
                .any(|at| attributes[..at].iter().any(|one| name(one) == name(&attributes[at])));
        }
        let mut seen = BTreeSet::new();
        !attributes.iter().all(|one| seen.insert(name(one)))
    }

    /// Puts a declaration in force.
    fn declare(&mut self, prefix: &str, namespace: Span) -> Result<(), ParseErrorKind> {
        let text = |span| self.str(span);
        scope::check_declaration(prefix, text(namespace))?;
        let outside = self.bindings.len() - self.tag.declarations;
        if self.bindings.find(prefix, &self.text).is_some_and(|(at, _)| at >= outside) {
            return Err(TWICE);
        }
        if self.bindings.len() - self.surrounding >= self.limits.declarations {
            return Err(ParseErrorKind::Limit("declarations"));
        }
        let prefix = self.push_str(prefix);
        self.bindings.push(prefix, namespace, &self.text);
        Ok(())
    }

    /// The namespace that a prefix stands for, the innermost declaration first.
    fn lookup(&mut self, prefix: &str) -> Result<Span, ParseErrorKind> {
        if prefix == "xmlns" {
            return Err(ParseErrorKind::NotWellFormed("the prefix `xmlns` on an element"));
        }
        if let Some((_, binding)) = self.bindings.find(prefix, &self.text) {
            return Ok(binding.namespace);
        }
        match prefix {
            // Namespaces in XML § 3: bound without a declaration.
            "xml" => {
                let kept = self.xml.unwrap_or_else(|| self.push_str(ns::XML));
                self.xml = Some(kept);
                Ok(kept)
            }
            "" => Ok(Span::default()),
            _ => Err(ParseErrorKind::UndeclaredPrefix),
        }
    }

    fn push_node(&mut self, node: Entry) -> Result<(), ParseErrorKind> {
        if self.nodes.len() >= self.limits.nodes {
            return Err(ParseErrorKind::Limit("nodes"));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn push_str(&mut self, text: &str) -> Span {
        let start = stored(self.text.len());
        self.text.push_str(text);
        Span { start, end: stored(self.text.len()) }
    }

    fn str(&self, span: Span) -> &str {
        span.of(&self.text)
    }
}

/// Prefix (empty if there is none) and local name (Namespaces in XML § 4).
fn split_name(name: &str) -> Result<(&str, &str), ParseErrorKind> {
    if chars::is_ncname(name) {
        return Ok(("", name));
    }
    match name.split_once(':') {
        Some(parts @ (prefix, local)) if chars::is_ncname(prefix) && chars::is_ncname(local) => Ok(parts),
        _ => Err(ParseErrorKind::NotWellFormed("a name that XML does not allow")),
    }
}

/// Open elements and declarations that most stanzas have at once.
const KEPT: usize = 8;

/// Elements, attributes and pieces of text that most stanzas have.
const NODES: usize = 16;

/// From here on, room for nodes that are not there is given back.
const MANY_NODES: usize = 64;

/// Bytes of the addresses that most stanzas are stamped with.
const STAMPS: usize = 128;

/// Attributes of one element that are compared with one another.
const FEW_ATTRIBUTES: usize = 16;

const TWICE: ParseErrorKind = ParseErrorKind::NotWellFormed("an attribute given twice");
