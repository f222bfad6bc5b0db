use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

fn jid(text: &str) -> Jid {
    Jid::new(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refused(text: &str) -> JidError {
    match Jid::new(text) {
        Ok(jid) => panic!("{text:?} is taken as {:?}", jid.canonical()),
        Err(error) => {
            assert_eq!(Jid::canonicalize(text), Err(error));
            error
        }
    }
}

fn canonical(text: &str) -> String {
    let canonical = jid(text).canonical().to_owned();
    let alone = Jid::canonicalize(text).unwrap();
    assert_eq!(alone, canonical);
    assert_eq!(matches!(alone, Cow::Borrowed(_)), canonical == text, "copied for nothing: {text:?}");
    canonical
}

/// The canonical form of an address parses, and to itself; and it is the same address.
fn check_fixed_point(jid: &Jid) {
    let again = Jid::new(jid.canonical()).unwrap_or_else(|error| panic!("{:?}: {error}", jid.canonical()));
    assert_eq!(again.canonical(), jid.canonical(), "{:?}", jid.as_str());
    assert_eq!((again.as_str(), &again), (jid.canonical(), jid));
    assert_eq!(
        (again.local(), again.domain(), again.resource()),
        (jid.local(), jid.domain(), jid.resource()),
        "{:?}",
        jid.as_str()
    );
}

#[test]
fn rfc_7622_3_5_the_legal_examples_are_addresses() {
    let legal = [
        ("juliet@example.com", Some("juliet"), "example.com", None),
        ("juliet@example.com/foo", Some("juliet"), "example.com", Some("foo")),
        ("juliet@example.com/foo bar", Some("juliet"), "example.com", Some("foo bar")),
        ("juliet@example.com/foo@bar", Some("juliet"), "example.com", Some("foo@bar")),
        ("foo\\20bar@example.com", Some("foo\\20bar"), "example.com", None),
        ("fussball@example.com", Some("fussball"), "example.com", None),
        ("fu\u{df}ball@example.com", Some("fu\u{df}ball"), "example.com", None),
        ("\u{3c0}@example.com", Some("\u{3c0}"), "example.com", None),
        ("\u{3a3}@example.com/foo", Some("\u{3c3}"), "example.com", Some("foo")),
        ("\u{3c3}@example.com/foo", Some("\u{3c3}"), "example.com", Some("foo")),
        ("\u{3c2}@example.com/foo", Some("\u{3c2}"), "example.com", Some("foo")),
        ("king@example.com/\u{265a}", Some("king"), "example.com", Some("\u{265a}")),
        ("example.com", None, "example.com", None),
        ("example.com/foobar", None, "example.com", Some("foobar")),
        ("a.example.com/b@example.net", None, "a.example.com", Some("b@example.net")),
    ];
    for (text, local, domain, resource) in legal {
        let jid = jid(text);
        assert_eq!((jid.local(), jid.domain(), jid.resource()), (local, domain, resource), "{text}");
        assert_eq!(jid.as_str(), text);
        check_fixed_point(&jid);
    }
    // Of examples 6 and 7, and of 9 to 11, what § 3.5 says.
    assert_ne!(jid("fussball@example.com"), jid("fu\u{df}ball@example.com"));
    assert_eq!(jid("\u{3a3}@example.com"), jid("\u{3c3}@example.com"));
    assert_ne!(jid("\u{3a3}@example.com"), jid("\u{3c2}@example.com"));
}

#[test]
fn rfc_7622_3_5_the_illegal_examples_are_none_but_for_a_space_that_section_3_4_allows() {
    let illegal = [
        ("\"juliet\"@example.com", JidError::NotAllowed(JidPart::Local)),
        ("foo bar@example.com", JidError::NotAllowed(JidPart::Local)),
        ("@example.com/", JidError::Empty(JidPart::Local)),
        ("henry\u{2163}@example.com", JidError::NotAllowed(JidPart::Local)),
        ("\u{265a}@example.com", JidError::NotAllowed(JidPart::Local)),
        ("juliet@", JidError::Empty(JidPart::Domain)),
        ("/foobar", JidError::Empty(JidPart::Domain)),
    ];
    for (text, error) in illegal {
        assert_eq!(refused(text), error, "{text}");
    }
    // Example 18: no rule of OpaqueString (RFC 8265 § 4.2) forbids it.
    assert_eq!(jid("juliet@example.com/ foo").resource(), Some(" foo"));
}

#[test]
fn rfc_7622_3_1_separators_are_looked_for_before_anything_is_mapped() {
    assert_eq!(jid("a@b/c@d/e").resource(), Some("c@d/e"));
    assert_eq!(refused("a@b@c"), JidError::NotAllowed(JidPart::Domain));
    // Full-width @ and /, and what NFKC would take apart to one.
    for part in ["a\u{FF20}b@c", "a\u{FF0F}b@c", "a\u{FE6B}b@c"] {
        assert_eq!(refused(part), JidError::NotAllowed(JidPart::Local), "{part}");
    }
    for domain in ["a\u{FF20}b", "a\u{FF0F}b", "a\u{2100}b"] {
        assert_eq!(refused(domain), JidError::NotAllowed(JidPart::Domain), "{domain}");
    }
}

#[test]
fn rfc_7622_3_1_each_part_has_1_to_1023_bytes_before_and_after_preparation() {
    let long = |bytes: usize| "a".repeat(bytes);
    assert!(jid(&format!("{}@b/{}", long(1023), long(1023))).is_full());
    assert_eq!(refused(&format!("{}@b", long(1024))), JidError::TooLong(JidPart::Local));
    assert_eq!(refused(&format!("b/{}", long(1024))), JidError::TooLong(JidPart::Resource));
    assert_eq!(refused(&long(1024)), JidError::TooLong(JidPart::Domain));
    for (text, part) in
        [("@b", JidPart::Local), ("a@", JidPart::Domain), ("", JidPart::Domain), ("b/", JidPart::Resource)]
    {
        assert_eq!(refused(text), JidError::Empty(part), "{text}");
    }
    // Three bytes become one, and what is too long before is not looked at any more.
    assert_eq!(jid(&format!("{}@b", "\u{FF41}".repeat(341))).local().map(str::len), Some(341));
    assert_eq!(refused(&format!("{}@b", "\u{FF41}".repeat(342))), JidError::TooLong(JidPart::Local));
    // Two bytes become three: 'Ⱥ' is U+023A, its lower case U+2C65.
    assert_eq!(jid(&format!("{}@b", "\u{23A}".repeat(341))).local().map(str::len), Some(1023));
    assert_eq!(refused(&format!("{}@b", "\u{23A}".repeat(342))), JidError::TooLong(JidPart::Local));
    // The greatest address there is, in two spellings at once.
    let domain = ["b".repeat(62).as_str(); 4].join(".");
    let greatest = jid(&format!("{}@{}/{}", long(1022) + "A", domain.to_uppercase(), "\u{3000}".repeat(341)));
    assert!(greatest.as_str().len() <= MAX_JID && greatest.canonical().len() <= MAX_JID);
}

#[test]
fn rfc_7622_3_2_a_final_dot_goes_before_anything_else() {
    for text in ["a@b.example.", "a@b.example\u{3002}", "a@b.example\u{FF0E}", "a@b.example\u{FF61}"] {
        assert_eq!(canonical(text), "a@b.example", "{text}");
    }
    assert_eq!(canonical("127.0.0.1."), "127.0.0.1");
    for text in [".", "..", "a..", "a..b", ".a", "a.\u{3002}", "a\u{3002}\u{3002}b"] {
        assert!(Jid::new(text).is_err(), "{text}");
    }
}

#[test]
fn rfc_7622_3_2_1_an_a_label_is_its_u_label() {
    assert_eq!(canonical("a@xn--strae-oqa.example"), "a@straße.example");
    assert_eq!(canonical("a@XN--STRAE-OQA.example"), "a@straße.example");
    assert_eq!(jid("a@xn--bcher-kva.example/r"), jid("a@Bücher.example/r"));
    // What is no A-label, or stands for something that is no U-label.
    for domain in ["xn--", "xn--a", "xn--abc-", "xn---", "xn--0.pt", "xn--strasse-", "xn--1ug", "xn--zca.xn--a"] {
        assert_eq!(refused(domain), JidError::NotAllowed(JidPart::Domain), "{domain}");
    }
}

#[test]
fn rfc_7622_3_2_2_case_width_composition_and_full_stops_of_a_domain_are_mapped() {
    assert_eq!(canonical("CAPULET.Lit"), "capulet.lit");
    assert_eq!(canonical("STRASSE\u{1e9e}.example"), "strasseß.example");
    assert_eq!(canonical("\u{FF23}apulet\u{3002}lit"), "capulet.lit");
    assert_eq!(canonical("cafe\u{301}.example"), "café.example");
    assert_eq!(canonical("\u{3a3}\u{3c2}.example"), "\u{3c3}\u{3c2}.example");
    // Somebody else's domain under RFC 6122.
    assert_ne!(jid("straße.example"), jid("strasse.example"));
    assert_ne!(jid("βόλος.example"), jid("βόλοσ.example"));
}

#[test]
fn what_uts_46_would_leave_out_or_take_apart_is_in_no_domain() {
    let taken_apart =
        ["a\u{ad}b", "a\u{200b}b", "a\u{2060}b", "\u{2460}", "\u{fb01}", "\u{2126}\u{fe0f}", "\u{1d41a}", "a\u{200d}b"];
    for domain in taken_apart {
        assert_eq!(refused(domain), JidError::NotAllowed(JidPart::Domain), "{domain:?}");
    }
    // The Kelvin sign and the sign of the angstrom have lower cases and compositions of their own.
    assert_eq!(canonical("\u{212a}\u{212b}"), "kå");
    for domain in ["a b", "a!b", "a%b", "a:5222", "a?", "a\u{0}b", "a\u{7f}b"] {
        assert_eq!(refused(domain), JidError::NotAllowed(JidPart::Domain), "{domain:?}");
    }
}

#[test]
fn hosts_have_hyphens_anywhere_underscores_and_scripts_of_any_age() {
    for domain in [
        "r3---sn-4g5e6nz7.example",
        "-a-",
        "_xmpp.example",
        "a_b",
        "\u{1f916}.example",
        "☃.example",
        "ᎠᎡ.example",
        "localhost",
    ] {
        assert_eq!(canonical(domain), domain);
    }
    assert_eq!(canonical("ꭰꭱ.example"), "ᎠᎡ.example");
    // Joiners where the script has them (RFC 5892, appendices A.1 and A.2).
    assert_eq!(canonical("\u{915}\u{94d}\u{200d}\u{937}.example"), "\u{915}\u{94d}\u{200d}\u{937}.example");
}

#[test]
fn ip_addresses_are_taken_as_they_are() {
    for domain in ["127.0.0.1", "[::1]", "[2001:DB8::1]", "[2001:db8::1]", "[fe80::1%25eth0]"] {
        assert_eq!(canonical(domain), domain);
    }
    for domain in ["::1", "[::1", "::1]", "[]", "[127.0.0.1]", "[::1%25]", "[::1%25a%20b]", "[::1]:5222", "[v1.a]"] {
        assert_eq!(refused(domain), JidError::NotAllowed(JidPart::Domain), "{domain}");
    }
}

#[test]
fn rfc_7622_3_3_localparts_are_usernames_whose_case_is_mapped() {
    assert_eq!(canonical("JULIET@a"), "juliet@a");
    assert_eq!(canonical("\u{FF2A}uliet@a"), "juliet@a");
    assert_eq!(canonical("ANNA\u{30a}@a"), "annå@a");
    assert_eq!(canonical("strauß@a"), "strauß@a");
    assert_ne!(jid("strauß@a"), jid("strauss@a"));
    for local in ["ju\u{ad}liet", "ju\u{200b}liet", "juliet\u{2060}", "\u{fb01}", "\u{1f916}", "a\tb"] {
        assert_eq!(refused(&format!("{local}@a")), JidError::NotAllowed(JidPart::Local), "{local:?}");
    }
    // Vowel points inside of a word, which the library's own bidi rule refuses.
    assert_eq!(
        canonical("\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}@a"),
        "\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}@a"
    );
}

#[test]
fn rfc_7622_3_3_1_eight_characters_are_in_no_localpart_whatever_maps_to_them() {
    for char in ['"', '&', '\'', '/', ':', '<', '>', '@'] {
        let wide = char::from_u32(u32::from(char) + 0xFEE0).unwrap();
        for local in [format!("a{wide}b"), format!("{wide}")] {
            assert_eq!(refused(&format!("{local}@c")), JidError::NotAllowed(JidPart::Local), "{local}");
        }
        if !['/', '@'].contains(&char) {
            assert_eq!(refused(&format!("a{char}b@c")), JidError::NotAllowed(JidPart::Local), "{char}");
        }
    }
}

#[test]
fn rfc_7622_3_4_resourceparts_are_opaque_strings() {
    assert_eq!(jid("a/Balcony").resource(), Some("Balcony"));
    assert_eq!(canonical("a/b\u{3000}c\u{a0}d"), "a/b c d");
    assert_eq!(canonical("a/cafe\u{301}"), "a/café");
    assert_eq!(canonical("a/\u{FF21}\u{2163}"), "a/\u{FF21}\u{2163}");
    for resource in ["a\tb", "\u{7f}", "a\u{0}", "\u{e000}", "a\u{ad}b", "\u{fffe}", "\u{1f916}\u{7}"] {
        assert_eq!(refused(&format!("a/{resource}")), JidError::NotAllowed(JidPart::Resource), "{resource:?}");
    }
}

#[test]
fn a_resource_that_only_old_tables_refuse_is_taken_byte_for_byte() {
    for resource in [
        "\u{1f916}",
        "Conversations.\u{1f916}\u{3000}e\u{301}",
        "❤\u{fe0f}",
        "\u{1f468}\u{200d}\u{1f469}",
        "a\u{200c}b",
    ] {
        let jid = jid(&format!("a/{resource}"));
        assert_eq!(jid.resource(), Some(resource));
        check_fixed_point(&jid);
    }
}

/// Over every code point, alone and between others, in every part.
#[test]
fn the_canonical_form_is_a_fixed_point_for_every_code_point() {
    // Planes in turns, so that two processors share the first ones, which have the most work.
    let shares: Vec<(u32, u32)> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| scope.spawn(move || check_code_points((half..=0x10).step_by(2))));
        halves.into_iter().map(|half| half.join().expect("it holds")).collect()
    });
    let (taken, mapped) = shares.iter().fold((0, 0), |sum, share| (sum.0 + share.0, sum.1 + share.1));
    assert!(taken > 2_000_000 && mapped > 9_000, "{taken} taken, {mapped} mapped");
}

/// How many addresses with a code point of these planes are taken, and how many of them have another canonical form.
fn check_code_points(planes: impl Iterator<Item = u32>) -> (u32, u32) {
    let (mut taken, mut mapped) = (0, 0);
    let mut text = String::new();
    for char in planes.flat_map(|plane| plane << 16..(plane + 1) << 16).filter_map(char::from_u32) {
        for (before, after) in [("", "@d"), ("a", "b@d"), ("", ""), ("a", "b"), ("d/", ""), ("d/a", "b")] {
            text.clear();
            text.push_str(before);
            text.push(char);
            text.push_str(after);
            if let Ok(jid) = Jid::new(&text) {
                taken += 1;
                if jid.canonical() != text {
                    mapped += 1;
                    check_fixed_point(&jid);
                }
            }
        }
    }
    (taken, mapped)
}

proptest! {
    #[test]
    fn the_canonical_form_is_a_fixed_point_for_any_text(text in "\\PC{0,12}@?\\PC{1,12}(\\.\\PC{1,8})?(/\\PC{1,12})?") {
        if let Ok(jid) = Jid::new(&text) {
            check_fixed_point(&jid);
            prop_assert_eq!(jid.as_str(), &text);
            prop_assert_eq!(canonical(&text), jid.canonical());
        }
    }

    #[test]
    fn any_text_is_an_address_or_none(text in "(?s).{0,64}") {
        let _ = Jid::new(&text);
    }
}

#[test]
fn addresses_compare_order_and_hash_by_their_canonical_form() {
    let spellings =
        ["Juliet@Capulet.LIT/Balcony", "juliet@capulet.lit/Balcony", "juliet@capulet.lit./Balcony"].map(jid);
    assert!(spellings.iter().all(|jid| *jid == spellings[0]));
    assert_eq!(spellings.iter().cloned().collect::<HashSet<_>>().len(), 1);
    assert_eq!(spellings.iter().cloned().collect::<BTreeSet<_>>().len(), 1);
    // RFC 7622 § 3.4: the case of a resource counts.
    assert_ne!(spellings[0], jid("juliet@capulet.lit/balcony"));
    assert!(jid("B@x") > jid("a@x"), "as b and a");
    let bare: HashSet<BareJid> = spellings.iter().map(Jid::to_bare).collect();
    assert!(bare.contains(&jid("JULIET@capulet.lit")));
}

#[test]
fn the_spelling_is_kept_in_every_part() {
    let full = FullJid::new("Juliet@XN--Bcher-KVA.example./Bal\u{3000}cony").unwrap();
    assert_eq!(full.as_str(), "Juliet@XN--Bcher-KVA.example./Bal\u{3000}cony");
    assert_eq!(full.canonical(), "juliet@bücher.example/Bal cony");
    assert_eq!(full.resource(), "Bal cony");
    let bare = full.to_bare();
    assert_eq!((bare.as_str(), bare.canonical()), ("Juliet@XN--Bcher-KVA.example.", "juliet@bücher.example"));
    assert_eq!((bare.resource(), bare.is_bare()), (None, true));
    assert!(Arc::ptr_eq(&bare.text, &full.text), "nothing is copied");
    for domain in [full.domain_part(), bare.domain_part(), bare.domain_part().domain_part()] {
        assert_eq!((domain.as_str(), domain.canonical()), ("XN--Bcher-KVA.example.", "bücher.example"));
        assert_eq!((domain.local(), domain.domain()), (None, "bücher.example"));
    }
    let plain = jid("juliet@capulet.lit/balcony").domain_part();
    assert_eq!((plain.as_str(), plain.canonical()), ("capulet.lit", "capulet.lit"));
    assert_eq!(
        format!("{full} {bare:?}"),
        "Juliet@XN--Bcher-KVA.example./Bal\u{3000}cony \"Juliet@XN--Bcher-KVA.example.\""
    );
}

#[test]
fn what_is_wanted_bare_full_or_a_domain_is_that() {
    assert_eq!(FullJid::new("a@b"), Err(JidError::NoResource));
    assert_eq!(BareJid::new("a@b/c"), Err(JidError::Resource));
    assert_eq!(DomainPart::new("a@b"), Err(JidError::Local));
    assert_eq!(DomainPart::new("b/c"), Err(JidError::Resource));
    assert_eq!(jid("a@b/c").to_full().map(Jid::from), Some(jid("a@b/c")));
    assert_eq!(jid("a@b").to_full(), None);
}

#[test]
fn rfc_7622_5_addresses_that_rfc_6122_takes_for_one_are_known() {
    let confused = [
        ("a@straße.example/x", "a@strasse.example/x"),
        ("strauß@x", "strauss@x"),
        ("a@x/\u{2168}", "a@x/IX"),
        ("βόλος@x", "βόλοσ@x"),
    ];
    for (new, old) in confused {
        assert!(jid(new).is_confused_with(&jid(old)) && jid(old).is_confused_with(&jid(new)), "{new}");
    }
    for (one, other) in [("a@x", "b@x"), ("a@x", "A@X"), ("a@x", "a@x/r"), ("a@straße.example", "b@strasse.example")] {
        assert!(!jid(one).is_confused_with(&jid(other)), "{one} {other}");
    }
}

#[test]
fn an_address_costs_one_allocation_and_a_clone_none() {
    let text = "juliet@capulet.lit/balcony";
    let mut parsed = None;
    let info = allocation_counter::measure(|| parsed = Jid::new(text).ok());
    assert_eq!(info.count_total, 1);
    let parsed = parsed.unwrap();
    let info = allocation_counter::measure(|| drop((parsed.clone(), parsed.to_bare(), parsed.to_full())));
    assert_eq!(info.count_total, 0);
    assert!(size_of::<Jid>() <= 32);
}
