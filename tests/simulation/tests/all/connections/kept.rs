//! What two engines keep of tunnels over connections that were cut: nothing. Counted on the heap, of both and of the world around them.

use allocation_counter::measure;
use xtls::transports::{Exposure, Reach};
use xtls_testkit::{Conduct, Cut, EntityId, EntityOptions, Sockets, World};

use super::stage::{PROXY, direct, over, through_proxy};
use crate::common::{JULIET, MILLI, ROMEO, SECOND};

/// One tunnel, which is cut after so many moments, and all that follows.
fn live_and_die(world: &mut World, ids: [EntityId; 2], proxy: EntityId, moments: usize) {
    let [romeo, juliet] = ids;
    let mut sockets = Sockets::new(20 * MILLI);
    sockets.listen(romeo, "romeo.example", 5086);
    sockets.serve_by(proxy, "proxy.example", 7777, Conduct::Honest);
    let is_direct = moments.is_multiple_of(2);
    let reach = if is_direct { direct("romeo.example", 5086) } else { through_proxy() };
    let other = Reach::new(if is_direct { Exposure::Direct } else { Exposure::Proxies });
    let peer = world.jid(juliet).clone();
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, over(reach))).unwrap();
    world.run();
    world.accept(juliet, over(other)).expect("the offer arrives");
    let until = world.now() + 600 * SECOND;
    for _ in 0..moments {
        sockets.step(world, until);
    }
    sockets.cut(world, Cut::Everywhere);
    sockets.run_for(world, 60 * SECOND);
    world.with(romeo, |engine, now| engine.tunnel(tunnel).map(|mut tunnel| tunnel.close(now)));
    sockets.run_for(world, 60 * SECOND);
    for id in ids {
        assert_eq!(sockets.held(id), 0);
        world.take_events(id);
    }
}

#[test]
fn nothing_is_kept_of_a_tunnel_whose_connection_was_cut() {
    let mut world = World::default();
    let ids = [(ROMEO, 1), (JULIET, 2)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.config.socks5 = true;
        world.add(jid, options)
    });
    world.introduce(ids[0], ids[1]);
    let proxy = world.add(PROXY, EntityOptions::seeded(3));
    let mut all = |times: usize| (0..times).for_each(|at| live_and_die(&mut world, ids, proxy, at % 70));
    // What is made once is made by then.
    all(70);
    let more = measure(|| all(210)).bytes_current / 210;
    // The world notes of each tunnel that it has ended.
    assert!(more <= 100, "{more} bytes for each tunnel");
}
