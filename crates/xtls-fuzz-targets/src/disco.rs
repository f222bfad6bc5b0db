//! Service discovery and entity capabilities.

use xtls_stanza::{Caps, CapsError, DiscoForm, DiscoInfo, Element, ElementRef, HashAlgo, Limits};

const ALGORITHMS: [HashAlgo; 6] =
    [HashAlgo::Md5, HashAlgo::Sha1, HashAlgo::Sha224, HashAlgo::Sha256, HashAlgo::Sha384, HashAlgo::Sha512];

/// Reads each element of the input as a result of disco#info and as capabilities.
pub fn run(data: &[u8]) {
    let Ok(xml) = core::str::from_utf8(data) else { return };
    let Ok(element) = Element::parse(xml, &Limits::default()) else { return };
    let (mut infos, mut all_caps) = (Vec::new(), Vec::new());
    visit(element.root(), &mut |element| {
        infos.extend(DiscoInfo::parse(element).and_then(Result::ok));
        all_caps.extend(Caps::parse(element));
    });
    for caps in &all_caps {
        check_caps(caps);
        for info in &infos {
            // Without that string it cannot be verified, and with another one it is not.
            let expected = caps.algo().map(|algo| info.caps_ver(algo));
            let is_same = matches!(expected, Some(Ok(ver)) if ver == caps.ver());
            assert_eq!(caps.verify(info).is_ok(), is_same);
        }
    }
    infos.iter().for_each(check_info);
}

fn check_caps(caps: &Caps) {
    let mut out = String::new();
    caps.write(&mut out);
    assert_eq!(Caps::parse(read(&out).root()).as_ref(), Some(caps));
    assert!(caps.ver().len() <= Caps::MAX_BYTES && caps.node().len() <= Caps::MAX_BYTES);
    assert_eq!(caps.disco_node(), format!("{}#{}", caps.node(), caps.ver()));
}

fn check_info(info: &DiscoInfo) {
    assert!(info.identities.len() <= DiscoInfo::MAX_IDENTITIES && info.features.len() <= DiscoInfo::MAX_FEATURES);
    assert!(info.forms.len() <= DiscoInfo::MAX_FORMS);
    assert!(info.forms.iter().all(|form| form.fields.len() <= DiscoForm::MAX_FIELDS));
    assert!(info.forms.iter().flat_map(|form| &form.fields).all(|field| field.values.len() <= DiscoForm::MAX_VALUES));

    let mut out = String::new();
    info.write_query(&mut out, Some("node"));
    assert_eq!(DiscoInfo::parse(read(&out).root()), Some(Ok(info.clone())));

    // XEP-0115 § 5.1: the order in which things stand makes no difference.
    let string = info.verification_string();
    let mut turned = info.clone();
    turned.identities.reverse();
    turned.features.reverse();
    turned.forms.reverse();
    for field in turned.forms.iter_mut().flat_map(|form| &mut form.fields) {
        field.values.reverse();
    }
    match (&string, turned.verification_string()) {
        (Ok(string), Ok(turned)) => assert_eq!(*string, turned),
        (Err(_), Err(_)) => {}
        (ours, turned) => panic!("the order decides: {ours:?} and {turned:?}"),
    }
    let Ok(string) = string else { return };
    assert_eq!(string, by_the_book(info));
    for algo in ALGORITHMS {
        match Caps::of(info, "urn:node", algo) {
            Ok(caps) => {
                assert_eq!(caps.verify(info), Ok(()));
                let mut more = info.clone();
                more.features.push("urn:something-else".to_owned());
                assert!(info.supports("urn:something-else") || caps.verify(&more).is_err(), "another entity passes");
            }
            Err(fault) => assert!(fault == CapsError::UnknownHash && algo == HashAlgo::Md5),
        }
    }
}

/// XEP-0115 § 5.1, step by step.
fn by_the_book(info: &DiscoInfo) -> String {
    let mut identities: Vec<_> = info
        .identities
        .iter()
        .map(|identity| {
            let lang = identity.lang.as_deref().unwrap_or_default();
            let name = identity.name.as_deref().unwrap_or_default();
            format!("{}/{}/{lang}/{name}<", identity.category, identity.kind)
        })
        .collect();
    // No part that is sorted by has a slash in it, but a character before it has its place all the same.
    identities.sort_by(|one, other| one.splitn(4, '/').cmp(other.splitn(4, '/')));
    let mut features: Vec<_> = info.features.iter().map(|feature| format!("{feature}<")).collect();
    features.sort_by(|one, other| one[..one.len() - 1].cmp(&other[..other.len() - 1]));
    let mut forms: Vec<(&str, String)> = Vec::new();
    for form in &info.forms {
        let types: Vec<_> = form.fields.iter().filter(|field| field.var == DiscoForm::FORM_TYPE).collect();
        let is_hidden = types.iter().all(|field| field.kind.as_deref() == Some("hidden"));
        let Some(form_type) = types.iter().flat_map(|field| &field.values).next().filter(|_| is_hidden) else {
            continue;
        };
        let mut fields: Vec<_> = form.fields.iter().filter(|field| field.var != DiscoForm::FORM_TYPE).collect();
        fields.sort_by_key(|field| &field.var);
        let mut text = format!("{form_type}<");
        for field in fields {
            text.push_str(&format!("{}<", field.var));
            let mut values = field.values.clone();
            values.sort();
            values.iter().for_each(|value| text.push_str(&format!("{value}<")));
        }
        forms.push((form_type, text));
    }
    forms.sort();
    identities.concat() + &features.concat() + &forms.into_iter().map(|(_, text)| text).collect::<String>()
}

fn visit<'a>(element: ElementRef<'a>, see: &mut impl FnMut(ElementRef<'a>)) {
    see(element);
    element.children().for_each(|child| visit(child, see));
}

fn read(xml: &str) -> Element {
    let mut limits = Limits::default();
    limits.stanza_bytes = 1 << 28;
    Element::parse(xml, &limits).expect("what is written can be read")
}
