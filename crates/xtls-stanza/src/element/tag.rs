//! Start tags: names, attributes, namespace declarations.

use super::{
    Entry, Span, chars,
    parse::{Binding, Parser},
    scope, stored,
};
use crate::{ParseErrorKind, ns};

/// A start tag as it stands in the text.
pub(super) struct Tag<'t> {
    /// The element's name, prefix included.
    pub(super) name: &'t str,
    /// All between the name and the `>` or `/>`.
    pub(super) attributes: &'t str,
}

impl<'t> Tag<'t> {
    /// Adds the element and its attributes to the table, and its declarations to those in force.
    pub(super) fn push(self, parser: &mut Parser<'_>) -> Result<(), ParseErrorKind> {
        let element = parser.nodes.len();
        let (prefix, local) = split_name(self.name, parser.limits.name_bytes)?;
        parser.push_node(Entry::Element { ns: Span::default(), name: Span::default(), attributes: 0, end: 0 })?;

        // Declarations apply to the tag that they stand in, wherever they stand in it, so prefixes are resolved last.
        let mut prefixes: [Option<&str>; INLINE] = [None; INLINE];
        let mut more_prefixes = Vec::new();
        let mut count = 0;
        let mut declared = 0;
        let mut scanner = Scanner::new(self.attributes);
        while let Some((name, value)) = scanner.next_attribute()? {
            if count + declared >= parser.limits.attributes {
                return Err(ParseErrorKind::Limit("attributes"));
            }
            let (prefix, local) = split_name(name, parser.limits.name_bytes)?;
            let value = push_value(parser, value)?;
            if prefix == "xmlns" || (prefix.is_empty() && local == "xmlns") {
                declare(parser, if prefix.is_empty() { "" } else { local }, value, declared)?;
                declared += 1;
                continue;
            }
            let name = parser.push_str(local);
            parser.push_node(Entry::Attribute { ns: Span::default(), name, value })?;
            match prefixes.get_mut(count) {
                Some(slot) => *slot = Some(prefix),
                None => more_prefixes.push(prefix),
            }
            count += 1;
        }

        let ns = lookup(parser, prefix)?;
        let name = parser.push_str(local);
        parser.nodes[element] = Entry::Element { ns, name, attributes: stored(count), end: 0 };
        let prefixes = prefixes.iter().flatten().chain(&more_prefixes);
        for (at, prefix) in (element + 1..).zip(prefixes) {
            resolve_attribute(parser, element, at, prefix)?;
        }
        Ok(())
    }
}

/// Attributes of which a tag rarely has more: their prefixes are kept without an allocation.
const INLINE: usize = 8;

/// Gives the attribute at `at` its namespace and refuses a second one of the same name (Namespaces in XML § 6.3).
fn resolve_attribute(parser: &mut Parser<'_>, element: usize, at: usize, prefix: &str) -> Result<(), ParseErrorKind> {
    // Namespaces in XML § 6.2: the default namespace does not apply to attributes.
    let resolved = if prefix.is_empty() { Span::default() } else { lookup(parser, prefix)? };
    let Entry::Attribute { name, value, .. } = parser.nodes[at] else { return Ok(()) };
    parser.nodes[at] = Entry::Attribute { ns: resolved, name, value };
    let text = |span| parser.str(span);
    let twice = parser.nodes[element + 1..at].iter().any(|before| {
        matches!(before, Entry::Attribute { ns, name: other, .. }
            if text(*other) == text(name) && text(*ns) == text(resolved))
    });
    if twice { Err(ParseErrorKind::NotWellFormed("an attribute given twice")) } else { Ok(()) }
}

/// Puts a declaration in force. The last `declared` ones are of the same tag.
fn declare(parser: &mut Parser<'_>, prefix: &str, namespace: Span, declared: usize) -> Result<(), ParseErrorKind> {
    let text = |span| parser.str(span);
    scope::check_declaration(prefix, text(namespace))?;
    if parser.bindings.iter().rev().take(declared).any(|binding| text(binding.prefix) == prefix) {
        return Err(ParseErrorKind::NotWellFormed("an attribute given twice"));
    }
    if parser.bindings.len() - parser.surrounding >= parser.limits.declarations {
        return Err(ParseErrorKind::Limit("declarations"));
    }
    let prefix = parser.push_str(prefix);
    parser.bindings.push(Binding { prefix, namespace });
    Ok(())
}

/// The namespace that a prefix stands for, the innermost declaration first.
fn lookup(parser: &mut Parser<'_>, prefix: &str) -> Result<Span, ParseErrorKind> {
    let text = |span| parser.str(span);
    if prefix == "xmlns" {
        return Err(ParseErrorKind::NotWellFormed("the prefix `xmlns` on an element"));
    }
    if let Some(binding) = parser.bindings.iter().rev().find(|binding| text(binding.prefix) == prefix) {
        return Ok(binding.namespace);
    }
    match prefix {
        // Namespaces in XML § 3: bound without a declaration.
        "xml" => {
            let kept = parser.xml.unwrap_or_else(|| parser.push_str(ns::XML));
            parser.xml = Some(kept);
            Ok(kept)
        }
        "" => Ok(Span::default()),
        _ => Err(ParseErrorKind::UndeclaredPrefix),
    }
}

fn push_value(parser: &mut Parser<'_>, raw: &str) -> Result<Span, ParseErrorKind> {
    let start = parser.text.len();
    chars::append_value(&mut parser.text, raw)?;
    if parser.text.len() - start > parser.limits.value_bytes {
        return Err(ParseErrorKind::Limit("value_bytes"));
    }
    Ok(Span { start: stored(start), end: stored(parser.text.len()) })
}

/// Prefix (empty if there is none) and local name (Namespaces in XML § 4).
fn split_name(name: &str, limit: usize) -> Result<(&str, &str), ParseErrorKind> {
    if name.len() > limit {
        return Err(ParseErrorKind::Limit("name_bytes"));
    }
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    let prefix_fits = chars::is_ncname(prefix) || !name.contains(':');
    if prefix_fits && chars::is_ncname(local) {
        Ok((prefix, local))
    } else {
        Err(ParseErrorKind::NotWellFormed("a name that XML does not allow"))
    }
}

/// Cuts what follows an element's name into attributes (XML 1.0 § 3.1).
pub(super) struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(rest: &'t str) -> Self {
        Self { rest }
    }

    /// The next attribute: its name with prefix, and its value as it stands between the quotes.
    pub(super) fn next_attribute(&mut self) -> Result<Option<(&'t str, &'t str)>, ParseErrorKind> {
        let trimmed = trim_space(self.rest);
        if trimmed.is_empty() {
            return Ok(None);
        }
        if trimmed.len() == self.rest.len() {
            return Err(ParseErrorKind::NotWellFormed("an attribute without white space before it"));
        }
        let Some((name, after)) = trimmed.split_once('=') else {
            return Err(ParseErrorKind::NotWellFormed("an attribute without a value"));
        };
        let name = name.trim_end_matches([' ', '\t', '\n', '\r']);
        let after = trim_space(after);
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some((value, rest)) = quote.and_then(|quote| after[1..].split_once(quote)) else {
            return Err(ParseErrorKind::NotWellFormed("an attribute value without quotes"));
        };
        self.rest = rest;
        Ok(Some((name, value)))
    }
}

fn trim_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}
