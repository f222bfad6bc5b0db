use sasl::common::Password;
use sasl::common::scram::{ScramProvider, Sha1, Sha256};
use xtls_stanza::Limits;

use super::super::binding::SASL_CB;
use super::*;

const SECRET: [u8; 32] = [7; 32];

/// What a server offers; `types` are those of XEP-0440, if it tells any.
fn features(mechanisms: &[&str], types: Option<&[&str]>) -> Features {
    let mechanisms = mechanisms.iter().map(|&mechanism| mechanism.to_owned());
    let types = types.map(|types| {
        let types: String = types.iter().map(|kind| format!("<channel-binding type='{kind}'/>")).collect();
        element(&format!("<sasl-channel-binding xmlns='{SASL_CB}'>{types}</sasl-channel-binding>"))
    });
    Features::new(mechanisms, types.into_iter().collect())
}

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

fn said(name: &str, text: &str) -> Element {
    element(&format!("<{name} xmlns='{}'>{text}</{name}>", ns::SASL))
}

fn challenge(data: &str) -> Element {
    said("challenge", &BASE64.encode(data))
}

fn begin(features: &Features, exporter: Option<[u8; 32]>) -> Result<(Exchange, Element), SaslFault> {
    Exchange::begin(features, "juliet", "pencil", &Bindings { exporter, end_point: None })
}

/// The nonce in the client's first message.
fn nonce_of(initial: &str) -> &str {
    initial.split(',').find_map(|attribute| attribute.strip_prefix("r=")).unwrap()
}

/// The mechanism that is taken and the client's first message.
fn first(begun: Result<(Exchange, Element), SaslFault>) -> (String, String) {
    let (_, auth) = begun.unwrap();
    (auth.attribute("mechanism").unwrap().to_owned(), text(&auth))
}

fn text(element: &Element) -> String {
    String::from_utf8(BASE64.decode(element.text()).unwrap()).unwrap()
}

/// A server that knows a password (RFC 5802 § 3).
struct Server {
    password: String,
    /// What the client has to have bound the login to, header included.
    binding: Vec<u8>,
}

impl Server {
    /// The answer to the client's first message.
    fn first(&self, client: &str) -> String {
        let nonce = nonce_of(client);
        format!("r={nonce}SERVER,s={},i=2", BASE64.encode("salt"))
    }

    /// The answer to the client's proof.
    fn last<H: ScramProvider>(&self, client_first: &str, client_final: &str) -> String {
        let bare = client_first.splitn(3, ',').nth(2).unwrap();
        let (without_proof, proof) = client_final.rsplit_once(",p=").unwrap();
        let bound = format!("c={},", BASE64.encode(&self.binding));
        assert!(without_proof.starts_with(&bound), "{without_proof} is not bound to {bound}");
        let salted = H::derive(&Password::Plain(self.password.clone()), b"salt", 2).unwrap();
        let message = format!("{bare},{},{without_proof}", self.first(client_first));
        let client_key = H::hmac(b"Client Key", &salted).unwrap();
        let signature = H::hmac(message.as_bytes(), &H::hash(&client_key)).unwrap();
        let expected: Vec<u8> = client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
        assert_eq!(BASE64.decode(proof).unwrap(), expected, "the proof is of another password");
        let server_key = H::hmac(b"Server Key", &salted).unwrap();
        format!("v={}", BASE64.encode(H::hmac(message.as_bytes(), &server_key).unwrap()))
    }
}

/// A login as far as the client's proof, and what the server has to say then.
fn proven(server: &Server, password: &str, features: &Features, exporter: Option<[u8; 32]>) -> (Exchange, String) {
    proven_with(server, password, features, &Bindings { exporter, end_point: None })
}

fn proven_with(server: &Server, password: &str, features: &Features, own: &Bindings) -> (Exchange, String) {
    let (mut exchange, auth) = Exchange::begin(features, "juliet", password, own).unwrap();
    let client_first = text(&auth);
    let heard = exchange.hear(&challenge(&server.first(&client_first))).unwrap();
    let Heard::Response(response) = heard else { panic!("{heard:?}") };
    let answer = match auth.attribute("mechanism").unwrap() {
        "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS" => server.last::<Sha256>(&client_first, &text(&response)),
        _ => server.last::<Sha1>(&client_first, &text(&response)),
    };
    (exchange, answer)
}

fn unbound() -> Server {
    Server { password: "pencil".to_owned(), binding: b"n,,".to_vec() }
}

fn scram() -> Features {
    features(&["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"], None)
}

#[test]
fn rfc_5802_6_the_flag_says_what_is_to_be_had_at_both_ends() {
    const ALL: [&str; 5] = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"];
    let flag = |mechanisms: &[&str], types: Option<&[&str]>, exporter| {
        let (mechanism, message) = first(begin(&features(mechanisms, types), exporter));
        (mechanism, message.split(",n=").next().unwrap().to_owned())
    };
    let expected = |mechanism: &str, flag: &str| (mechanism.to_owned(), flag.to_owned());
    let both = Some(SECRET);
    // This end has none.
    assert_eq!(flag(&ALL, Some(&["tls-exporter"]), None), expected("SCRAM-SHA-256", "n,"));
    // The server shows none: where one was taken away, the server knows by this.
    assert_eq!(flag(&ALL[..3], None, both), expected("SCRAM-SHA-256", "y,"));
    assert_eq!(flag(&ALL[..2], None, both), expected("SCRAM-SHA-1", "y,"));
    assert_eq!(flag(&ALL[..3], Some(&["tls-exporter"]), both), expected("SCRAM-SHA-256", "y,"));
    // Both have this one; types that nobody knows do not matter.
    let types = ["tls-frobnicate", "tls-exporter", "tls-server-end-point"];
    assert_eq!(flag(&ALL, Some(&types), both), expected("SCRAM-SHA-256-PLUS", "p=tls-exporter,"));
    assert_eq!(flag(&ALL[..4], Some(&types), both), expected("SCRAM-SHA-1-PLUS", "p=tls-exporter,"));
    // The server has others.
    assert_eq!(flag(&ALL, Some(&["tls-server-end-point", "x"]), both), expected("SCRAM-SHA-256", "n,"));
    assert_eq!(flag(&ALL, None, both), expected("SCRAM-SHA-256", "n,"));
    let with_512 = ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-1"];
    assert_eq!(flag(&with_512, Some(&["tls-exporter"]), both), expected("SCRAM-SHA-1", "n,"));
}

#[test]
fn xep_0440_3_a_server_without_what_each_must_have_is_not_believed() {
    let offered = features(&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"], Some(&["tls-unique", "tls-frobnicate"]));
    assert_eq!(begin(&offered, Some(SECRET)).unwrap_err(), SaslFault::NoBinding);
    // It concerns those alone that can be bound at all.
    assert!(begin(&offered, None).is_ok());
}

#[test]
fn xep_0440_3_a_login_is_bound_to_the_certificate_where_nothing_stronger_is_to_be_had() {
    let (exporter, end_point) = (Some(SECRET), Some(vec![8; 48]));
    let plus = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"];
    let flag = |mechanisms: &[&str], types: Option<&[&str]>, exporter| {
        let own = Bindings { exporter, end_point: end_point.clone() };
        let (_, message) = first(Exchange::begin(&features(mechanisms, types), "juliet", "pencil", &own));
        message.split(",n=").next().unwrap().to_owned()
    };
    let both = ["tls-server-end-point", "tls-exporter"];
    assert_eq!(flag(&plus, Some(&both), exporter), "p=tls-exporter,");
    assert_eq!(flag(&plus, Some(&both[..1]), exporter), "p=tls-server-end-point,");
    // TLS 1.2 has no exporter here.
    assert_eq!(flag(&plus, Some(&both), None), "p=tls-server-end-point,");
    assert_eq!(flag(&plus[..1], None, None), "y,");
    assert_eq!(flag(&plus, Some(&["tls-unique"]), None), "n,", "many servers have nothing else in TLS 1.2");
    assert_eq!(flag(&plus, None, None), "n,");
    let server =
        Server { password: "pencil".to_owned(), binding: [b"p=tls-server-end-point,,".as_slice(), &[8; 48]].concat() };
    let own = Bindings { exporter, end_point };
    let (mut exchange, last) = proven_with(&server, "pencil", &features(&plus, Some(&both[..1])), &own);
    assert!(matches!(exchange.hear(&said("success", &BASE64.encode(&last))).unwrap(), Heard::Success));
}

#[test]
fn the_best_mechanism_is_taken_and_what_is_unknown_never() {
    let mechanism = |mechanisms: &[&str]| first(begin(&features(mechanisms, None), None)).0;
    assert_eq!(mechanism(&["PLAIN", "SCRAM-SHA-1", "DIGEST-MD5", "SCRAM-SHA-256"]), "SCRAM-SHA-256");
    assert_eq!(mechanism(&["PLAIN", "SCRAM-SHA-1"]), "SCRAM-SHA-1");
    assert_eq!(mechanism(&["X-OAUTH2", "PLAIN"]), "PLAIN");
    for offered in [&[][..], &["DIGEST-MD5", "ANONYMOUS", "EXTERNAL"], &["SCRAM-SHA-512"]] {
        let fault = begin(&features(offered, None), None).unwrap_err();
        assert_eq!(fault, SaslFault::NoMechanism(offered.iter().map(|&name| name.to_owned()).collect()));
    }
}

#[test]
fn rfc_5802_5_a_login_by_scram_with_each_hash_and_each_binding() {
    let bound = [b"p=tls-exporter,,".as_slice(), &SECRET].concat();
    for (mechanisms, exporter, binding) in [
        (&["SCRAM-SHA-1"][..], None, b"n,,".to_vec()),
        (&["SCRAM-SHA-256"], None, b"n,,".to_vec()),
        (&["SCRAM-SHA-256"], Some(SECRET), b"y,,".to_vec()),
        (&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"], Some(SECRET), bound.clone()),
        (&["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], Some(SECRET), bound),
    ] {
        let server = Server { password: "pencil".to_owned(), binding };
        let features = features(mechanisms, Some(&["tls-exporter"]));
        let (mut exchange, last) = proven(&server, "pencil", &features, exporter);
        assert!(matches!(exchange.hear(&said("success", &BASE64.encode(&last))).unwrap(), Heard::Success));
    }
}

/// RFC 6120 § 6.3.10: the server's proof may come before the success, which then has no data.
#[test]
fn rfc_6120_6_3_10_what_goes_with_the_success_may_come_before_it() {
    for success in ["", "=", " = ", "\n"] {
        let (mut exchange, last) = proven(&unbound(), "pencil", &scram(), None);
        let Heard::Response(response) = exchange.hear(&challenge(&last)).unwrap() else { panic!("no response") };
        assert_eq!(response.to_xml(ns::SASL), "<response/>");
        assert!(matches!(exchange.hear(&said("success", success)).unwrap(), Heard::Success));
    }
}

#[test]
fn rfc_6120_6_4_6_success_without_data_is_one_equals_sign_or_none() {
    for success in ["", "=", " =\n", "   "] {
        let (mut exchange, auth) = begin(&features(&["PLAIN"], None), None).unwrap();
        assert_eq!(text(&auth), "\0juliet\0pencil");
        assert!(matches!(exchange.hear(&said("success", success)).unwrap(), Heard::Success), "{success:?}");
    }
}

#[test]
fn white_space_in_what_the_server_says_does_not_matter() {
    let server = unbound();
    let (mut exchange, auth) = begin(&scram(), None).unwrap();
    let client_first = text(&auth);
    let spread = |data: &str| {
        let lines: Vec<String> = BASE64.encode(data).chars().map(|c| format!("\n  {c}")).collect();
        lines.concat() + "\n"
    };
    let heard = exchange.hear(&said("challenge", &spread(&server.first(&client_first)))).unwrap();
    let Heard::Response(response) = heard else { panic!("{heard:?}") };
    let last = server.last::<Sha256>(&client_first, &text(&response));
    assert!(matches!(exchange.hear(&said("success", &spread(&last))).unwrap(), Heard::Success));
}

#[test]
fn rfc_5802_5_a_server_that_does_not_prove_itself_is_not_believed() {
    let is_broken = |fault: SaslFault| matches!(fault, SaslFault::Broken(_));
    // Before it could: the password would be as good as any.
    for success in ["", "=", "dj0="] {
        let (mut exchange, _) = begin(&scram(), None).unwrap();
        assert!(is_broken(exchange.hear(&said("success", success)).unwrap_err()));
    }
    // With a proof of something else, or none.
    let another = format!("v={}", BASE64.encode([0; 32]));
    for last in ["", "v=", "x=y", &another] {
        let (mut exchange, _) = proven(&unbound(), "pencil", &scram(), None);
        assert!(is_broken(exchange.hear(&said("success", &BASE64.encode(last))).unwrap_err()), "{last}");
        let (mut exchange, _) = proven(&unbound(), "pencil", &scram(), None);
        assert!(is_broken(exchange.hear(&challenge(last)).unwrap_err()), "{last}");
    }
    let (mut exchange, _) = proven(&unbound(), "pencil", &scram(), None);
    let refused = exchange.hear(&said("success", &BASE64.encode("e=invalid-proof"))).unwrap_err();
    assert_eq!(refused, SaslFault::Refused { condition: "invalid-proof".to_owned(), text: None });
}

#[test]
fn rfc_5802_5_1_the_servers_first_message_is_held_to_the_rules() {
    let answer = |message: &dyn Fn(&str) -> String| {
        let (mut exchange, auth) = begin(&scram(), None).unwrap();
        exchange.hear(&challenge(&message(nonce_of(&text(&auth)))))
    };
    let taken = |message: &dyn Fn(&str) -> String| match answer(message) {
        Ok(Heard::Response(_)) => true,
        Ok(Heard::Success) => panic!("nothing has been proven"),
        Err(SaslFault::Broken(_)) => false,
        Err(other) => panic!("{other:?}"),
    };
    assert!(taken(&|nonce| format!("r={nonce}x,s=c2FsdA==,i=1")));
    assert!(taken(&|nonce| format!("r={nonce}x,s=c2FsdA==,i=4096,d=extension")), "extensions are ignored");
    // The nonce goes on from ours.
    assert!(!taken(&|nonce| format!("r={nonce},s=c2FsdA==,i=1")));
    assert!(!taken(&|nonce| format!("r=x{nonce}x,s=c2FsdA==,i=1")));
    assert!(!taken(&|_| "r=,s=c2FsdA==,i=1".to_owned()));
    // A mandatory extension, wherever it is.
    assert!(!taken(&|nonce| format!("m=x,r={nonce}x,s=c2FsdA==,i=1")));
    assert!(!taken(&|nonce| format!("r={nonce}x,s=c2FsdA==,i=1,m=x")));
    // What is missing, empty, twice, or in another order.
    assert!(!taken(&|nonce| format!("r={nonce}x,s=c2FsdA==")));
    assert!(!taken(&|nonce| format!("r={nonce}x,s=,i=1")));
    assert!(!taken(&|nonce| format!("r={nonce}x,s=c2FsdA==,i=1,i=2")));
    assert!(!taken(&|nonce| format!("s=c2FsdA==,r={nonce}x,i=1")));
    assert!(!taken(&|_| String::new()));
    for rounds in ["0", "-1", "+1", "1.5", "", "99999999999"] {
        assert!(!taken(&|nonce| format!("r={nonce}x,s=c2FsdA==,i={rounds}")), "{rounds}");
    }
    assert!(!taken(&|nonce| format!("r={nonce}x,s=not base64,i=1")));
}

/// RFC 4013 § 3 has these.
#[test]
fn rfc_5802_2_2_passwords_are_prepared_and_used_as_they_are_where_saslprep_refuses() {
    for (typed, used) in [
        ("I\u{AD}X", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u{AA}", "a"),
        ("\u{2168}", "IX"),
        ("pass\u{A0}word", "pass word"),
        // A control character, and letters of both directions.
        ("\u{7}", "\u{7}"),
        ("\u{627}\u{31}", "\u{627}\u{31}"),
        // Nothing would be left of it.
        ("\u{AD}", "\u{AD}"),
    ] {
        let server = Server { password: used.to_owned(), binding: b"n,,".to_vec() };
        let (mut exchange, last) = proven(&server, typed, &scram(), None);
        assert!(matches!(exchange.hear(&said("success", &BASE64.encode(&last))).unwrap(), Heard::Success), "{typed:?}");
        let (_, auth) = Exchange::begin(&features(&["PLAIN"], None), "juliet", typed, &Bindings::default()).unwrap();
        assert_eq!(text(&auth), format!("\0juliet\0{used}"));
    }
}

#[test]
fn rfc_5802_5_1_commas_and_equals_signs_in_names_are_escaped_for_scram_alone() {
    let begun =
        |mechanism: &str| Exchange::begin(&features(&[mechanism], None), "a=b,c", "pencil", &Bindings::default());
    let (_, message) = first(begun("SCRAM-SHA-1"));
    assert!(message.starts_with("n,,n=a=3Db=2Cc,r="), "{message}");
    assert_eq!(first(begun("PLAIN")).1, "\0a=b,c\0pencil");
}

#[test]
fn rfc_6120_6_5_refusals_have_a_condition_and_perhaps_a_text() {
    let refused = |content: &str| {
        let (mut exchange, _) = begin(&scram(), None).unwrap();
        match exchange.hear(&said("failure", content)).unwrap_err() {
            SaslFault::Refused { condition, text } => (condition, text),
            other => panic!("{other:?}"),
        }
    };
    let expected = |condition: &str, text: Option<&str>| (condition.to_owned(), text.map(str::to_owned));
    assert_eq!(refused("<account-disabled/>"), expected("account-disabled", None));
    let with_text = "<text xml:lang='en'>Call 212-555-1212 for assistance.</text><account-disabled/>";
    assert_eq!(refused(with_text), expected("account-disabled", Some("Call 212-555-1212 for assistance.")));
    assert_eq!(refused("<of-my-own/><text/>"), expected("of-my-own", None));
    assert_eq!(refused(""), expected("no reason given", None));
}

#[test]
fn what_has_no_place_in_a_login_ends_it() {
    for said in [said("challenge", "%%%"), said("auth", ""), said("success", "x")] {
        let (mut exchange, _) = begin(&scram(), None).unwrap();
        assert!(matches!(exchange.hear(&said).unwrap_err(), SaslFault::Broken(_)), "{said:?}");
    }
    // PLAIN asks nothing.
    let (mut exchange, _) = begin(&features(&["PLAIN"], None), None).unwrap();
    assert!(matches!(exchange.hear(&challenge("")).unwrap_err(), SaslFault::Broken(_)));
    // Nor does SCRAM a third time.
    let (mut exchange, last) = proven(&unbound(), "pencil", &scram(), None);
    exchange.hear(&challenge(&last)).unwrap();
    assert!(matches!(exchange.hear(&challenge(&last)).unwrap_err(), SaslFault::Broken(_)));
}
