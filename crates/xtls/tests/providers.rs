//! Tunnels under whichever cryptography is built: `cargo test -p xtls --test providers`, with `--no-default-features --features ring`
//! or without.

#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
#![allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]

use std::time::Duration;

use xtls::{
    Application, Engine, Event, Identity, Instant, Local, Password, Security, Setup, TrustPolicy, TunnelOptions,
    config::Config,
    jid::FullJid,
    rustls::crypto::CryptoProvider,
    tls::{IdentityError, KeyAlgorithm, UnixTime, default_provider},
    trust::{MemoryTrustStore, Method, Pin},
};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const KEYS: [KeyAlgorithm; 2] = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519];

fn jid(jid: &str) -> FullJid {
    jid.parse().unwrap()
}

fn time() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000))
}

fn identity(of: &str, key: KeyAlgorithm) -> Identity {
    Identity::generate(&jid(of).to_bare(), key, time()).unwrap()
}

/// How a tunnel between these two is secured at both ends, after a word has gone through it.
fn tunnel(identities: &[Identity; 2], options: &TunnelOptions) -> [Security; 2] {
    let now = Instant::now();
    let mut ends = [(ROMEO, 0, JULIET, 1), (JULIET, 1, ROMEO, 0)].map(|(own, at, peer, other)| {
        let mut store = MemoryTrustStore::default();
        if options.terms.password.is_none() {
            store.pin(&jid(peer).to_bare(), Pin::manual(identities[other].fingerprint_sha256()));
        }
        let mut config = Config::default();
        config.stamp_from = true;
        let local = Local::new(jid(own), identities[at].clone());
        Engine::new(Setup::new(local, Box::new(store), [7; 32], time()).with_config(config), now).unwrap()
    });
    ends[0].initiate(now, jid(JULIET), options.clone()).unwrap();
    let mut secured = [None, None];
    let (mut stanza, mut word) = (String::new(), Vec::new());
    let mut quiet = 0;
    while quiet < 2 {
        quiet += 1;
        for at in 0..2 {
            while let Some(event) = ends[at].poll_event() {
                quiet = 0;
                match event {
                    Event::Incoming(offer) => drop(ends[at].accept(now, offer, options.clone()).unwrap()),
                    Event::Secured { id, security } => {
                        secured[at] = Some(*security);
                        if at == 0 {
                            assert_eq!(ends[at].tunnel(id).unwrap().write(now, b"wherefore").unwrap(), 9);
                        }
                    }
                    Event::Readable { id } => drop(ends[at].tunnel(id).unwrap().read(now, &mut word)),
                    Event::Closed(closed) => panic!("{closed:?}"),
                    _ => {}
                }
            }
            while ends[at].poll_transmit(now, &mut stanza).is_some() {
                quiet = 0;
                let _ = ends[1 - at].handle_stanza(now, &stanza);
                stanza.clear();
            }
        }
    }
    assert_eq!(word, b"wherefore");
    secured.map(Option::unwrap)
}

fn options() -> TunnelOptions {
    let mut options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    options.check_support = false;
    options
}

#[test]
fn certificates_secure_a_tunnel() {
    let group = if cfg!(feature = "aws-lc-rs") { "X25519MLKEM768" } else { "X25519" };
    for keys in [[KEYS[0], KEYS[1]], [KEYS[1], KEYS[0]]] {
        for security in tunnel(&[identity(ROMEO, keys[0]), identity(JULIET, keys[1])], &options()) {
            assert_eq!(security.method, Method::X509);
            assert!(security.tls.group.eq_ignore_ascii_case(group), "{}", security.tls.group);
        }
    }
}

#[test]
fn a_password_secures_a_tunnel() {
    let options = options().with_password(Password::new("a rose by any other name").unwrap());
    for security in tunnel(&[identity(ROMEO, KEYS[0]), identity(JULIET, KEYS[0])], &options) {
        assert_eq!(security.method, Method::Srp);
    }
}

#[test]
fn an_identity_comes_back_from_its_text_by_whichever_provider() {
    let provider: &CryptoProvider = &default_provider();
    for key in KEYS {
        let made = identity(ROMEO, key);
        let pem = made.to_pem();
        let read = Identity::from_pem_with(provider, &pem.certificate, pem.key.expose()).unwrap();
        assert_eq!(read.fingerprint_sha256(), made.fingerprint_sha256());
        assert_eq!(read.key_algorithm(), Some(key));
        // A certificate of its own key, as the first one was made.
        let anew = Identity::from_key_with(provider, &jid(ROMEO).to_bare(), pem.key.expose(), [1; 16], time()).unwrap();
        assert_eq!(anew.as_peer_certificate().spki_sha256(), made.as_peer_certificate().spki_sha256());
        tunnel(&[anew, identity(JULIET, key)], &options());
    }
}

#[test]
fn keys_of_rsa_are_made_by_aws_lc_alone() {
    let made = Identity::generate(&jid(ROMEO).to_bare(), KeyAlgorithm::Rsa3072, time());
    if cfg!(feature = "aws-lc-rs") {
        assert_eq!(made.unwrap().key_algorithm(), Some(KeyAlgorithm::Rsa3072));
    } else {
        let refused = made.unwrap_err();
        assert_eq!(refused, IdentityError::NotMade(KeyAlgorithm::Rsa3072));
        assert!(refused.to_string().contains("RSA 3072"), "{refused}");
    }
}
