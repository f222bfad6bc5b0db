use proptest::prelude::*;

use super::*;

/// An element as a tree of its own, to be built and compared with.
#[derive(Debug, Clone)]
struct Tree {
    name: String,
    ns: String,
    attributes: Vec<(String, String, String)>,
    content: Vec<Content>,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Tree(Tree),
}

impl Tree {
    fn build_into(&self, mut builder: Builder) -> Builder {
        for (ns, name, value) in &self.attributes {
            builder = builder.attribute_in(ns, name, value);
        }
        for content in &self.content {
            builder = match content {
                Content::Text(text) => builder.text(text),
                Content::Tree(child) => child.build_into(builder.open(&child.name, &child.ns)).close(),
            };
        }
        builder
    }

    fn build(&self) -> Result<Element, BuildError> {
        self.build_into(Element::builder(&self.name, &self.ns)).build()
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["a", "b", "message", "xmlns", "xml", "n0", "ä", "_"][..]).prop_map(str::to_owned),
        "[a-zA-Z_äÖ名][a-zA-Z0-9_.ä\u{B7}-]{0,6}",
    ]
}

fn namespace() -> impl Strategy<Value = String> {
    let known = ["", "u", "v", "jabber:client", ns::XML, ns::STREAM, "a'b\"c<>&\t\n\r "];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), text()]
}

/// Text with more than its share of what needs escaping.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "<", ">", "&", "'", "\"", "\r", "\n", "\t", " ", "]]>", "&amp;", "\u{85}", "\u{2028}", "\u{FEFF}", "€", "𝄞",
    ]);
    prop_oneof![prop::collection::vec(odd, 0..5).prop_map(|parts| parts.concat()), ".{0,8}"]
        .prop_map(|text| text.chars().filter(|&c| is_xml_char(c)).collect())
}

fn tree() -> impl Strategy<Value = Tree> {
    let attributes = || prop::collection::vec((namespace(), name(), text()), 0..4);
    let leaf = (name(), namespace(), attributes(), prop::collection::vec(text().prop_map(Content::Text), 0..3))
        .prop_map(|(name, ns, attributes, content)| Tree { name, ns, attributes, content });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let content = prop_oneof![text().prop_map(Content::Text), inner.prop_map(Content::Tree)];
        (name(), namespace(), attributes(), prop::collection::vec(content, 0..4))
            .prop_map(|(name, ns, attributes, content)| Tree { name, ns, attributes, content })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What can be built can be written, and what is written is read as the same.
    #[test]
    fn build_write_parse(tree in tree(), context in namespace()) {
        let Ok(element) = tree.build() else { return Ok(()) };
        let mut scope = Scope::default();
        // A context that XML cannot have is none.
        let context = if scope.declare("", &context).is_ok() && context.chars().all(is_xml_char) { context } else { String::new() };
        let xml = element.to_xml(&context);
        let scope = Scope::new(&context);
        let parsed = Element::parse_in(&xml, &Limits::default(), &scope);
        prop_assert_eq!(parsed.as_ref(), Ok(&element), "{}", xml);
        // Written again it is the same text, as no attribute changes its place.
        prop_assert_eq!(parsed.unwrap().to_xml(&context), xml);
    }

    #[test]
    fn a_copy_is_the_same(tree in tree()) {
        let Ok(element) = tree.build() else { return Ok(()) };
        prop_assert_eq!(&element.root().to_element(), &element);
        for child in element.children() {
            let copy = child.to_element();
            prop_assert_eq!(copy.root(), child);
        }
    }

    /// Setting and removing attributes changes these and nothing else.
    #[test]
    fn attributes_change_in_place(tree in tree(), name in name(), value in text()) {
        let Ok(element) = tree.build() else { return Ok(()) };
        let mut changed = element.clone();
        let mut expected = tree.clone();
        let result = changed.set_attribute(&name, &value);
        if result.is_ok() {
            match expected.attributes.iter_mut().find(|(ns, found, _)| ns.is_empty() && *found == name) {
                Some((.., old)) => old.clone_from(&value),
                None => expected.attributes.push((String::new(), name.clone(), value)),
            }
            prop_assert_eq!(&changed, &expected.build().unwrap());
        } else {
            prop_assert_eq!(&changed, &element);
            expected.attributes.push((String::new(), name.clone(), value));
            prop_assert!(expected.build().is_err());
        }
        let had = changed.attribute(&name).is_some();
        prop_assert_eq!(changed.remove_attribute(&name), had);
        prop_assert_eq!(changed.remove_attribute(&name), false);
        expected.attributes.retain(|(ns, found, _)| !ns.is_empty() || *found != name);
        if let Ok(expected) = expected.build() {
            prop_assert_eq!(&changed, &expected);
        }
    }
}

#[test]
fn builder_refuses_what_cannot_be_written() {
    let start = || Element::builder("a", "u");
    for (builder, slip) in [
        (start().attribute("xmlns", "u"), BuildError::Name),
        (start().attribute("xmlns:p", "u"), BuildError::Name),
        (start().attribute("", "u"), BuildError::Name),
        (start().open("1", "u"), BuildError::Name),
        (start().open("p:a", "u"), BuildError::Name),
        (start().open("a", ns::XMLNS), BuildError::Namespace),
        (start().attribute_in(ns::XMLNS, "a", "u"), BuildError::Namespace),
        (Element::builder("a", ns::XMLNS), BuildError::Namespace),
        (start().text("\u{0}"), BuildError::Character),
        (start().attribute("b", "\u{FFFF}"), BuildError::Character),
        (start().open("b", "\u{1}"), BuildError::Character),
        (start().attribute("b", "1").attribute("b", "2"), BuildError::DuplicateAttribute),
        (start().text("x").attribute("b", "1"), BuildError::LateAttribute),
        (start().open("b", "u").close().attribute("b", "1"), BuildError::LateAttribute),
        (start().close(), BuildError::Unbalanced),
        (start().open("b", "u").close().close(), BuildError::Unbalanced),
    ] {
        assert_eq!(builder.build(), Err(slip));
    }
}

#[test]
fn an_element_of_the_xml_namespace_keeps_its_prefix() {
    let element = accepted("<a xmlns='u'><xml:b xml:c='1'><d/></xml:b></a>");
    assert_eq!(element.to_xml("u"), "<a><xml:b xml:c='1'><d/></xml:b></a>");
}

#[test]
fn set_attribute_refuses_what_cannot_be_written_and_changes_nothing() {
    let before = accepted("<a b='1'><c/></a>");
    let mut element = before.clone();
    for (name, value, slip) in [
        ("xmlns", "u", BuildError::Name),
        ("1", "u", BuildError::Name),
        ("p:b", "u", BuildError::Name),
        ("b", "\u{0}", BuildError::Character),
    ] {
        assert_eq!(element.set_attribute(name, value), Err(slip));
        assert_eq!(element, before);
    }
}

#[test]
fn equality_is_of_meaning_not_of_writing() {
    let same = accepted("<a xmlns='u' b='1' c='2'>x&amp;y<d/></a>");
    assert_eq!(same, accepted("<p:a xmlns:p='u' c=\"2\" b='1'>x<![CDATA[&]]>y<p:d></p:d></p:a>"));
    let pieces = Element::builder("a", "u").attribute("b", "1").attribute("c", "2").text("x").text("").text("&y");
    assert_eq!(same, pieces.open("d", "u").build().unwrap());
    for other in [
        "<a xmlns='v' b='1' c='2'>x&amp;y<d/></a>",
        "<a xmlns='u' b='1' c='3'>x&amp;y<d/></a>",
        "<a xmlns='u' b='1'>x&amp;y<d/></a>",
        "<a xmlns='u' b='1' c='2'>x&amp;y<d/> </a>",
        "<a xmlns='u' b='1' c='2'><d/>x&amp;y</a>",
        "<a xmlns='u' b='1' c='2'>x&amp;y<e/></a>",
        "<z xmlns='u' b='1' c='2'>x&amp;y<d/></z>",
    ] {
        assert_ne!(same, accepted(other), "{other}");
    }
}
