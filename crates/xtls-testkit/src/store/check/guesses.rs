//! Guesses at passwords.

use std::{sync::Arc, sync::Barrier, thread};

use xtls::trust::{GuessCount, Permit, TrustStore};

use super::{NOW, OWN, PEER, Shop, guess, jid, rule, until};

pub(super) fn check<'a, P: 'a, S: TrustStore + 'static>(shop: impl Fn() -> Shop<'a, P, S>) {
    they_are_counted_before_they_are_made(&shop());
    a_right_one_is_taken_back(&shop());
    each_pair_has_its_own(&shop());
    strangers_share_those_at_your_address(&shop());
    spellings_of_an_address_are_one(&shop());
    dates_are_kept_whole(&shop());
    none_is_lost_that_is_made_at_once(&shop());
}

fn they_are_counted_before_they_are_made<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    for count in 1..=3 {
        let time = NOW + u64::from(count);
        rule(shop.locked_until(OWN, PEER, &guess(time)), None, "to ask for the lock counts nothing");
        rule(shop.guess(OWN, PEER, &guess(time)), Permit::Granted, "a guess within the limits may be made");
        let attempts = shop.known(PEER).attempts;
        rule(attempts.failed, count, "a guess is counted when it is granted, for whoever opens the store next");
        rule(attempts.total.count, count, "a guess is counted in all, too");
        rule(attempts.last.as_secs(), time, "the time of a guess is kept");
    }
    let (soon, locked) = (guess(NOW + 4), NOW + 603);
    rule(shop.guess(OWN, PEER, &soon), until(locked), "the fourth of three guesses is refused");
    rule(shop.locked_until(OWN, PEER, &soon), Some(locked), "a lock is told before it is run into");
    rule(shop.known(PEER).attempts.failed, 3, "a guess that is refused is not counted");
    rule(shop.guess(OWN, PEER, &guess(locked)), Permit::Granted, "after the lock one more may be made");
    rule(shop.guess(OWN, PEER, &guess(locked + 1)), until(locked + 600), "after the lock one more is all");
}

fn a_right_one_is_taken_back<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    for time in [NOW, NOW + 1] {
        let _ = shop.guess(OWN, PEER, &guess(time));
    }
    shop.was_right(OWN, PEER);
    let attempts = shop.known(PEER).attempts;
    rule(attempts.failed, 0, "a right guess ends the row of wrong ones");
    rule(attempts.total, GuessCount::new(1, crate::unix(NOW)), "a right guess takes itself back and no other");
}

fn each_pair_has_its_own<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    for time in NOW..NOW + 3 {
        let _ = shop.guess(OWN, PEER, &guess(time));
    }
    let other = "rosaline@capulet.lit";
    rule(shop.guess(OWN, other, &guess(NOW + 3)), Permit::Granted, "what one peer has guessed locks no other");
    rule(shop.known(other).attempts.failed, 1, "what one peer has guessed is not counted for another");
    rule(shop.known(PEER).attempts.failed, 3, "what another peer guesses leaves what is known of the first");
}

fn strangers_share_those_at_your_address<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    let mut tight = guess(NOW);
    tight.limits.by_listener = 2;
    let strangers = ["a@capulet.lit", "b@capulet.lit", "c@capulet.lit"];
    for stranger in &strangers[..2] {
        rule(shop.guess(OWN, stranger, &tight), Permit::Granted, "strangers may guess within the limits");
    }
    let locked = NOW + 3600;
    rule(
        shop.guess(OWN, strangers[2], &tight),
        until(locked),
        "guesses are counted at your address, whatever names they come from",
    );
    rule(shop.locked_until(OWN, strangers[2], &tight), Some(locked), "the lock of your address is told");
    rule(
        shop.guess("mercutio@montague.lit", strangers[2], &tight),
        Permit::Granted,
        "guesses are counted at that address of yours at which they were made",
    );
    shop.was_right(OWN, strangers[0]);
    rule(shop.guess(OWN, strangers[2], &tight), Permit::Granted, "a right guess is taken back at your address too");
}

fn spellings_of_an_address_are_one<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    const RULE: &str = "spellings of an address that compare equal are one";
    let pairs = [
        ("romeo@münchen.example", "juliet@bücher.example"),
        ("romeo@xn--mnchen-3ya.example", "Juliet@Bücher.example"),
        ("Romeo@MÜNCHEN.example", "juliet@xn--bcher-kva.example"),
    ];
    let mut tight = guess(NOW);
    tight.limits.by_listener = 3;
    for (own, peer) in pairs {
        let _ = shop.guess(own, peer, &tight);
    }
    for (own, peer) in pairs {
        rule(shop.known(peer).attempts.failed, 3, RULE);
        rule(shop.locked_until(own, peer, &guess(NOW)), Some(NOW + 600), RULE);
        rule(shop.locked_until(own, "tybalt@capulet.lit", &tight), Some(NOW + 3600), RULE);
    }
}

fn dates_are_kept_whole<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    // After February 2106, which no 32 bits hold.
    let late = 5_000_000_000;
    for time in late..late + 3 {
        let _ = shop.guess(OWN, PEER, &guess(time));
    }
    let attempts = shop.known(PEER).attempts;
    let dates = [attempts.last.as_secs(), attempts.total.since.as_secs()];
    rule(dates, [late + 2, late], "times after 2106 are kept");
    rule(shop.locked_until(OWN, PEER, &guess(late + 3)), Some(late + 602), "a lock after 2106 holds");
}

fn none_is_lost_that_is_made_at_once<P, S: TrustStore + 'static>(shop: &Shop<'_, P, S>) {
    const PROCESSES: usize = 4;
    let start = Arc::new(Barrier::new(PROCESSES));
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let (mut store, start) = (shop.open(), Arc::clone(&start));
            thread::spawn(move || {
                let mut many = guess(NOW);
                (many.limits.in_a_row, many.limits.by_name) = (10, 10);
                let (own, peer) = (jid(OWN), jid(PEER));
                start.wait();
                let granted = (0..5).filter(|_| store.begin_guess(&own, &peer, &many) == Ok(Permit::Granted));
                granted.count()
            })
        })
        .collect();
    let granted: usize = processes.into_iter().map(|process| process.join().expect("a store does not panic")).sum();
    rule(granted, 10, "of guesses in several processes at once there are as many as may be made, and no more");
    rule(shop.known(PEER).attempts.failed, 10, "guesses in several processes at once are all counted");
}
