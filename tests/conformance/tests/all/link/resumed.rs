//! RFC 7590 § 3.3: sessions with a server that are resumed, and nobody who is not judged again.

use std::{io::Write as _, sync::Arc};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    pki_types::PrivateKeyDer,
    server::{ServerConfig, ServerConnection, ServerSessionMemoryCache},
};
use xtls::link::{LinkEvent, ServerTerms};
use xtls::{
    CloseReason, Fault, Security, Terms, TrustPolicy,
    link::Stage,
    trust::{Authentication, Pin},
};
use xtls_stanza::Fingerprint;
use xtls_testkit::{LinkPair, provider::VirtualTime};
use xtls_tls::SessionCache;

use super::scripted::{I, R};

/// A client, and a server of rustls that resumes sessions.
struct World {
    pair: LinkPair,
    server: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

impl World {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["im.example.com".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_details(provider, VirtualTime::new(1_760_000_000))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        server.session_storage = ServerSessionMemoryCache::new(16);
        let mut pair = LinkPair::new(4);
        pair.name(I, "romeo@im.example.com");
        pair.name(R, "im.example.com");
        let world = Self { pair, server: Arc::new(server), fingerprint: Fingerprint::sha256(certificate.der()) };
        world.pin(world.fingerprint);
        world
    }

    /// Lets the client know the server by this certificate alone.
    fn pin(&self, fingerprint: Fingerprint) {
        self.pair.with_store(I, |store| {
            let domain = "im.example.com".parse().unwrap();
            store.remove(&domain);
            store.pin(&domain, Pin::manual(fingerprint));
        });
    }

    fn unpin(&self) {
        self.pair.with_store(I, |store| store.remove(&"im.example.com".parse().unwrap()));
    }

    /// A connection as far as it goes; what the client tells of it.
    fn meet(&mut self, terms: &ServerTerms) -> Vec<LinkEvent> {
        self.pair.start_to_server(terms);
        self.go_on()
    }

    fn go_on(&mut self) -> Vec<LinkEvent> {
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        let mut read = 0;
        loop {
            self.pair.run();
            let mut sent = &self.pair.sent(I)[read..];
            read += sent.len();
            if sent.is_empty() {
                return self.pair.take_events(I);
            }
            while !sent.is_empty() {
                server.read_tls(&mut sent).unwrap();
                if server.process_new_packets().is_err() {
                    return self.pair.take_events(I);
                }
            }
            let mut answer = Vec::new();
            server.writer().flush().unwrap();
            while server.wants_write() {
                server.write_tls(&mut answer).unwrap();
            }
            self.pair.inject(I, &answer);
        }
    }
}

fn terms(trust: TrustPolicy, sessions: Option<&SessionCache>) -> ServerTerms {
    let mut terms = ServerTerms::new(trust);
    terms.direct_tls = true;
    terms.sessions = sessions.cloned();
    terms
}

fn secured(events: &[LinkEvent]) -> &Security {
    let [LinkEvent::Secured { security }] = events else { panic!("{events:?}") };
    security
}

fn refused(events: Vec<LinkEvent>) -> Fault {
    let Ok([LinkEvent::Closed(closed)]) = <[_; 1]>::try_from(events) else { panic!() };
    let CloseReason::Fault(fault) = closed.reason else { panic!() };
    *fault
}

#[test]
fn rfc_7590_3_3_a_session_with_a_server_is_resumed_where_that_was_asked_for() {
    let mut world = World::new();
    let sessions = SessionCache::new();
    for (kept, resumed) in
        [(None, false), (None, false), (Some(&sessions), false), (Some(&sessions), true), (None, false)]
    {
        let events = world.meet(&terms(TrustPolicy::Pinned, kept));
        let security = secured(&events);
        assert_eq!((security.tls.resumed, security.authenticated_by), (resumed, Authentication::Pinned));
        assert_eq!(security.certificate.as_ref().unwrap().fingerprint_sha256(), world.fingerprint);
        assert_eq!(security.to_string().contains("resumed"), resumed);
    }
}

#[test]
fn rfc_7590_3_3_a_pin_that_is_gone_refuses_the_session_that_it_began() {
    let other = Fingerprint::sha256(b"another");
    // Another pin before the connection.
    let mut world = World::new();
    let sessions = SessionCache::new();
    let pinned = terms(TrustPolicy::Pinned, Some(&sessions));
    secured(&world.meet(&pinned));
    world.pin(other);
    let fault = refused(world.meet(&pinned));
    assert!(matches!(fault, Fault::CertificateChanged { .. }), "{fault:?}");

    // Another pin while the connection is being made.
    let mut world = World::new();
    let sessions = SessionCache::new();
    let pinned = terms(TrustPolicy::Pinned, Some(&sessions));
    secured(&world.meet(&pinned));
    world.pair.start_to_server(&pinned);
    world.pin(other);
    let fault = refused(world.go_on());
    assert!(matches!(fault, Fault::CertificateChanged { .. }), "{fault:?}");

    // None any more, while the connection is being made.
    let mut world = World::new();
    let sessions = SessionCache::new();
    let pinned = terms(TrustPolicy::Pinned, Some(&sessions));
    secured(&world.meet(&pinned));
    world.pair.start_to_server(&pinned);
    world.unpin();
    let fault = refused(world.go_on());
    assert!(matches!(fault, Fault::NotTrusted { .. }), "{fault:?}");
}

#[test]
fn rfc_7590_3_3_whoever_was_approved_once_is_asked_for_again() {
    let mut world = World::new();
    let sessions = SessionCache::new();
    let ask = terms(TrustPolicy::Ask, Some(&sessions));
    assert!(!secured(&world.meet(&ask)).tls.resumed);
    assert!(secured(&world.meet(&ask)).tls.resumed);
    world.unpin();
    let events = world.meet(&ask);
    let [LinkEvent::TrustRequired { question, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(question.certificate.fingerprint_sha256(), world.fingerprint);
    assert!(world.pair.link(I).stage() == Stage::Judging && world.pair.link(I).security().is_none());
}

#[test]
fn links_between_peers_are_never_resumed() {
    let mut pair = LinkPair::new(4);
    pair.trust(I);
    pair.trust(R);
    for _ in 0..2 {
        pair.connect(Terms::new(TrustPolicy::Pinned));
        for side in [I, R] {
            assert!(!pair.link(side).security().unwrap().tls.resumed);
        }
    }
}
