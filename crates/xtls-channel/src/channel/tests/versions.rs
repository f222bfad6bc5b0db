//! Which TLS the terms need, and a provider that cannot do it.

use xtls_tls::TlsVersion;

use super::*;
use crate::setup::{Setup as Made, SetupError};

/// An end whose store can be read.
fn end(setup: &Setup, side: Side) -> End {
    setup.end(side).expect("the store can be read")
}

#[test]
fn an_initiator_that_asks_its_user_needs_tls_1_3_and_is_told_at_the_beginning() {
    for trust in [TrustPolicy::Pinned, TrustPolicy::Ask, TrustPolicy::LeapOfFaith] {
        for tls in [Tls::V12, Tls::V13] {
            let mut setup = Setup::strangers(tls, trust);
            SIDES.iter().for_each(|side| setup.stores[at(*side)].pin(other(*side), fingerprint(other(*side))));
            let lacks = tls == Tls::V12 && trust == TrustPolicy::Ask;
            let expected = if lacks { Err(Unofferable::NoTls13) } else { Ok(vec![Method::X509]) };
            assert_eq!(end(&setup, I).channel.offerable(), expected, "{trust:?} {tls:?}");
            assert_eq!(
                end(&setup, R).channel.offerable(),
                Ok(vec![Method::X509]),
                "a responder's handshake can wait in TLS 1.2 too"
            );
            // Nor does a password beside it make up for it, but alone it needs no certificates.
            setup.terms[at(I)] = Terms::new(trust).with_password(word());
            assert_eq!(end(&setup, I).channel.offerable().is_err(), lacks);
            setup.terms[at(I)].methods = vec![Method::Srp];
            assert_eq!(end(&setup, I).channel.offerable(), Ok(vec![Method::Srp]));
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "an arbitrary starting point; time stands still")]
fn a_provider_that_cannot_do_the_oldest_tls_of_the_configuration_is_refused_by_name() {
    for (tls, minimum_tls, expected) in [
        (Tls::V12, TlsVersion::Tls12, None),
        (Tls::V12, TlsVersion::Tls13, Some(SetupError::MinimumTls(TlsVersion::Tls13))),
        (Tls::V13, TlsVersion::Tls13, None),
    ] {
        let local = Local::new(Jid::from(jid(I)), identity(I)).with_provider(provider(tls));
        let made: Made<Jid, ()> = Made::new(local, Box::new(MemoryTrustStore::default()), [1; 32], time(UNIX));
        let limits = SecurityLimits { minimum_tls, ..SecurityLimits::default() };
        let refused = Environment::open(made, limits, Instant::now()).err();
        assert_eq!(refused, expected);
        if let Some(refused) = refused {
            assert!(refused.to_string().contains("cannot do TLS 1.3, which `security.minimum_tls` demands"));
        }
    }
    let mut nothing = (*default_provider()).clone();
    nothing.kx_groups.retain(|group| !group.usable_for_version(rustls::ProtocolVersion::TLSv1_3));
    nothing.cipher_suites.retain(|suite| suite.tls13().is_some());
    let local = Local::new(Jid::from(jid(I)), identity(I)).with_provider(Arc::new(nothing));
    assert!(!local.has_tls(TlsVersion::Tls12), "suites of one version and an exchange of another");
}
