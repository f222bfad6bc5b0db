//! Calls, offers, questions, and which resource is called.

use std::time::Duration;

use futures::SinkExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};
use xtls::{
    CloseReason, Config, Fault, Password, TrustDecision, TrustPolicy, TunnelOptions,
    error::AcceptError,
    jid::{BareJid, FullJid, Jid},
    jingle::ReasonCondition,
    trust::MemoryTrustStore,
    xml::{Disco, DiscoIdentity, DiscoInfo},
};
use xtls_tokio::{CallError, Driver, Question, memory};

use crate::common::{Client, JULIET, ROMEO, Who, bytes_between, raw, run, stream, two};

fn juliet() -> FullJid {
    JULIET.parse().unwrap()
}

#[test]
fn an_offer_can_be_declined_and_one_that_is_dropped_is() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, other] = &clients;
        for is_dropped in [false, true] {
            let called = romeo.handle.call(juliet(), raw());
            let declined = async {
                let offer = other.handle.incoming().await.unwrap();
                assert_eq!(offer.peer().as_str(), ROMEO);
                if is_dropped {
                    drop(offer);
                } else {
                    offer.reject(ReasonCondition::Busy).unwrap();
                }
            };
            let (called, ()) = tokio::join!(called, declined);
            let Err(CallError::Closed(closed)) = called else { panic!("{called:?}") };
            let wanted = if is_dropped { ReasonCondition::Decline } else { ReasonCondition::Busy };
            assert!(
                matches!(&closed.reason, CloseReason::Terminated(reason) if reason.condition == wanted),
                "{closed:?}"
            );
        }
    });
}

#[test]
fn a_call_that_is_dropped_is_called_off_and_its_offer_stands_no_more() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, other] = &clients;
        assert!(timeout(Duration::from_secs(5), romeo.handle.call(juliet(), raw())).await.is_err());
        tokio::time::sleep(Duration::from_secs(1)).await;
        // It rang, nobody took it, and nothing of it is left.
        assert!(timeout(Duration::from_secs(5), other.handle.incoming()).await.is_err());
        // One that was taken in time.
        let call = timeout(Duration::from_secs(5), romeo.handle.call(juliet(), raw()));
        let (called, offer) = tokio::join!(call, other.handle.incoming());
        assert!(called.is_err());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let accepted = offer.unwrap().accept(raw()).await;
        assert!(matches!(accepted, Err(CallError::Accept(AcceptError::Gone))), "{accepted:?}");
        let [mut there, mut here] = bytes_between(&clients).await;
        there.write_all(b"it works on").await.unwrap();
        here.read_exact(&mut [0; 11]).await.unwrap();
        assert_eq!(romeo.handle.with_engine(|engine, _| engine.tunnels().count()), 1);
    });
}

#[test]
fn an_offer_of_something_else_is_declined_and_both_are_told() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, other] = &clients;
        let taken = async { other.handle.incoming().await.unwrap().accept(stream()).await };
        let (called, taken) = tokio::join!(romeo.handle.call(juliet(), raw()), taken);
        assert!(matches!(taken, Err(CallError::Accept(AcceptError::OtherApplication))), "{taken:?}");
        assert!(matches!(called, Err(CallError::Closed(_))), "{called:?}");
    });
}

/// Neither knows the other: Romeo is asked about the certificate, Juliet takes a leap.
#[test]
fn questions_are_values_to_answer_and_a_dropped_one_refuses() {
    run(async {
        for decision in [Some(TrustDecision::Accept), None] {
            let [one, other] = Who::both();
            let (there, here) = memory::pair(&one.jid, &other.jid, 16);
            let romeo = Client::start(one.engine_with(MemoryTrustStore::default(), Config::default()), there);
            let juliet = Client::start(other.engine_with(MemoryTrustStore::default(), Config::default()), here);
            let asking = TunnelOptions::xml_stream(TrustPolicy::Ask);
            let leaping = TunnelOptions::xml_stream(TrustPolicy::LeapOfFaith);
            let taken = async { juliet.handle.incoming().await.unwrap().accept(leaping).await };
            let answered = async {
                let Some(Question::Certificate(question)) = romeo.handle.question().await else {
                    panic!("no question")
                };
                assert_eq!(question.peer().as_str(), JULIET);
                assert!(question.question().previous.is_empty());
                match decision {
                    Some(decision) => question.answer(decision).unwrap(),
                    None => drop(question),
                }
            };
            let (called, taken, ()) = tokio::join!(romeo.handle.call(other.jid.clone(), asking), taken, answered);
            match decision {
                Some(_) => assert_eq!(called.unwrap().peer(), other.jid),
                None => {
                    let Err(CallError::Closed(closed)) = called else { panic!("{called:?}") };
                    let refused =
                        matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::TrustRefused));
                    assert!(refused && taken.is_err(), "{closed:?}");
                }
            }
        }
    });
}

#[test]
fn a_password_is_asked_for_at_both_ends_and_its_tunnel_ends_as_a_whole() {
    run(async {
        let [one, other] = Who::both();
        let (there, here) = memory::pair(&one.jid, &other.jid, 16);
        let romeo = Client::start(one.engine_with(MemoryTrustStore::default(), Config::default()), there);
        let juliet = Client::start(other.engine_with(MemoryTrustStore::default(), Config::default()), here);
        let answer = async |client: &Client<memory::MemoryStream>| {
            let Some(Question::Password(question)) = client.handle.question().await else { panic!("no question") };
            question.answer(Some(Password::new("crossed stars").unwrap())).unwrap();
        };
        let taken = async { juliet.handle.incoming().await.unwrap().accept(raw().asking_password()).await };
        let call = romeo.handle.call(other.jid.clone(), raw().asking_password());
        let (called, taken, (), ()) = tokio::join!(call, taken, answer(&romeo), answer(&juliet));
        let (mut called, mut taken) = (called.unwrap().into_bytes().unwrap(), taken.unwrap().into_bytes().unwrap());
        called.write_all(b"by TLS 1.2").await.unwrap();
        let mut heard = Vec::new();
        let (shut, read) = tokio::join!(called.shutdown(), taken.read_to_end(&mut heard));
        shut.unwrap();
        read.unwrap();
        assert_eq!(heard, b"by TLS 1.2");
        // One direction cannot end alone there.
        assert!(!called.closed().await.truncated && !taken.closed().await.truncated);
    });
}

#[test]
fn a_bare_address_stands_for_the_resource_with_xtls_that_is_online() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, other] = &clients;
        let account: Jid = "juliet@capulet.example".parse().unwrap();
        // Nobody has shown itself: ten seconds are waited for that.
        let start = Instant::now();
        let nobody = romeo.handle.call(account.clone(), raw()).await;
        assert!(matches!(nobody, Err(CallError::Offline)), "{nobody:?}");
        assert_eq!(start.elapsed().as_secs(), 10);
        // She shows herself while he waits.
        let online = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            other.stanzas.sender().send("<presence/>".to_owned()).await.unwrap();
            other.handle.incoming().await.unwrap().accept(raw()).await
        };
        let (called, taken) = tokio::join!(romeo.handle.call(account.clone(), raw()), online);
        assert_eq!(called.unwrap().peer().as_str(), JULIET);
        drop(taken.unwrap());
        let account: BareJid = account.to_bare();
        assert_eq!(romeo.handle.with_engine(|engine, _| engine.resources(&account)), [juliet()]);
    });
}

#[test]
fn a_resource_without_xtls_is_told_from_nobody() {
    run(async {
        let [one, other] = Who::both();
        let (there, here) = memory::pair(&one.jid, &other.jid, 16);
        let romeo = Client::start(one.engine(&other, Config::default()), there);
        let disco = Disco::new(DiscoInfo::new(DiscoIdentity::new("client", "pc")), "urn:example:older").unwrap();
        let (driver, handle, stanzas) = Driver::new(other.engine(&one, Config::default()), here);
        let driver = tokio::spawn(driver.with_disco(disco));
        stanzas.sender().send("<presence/>".to_owned()).await.unwrap();
        let none = romeo.handle.call("juliet@capulet.example".parse::<BareJid>().unwrap(), raw()).await;
        assert!(matches!(none, Err(CallError::NoXtls)), "{none:?}");
        drop((handle, driver));
    });
}
