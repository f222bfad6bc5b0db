//! What RFC 1928 and XEP-0065 say of each message.

use super::*;

#[test]
fn rfc_1928_3_a_client_offers_no_authentication_alone_and_waits_for_the_choice() {
    let mut client = Client::new(name());
    assert_eq!(polled(|out| client.poll(out)).unwrap(), [5, 1, 0]);
    // One message at a time: proxies refuse two in one piece.
    assert_eq!(polled(|out| client.poll(out)), None);
    assert_eq!(client.handle_bytes(&[5]), Ok(1));
    assert_eq!(polled(|out| client.poll(out)), None);
    assert_eq!(client.handle_bytes(&[0]), Ok(1));
    assert!(polled(|out| client.poll(out)).is_some());
}

#[test]
fn rfc_1928_3_a_server_that_accepts_no_method_is_left() {
    for (choice, fault) in [
        ([5, 0xFF], ClientFault::NoMethod),
        ([5, 1], ClientFault::Method(1)),
        ([5, 2], ClientFault::Method(2)),
        ([5, 0xFE], ClientFault::Method(0xFE)),
    ] {
        let mut client = Client::new(name());
        client.poll(&mut Vec::new());
        assert_eq!(client.handle_bytes(&choice), Err(fault));
        assert_eq!((client.fault(), polled(|out| client.poll(out))), (Some(fault), None));
    }
}

#[test]
fn rfc_1928_3_of_any_list_of_methods_an_acceptor_takes_no_authentication() {
    let all: Vec<u8> = (0..=254).rev().collect();
    for methods in [&[0][..], &[1, 0], &[0, 1, 2], &[2, 0x80, 0], &all] {
        let mut acceptor = Acceptor::new();
        let greeting = [&[5, u8::try_from(methods.len()).unwrap()], methods].concat();
        assert_eq!(acceptor.handle_bytes(&greeting), Ok(greeting.len()), "{methods:?}");
        assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), [5, 0]);
    }
}

#[test]
fn rfc_1928_3_without_it_the_answer_is_that_no_method_is_acceptable() {
    let all: Vec<u8> = (1..=255).collect();
    for methods in [&[][..], &[1], &[2, 1], &all] {
        let mut acceptor = Acceptor::new();
        let greeting = [&[5, u8::try_from(methods.len()).unwrap()], methods].concat();
        assert_eq!(acceptor.handle_bytes(&greeting), Err(AcceptorFault::NoMethod), "{methods:?}");
        assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), [5, 0xFF]);
        assert_eq!(polled(|out| acceptor.poll(out)), None);
    }
}

#[test]
fn xep_0065_5_3_2_the_request_is_a_connect_to_the_hash_and_port_0() {
    let mut client = Client::new(name());
    client.poll(&mut Vec::new());
    client.handle_bytes(CHOICE).unwrap();
    let written = polled(|out| client.poll(out)).unwrap();
    assert_eq!(written, [&[5, 1, 0, 3, 40], NAME.as_bytes(), &[0, 0]].concat());
    assert_eq!(polled(|out| client.poll(out)), None);
}

#[test]
fn xep_0065_5_3_2_the_reply_has_address_and_port_as_the_client_gave_them() {
    for (text, port) in [(NAME.to_owned(), 0), (NAME.to_uppercase(), 0), (NAME.to_owned(), 0xABCD)] {
        let mut acceptor = chosen();
        let request = message([5, CONNECT, 7], DOMAIN, text.as_bytes(), port);
        assert_eq!(acceptor.handle_bytes(&request), Ok(request.len()));
        assert_eq!(acceptor.asked(), Some(name()));
        assert_eq!(polled(|out| acceptor.poll(out)), None, "nothing is said before the caller has decided");
        assert_eq!(acceptor.accept(), Ok(()));
        assert!(!acceptor.is_accepted());
        let reply = message([5, SUCCEEDED, 0], DOMAIN, text.as_bytes(), port);
        assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), reply);
        assert!(acceptor.is_accepted());
    }
}

#[test]
fn rfc_1928_5_the_address_of_a_reply_may_be_of_any_type_and_is_not_looked_at() {
    for (kind, address) in [
        (DOMAIN, NAME.as_bytes()),
        (DOMAIN, b""),
        (DOMAIN, b"x"),
        (DOMAIN, &[0xFF; 255][..]),
        (IP_V4, &[127, 0, 0, 1]),
        (IP_V6, &[0; 16]),
    ] {
        let mut client = asked();
        let mut bytes = message([5, SUCCEEDED, 9], kind, address, 4711);
        let reply = bytes.len();
        bytes.extend_from_slice(b"of the bytestream");
        assert_eq!(client.handle_bytes(&bytes), Ok(reply), "{kind} {address:?}");
        assert!(client.is_connected());
        assert_eq!(client.handle_bytes(b"of the bytestream"), Ok(0));
        assert_eq!(client.handle_end(), Ok(()));
    }
}

#[test]
fn rfc_1928_6_every_reply_but_0_is_a_refusal_that_names_its_code() {
    for code in 1..=255 {
        let mut client = asked();
        let Err(ClientFault::Refused(refused)) = client.handle_bytes(&[5, code]) else { panic!("{code}") };
        assert_eq!(refused.code(), code);
        assert!(refused.to_string().ends_with(&format!("(reply {code})")), "{refused}");
    }
    // As Prosody's proxy refuses: with a host name of no bytes.
    assert_eq!(
        asked().handle_bytes(&message([5, 1, 0], DOMAIN, b"", 0)),
        Err(ClientFault::Refused(ReplyCode::GeneralFailure))
    );
}

#[test]
fn rfc_1928_6_what_a_client_may_not_ask_for_is_refused_with_the_code_for_it() {
    let named = |text: &[u8]| message([5, CONNECT, 0], DOMAIN, text, 0);
    for (request, fault, code) in [
        (message([5, 2, 0], DOMAIN, NAME.as_bytes(), 0), AcceptorFault::Command(2), 7),
        (message([5, 3, 0], DOMAIN, NAME.as_bytes(), 0), AcceptorFault::Command(3), 7),
        (message([5, 0, 0], IP_V6, &[0; 16], 0), AcceptorFault::Command(0), 7),
        (message([5, CONNECT, 0], IP_V4, &[0; 4], 80), AcceptorFault::AddressType(1), 8),
        (message([5, CONNECT, 0], IP_V6, &[0; 16], 80), AcceptorFault::AddressType(4), 8),
        (vec![5, CONNECT, 0, 2], AcceptorFault::AddressType(2), 8),
        (vec![5, CONNECT, 0, 0], AcceptorFault::AddressType(0), 8),
        (named(b""), AcceptorFault::NotABytestream, 2),
        (named(b"xmpp.example"), AcceptorFault::NotABytestream, 2),
        (named(&NAME.as_bytes()[1..]), AcceptorFault::NotABytestream, 2),
        (named(&[NAME.as_bytes(), b"0"].concat()), AcceptorFault::NotABytestream, 2),
        (named(&[b'a'; 255]), AcceptorFault::NotABytestream, 2),
        (named(&[0xFF; 40]), AcceptorFault::NotABytestream, 2),
    ] {
        let mut acceptor = chosen();
        assert_eq!(acceptor.handle_bytes(&request), Err(fault));
        assert_eq!((acceptor.asked(), acceptor.fault()), (None, Some(fault)));
        assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), refusal(code));
        assert_eq!(polled(|out| acceptor.poll(out)), None);
    }
}

#[test]
fn rfc_1928_6_a_bytestream_that_is_not_expected_is_not_allowed() {
    let mut acceptor = chosen();
    acceptor.handle_bytes(&request()).unwrap();
    assert_eq!(acceptor.refuse(), Ok(()));
    assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), refusal(2));
    let mut client = asked();
    assert_eq!(client.handle_bytes(&refusal(2)), Err(ClientFault::Refused(ReplyCode::NotAllowed)));
}

#[test]
fn s5b_bytes_of_the_bytestream_before_the_reply_are_refused() {
    let byte: &[u8] = b"\x16";
    // With the request, while the caller thinks, and after it has accepted.
    for accepts in [false, true] {
        for together in [false, true] {
            let mut acceptor = chosen();
            let mut bytes = request();
            if together {
                bytes.extend_from_slice(byte);
                assert_eq!(acceptor.handle_bytes(&bytes), Err(AcceptorFault::Early));
                assert_eq!(acceptor.accept(), Err(NothingAsked));
            } else {
                assert_eq!(acceptor.handle_bytes(&bytes), Ok(bytes.len()));
                if accepts {
                    acceptor.accept().unwrap();
                }
                assert_eq!(acceptor.handle_bytes(byte), Err(AcceptorFault::Early));
            }
            assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), refusal(1));
            assert!(!acceptor.is_accepted());
        }
    }
}

#[test]
fn s5b_a_request_that_comes_with_the_greeting_is_refused_as_proxies_do() {
    let mut acceptor = Acceptor::new();
    assert_eq!(acceptor.handle_bytes(&[GREETING, &request()].concat()), Err(AcceptorFault::Early));
    assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), [5, 0xFF]);
}

#[test]
fn s5b_a_reply_that_comes_before_the_request_is_none() {
    let mut client = Client::new(name());
    client.poll(&mut Vec::new());
    assert_eq!(client.handle_bytes(&[CHOICE, &reply()].concat()), Err(ClientFault::Early));
    assert_eq!(polled(|out| client.poll(out)), None);
    let mut client = Client::new(name());
    assert_eq!(client.handle_bytes(CHOICE), Err(ClientFault::Early));
}

#[test]
fn a_message_ends_after_262_bytes_at_most_and_what_follows_is_not_held() {
    let most = message([5, CONNECT, 0], DOMAIN, &[b'a'; 255], 0);
    assert_eq!(most.len(), 262);
    let mut acceptor = chosen();
    assert_eq!(acceptor.handle_bytes(&most[..261]), Ok(261));
    assert_eq!(acceptor.handle_bytes(&most[261..]), Err(AcceptorFault::NotABytestream));
    let mut client = asked();
    let most = message([5, SUCCEEDED, 0], DOMAIN, &[b'a'; 255], 0);
    assert_eq!(client.handle_bytes(&most[..261]), Ok(261));
    // One past it is the bytestream's.
    assert_eq!(client.handle_bytes(&[&most[261..], &[1]].concat()), Ok(1));
    let mut acceptor = Acceptor::new();
    assert_eq!(acceptor.handle_bytes(&[&[5, 255], &[1; 254][..]].concat()), Ok(256));
    assert_eq!(acceptor.handle_bytes(&[1, 5]), Err(AcceptorFault::NoMethod));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    for fault in [
        ClientFault::Version(0x48),
        ClientFault::NoMethod,
        ClientFault::Method(2),
        ClientFault::AddressType(9),
        ClientFault::Early,
        ClientFault::Ended,
    ] {
        assert!(fault.to_string().contains("SOCKS5"), "{fault}");
    }
    assert_eq!(
        ClientFault::Refused(ReplyCode::HostUnreachable).to_string(),
        "the SOCKS5 server refused: host unreachable (reply 4)"
    );
    assert_eq!(
        AcceptorFault::Version(0x47).to_string(),
        "what connected is no SOCKS5 client: it begins with the byte 71"
    );
}
