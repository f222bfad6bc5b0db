use std::mem::take;

use proptest::prelude::*;
use xtls_tls::{Identity, TlsConfig, TlsSession, TlsVersion, Verification};

use super::*;

const NOW: u64 = 1_760_000_000;

fn romeo() -> Identity {
    identity(&"romeo@montague.lit".parse().unwrap(), [10; 32], NOW)
}

fn juliet() -> Identity {
    identity(&"juliet@capulet.lit".parse().unwrap(), [11; 32], NOW)
}

fn config(own: &Identity, peer: &Identity, minimum: TlsVersion) -> TlsConfig {
    let pin = Verification::Pinned(vec![peer.fingerprint_sha256()]);
    let mut config = TlsConfig::new(own.clone(), deterministic(), VirtualTime::new(NOW), pin);
    config.minimum = minimum;
    config
}

/// One side: its session, its random numbers, all it ever sent and all it ever read.
struct Side {
    entity: Entity,
    session: TlsSession,
    out: Vec<u8>,
    sent: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Side {
    fn new(seed: u64, start: impl FnOnce(&mut Vec<u8>) -> TlsSession) -> Self {
        let (mut entity, mut out) = (Entity::numbered(seed), Vec::new());
        let session = entity.enter(|| start(&mut out));
        Self { entity, session, out, sent: Vec::new(), plaintext: Vec::new() }
    }

    fn client(seed: u64) -> Self {
        let config = config(&romeo(), &juliet(), TlsVersion::Tls13);
        Self::new(seed, |out| TlsSession::client(&config, out).unwrap())
    }

    fn server(seed: u64) -> Self {
        let config = config(&juliet(), &romeo(), TlsVersion::Tls13);
        Self::new(seed, |_| TlsSession::server(&config).unwrap())
    }

    fn send(&mut self) -> Vec<u8> {
        self.sent.extend_from_slice(&self.out);
        take(&mut self.out)
    }

    fn read(&mut self, bytes: &[u8]) {
        let Self { entity, session, out, plaintext, .. } = self;
        entity.enter(|| session.read(bytes, plaintext, out)).unwrap();
    }

    fn write(&mut self, plaintext: &[u8]) {
        let Self { entity, session, out, .. } = self;
        entity.enter(|| session.write(plaintext, out)).unwrap();
    }
}

/// A handshake, some data both ways and an orderly end. What each side sent.
fn conversation(client_seed: u64, server_seed: u64, between: &mut dyn FnMut()) -> (Vec<u8>, Vec<u8>) {
    let mut client = Side::client(client_seed);
    let mut server = Side::server(server_seed);
    while client.session.is_handshaking() || server.session.is_handshaking() || !client.out.is_empty() {
        between();
        server.read(&client.send());
        between();
        client.read(&server.send());
    }
    assert_eq!(client.session.tickets_received(), 1);
    client.write(b"But soft! what light through yonder window breaks?");
    server.write(&[7; 40_000]);
    server.session.close(&mut server.out);
    client.session.close(&mut client.out);
    server.read(&client.send());
    client.read(&server.send());
    assert_eq!(server.plaintext, b"But soft! what light through yonder window breaks?");
    assert_eq!(client.plaintext, [7; 40_000]);
    assert!(server.session.peer_closed() && client.session.peer_closed());
    (client.sent, server.sent)
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let first = conversation(1, 2, &mut || {});
    assert!(first.0.len() > 700 && first.1.len() > 40_000);
    assert_eq!(first, conversation(1, 2, &mut || {}));
}

#[test]
fn another_seed_gives_other_bytes() {
    let first = conversation(1, 2, &mut || {});
    let second = conversation(3, 2, &mut || {});
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1, "the server's answer depends on the client's share");
}

#[test]
fn what_others_do_in_between_does_not_show() {
    let quiet = conversation(1, 2, &mut || {});
    let mut others = [Entity::numbered(1), Entity::numbered(9)];
    let mut noise = || {
        for other in &mut others {
            let mut bytes = [0; 33];
            other.enter(|| deterministic().secure_random.fill(&mut bytes)).unwrap();
        }
        conversation(5, 6, &mut || {});
    };
    assert_eq!(quiet, conversation(1, 2, &mut noise));
}

#[test]
fn two_entities_interleaved_differently_send_the_same_bytes() {
    let run = |client_first: bool| {
        let mut sides = if client_first {
            let client = Side::client(1);
            (client, Side::server(2))
        } else {
            let server = Side::server(2);
            (Side::client(1), server)
        };
        let mut other = Side::client(8);
        let mut other_server = Side::server(9);
        let hello = sides.0.send();
        if client_first {
            sides.1.read(&hello);
            other_server.read(&other.send());
        } else {
            other_server.read(&other.send());
            sides.1.read(&hello);
        }
        let flight = sides.1.send();
        sides.0.read(&flight);
        (hello, flight, sides.0.send(), other_server.send())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn identities_depend_on_jid_seed_and_date_alone() {
    let make = |jid: &str, seed, now| identity(&jid.parse().unwrap(), [seed; 32], now).certificate().to_vec();
    let first = make("a@b", 1, NOW);
    assert_eq!(first, make("a@b", 1, NOW));
    assert_ne!(first, make("c@b", 1, NOW));
    assert_ne!(first, make("a@b", 2, NOW));
    assert_ne!(first, make("a@b", 1, NOW + 1));
}

#[test]
fn l03_outside_of_an_entity_there_are_no_random_numbers() {
    let config = config(&romeo(), &juliet(), TlsVersion::Tls13);
    let error = TlsSession::client(&config, &mut Vec::new()).unwrap_err();
    assert_eq!(error, xtls_tls::TlsConfigError::NoRandom);
    assert!(deterministic().secure_random.fill(&mut [0; 1]).is_err());
}

#[test]
fn entities_nest_and_a_panic_leaves_them_in_order() {
    let draw = || {
        let mut bytes = [0; 16];
        deterministic().secure_random.fill(&mut bytes).map(|()| bytes).ok()
    };
    let (mut outer, mut inner) = (Entity::numbered(1), Entity::numbered(2));
    let nested = outer.enter(|| [draw(), inner.enter(draw), draw()]);
    let (mut outer, mut inner) = (Entity::numbered(1), Entity::numbered(2));
    let apart = [outer.enter(draw), inner.enter(draw), outer.enter(draw)];
    assert_eq!(nested, apart);

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        outer.enter(|| inner.enter(|| std::panic::resume_unwind(Box::new("in the middle"))))
    }));
    assert!(panicked.is_err());
    assert_eq!(draw(), None);
    assert!(outer.enter(draw).is_some() && inner.enter(draw).is_some());
}

#[test]
fn virtual_time_shows_what_it_was_set_to() {
    use rustls::time_provider::TimeProvider as _;
    let time = VirtualTime::new(NOW);
    time.set(NOW - 5);
    assert_eq!(time.current_time().unwrap().as_secs(), NOW - 5);
}

/// Feeds `bytes` to `side` in pieces.
fn read_in_pieces(side: &mut Side, bytes: &[u8], pieces: &[usize]) {
    let mut rest = bytes;
    for size in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        side.read(piece);
        rest = more;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn p22_a_session_does_the_same_however_its_input_is_cut(
        pieces in proptest::collection::vec(prop_oneof![1_usize..8, 1_usize..6000, 4000_usize..40_000], 1..30),
        sizes in proptest::collection::vec(0_usize..20_000, 0..5),
    ) {
        let run = |pieces: &[usize]| {
            let (mut client, mut server) = (Side::client(1), Side::server(2));
            for _ in 0..3 {
                let flight = client.send();
                read_in_pieces(&mut server, &flight, pieces);
                let flight = server.send();
                read_in_pieces(&mut client, &flight, pieces);
            }
            for size in &sizes {
                client.write(&vec![3; *size]);
                server.write(&vec![4; *size]);
            }
            client.session.close(&mut client.out);
            let flights = (client.send(), server.send());
            read_in_pieces(&mut server, &flights.0, pieces);
            read_in_pieces(&mut client, &flights.1, pieces);
            (client.sent, server.sent, client.plaintext, server.plaintext, client.out, server.out)
        };
        prop_assert_eq!(run(&pieces), run(&[usize::MAX]));
    }

    #[test]
    fn m13_an_altered_record_ends_the_session_alike_however_its_input_is_cut(
        pieces in proptest::collection::vec(1_usize..300, 1..10),
        place in any::<prop::sample::Index>(),
        mask in 1_u8..=255,
    ) {
        let run = |pieces: &[usize]| {
            let (mut client, mut server) = (Side::client(1), Side::server(2));
            for _ in 0..3 {
                server.read(&client.send());
                client.read(&server.send());
            }
            client.write(b"first");
            let first = client.out.len();
            client.write(&[5; 700]);
            let mut flight = client.send();
            // Within the ciphertext of the second record: what precedes it still arrives.
            let at = first + 5 + place.index(flight.len() - first - 5);
            *flight.get_mut(at).unwrap() ^= mask;
            let mut rest = &flight[..];
            let mut error = None;
            for size in pieces.iter().cycle() {
                if rest.is_empty() || error.is_some() {
                    break;
                }
                let (piece, more) = rest.split_at((*size).min(rest.len()));
                let Side { entity, session, out, plaintext, .. } = &mut server;
                error = entity.enter(|| session.read(piece, plaintext, out)).err();
                rest = more;
            }
            (error.unwrap(), server.plaintext, server.out)
        };
        let whole = run(&[usize::MAX]);
        prop_assert_eq!(whole.0.kind(), &xtls_tls::TlsErrorKind::BadRecord);
        prop_assert_eq!(&whole.1[..], b"first");
        prop_assert!(!whole.2.is_empty(), "the alert is sent");
        prop_assert_eq!(run(&pieces), whole);
    }
}
