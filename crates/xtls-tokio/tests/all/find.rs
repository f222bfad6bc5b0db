//! Which resource of an account has XTLS. The server is played by hand.

use std::{future::poll_fn, pin::pin, time::Duration};

use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, timeout};
use xtls::{
    Config, Element, Transport,
    jid::{BareJid, FullJid},
    transports::{Exposure, Reach},
    xml::ns,
};
use xtls_tokio::{CallError, Driver, Handle, OuterStream, Received, Stanzas, memory, memory::MemoryStream};

use crate::common::{Who, element, raw, run, stream};

/// A client, and the server's end of its connection.
struct Stage {
    handle: Handle,
    stanzas: Stanzas<String>,
    server: MemoryStream,
}

/// The resource of a question, and its id.
type Question = (String, String);

impl Stage {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let [romeo, juliet] = Who::both();
        let (here, server) = memory::pair(&romeo.jid, &juliet.jid, 64);
        let (driver, handle, stanzas) = Driver::new(romeo.engine(&juliet, config), here);
        tokio::spawn(driver);
        Self { handle, stanzas, server }
    }

    async fn say(&mut self, text: &str) {
        poll_fn(|cx| self.server.poll_ready(cx)).await.unwrap();
        self.server.start_send(text.to_owned()).unwrap();
    }

    async fn online(&mut self, peer: &str) {
        self.say(&format!("<presence from='{peer}'/>")).await;
    }

    /// The next request.
    async fn requested(&mut self) -> Element {
        let Received::Stanza(stanza) = poll_fn(|cx| self.server.poll_recv(cx)).await else { panic!("it has ended") };
        element(&stanza.replacen("<iq ", "<iq xmlns='jabber:client' ", 1))
    }

    /// The next question.
    async fn asked(&mut self) -> Question {
        let query = self.requested().await;
        assert!(query.child("query", ns::DISCO_INFO).is_some(), "{query:?}");
        (query.attribute("to").unwrap().to_owned(), query.attribute("id").unwrap().to_owned())
    }

    async fn answer(&mut self, from: &str, id: &str, feature: &str) {
        self.say(&format!(
            "<iq type='result' from='{from}' id='{id}'><query xmlns='{}'><identity category='client' type='pc'/><feature \
             var='{feature}'/></query></iq>",
            ns::DISCO_INFO
        ))
        .await;
    }
}

fn account() -> BareJid {
    "juliet@capulet.example".parse().unwrap()
}

fn full(resource: &str) -> String {
    format!("{}/{resource}", account())
}

async fn find(handle: Handle) -> Result<FullJid, CallError> {
    handle.find(&account()).await
}

#[test]
fn the_resource_that_has_xtls_is_found_among_others_whoever_answers_first() {
    for ns in [ns::XTLS_0, ns::XTLS_1] {
        run(async {
            let mut stage = Stage::new();
            let found = tokio::spawn(find(stage.handle.clone()));
            stage.online(&full("phone")).await;
            stage.online(&full("xtls")).await;
            let mut asked = [stage.asked().await, stage.asked().await];
            asked.sort();
            let [(phone, phones), (xtls, xtlses)] = asked;
            assert_eq!([&phone, &xtls], [&full("phone"), &full("xtls")]);
            stage.answer(&phone, &phones, ns::JINGLE).await;
            stage.answer(&xtls, &xtlses, ns).await;
            assert_eq!(found.await.unwrap().unwrap().as_str(), full("xtls"));
        });
    }
}

/// The search that also asks this resource, which may not be there.
async fn find_or_ask(handle: Handle, usual: &str) -> Result<FullJid, CallError> {
    handle.find_or_ask(&account(), &[full(usual).parse().unwrap()]).await
}

#[test]
fn a_usual_resource_is_found_without_presence_and_at_once() {
    run(async {
        let mut stage = Stage::new();
        let before = Instant::now();
        let found = tokio::spawn(find_or_ask(stage.handle.clone(), "xtls"));
        let (resource, id) = stage.asked().await;
        assert_eq!(resource, full("xtls"));
        stage.answer(&resource, &id, ns::XTLS_0).await;
        assert_eq!(found.await.unwrap().unwrap().as_str(), full("xtls"));
        assert!(before.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_usual_resource_that_is_not_there_ends_no_search_and_counts_for_nothing() {
    run(async {
        for another in [false, true] {
            let mut stage = Stage::new();
            let before = Instant::now();
            let found = tokio::spawn(find_or_ask(stage.handle.clone(), "xtls"));
            let (resource, id) = stage.asked().await;
            let error =
                "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
            stage.say(&format!("<iq type='error' from='{resource}' id='{id}'>{error}</iq>")).await;
            if another {
                // Another one takes its time to show itself.
                sleep(Duration::from_secs(8)).await;
                stage.online(&full("phone")).await;
                let (phone, id) = stage.asked().await;
                assert_eq!(phone, full("phone"));
                stage.answer(&phone, &id, ns::XTLS_1).await;
                assert_eq!(found.await.unwrap().unwrap().as_str(), full("phone"));
            } else {
                assert!(matches!(found.await.unwrap(), Err(CallError::Offline)));
                assert_eq!(before.elapsed().as_secs(), 10);
            }
        }
    });
}

#[test]
fn a_usual_resource_that_comes_later_is_asked_again_and_one_that_never_answers_is_not_there() {
    run(async {
        let mut stage = Stage::new();
        let found = tokio::spawn(find_or_ask(stage.handle.clone(), "xtls"));
        let (resource, id) = stage.asked().await;
        let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        stage.say(&format!("<iq type='error' from='{resource}' id='{id}'>{error}</iq>")).await;
        stage.online(&full("xtls")).await;
        let (resource, id) = stage.asked().await;
        stage.answer(&resource, &id, ns::XTLS_0).await;
        assert_eq!(found.await.unwrap().unwrap().as_str(), full("xtls"));
        let mut stage = Stage::new();
        let found = tokio::spawn(find_or_ask(stage.handle.clone(), "xtls"));
        stage.asked().await;
        assert!(matches!(found.await.unwrap(), Err(CallError::Offline)));
    });
}

#[test]
fn thirty_two_resources_are_asked_and_not_one_more() {
    run(async {
        let mut stage = Stage::new();
        let found = tokio::spawn(find(stage.handle.clone()));
        for number in 0..33 {
            stage.online(&full(&number.to_string())).await;
        }
        for _ in 0..32 {
            stage.asked().await;
        }
        assert!(timeout(Duration::from_secs(5), stage.asked()).await.is_err());
        assert!(matches!(found.await.unwrap(), Err(CallError::NoXtls)));
    });
}

/// Each time that it comes back it is asked anew, and has time to answer.
#[test]
fn a_resource_that_comes_and_goes_draws_a_search_out_to_60_seconds_and_64_questions_at_most() {
    run(async {
        for pause in [4000, 100] {
            let mut stage = Stage::new();
            let (start, mut questions) = (Instant::now(), 0);
            let found = tokio::spawn(find(stage.handle.clone()));
            while !found.is_finished() {
                assert!(start.elapsed().as_secs() < 70);
                stage.online(&full("xtls")).await;
                questions += usize::from(timeout(Duration::from_millis(50), stage.asked()).await.is_ok());
                sleep(Duration::from_millis(pause)).await;
                stage.say(&format!("<presence type='unavailable' from='{}'/>", full("xtls"))).await;
                sleep(Duration::from_millis(pause.min(1000))).await;
                // The client takes what it is shown.
                while let Some(Some(_)) = stage.stanzas.next().now_or_never() {}
            }
            assert!(matches!(found.await.unwrap(), Err(CallError::Offline)));
            let seconds = start.elapsed().as_secs();
            match pause {
                4000 => assert!((60..=68).contains(&seconds) && questions < 64, "{seconds} s, {questions} questions"),
                _ => assert!(seconds < 60 && questions == 64, "{seconds} s, {questions} questions"),
            }
        }
    });
}

/// They have XTLS when they are looked for and none when they are called, and another one shows itself each time.
#[test]
fn thirty_two_resources_are_called_and_not_one_more() {
    run(async {
        let mut stage = Stage::new();
        let handle = stage.handle.clone();
        let called = tokio::spawn(async move { handle.call(account(), raw()).await });
        stage.online(&full("0")).await;
        let mut calls = 0;
        while let Ok((resource, id)) = timeout(Duration::from_secs(5), stage.asked()).await {
            while let Some(Some(_)) = stage.stanzas.next().now_or_never() {}
            if !id.starts_with("xtls-find-") {
                calls += 1;
                assert!(calls <= 32);
                stage.online(&full(&calls.to_string())).await;
            }
            stage.answer(&resource, &id, if id.starts_with("xtls-find-") { ns::XTLS_1 } else { ns::JINGLE }).await;
        }
        let called = called.await.unwrap();
        assert!(matches!(called, Err(CallError::Closed(_))), "{called:?}");
        assert_eq!(calls, 32);
    });
}

/// XEP-0260 § 5: the search has seen that there is XTLS, and nothing else.
#[test]
fn a_connection_is_not_offered_to_a_resource_that_was_found_and_does_not_announce_it() {
    for (feature, transport) in [(ns::JINGLE_S5B, ns::JINGLE_S5B), (ns::JINGLE, ns::JINGLE_IBB)] {
        run(async {
            let mut config = Config::default();
            config.socks5 = true;
            let mut stage = Stage::with(config);
            let options = stream().over(vec![Transport::Socks5(Reach::new(Exposure::Proxies)), Transport::InBand]);
            let handle = stage.handle.clone();
            tokio::spawn(async move { handle.call(account(), options).await });
            stage.online(&full("phone")).await;
            let (_, id) = stage.asked().await;
            stage.answer(&full("phone"), &id, ns::XTLS_1).await;
            let (_, id) = stage.asked().await;
            stage.answer(&full("phone"), &id, &format!("{feature}'/><feature var='{}", ns::XTLS_1)).await;
            let offer = stage.requested().await;
            let content =
                offer.child("jingle", ns::JINGLE).and_then(|jingle| jingle.child("content", ns::JINGLE)).unwrap();
            assert!(content.child("transport", transport).is_some(), "{offer:?}");
        });
    }
}

#[test]
fn strangers_and_answers_that_were_not_asked_for_count_for_nothing_and_are_the_clients() {
    run(async {
        let mut stage = Stage::new();
        let found = tokio::spawn(find(stage.handle.clone()));
        stage.online("mercutio@verona.example/xtls").await;
        assert!(stage.stanzas.next().await.unwrap().contains("mercutio"));
        stage.online(&full("phone")).await;
        let (_, id) = stage.asked().await;
        let wrong =
            [(full("phone"), "other"), (full("xtls"), id.as_str()), ("mercutio@verona.example/xtls".to_owned(), &id)];
        for (from, id) in &wrong {
            stage.answer(from, id, ns::XTLS_1).await;
        }
        stage
            .say(&format!("<iq type='get' id='{id}' from='{}'><ping xmlns='urn:xmpp:ping'/></iq>", full("phone")))
            .await;
        let start = Instant::now();
        assert!(matches!(found.await.unwrap(), Err(CallError::NoXtls)));
        assert_eq!(start.elapsed().as_secs(), 10, "it has not answered");
        // The presence, the wrong answers, and the request.
        for _ in 0..5 {
            timeout(Duration::from_secs(1), stage.stanzas.next()).await.expect("it is the client's");
        }
    });
}

#[test]
fn an_account_without_xtls_is_told_soon_after_its_last_resource_has_answered() {
    run(async {
        let mut stage = Stage::new();
        let found = tokio::spawn(find(stage.handle.clone()));
        stage.online(&full("phone")).await;
        stage.online(&full("laptop")).await;
        let [one, other] = [stage.asked().await, stage.asked().await];
        stage.answer(&one.0, &one.1, ns::JINGLE).await;
        sleep(Duration::from_secs(4)).await;
        assert!(!found.is_finished(), "one has not answered");
        let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        stage.say(&format!("<iq type='error' from='{}' id='{}'>{error}</iq>", other.0, other.1)).await;
        let start = Instant::now();
        // Another one that shows itself before is asked all the same.
        sleep(Duration::from_secs(1)).await;
        stage.online(&full("tablet")).await;
        let (_, id) = stage.asked().await;
        sleep(Duration::from_secs(1)).await;
        stage.answer(&full("tablet"), &id, ns::JINGLE).await;
        assert!(matches!(found.await.unwrap(), Err(CallError::NoXtls)));
        assert_eq!(start.elapsed().as_millis(), 3500);
    });
}

#[test]
fn a_resource_that_is_gone_is_offline_and_asked_anew_when_it_is_back() {
    run(async {
        let mut stage = Stage::new();
        for comes_back in [false, true] {
            let found = tokio::spawn(find(stage.handle.clone()));
            stage.online(&full("xtls")).await;
            let (_, first) = stage.asked().await;
            stage.say(&format!("<presence type='unavailable' from='{}'/>", full("xtls"))).await;
            if comes_back {
                sleep(Duration::from_secs(1)).await;
                stage.online(&full("xtls")).await;
                let (_, id) = stage.asked().await;
                assert_ne!(id, first);
                stage.answer(&full("xtls"), &id, ns::XTLS_1).await;
                assert!(found.await.unwrap().is_ok());
            } else {
                assert!(matches!(found.await.unwrap(), Err(CallError::Offline)));
            }
        }
    });
}

/// As a server that prepares by RFC 6122 stamps it.
#[test]
fn rfc_7622_5_an_answer_by_whom_a_server_takes_the_peer_for_ends_the_search_and_names_it() {
    run(async {
        let mut stage = Stage::new();
        let handle = stage.handle.clone();
        let sharp: BareJid = "juliet@stra\u{df}e.example".parse().unwrap();
        let found = tokio::spawn(async move { handle.find(&sharp).await });
        stage.online("juliet@stra\u{df}e.example/x").await;
        let (_, id) = stage.asked().await;
        // That it is online is no answer.
        stage.online("juliet@strasse.example/x").await;
        sleep(Duration::from_secs(1)).await;
        assert!(!found.is_finished());
        stage.answer("juliet@strasse.example/x", &id, ns::XTLS_1).await;
        let Err(CallError::Another(other)) = found.await.unwrap() else { panic!("it was taken for the peer") };
        assert_eq!(other.as_str(), "juliet@strasse.example/x");
    });
}

/// The resource that is asked without presence is no exception.
#[test]
fn rfc_7622_5_an_answer_for_a_usual_resource_by_whom_a_server_takes_the_peer_for_ends_the_search_too() {
    run(async {
        let mut stage = Stage::new();
        let handle = stage.handle.clone();
        let sharp: BareJid = "juliet@stra\u{df}e.example".parse().unwrap();
        let usual: FullJid = format!("{sharp}/xtls").parse().unwrap();
        let found = tokio::spawn(async move { handle.find_or_ask(&sharp, &[usual]).await });
        let (resource, id) = stage.asked().await;
        assert_eq!(resource, "juliet@stra\u{df}e.example/xtls");
        // No question had this id, so this answers none.
        stage.answer("juliet@strasse.example/xtls", "xtls-find-0", ns::XTLS_1).await;
        assert!(timeout(Duration::from_secs(1), stage.stanzas.next()).await.unwrap().unwrap().contains("xtls-find-0"));
        assert!(!found.is_finished());
        stage.answer("juliet@strasse.example/xtls", &id, ns::XTLS_1).await;
        let Err(CallError::Another(other)) = found.await.unwrap() else { panic!("it was taken for the peer") };
        assert_eq!(other.as_str(), "juliet@strasse.example/xtls");
        // It is not the client's.
        assert!(timeout(Duration::from_secs(1), stage.stanzas.next()).await.is_err());
    });
}

/// Whoever has an address that a server takes for the peer's could end each search if it knew the id.
#[test]
fn m20_nobody_can_tell_under_which_id_a_resource_is_asked() {
    run(async {
        let mut ids = std::collections::BTreeSet::new();
        for _ in 0..2 {
            let mut stage = Stage::new();
            let found = tokio::spawn(find(stage.handle.clone()));
            for resource in ["phone", "xtls"] {
                stage.online(&full(resource)).await;
                let (_, id) = stage.asked().await;
                let random = id.strip_prefix("xtls-find-").unwrap();
                assert!(random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
                ids.insert(id);
            }
            found.abort();
        }
        assert_eq!(ids.len(), 4);
    });
}

#[test]
fn a_search_that_is_dropped_leaves_its_answers_to_the_client() {
    run(async {
        let mut stage = Stage::new();
        let handle = stage.handle.clone();
        {
            let account = account();
            let mut found = pin!(handle.find(&account));
            assert!(timeout(Duration::from_secs(1), &mut found).await.is_err());
            stage.online(&full("xtls")).await;
            assert!(timeout(Duration::from_secs(1), &mut found).await.is_err());
        }
        stage.stanzas.next().await.unwrap();
        let (_, id) = stage.asked().await;
        stage.answer(&full("xtls"), &id, ns::XTLS_1).await;
        assert!(stage.stanzas.next().await.unwrap().contains(&id));
    });
}
