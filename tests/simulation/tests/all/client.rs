//! A TLS client that is not ours: it shows no certificate, the wrong one, or the right one without its key (attack table, rows
//! M6 and P17).
use crate::common::{JULIET, MALLORY, script::Script, terminations};
use xtls::{
    Event, Fault,
    tls::{CertificateFault, TlsErrorKind},
};
use xtls_testkit::EntityOptions;

/// A TLS client that shows no certificate, or this one, whose key it has or not.
fn handshake(script: &mut Script, shown: Option<[&xtls::Identity; 2]>) -> xtls::Closed {
    use std::{io::Write as _, sync::Arc};
    script.opened();
    let _ = script.world.take_events(script.juliet);
    let verifier = Arc::new(anything::Anything);
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some([certificate, key]) => {
            let pem = key.to_pem();
            let key = rustls::pki_types::pem::PemObject::from_pem_slice(pem.key.expose().as_bytes()).unwrap();
            let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
            let held = rustls::sign::CertifiedKey::new(vec![certificate.certificate().clone()], key);
            config.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(held)))
        }
    };
    let mut tls = rustls::ClientConnection::new(Arc::new(config), "xtls.invalid".try_into().unwrap()).unwrap();
    loop {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        for block in out.chunks(4096) {
            script.block(block);
        }
        let records = std::mem::take(&mut script.records);
        if records.is_empty() {
            break;
        }
        let mut input = records.as_slice();
        while !input.is_empty() {
            tls.read_tls(&mut input).unwrap();
            if tls.process_new_packets().is_err() {
                break;
            }
        }
    }
    let _ = tls.writer().write(b"never read");
    let events = script.world.take_events(script.juliet);
    match events.into_iter().next() {
        Some(Event::Closed(closed)) => closed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn p17_no_client_certificate_or_the_wrong_one_is_refused() {
    let mut script = Script::with_options(real(25));
    let end = handshake(&mut script, None);
    assert!(end.reason.is_security() && end.reason.to_string().contains("certificate"), "{}", end.reason);
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["security-error"]);

    let mut script = Script::with_options(real(27));
    let other = xtls_testkit::provider::identity(&"mallory@verona.lit".parse().unwrap(), [9; 32], 1_767_225_600);
    let end = handshake(&mut script, Some([&other, &other]));
    let xtls::CloseReason::Fault(fault) = &end.reason else { panic!("{}", end.reason) };
    assert!(
        matches!(&**fault, Fault::CertificateChanged { presented: Some(f), .. } if *f == other.fingerprint_sha256())
    );
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["security-error"]);
}

#[test]
fn m06_the_certificate_of_the_peer_without_its_key_ends_in_security_error() {
    let mut script = Script::with_options(real(29));
    let genuine = script.identity.clone();
    let own = xtls_testkit::provider::identity(&"mallory@verona.lit".parse().unwrap(), [9; 32], 1_767_225_600);
    let end = handshake(&mut script, Some([&genuine, &own]));
    let xtls::CloseReason::Fault(fault) = &end.reason else { panic!("{}", end.reason) };
    let Fault::Tls(error) = &**fault else { panic!("{fault}") };
    let is_bad_signature = matches!(
        error.kind(),
        TlsErrorKind::BadCertificate { presented: Some(shown), fault: CertificateFault::BadSignature }
            if *shown == genuine.fingerprint_sha256()
    );
    assert!(is_bad_signature && end.reason.is_security(), "{error:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["security-error"]);
    assert!(script.world.take_events(script.juliet).is_empty());
}

fn real(seed: u8) -> EntityOptions {
    let mut options = EntityOptions::seeded(seed);
    options.real_cryptography = true;
    options
}

mod anything {
    //! A client that believes everybody.
    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub(super) struct Anything;

    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
}
