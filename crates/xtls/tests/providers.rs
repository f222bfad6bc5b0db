//! Tunnels under whichever cryptography is built: `cargo test -p xtls --test providers`, with `--no-default-features --features ring`
//! or without.

#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
#![allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]

mod common;

use xtls::{
    Application, Event, Identity, Instant, Password, Security, TrustPolicy, TunnelOptions,
    rustls::crypto::CryptoProvider,
    tls::{IdentityError, KeyAlgorithm, default_provider},
    trust::{MemoryTrustStore, Method, Pin},
};

use self::common::{JIDS, bare, engine, identity, play, time};

const ROMEO: &str = JIDS[0];
const JULIET: &str = JIDS[1];
const KEYS: [KeyAlgorithm; 2] = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519];

/// How a tunnel between these two is secured at both ends, after a word has gone through it.
fn tunnel(identities: &[Identity; 2], options: &TunnelOptions) -> [Security; 2] {
    let now = Instant::now();
    let ends = [0, 1].map(|at| {
        let mut store = MemoryTrustStore::default();
        if options.terms.password.is_none() {
            store.pin(&bare(JIDS[1 - at]), Pin::manual(identities[1 - at].fingerprint_sha256()));
        }
        engine(JIDS[at], identities[at].clone(), store, now)
    });
    let (mut secured, mut word) = ([None, None], Vec::new());
    play(ends, now, options, |end, at, event| match event {
        Event::Secured { id, security } => {
            secured[at] = Some(*security);
            if at == 0 {
                assert_eq!(end.tunnel(id).unwrap().write(now, b"wherefore").unwrap(), 9);
            }
        }
        Event::Readable { id } => drop(end.tunnel(id).unwrap().read(now, &mut word)),
        Event::Closed(closed) => panic!("{closed:?}"),
        _ => {}
    });
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
        let anew = Identity::from_key_with(provider, &bare(ROMEO), pem.key.expose(), [1; 16], time()).unwrap();
        assert_eq!(anew.as_peer_certificate().spki_sha256(), made.as_peer_certificate().spki_sha256());
        tunnel(&[anew, identity(JULIET, key)], &options());
    }
}

#[test]
fn keys_of_rsa_are_made_by_aws_lc_alone() {
    let made = Identity::generate(&bare(ROMEO), KeyAlgorithm::Rsa3072, time());
    if cfg!(feature = "aws-lc-rs") {
        assert_eq!(made.unwrap().key_algorithm(), Some(KeyAlgorithm::Rsa3072));
    } else {
        let refused = made.unwrap_err();
        assert_eq!(refused, IdentityError::NotMade(KeyAlgorithm::Rsa3072));
        assert!(refused.to_string().contains("RSA 3072"), "{refused}");
    }
}
