use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, SanType};
use rustls::server::{ServerConfig, ServerConnection, ServerSessionMemoryCache};
use xtls_stanza::jid::DomainPart;

use super::*;
use crate::testing::ca::{Ca, Name, names, valid};
use crate::testing::{NOW, Presents, romeo};
use crate::{
    Alert, CertificateFault, ChainFault, ServerVerification, TlsError, TlsErrorKind, TlsSession, default_provider,
};

const CAPULET: &str = "capulet.lit";

/// A clock that somebody sets.
#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

/// A server of rustls that resumes sessions, and a client that remembers it. The certificate expires an hour from now.
struct World {
    clock: Arc<Clock>,
    identity: Identity,
    server: ServerConfig,
    client: TowardsServer,
}

fn hour(params: &mut CertificateParams) {
    params.subject_alt_names = vec![SanType::DnsName(CAPULET.try_into().unwrap())];
    valid(params, NOW, NOW + 3600);
}

impl World {
    fn new(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let root = Ca::root("root");
        let identity = root.issue(&[], hour);
        let clock = Arc::new(Clock(AtomicU64::new(NOW)));
        let time: Arc<dyn TimeProvider> = Arc::<Clock>::clone(&clock);
        let mut server = ServerConfig::builder_with_details(default_provider(), Arc::clone(&time))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Presents::chain(identity.chain().to_vec(), &identity));
        server.session_storage = ServerSessionMemoryCache::new(256);
        server.send_half_rtt_data = true;
        let verification = ServerVerification::Authorities(root.trusted());
        let domain = DomainPart::new(CAPULET).unwrap();
        let mut client = TowardsServer::new(domain, default_provider(), time, verification);
        client.sessions = Some(SessionCache::new());
        Self { clock, identity, server, client }
    }

    fn tls13() -> Self {
        Self::new(&[&rustls::version::TLS13])
    }

    fn begin(&self) -> Meeting {
        let mut to_server = Vec::new();
        let session = TlsSession::towards_server(&self.client, &mut to_server).unwrap();
        let mut server = ServerConnection::new(Arc::new(self.server.clone())).unwrap();
        server.writer().write_all(b"hail").unwrap();
        Meeting { session, server, to_server, plaintext: Vec::new() }
    }

    /// A whole session, and whether it was resumed.
    fn meet(&self) -> bool {
        let mut meeting = self.begin();
        meeting.settle().unwrap();
        assert!(meeting.session.handshake_complete());
        assert_eq!(meeting.session.peer_certificate(), Some(self.identity.as_peer_certificate()));
        assert_eq!(meeting.plaintext, b"hail");
        meeting.session.parameters().unwrap().resumed
    }
}

struct Meeting {
    session: TlsSession,
    server: ServerConnection,
    to_server: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Meeting {
    fn settle(&mut self) -> Result<(), TlsError> {
        while !self.to_server.is_empty() {
            let answer = self.answer();
            self.session.read(&answer, &mut self.plaintext, &mut self.to_server)?;
        }
        Ok(())
    }

    fn answer(&mut self) -> Vec<u8> {
        let mut sent = &std::mem::take(&mut self.to_server)[..];
        while !sent.is_empty() {
            self.server.read_tls(&mut sent).unwrap();
            self.server.process_new_packets().unwrap();
        }
        let mut answer = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut answer).unwrap();
        }
        answer
    }

    /// What the server hears from a client that refused it.
    fn heard(&mut self) -> Error {
        self.server.read_tls(&mut &self.to_server[..]).unwrap();
        self.server.process_new_packets().unwrap_err()
    }
}

fn refusal(error: &TlsError) -> &CertificateFault {
    let TlsErrorKind::BadCertificate { fault, .. } = error.kind() else { panic!("{error}") };
    fault
}

#[test]
fn rfc_7590_3_3_a_session_with_the_same_server_is_resumed_and_its_certificate_is_known() {
    let world = World::tls13();
    assert!(!world.meet() && world.meet() && world.meet());
    let (mut one, mut other) = (world.begin(), World::begin(&world));
    one.settle().unwrap();
    other.settle().unwrap();
    assert!(one.session.parameters().unwrap().resumed && one.session.is_vouched_for());
    assert_ne!(one.session.channel_binding(), other.session.channel_binding());
    let mut exported = [0; 32];
    one.server.export_keying_material(&mut exported, b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
    assert_eq!(one.session.channel_binding(), Ok(exported));
    one.session.write(b"But soft!", &mut one.to_server).unwrap();
    one.settle().unwrap();
    let mut read = [0; 9];
    one.server.reader().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"But soft!");
}

#[test]
fn nothing_is_resumed_unless_it_is_asked_for() {
    let mut world = World::tls13();
    world.client.sessions = None;
    assert!(!world.meet() && !world.meet());
}

#[test]
fn tls12_is_not_resumed() {
    let world = World::new(&[&rustls::version::TLS12]);
    assert!(!world.meet() && !world.meet());
}

#[test]
fn what_is_remembered_belongs_to_one_server_one_own_certificate_and_one_version() {
    let change: [fn(&mut TowardsServer); 4] = [
        |client| client.identity = Some(romeo()),
        |client| client.minimum = TlsVersion::Tls13,
        |client| client.sessions.as_ref().unwrap().forget(),
        |client| client.sessions = Some(SessionCache::new()),
    ];
    for change in change {
        let mut world = World::tls13();
        assert!(!world.meet() && world.meet());
        change(&mut world.client);
        assert!(!world.meet() && world.meet());
    }
    // Another domain that the same certificate does name.
    let mut world = World::tls13();
    let root = Ca::root("root");
    let both = [Name::Dns(CAPULET), Name::Dns("montague.lit")];
    world.identity = root.issue(&[], |params| params.custom_extensions.push(names(&both)));
    world.server.cert_resolver = Presents::chain(world.identity.chain().to_vec(), &world.identity);
    world.client.verification = ServerVerification::Authorities(root.trusted());
    assert!(!world.meet() && world.meet());
    world.client.domain = DomainPart::new("montague.lit").unwrap();
    assert!(!world.meet() && world.meet());
}

#[test]
fn a_certificate_that_does_not_pass_any_longer_gets_a_full_handshake_and_its_alert() {
    let expired = |world: &mut World| world.clock.0.store(NOW + 3601, Ordering::Relaxed);
    let pinned =
        |world: &mut World| world.client.verification = ServerVerification::Pinned(vec![romeo().fingerprint_sha256()]);
    let distrusted = |world: &mut World| {
        world.client.verification = ServerVerification::Authorities(Ca::root("another").trusted());
    };
    let changes: [fn(&mut World); 3] = [expired, pinned, distrusted];
    let faults = [
        (CertificateFault::Chain(ChainFault::Expired), "certificate_expired"),
        (CertificateFault::NotPinned, "certificate_unknown"),
        (CertificateFault::Chain(ChainFault::UnknownIssuer), "unknown_ca"),
    ];
    for (change, (fault, alert)) in changes.into_iter().zip(faults) {
        let mut world = World::tls13();
        assert!(!world.meet() && world.meet());
        change(&mut world);
        let mut meeting = world.begin();
        let error = meeting.settle().unwrap_err();
        assert_eq!((refusal(&error), error.alert_sent().map(Alert::name)), (&fault, Some(alert)));
        assert!(matches!(meeting.heard(), Error::AlertReceived(_)));
        assert!(meeting.plaintext.is_empty() && !meeting.session.handshake_complete());
    }
    // The pin of that very certificate is as good as the word of an authority was.
    let mut world = World::tls13();
    assert!(!world.meet());
    world.client.verification = ServerVerification::Pinned(vec![world.identity.fingerprint_sha256()]);
    assert!(world.meet());
    world.client.verification = ServerVerification::Deferred;
    assert!(world.meet());
}

#[test]
fn a_resumed_session_with_a_certificate_that_expired_meanwhile_gives_no_plaintext_and_no_finished() {
    let world = World::tls13();
    assert!(!world.meet() && world.meet());
    let mut meeting = world.begin();
    world.clock.0.store(NOW + 3601, Ordering::Relaxed);
    let error = meeting.settle().unwrap_err();
    assert_eq!(*refusal(&error), CertificateFault::Chain(ChainFault::Expired));
    assert_eq!(error.alert_sent(), None);
    assert!(meeting.plaintext.is_empty());
    // The change_cipher_spec that RFC 8446 § D.4 wants behind the server's hello, and nothing after it.
    assert_eq!(meeting.to_server, [20, 3, 3, 0, 1, 1]);
    let session = &mut meeting.session;
    assert!(!session.handshake_complete() && !session.is_handshaking() && !session.is_vouched_for());
    assert_eq!((session.peer_certificate(), session.parameters()), (None, None));
    assert!(session.channel_binding().is_err());
    assert_eq!(session.read(&[], &mut Vec::new(), &mut Vec::new()).unwrap_err(), error);
    // It was forgotten, although it would do again.
    world.clock.0.store(NOW, Ordering::Relaxed);
    assert!(!world.meet() && world.meet());
}

#[test]
fn as_many_sessions_as_the_bound_are_remembered_and_not_one_more() {
    let mut world = World::tls13();
    world.server.send_tls13_tickets = MAX_TICKETS + 3;
    assert!(!world.meet());
    world.server.send_tls13_tickets = 0;
    let resumed = (0..MAX_TICKETS + 3).filter(|_| world.meet()).count();
    assert_eq!(resumed, MAX_TICKETS);
}

#[test]
fn one_handshake_at_a_time_uses_what_is_remembered() {
    let world = World::tls13();
    assert!(!world.meet());
    let first = world.begin();
    assert!(!world.meet(), "while the first one's handshake is going on");
    drop(first);
    assert!(world.meet(), "given up before it was complete");
    let mut first = world.begin();
    first.settle().unwrap();
    assert!(world.meet(), "the first one is complete, and goes on");
    // One that failed gives it back too.
    let mut failed = world.begin();
    failed.session.read(b"not TLS", &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(world.meet());
}

#[test]
fn what_is_remembered_does_not_show() {
    let world = World::tls13();
    assert!(!world.meet());
    let shown = format!("{:?}", world.client.sessions.as_ref().unwrap());
    assert_eq!(shown, "SessionCache { server: Some(\"capulet.lit\"), .. }");
}
