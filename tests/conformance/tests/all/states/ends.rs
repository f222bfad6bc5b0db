//! How long a tunnel stays where it is, and how long an end takes.

use core::time::Duration;

use xtls::{
    Event,
    config::Timers,
    event::Side,
    jingle::{Reason, ReasonCondition},
};

use super::{inputs::told, scene::Scene, situation::Situation};

/// How the peer is from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Nothing comes from it.
    Silent,
    /// It acknowledges whatever it is sent, and does nothing else.
    Idle,
}

/// Longer than anything that ends by itself takes.
const LONG: Duration = Duration::from_secs(4 * 60 * 60);

/// The next deadline, and when and how the tunnel ends: beside a silent and beside an idle peer, by itself and closed.
pub fn row(situation: Situation, side: Side) -> String {
    let mut scene = situation.scene(side);
    let now = scene.stage.world.now();
    let next = scene.stage.with(|engine, _| engine.poll_timeout());
    let timer =
        next.map_or_else(|| "no timer".to_owned(), |due| format!("{} {}", due.timer.as_str(), seconds(due.at - now)));
    let mut row = format!("next {timer}");
    for peer in [Peer::Silent, Peer::Idle] {
        for closes in [false, true] {
            let mut scene = situation.scene(side);
            if closes {
                close(&mut scene);
            }
            let end = end(&mut scene, peer);
            let lasts = situation.lasts() && peer == Peer::Idle && !closes;
            // Whoever rejects an offer is told nothing of its end.
            let is_over = matches!(situation, Situation::Farewell | Situation::Forgotten)
                || situation == Situation::Ringing && closes;
            assert_eq!(end.is_none(), lasts || is_over, "{situation:?} {peer:?} closes={closes}: {end:?}");
            if closes && let Some((_, after)) = &end {
                // As `Tunnel::close` says: nothing waits to be delivered, so `Timers::close` bounds it; what nobody reads,
                // `Timers::drain`.
                let timers = Timers::default();
                let bound = if situation == Situation::Unread { timers.drain } else { timers.close };
                let on_the_way = Duration::from_millis(100);
                assert!(*after <= bound + on_the_way, "{situation:?} {peer:?}: {after:?}");
            }
            let what = if closes { "closed" } else { "left alone" };
            let end =
                end.map_or_else(|| "nothing".to_owned(), |(end, after)| format!("{end} after {}", seconds(after)));
            row += &format!("\n  {peer:?}, {what}: {end}");
            if !lasts {
                // Nothing is left that waits for anything.
                assert_eq!(scene.stage.with(|engine, _| engine.poll_timeout()), None, "{situation:?} {peer:?}");
            }
        }
    }
    row
}

fn close(scene: &mut Scene) {
    if let Some(incoming) = scene.incoming.take() {
        let reason = Reason::new(ReasonCondition::Decline);
        scene.stage.with(|engine, now| engine.reject(now, incoming, reason)).unwrap();
    } else if let Some(tunnel) = scene.tunnel {
        scene.stage.with(|engine, now| engine.tunnel(tunnel).map(|mut tunnel| tunnel.close(now)));
    }
}

/// Rounded: what is on the way for a twentieth of a second does not show.
fn seconds(time: Duration) -> String {
    format!("{} s", (time.as_millis() + 500) / 1000)
}

/// When the tunnel ends, and how.
fn end(scene: &mut Scene, peer: Peer) -> Option<(String, Duration)> {
    let start = scene.stage.world.now();
    let mut end = None;
    while scene.stage.world.now() - start < LONG {
        match peer {
            Peer::Idle => scene.ack(),
            Peer::Silent => scene.stage.world.run(),
        }
        for event in scene.stage.events() {
            let is_end = matches!(event, Event::Closed(_) | Event::IncomingGone { .. });
            assert!(!(is_end && end.is_some()), "it ends once: {event:?}");
            if is_end {
                end = Some((told(&event), scene.stage.world.now() - start));
            }
        }
        let now = scene.stage.world.now();
        let Some(due) = scene.stage.with(|engine, _| engine.poll_timeout()) else { break };
        scene.stage.world.run_for(due.at - now);
    }
    end
}
