#![allow(clippy::unwrap_used)]

use super::*;

fn way(server: Option<&str>, direct: bool, args: &WayArgs) -> Way {
    let server = server.map(|text| Server::parse("", text, port(direct)).unwrap());
    Way::new(Output::new(false), server, direct, false, args).unwrap()
}

fn by_proxy() -> WayArgs {
    // Nobody listens there, and nobody is connected to.
    WayArgs {
        proxy: Some("socks5://127.0.0.1:1".to_owned()),
        dns: Some("127.0.0.1:1".to_owned()),
        ..WayArgs::default()
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The places of a domain, where no DNS server can be asked.
fn targets(way: &Way, domain: &str) -> Vec<(String, bool)> {
    let targets = run(way.targets(&DomainPart::new(domain).unwrap())).unwrap();
    targets.iter().map(|target| (target.address(), target.direct)).collect()
}

#[test]
fn a_login_has_thirty_seconds_and_through_a_proxy_ninety() {
    assert_eq!(way(None, false, &WayArgs::default()).patience(), Duration::from_secs(30));
    assert_eq!(way(None, false, &by_proxy()).patience(), Duration::from_secs(90));
}

#[test]
fn a_proxy_gets_the_host_that_is_named_or_the_domain() {
    let plain = |address: &str| vec![(address.to_owned(), false)];
    assert_eq!(targets(&way(None, false, &by_proxy()), "bücher.example"), plain("xn--bcher-kva.example:5222"));
    assert_eq!(targets(&way(None, false, &by_proxy()), "[2001:db8::1]"), plain("[2001:db8::1]:5222"));
    assert_eq!(targets(&way(Some("xmpp.example:7"), false, &by_proxy()), "b.example"), plain("xmpp.example:7"));
    assert_eq!(targets(&way(None, true, &by_proxy()), "b.example"), [("b.example:5223".to_owned(), true)]);
}

#[test]
fn a_server_that_is_named_stays_as_it_is() {
    let of = |server: &str, direct: bool| targets(&way(Some(server), direct, &WayArgs::default()), "b.example");
    assert_eq!(of("a_host", false), [("a_host:5222".to_owned(), false)]);
    assert_eq!(of("BÜCHER.example", true), [("xn--bcher-kva.example:5223".to_owned(), true)]);
    assert_eq!(of("[::1]:7", false), [("[::1]:7".to_owned(), false)]);
}

/// RFC 6120 § 4.9.3.19: a domainpart, or one with a port.
#[test]
fn rfc_6120_4_9_3_19_the_place_that_a_server_names_is_a_host_or_an_address() {
    let way = way(None, false, &by_proxy());
    for direct in [false, true] {
        let from = Target { host: "b.example".to_owned(), port: 1, direct, is_whole: true };
        let sent_to = |said: &str| {
            let targets = run(way.elsewhere(said, &from)).ok()?;
            targets.first().map(|target| (target.address(), target.direct))
        };
        // TLS begins there as it did here.
        assert_eq!(sent_to("[2001:41D0:1:A49b::1]:9222"), Some(("[2001:41d0:1:a49b::1]:9222".to_owned(), direct)));
        assert_eq!(sent_to("192.0.2.1:9222"), Some(("192.0.2.1:9222".to_owned(), direct)));
        assert_eq!(sent_to("bücher.example:7"), Some(("xn--bcher-kva.example:7".to_owned(), direct)));
        assert_eq!(sent_to("other.example"), Some(("other.example:5222".to_owned(), false)));
        for none in
            ["", ":7", "a b", "2001:41D0::1", "other.example:0", "other.example:x", "juliet@other.example", "a/b"]
        {
            assert_eq!(sent_to(none), None, "{none}");
        }
    }
}

#[test]
fn what_failed_is_told_of_each_server_and_what_to_do_once() {
    let failed = |text: &str| Failure::connection(text);
    let mut one = Tried { now: None, failed: vec![failed("a is closed; try b")] };
    assert_eq!(one.failure().message, "a is closed; try b");
    let mut both = Tried { now: None, failed: vec![failed("a is closed; try b"), failed("b is closed; try c")] };
    assert_eq!(both.before(), "; a is closed; b is closed");
    assert_eq!(both.failure().message, "a is closed; b is closed; try c");
}
