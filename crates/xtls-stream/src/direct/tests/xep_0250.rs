//! The examples of XEP-0250 § 3.3.

use xtls_stanza::KeyName;

use super::*;

fn offer(keys: &[&str], srp: bool) -> TlsOffer {
    TlsOffer::new(keys.iter().map(|key| KeyName::new(key).unwrap()), srp)
}

fn one_line(xml: &str) -> String {
    xml.split('\n').map(str::trim).collect()
}

/// § 3.3.1.
const FEATURES: &str = "<stream:features>
      <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>
        <required/>
        <offer xmlns='urn:xmpp:tmp:c2ctls'>
          <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
            <name>RecipientX509CertificateHash</name>
          </keyinfo>
          <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
            <name>RecipientOpenPGPFingerprint</name>
          </keyinfo>
          <srp/>
        </offer>
      </starttls>
    </stream:features>";
/// § 3.3.2.
const ASK: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>
      <offer xmlns='urn:xmpp:tmp:c2ctls'>
        <keyinfo xmlns='urn:xmpp:tmp:pubkey'>
          <name>InitiatorX509CertificateHash</name>
        </keyinfo>
        <srp/>
      </offer>
    </starttls>";
/// § 3.3.3.
const AGREE: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'>
      <offer xmlns='urn:xmpp:tmp:c2ctls'>
        <srp/>
      </offer>
    </proceed>";
const SRP: &str = "<offer xmlns='urn:xmpp:tmp:c2ctls'><srp/></offer>";

#[test]
fn xep_0250_3_3_the_recipients_side() {
    let mut server = Side::server(|_| {});
    server.handle(CLIENT_HEADER);
    server.written();
    let own = offer(&["RecipientX509CertificateHash", "RecipientOpenPGPFingerprint"], true);
    let sent = server.does(|stream, out| stream.send_features(&Features::tls(Some(own)), out));
    assert_eq!(sent, one_line(FEATURES));
    let asked = one_line(ASK);
    let asked = &asked[asked.find("<offer").unwrap()..asked.find("</starttls").unwrap()];
    assert_eq!(server.handle(ASK), [format!("requested {asked}")]);
    // One method is named, neither none nor two.
    for wrong in [offer(&["x"], true), offer(&["x", "y"], false), offer(&[], false)] {
        let proceeded = server.stream.proceed(Some(&wrong), &mut server.out);
        assert_eq!((proceeded, server.out.len()), (Err(CommandError::NotOneMethod), 0));
    }
    let chosen = offer(&[], true);
    assert_eq!(server.does(|stream, out| stream.proceed(Some(&chosen), out)), one_line(AGREE));
    assert_eq!(server.events(), [format!("tls {SRP}")]);
}

#[test]
fn xep_0250_3_3_the_initiators_side() {
    let mut client = Side::client(|_| {});
    client.does(DirectStream::start);
    client.handle(SERVER_HEADER);
    assert_eq!(client.handle(FEATURES), [one_line(FEATURES)]);
    let own = offer(&["InitiatorX509CertificateHash"], true);
    assert_eq!(client.does(|stream, out| stream.start_tls(Some(&own), out)), one_line(ASK));
    assert_eq!(client.handle(AGREE), [format!("tls {SRP}")]);
}

/// § 3.3.3: no method is left.
#[test]
fn xep_0250_3_3_3_the_recipient_aborts() {
    let mut server = Side::opened_server(|_| {});
    server.handle(ASK);
    assert_eq!(server.does(DirectStream::refuse), format!("{FAILURE}{END}"));
    let mut client = Side::opened_client(FEATURES, |_| {});
    client.does(|stream, out| stream.start_tls(Some(&offer(&[], true)), out));
    assert_eq!(client.fails(format!("{FAILURE}\n{END}")), ("StartTls(Refused)".to_owned(), END.to_owned()));
}

/// §§ 3.3.1, 3.3.2: who says nothing does not support this, and TLS goes on as ever.
#[test]
fn xep_0250_3_3_an_offer_may_be_absent_everywhere() {
    let mut server = Side::opened_server(|_| {});
    assert_eq!(server.handle(STARTTLS), ["requested "]);
    let mut client = Side::opened_client(TLS_REQUIRED, |_| {});
    client.does(|stream, out| stream.start_tls(Some(&offer(&["x"], true)), out));
    assert_eq!(client.handle(PROCEED), ["tls "]);
}

#[test]
fn xep_0250_3_3_3_a_method_that_was_not_offered_is_a_fault() {
    let insecure = AGREE.replace("<srp/>", "<insecure/>");
    for chosen in [AGREE, &insecure] {
        let mut client = Side::opened_client(FEATURES, |_| {});
        client.does(|stream, out| stream.start_tls(Some(&offer(&["x"], false)), out));
        // The peer waits for TLS, so nothing is said in clear.
        assert_eq!(client.handle(chosen), ["StartTls(Method)"]);
        assert_eq!(client.written(), "");
        assert_eq!(client.stream.secured(&mut client.out), Err(CommandError::Stage));
    }
}
