use super::*;
use crate::StreamReader;

/// RFC 6120 § 11.1; XML 1.0 § 2.8.
#[test]
fn p20_document_type_declarations_are_refused() {
    all_restricted(&[
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        "<a><!DOCTYPE a></a>",
        "<!doctype a><a/>",
        "<!DOCTYPE a",
        "<a/><!DOCTYPE a>",
    ]);
}

/// RFC 6120 § 11.1; XML 1.0 § 2.6.
#[test]
fn p20_processing_instructions_are_refused() {
    all_restricted(&[
        "<a><?pi?></a>",
        "<?pi data?><a/>",
        "<a/><?pi?>",
        "<a><?xml-stylesheet href='x'?></a>",
        "<a><?pi",
    ]);
}

/// RFC 6120 § 11.1; XML 1.0 § 2.5.
#[test]
fn p20_comments_are_refused() {
    all_restricted(&[
        "<a><!-- --></a>",
        "<!----><a/>",
        "<a/><!-- -->",
        "<a>b<!--c-->d</a>",
        "<a><!--",
        "<a><!-- -- --></a>",
    ]);
}

/// XML 1.0 § 2.8: it can only open a document, and after that its name is a reserved one (§ 2.6).
#[test]
fn p20_xml_declarations_inside_are_refused() {
    all_restricted(&[
        "<?xml version='1.0'?><a/>",
        "<a><?xml version='1.0'?></a>",
        "<a/><?xml version='1.0'?>",
        " <?xml version='1.0'?><a/>",
    ]);
}

/// RFC 6120 § 11.1: only those of XML 1.0 § 4.6.
#[test]
fn p20_entities_that_xml_does_not_predefine_are_refused() {
    all_restricted(&["<a>&nbsp;</a>", "<a b='&nbsp;'/>", "<a>&LT;</a>", "<a>&lol9;</a>", "<a>&x:y;</a>"]);
    assert_eq!(accepted("<a b='&lt;&gt;&amp;&apos;&quot;'>&lt;&gt;&amp;&apos;&quot;</a>").text(), "<>&'\"");
}

/// XML 1.0 § 2.7.
#[test]
fn p20_cdata_is_text_and_merges_with_its_neighbours() {
    let element = accepted("<a>b<![CDATA[<c>&amp;]]>d&amp;<![CDATA[]]]]><![CDATA[>]]></a>");
    assert_eq!(element.text(), "b<c>&amp;d&]]>");
    assert_eq!(element.root().single_text(), Some("b<c>&amp;d&]]>"));
    assert_eq!(accepted("<a><![CDATA[]]></a>").text(), "");
    all_not_well_formed(&[
        "<a><![CDATA[</a>",
        "<a><![CDATA[]]</a>",
        "<a><![cdata[]]></a>",
        "<a><![CDATA ]]></a>",
        "<![CDATA[]]><a/>",
        "<a/><![CDATA[ ]]>",
    ]);
}

/// Namespaces in XML § 5.
#[test]
fn undeclared_prefixes_are_refused() {
    for xml in [
        "<p:a/>",
        "<a p:b='c'/>",
        "<a><p:b/></a>",
        "<a><b xmlns:p='u'/><p:c/></a>",
        "<a xmlns:p='u'><q:b/></a>",
        "<a xmlns:p='u' q:b='c'/>",
        "<stream:features/>",
    ] {
        assert_eq!(refused(xml), ParseErrorKind::UndeclaredPrefix, "{xml}");
    }
    // Wherever in the tag the declaration stands.
    let element = accepted("<p:a p:b='c' xmlns:p='u'><p:d/></p:a>");
    assert!(element.is("a", "u") && element.child("d", "u").is_some());
    assert_eq!(element.root().attribute_in("u", "b"), Some("c"));
    assert_eq!(element.attribute("b"), None);
}

/// Namespaces in XML § 6.
#[test]
fn declarations_hold_inside_their_element_and_may_be_overridden() {
    let element = accepted("<a xmlns='u' xmlns:p='v'><p:b xmlns:p='w'><p:c/></p:b><p:d/><e xmlns=''><f/></e><g/></a>");
    let names: Vec<_> = element.children().map(|child| (child.name(), child.ns())).collect();
    assert_eq!(names, [("b", "w"), ("d", "v"), ("e", ""), ("g", "u")]);
    assert!(element.child("b", "w").unwrap().child("c", "w").is_some());
    assert!(element.child("e", "").unwrap().child("f", "").is_some());
    // Declarations are not attributes, and the default namespace is not that of attributes.
    let element = accepted("<a xmlns='u' xmlns:p='v' b='c'/>");
    let attributes: Vec<_> = element.root().attributes().collect();
    assert_eq!(attributes, [Attribute { ns: "", name: "b", value: "c" }]);
}

/// XML 1.0 § 2.2.
#[test]
fn characters_that_xml_does_not_have_are_refused() {
    for code in (0..0x20).chain([0xFFFE, 0xFFFF]) {
        let c = char::from_u32(code).unwrap();
        if matches!(c, '\t' | '\n' | '\r') {
            continue;
        }
        for xml in [
            format!("<a>{c}</a>"),
            format!("<a>b{c}c</a>"),
            format!("<a b='{c}'/>"),
            format!("<a><![CDATA[{c}]]></a>"),
            format!("<a{c}/>"),
            format!("<a {c}b='c'/>"),
            format!("<a b{c}='c'/>"),
            format!("<a></a{c}>"),
            format!("{c}<a/>"),
            format!("<a/>{c}"),
            format!("<a>&{c};</a>"),
        ] {
            all_not_well_formed(&[&xml]);
        }
    }
    let odd = "\u{7F}\u{80}\u{85}\u{9F}\u{2028}\u{D7FF}\u{E000}\u{FFFD}\u{EFFFF}\u{1FFFE}\u{10FFFF}\t\n ";
    assert_eq!(accepted(&format!("<a>{odd}</a>")).text(), odd);
}

/// XML 1.0 § 4.1.
#[test]
fn references_to_no_character_are_refused() {
    for reference in [
        "&#0;",
        "&#x0;",
        "&#1;",
        "&#x1;",
        "&#8;",
        "&#xB;",
        "&#x1F;",
        "&#xD800;",
        "&#xDFFF;",
        "&#55296;",
        "&#xFFFE;",
        "&#xFFFF;",
        "&#x110000;",
        "&#1114112;",
        "&#99999999999;",
        "&#xFFFFFFFFFF;",
        "&#+65;",
        "&#-65;",
        "&#x+41;",
        "&#x;",
        "&#;",
        "&# 65;",
        "&#65 ;",
        "&#x 41;",
        "&#X41;",
        "&#6_5;",
        "&#xG;",
        "&#6A;",
        "&#٣;",
        "&#x41",
        "&#65",
    ] {
        all_not_well_formed(&[&format!("<a>{reference}</a>"), &format!("<a b='{reference}'/>")]);
    }
    let sound = "&#65;&#x41;&#x000041;&#0000065;&#9;&#10;&#13;&#xD7FF;&#xE000;&#xfffd;&#x10FFFF;";
    let expected = "AAAA\t\n\r\u{D7FF}\u{E000}\u{FFFD}\u{10FFFF}";
    let element = accepted(&format!("<a b='{sound}'>{sound}</a>"));
    assert_eq!((element.attribute("b"), element.text().as_str()), (Some(expected), expected));
}

/// XML 1.0 § 2.4.
#[test]
fn an_ampersand_that_begins_no_reference_is_refused() {
    for text in ["&", "& ", "a & b", "&amp", "&;", "&amp &amp;", "& amp;", "&amp ;", "&1;", "&&amp;", "&a b;", "&<;"] {
        all_not_well_formed(&[&format!("<a>{text}</a>"), &format!("<a b='{text}'/>")]);
    }
    all_not_well_formed(&["<a>&amp</a>;", "<a>&</a>", "<a b='&amp' c=';'/>", "&amp;<a/>", "<a/>&#32;"]);
}

/// XML 1.0 § 3.1, no `<` in attribute values.
#[test]
fn less_than_in_attribute_values_is_refused() {
    all_not_well_formed(&["<a b='<'/>", "<a b='<c/>'/>", "<a b=\"c<\"/>", "<a xmlns='<'/>"]);
    assert_eq!(accepted("<a b='&lt;' c='>' d='&#60;'/>").attribute("c"), Some(">"));
}

/// XML 1.0 § 2.4.
#[test]
fn the_end_of_cdata_in_text_is_refused() {
    all_not_well_formed(&[
        "<a>]]></a>",
        "<a>b]]>c</a>",
        "<a>]]]></a>",
        "<a>&amp;]]></a>",
        "<a><![CDATA[]]>]]></a>",
        "<a><b/>]]></a>",
        "<a>]]>&amp;</a>",
    ]);
    for sound in ["]]&gt;", "]&#93;>", "&#93;]>", "]]&#62;", "]]<![CDATA[>]]>", "]<![CDATA[]]]>>"] {
        assert_eq!(accepted(&format!("<a>{sound}</a>")).text(), "]]>", "{sound}");
    }
    assert_eq!(accepted("<a>]] ></a>").text(), "]] >");
    assert_eq!(accepted("<a b=']]>'/>").attribute("b"), Some("]]>"));
}

/// XML 1.0 § 2.3, Namespaces in XML §§ 3, 4.
#[test]
fn names_that_are_none_are_refused() {
    for name in [
        "1a",
        "-a",
        ".a",
        "a:b:c",
        ":a",
        "a:",
        ":",
        "a:1",
        "p:-",
        "a$",
        "a/b",
        "a'",
        "a\"",
        "a\u{D7}",
        "\u{300}a",
        "a\u{37E}",
        "a\u{2190}",
        "a,",
        "a@b",
        "=",
        "a=b",
        "&amp;",
        "a&amp;b",
        "p::a",
    ] {
        all_not_well_formed(&[
            &format!("<{name} xmlns:p='u' xmlns:a='u'/>"),
            &format!("<x {name}='1' xmlns:p='u' xmlns:a='u'/>"),
            &format!("<x xmlns:p='u' xmlns:a='u'><{name}></{name}></x>"),
        ]);
    }
    for name in ["a", "_", "a1", "a-", "a.b", "ä", "名", "a\u{B7}", "a\u{300}", "\u{10000}", "xmlfoo", "p:a", "p:_"] {
        accepted(&format!("<{name} xmlns:p='u'><x {name}='1'/></{name}>"));
    }
}

/// Namespaces in XML §§ 2.2, 3.
#[test]
fn reserved_prefixes_and_empty_declarations_are_refused() {
    all_not_well_formed(&[
        "<a xmlns:p=''/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:xml=''/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<xmlns:a/>",
        "<a xmlns:='u'/>",
        "<a xmlns:1='u'/>",
        "<a xmlns:p:q='u'/>",
        // The value counts, not how it is written.
        "<a xmlns:p='http://www.w3.org/2000/xmlns&#47;'/>",
    ]);
    let element = accepted("<a xmlns='' xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'><xml:b/></a>");
    assert!(element.is("a", "") && element.child("b", ns::XML).is_some());
    assert_eq!(element.root().attribute_in(ns::XML, "lang"), Some("en"));
}

/// XML 1.0 § 3.1, unique attributes; Namespaces in XML § 6.3.
#[test]
fn duplicate_attributes_are_refused() {
    all_not_well_formed(&[
        "<a b='1' b='1'/>",
        "<a b='1' c='2' b='3'/>",
        "<a xmlns='u' xmlns='u'/>",
        "<a xmlns:p='u' xmlns:p='v'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        "<a xmlns:p='u' p:b='1' p:b='2'/>",
        "<x xmlns:p='u'><a p:b='1' q:b='2' xmlns:q='u'/></x>",
        "<a xml:lang='en' xml:lang='en'/>",
    ]);
    let many: String = (0..20).map(|n| format!(" b{n}='1'")).collect();
    all_not_well_formed(&[&format!("<a{many} b0='2'/>"), &format!("<a{many} b19='2'/>")]);
    let element = accepted("<a xmlns='u' xmlns:p='u' b='1' p:b='2'/>");
    assert_eq!((element.attribute("b"), element.root().attribute_in("u", "b")), (Some("1"), Some("2")));
}

/// XML 1.0 § 3.1.
#[test]
fn broken_tags_are_refused() {
    all_not_well_formed(&[
        "<a b='1'c='2'/>",
        "<a b=\"1\"c='2'/>",
        "<a b=1/>",
        "<a b=1></a>",
        "<a b/>",
        "<a b></a>",
        "<a b c='1'/>",
        "<a ='1'/>",
        "<a b=/>",
        "<a b='1/>",
        "<a b='1\"/>",
        "<a b=\"1'/>",
        "<a b='1' '/>",
        "<a b='1'' c='2'/>",
        "<a b=='1'/>",
        "<a,b='1'/>",
        "<a / >",
        "<a /b='1'>",
        "<a/ >",
        "<a/b>",
        "<a b='1'/ >",
        "< a/>",
        "<\ta/>",
        "<>",
        "</>",
        "<a></a b='1'>",
        "<a></a b>",
        "<a></ a>",
        "<a></a/>",
        "<a><</a>",
        "<a><b<c/></b></a>",
        "<a<b/>",
        "<a",
        "<a b",
        "<a b=",
        "<a b='",
        "<a></a",
        "<",
        "<a><!></a>",
        "<a><!x></a>",
        "<a><![x[]]></a>",
    ]);
    accepted("<a\tb\n=\r'1'\n c = \"2\" ></a \r\n>");
    accepted("<a />");
    assert_eq!(accepted("<a b='\"' c=\"'\" d='' e='=' f='a>b/>'/>").attribute("f"), Some("a>b/>"));
}

/// XML 1.0 § 2.1.
#[test]
fn anything_but_one_whole_element_is_refused() {
    all_not_well_formed(&[
        "",
        " ",
        "text",
        "<a/><b/>",
        "<a/><b xmlns='n'/>",
        "<a xmlns:p='n'/><p:b xmlns:p='m' p:c=''/>",
        "<a/><a/>",
        "<a></a><b></b>",
        "x<a/>",
        "<a/>x",
        "<a></a>&lt;",
        "&#32;<a/>",
        "<a>",
        "<a><b></b>",
        "<a><b></a>",
        "<a><b></a></b>",
        "<a></b>",
        "<a></A>",
        "</a>",
        "<a></a></a>",
        "<a/></a>",
        "<p:a xmlns:p='u' xmlns:q='u'></q:a>",
        "<a></a><a",
        "<a/><",
    ]);
    for around in [" \t\r\n<a/>", "<a/>\n\n", " <a></a> "] {
        accepted(around);
    }
}

/// RFC 6120 § 11.6: U+FEFF is no byte order mark in a stream but a character, which is not allowed there.
#[test]
fn a_byte_order_mark_is_refused() {
    all_not_well_formed(&["\u{FEFF}<a/>", "<a/>\u{FEFF}", "\u{FEFF}"]);
    assert_eq!(accepted("<a>\u{FEFF}</a>").text(), "\u{FEFF}");
}

/// XML 1.0 § 2.11.
#[test]
fn line_ends_become_one_line_feed() {
    assert_eq!(accepted("<a>1\r\n2\r3\n4\r\r\n5\n\r6</a>").text(), "1\n2\n3\n4\n\n5\n\n6");
    assert_eq!(accepted("<a><![CDATA[1\r\n2\r3]]></a>").text(), "1\n2\n3");
    assert_eq!(accepted("<a>1\r<![CDATA[\n]]>2&#13;\n3\r&#10;</a>").text(), "1\n\n2\r\n3\n\n");
}

/// XML 1.0 § 3.3.3.
#[test]
fn white_space_in_attribute_values_becomes_spaces() {
    assert_eq!(accepted("<a b='1\r\n2\r3\n4\t5  6\r\r\n7'/>").attribute("b"), Some("1 2 3 4 5  6  7"));
    assert_eq!(accepted("<a b='&#13;&#10;&#9;&#xD;\n'/>").attribute("b"), Some("\r\n\t\r "));
}

#[test]
fn text_of_an_element_leaves_out_that_of_its_children() {
    let element = accepted("<a>1<b>2</b>3</a>");
    assert_eq!(element.text(), "13");
    assert_eq!(element.root().single_text(), None);
    assert_eq!(accepted("<a/>").root().single_text(), Some(""));
    assert!(accepted("<a> <b>x</b>\n</a>").root().has_only_elements());
    assert!(!element.root().has_only_elements());
}

#[test]
fn debug_shows_no_content() {
    let element = accepted("<message to='juliet@capulet.lit'><body>secret</body></message>");
    assert_eq!(format!("{element:?}"), "<message xmlns='jabber:client'/>");
}

#[test]
fn characters_that_end_or_break_anywhere_are_read_alike() {
    // Around the first 512 bytes, which are looked at in one go.
    for before in 490..530 {
        let text = format!("{}\u{1D11E}é", "x".repeat(before));
        let xml = format!("<a b='é'>{text}</a>");
        assert_eq!(accepted(&xml).text(), text, "{before}");
        let mut broken = xml.clone().into_bytes();
        let at = xml.len() - "é</a>".len();
        broken[at] = 0xFF;
        let mut reader = StreamReader::new(Limits::default());
        let stream = [b"<s xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", &*broken].concat();
        let mut rest = &*stream;
        let fault = loop {
            match reader.read(&mut rest) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{before}: nothing is wrong"),
                Err(fault) => break fault,
            }
        };
        assert_eq!((fault.kind, fault.offset), (ParseErrorKind::NotUtf8, stream.len() - broken.len() + at), "{before}");
    }
}
