//! A piece of XML in memory: one string and one table of nodes.

mod bindings;
mod build;
mod chars;
mod edit;
mod header;
mod parse;
pub(crate) mod parser;
mod scope;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
pub(crate) mod tests;
mod write;

use core::fmt;

pub use build::{BuildError, Builder};
pub(crate) use chars::{is_space, is_xml_char};
pub use parse::StanzaParser;
pub use scope::Scope;

/// An XML element with all that is in it.
///
/// All text lies in one string and all structure in one table, in document order, so that parsing a stanza costs a
/// handful of allocations however many elements it has. Prefixes are resolved and forgotten; namespace declarations are
/// not kept as attributes; references are resolved; CDATA is text.
///
/// ```
/// use xtls_stanza::{Element, Limits};
///
/// let message = Element::parse(
///     "<message xmlns='jabber:client' to='juliet@capulet.lit'><body>Art thou not Romeo?</body></message>",
///     &Limits::default(),
/// )?;
/// assert!(message.is("message", "jabber:client"));
/// assert_eq!(message.attribute("to"), Some("juliet@capulet.lit"));
/// assert_eq!(message.child("body", "jabber:client").map(|body| body.text()), Some("Art thou not Romeo?".into()));
/// # Ok::<(), xtls_stanza::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Element {
    text: String,
    nodes: Vec<Entry>,
}

/// One row of the table: an element is followed by its attributes, then by its children.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Element { ns: Span, name: Span, attributes: u32, end: u32 },
    Attribute { ns: Span, name: Span, value: Span },
    Text(Span),
}

/// A part of the string.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[index(self.start)..index(self.end)]
    }
}

/// An element inside an [`Element`], borrowed: cheap to copy.
#[derive(Clone, Copy)]
pub struct ElementRef<'a> {
    tree: &'a Element,
    index: usize,
}

/// What stands between an element's tags.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Node<'a> {
    /// An element.
    Element(ElementRef<'a>),
    /// Character data, references resolved. Two pieces may follow one another.
    Text(&'a str),
}

/// An attribute of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute<'a> {
    /// Its namespace; empty for an attribute without a prefix.
    pub ns: &'a str,
    /// Its name without a prefix.
    pub name: &'a str,
    /// Its value, references resolved and white space normalised (XML 1.0 § 3.3.3).
    pub value: &'a str,
}

impl Element {
    /// How many bytes it holds in memory. A bound on what is kept of a peer's is a bound on this: as text it may have more or
    /// fewer.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.text.capacity() + self.nodes.capacity() * size_of::<Entry>()
    }

    /// The outermost element, borrowed.
    #[must_use]
    pub fn root(&self) -> ElementRef<'_> {
        ElementRef { tree: self, index: 0 }
    }

    /// Its name without a prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        self.root().name()
    }

    /// Its namespace; empty if it has none.
    #[must_use]
    pub fn ns(&self) -> &str {
        self.root().ns()
    }

    /// Whether it has this name and this namespace.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.root().is(name, ns)
    }

    /// The value of the attribute of this name that has no namespace.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.root().attribute(name)
    }

    /// Its child elements in document order.
    pub fn children(&self) -> impl Iterator<Item = ElementRef<'_>> {
        self.root().children()
    }

    /// The first child element of this name and namespace.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<ElementRef<'_>> {
        self.root().child(name, ns)
    }

    /// Its character data.
    #[must_use]
    pub fn text(&self) -> String {
        self.root().text()
    }

    fn str(&self, span: Span) -> &str {
        &self.text[index(span.start)..index(span.end)]
    }
}

impl<'a> ElementRef<'a> {
    /// Its name without a prefix.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.tree.str(self.entry().1)
    }

    /// Its namespace; empty if it has none.
    #[must_use]
    pub fn ns(self) -> &'a str {
        self.tree.str(self.entry().0)
    }

    /// Whether it has this name and this namespace.
    #[must_use]
    pub fn is(self, name: &str, ns: &str) -> bool {
        self.name() == name && self.ns() == ns
    }

    /// The value of the attribute of this name that has no namespace.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.attribute_in("", name)
    }

    /// The value of the attribute of this namespace and name.
    #[must_use]
    pub fn attribute_in(self, ns: &str, name: &str) -> Option<&'a str> {
        self.attributes().find(|a| a.name == name && a.ns == ns).map(|a| a.value)
    }

    /// Its attributes in document order, namespace declarations left out.
    pub fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        self.attributes_with_ns().map(|(_, attribute)| attribute)
    }

    /// Its attributes, each with the place of its namespace.
    fn attributes_with_ns(self) -> impl Iterator<Item = (Span, Attribute<'a>)> {
        let (.., attributes, _) = self.entry();
        let tree = self.tree;
        tree.nodes[self.index + 1..self.index + 1 + attributes].iter().filter_map(move |entry| match *entry {
            Entry::Attribute { ns, name, value } => {
                Some((ns, Attribute { ns: tree.str(ns), name: tree.str(name), value: tree.str(value) }))
            }
            Entry::Element { .. } | Entry::Text(_) => None,
        })
    }

    /// Its child elements and its character data in document order.
    pub fn nodes(self) -> impl Iterator<Item = Node<'a>> {
        let (.., attributes, end) = self.entry();
        let tree = self.tree;
        let mut next = self.index + 1 + attributes;
        core::iter::from_fn(move || {
            let at = next;
            if at >= end {
                return None;
            }
            Some(match tree.nodes[at] {
                Entry::Text(span) => {
                    next = at + 1;
                    Node::Text(tree.str(span))
                }
                Entry::Element { end, .. } => {
                    next = index(end);
                    Node::Element(ElementRef { tree, index: at })
                }
                // Attributes stand directly after their element and were stepped over.
                Entry::Attribute { .. } => return None,
            })
        })
    }

    /// Its child elements in document order.
    pub fn children(self) -> impl Iterator<Item = Self> {
        self.nodes().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child element of this name and namespace.
    #[must_use]
    pub fn child(self, name: &str, ns: &str) -> Option<Self> {
        self.children().find(|child| child.is(name, ns))
    }

    /// Its own character data joined, that of its child elements left out.
    #[must_use]
    pub fn text(self) -> String {
        self.pieces().collect()
    }

    /// Its character data where that is one piece, as it nearly always is: no copy is made. `None` if there are several
    /// pieces; the empty string if there is none.
    #[must_use]
    pub fn single_text(self) -> Option<&'a str> {
        let mut pieces = self.pieces();
        let first = pieces.next().unwrap_or_default();
        pieces.next().is_none().then_some(first)
    }

    /// Whether nothing but white space stands between its child elements.
    #[must_use]
    pub fn has_only_elements(self) -> bool {
        self.pieces().all(|text| text.bytes().all(is_space))
    }

    /// A copy of this element and all that is in it.
    #[must_use]
    pub fn to_element(self) -> Element {
        Builder::copy_of(self)
    }

    fn pieces(self) -> impl Iterator<Item = &'a str> {
        self.nodes().filter_map(|node| match node {
            Node::Text(text) => Some(text),
            Node::Element(_) => None,
        })
    }

    /// Namespace, name, number of attributes, index of what follows.
    fn entry(self) -> (Span, Span, usize, usize) {
        match self.tree.nodes[self.index] {
            Entry::Element { ns, name, attributes, end } => (ns, name, index(attributes), index(end)),
            // An `ElementRef` is only ever made of an element's index.
            Entry::Attribute { .. } | Entry::Text(_) => (Span::default(), Span::default(), 0, self.index + 1),
        }
    }
}

impl PartialEq for Element {
    /// Compares what the documents say, not how they were written: character data cut into other pieces is equal, and so
    /// are attributes in another order.
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for Element {}

impl PartialEq for ElementRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        let mut mine: Vec<_> = self.attributes().map(|a| (a.ns, a.name, a.value)).collect();
        let mut theirs: Vec<_> = other.attributes().map(|a| (a.ns, a.name, a.value)).collect();
        mine.sort_unstable();
        theirs.sort_unstable();
        self.is(other.name(), other.ns()) && mine == theirs && merged(*self) == merged(*other)
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root().fmt(f)
    }
}

impl fmt::Debug for ElementRef<'_> {
    /// The name alone: content belongs to the people who wrote it and not into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} xmlns='{}'/>", self.name(), self.ns())
    }
}

/// Content with adjacent pieces of text joined.
fn merged(element: ElementRef<'_>) -> Vec<Result<ElementRef<'_>, String>> {
    let mut content: Vec<Result<ElementRef<'_>, String>> = Vec::new();
    for node in element.nodes() {
        match (node, content.last_mut()) {
            (Node::Element(child), _) => content.push(Ok(child)),
            (Node::Text(""), _) => {}
            (Node::Text(text), Some(Err(before))) => before.push_str(text),
            (Node::Text(text), _) => content.push(Err(text.to_owned())),
        }
    }
    content
}

/// Widens a stored offset. It was narrowed from a `usize` on the same machine, so nothing is lost.
fn index(stored: u32) -> usize {
    usize::try_from(stored).unwrap_or(usize::MAX)
}

/// Narrows an offset for storing. Every way into an `Element` is bounded below `u32::MAX` bytes ([`MAX_BYTES`]).
fn stored(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The most text and the most nodes that an element can hold, whatever the limits say.
pub(crate) const MAX_BYTES: usize = 1 << 30;
