//! Wrong passwords: what both ends say, how often one may guess, and who cannot make us forget it.
use std::time::Duration;

use crate::common::{
    Ended, JULIET, ROMEO, SECOND, closed, data_of,
    password::{asking, by_word, guesses, meet, secured, strangers, strangers_with, word, wrong},
    raw, sent, terminations, with_data,
};
use xtls::{
    EndedBy, Fault, TrustPolicy, TunnelOptions,
    error::{InitiateError, TermsError},
    trust::{Authentication, Guess, GuessLimits, Permit, TrustStore as _},
};
use xtls_testkit::{EntityId, EntityOptions, Fate, Passed, World};

const HOUR: Duration = Duration::from_secs(3600);

fn by_wrong_word() -> TunnelOptions {
    raw(TrustPolicy::Pinned).with_password(wrong())
}

/// Romeo tries a wrong password; gives both ends.
fn guess(world: &mut World, ends: [EntityId; 2]) -> [Ended; 2] {
    meet(world, ends, by_wrong_word(), by_word());
    world.run_for(10 * SECOND);
    [closed(world, ends[0]), closed(world, ends[1])]
}

fn offer(world: &mut World, ends: [EntityId; 2], options: TunnelOptions) -> Result<xtls::TunnelId, InitiateError> {
    let peer = world.jid(ends[1]).clone();
    world.with(ends[0], |engine, now| engine.initiate(now, peer, options))
}

#[test]
fn a_wrong_password_is_the_same_fault_at_both_ends_and_one_guess() {
    for other_way_round in [false, true] {
        let (mut world, ends) = strangers(1);
        let (here, there) = if other_way_round { (by_word(), by_wrong_word()) } else { (by_wrong_word(), by_word()) };
        meet(&mut world, ends, here, there);
        world.run_for(10 * SECOND);
        let [one, other] = ends.map(|id| closed(&mut world, id));
        for end in [&one, &other] {
            assert!(matches!(end.fault, Some(Fault::WrongPassword)), "{end:?}");
            assert!(end.security && end.by == EndedBy::Engine && !end.secured && !end.truncated, "{end:?}");
        }
        assert_eq!(one.said, other.said);
        assert_eq!(terminations(&world, JULIET, ROMEO), ["security-error"]);
        assert_eq!([guesses(&world, ends[0], ends[1]), guesses(&world, ends[1], ends[0])], [1, 1]);
    }
}

#[test]
fn p14_a_lock_that_falls_while_support_is_asked_for_ends_the_tunnel_before_any_offer() {
    let (mut world, ends) = strangers(4);
    offer(&mut world, ends, by_word()).unwrap();
    let unix = 1_767_225_600;
    let [own, peer] = ends.map(|id| world.jid(id).to_bare());
    world.with_store(ends[0], |store| {
        let guess = Guess::new(xtls_testkit::unix(unix), GuessLimits::default());
        let mut guesses = (0..3).map(|_| store.begin_guess(&own, &peer, &guess));
        assert!(guesses.all(|permit| permit == Ok(Permit::Granted)));
    });
    world.run();
    let end = closed(&mut world, ends[0]);
    assert!(matches!(end.fault, Some(Fault::PasswordLocked { .. })), "{end:?}");
    assert!(end.security, "{end:?}");
    assert!(!sent(&world, ROMEO, JULIET).iter().any(|stanza| stanza.contains("session-initiate")));
}

#[test]
fn p14_after_three_wrong_passwords_nothing_is_tried_until_the_cool_down_is_over() {
    let (mut world, ends) = strangers(3);
    for failed in 1..=3 {
        guess(&mut world, ends);
        assert_eq!([guesses(&world, ends[0], ends[1]), guesses(&world, ends[1], ends[0])], [failed, failed]);
    }
    let before = world.relay.log().len();
    for options in [by_word(), asking(TrustPolicy::Pinned), asking(TrustPolicy::LeapOfFaith)] {
        assert_eq!(offer(&mut world, ends, options), Err(InitiateError::Terms(TermsError::PasswordLocked)));
    }
    world.run();
    assert_eq!(world.relay.log().len(), before, "nothing was sent");
    world.run_for(HOUR - 60 * SECOND);
    assert_eq!(offer(&mut world, ends, by_word()), Err(InitiateError::Terms(TermsError::PasswordLocked)));
    world.run_for(60 * SECOND);
    // One more for each cool-down.
    guess(&mut world, ends);
    assert_eq!(offer(&mut world, ends, by_word()), Err(InitiateError::Terms(TermsError::PasswordLocked)));
    world.run_for(HOUR);
    meet(&mut world, ends, by_word(), by_word());
    for id in ends {
        assert_eq!(secured(&mut world, id).authenticated_by, Authentication::Password);
    }
    assert_eq!([guesses(&world, ends[0], ends[1]), guesses(&world, ends[1], ends[0])], [0, 0]);
}

#[test]
fn a_responder_that_is_locked_refuses_without_asking_and_without_a_leap_of_faith() {
    for there in [by_word(), asking(TrustPolicy::Pinned), asking(TrustPolicy::LeapOfFaith)] {
        let (mut world, ends) = strangers(5);
        for _ in 0..3 {
            guess(&mut world, ends);
        }
        let peer = world.jid(ends[1]).to_bare();
        world.with_store(ends[0], |store| assert!(store.forgive(&peer)));
        let here = raw(TrustPolicy::LeapOfFaith).with_password(word());
        meet(&mut world, ends, here, there);
        let end = closed(&mut world, ends[1]);
        assert!(matches!(end.fault, Some(Fault::PasswordLocked { .. })) && end.security, "{end:?}");
        assert_eq!(terminations(&world, JULIET, ROMEO).last().map(String::as_str), Some("security-error"));
        assert!(closed(&mut world, ends[0]).security);
        assert_eq!(guesses(&world, ends[1], ends[0]), 3);
    }
}

#[test]
fn a_pinned_certificate_is_good_while_the_password_is_locked() {
    let (mut world, ends) = strangers(7);
    for _ in 0..3 {
        guess(&mut world, ends);
    }
    world.introduce(ends[0], ends[1]);
    meet(&mut world, ends, by_word(), by_word());
    for id in ends {
        assert_eq!(secured(&mut world, id).authenticated_by, Authentication::Pinned);
    }
}

#[test]
fn p14_guesses_count_for_the_bare_jid_whichever_resource_makes_them_and_whichever_engine_counts() {
    let (mut world, [_, juliet]) = strangers(9);
    let guessers: Vec<_> =
        (0..3_u8).map(|at| world.add(&format!("romeo@montague.lit/{at}"), EntityOptions::seeded(20 + at))).collect();
    for id in &guessers {
        guess(&mut world, [*id, juliet]);
    }
    assert_eq!(guesses(&world, juliet, guessers[0]), 3);
    let fresh = world.add("romeo@montague.lit/fresh", EntityOptions::seeded(30));
    meet(&mut world, [fresh, juliet], by_word(), by_word());
    assert!(matches!(closed(&mut world, juliet).fault, Some(Fault::PasswordLocked { .. })));

    let mut options = EntityOptions::seeded(31);
    let store: std::sync::Arc<std::sync::Mutex<xtls::trust::MemoryTrustStore>> = std::sync::Arc::default();
    options.store = Some(std::sync::Arc::clone(&store));
    let mut second = EntityOptions::seeded(32);
    second.store = Some(store);
    let balcony = world.add("juliet@capulet.lit/one", options);
    let chamber = world.add("juliet@capulet.lit/two", second);
    guess(&mut world, [guessers[0], balcony]);
    guess(&mut world, [guessers[1], chamber]);
    assert_eq!(guesses(&world, chamber, guessers[0]), 2);
}

#[test]
fn p14_handshakes_side_by_side_give_no_more_guesses_than_one_after_the_other() {
    let (mut world, [_, juliet]) = strangers(11);
    let guessers: Vec<_> =
        (0..8_u8).map(|at| world.add(&format!("romeo@montague.lit/{at}"), EntityOptions::seeded(40 + at))).collect();
    let peer = world.jid(juliet).clone();
    // A stranger would not get as many places.
    world.with(juliet, |engine, _| engine.allow_offers("romeo@montague.lit".parse().unwrap(), true));
    for id in &guessers {
        let peer = peer.clone();
        world.with(*id, |engine, now| engine.initiate(now, peer, by_wrong_word())).unwrap();
    }
    world.run();
    // All are accepted before the first one fails.
    while world.accept(juliet, by_word()).is_some() {}
    world.run_for(10 * SECOND);
    assert_eq!(guesses(&world, juliet, guessers[0]), 3);
    let ends = world.take_events(juliet);
    let locked = |event: &&xtls::Event| format!("{event:?}").contains("PasswordLocked");
    assert_eq!(ends.iter().filter(locked).count(), 5, "{ends:?}");
}

#[test]
fn m28_an_alert_forged_before_there_are_keys_is_no_guess_and_no_downgrade() {
    // unknown_psk_identity, bad_record_mac, handshake_failure.
    for alert in [115, 20, 40] {
        for to_the_initiator in [true, false] {
            let (mut world, ends) = strangers(13);
            let sender = if to_the_initiator { JULIET } else { ROMEO };
            // The ServerHello, or the client's answer to it.
            let (mut seen, which) = (0, if to_the_initiator { 1 } else { 2 });
            world.relay.meddle(move |sent| {
                if sent.from != sender || !sent.stanza.contains("<data ") {
                    return Fate::Pass;
                }
                seen += 1;
                if seen != which {
                    return Fate::Pass;
                }
                Fate::Replace(vec![with_data(&sent.stanza, &[21, 3, 3, 0, 2, 2, alert])])
            });
            let options = raw(TrustPolicy::LeapOfFaith).with_password(word());
            meet(&mut world, ends, options.clone(), options);
            world.run_for(10 * SECOND);
            let (at, peer) = if to_the_initiator { (0, 1) } else { (1, 0) };
            let end = closed(&mut world, ends[at]);
            assert!(end.security && !end.secured && end.by == EndedBy::Engine, "{end:?}");
            assert_eq!(guesses(&world, ends[at], ends[peer]), 0, "{alert}");
            let end = closed(&mut world, ends[peer]);
            assert!(end.security && !end.secured, "{end:?}");
            // Nobody tries another method.
            let offers = world.relay.log().iter().filter(|passed| passed.stanza.contains("session-initiate"));
            assert_eq!(offers.count(), 1);
        }
    }
}

#[test]
fn p14_silence_after_our_finished_is_a_guess() {
    for forged_end in [false, true] {
        let (mut world, ends) = strangers(15);
        let mut seen = 0;
        // Nothing of Juliet's comes through once Romeo has sent his Finished.
        world.relay.meddle(move |sent| {
            if sent.from == ROMEO && sent.stanza.contains("<data ") {
                seen += 1;
            }
            let lost = sent.from == JULIET && seen >= 2;
            if lost { Fate::Replace(Vec::new()) } else { Fate::Pass }
        });
        meet(&mut world, ends, by_word(), by_word());
        if forged_end {
            world.disconnect(ends[0]);
        } else {
            world.run_for(200 * SECOND);
        }
        let end = closed(&mut world, ends[0]);
        assert!(!end.secured && end.by == EndedBy::Engine, "{end:?}");
        assert_eq!(guesses(&world, ends[0], ends[1]), 1);
    }
}

#[test]
fn an_end_before_our_finished_is_no_guess() {
    let (mut world, ends) = strangers(17);
    // The ServerHello never comes.
    world.relay.meddle(|sent| {
        let lost = sent.from == JULIET && sent.stanza.contains("<data ");
        if lost { Fate::Replace(Vec::new()) } else { Fate::Pass }
    });
    meet(&mut world, ends, by_word(), by_word());
    world.run_for(200 * SECOND);
    assert!(!closed(&mut world, ends[0]).secured);
    let _ = closed(&mut world, ends[1]);
    assert_eq!([guesses(&world, ends[0], ends[1]), guesses(&world, ends[1], ends[0])], [0, 0]);
}

#[test]
fn how_many_guesses_and_how_long_the_cool_down_is_can_be_chosen() {
    let options = |seed| {
        let mut options = EntityOptions::seeded(seed);
        options.config.security.guesses.in_a_row = 1;
        options.config.security.guesses.cooldown = 600 * SECOND;
        options
    };
    let (mut world, ends) = strangers_with(options(19), options(20));
    guess(&mut world, ends);
    assert_eq!(offer(&mut world, ends, by_word()), Err(InitiateError::Terms(TermsError::PasswordLocked)));
    world.run_for(600 * SECOND);
    offer(&mut world, ends, by_word()).unwrap();
}

#[test]
fn p14_names_that_are_made_up_give_no_more_guesses_and_keep_nobody_out_that_a_password_secured() {
    let mut options = EntityOptions::seeded(24);
    options.config.security.guesses.by_listener = 4;
    let (mut world, [romeo, juliet]) = strangers_with(EntityOptions::seeded(23), options);
    meet(&mut world, [romeo, juliet], by_word(), by_word());
    let _ = (secured(&mut world, romeo), secured(&mut world, juliet));
    let nobodies: Vec<_> =
        (0..8_u8).map(|at| world.add(&format!("nobody{at}@evil.lit/x"), EntityOptions::seeded(60 + at))).collect();
    let mut locked = 0;
    for id in &nobodies {
        let [_, end] = guess(&mut world, [*id, juliet]);
        locked += usize::from(matches!(end.fault, Some(Fault::PasswordLocked { .. })));
    }
    let judged: u32 = nobodies.iter().map(|id| guesses(&world, juliet, *id)).sum();
    assert_eq!((judged, locked), (4, 4));
    // A stranger who knows the word waits as well, and one that was secured by it does not.
    let nurse = world.add("nurse@capulet.lit/x", EntityOptions::seeded(70));
    meet(&mut world, [nurse, juliet], by_word(), by_word());
    assert!(matches!(closed(&mut world, juliet).fault, Some(Fault::PasswordLocked { .. })));
    let another = world.add("romeo@montague.lit/another", EntityOptions::seeded(71));
    meet(&mut world, [another, juliet], by_word(), by_word());
    assert_eq!(secured(&mut world, juliet).authenticated_by, Authentication::Password);
    world.run_for(HOUR);
    meet(&mut world, [nurse, juliet], by_word(), by_word());
    assert!(world.take_events(juliet).iter().any(|event| matches!(event, xtls::Event::Secured { .. })));
}

/// What a server can do to try a guess of its own and not be counted: hold back the alert, and end the session.
#[test]
fn p14_a_session_terminate_in_the_place_of_the_servers_finished_is_a_guess() {
    for reason in ["success", "security-error", "gone"] {
        let (mut world, ends) = strangers(21);
        let mut sid = String::new();
        let mut seen = 0;
        world.relay.meddle(move |sent| {
            if let Some(at) = sent.stanza.find("action='session-accept'") {
                let rest = &sent.stanza[at..];
                sid = rest[rest.find(" sid='").unwrap() + 6..].split('\'').next().unwrap().to_owned();
            }
            if sent.from == ROMEO && sent.stanza.contains("<data ") {
                seen += 1;
            }
            if sent.from != JULIET || seen < 2 {
                return Fate::Pass;
            }
            let terminate = crate::common::script::terminate(&sid, reason);
            Fate::Replace(vec![format!("<iq from='{JULIET}' to='{ROMEO}' type='set' id='t'>{terminate}</iq>")])
        });
        meet(&mut world, ends, by_word(), by_word());
        let end = closed(&mut world, ends[0]);
        assert!(end.by == EndedBy::Remote && !end.secured, "{end:?}");
        assert_eq!(guesses(&world, ends[0], ends[1]), 1);
    }
}

/// A block whose first record is of this type, with a broken record after it.
fn broken_after(record: u8, from: &'static str) -> impl FnMut(&Passed) -> Fate {
    let mut blocks = 0;
    move |sent| {
        if sent.from != from || !sent.stanza.contains("<data ") {
            return Fate::Pass;
        }
        blocks += 1;
        let mut bytes = data_of(&sent.stanza);
        if blocks == 2 {
            assert_eq!(bytes[0], record);
            bytes.extend_from_slice(&[23, 3, 3, 0, 32]);
            bytes.extend_from_slice(&[0; 32]);
        }
        Fate::Replace(vec![with_data(&sent.stanza, &bytes)])
    }
}

#[test]
fn a_right_password_before_a_broken_record_in_the_same_block_is_no_wrong_guess() {
    // The flight that ends with the peer's Finished: the server's begins with its ChangeCipherSpec.
    for (at, record, from) in [(0, 20, JULIET), (1, 22, ROMEO)] {
        let (mut world, ends) = strangers(23);
        world.relay.meddle(broken_after(record, from));
        meet(&mut world, ends, by_word(), by_word());
        let end = closed(&mut world, ends[at]);
        // Records are taken one by one: it is as if the broken one had come in a block of its own.
        assert!(matches!(end.fault, Some(Fault::Tls(_))) && end.secured, "{end:?}");
        assert_eq!(guesses(&world, ends[at], ends[1 - at]), 0);
    }
}
