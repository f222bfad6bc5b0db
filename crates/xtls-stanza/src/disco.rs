//! Service discovery: what an entity is and can do (XEP-0030, XEP-0128).

use core::fmt;

use crate::{ElementRef, Iq, IqType, ns, write};

/// What an entity tells of itself: identities, features, and forms.
///
/// ```
/// use xtls_stanza::{DiscoIdentity, DiscoInfo, Element, Limits};
///
/// let info = DiscoInfo::new(DiscoIdentity::new("client", "bot").with_name("nurse")).with_feature("urn:xmpp:ping");
/// let mut query = String::new();
/// info.write_query(&mut query, None);
/// let query = Element::parse(&query, &Limits::default())?;
/// assert_eq!(DiscoInfo::parse(query.root()), Some(Ok(info.clone())));
/// assert!(info.supports("http://jabber.org/protocol/disco#info"));
/// # Ok::<(), xtls_stanza::ParseError>(())
/// ```
///
/// Received ones keep the order and the repetitions that they came with: XEP-0115 § 5.4 looks at them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiscoInfo {
    /// The identities, at most [`DiscoInfo::MAX_IDENTITIES`].
    pub identities: Vec<DiscoIdentity>,
    /// The features, at most [`DiscoInfo::MAX_FEATURES`].
    pub features: Vec<String>,
    /// The forms, at most [`DiscoInfo::MAX_FORMS`].
    pub forms: Vec<DiscoForm>,
}

/// What kind of entity it is (XEP-0030 § 3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DiscoIdentity {
    /// The category, such as `client`.
    pub category: String,
    /// The type within the category, such as `pc`.
    pub kind: String,
    /// The language of the name: the identity's own `xml:lang`.
    pub lang: Option<String>,
    /// A name for people.
    pub name: Option<String>,
}

/// A form that extends disco#info (XEP-0128).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiscoForm {
    /// The fields, `FORM_TYPE` among them, at most [`DiscoForm::MAX_FIELDS`].
    pub fields: Vec<DiscoField>,
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoField {
    /// Its name.
    pub var: String,
    /// Its type, such as `hidden`.
    pub kind: Option<String>,
    /// Its values, at most [`DiscoForm::MAX_VALUES`].
    pub values: Vec<String>,
}

/// Why a disco#info result was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoError {
    /// More of something than is kept; its name.
    TooMany(&'static str),
}

impl DiscoInfo {
    /// Identities of one entity.
    pub const MAX_IDENTITIES: usize = 32;
    /// Features of one entity.
    pub const MAX_FEATURES: usize = 1024;
    /// Forms of one entity.
    pub const MAX_FORMS: usize = 16;

    /// An entity of this identity, with the one feature that every entity has (XEP-0030 § 3.1): disco#info.
    #[must_use]
    pub fn new(identity: DiscoIdentity) -> Self {
        Self { identities: vec![identity], features: vec![ns::DISCO_INFO.to_owned()], forms: Vec::new() }
    }

    /// The same with a further identity.
    #[must_use]
    pub fn with_identity(mut self, identity: DiscoIdentity) -> Self {
        self.identities.push(identity);
        self
    }

    /// The same with a further feature, in its place among the others. One that is there already changes nothing.
    #[must_use]
    pub fn with_feature(mut self, feature: &str) -> Self {
        if !self.supports(feature) {
            self.features.push(feature.to_owned());
            self.features.sort_unstable();
        }
        self
    }

    /// The same with further features.
    #[must_use]
    pub fn with_features<'f>(self, features: impl IntoIterator<Item = &'f str>) -> Self {
        features.into_iter().fold(self, Self::with_feature)
    }

    /// The same with a form.
    #[must_use]
    pub fn with_form(mut self, form: DiscoForm) -> Self {
        self.forms.push(form);
        self
    }

    /// Whether it has a feature.
    #[must_use]
    pub fn supports(&self, feature: &str) -> bool {
        self.features.iter().any(|own| own == feature)
    }

    /// Reads the `<query/>` of a disco#info result; `None` when the element is something else.
    ///
    /// What lacks a required attribute is left out, and so is what XEP-0030 does not know.
    ///
    /// # Errors
    ///
    /// When there is more of something than is kept.
    pub fn parse(query: ElementRef<'_>) -> Option<Result<Self, DiscoError>> {
        query.is("query", ns::DISCO_INFO).then(|| Self::read(query))
    }

    fn read(query: ElementRef<'_>) -> Result<Self, DiscoError> {
        let mut info = Self::default();
        for child in query.children() {
            if child.is("identity", ns::DISCO_INFO) {
                if let Some(identity) = DiscoIdentity::read(child) {
                    add(&mut info.identities, identity, Self::MAX_IDENTITIES, "identities")?;
                }
            } else if child.is("feature", ns::DISCO_INFO) {
                if let Some(feature) = child.attribute("var") {
                    add(&mut info.features, feature.to_owned(), Self::MAX_FEATURES, "features")?;
                }
            } else if child.is("x", ns::DATA_FORMS) {
                add(&mut info.forms, DiscoForm::read(child)?, Self::MAX_FORMS, "forms")?;
            }
        }
        Ok(info)
    }

    /// Appends the `<query/>` of a result. `node` is that of the request, which is mirrored (XEP-0030 § 3.2).
    pub fn write_query(&self, out: &mut String, node: Option<&str>) {
        write_query_start(out, node);
        out.push('>');
        for identity in &self.identities {
            out.push_str("<identity");
            write::attribute(out, "category", &identity.category);
            write::attribute(out, "type", &identity.kind);
            write::optional_attribute(out, "xml:lang", identity.lang.as_deref());
            write::optional_attribute(out, "name", identity.name.as_deref());
            out.push_str("/>");
        }
        for feature in &self.features {
            out.push_str("<feature");
            write::attribute(out, "var", feature);
            out.push_str("/>");
        }
        self.forms.iter().for_each(|form| form.write(out));
        out.push_str("</query>");
    }

    /// Appends a whole result. `node` is that of the request.
    pub fn write_result(&self, out: &mut String, id: &str, to: &str, from: Option<&str>, node: Option<&str>) {
        Iq::write_start(out, IqType::Result, id, to, from);
        self.write_query(out, node);
        out.push_str("</iq>");
    }

    /// Appends a whole request for what `to` is and can do (XEP-0030 § 3.1).
    pub fn write_request(out: &mut String, id: &str, to: &str, from: Option<&str>, node: Option<&str>) {
        Iq::write_start(out, IqType::Get, id, to, from);
        write_query_start(out, node);
        out.push_str("/></iq>");
    }
}

impl DiscoIdentity {
    /// An identity of this category and type; both are in the registry of XEP-0030 § 11.3.
    #[must_use]
    pub fn new(category: &str, kind: &str) -> Self {
        Self { category: category.to_owned(), kind: kind.to_owned(), lang: None, name: None }
    }

    /// The same with a name for people.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// The same with the language of its name.
    #[must_use]
    pub fn with_lang(self, lang: &str) -> Self {
        Self { lang: Some(lang.to_owned()), ..self }
    }

    fn read(element: ElementRef<'_>) -> Option<Self> {
        Some(Self {
            category: element.attribute("category")?.to_owned(),
            kind: element.attribute("type")?.to_owned(),
            lang: element.attribute_in(ns::XML, "lang").map(str::to_owned),
            name: element.attribute("name").map(str::to_owned),
        })
    }
}

impl DiscoForm {
    /// Fields of one form.
    pub const MAX_FIELDS: usize = 64;
    /// Values of one field.
    pub const MAX_VALUES: usize = 64;
    /// The name of the field that says what a form is about (XEP-0068).
    pub const FORM_TYPE: &str = "FORM_TYPE";

    /// A form of this `FORM_TYPE`.
    #[must_use]
    pub fn new(form_type: &str) -> Self {
        let values = vec![form_type.to_owned()];
        Self { fields: vec![DiscoField { var: Self::FORM_TYPE.to_owned(), kind: Some("hidden".to_owned()), values }] }
    }

    /// The same with a field.
    #[must_use]
    pub fn with_field<'v>(mut self, var: &str, values: impl IntoIterator<Item = &'v str>) -> Self {
        let values = values.into_iter().map(str::to_owned).collect();
        self.fields.push(DiscoField { var: var.to_owned(), kind: None, values });
        self
    }

    fn read(element: ElementRef<'_>) -> Result<Self, DiscoError> {
        let mut form = Self::default();
        for field in element.children().filter(|child| child.is("field", ns::DATA_FORMS)) {
            let Some(var) = field.attribute("var") else { continue };
            let mut values = Vec::new();
            for value in field.children().filter(|child| child.is("value", ns::DATA_FORMS)) {
                add(&mut values, value.text(), Self::MAX_VALUES, "values")?;
            }
            let kind = field.attribute("type").map(str::to_owned);
            add(&mut form.fields, DiscoField { var: var.to_owned(), kind, values }, Self::MAX_FIELDS, "fields")?;
        }
        Ok(form)
    }

    fn write(&self, out: &mut String) {
        out.push_str("<x");
        write::attribute(out, "xmlns", ns::DATA_FORMS);
        out.push_str(" type='result'>");
        for field in &self.fields {
            out.push_str("<field");
            write::attribute(out, "var", &field.var);
            write::optional_attribute(out, "type", field.kind.as_deref());
            out.push('>');
            for value in &field.values {
                out.push_str("<value>");
                write::text(out, value);
                out.push_str("</value>");
            }
            out.push_str("</field>");
        }
        out.push_str("</x>");
    }
}

impl fmt::Display for DiscoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(what) => write!(f, "more {what} than are kept"),
        }
    }
}

impl core::error::Error for DiscoError {}

fn write_query_start(out: &mut String, node: Option<&str>) {
    out.push_str("<query");
    write::attribute(out, "xmlns", ns::DISCO_INFO);
    write::optional_attribute(out, "node", node);
}

fn add<T>(to: &mut Vec<T>, item: T, most: usize, name: &'static str) -> Result<(), DiscoError> {
    if to.len() >= most {
        return Err(DiscoError::TooMany(name));
    }
    to.push(item);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Element, Limits};

    fn parse(content: &str) -> Option<Result<DiscoInfo, DiscoError>> {
        let xml = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{content}</query>");
        DiscoInfo::parse(Element::parse(&xml, &Limits::default()).unwrap().root())
    }

    /// The result of the first example, and what it says.
    #[test]
    fn xep_0030_3_1_the_result_of_the_example_is_read() {
        let info = parse(
            "<identity category='conference' type='text' name='Play-Specific Chatrooms'/>
             <identity category='directory' type='chatroom' name='Play-Specific Chatrooms'/>
             <feature var='http://jabber.org/protocol/disco#info'/>
             <feature var='http://jabber.org/protocol/muc'/>
             <feature var='jabber:iq:register'/>",
        );
        let name = "Play-Specific Chatrooms";
        let expected = DiscoInfo::new(DiscoIdentity::new("conference", "text").with_name(name))
            .with_identity(DiscoIdentity::new("directory", "chatroom").with_name(name))
            .with_features(["jabber:iq:register", "http://jabber.org/protocol/muc"]);
        assert_eq!(info, Some(Ok(expected)));
    }

    #[test]
    fn xep_0030_3_1_every_entity_has_an_identity_and_the_feature_disco_info() {
        let mut out = String::new();
        DiscoInfo::new(DiscoIdentity::new("client", "pc")).write_query(&mut out, None);
        assert_eq!(
            out,
            "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>\
             <feature var='http://jabber.org/protocol/disco#info'/></query>"
        );
    }

    #[test]
    fn xep_0030_3_2_the_node_of_the_request_is_mirrored() {
        let mut out = String::new();
        let info = DiscoInfo::new(DiscoIdentity::new("client", "pc"));
        info.write_result(&mut out, "info3", "romeo@montague.net/orchard", Some("juliet@capulet.lit/b"), Some("a'b#c"));
        let result = Element::parse(&out, &Limits::default()).unwrap();
        let query = result.child("query", ns::DISCO_INFO).unwrap();
        assert_eq!(query.attribute("node"), Some("a'b#c"));
        let addresses = ["id", "to", "from", "type"].map(|name| result.attribute(name).unwrap());
        assert_eq!(addresses, ["info3", "romeo@montague.net/orchard", "juliet@capulet.lit/b", "result"]);
    }

    #[test]
    fn xep_0030_3_1_the_request_of_the_example() {
        let mut out = String::new();
        DiscoInfo::write_request(&mut out, "info1", "plays.shakespeare.lit", Some("romeo@montague.net/orchard"), None);
        let request = Element::parse(&out, &Limits::default()).unwrap();
        let example = "<iq type='get' from='romeo@montague.net/orchard' to='plays.shakespeare.lit' id='info1'>\
                       <query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
        assert_eq!(request, Element::parse(example, &Limits::default()).unwrap());
    }

    #[test]
    fn what_lacks_a_required_attribute_and_what_is_unknown_is_left_out() {
        let info = parse(
            "<identity category='client'/><identity type='pc'/><feature/><item var='x'/><feature xmlns='urn:x' var='y'/>",
        );
        assert_eq!(info, Some(Ok(DiscoInfo::default())));
        let other = Element::parse("<query xmlns='urn:x'/>", &Limits::default()).unwrap();
        assert_eq!(DiscoInfo::parse(other.root()), None);
    }

    #[test]
    fn each_bound_holds_at_its_limit_and_not_one_past_it() {
        let field = |values: usize| format!("<field var='v'>{}</field>", "<value/>".repeat(values));
        let form = |fields: &str| format!("<x xmlns='jabber:x:data' type='result'>{fields}</x>");
        type Make<'m> = &'m dyn Fn(usize) -> String;
        let cases: [(&str, usize, Make<'_>); 5] = [
            ("identities", 32, &|n| "<identity category='c' type='t'/>".repeat(n)),
            ("features", 1024, &|n| "<feature var='f'/>".repeat(n)),
            ("forms", 16, &|n| form("").repeat(n)),
            ("fields", 64, &|n| form(&field(0).repeat(n))),
            ("values", 64, &|n| form(&field(n))),
        ];
        for (name, most, make) in cases {
            assert!(matches!(parse(&make(most)), Some(Ok(_))), "{name}");
            assert_eq!(parse(&make(most + 1)), Some(Err(DiscoError::TooMany(name))));
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let form = DiscoForm::new("urn:xmpp:dataforms:softwareinfo").with_field("os", ["<M&c>", " a\nb "]);
        let identity = DiscoIdentity::new("client", "pc").with_name("Ψ '0.11'").with_lang("el");
        let info = DiscoInfo::new(identity).with_features(["b", "a", "b"]).with_form(form);
        assert_eq!(info.features, ["a", "b", ns::DISCO_INFO]);
        let mut out = String::new();
        info.write_query(&mut out, Some("n"));
        assert_eq!(DiscoInfo::parse(Element::parse(&out, &Limits::default()).unwrap().root()), Some(Ok(info)));
    }
}
