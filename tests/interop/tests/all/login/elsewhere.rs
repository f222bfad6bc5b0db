//! Servers that send clients to another place (RFC 6120 § 4.9.3.19).

use std::fs;

use xtls_interop::{Certificate, Impostor, Nameserver, Person, Prosody, Request, Socks, Tap};

use super::scripted::{BIND, HEADER, PASSWORD, Scripted, Talk};
use super::{assert_distrusts, assert_ends, assert_fails, assert_logs_in};

const DOMAIN: &str = "capulet.example";

fn elsewhere(place: &str) -> String {
    format!(
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{place}</see-other-host></stream:error>\
         </stream:stream>"
    )
}

/// Alice, who believes these servers and begins with another one.
fn alice(first: &str, servers: &[&Prosody]) -> Person {
    let authorities: Vec<String> =
        servers.iter().map(|server| fs::read_to_string(server.ca_file()).expect("a file")).collect();
    let mut alice = servers.first().expect("a server").person("alice");
    let ca_file = alice.file("authorities", &authorities.concat());
    first.clone_into(&mut alice.address);
    alice.protected_by(&["--ca-file", &ca_file])
}

#[test]
fn rfc_6120_4_9_3_19_another_place_is_gone_to_whether_it_was_said_in_clear_or_inside_tls() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let in_clear = Impostor::sending_to(&server.address());
    assert_logs_in(&alice(&in_clear.address(), &[&server]));
    let inside = Prosody::sending_elsewhere(DOMAIN, &server.address());
    assert_logs_in(&alice(&inside.address(), &[&inside, &server]));
    assert!(!inside.log().contains("<auth "), "{}", inside.log());
}

/// It applies the same policies, and judges the certificate by the same name.
#[test]
fn rfc_6120_4_9_3_19_another_place_has_to_be_of_the_same_domain() {
    let server = Prosody::for_domain(DOMAIN, Certificate::WrongName);
    let first = Impostor::sending_to(&server.address());
    let ended = alice(&first.address(), &[&server]).run(&["listen"]);
    let words = ["the server sends you to 127.0.0.1:", "TLS with the server capulet.example failed", "another server"];
    assert_distrusts(&ended, &words);
    assert!(!server.log().contains("<auth "), "{}", server.log());
    // TLS has to be there too.
    let in_clear = Scripted::in_clear(|talk: &mut Talk| {
        talk.greet("<stream:features/>")?;
        talk.hear("never")?;
        Some(())
    });
    let first = Impostor::sending_to(&format!("127.0.0.1:{}", in_clear.port()));
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let mut listening = alice(&first.address(), &[&server]).start(&["listen"]);
    listening.end_input();
    in_clear.wait_for("<starttls");
    listening.kill();
    assert!(!in_clear.heard().contains("<auth"), "{}", in_clear.heard());
}

#[test]
fn a_second_place_is_not_gone_to_and_both_are_named() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let third = Tap::start(server.port());
    let second = Impostor::sending_to(&third.address());
    let first = Impostor::sending_to(&second.address());
    let ended = alice(&first.address(), &[&server]).run(&["listen"]);
    let words = [&second.address(), &third.address(), "sends you on", "not followed", "--server"];
    assert_fails(&ended, &words.map(|word: &str| word));
    assert_eq!(third.cut(), 0);
}

#[test]
fn what_is_no_place_is_told() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    for place in
        ["a b", "xmpp.capulet.example:0", "xmpp.capulet.example:99999", "juliet@capulet.example", "[::1", ":5222"]
    {
        let first = Impostor::sending_to(place);
        let ended = alice(&first.address(), &[&server]).run(&["listen"]);
        assert_fails(&ended, &["sends you to", "which is no place", "--server"]);
    }
    // One that says no place at all.
    let first = Impostor::sending_to("");
    assert_fails(&alice(&first.address(), &[&server]).run(&["listen"]), &["see-other-host", "--server"]);
}

/// A name with a port is looked up by its address, and one without by its SRV records (RFC 6120 § 3.2).
#[test]
fn rfc_6120_4_9_3_19_a_name_is_looked_up() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let at = |place: &str| {
        let first = Impostor::sending_to(place);
        let dns = Nameserver::with(&[
            "other.example. A 127.0.0.1".to_owned(),
            format!("_xmpp-client._tcp.other.example. SRV 0 0 {} other.example.", server.port()),
        ]);
        let alice = alice(&first.address(), &[&server]);
        assert_logs_in(&alice.found_by(&["--server", &first.address(), "--dns", &dns.address()]));
        dns.asked()
    };
    let with_port = at(&format!("other.example:{}", server.port()));
    assert!(!with_port.iter().any(|asked| asked.contains("SRV")), "{with_port:?}");
    assert!(at("other.example").contains(&"SRV _xmpp-client._tcp.other.example.".to_owned()));
}

#[test]
fn another_place_is_gone_to_through_the_proxy_too() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let first = Prosody::sending_elsewhere(DOMAIN, "other.example:7777");
    let dns = Nameserver::with::<&str>(&[]);
    let proxy = Socks::with_hosts(&[(DOMAIN, first.port()), ("other.example", server.port())]);
    let alice = alice(&first.address(), &[&first, &server]);
    assert_logs_in(&alice.found_by(&["--proxy", &proxy.url(), "--dns", &dns.address()]));
    let names = [Request::Name(DOMAIN.to_owned(), 5222), Request::Name("other.example".to_owned(), 7777)];
    assert_eq!(proxy.seen(), names);
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

/// A server may still say so while somebody logs in.
#[test]
fn another_place_is_gone_to_at_every_step_of_a_login() {
    for step in ["auth", "bind"] {
        let second = Scripted::in_tls(|talk: &mut Talk| {
            talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
            talk.bind()
        });
        let place = elsewhere(&format!("127.0.0.1:{}", second.port()));
        let first = Scripted::in_tls(move |talk: &mut Talk| {
            if step == "auth" {
                talk.plain(&place)
            } else {
                talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
                talk.greet(BIND)?;
                talk.hear("</iq>")?;
                talk.say(&place)
            }
        });
        let mut listening = first.command(&["listen", "--server-fingerprint", &second.fingerprint()]);
        listening.event("online");
        listening.interrupt();
        assert_eq!(listening.wait().code, Some(0), "{step}");
        assert!(second.heard().contains("<auth "), "{step}");
    }
}

#[test]
fn what_goes_in_clear_is_sent_nowhere_but_to_this_machine() {
    let away = Scripted::in_clear(|talk: &mut Talk| {
        talk.header()?;
        talk.say(&format!("{HEADER}{}", elsewhere("192.0.2.1:5222")))
    });
    let words = ["the server sends you to 192.0.2.1:5222", "--insecure-plaintext is for loopback addresses only"];
    assert_ends(&away.fails(), 4, &words);
    let second = Scripted::in_clear(|talk: &mut Talk| {
        talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        talk.bind()
    });
    let place = elsewhere(&format!("127.0.0.1:{}", second.port()));
    let first = Scripted::in_clear(move |talk: &mut Talk| {
        talk.header()?;
        talk.say(&format!("{HEADER}{place}"))
    });
    first.logs_in();
    assert!(!PASSWORD.is_empty() && !first.heard().contains("<auth"), "{}", first.heard());
}
