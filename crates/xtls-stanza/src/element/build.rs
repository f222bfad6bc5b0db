//! Building elements in code.

use core::fmt;
use std::collections::BTreeMap;

use super::{Element, ElementRef, Entry, MAX_BYTES, Node, Span, chars, index, stored};
use crate::ns;

/// Builds an [`Element`] from the outside in.
///
/// ```
/// use xtls_stanza::Element;
///
/// let message = Element::builder("message", "jabber:client")
///     .attribute("to", "romeo@montague.lit/orchard")
///     .open("body", "jabber:client")
///     .text("Wherefore art thou?")
///     .close()
///     .build()?;
/// assert_eq!(
///     message.to_xml("jabber:client"),
///     "<message to='romeo@montague.lit/orchard'><body>Wherefore art thou?</body></message>",
/// );
/// # Ok::<(), xtls_stanza::BuildError>(())
/// ```
///
/// The first slip is remembered and comes out of [`Builder::build`]; what follows it changes nothing.
#[derive(Debug)]
pub struct Builder {
    element: Element,
    /// Indices of the elements that are open, the outermost first.
    open: Vec<usize>,
    slip: Option<BuildError>,
}

/// Where the namespaces of an original are in its copy.
type Namespaces = BTreeMap<(u32, u32), Span>;

/// Why an element could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A name is not an NCName (Namespaces in XML § 3): it is empty, has a colon, or a character no name may have. Or it
    /// is that of an attribute called `xmlns`, which would be a declaration.
    Name,
    /// A namespace that nothing can be in: that of `xmlns` (Namespaces in XML § 3).
    Namespace,
    /// A value or text holds a character that XML cannot carry (XML 1.0 § 2.2), such as NUL.
    Character,
    /// An element has two attributes of the same name and namespace.
    DuplicateAttribute,
    /// An attribute came after content.
    LateAttribute,
    /// `close` without an `open`.
    Unbalanced,
    /// More than 1 GiB of text.
    TooLarge,
}

impl Element {
    /// Starts an element of this name and namespace.
    #[must_use]
    pub fn builder(name: &str, ns: &str) -> Builder {
        Builder::root(name, ns)
    }
}

impl Builder {
    pub(super) fn root(name: &str, ns: &str) -> Self {
        let element = Element { text: String::new(), nodes: Vec::new() };
        Self { element, open: Vec::new(), slip: None }.open(name, ns)
    }

    /// Adds an attribute without a namespace to the innermost open element.
    #[must_use]
    pub fn attribute(self, name: &str, value: &str) -> Self {
        self.attribute_in("", name, value)
    }

    /// Adds an attribute when there is a value.
    #[must_use]
    pub fn optional_attribute(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    /// Adds an attribute of a namespace, such as `xml:lang`.
    #[must_use]
    pub fn attribute_in(mut self, ns: &str, name: &str, value: &str) -> Self {
        if ns.is_empty() && !chars::is_attribute_name(name) {
            self.slip(BuildError::Name);
        }
        self.check_name(name);
        self.check_text(value);
        self.check_ns(ns);
        let target = self.target();
        let in_place = matches!(self.element.nodes.get(target), Some(Entry::Element { attributes, .. })
            if target + 1 + index(*attributes) == self.element.nodes.len());
        if !in_place {
            self.slip(BuildError::LateAttribute);
        }
        let target_ref = ElementRef { tree: &self.element, index: target };
        if self.slip.is_none() && target_ref.attribute_in(ns, name).is_some() {
            self.slip(BuildError::DuplicateAttribute);
        }
        if self.slip.is_none() {
            self.push_attribute(target, ns, name, value);
        }
        self
    }

    /// Opens a child element, to which the following calls apply until [`Builder::close`].
    #[must_use]
    pub fn open(mut self, name: &str, ns: &str) -> Self {
        self.check_name(name);
        self.check_ns(ns);
        self.push_open(name, ns);
        self
    }

    /// Closes the innermost open element.
    #[must_use]
    pub fn close(mut self) -> Self {
        if self.open.len() < 2 {
            self.slip(BuildError::Unbalanced);
        } else {
            self.pop();
        }
        self
    }

    /// Adds character data to the innermost open element.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.check_text(text);
        if self.slip.is_none() {
            self.push_text(text);
        }
        self
    }

    /// Adds a copy of an element as a child of the innermost open one.
    #[must_use]
    pub fn child(mut self, child: ElementRef<'_>) -> Self {
        if self.slip.is_none() {
            self.copy(child, &mut Namespaces::new());
        }
        self
    }

    /// The finished element; elements still open are closed.
    ///
    /// # Errors
    ///
    /// The first slip that was made.
    pub fn build(self) -> Result<Element, BuildError> {
        match self.slip {
            Some(slip) => Err(slip),
            None if self.element.text.len() > MAX_BYTES => Err(BuildError::TooLarge),
            None => Ok(self.into_element()),
        }
    }

    pub(super) fn into_element(mut self) -> Element {
        while !self.open.is_empty() {
            self.pop();
        }
        self.element
    }

    /// A copy of an element that is known to be sound, and of all that is in it.
    pub(super) fn copy_of(from: ElementRef<'_>) -> Element {
        let mut copy =
            Self { element: Element { text: String::new(), nodes: Vec::new() }, open: Vec::new(), slip: None };
        copy.copy(from, &mut Namespaces::new());
        let mut copy = copy.into_element();
        // It is made to be kept.
        copy.text.shrink_to_fit();
        copy.nodes.shrink_to_fit();
        copy
    }

    /// The copy takes no more room than the original: a declaration of a namespace that many elements share is copied once.
    fn copy(&mut self, from: ElementRef<'_>, copied: &mut Namespaces) {
        let ns = self.copy_ns(from.entry().0, from.ns(), copied);
        self.push_open_in(from.name(), ns);
        let target = self.target();
        for (ns, attribute) in from.attributes_with_ns() {
            let ns = self.copy_ns(ns, attribute.ns, copied);
            self.push_attribute_in(target, ns, attribute.name, attribute.value);
        }
        for node in from.nodes() {
            match node {
                Node::Text(text) => self.push_text(text),
                Node::Element(child) => self.copy(child, copied),
            }
        }
        self.pop();
    }

    fn copy_ns(&mut self, from: Span, ns: &str, copied: &mut Namespaces) -> Span {
        *copied.entry((from.start, from.end)).or_insert_with(|| {
            let start = stored(self.element.text.len());
            self.element.text.push_str(ns);
            Span { start, end: stored(self.element.text.len()) }
        })
    }

    fn push_open(&mut self, name: &str, ns: &str) {
        let ns = self.push_str(ns);
        self.push_open_in(name, ns);
    }

    fn push_open_in(&mut self, name: &str, ns: Span) {
        let name = self.push_str(name);
        self.open.push(self.element.nodes.len());
        self.element.nodes.push(Entry::Element { ns, name, attributes: 0, end: 0 });
    }

    fn push_attribute(&mut self, target: usize, ns: &str, name: &str, value: &str) {
        let ns = self.push_str(ns);
        self.push_attribute_in(target, ns, name, value);
    }

    fn push_attribute_in(&mut self, target: usize, ns: Span, name: &str, value: &str) {
        let entry = Entry::Attribute { ns, name: self.push_str(name), value: self.push_str(value) };
        self.element.nodes.push(entry);
        if let Some(Entry::Element { attributes, .. }) = self.element.nodes.get_mut(target) {
            *attributes += 1;
        }
    }

    fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let span = self.push_str(text);
        self.element.nodes.push(Entry::Text(span));
    }

    fn pop(&mut self) {
        let after = stored(self.element.nodes.len());
        if let Some(at) = self.open.pop()
            && let Some(Entry::Element { end, .. }) = self.element.nodes.get_mut(at)
        {
            *end = after;
        }
    }

    fn push_str(&mut self, text: &str) -> Span {
        let start = stored(self.element.text.len());
        self.element.text.push_str(text);
        Span { start, end: stored(self.element.text.len()) }
    }

    fn target(&self) -> usize {
        self.open.last().copied().unwrap_or_default()
    }

    fn check_name(&mut self, name: &str) {
        if !chars::is_ncname(name) {
            self.slip(BuildError::Name);
        }
    }

    fn check_ns(&mut self, namespace: &str) {
        self.check_text(namespace);
        if namespace == ns::XMLNS {
            self.slip(BuildError::Namespace);
        }
    }

    fn check_text(&mut self, text: &str) {
        if !chars::are_xml(text) {
            self.slip(BuildError::Character);
        }
        if self.element.text.len().saturating_add(text.len()) > MAX_BYTES {
            self.slip(BuildError::TooLarge);
        }
    }

    fn slip(&mut self, slip: BuildError) {
        self.slip.get_or_insert(slip);
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a name that XML does not allow",
            Self::Namespace => "the namespace of namespace declarations",
            Self::Character => "a character that XML cannot carry",
            Self::DuplicateAttribute => "an attribute given twice",
            Self::LateAttribute => "an attribute after content",
            Self::Unbalanced => "more elements closed than opened",
            Self::TooLarge => "more text than an element can hold",
        })
    }
}

impl core::error::Error for BuildError {}
