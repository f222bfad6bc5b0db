//! Peers that do not see one another's presence: who is asked to show itself, and who is shown (XEP-0276). The server is played by
//! hand.

use std::{future::poll_fn, time::Duration};

use tokio::time::{Instant, timeout};
use xtls::{
    Config, Element, Event,
    config::AnswerOffers,
    jid::{BareJid, FullJid},
    xml::{Caps, Disco, DiscoIdentity, ns},
};
use xtls_tokio::{CallError, Driver, Handle, OuterStream, Received, memory, memory::MemoryStream};

use crate::common::{JULIET, Who, element, run};

/// Romeo's client, which trusts Juliet, and the server's end of its connection.
struct Stage {
    handle: Handle,
    server: MemoryStream,
}

impl Stage {
    fn new(config: Config, set_up: impl FnOnce(Driver<MemoryStream>) -> Driver<MemoryStream>) -> Self {
        let [romeo, juliet] = Who::both();
        let (here, server) = memory::pair(&romeo.jid, &juliet.jid, 64);
        let engine = romeo.engine(&juliet, config);
        let disco = Disco::new(engine.disco_info(DiscoIdentity::new("client", "bot")), "urn:example:test").unwrap();
        let (driver, handle, stanzas) = Driver::new(engine, here);
        tokio::spawn(set_up(driver.with_disco(disco)));
        // Nobody reads the client's share.
        drop(stanzas);
        Self { handle, server }
    }

    async fn say(&mut self, text: &str) {
        poll_fn(|cx| self.server.poll_ready(cx)).await.unwrap();
        self.server.start_send(text.to_owned()).unwrap();
    }

    async fn hear(&mut self) -> Element {
        let Received::Stanza(stanza) = poll_fn(|cx| self.server.poll_recv(cx)).await else { panic!("it has ended") };
        element(&stanza.replacen("<iq ", "<iq xmlns='jabber:client' ", 1).replacen(
            "<presence ",
            "<presence xmlns='jabber:client' ",
            1,
        ))
    }

    async fn hears_nothing(&mut self) {
        let heard = timeout(Duration::from_secs(30), self.hear()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Answers the question what it can do that comes next.
    async fn answer(&mut self, resource: &str, feature: Option<&str>) {
        let query = self.hear().await;
        assert_eq!(query.attribute("to"), Some(resource), "{query:?}");
        let id = query.attribute("id").unwrap().to_owned();
        self.say(&match feature {
            Some(feature) => format!(
                "<iq type='result' from='{resource}' id='{id}'><query xmlns='{}'><identity category='client' \
                 type='pc'/><feature var='{feature}'/></query></iq>",
                ns::DISCO_INFO
            ),
            None => format!(
                "<iq type='error' from='{resource}' id='{id}'><error type='cancel'><service-unavailable \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            ),
        })
        .await;
    }

    /// Directed presence to this address comes next, with capabilities and nothing else but the question that it may be.
    async fn is_shown_to(&mut self, to: &str, asks: bool) {
        let presence = self.hear().await;
        assert_eq!((presence.name(), presence.attribute("to")), ("presence", Some(to)));
        assert_eq!(presence.attribute("type"), None);
        assert!(presence.child("c", ns::CAPS).and_then(Caps::parse).is_some());
        assert_eq!(presence.child("decloak", ns::DECLOAK).is_some(), asks, "{presence:?}");
        assert_eq!(presence.children().count(), 1 + usize::from(asks));
    }
}

fn same(driver: Driver<MemoryStream>) -> Driver<MemoryStream> {
    driver
}

fn account() -> BareJid {
    JULIET.parse::<FullJid>().unwrap().to_bare()
}

fn full(resource: &str) -> String {
    format!("{}/{resource}", account())
}

/// Looks for Juliet, who usually takes this resource.
async fn find(handle: Handle, usual: &str) -> Result<FullJid, CallError> {
    handle.find_or_ask(&account(), &[full(usual).parse().unwrap()]).await
}

fn asking(from: &str) -> String {
    format!("<presence from='{from}'><decloak xmlns='{}'/></presence>", ns::DECLOAK)
}

#[test]
fn an_account_whose_usual_resource_is_not_there_is_asked_to_show_itself_and_found() {
    run(async {
        let mut stage = Stage::new(Config::default(), same);
        let before = Instant::now();
        let found = tokio::spawn(find(stage.handle.clone(), "xtls"));
        stage.answer(&full("xtls"), None).await;
        stage.is_shown_to(account().as_str(), true).await;
        stage.say(&format!("<presence from='{}'/>", full("hall"))).await;
        stage.answer(&full("hall"), Some(ns::XTLS_0)).await;
        assert_eq!(found.await.unwrap().unwrap().as_str(), full("hall"));
        assert!(before.elapsed() < Duration::from_secs(1), "it does not wait for what is known");
    });
}

#[test]
fn an_account_is_asked_once_after_a_time_where_the_usual_resource_says_nothing_and_not_where_it_has_xtls() {
    run(async {
        let mut stage = Stage::new(Config::default(), same);
        let before = Instant::now();
        let found = tokio::spawn(find(stage.handle.clone(), "xtls"));
        assert!(stage.hear().await.child("query", ns::DISCO_INFO).is_some());
        stage.is_shown_to(account().as_str(), true).await;
        assert_eq!(before.elapsed().as_millis(), 1500);
        assert!(matches!(found.await.unwrap(), Err(CallError::Offline)));
        stage.hears_nothing().await;

        let mut stage = Stage::new(Config::default(), same);
        let found = tokio::spawn(find(stage.handle.clone(), "xtls"));
        stage.answer(&full("xtls"), Some(ns::XTLS_1)).await;
        assert_eq!(found.await.unwrap().unwrap().as_str(), full("xtls"));
        stage.hears_nothing().await;
        // Who only looks at presence asks nobody.
        let handle = stage.handle.clone();
        let found = tokio::spawn(async move { handle.find(&account()).await });
        assert!(matches!(found.await.unwrap(), Err(CallError::Offline)));
        stage.hears_nothing().await;
    });
}

#[test]
fn no_account_is_asked_while_a_resource_that_shows_itself_has_not_answered() {
    run(async {
        let mut stage = Stage::new(Config::default(), same);
        stage.say(&format!("<presence from='{}'/>", full("hall"))).await;
        let found = tokio::spawn(find(stage.handle.clone(), "hall"));
        let query = stage.hear().await;
        assert!(timeout(Duration::from_secs(5), stage.hear()).await.is_err());
        let id = query.attribute("id").unwrap();
        let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        stage.say(&format!("<iq type='error' from='{}' id='{id}'>{error}</iq>", full("hall"))).await;
        stage.is_shown_to(account().as_str(), true).await;
        assert!(matches!(found.await.unwrap(), Err(CallError::NoXtls)));
    });
}

#[test]
fn one_resource_is_asked_whether_it_shows_itself_or_not_and_no_other_one_will_do() {
    run(async {
        let ask = |handle: Handle| async move { handle.ask(&full("hall").parse().unwrap()).await };
        let mut stage = Stage::new(Config::default(), same);
        stage.say(&format!("<presence from='{}'/>", full("xtls"))).await;
        let asked = tokio::spawn(ask(stage.handle.clone()));
        stage.answer(&full("hall"), None).await;
        // It is sent our presence, and not the account.
        stage.is_shown_to(&full("hall"), true).await;
        stage.say(&format!("<presence from='{}'/>", full("hall"))).await;
        stage.answer(&full("hall"), Some(ns::XTLS_0)).await;
        asked.await.unwrap().unwrap();
        let asked = tokio::spawn(ask(stage.handle.clone()));
        stage.answer(&full("hall"), None).await;
        assert!(matches!(asked.await.unwrap(), Err(CallError::NoXtls)));
    });
}

#[test]
fn one_that_goes_while_it_is_asked_is_not_there_since_it_is_the_server_that_answers() {
    run(async {
        let mut stage = Stage::new(Config::default(), same);
        stage.say(&format!("<presence from='{}'/>", full("hall"))).await;
        let handle = stage.handle.clone();
        let asked = tokio::spawn(async move { handle.ask(&full("hall").parse().unwrap()).await });
        let query = stage.hear().await;
        stage.say(&format!("<presence type='unavailable' from='{}'/>", full("hall"))).await;
        let id = query.attribute("id").unwrap();
        let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        stage.say(&format!("<iq type='error' from='{}' id='{id}'>{error}</iq>", full("hall"))).await;
        stage.is_shown_to(&full("hall"), true).await;
        // Who waits for it waits on.
        assert!(matches!(asked.await.unwrap(), Err(CallError::Offline)));
    });
}

#[test]
fn rfc_6121_4_6_a_peer_that_is_known_and_asks_is_shown_that_we_are_there_and_a_stranger_learns_nothing() {
    run(async {
        let mut stage = Stage::new(Config::default(), Driver::shown_to_callers);
        for stranger in ["mercutio@verona.example/x", "capulet.example/x", "juliet@verona.example/x"] {
            stage.say(&asking(stranger)).await;
        }
        // Nor do those who only tell that they are there, or do not say where.
        stage.say(&format!("<presence from='{}'/>", full("hall"))).await;
        stage.say(&asking(account().as_str())).await;
        stage.say(&asking(&full("hall")).replace("<presence", "<presence type='unavailable'")).await;
        stage.hears_nothing().await;
        stage.say(&asking(&full("hall"))).await;
        stage.is_shown_to(&full("hall"), false).await;
        // Whom the client names is no stranger.
        stage.handle.with_engine(|engine, _| engine.allow_offers("mercutio@verona.example".parse().unwrap(), true));
        stage.say(&asking("mercutio@verona.example/x")).await;
        stage.is_shown_to("mercutio@verona.example/x", false).await;
        // Three times a minute.
        for _ in 0..4 {
            stage.say(&asking(&full("hall"))).await;
        }
        stage.is_shown_to(&full("hall"), false).await;
        stage.is_shown_to(&full("hall"), false).await;
        stage.hears_nothing().await;
        tokio::time::sleep(Duration::from_secs(31)).await;
        stage.say(&asking(&full("hall"))).await;
        stage.is_shown_to(&full("hall"), false).await;
    });
}

#[test]
fn nobody_is_shown_anything_by_a_client_that_does_not_want_that() {
    run(async {
        let mut stage = Stage::new(Config::default(), same);
        stage.say(&asking(&full("hall"))).await;
        stage.hears_nothing().await;
        let notice = stage.handle.notice().await.unwrap().event;
        assert!(matches!(notice, Event::PresenceWanted { peer } if peer.as_str() == full("hall")));
        let mut config = Config::default();
        config.answer_offers = AnswerOffers::Never;
        let mut stage = Stage::new(config, Driver::shown_to_callers);
        stage.say(&asking(&full("hall"))).await;
        stage.hears_nothing().await;
    });
}
