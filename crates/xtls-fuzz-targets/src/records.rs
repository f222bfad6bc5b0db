//! TLS records: where they end, what a first flight asks for, and sessions with certificates that are fed with them.

use xtls_testkit::provider::{self, Entity, VirtualTime};
use xtls_tls::{ClientHelloMethod, Identity, TlsConfig, TlsSession, Verification, client_hello_method, whole_records};

use crate::flights::{End, Rules, play, records};
use crate::input::{Input, pieces};

/// When all of it happens.
const NOW: u64 = 1_767_225_600;

/// The first byte says whether two ends talk whose records are changed on their way, or a stranger to one of them, and by
/// which version of TLS; the second how reads are cut.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (options, cut) = (input.byte(), input.byte());
    let tls12 = options & 8 != 0;
    match options & 7 {
        0 => check_bytes(input.rest(), usize::from(cut) * 64 + 64),
        1 | 2 => {
            let role = usize::from(options & 7) - 1;
            let whole = alone(role, tls12, &[input.rest()]);
            assert_eq!(alone(role, tls12, &pieces(input.rest(), cut)), whole, "however it is cut");
        }
        same => {
            // The client is told that the server is somebody else.
            let agree = same != 3;
            let play = |cut| {
                let (client, hello) = Side::new(0, tls12, agree);
                let (server, _) = Side::new(1, tls12, true);
                // RFC 8446 § 4.4.4: the client is complete first; in TLS 1.2 (RFC 5246 § 7.3) the server.
                let rules = Rules { last: if tls12 { 0 } else { 1 }, agree };
                play([Box::new(client), Box::new(server)], hello, &rules, input.clone(), cut)
            };
            let whole = play(0);
            if cut != 0 {
                assert_eq!(play(cut), whole, "however it is cut");
            }
        }
    }
}

fn check_bytes(bytes: &[u8], limit: usize) {
    let ends = records(bytes).into_iter().scan(0, |end, record| {
        *end += record.len();
        Some(*end)
    });
    // At the limit, one less and one more.
    for limit in ends.take(16).flat_map(|end| [end - 1, end, end + 1]).chain([limit]) {
        assert_eq!(whole_records(bytes, limit), by_the_book(bytes, limit), "limit {limit}");
    }
    // The answer is final: with more bytes after it, it stays the same.
    let answer = client_hello_method(bytes);
    let mut seen = ClientHelloMethod::NeedMore;
    for end in (0..bytes.len()).step_by(bytes.len() / 64 + 1).chain([bytes.len()]) {
        let now = client_hello_method(&bytes[..end]);
        assert!(seen == ClientHelloMethod::NeedMore || now == seen, "{seen:?} and then {now:?}");
        seen = now;
    }
    assert_eq!(seen, answer);
    let longer = [bytes, b"\x16\x03\x03"].concat();
    assert!(answer == ClientHelloMethod::NeedMore || client_hello_method(&longer) == answer);
}

/// The whole records that fit: one header after the other.
fn by_the_book(bytes: &[u8], limit: usize) -> usize {
    let length =
        |record: &[u8]| record.get(3..5).map(|length| 5 + usize::from(u16::from_be_bytes([length[0], length[1]])));
    let mut whole = 0;
    for record in records(bytes) {
        if length(&record) != Some(record.len()) || whole + record.len() > limit {
            break;
        }
        whole += record.len();
    }
    // One that is longer than the limit has to be split.
    if length(bytes).is_some_and(|first| first > limit) { limit.min(bytes.len()) } else { whole }
}

/// What an end says to a stranger.
fn alone(role: usize, tls12: bool, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), String>) {
    let (mut side, mut out) = Side::new(role, tls12, true);
    let (mut plaintext, mut result) = (Vec::new(), Ok(()));
    for piece in pieces {
        result = side.read(piece, &mut plaintext, &mut out);
    }
    assert!(plaintext.is_empty() && !side.is_complete(), "a stranger is nobody");
    (out, result)
}

/// One end, with its random numbers.
struct Side {
    session: TlsSession,
    random: Entity,
}

impl Side {
    fn new(role: usize, tls12: bool, knows_peer: bool) -> (Self, Vec<u8>) {
        let identities = identities();
        let peer = if knows_peer { &identities[1 - role] } else { &identities[role] };
        let verification = Verification::Pinned(vec![peer.fingerprint_sha256()]);
        let provider = if tls12 { provider::tls12() } else { provider::deterministic() };
        let time = VirtualTime::new(NOW);
        let config = TlsConfig::new(identities[role].clone(), provider, time, verification);
        let mut random = Entity::numbered(if role == 0 { 1 } else { 2 });
        let mut hello = Vec::new();
        let session = random
            .enter(|| if role == 0 { TlsSession::client(&config, &mut hello) } else { TlsSession::server(&config) });
        (Self { session: session.expect("a sound configuration"), random }, hello)
    }
}

fn identities() -> &'static [Identity; 2] {
    static IDENTITIES: std::sync::LazyLock<[Identity; 2]> = std::sync::LazyLock::new(|| {
        [("romeo@montague.lit", 1), ("juliet@capulet.lit", 2)]
            .map(|(jid, seed)| provider::identity(&jid.parse().expect("a JID"), [seed; 32], NOW))
    });
    &IDENTITIES
}

impl End for Side {
    fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), String> {
        let Self { session, random } = self;
        random.enter(|| session.read(records, plaintext, out)).map_err(|error| format!("{error:?}"))
    }

    fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> bool {
        let Self { session, random } = self;
        random.enter(|| session.write(plaintext, out)).is_ok()
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Self { session, random } = self;
        random.enter(|| session.close(out));
    }

    fn is_complete(&self) -> bool {
        self.session.handshake_complete()
    }

    fn peer_closed(&self) -> bool {
        self.session.peer_closed()
    }

    fn exported(&self) -> Option<[u8; 32]> {
        self.session.channel_binding().ok()
    }
}
