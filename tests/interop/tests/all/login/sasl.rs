//! What servers say until the resource is bound.

use std::sync::{Arc, Mutex};

use xtls_interop::{Certificate, Ejabberd, Prosody};

use super::assert_fails;
use super::scripted::{BIND, BOUND, HEADER, Scripted, Talk};

/// Features of SASL inside TLS.
fn offer(mechanisms: &[&str], types: &[&str]) -> String {
    let mechanisms: String = mechanisms.iter().map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    let types: String = types.iter().map(|kind| format!("<channel-binding type='{kind}'/>")).collect();
    let types = match types.as_str() {
        "" => String::new(),
        types => format!("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>{types}</sasl-channel-binding>"),
    };
    format!(
        "<stream:features>{types}<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{mechanisms}</mechanisms>\
         </stream:features>"
    )
}

/// A server in TLS with these features, and what a login came to there: mechanism, flag, what it was bound to, and whether that
/// was the connection itself.
fn login_at(features: String) -> (String, String, Vec<u8>, [u8; 32]) {
    let seen = Arc::new(Mutex::new(None));
    let record = Arc::clone(&seen);
    let server = Scripted::in_tls(move |talk: &mut Talk| {
        talk.greet(&features)?;
        let (mechanism, flag, bound) = talk.scram()?;
        *record.lock().expect("nobody panics") = Some((mechanism, flag, bound, talk.exporter()));
        talk.bind()
    });
    server.logs_in();
    let seen = seen.lock().expect("nobody panics").take();
    seen.expect("there was a login")
}

#[test]
fn rfc_6120_6_4_6_success_without_data_may_be_an_equals_sign_and_have_white_space() {
    for success in ["/>", "></success>", ">=</success>", "> = </success>", ">\n  =\n</success>\n", ">\n</success>"] {
        let success = format!("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'{success}");
        let server = Scripted::in_clear(move |talk: &mut Talk| {
            talk.plain(&success)?;
            talk.bind()
        });
        server.logs_in();
    }
}

#[test]
fn attributes_elements_and_stanzas_that_nobody_knows_do_not_matter() {
    let server = Scripted::in_clear(|talk: &mut Talk| {
        talk.header()?;
        talk.say(&HEADER.replace("xml:lang", "xmlns:x='urn:x' x:y='z' weather='fine' to='alice@localhost' xml:lang"))?;
        talk.say("<stream:features><x xmlns='urn:x'/>")?;
        talk.say("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-frobnicate'/><y/>")?;
        talk.say("</sasl-channel-binding><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism> PLAIN ")?;
        talk.say(
            "</mechanism><mechanism>X-FROB</mechanism><hostname xmlns='urn:xmpp:domain-based-name:1'>a</hostname>",
        )?;
        talk.say("</mechanisms></stream:features>")?;
        talk.hear("</auth>")?;
        talk.say("<nonza xmlns='urn:x'/><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        talk.greet(BIND)?;
        talk.hear("</iq>")?;
        // RFC 6120 § 7.1: none of them is for a resource that is not bound yet.
        for odd in [
            "<message from='nobody@localhost'><body>x</body></message>",
            "<presence type='unavailable' from='not an address'/>",
            "<iq type='set' id='push'><x xmlns='urn:x'/></iq>",
            "<iq type='frobnicate' id='bind'/>",
            "<iq id='bind'/>",
            "<iq/>",
            "<iq type='result' id='other'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
            " \n",
        ] {
            talk.say(odd)?;
        }
        talk.say(BOUND)
    });
    server.logs_in();
}

#[test]
fn the_address_that_the_server_binds_is_ours_and_the_certificate_is_the_one_for_it() {
    let server = Scripted::in_clear(|talk: &mut Talk| {
        talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        talk.greet(BIND)?;
        talk.hear("</iq>")?;
        talk.say(&BOUND.replace("alice@localhost", "alicia@localhost"))
    });
    let mut listening = server.listen();
    assert_eq!(listening.event("online")["jid"], "alicia@localhost/xtls");
    listening.interrupt();
    let ended = listening.wait();
    let shown: Vec<_> = ended.named("identity").map(|event| event["jid"].clone()).collect();
    assert_eq!(shown, ["alice@localhost", "alicia@localhost"], "{}", ended.stderr);
}

#[test]
fn a_refusal_is_told_by_its_condition_and_the_text_of_the_server() {
    let refusing = |failure: &'static str| {
        let server = Scripted::in_clear(move |talk: &mut Talk| {
            talk.plain(&format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{failure}</failure>"))
        });
        let ended = server.fails();
        assert_eq!(server.heard().matches("<auth").count(), 1, "there is one attempt");
        assert!(server.heard().ends_with("</stream:stream>"), "the stream is closed: {}", server.heard());
        ended
    };
    assert_fails(
        &refusing("<not-authorized/>"),
        &["login refused for alice@localhost", "account or password is wrong"],
    );
    let disabled = refusing("<account-disabled/><text xml:lang='en'>Call 212-555-1212</text>");
    assert_fails(&disabled, &["login refused for alice@localhost: account-disabled (Call 212-555-1212)"]);
    assert_fails(&refusing("<of-my-own/>"), &["of-my-own"]);
}

#[test]
fn a_resource_that_is_refused_is_told_by_the_condition() {
    let server = Scripted::in_clear(|talk: &mut Talk| {
        talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        talk.greet(BIND)?;
        talk.hear("</iq>")?;
        talk.say(
            "<iq type='error' id='bind'><error type='modify'><bad-request \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        )
    });
    assert_fails(&server.fails(), &["the server refused the resource xtls", "bad-request"]);
}

/// RFC 9266, RFC 5802 § 6.
#[test]
fn rfc_9266_3_a_login_is_bound_to_the_tls_session_where_both_ends_have_the_exporter() {
    let features = offer(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], &["tls-exporter", "tls-frobnicate"]);
    let (mechanism, flag, bound, exporter) = login_at(features);
    assert_eq!((mechanism.as_str(), flag.as_str()), ("SCRAM-SHA-256-PLUS", "p=tls-exporter"));
    assert_eq!(bound, [b"p=tls-exporter,,".as_slice(), &exporter].concat());
}

/// RFC 5802 § 6: a server that has offered a binding knows by this flag that somebody has taken the offer away.
#[test]
fn rfc_5802_6_a_client_says_that_it_would_have_bound_its_login() {
    let (mechanism, flag, bound, _) = login_at(offer(&["PLAIN", "SCRAM-SHA-256"], &[]));
    assert_eq!((mechanism.as_str(), flag.as_str(), bound.as_slice()), ("SCRAM-SHA-256", "y", b"y,,".as_slice()));
    // Without types nobody knows which are meant: those that tell none have no exporter.
    let (_, flag, _, _) = login_at(offer(&["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], &[]));
    assert_eq!(flag, "n");
}

/// RFC 5929 § 4.1, XEP-0440 § 3.
#[test]
fn rfc_5929_4_1_a_login_is_bound_to_the_certificate_where_the_server_has_nothing_stronger() {
    let server = Scripted::in_tls(|talk: &mut Talk| {
        talk.greet(&offer(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], &["tls-server-end-point"]))?;
        let (mechanism, flag, bound) = talk.scram()?;
        assert_eq!((mechanism.as_str(), flag.as_str()), ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point"));
        assert_eq!(bound, [b"p=tls-server-end-point,,".as_slice(), &talk.end_point()].concat());
        talk.bind()
    });
    server.logs_in();
}

/// XEP-0440 § 3, rule 6.
#[test]
fn xep_0440_3_a_server_that_has_lost_every_binding_gets_no_login() {
    let features = offer(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], &["tls-frobnicate"]);
    let server = Scripted::in_tls(move |talk: &mut Talk| talk.greet(&features).map(drop));
    assert_fails(&server.fails(), &["login of alice@localhost broken off", "somebody may be in between"]);
    assert!(!server.heard().contains("<auth"), "{}", server.heard());
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    for said in [
        format!("<success {sasl}/>"),
        format!("<success {sasl}>=</success>"),
        // A nonce that does not go on from the client's: r=x,s=x,i=0.
        format!("<challenge {sasl}>cj14LHM9eCxpPTA=</challenge>"),
    ] {
        let server = Scripted::in_tls(move |talk: &mut Talk| {
            talk.greet(&offer(&["SCRAM-SHA-256"], &[]))?;
            talk.hear("</auth>")?;
            talk.say(&said)
        });
        assert_fails(&server.fails(), &["login of alice@localhost broken off", "the server's part of it is wrong"]);
    }
}

#[test]
fn no_tls_is_asked_for_where_none_is_to_be_even_if_it_is_offered() {
    let server = Scripted::in_clear(|talk: &mut Talk| {
        talk.greet(
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
        )?;
        talk.hear("</auth>")?;
        talk.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        talk.bind()
    });
    server.logs_in();
    assert!(!server.heard().contains("starttls"), "{}", server.heard());
}

#[test]
fn a_login_takes_thirty_seconds_at_most_whatever_the_server_does_not_say() {
    let scripts: [fn(&mut Talk) -> Option<()>; 4] = [
        |_| None,
        |talk| talk.header().map(drop),
        |talk| talk.plain(" "),
        |talk| {
            talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
            talk.greet(BIND)?;
            talk.hear("</iq>")?;
            // What else comes is no answer.
            loop {
                talk.say("<presence/>")?;
                std::thread::sleep(core::time::Duration::from_millis(100));
            }
        },
    ];
    // All at once.
    let servers = scripts.map(Scripted::in_clear);
    let logging_in: Vec<_> = servers.iter().map(Scripted::listen).collect();
    for command in logging_in {
        assert_fails(&command.wait(), &["no complete login at 127.0.0.1", "within 30 s"]);
    }
}

#[test]
fn a_strangers_stanza_of_any_shape_does_not_end_the_login() {
    let server = Scripted::in_clear(|talk: &mut Talk| {
        talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        talk.bind()?;
        let nested: String = (0..3000).map(|number| format!("<a xmlns='urn:{number}'>")).collect();
        for (open, close) in [("<a>".repeat(5000), "</a>".repeat(5000)), (nested, "</a>".repeat(3000))] {
            talk.say(&format!("<message from='mallory@localhost/x'>{open}{close}</message>"))?;
        }
        talk.say(&format!("<message from='mallory@localhost/x'>{}</message>", "<a b='c'/>".repeat(30_000)))?;
        talk.say("<iq type='get' id='still-there' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")?;
        talk.hear("id='still-there'").map(drop)
    });
    let mut listening = server.listen();
    listening.event("online");
    let answered = || server.heard().contains("still-there").then_some(());
    xtls_interop::until("the answer", answered);
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

/// RFC 5802 § 2.2: what is typed with a no-break space is the password with a space.
#[test]
fn rfc_5802_2_2_passwords_are_prepared_at_prosody_and_ejabberd() {
    let (prosody, ejabberd) = (Prosody::with_certificate(Certificate::Good), Ejabberd::start(Certificate::Good));
    let typed = Prosody::password("alice").replace(' ', "\u{A0}");
    assert_ne!(typed, Prosody::password("alice"));
    for mut alice in [prosody.person("alice"), ejabberd.person("alice")] {
        alice.password.clone_from(&typed);
        let listening = alice.listen(&[]);
        listening.interrupt();
        assert_eq!(listening.wait().code, Some(0));
    }
    assert!(prosody.log().contains("Authenticated as alice@localhost"), "{}", prosody.log());
}
