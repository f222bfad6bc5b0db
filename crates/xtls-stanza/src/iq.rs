//! IQ stanzas (RFC 6120 § 8.2.3).

use core::fmt;

use crate::{Element, ElementRef, StanzaError, ns, write};

/// The four types of an IQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IqType {
    /// Asks for something.
    Get,
    /// Asks for a change.
    Set,
    /// Answers with success.
    Result,
    /// Answers with a [`StanzaError`].
    Error,
}

/// An IQ, borrowed from the element that holds it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Iq<'a> {
    /// What it asks or answers.
    pub iq_type: IqType,
    /// What its answer is matched by, together with the sender.
    pub id: &'a str,
    /// The sender as the server stamped it; absent means your account.
    pub from: Option<&'a str>,
    /// The addressee.
    pub to: Option<&'a str>,
    /// Its one child element: always there in a get or set, optional in a result. In an error it is the `<error/>`
    /// element, whatever else is quoted beside it.
    pub payload: Option<ElementRef<'a>>,
}

/// The addresses of IQs that go one way, escaped once for all of them: most of an IQ that acknowledges is then copied.
#[derive(Debug, Clone)]
pub struct Envelope {
    addresses: String,
}

/// Why an `<iq/>` breaks the rules of RFC 6120 § 8.2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IqError {
    /// It has no id or an empty one; what it is answered with has an empty one.
    Id,
    /// Its type is missing or none of the four.
    Type,
    /// A get or set without exactly one child element, or a result with more than one, or an error without `<error/>`.
    Payload,
}

impl<'a> Iq<'a> {
    /// Reads an IQ. `None` when the element is something else.
    ///
    /// # Errors
    ///
    /// When it is an `<iq/>` that breaks RFC 6120 § 8.2.3; it is then answered bad-request, unless it is an answer itself.
    pub fn parse(element: &'a Element) -> Option<Result<Self, IqError>> {
        let root = element.root();
        (root.name() == "iq" && ns::is_stanza(root.ns())).then(|| Self::read(root))
    }

    /// An empty result, the answer that acknowledges. Its id is not empty (RFC 6120 § 8.1.3).
    #[must_use]
    pub fn empty_result(id: &'a str, from: Option<&'a str>, to: Option<&'a str>) -> Self {
        Self { iq_type: IqType::Result, id, from, to, payload: None }
    }

    fn read(root: ElementRef<'a>) -> Result<Self, IqError> {
        let id = root.attribute("id").filter(|id| !id.is_empty()).ok_or(IqError::Id)?;
        let iq_type = match root.attribute("type") {
            Some("get") => IqType::Get,
            Some("set") => IqType::Set,
            Some("result") => IqType::Result,
            Some("error") => IqType::Error,
            _ => return Err(IqError::Type),
        };
        let mut children = root.children();
        let first = children.next();
        let payload = match iq_type {
            IqType::Get | IqType::Set => Some(first.ok_or(IqError::Payload)?),
            IqType::Result => first,
            IqType::Error => {
                let found = root.children().find(|child| StanzaError::is_error(*child));
                Some(found.ok_or(IqError::Payload)?)
            }
        };
        if iq_type != IqType::Error && children.next().is_some() {
            return Err(IqError::Payload);
        }
        Ok(Self { iq_type, id, from: root.attribute("from"), to: root.attribute("to"), payload })
    }

    /// The error that an IQ of type error carries; `None` for the other types.
    #[must_use]
    pub fn error(&self) -> Option<StanzaError> {
        match self.iq_type {
            IqType::Error => self.payload.map(StanzaError::parse),
            IqType::Get | IqType::Set | IqType::Result => None,
        }
    }

    /// Appends `<iq type=… id=… to=…>`, to be followed by the payload and `</iq>`.
    ///
    /// No `from` is written: the server stamps it (RFC 6120 § 8.1.2.1). A caller that a server does not stamp passes
    /// `from`.
    pub fn write_start(out: &mut String, iq_type: IqType, id: &str, to: &str, from: Option<&str>) {
        Self::write_head(out, iq_type, id, to, from);
        out.push('>');
    }

    /// Appends a whole empty result, the answer that acknowledges.
    pub fn write_result(out: &mut String, id: &str, to: &str, from: Option<&str>) {
        Self::write_head(out, IqType::Result, id, to, from);
        out.push_str("/>");
    }

    /// Appends a whole error answer.
    pub fn write_error(out: &mut String, id: &str, to: &str, from: Option<&str>, error: &StanzaError) {
        Self::write_start(out, IqType::Error, id, to, from);
        error.write(out);
        out.push_str("</iq>");
    }

    fn write_head(out: &mut String, iq_type: IqType, id: &str, to: &str, from: Option<&str>) {
        write_identity(out, iq_type, id);
        write_addresses(out, to, from);
    }
}

impl Envelope {
    /// The addresses are those of [`Iq::write_start`].
    #[must_use]
    pub fn new(to: &str, from: Option<&str>) -> Self {
        let mut addresses = String::with_capacity(20 + to.len() + from.map_or(0, str::len));
        write_addresses(&mut addresses, to, from);
        addresses.shrink_to_fit();
        Self { addresses }
    }

    /// Appends `<iq type=… id=… to=…>` as [`Iq::write_start`] does.
    pub fn write_start(&self, out: &mut String, iq_type: IqType, id: &str) {
        write_identity(out, iq_type, id);
        out.push_str(&self.addresses);
        out.push('>');
    }

    /// Appends a whole empty result as [`Iq::write_result`] does.
    pub fn write_result(&self, out: &mut String, id: &str) {
        write_identity(out, IqType::Result, id);
        out.push_str(&self.addresses);
        out.push_str("/>");
    }

    /// How many bytes the addresses take up in an IQ, with the names of their attributes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.addresses.len()
    }
}

fn write_identity(out: &mut String, iq_type: IqType, id: &str) {
    out.push_str("<iq type='");
    out.push_str(iq_type.as_str());
    out.push('\'');
    write::attribute(out, "id", id);
}

fn write_addresses(out: &mut String, to: &str, from: Option<&str>) {
    write::attribute(out, "to", to);
    write::optional_attribute(out, "from", from);
}

impl IqType {
    /// The value of the `type` attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Result => "result",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for IqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "an IQ without an id",
            Self::Type => "an IQ whose type is missing or unknown",
            Self::Payload => "an IQ without the one child element that its type asks for",
        })
    }
}

impl core::error::Error for IqError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Condition, Limits};

    fn element(xml: &str) -> Element {
        Element::parse(xml, &Limits::default()).unwrap()
    }

    #[test]
    fn rfc_6120_8_2_3_a_set_has_exactly_one_child() {
        let one = element("<iq type='set' id='a' from='x@y/z'><q xmlns='n'/></iq>");
        let iq = Iq::parse(&one).unwrap().unwrap();
        assert_eq!((iq.iq_type, iq.id, iq.from, iq.to), (IqType::Set, "a", Some("x@y/z"), None));
        assert!(iq.payload.unwrap().is("q", "n"));
        for wrong in
            ["<iq type='set' id='a'/>", "<iq type='get' id='a'><a/><b/></iq>", "<iq type='result' id='a'><a/><b/></iq>"]
        {
            assert_eq!(Iq::parse(&element(wrong)).unwrap().unwrap_err(), IqError::Payload, "{wrong}");
        }
    }

    #[test]
    fn rfc_6120_8_2_3_id_and_type_are_required() {
        assert_eq!(Iq::parse(&element("<iq type='set'><q/></iq>")).unwrap().unwrap_err(), IqError::Id);
        assert_eq!(Iq::parse(&element("<iq type='set' id=''><q/></iq>")).unwrap().unwrap_err(), IqError::Id);
        assert_eq!(Iq::parse(&element("<iq id='a'><q/></iq>")).unwrap().unwrap_err(), IqError::Type);
        assert_eq!(Iq::parse(&element("<iq type='put' id='a'><q/></iq>")).unwrap().unwrap_err(), IqError::Type);
    }

    #[test]
    fn other_elements_are_no_iq() {
        assert!(Iq::parse(&element("<message/>")).is_none());
        assert!(Iq::parse(&element("<iq xmlns='urn:x' type='set' id='a'/>")).is_none());
        assert!(Iq::parse(&element("<iq xmlns='jabber:component:accept' type='result' id='a'/>")).is_some());
    }

    #[test]
    fn the_error_is_found_beside_the_quoted_request() {
        let quoted = element(
            "<iq type='error' id='a'><q xmlns='n'/><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        );
        let error = Iq::parse(&quoted).unwrap().unwrap().error().unwrap();
        assert_eq!(error.condition, Condition::ItemNotFound);
        assert_eq!(
            Iq::parse(&element("<iq type='error' id='a'><q xmlns='n'/></iq>")).unwrap().unwrap_err(),
            IqError::Payload
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut out = String::new();
        Iq::write_result(&mut out, "i'd", "a@b/c&d", Some("e@f"));
        let read = element(&out);
        let iq = Iq::parse(&read).unwrap().unwrap();
        assert_eq!((iq.iq_type, iq.id, iq.to, iq.from), (IqType::Result, "i'd", Some("a@b/c&d"), Some("e@f")));
        assert!(iq.payload.is_none());
        let mut again = String::new();
        let envelope = Envelope::new("a@b/c&d", Some("e@f"));
        envelope.write_result(&mut again, "i'd");
        assert_eq!(again, out);
        assert!(out.contains(&envelope.addresses) && envelope.bytes() == " to='a@b/c&amp;d' from='e@f'".len());
        again.clear();
        out.clear();
        Iq::write_start(&mut out, IqType::Set, "1", "a@b", None);
        Envelope::new("a@b", None).write_start(&mut again, IqType::Set, "1");
        assert_eq!(again, out);

        out.clear();
        Iq::write_error(&mut out, "1", "a@b/c", None, &Condition::BadRequest.into());
        let read = element(&out);
        assert_eq!(Iq::parse(&read).unwrap().unwrap().error(), Some(Condition::BadRequest.into()));
    }
}
