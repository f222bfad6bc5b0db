//! Tunnels in plain values, and what is refused.

use std::sync::{Arc, Mutex};

use xtls_bindings::{Code, Disposition, Identity, Level, Log, Store};

use crate::pair::{JULIET, NOW, Pair, ROMEO, engine, identity};

#[test]
fn two_ends_chat() {
    let mut pair = Pair::new();
    let (his, hers) = pair.tunnel("xml-stream");
    let secured = pair.event(0, "secured").security.expect("how");
    assert_eq!((secured.authentication, secured.method, &*secured.tls), ("pinned", "x509", "TLS 1.3"));
    pair.event(0, "stream-opened");
    let say = "<message><body>O Romeo</body></message>";
    pair.ends[1].send(pair.now, hers, say).expect("sent");
    pair.run();
    let heard = pair.event(0, "stanza");
    assert!(
        heard.id == his && heard.text.contains("O Romeo") && heard.text.contains("from='juliet@"),
        "{}",
        heard.text
    );
    pair.ends[0].close(pair.now, his).expect("closed");
    pair.run();
    let closed = pair.event(1, "closed");
    assert_eq!((closed.by, closed.reason, closed.fault, closed.is_security), ("remote", "done", "", false));
    assert_eq!(pair.ends[1].send(pair.now, hers, say).unwrap_err().code, Code::Ended);
}

#[test]
fn bytes_go_through_however_small_the_room_is() {
    let mut pair = Pair::new();
    let (his, hers) = pair.tunnel("bytes");
    let content: Vec<u8> = (0..50_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    assert_eq!(pair.ends[0].write(pair.now, his, &content), Ok(content.len()));
    pair.ends[0].finish(pair.now, his).expect("finished");
    pair.run();
    let (mut got, mut room) = (Vec::new(), [0; 777]);
    loop {
        let count = pair.ends[1].read_into(pair.now, hers, &mut room).expect("read");
        if count == 0 {
            break;
        }
        assert_eq!(
            pair.ends[1].give_receipt(pair.now, hers).is_err(),
            got.len() + count < content.len() || got.is_empty()
        );
        got.extend_from_slice(&room[..count]);
        pair.run();
    }
    assert!(got == content);
    pair.run();
    assert_eq!(pair.event(0, "receipt").bytes, 50_000);
    assert_eq!(pair.ends[0].stats(his).expect("figures").unacked, 0);
}

#[test]
fn what_did_not_fit_can_be_read_after_the_end() {
    let mut pair = Pair::new();
    let (his, hers) = pair.tunnel("bytes");
    assert_eq!(pair.ends[0].write(pair.now, his, b"goodbye"), Ok(7));
    pair.run();
    assert_eq!(pair.ends[1].read_into(pair.now, hers, &mut [0; 4]), Ok(4));
    pair.ends[0].close(pair.now, his).expect("closed");
    pair.run();
    pair.event(1, "closed");
    let mut rest = Vec::new();
    assert_eq!(pair.ends[1].read(pair.now, hers, &mut rest), Ok(3));
    assert_eq!(rest, b"bye");
    assert_eq!(pair.ends[1].read(pair.now, hers, &mut rest).unwrap_err().code, Code::Ended);
}

#[test]
fn an_unknown_certificate_is_refused_or_asked_about() {
    let mut pair = Pair::new();
    let stranger = identity(ROMEO);
    pair.ends[0] = engine(ROMEO, &stranger, pair.ends[0].store(), &[]);
    pair.ends[0].initiate(pair.now, JULIET, &[("trust", "pinned")]).expect("an offer");
    pair.run();
    let offer = pair.event(1, "incoming");
    pair.ends[1].accept(pair.now, offer.id, &[("trust", "ask")]).expect("accepted");
    pair.run();
    let question = pair.event(1, "trust-required");
    assert_eq!(question.fingerprint, stranger.fingerprint().expect("a fingerprint"));
    assert_eq!(question.fingerprints.len(), 1, "what he was known by");
    pair.ends[1].trust(pair.now, offer.id, "refuse").expect("answered");
    pair.run();
    let closed = pair.event(1, "closed");
    assert_eq!((closed.reason, closed.fault, closed.is_security), ("fault", "trust-refused", true));
    let closed = pair.event(0, "closed");
    assert_eq!((closed.by, closed.is_security), ("remote", true));
}

#[test]
fn a_password_is_asked_for() {
    let mut pair = Pair::new();
    let none = Store::in_memory;
    pair.ends = [engine(ROMEO, &identity(ROMEO), &none(), &[]), engine(JULIET, &identity(JULIET), &none(), &[])];
    let id = pair.ends[0].initiate(pair.now, JULIET, &[("trust", "pinned"), ("password", "rose")]).expect("an offer");
    pair.run();
    let offer = pair.event(1, "incoming");
    let options = [("trust", "pinned"), ("ask_password", "true")];
    pair.ends[1].accept(pair.now, offer.id, &options).expect("accepted");
    pair.run();
    assert_eq!(pair.event(1, "password-required").side, "responder");
    assert_eq!(pair.ends[0].password(pair.now, id, Some("rose")).unwrap_err().code, Code::NotAsked);
    pair.ends[1].password(pair.now, offer.id, Some("rose")).expect("answered");
    pair.run();
    assert_eq!(pair.event(1, "secured").security.expect("how").authentication, "password");
}

#[test]
fn ids_that_name_nothing_are_told_apart() {
    let mut pair = Pair::new();
    let (his, _) = pair.tunnel("bytes");
    // The other engine's, and nobody's.
    for id in [his, 0, u64::MAX] {
        let juliet = &mut pair.ends[1];
        assert_eq!(juliet.write(pair.now, id, b"x").unwrap_err().code, Code::OtherEngine);
        assert_eq!(juliet.close(pair.now, id).unwrap_err().code, Code::OtherEngine);
        assert_eq!(juliet.accept(pair.now, id, &[("trust", "pinned")]).unwrap_err().code, Code::OtherEngine);
        assert_eq!(juliet.reject(pair.now, id, "decline").unwrap_err().code, Code::OtherEngine);
    }
    assert_eq!(pair.ends[0].accept(pair.now, his, &[("trust", "pinned")]).unwrap_err().code, Code::Gone);
}

#[test]
fn an_offer_stands_until_it_is_answered_rightly() {
    let mut pair = Pair::new();
    pair.ends[0].initiate(pair.now, JULIET, &[("trust", "pinned")]).expect("an offer");
    pair.run();
    let offer = pair.event(1, "incoming");
    let juliet = &mut pair.ends[1];
    assert_eq!(juliet.accept(pair.now, offer.id, &[]).unwrap_err().code, Code::Setting);
    assert_eq!(juliet.reject(pair.now, offer.id, "boredom").unwrap_err().code, Code::Name);
    juliet.reject(pair.now, offer.id, "busy").expect("rejected");
    assert_eq!(juliet.reject(pair.now, offer.id, "busy").unwrap_err().code, Code::Gone);
    pair.run();
    let closed = pair.event(0, "closed");
    assert_eq!((closed.reason, closed.condition), ("terminated", "busy"));
}

#[test]
fn stanzas_of_others_are_refused_by_number_and_in_the_end_by_themselves() {
    let mut pair = Pair::new();
    let juliet = &mut pair.ends[1];
    let block = |number: usize| {
        format!(
            "<iq type='set' id='{number}' from='{ROMEO}'><open xmlns='http://jabber.org/protocol/ibb' sid='s' \
             block-size='4096'/></iq>"
        )
    };
    let mut refusals = Vec::new();
    for number in 0..257 {
        let handled = juliet.handle_stanza(NOW, block(number).as_bytes());
        assert_eq!(handled.disposition, Disposition::Unclaimed);
        refusals.push(handled.refusal);
    }
    let mut answer = Vec::new();
    assert_eq!(juliet.poll_transmit(NOW, &mut answer).as_deref(), Some(ROMEO), "the oldest of 257");
    assert!(juliet.poll_transmit(NOW, &mut answer).is_none());
    assert_eq!(juliet.refuse(NOW, refusals[0]).unwrap_err().code, Code::Gone);
    juliet.refuse(NOW, refusals[1]).expect("refused");
    assert!(juliet.poll_transmit(NOW, &mut answer).is_some());
    assert_eq!(juliet.refuse(NOW, refusals[1]).unwrap_err().code, Code::Gone);
    assert_eq!(juliet.leave(refusals[1]).unwrap_err().code, Code::Gone);
    answer.clear();
    juliet.leave(refusals[2]).expect("left");
    assert_eq!(juliet.refuse(NOW, refusals[2]).unwrap_err().code, Code::Gone);
    assert!(juliet.poll_transmit(NOW, &mut answer).is_none(), "somebody else has answered");
    let malformed = juliet.handle_stanza(NOW, b"<iq");
    assert!(malformed.disposition == Disposition::Malformed && !malformed.words.is_empty());
    assert_eq!(juliet.handle_stanza(NOW, b"<message from='a@b'/>").disposition, Disposition::NotOurs);
}

#[test]
fn questions_for_features_are_answered_256_at_once_and_the_next_is_left_to_the_caller() {
    let mut pair = Pair::new();
    let juliet = &mut pair.ends[1];
    let mut ask = |number: usize| {
        let question = format!(
            "<iq type='get' id='{number}' from='{ROMEO}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        );
        juliet.handle_stanza(NOW, question.as_bytes()).disposition
    };
    assert!((0..256).all(|number| ask(number) == Disposition::Consumed));
    assert_eq!(ask(256), Disposition::NotOurs);
    let mut answer = Vec::new();
    assert_eq!(juliet.poll_transmit(NOW, &mut answer).as_deref(), Some(ROMEO));
    assert!(String::from_utf8_lossy(&answer).contains("urn:xmpp:jingle:1"));
    assert!(juliet.presence(None).expect("features").contains("<c "));
    assert!(juliet.presence(Some("paris@verona.lit")).expect("features").contains("to='paris@verona.lit'"));
}

#[test]
fn the_log_has_phases_and_nothing_that_is_said() {
    struct Notebook(Arc<Mutex<Vec<String>>>);
    impl Log for Notebook {
        fn line(&self, level: Level, target: &str, line: &str) {
            self.0.lock().expect("nobody panicked").push(format!("{level:?} {target} {line}"));
        }
    }
    let mut pair = Pair::new();
    let lines = Arc::default();
    pair.ends[0].set_log(Some(Box::new(Notebook(Arc::clone(&lines)))), Level::Debug);
    let now = pair.now;
    pair.ends[0]
        .logged(|engine| engine.initiate(now, JULIET, &[("trust", "pinned"), ("password", "rose")]))
        .expect("an offer");
    let lines = lines.lock().expect("nobody panicked");
    assert!(lines.iter().any(|line| line.starts_with("Debug xtls")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("rose")));
}

#[test]
fn secrets_do_not_show() {
    let identity = identity(ROMEO);
    let shown = format!("{identity:?}");
    assert!(shown.contains("CERTIFICATE") && !shown.contains("PRIVATE"), "{shown}");
    // From one text too, in whichever order.
    let key: &str = &identity.key;
    for both in [format!("{}{key}", identity.certificate), format!("{key}{}", identity.certificate), key.to_owned()] {
        let read = Identity::from_pem(&both);
        assert!(!read.certificate.contains("PRIVATE") && !format!("{read:?}").contains("PRIVATE"));
        assert_eq!(read.fingerprint().ok(), identity.fingerprint().ok().filter(|_| both != key));
    }
    let error = Identity::new(&identity.certificate, "secret nonsense");
    let setup = xtls_bindings::Setup {
        jid: ROMEO,
        identity: &error,
        store: &Store::in_memory(),
        settings: &[],
        authorities: None,
        unix_time: NOW,
        now: 0,
    };
    let error = xtls_bindings::Engine::new(&setup).unwrap_err();
    assert!(error.code == Code::Identity && !error.words.contains("nonsense"), "{error}");
    assert!(!format!("{setup:?}").contains("nonsense"));
}

#[test]
fn stanzas_that_are_told_and_not_taken_stop_the_peer_and_numbers_of_nothing_do_nothing() {
    let mut pair = Pair::new();
    let (his, hers) = pair.tunnel("xml-stream");
    let said = format!("<message><body>{}</body></message>", "x".repeat(10_000));
    let mut numbers = Vec::new();
    // Far more than his window and her buffer have room for, while she takes what she is told into a queue of her own.
    let sent = (0..200).take_while(|_| pair.send_to_queue(his, &said, &mut numbers)).count();
    assert!((7..100).contains(&sent), "{sent} were sent, and nobody took them");
    assert!(numbers.len() < sent && numbers.iter().all(|number| *number != 0));
    for number in [0, 1_000_000, numbers[0], numbers[0]] {
        pair.ends[1].release(number);
    }
    let before = numbers.len();
    numbers.iter().for_each(|number| pair.ends[1].release(*number));
    pair.queue(&mut numbers);
    assert!(numbers.len() > before, "there is room again");
    pair.ends[0].close(pair.now, his).expect("closed");
    // Each is told more, until all is.
    while !pair.ends[1].tunnels().is_empty() {
        let told = numbers.len();
        numbers.iter().for_each(|number| pair.ends[1].release(*number));
        pair.queue(&mut numbers);
        assert!(numbers.len() > told || pair.ends[1].tunnels().is_empty(), "it comes to an end");
    }
    assert_eq!(numbers.len(), sent);
    assert_eq!(pair.ends[1].peer(hers).unwrap_err().code, Code::Ended);
}
