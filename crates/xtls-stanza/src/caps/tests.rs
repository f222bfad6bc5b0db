use super::*;
use crate::{DiscoIdentity, Element, Limits};

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

fn info(content: &str) -> DiscoInfo {
    let query = element(&format!("<query xmlns='http://jabber.org/protocol/disco#info'>{content}</query>"));
    DiscoInfo::parse(query.root()).unwrap().unwrap()
}

fn ver(content: &str) -> Result<String, CapsError> {
    info(content).caps_ver(HashAlgo::Sha1)
}

const FEATURES: &str = "<feature var='http://jabber.org/protocol/disco#info'/>
    <feature var='http://jabber.org/protocol/muc'/>
    <feature var='http://jabber.org/protocol/caps'/>
    <feature var='http://jabber.org/protocol/disco#items'/>";

const CLIENT: &str = "<identity category='client' type='pc'/>";

/// The form of § 5.3, its fields and values out of order.
const FORM: &str = "<x xmlns='jabber:x:data' type='result'>
    <field var='os'><value>Mac</value></field>
    <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
    <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>
    <field var='software_version'><value>0.11</value></field>
    <field var='os_version'><value>10.5.1</value></field>
    <field var='software'><value>Psi</value></field></x>";

fn complex() -> String {
    format!(
        "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
         <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>{FEATURES}{FORM}"
    )
}

#[test]
fn xep_0115_5_2_the_simple_example() {
    let simple = format!("<identity category='client' name='Exodus 0.9.1' type='pc'/>{FEATURES}");
    assert_eq!(
        info(&simple).verification_string().unwrap(),
        "client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info<\
         http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<"
    );
    assert_eq!(ver(&simple).unwrap(), "QgayPKawpkPSDYmwT/WM94uAlu0=");
}

#[test]
fn xep_0115_5_3_the_complex_example() {
    assert_eq!(
        info(&complex()).verification_string().unwrap(),
        "client/pc/el/Ψ 0.11<client/pc/en/Psi 0.11<http://jabber.org/protocol/caps<\
         http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<\
         urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<os<Mac<os_version<10.5.1<software<Psi<\
         software_version<0.11<"
    );
    assert_eq!(ver(&complex()).unwrap(), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

/// § 5.1: the algorithm is that of the hash attribute. The figure is that of `openssl dgst -sha256` over the string of § 5.2.
#[test]
fn xep_0115_5_1_another_hash_function() {
    let simple = info(&format!("<identity category='client' name='Exodus 0.9.1' type='pc'/>{FEATURES}"));
    assert_eq!(simple.caps_ver(HashAlgo::Sha256).unwrap(), "Wr6IGEKhx6b9627gBmi/cCmpxXBc/GYq5zWuYfWGWoc=");
    assert_eq!(simple.caps_ver(HashAlgo::Md5), Err(CapsError::UnknownHash));
}

/// § 5.1: i;octet, by category, then type, then language; a dash sorts before a slash.
#[test]
fn xep_0115_5_1_identities_are_sorted_part_by_part() {
    let text = info(
        "<identity category='client-x' type='a'/><identity category='client' type='z'/>
         <identity category='client' type='B' xml:lang='de' name='n'/><identity category='client' type='B'/>",
    );
    let expected = "client/B//<client/B/de/n<client/z//<client-x/a//<";
    assert_eq!(text.verification_string().unwrap(), expected);
}

#[test]
fn xep_0115_5_1_forms_are_sorted_by_their_type() {
    let form = |name: &str| {
        format!(
            "<x xmlns='jabber:x:data'><field var='v'><value>{name}</value></field>\
             <field var='FORM_TYPE' type='hidden'><value>{name}</value></field></x>"
        )
    };
    let text = info(&format!("{}{}{}", form("b"), form("B"), form("a"))).verification_string().unwrap();
    assert_eq!(text, "B<v<B<a<v<a<b<v<b<");
}

#[test]
fn xep_0115_5_4_3_3_the_same_identity_twice_is_ill_formed() {
    assert_eq!(ver(&CLIENT.repeat(2)), Err(CapsError::DuplicateIdentity));
    assert!(ver(&format!("{CLIENT}<identity category='client' type='pc' xml:lang='en'/>")).is_ok());
}

#[test]
fn xep_0115_5_4_3_4_the_same_feature_twice_is_ill_formed() {
    assert_eq!(ver("<feature var='a'/><feature var='b'/><feature var='a'/>"), Err(CapsError::DuplicateFeature));
}

#[test]
fn xep_0115_5_4_3_5_forms_of_one_type_or_of_two_are_ill_formed() {
    assert_eq!(ver(&FORM.repeat(2)), Err(CapsError::FormType));
    let two = FORM.replace("softwareinfo</value>", "softwareinfo</value><value>other</value>");
    assert_eq!(ver(&two), Err(CapsError::FormType));
    // Twice the same value is one.
    let same = "softwareinfo</value><value>urn:xmpp:dataforms:softwareinfo</value>";
    assert_eq!(ver(&FORM.replace("softwareinfo</value>", same)), ver(FORM));
}

#[test]
fn xep_0115_5_4_3_6_a_form_without_a_hidden_type_is_ignored() {
    let without = ver(CLIENT).unwrap();
    for form in [
        FORM.replace("type='hidden'", "type='text-single'"),
        FORM.replace("type='hidden'", ""),
        FORM.replace("FORM_TYPE", "FORM"),
        FORM.replace("<value>urn:xmpp:dataforms:softwareinfo</value>", ""),
    ] {
        assert_eq!(ver(&format!("{CLIENT}{form}")).unwrap(), without);
    }
    assert_ne!(ver(&format!("{CLIENT}{FORM}")).unwrap(), without);
}

#[test]
fn xep_0115_5_4_what_was_announced_verifies_and_nothing_else_does() {
    let announced = |hash: &str| {
        let c = format!(
            "<c xmlns='http://jabber.org/protocol/caps' hash='{hash}' node='http://psi-im.org' \
             ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"
        );
        Caps::parse(element(&c).root()).unwrap()
    };
    let psi = info(&complex());
    assert_eq!(announced("sha-1").verify(&psi), Ok(()));
    assert_eq!(announced("sha-1").disco_node(), "http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w=");
    assert_eq!(announced("sha-256").verify(&psi), Err(CapsError::Mismatch));
    assert_eq!(announced("sha-1").verify(&psi.clone().with_feature("x")), Err(CapsError::Mismatch));
    for unknown in ["md5", "SHA-1", "sha1", "whirlpool"] {
        assert_eq!(announced(unknown).verify(&psi), Err(CapsError::UnknownHash), "{unknown}");
    }
}

/// The attack of § 9.3 by delimiters: each of these has the text of an entity with the features a and b.
#[test]
fn xep_0115_9_3_a_delimiter_in_a_value_is_refused() {
    let honest = "<identity category='client' type='pc' name='n'/><feature var='a'/><feature var='b'/>";
    assert_eq!(info(honest).verification_string().unwrap(), "client/pc//n<a<b<");
    for poison in [
        "<identity category='client' type='pc' name='n&lt;a&lt;b'/>",
        "<identity category='client' type='pc' name='n'/><feature var='a&lt;b'/>",
        "<identity category='client' type='pc' name='n&lt;a'/><feature var='b'/>",
        "<identity category='client/pc/' type='n' name='x'/>",
        "<identity category='client' type='pc/' name='n'/>",
        "<identity category='client' type='pc' xml:lang='/' name='n'/>",
        "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a&lt;b</value></field></x>",
        "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value></field>\
         <field var='b&lt;'/></x>",
        "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value></field>\
         <field var='b'><value>&lt;</value></field></x>",
    ] {
        assert_eq!(ver(poison), Err(CapsError::Ambiguous), "{poison}");
    }
    // A feature made an identity: an address of the web has nothing between its first two slashes.
    let hidden = "<identity category='http:' type='' xml:lang='jabber.org' name='protocol/muc'/>";
    assert_eq!(ver(hidden), Err(CapsError::Identity));
}

#[test]
fn xep_0115_13_the_legacy_format_and_what_is_too_long_is_ignored() {
    let c = |attributes: &str| Caps::parse(element(&format!("<c xmlns='{}' {attributes}/>", ns::CAPS)).root());
    assert!(c("hash='sha-1' node='n' ver='v'").is_some());
    for missing in
        ["node='n' ver='0.9' ext='ca'", "hash='sha-1' ver='v'", "hash='sha-1' node='n'", "hash='' node='n' ver='v'"]
    {
        assert_eq!(c(missing), None, "{missing}");
    }
    let long = |length| c(&format!("hash='sha-1' node='{}' ver='v'", "n".repeat(length)));
    assert!(long(1024).is_some());
    assert!(long(1025).is_none());
    assert_eq!(Caps::parse(element("<c xmlns='urn:x' hash='sha-1' node='n' ver='v'/>").root()), None);
}

#[test]
fn xep_0115_1_2_the_presence_of_the_example_is_written() {
    let caps = Caps::of(&info(&complex()), "http://psi-im.org", HashAlgo::Sha1).unwrap();
    let mut out = String::new();
    caps.write(&mut out);
    assert_eq!(
        out,
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://psi-im.org' \
         ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"
    );
    assert_eq!(Caps::parse(element(&out).root()), Some(caps));
    assert_eq!(Caps::of(&DiscoInfo::default(), "n", HashAlgo::Md5), Err(CapsError::UnknownHash));
}

fn ask(disco: &Disco, iq: &str) -> Option<Element> {
    let iq = element(iq);
    let mut out = String::new();
    let taken = disco.answer(&Iq::parse(&iq).unwrap().unwrap(), "romeo@montague.lit/orchard", None, &mut out);
    assert_eq!(taken, !out.is_empty());
    taken.then(|| element(&out))
}

fn query(node: &str) -> String {
    format!("<iq type='get' id='disco1' from='r@m/o'><query xmlns='http://jabber.org/protocol/disco#info'{node}/></iq>")
}

#[test]
fn xep_0115_6_2_the_announced_node_is_answered_with_what_was_announced() {
    let disco = Disco::new(DiscoInfo::new(DiscoIdentity::new("client", "pc")), "urn:x").unwrap();
    let node = disco.caps().disco_node();
    for (asked, mirrored) in [(String::new(), None), (format!(" node='{node}'"), Some(node.as_str()))] {
        let answer = ask(&disco, &query(&asked)).unwrap();
        let told = answer.child("query", ns::DISCO_INFO).unwrap();
        assert_eq!((answer.attribute("id"), told.attribute("node")), (Some("disco1"), mirrored));
        assert_eq!(disco.caps().verify(&DiscoInfo::parse(told).unwrap().unwrap()), Ok(()));
    }
    assert!(disco.info().supports(ns::CAPS), "§ 7");
}

#[test]
fn xep_0030_7_an_unknown_node_is_item_not_found() {
    let disco = Disco::new(DiscoInfo::new(DiscoIdentity::new("client", "pc")), "urn:x").unwrap();
    for node in ["", "urn:x", "urn:x#", "urn:y#1", "urn:x#stale="] {
        let answer = ask(&disco, &query(&format!(" node='{node}'"))).unwrap();
        assert_eq!(StanzaError::of_stanza(&answer).unwrap(), Condition::ItemNotFound.into(), "{node}");
    }
}

#[test]
fn what_is_no_query_is_left_to_others() {
    let disco = Disco::new(DiscoInfo::new(DiscoIdentity::new("client", "pc")), "urn:x").unwrap();
    assert!(ask(&disco, &query("").replace("'get'", "'set'")).is_none());
    assert!(ask(&disco, &query("").replace("disco#info", "disco#items")).is_none());
    assert!(ask(&disco, "<iq type='result' id='1'/>").is_none());
}

#[test]
fn xep_0115_6_1_other_features_make_another_string() {
    let of = |feature| Disco::new(DiscoInfo::new(DiscoIdentity::new("client", "pc")).with_feature(feature), "urn:x");
    assert_ne!(of("a").unwrap().caps().ver(), of("b").unwrap().caps().ver());
    assert_eq!(Disco::new(DiscoInfo::default(), "urn:x").unwrap_err(), CapsError::Identity);
}
