//! What is accepted, what is refused, and what comes back out.

mod bounds;
mod round_trip;
mod well_formed;

use super::*;
use crate::{Limits, ParseError, ParseErrorKind, ns};

fn parse(xml: &str) -> Result<Element, ParseError> {
    Element::parse(xml, &Limits::default())
}

fn accepted(xml: &str) -> Element {
    parse(xml).unwrap_or_else(|fault| panic!("{xml:?}: {fault}"))
}

fn refused(xml: &str) -> ParseErrorKind {
    match parse(xml) {
        Ok(_) => panic!("{xml:?} was accepted"),
        Err(fault) => {
            assert!(fault.offset <= xml.len());
            fault.kind
        }
    }
}

/// Each of these breaks a rule of XML 1.0 or of Namespaces in XML.
fn all_not_well_formed(texts: &[&str]) {
    for text in texts {
        let kind = refused(text);
        assert!(matches!(kind, ParseErrorKind::NotWellFormed(_)), "{text:?}: {kind:?}");
    }
}

/// Each of these uses what RFC 6120 § 11.1 forbids.
fn all_restricted(texts: &[&str]) {
    for text in texts {
        let kind = refused(text);
        assert!(matches!(kind, ParseErrorKind::Restricted(_)), "{text:?}: {kind:?}");
    }
}
