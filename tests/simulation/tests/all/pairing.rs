//! Two users pair, as docs/wire.md § 7 says, and somebody on the way does not let them (attack table, rows M4, M5, M13, P14).
use std::{cell::RefCell, rc::Rc};

use crate::common::{
    JULIET, ROMEO, SECOND, close, data_of,
    password::{guesses, strangers, word, wrong},
    with_data, xml,
};
use xtls::{
    CloseReason, Event, Fault, Password, TrustPolicy, TunnelId, TunnelOptions,
    trust::{Fingerprint, Learned, Method, Pin},
};
use xtls_testkit::{EntityId, EntityOptions, Fate, Passed, World};

/// What a pairing comes to for one end.
#[derive(Debug, Default)]
struct Outcome {
    /// The certificate that is pinned.
    pinned: Option<Fingerprint>,
    /// What the user is told that is not as it should be.
    told: Vec<String>,
}

/// By a password, and whatever is pinned does not stand for it.
fn by_code(code: Password) -> TunnelOptions {
    let mut options = xml(TrustPolicy::Pinned).with_password(code);
    options.terms.methods = vec![Method::Srp];
    options
}

/// Offers a tunnel, which the other one takes.
fn meet(world: &mut World, [from, to]: [EntityId; 2], [here, there]: [TunnelOptions; 2]) -> [Option<TunnelId>; 2] {
    let peer = world.jid(to).clone();
    let ours = world.with(from, |engine, now| engine.initiate(now, peer, here)).ok();
    world.run();
    let theirs = world.accept(to, there);
    world.run();
    [ours, theirs]
}

/// Pairs two who know these codes.
fn pair(world: &mut World, ends: [EntityId; 2], codes: [Password; 2]) -> [Outcome; 2] {
    let mut outcomes = [Outcome::default(), Outcome::default()];
    let tunnels = meet(world, ends, codes.map(by_code));
    for (end, tunnel) in ends.into_iter().zip(tunnels) {
        let asked = |engine: &mut xtls::Engine, now| engine.tunnel(tunnel?)?.request_certificates(now).ok();
        let _ = world.with(end, asked);
    }
    world.run();
    if let Some(tunnel) = tunnels[0].filter(|tunnel| world.with(ends[0], |engine, _| engine.tunnel(*tunnel).is_some()))
    {
        close(world, ends[0], tunnel);
    }
    world.run_for(900 * SECOND);
    let mut given = [None, None];
    for at in [0, 1] {
        for event in world.take_events(ends[at]) {
            match event {
                Event::CertificatesReceived { result: Ok(received), .. } => {
                    let own = received.into_iter().find(|one| one.held);
                    given[at] = own.map(|own| own.certificate.fingerprint_sha256());
                }
                Event::CertificatesReceived { result: Err(fault), .. } => outcomes[at].told.push(fault.to_string()),
                Event::Closed(closed) if !matches!(closed.reason, CloseReason::Done) || closed.truncated => {
                    outcomes[at].told.push(closed.reason.to_string());
                }
                _ => {}
            }
        }
    }
    // Only where both have one is there a second tunnel; whoever has none is told.
    if given.contains(&None) {
        for (outcome, given) in outcomes.iter_mut().zip(given) {
            if given.is_some() || outcome.told.is_empty() {
                outcome.told.push("there was no second tunnel".to_owned());
            }
        }
        return outcomes;
    }
    prove(world, ends, given, &mut outcomes);
    outcomes
}

/// The second tunnel. What it does not confirm is not pinned.
fn prove(world: &mut World, ends: [EntityId; 2], given: [Option<Fingerprint>; 2], outcomes: &mut [Outcome; 2]) {
    let peers = [ends[1], ends[0]].map(|peer| world.jid(peer).to_bare());
    for at in [0, 1] {
        let pin = given[at].map(|given| Pin::new(given, Learned::Pairing));
        world.with_store(ends[at], |store| pin.into_iter().for_each(|pin| store.pin(&peers[at], pin)));
    }
    meet(world, ends, [xml(TrustPolicy::Pinned), xml(TrustPolicy::Pinned)]);
    world.run_for(900 * SECOND);
    for at in [0, 1] {
        let mut is_confirmed = false;
        for event in world.take_events(ends[at]) {
            match event {
                Event::Secured { security, .. } => is_confirmed |= security.confirmed,
                Event::Confirmed { .. } => is_confirmed = true,
                Event::Closed(closed) => outcomes[at].told.push(closed.reason.to_string()),
                _ => {}
            }
        }
        if is_confirmed {
            outcomes[at].pinned = given[at];
        } else {
            outcomes[at].told.push("the second tunnel was not confirmed".to_owned());
        }
    }
}

/// What a pairing comes to where this becomes of each stanza between the two, by its number.
fn meddled(mut fate: impl FnMut(u32, &Passed) -> Fate + 'static) -> [Outcome; 2] {
    let (mut world, ends) = strangers(61);
    let mut count = 0;
    world.relay.meddle(move |passed| {
        count += 1;
        fate(count, passed)
    });
    let outcomes = pair(&mut world, ends, [word(), word()]);
    for (outcome, peer) in outcomes.iter().zip([ends[1], ends[0]]) {
        let own = world.identity(peer).fingerprint_sha256();
        assert!(outcome.pinned.is_none_or(|pinned| pinned == own), "somebody else's is pinned");
        assert!(outcome.pinned.is_some() || !outcome.told.is_empty(), "nobody is told: {outcome:?}");
    }
    outcomes
}

#[test]
fn two_who_know_the_code_pin_one_another() {
    let outcomes = meddled(|_, _| Fate::Pass);
    assert!(outcomes.iter().all(|outcome| outcome.pinned.is_some() && outcome.told.is_empty()), "{outcomes:?}");
}

/// The servers are Mallory's, who has engines of his own and does not know the code.
#[test]
fn m05_a_man_in_the_middle_of_a_pairing_with_engines_of_his_own_guesses_once_at_each_end() {
    let mut near = World::default();
    let romeo = near.add(ROMEO, EntityOptions::seeded(71));
    let false_juliet = near.add(JULIET, EntityOptions::seeded(72));
    let mut far = World::default();
    let false_romeo = far.add(ROMEO, EntityOptions::seeded(73));
    let juliet = far.add(JULIET, EntityOptions::seeded(74));
    for (world, ends, victim) in [(&mut near, [romeo, false_juliet], 0), (&mut far, [false_romeo, juliet], 1)] {
        let codes = if victim == 0 { [word(), wrong()] } else { [wrong(), word()] };
        let outcome = &pair(world, ends, codes)[victim];
        assert_eq!(outcome.pinned, None);
        assert_eq!(outcome.told.first(), Some(&Fault::WrongPassword.to_string()), "{outcome:?}");
        assert_eq!(guesses(world, ends[victim], ends[1 - victim]), 1);
    }
}

/// Whatever one stanza he alters, loses or doubles, nobody pins a certificate that is not the other's, and whoever pins none is told.
#[test]
fn m13_whatever_is_altered_on_the_way_of_a_pairing_nobody_else_is_pinned_and_each_end_is_told() {
    let requests = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&requests);
    meddled(move |number, passed| {
        // An acknowledgement that is lost is the same as a request that is.
        if !passed.stanza.contains("type='result'") {
            seen.borrow_mut().push(number);
        }
        Fate::Pass
    });
    let requests = requests.take();
    assert!((20..100).contains(&requests.len()), "{requests:?}");
    let mut failed = 0;
    for victim in &requests {
        let victim = *victim;
        let outcomes = meddled(move |number, passed| match number == victim {
            true => Fate::Replace(altered(&passed.stanza, number)),
            false => Fate::Pass,
        });
        failed += usize::from(outcomes.iter().any(|outcome| outcome.pinned.is_none()));
    }
    assert!(failed > requests.len() / 4, "{failed} of {}", requests.len());
}

/// The stanza with another byte in its data, or in the first fingerprint that it announces; what has neither is lost or doubled.
fn altered(stanza: &str, number: u32) -> Vec<String> {
    if stanza.contains("<data ") {
        let mut data = data_of(stanza);
        let at = data.len() / 2;
        data[at] ^= 1;
        return vec![with_data(stanza, &data)];
    }
    if let Some((before, after)) = stanza.split_once("<fingerprint algo='sha1'>") {
        let digit = if after.starts_with('0') { "1" } else { "0" };
        return vec![format!("{before}<fingerprint algo='sha1'>{digit}{}", &after[1..])];
    }
    if number.is_multiple_of(2) { Vec::new() } else { vec![stanza.to_owned(), stanza.to_owned()] }
}
