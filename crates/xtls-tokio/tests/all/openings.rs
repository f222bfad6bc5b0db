//! Tunnels that are on their way, and how they and drivers are ended by a word.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, future::poll_fn};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};
use xtls::{
    Application, CloseReason, Closed, Config, EndedBy, Event, Fault, TrustDecision, TrustPolicy, TunnelOptions,
    jid::FullJid, jingle::ReasonCondition, trust::MemoryTrustStore,
};
use xtls_tokio::{CallError, Driver, End, OuterStream, Question, Received, memory};

use crate::common::{Client, JULIET, ROMEO, Who, bytes_between, message, raw, run, stream, two, xml_between};

fn juliet() -> FullJid {
    JULIET.parse().unwrap()
}

fn is_terminated(closed: &Closed, by: EndedBy, condition: ReasonCondition) -> bool {
    closed.by == by && matches!(&closed.reason, CloseReason::Terminated(reason) if reason.condition == condition)
}

#[test]
fn an_attempt_tells_how_far_it_has_come() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, other] = &clients;
        let ours = romeo.handle.open(juliet(), stream()).unwrap();
        assert_eq!(ours.peer(), juliet());
        let offer = other.handle.incoming().await.unwrap();
        // Nothing is accepted yet.
        assert!(timeout(Duration::from_secs(5), ours.secured()).await.is_err());
        let ours = ours.into_tunnel().unwrap_err();
        let theirs = offer.open(stream()).unwrap();
        let (ours_secured, theirs_secured) = tokio::join!(ours.secured(), theirs.secured());
        assert!(ours_secured.unwrap().confirmed && theirs_secured.unwrap().confirmed);
        let (ours, theirs) = tokio::join!(ours.opened(), theirs.opened());
        for opened in [ours.unwrap(), theirs.unwrap()] {
            assert!(opened.into_xml().is_ok());
        }
    });
}

#[test]
fn an_attempt_or_a_tunnel_that_is_broken_off_tells_the_peer_why() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, other] = &clients;
        let ours = romeo.handle.open(juliet(), raw()).unwrap();
        let theirs = other.handle.incoming().await.unwrap().open(raw()).unwrap();
        theirs.abort(ReasonCondition::Busy);
        let Err(CallError::Closed(closed)) = ours.opened().await else { panic!("it is open") };
        assert!(is_terminated(&closed, EndedBy::Remote, ReasonCondition::Busy), "{closed:?}");
        assert!(is_terminated(&*theirs.closed().await, EndedBy::Local, ReasonCondition::Busy));

        let [mut ours, mut theirs] = bytes_between(&clients).await;
        theirs.write_all(b"what came before").await.unwrap();
        theirs.flush().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        ours.abort(ReasonCondition::FailedApplication);
        // It can still be read, and the end waits for that.
        assert!(timeout(Duration::from_secs(5), ours.closed()).await.is_err());
        let mut came = [0; 16];
        ours.read_exact(&mut came).await.unwrap();
        assert_eq!(&came, b"what came before");
        assert_eq!(ours.read(&mut came).await.unwrap(), 0);
        assert!(is_terminated(&*ours.closed().await, EndedBy::Local, ReasonCondition::FailedApplication));
        let closed = theirs.closed().await;
        assert!(is_terminated(&closed, EndedBy::Remote, ReasonCondition::FailedApplication), "{closed:?}");
        assert!(closed.truncated);
    });
}

#[test]
fn an_end_that_was_begun_is_in_order_though_the_tunnel_is_dropped() {
    run(async {
        let clients = two(&Config::default());
        for drops in [false, true] {
            let [mut ours, mut theirs] = bytes_between(&clients).await;
            ours.write_all(b"all of it").await.unwrap();
            ours.begin_close();
            let kept = (!drops).then_some(ours);
            let mut came = Vec::new();
            theirs.read_to_end(&mut came).await.unwrap();
            assert_eq!(came, b"all of it");
            let closed = theirs.closed().await;
            assert!(matches!(closed.reason, CloseReason::Done) && !closed.truncated, "{closed:?}");
            if let Some(ours) = kept {
                let closed = ours.closed().await;
                assert!(matches!(closed.reason, CloseReason::Done) && closed.unacked == 0, "{closed:?}");
            }
        }
    });
}

#[test]
fn one_direction_is_finished_without_waiting_and_the_other_goes_on() {
    run(async {
        let clients = two(&Config::default());
        let [mut ours, mut theirs] = bytes_between(&clients).await;
        ours.write_all(b"all of it").await.unwrap();
        ours.finish().unwrap();
        assert!(!theirs.is_finished());
        let mut came = Vec::new();
        theirs.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, b"all of it");
        assert!(theirs.is_finished() && !ours.is_finished());
        theirs.write_all(b"and more").await.unwrap();
        ours.read_exact(&mut [0; 8]).await.unwrap();
        theirs.finish().unwrap();
        for end in [ours, theirs] {
            let closed = end.closed().await;
            assert!(matches!(closed.reason, CloseReason::Done) && closed.unacked == 0, "{closed:?}");
        }
    });
}

#[test]
fn each_event_is_shown_before_it_is_passed_on() {
    run(async {
        let [romeo, juliet] = Who::both();
        let (one, other) = memory::pair(&romeo.jid, &juliet.jid, 16);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let start = |engine, outer, seen: Option<Arc<Mutex<Vec<&'static str>>>>| {
            let (driver, handle, stanzas) = Driver::new(engine, outer);
            let driver = driver.observed(move |engine, event| {
                let name = match event {
                    Event::Secured { id, .. } => {
                        assert!(engine.tunnel(*id).is_some_and(|tunnel| tunnel.security().is_some()));
                        "secured"
                    }
                    Event::StreamOpened { .. } => "opened",
                    Event::Stanza { .. } => "stanza",
                    Event::StreamClosed { .. } => "stream closed",
                    Event::Closed(_) => "closed",
                    _ => return,
                };
                seen.iter().for_each(|seen| seen.lock().unwrap().push(name));
            });
            tokio::spawn(driver);
            (handle, stanzas)
        };
        let (his, _his) = start(romeo.engine(&juliet, Config::default()), one, Some(Arc::clone(&seen)));
        let (hers, _hers) = start(juliet.engine(&romeo, Config::default()), other, None);
        let mut options = TunnelOptions::new(Application::XmlStream, TrustPolicy::Pinned);
        options.check_support = false;
        let accepts = async { hers.incoming().await.unwrap().accept(options.clone()).await };
        let (ours, theirs) = tokio::join!(his.call(juliet.jid.clone(), options.clone()), accepts);
        let (mut ours, mut theirs) = (ours.unwrap().into_xml().unwrap(), theirs.unwrap().into_xml().unwrap());
        assert_eq!(*seen.lock().unwrap(), ["secured", "opened"]);
        futures::SinkExt::send(&mut theirs, message("hello")).await.unwrap();
        assert!(ours.next().await.unwrap().is_ok());
        theirs.begin_close();
        assert!(ours.next().await.is_none());
        ours.closed().await;
        assert_eq!(*seen.lock().unwrap(), ["secured", "opened", "stanza", "stream closed", "closed"]);
    });
}

#[test]
fn a_driver_that_is_stopped_sends_what_waits_and_leaves_the_tunnels() {
    run(async {
        let clients = two(&Config::default());
        let [mut ours, mut theirs] = bytes_between(&clients).await;
        let [romeo, _other] = clients;
        ours.write_all(b"last words").await.unwrap();
        let before = Instant::now();
        assert!(romeo.handle.end().is_none());
        assert!(matches!(romeo.handle.stop().await, End::Shutdown));
        assert!(matches!(romeo.handle.end(), Some(End::Shutdown)));
        assert!(before.elapsed() < Duration::from_secs(1));
        assert!(matches!(romeo.driver.await.unwrap().end, End::Shutdown));
        let Err(CallError::Gone(End::Shutdown)) = romeo.handle.open(juliet(), raw()) else {
            panic!("there is no driver")
        };
        let closed = ours.closed().await;
        assert!(matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::Disconnected)));
        // The outer stream is not closed by that, and she is told nothing.
        let mut came = [0; 10];
        theirs.read_exact(&mut came).await.unwrap();
        assert_eq!(&came, b"last words");
    });
}

#[test]
fn another_stream_than_the_first_one_ends_the_tunnel_in_order() {
    run(async {
        let clients = two(&Config::default());
        let [mut ours, theirs] = xml_between(&clients).await;
        let [_romeo, other] = &clients;
        other.handle.with_engine(|engine, now| engine.tunnel(theirs.id()).unwrap().close_stream(now)).unwrap();
        assert!(ours.next().await.is_none());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let again = other
            .handle
            .with_engine(|engine, now| engine.tunnel(theirs.id()).map(|mut tunnel| tunnel.open_stream(now)));
        assert!(matches!(again, Some(Ok(()))), "{again:?}");
        let closed = timeout(Duration::from_secs(1), theirs.closed()).await.expect("it is not waited for");
        assert!(matches!(closed.reason, CloseReason::Done) && !closed.truncated, "{closed:?}");
    });
}

#[test]
fn xep_0166_6_3_2_a_tunnel_is_with_whom_it_was_redirected_to() {
    run(async {
        let [romeo, juliet] = Who::both();
        let (one, mut other) = memory::pair(&romeo.jid, &juliet.jid, 16);
        let (driver, handle, _stanzas) = Driver::new(romeo.engine(&juliet, Config::default()), one);
        tokio::spawn(driver);
        let mut options = raw();
        options.check_support = false;
        let offered = handle.open(juliet.jid.clone(), options).unwrap();
        let Received::Stanza(stanza) = poll_fn(|cx| other.poll_recv(cx)).await else { panic!("nothing is offered") };
        let id = stanza.split_once(" id='").unwrap().1.split_once('\'').unwrap().0;
        let chamber = "juliet@capulet.example/chamber";
        let answer = format!(
            "<iq type='error' id='{id}' to='{ROMEO}'><error type='modify'><redirect \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:{chamber}</redirect></error></iq>"
        );
        poll_fn(|cx| other.poll_ready(cx)).await.unwrap();
        other.start_send(answer).unwrap();
        let notice = handle.notice().await.unwrap();
        assert!(
            matches!(&notice.event, Event::Redirected { id, peer } if *id == offered.id() && peer.as_str() == chamber)
        );
        assert_eq!(offered.peer().as_str(), chamber);
    });
}

/// Juliet's user judges the certificate for longer than a confirmation is waited for.
#[test]
fn a_confirmation_that_comes_later_is_told_and_is_in_the_security() {
    run(async {
        let [one, other] = Who::both();
        let (there, here) = memory::pair(&one.jid, &other.jid, 16);
        let romeo = Client::start(one.engine(&other, Config::default()), there);
        let mut config = Config::default();
        config.sole_handler = true;
        let hers = Client::start(other.engine_with(MemoryTrustStore::default(), config), here);
        let ours = romeo.handle.open(juliet(), raw()).unwrap();
        let offer = hers.handle.incoming().await.unwrap();
        let theirs = offer.open(TunnelOptions::new(Application::bytes(), TrustPolicy::Ask)).unwrap();
        let Some(Question::Certificate(question)) = hers.handle.question().await else { panic!("nothing is asked") };
        assert!(!ours.secured().await.unwrap().confirmed);
        question.answer(TrustDecision::Accept).unwrap();
        let notice = romeo.handle.notice().await.unwrap();
        assert!(matches!(notice.event, Event::Confirmed { id } if id == ours.id()), "{notice:?}");
        assert!(ours.security().unwrap().confirmed);
        drop(theirs.opened().await.unwrap());
    });
}
