//! Namespace declarations in force.

use crate::{ParseErrorKind, ns};

/// The namespace declarations that surround a piece of XML: those of the stream header it was sent under.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Prefix and namespace, the innermost last; the default namespace has the empty prefix.
    bindings: Vec<(String, String)>,
}

impl Scope {
    /// The scope of a stream or of a text without context: `default_ns` for names without a prefix, no other prefix
    /// but `xml`.
    #[must_use]
    pub fn new(default_ns: &str) -> Self {
        Self { bindings: vec![(String::new(), default_ns.to_owned())] }
    }

    /// Adds a declaration inside those made before; the empty prefix is the default namespace.
    ///
    /// # Errors
    ///
    /// When Namespaces in XML § 3 forbids the declaration: `xml` and `xmlns` cannot be bound to anything else, nothing
    /// else can be bound to their namespaces, and a prefix cannot be unbound.
    pub fn declare(&mut self, prefix: &str, namespace: &str) -> Result<(), ParseErrorKind> {
        check_declaration(prefix, namespace)?;
        self.bindings.push((prefix.to_owned(), namespace.to_owned()));
        Ok(())
    }

    /// Whether a prefix, or none, stands for this namespace: what is only declared announces something in XEP-0035.
    #[must_use]
    pub fn binds(&self, namespace: &str) -> bool {
        self.bindings.iter().any(|(prefix, bound)| bound == namespace && self.lookup(prefix) == Some(namespace))
    }

    pub(super) fn bindings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bindings.iter().map(|(prefix, namespace)| (prefix.as_str(), namespace.as_str()))
    }

    /// The namespace bound to `prefix`; the empty prefix asks for the default namespace, which always has an answer.
    #[must_use]
    pub fn lookup(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(ns::XML);
        }
        let found = self.bindings.iter().rev().find(|(bound, _)| bound == prefix);
        found.map(|(_, namespace)| namespace.as_str()).or_else(|| prefix.is_empty().then_some(""))
    }
}

/// Namespaces in XML § 3, reserved prefixes and namespace names; § 2.2 for the empty one.
pub(super) fn check_declaration(prefix: &str, namespace: &str) -> Result<(), ParseErrorKind> {
    let fault = |what| Err(ParseErrorKind::NotWellFormed(what));
    match prefix {
        "xmlns" => fault("the prefix `xmlns` is declared"),
        "xml" if namespace != ns::XML => fault("the prefix `xml` is bound to another namespace"),
        "xml" => Ok(()),
        _ if namespace == ns::XML => fault("the namespace of `xml` is bound to another prefix"),
        _ if namespace == ns::XMLNS => fault("the namespace of `xmlns` is bound to a prefix"),
        "" => Ok(()),
        _ if namespace.is_empty() => fault("a prefix is bound to the empty namespace"),
        _ => Ok(()),
    }
}
