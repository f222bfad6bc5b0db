//! Elements back to text.

use core::fmt::Write as _;

use super::{Element, ElementRef, Node};
use crate::{ns, write};

impl Element {
    /// The element as text, to stand where `context_ns` is the default namespace: no declaration is written for it.
    #[must_use]
    pub fn to_xml(&self, context_ns: &str) -> String {
        let mut out = String::new();
        self.root().write_xml(&mut out, context_ns);
        out
    }
}

impl ElementRef<'_> {
    /// Appends the element as text, to stand where `context_ns` is the default namespace.
    ///
    /// Namespaces are written as default namespaces, never as prefixes, but for attributes that have one. A prefix bound
    /// around the place does not matter.
    pub fn write_xml(self, out: &mut String, context_ns: &str) {
        self.write_within(out, context_ns, usize::MAX, &[]);
    }

    /// The same without those of its own attributes that have one of these names and no namespace.
    pub fn write_xml_without(self, out: &mut String, context_ns: &str, left_out: &[&str]) {
        self.write_within(out, context_ns, usize::MAX, left_out);
    }

    /// Whether it has at most so many bytes as text, to stand where `context_ns` is the default namespace. That may be far
    /// more than it holds in memory, since a namespace is written anew wherever it changes; so no more is written to find out.
    #[must_use]
    pub fn fits(self, context_ns: &str, bytes: usize) -> bool {
        let mut out = String::new();
        self.write_within(&mut out, context_ns, bytes, &[]);
        out.len() <= bytes
    }

    /// Stops at the first element that begins after so many bytes.
    fn write_within(self, out: &mut String, context_ns: &str, bytes: usize, left_out: &[&str]) {
        if out.len() > bytes {
            return;
        }
        // Namespaces in XML § 3: this namespace has its own prefix and can be no default namespace.
        let (prefix, inside) = if self.ns() == ns::XML { ("xml:", context_ns) } else { ("", self.ns()) };
        out.push('<');
        out.push_str(prefix);
        out.push_str(self.name());
        if inside != context_ns {
            write::attribute(out, "xmlns", inside);
        }
        for (number, attribute) in self.attributes().enumerate() {
            if attribute.ns.is_empty() && left_out.contains(&attribute.name) {
                continue;
            }
            if attribute.ns.is_empty() {
                write::attribute(out, attribute.name, attribute.value);
            } else if attribute.ns == ns::XML {
                out.push_str(" xml:");
                write_value(out, attribute.name, attribute.value);
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, " xmlns:n{number}='");
                write::text_in_attribute(out, attribute.ns);
                let _ = write!(out, "' n{number}:");
                write_value(out, attribute.name, attribute.value);
            }
        }
        let mut nodes = self.nodes().peekable();
        if nodes.peek().is_none() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in nodes {
            match node {
                Node::Element(child) => child.write_within(out, inside, bytes, &[]),
                Node::Text(text) => write::text(out, text),
            }
        }
        out.push_str("</");
        out.push_str(prefix);
        out.push_str(self.name());
        out.push('>');
    }
}

fn write_value(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("='");
    write::text_in_attribute(out, value);
    out.push('\'');
}
