//! Exact counts: round trips, blocks of the handshake, stanzas of a session, bytes on the wire for each byte of payload.
use core::time::Duration;

use crate::common::{JULIET, ROMEO, blocks_of, decoded, element, is_data, is_request, kinds, message};
use xtls::{Application, Identity, TrustPolicy, TunnelId, TunnelOptions, tls::KeyAlgorithm};
use xtls_stanza::ns;
use xtls_testkit::{EntityId, EntityOptions, Passed, World};

const LATENCY: Duration = Duration::from_millis(50);
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// Romeo and Juliet: with everything real, ECDSA P-256 and X25519MLKEM768, or deterministic.
fn pair(real: bool, block_size: u16, names: [&str; 2]) -> (World, EntityId, EntityId) {
    let mut world = World::new(LATENCY);
    world.relay.keep_log();
    let mut add = |jid: &str, seed| {
        let mut options = EntityOptions::seeded(seed);
        options.config.block_size = block_size;
        options.real_cryptography = real;
        if real {
            let bare = jid.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
            options.identity =
                Some(Identity::generate(&bare, KeyAlgorithm::EcdsaP256, xtls_testkit::unix(1_767_225_600)).unwrap());
        }
        world.add(jid, options)
    };
    let (romeo, juliet) = (add(names[0], 1), add(names[1], 2));
    world.introduce(romeo, juliet);
    (world, romeo, juliet)
}

fn action(passed: &Passed) -> Option<String> {
    let stanza = element(&passed.stanza);
    stanza.child("jingle", ns::JINGLE)?.attribute("action").map(str::to_owned)
}

/// Round trips, rounded up, from the arrival of the session-accept at the initiator until its stream header is on its way
/// and until its first stanza is.
fn round_trips(real: bool) -> (u128, u128) {
    let (mut world, romeo, juliet) = pair(real, 4096, [ROMEO, JULIET]);
    let peer = world.jid(juliet).clone();
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
    world.run();
    world.accept(juliet, options).unwrap();
    let accepted = world.now() + LATENCY;
    let (mut header, mut stanza) = (None, None);
    // Each step is as short as nothing else is.
    for _ in 0..1000 {
        world.run_for(Duration::from_millis(1));
        if kinds(&world.take_events(romeo)).contains(&"StreamOpened") {
            world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message("hi"))).unwrap();
        }
        for kind in kinds(&world.take_events(juliet)) {
            // What arrives now left the latency before.
            match kind {
                "StreamOpened" => header = Some(world.now() - LATENCY),
                "Stanza" => stanza = Some(world.now() - LATENCY),
                _ => {}
            }
        }
    }
    let accept = world.relay.log().iter().find(|passed| action(passed).as_deref() == Some("session-accept")).unwrap();
    assert_eq!(accept.at + LATENCY, accepted);
    let trips = |at: Option<std::time::Instant>| (at.unwrap() - accepted).as_millis().div_ceil(ROUND_TRIP.as_millis());
    (trips(header), trips(stanza))
}

#[test]
fn after_the_session_accept_the_stream_header_leaves_within_2_round_trips_and_a_stanza_within_3() {
    assert_eq!(round_trips(false), (2, 3));
}

#[test]
fn the_same_with_real_cryptography() {
    assert_eq!(round_trips(true), (2, 3));
}

/// The blocks of a session, grouped by who sent them in a row: the flights of the handshake, in bytes per block.
fn flights(log: &[Passed]) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut flights: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for passed in log {
        let stanza = element(&passed.stanza);
        if !is_data(&stanza) {
            continue;
        }
        match flights.last_mut() {
            Some((from, blocks)) if *from == passed.from => blocks.push(decoded(&stanza)),
            _ => flights.push((passed.from.clone(), vec![decoded(&stanza)])),
        }
    }
    flights
}

/// The lengths of the TLS records in these bytes.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        records.push(length);
        bytes = &bytes[length..];
    }
    records
}

/// How few blocks hold these records in order, each of them whole.
fn fewest_blocks(records: &[usize], block_size: usize) -> usize {
    let (mut blocks, mut room) = (0, 0);
    for record in records {
        assert!(*record <= block_size, "a record fits into a block");
        if *record > room {
            blocks += 1;
            room = block_size;
        }
        room -= record;
    }
    blocks
}

#[test]
fn no_handshake_flight_takes_more_blocks_than_its_size_needs() {
    for real in [false, true] {
        for block_size in [4096, 256] {
            let (mut world, romeo, juliet) = pair(real, block_size, [ROMEO, JULIET]);
            // Nothing but the handshake and the hashes of the negotiation: no stream header goes with it.
            let options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
            world.connect_with(romeo, juliet, options);
            let flights = flights(world.relay.log());
            let senders: Vec<_> = flights.iter().map(|(from, _)| from.as_str()).collect();
            // ClientHello; server's flight; client's Finished; ticket with the server's hash; the client's hash.
            assert_eq!(senders, [ROMEO, JULIET, ROMEO, JULIET, ROMEO]);
            for (from, blocks) in flights {
                let block_size = usize::from(block_size);
                let bytes = blocks.concat();
                let needed = bytes.len().div_ceil(block_size);
                let whole = fewest_blocks(&records(&bytes), block_size);
                let sizes: Vec<_> = blocks.iter().map(Vec::len).collect();
                let what = format!("{from} real={real} {block_size}: {sizes:?} {:?}", records(&bytes));
                assert_eq!(blocks.len(), whole, "{what}");
                // A record never straddles blocks, so small blocks may need one or two more than the sum says.
                assert!(blocks.len() <= needed + if block_size == 4096 { 0 } else { 2 }, "{what}");
                for block in &blocks {
                    assert_eq!(records(block).iter().sum::<usize>(), block.len(), "{what}");
                }
            }
        }
    }
}

/// From disco#info to the result of the session-terminate, with a message each way.
#[test]
fn a_whole_session_takes_exactly_so_many_stanzas() {
    for real in [false, true] {
        let (mut world, romeo, juliet) = pair(real, 4096, [ROMEO, JULIET]);
        let (tunnel, other) = world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
        let set_up = world.relay.log().len();
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message("one"))).unwrap();
        world.run();
        world.with(juliet, |engine, now| engine.tunnel(other).unwrap().send(now, &message("other"))).unwrap();
        world.run();
        let talked = world.relay.log().len();
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
        world.run();
        let log = world.relay.log();
        let requests = |log: &[Passed], name: &str| {
            log.iter()
                .map(|passed| element(&passed.stanza))
                .filter(|stanza| is_request(stanza) && crate::common::payload(stanza).name() == name)
                .count()
        };
        let (start, middle, end) = (&log[..set_up], &log[set_up..talked], &log[talked..]);
        // Every request has one answer: half of the stanzas are answers.
        for part in [start, middle, end] {
            let asked = part.iter().filter(|passed| is_request(&element(&passed.stanza))).count();
            assert_eq!(part.len(), 2 * asked);
        }
        // ClientHello; server's flight; Finished with the stream header; ticket with the response header and features, in which
        // the hash of the negotiation is; the initiator's hash, unless a stanza is there to go with it.
        assert_eq!([requests(start, "query"), requests(start, "jingle"), requests(start, "open")], [1, 3, 1]);
        assert_eq!(requests(start, "data"), 5);
        assert_eq!(start.len(), 20);
        assert_eq!((requests(middle, "data"), middle.len()), (2, 4));
        assert_eq!([requests(end, "data"), requests(end, "close"), requests(end, "jingle")], [4, 1, 1]);
        assert_eq!(end.len(), 12);
    }
}

/// Sends `bytes` through a raw-bytes tunnel; the tunnel must take them all.
fn transfer(world: &mut World, from: EntityId, tunnel: TunnelId, to: EntityId, at: TunnelId, bytes: usize) {
    let payload: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let (mut written, mut read) = (0, Vec::new());
    while read.len() < bytes {
        written +=
            world.with(from, |engine, now| engine.tunnel(tunnel).unwrap().write(now, &payload[written..])).unwrap();
        world.run();
        let got = world.with(to, |engine, now| engine.tunnel(at).unwrap().read(now, &mut read));
        assert!(got > 0 || written < bytes, "it goes on");
    }
    assert_eq!(read, payload);
}

/// A full JID of 37 bytes.
const LONG: [&str; 2] = ["romeo@montague.example.org/orchard-01", "juliet@capulet.example.org/balcony-1_"];

/// Bytes of the data stanzas with full blocks, `from` stamped, for each byte of payload in them; and the longest result.
fn overhead(block_size: u16, bytes: usize) -> (f64, usize, usize) {
    let names = LONG.map(|jid| &jid[..37]);
    let (mut world, romeo, juliet) = pair(false, block_size, names);
    let options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    let (tunnel, other) = world.connect_with(romeo, juliet, options);
    let before = world.relay.log().len();
    transfer(&mut world, romeo, tunnel, juliet, other, bytes);
    let log = &world.relay.log()[before..];
    let (mut stanza_bytes, mut plaintext, mut full, mut longest) = (0, 0, 0, 0);
    for passed in log {
        let stanza = element(&passed.stanza);
        if !is_data(&stanza) {
            assert_eq!(stanza.attribute("type"), Some("result"));
            longest = longest.max(passed.stanza.len());
            continue;
        }
        let block = decoded(&stanza);
        // A full block has no room for another record of one byte.
        if block.len() + 22 > usize::from(block_size) {
            full += 1;
            stanza_bytes += passed.stanza.len();
            // Header, content type and tag of TLS 1.3 are no payload.
            plaintext += records(&block).iter().map(|record| record - 22).sum::<usize>();
        }
    }
    (stanza_bytes as f64 / plaintext as f64, full, longest)
}

#[test]
fn data_stanzas_have_at_most_1_41_bytes_for_each_byte_of_payload_at_block_size_4096() {
    let (ratio, full, longest) = overhead(4096, 3 << 20);
    assert!(full >= 760, "nearly all blocks are full: {full}");
    assert!(ratio <= 1.41, "{ratio}");
    assert!(longest > 0 && longest <= 160, "{longest}");
}

#[test]
fn data_stanzas_have_at_most_1_345_bytes_for_each_byte_of_payload_at_block_size_32760() {
    let (ratio, full, longest) = overhead(32_760, 4 << 20);
    assert!(full >= 120, "nearly all blocks are full: {full}");
    assert!(ratio <= 1.345, "{ratio}");
    assert!(longest > 0 && longest <= 160, "{longest}");
}

/// Nearly all of a transfer goes in full blocks: none is wasted on what could have shared one.
#[test]
fn a_transfer_takes_no_more_blocks_than_its_size_needs() {
    for block_size in [4096_u16, 32_760] {
        let (mut world, romeo, juliet) = pair(false, block_size, [ROMEO, JULIET]);
        let options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
        let (tunnel, other) = world.connect_with(romeo, juliet, options);
        let before = world.relay.log().len();
        let bytes = 200_000;
        transfer(&mut world, romeo, tunnel, juliet, other, bytes);
        let blocks = blocks_of(&world.relay.log()[before..], ROMEO);
        let in_each = usize::from(block_size) - 22 * usize::from(block_size).div_ceil(16_384 + 22);
        assert_eq!(blocks.len(), bytes.div_ceil(in_each), "{block_size}");
    }
}

/// Blocks smaller than the smallest record of 64 bytes split records, and no more than they must.
#[test]
fn blocks_smaller_than_a_record_are_filled() {
    for block_size in 64..128 {
        let mut stage = crate::common::Stage::romeo();
        let (tunnel, _) = stage.engine_offers(TrustPolicy::Pinned);
        stage.start_server(&stage.tls_config());
        stage.block_size = block_size;
        let accept = stage.accept_with(&stage.peer_security());
        let requests = stage.ask_fine(&accept);
        requests.iter().for_each(|request| stage.ack(request));
        assert_eq!(stage.play(), []);
        stage.write(crate::common::HEADER_JULIET);
        assert_eq!(stage.play(), []);
        stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &message("hi"))).unwrap();
        assert_eq!(stage.play(), []);
        let told = stage.told();
        let events = stage.events();
        assert!(told.ends_with("<message><body>hi</body></message>"), "{block_size}: {told:?} {events:?}");
        let sizes: Vec<_> = stage.blocks.iter().map(Vec::len).collect();
        let needed: usize = records(&stage.blocks.concat()).iter().map(|record| record.div_ceil(block_size)).sum();
        assert!(sizes.len() <= needed, "{} blocks instead of {needed} of {block_size}", sizes.len());
    }
}
