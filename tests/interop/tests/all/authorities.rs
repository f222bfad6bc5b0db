//! Tunnels between peers that a certification authority vouches for, through a real Prosody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use xtls_interop::{Person, Stage, Transport, Xtls};

/// An authority, and one below it that issues the certificates of people.
struct Authority {
    root: String,
    between: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let params = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).expect("parameters");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let key = KeyPair::generate().expect("a key");
        let root = params("A root").self_signed(&key).expect("a root");
        let above = Issuer::new(params("A root"), key);
        let key = KeyPair::generate().expect("a key");
        let between = params("Below it").signed_by(&key, &above).expect("an authority");
        Self { root: root.pem(), between: between.pem(), issuer: Issuer::new(params("Below it"), key) }
    }

    /// Gives a person a certificate for this address, with what leads to the root.
    fn issue(&self, person: &Person, address: &str) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        // id-on-xmppAddr (RFC 6120 § 13.7.1.4)
        params.subject_alt_names = vec![SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 5], address.into()))];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        let dir = person.data_dir().join("identities");
        fs::create_dir_all(&dir).expect("a directory");
        let text = [certificate, self.between.clone(), key.serialize_pem()].concat();
        let path = dir.join(format!("{}.pem", person.bare()));
        fs::write(&path, text).expect("the certificate is written");
        // Else there is a warning about the key.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
    }

    /// The file of the root.
    fn file(&self, person: &Person) -> String {
        let path = person.data_dir().with_extension("ca.pem");
        fs::write(&path, &self.root).expect("the root is written");
        path.display().to_string()
    }
}

#[test]
fn peers_that_an_authority_vouches_for_chat_without_any_pin() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let authority = Authority::new();
    authority.issue(&alice, &alice.bare());
    authority.issue(&bob, &bob.bare());
    let file = authority.file(&alice);
    let _listening = bob.listen(&["--echo", "--peer-ca-file", &file]);
    let mut chatting = alice.start(&["chat", &bob.full(), "--peer-ca-file", &file]);
    let secured = chatting.event("secured");
    assert_eq!((&secured["method"], &secured["authenticated_by"]), (&"x509".into(), &"authority".into()));
    assert_eq!(secured["confirmed"], true);
    chatting.event("stream_open");
    chatting.line("O gentle Romeo");
    assert_eq!(chatting.event("message")["body"], "O gentle Romeo");
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let listed = Xtls::run(alice.data_dir(), None, &["trust", "list"]);
    assert_eq!(listed.named("trusted").count(), 0, "nothing is pinned by it");
}

#[test]
fn a_certificate_for_another_address_is_refused_with_exit_code_3() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let authority = Authority::new();
    authority.issue(&alice, &alice.bare());
    authority.issue(&bob, "mallory@localhost");
    let file = authority.file(&alice);
    let mut listening = bob.listen(&["--peer-ca-file", &file]);
    let ended = alice.run(&["chat", &bob.full(), "--peer-ca-file", &file]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("it was issued for somebody else"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
    assert_eq!(ended.named("message").count(), 0);
    listening.event("closed");
}
