//! Addresses (RFC 7622).

use xtls_stanza::jid::{BareJid, DomainPart, FullJid, Jid, MAX_PART};

use crate::input::Input;

/// Reads each line as an address.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut jids: Vec<Jid> = Vec::new();
    while !input.is_empty() && jids.len() < 8 {
        let Ok(text) = core::str::from_utf8(input.line()) else { continue };
        let Ok(jid) = Jid::new(text) else {
            assert!(BareJid::new(text).is_err() && FullJid::new(text).is_err() && DomainPart::new(text).is_err());
            continue;
        };
        assert_eq!(jid.as_str(), text, "the spelling is kept");
        check(&jid);
        check_case(&jid);
        jids.push(jid);
    }
    for (one, other) in jids.iter().flat_map(|one| jids.iter().map(move |other| (one, other))) {
        assert_eq!(one == other, one.canonical() == other.canonical());
        assert_eq!(one.cmp(other), one.canonical().cmp(other.canonical()));
        assert_eq!(one.is_confused_with(other), other.is_confused_with(one));
        assert!(one != other || !one.is_confused_with(other), "what is one address is not two");
    }
}

fn check(jid: &Jid) {
    let canonical = Jid::new(jid.canonical()).expect("the canonical form is an address");
    assert_eq!(canonical.canonical(), jid.canonical(), "it is a fixed point");
    assert!(canonical == *jid && canonical.as_str() == jid.canonical());
    assert_eq!(
        (canonical.local(), canonical.domain(), canonical.resource()),
        (jid.local(), jid.domain(), jid.resource())
    );

    let parts = [jid.local(), Some(jid.domain()), jid.resource()];
    assert!(parts.iter().flatten().all(|part| (1..=MAX_PART).contains(&part.len())));
    assert!(jid.local().is_none_or(|local| !local.contains(['"', '&', '\'', '/', ':', '<', '>', '@', ' '])));
    let whole: String = [jid.local().map(|local| format!("{local}@")), Some(jid.domain().to_owned())]
        .into_iter()
        .flatten()
        .chain(jid.resource().map(|resource| format!("/{resource}")))
        .collect();
    assert_eq!(whole, jid.canonical());

    let bare = jid.to_bare();
    assert!(bare.resource().is_none() && bare.domain() == jid.domain() && bare.local() == jid.local());
    assert_eq!(BareJid::new(bare.as_str()).as_ref(), Ok(&bare), "the spelling of the bare address is one of it");
    assert_eq!(BareJid::new(bare.canonical()).as_ref(), Ok(&bare));
    assert_eq!(jid.clone().into_bare(), bare);
    assert_eq!(jid.is_bare(), *jid == bare);
    assert_eq!(FullJid::new(jid.as_str()).is_ok(), jid.is_full());
    assert_eq!(jid.to_full().is_some(), jid.is_full());

    let domain = jid.domain_part();
    assert_eq!(domain.canonical(), jid.domain());
    assert_eq!(DomainPart::new(domain.as_str()).as_ref(), Ok(&domain), "the spelling of the domain is one of it");
    assert_eq!(DomainPart::new(domain.canonical()).as_ref(), Ok(&domain));
    if let Some(name) = domain.to_dns_name() {
        assert!(name.is_ascii() && name.len() <= 253 && !name.contains(|c: char| c.is_ascii_uppercase()));
        // RFC 7622 § 3.2: A-labels are U-labels spelt another way.
        assert_eq!(DomainPart::new(&name).as_ref(), Ok(&domain), "by the name in the DNS");
    }
    if let Some(address) = domain.to_ip_address() {
        assert!(domain.to_dns_name().is_none());
        let literal = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let spelt = DomainPart::new(&literal).expect("an address of a host is a domain");
        // They are taken as they are: two spellings of one host are two addresses.
        assert_eq!(spelt.to_ip_address(), Some(address));
    }
    // By RFC 6122 it is one of the same account or none, and what is compared is the same for every spelling of it.
    assert_eq!(canonical.prepared_by_rfc_6122(), jid.prepared_by_rfc_6122());
}

/// The case of ASCII letters makes no difference before the resource (RFC 7622 §§ 3.2, 3.3).
fn check_case(jid: &Jid) {
    let spelling = jid.as_str();
    let (bare, resource) = spelling.split_at(spelling.find('/').unwrap_or(spelling.len()));
    for other in [bare.to_ascii_uppercase(), bare.to_ascii_lowercase()] {
        let other = Jid::new(&(other + resource));
        // IPv6 addresses are taken as they are.
        assert!(bare.contains('[') || other.as_ref() == Ok(jid), "{other:?}");
    }
}
