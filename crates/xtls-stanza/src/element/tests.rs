//! What is accepted, what is refused, and what comes back out.

mod bounds;
mod round_trip;
mod well_formed;

use core::cell::RefCell;

use super::*;
use crate::{Limits, ParseError, ParseErrorKind, ns};

thread_local! {
    /// What has parsed everything else in this test.
    static USED: RefCell<StanzaParser> = RefCell::new(StanzaParser::new(Limits::default()));
}

/// By a parser of its own, and by one that has parsed others before.
fn parse(xml: &str) -> Result<Element, ParseError> {
    let parsed = Element::parse(xml, &Limits::default());
    USED.with_borrow_mut(|used| {
        let again = used.parse(xml);
        assert_eq!(again, parsed, "{xml:?}");
        again.into_iter().for_each(|element| used.reuse(element));
    });
    parsed
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
