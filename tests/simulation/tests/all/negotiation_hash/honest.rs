//! Two honest ends, whatever they agree on, have the same hash.

use proptest::prelude::*;
use xtls::{Application, CloseReason, Event, Fault, TrustPolicy, TunnelOptions, jingle::Profile, trust::Method};
use xtls_testkit::{EntityOptions, Fate, World};

use super::{foreign, older};
use crate::common::{JULIET, ROMEO, element, password::word, sent};

const CHAMBER: &str = "juliet@capulet.lit/chamber";

/// What two honest ends, and a server that does its work, make of a tunnel.
#[derive(Debug, Clone)]
struct History {
    seed: u8,
    profiles: [Profile; 2],
    block_sizes: [u16; 2],
    methods: Vec<Method>,
    application: usize,
    check_support: bool,
    /// Both begin at once.
    crosses: bool,
    /// The peer sends the offer on to another of its resources.
    redirects: bool,
}

fn histories() -> impl Strategy<Value = History> {
    let profile = || prop::sample::select(vec![Profile::Strict, Profile::Draft02, Profile::Tolerant]);
    let size = || prop::sample::select(vec![256_u16, 512, 4096, 32_760]);
    let methods = prop::sample::select(vec![vec![Method::X509], vec![Method::Srp], vec![Method::X509, Method::Srp]]);
    let flags = any::<(bool, bool, bool)>();
    (0_u8..120, [profile(), profile()], [size(), size()], methods, 0_usize..4, flags).prop_map(
        |(seed, profiles, block_sizes, methods, application, (check_support, crosses, redirects))| History {
            seed,
            profiles,
            block_sizes,
            methods,
            application,
            check_support,
            crosses,
            redirects,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Redirected, crossing, in any profile, by either method, over any application: both ends have the same hash.
    #[test]
    fn wire_5_two_honest_engines_always_have_the_same_hash(history in histories()) {
        let options = || {
            let application = [Application::XmlStream, Application::bytes(), older(), foreign()][history.application].clone();
            let mut options = TunnelOptions::new(application, TrustPolicy::Pinned).with_password(word());
            options.terms.methods.clone_from(&history.methods);
            options.check_support = history.check_support;
            options
        };
        let entity = |at: usize| {
            let mut options = EntityOptions::seeded(history.seed + at as u8);
            options.config.profile = history.profiles[at];
            options.config.block_size = history.block_sizes[at];
            options
        };
        let mut world = World::default();
        world.relay.keep_log();
        let (romeo, balcony) = (world.add(ROMEO, entity(0)), world.add(JULIET, entity(1)));
        let mut second = entity(1);
        second.identity = Some(world.identity(balcony).clone());
        let chamber = world.add(CHAMBER, second);
        world.introduce(romeo, balcony);
        world.trust(chamber, romeo);
        if history.redirects {
            world.relay.meddle(|passed| {
                let offer = passed.to == JULIET && passed.stanza.contains("session-initiate");
                if offer { Fate::Replace(Vec::new()) } else { Fate::Pass }
            });
        }
        let begins = if history.crosses && !history.redirects { vec![(romeo, balcony), (balcony, romeo)] } else { vec![(romeo, balcony)] };
        for (id, peer) in begins {
            let peer = world.jid(peer).clone();
            world.with(id, |engine, now| engine.initiate(now, peer, options())).unwrap();
        }
        world.run();
        if history.redirects {
            let offer = sent(&world, ROMEO, JULIET).pop().unwrap();
            let id = element(&offer).attribute("id").unwrap().to_owned();
            let now = world.now();
            world.relay.inject(now, ROMEO, &format!(
                "<iq from='{JULIET}' to='{ROMEO}' id='{id}' type='error'><error type='modify'>\
                 <redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:{CHAMBER}</redirect></error></iq>"
            ));
            world.run();
        }
        for id in [romeo, balcony, chamber] {
            while world.accept(id, options()).is_some() {}
        }
        world.run();
        let mut hashes = [romeo, balcony, chamber].map(|id| world.with(id, |engine, _| {
            let tunnels: Vec<_> = engine.tunnels().collect();
            tunnels.into_iter().map(|tunnel| {
                let tunnel = engine.tunnel(tunnel).unwrap();
                let compares = history.application < 2;
                assert!(tunnel.security().is_some() && tunnel.negotiation_matches() == compares, "{history:?}");
                tunnel.negotiation_hash().unwrap()
            }).collect::<Vec<_>>()
        }));
        prop_assert!(!hashes[0].is_empty(), "{:?}", world.relay.log());
        let [ours, theirs, others] = &mut hashes;
        theirs.append(others);
        ours.sort_unstable();
        theirs.sort_unstable();
        prop_assert_eq!(ours, theirs);
        for id in [romeo, balcony, chamber] {
            for event in world.take_events(id) {
                let tie = matches!(&event, Event::Closed(closed)
                    if matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::TieBreak)));
                prop_assert!(tie || !matches!(event, Event::Closed(_)), "{:?}", event);
            }
        }
    }
}
