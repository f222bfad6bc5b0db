#![allow(clippy::unwrap_used)]

use sha2::{Digest, Sha256};

use super::*;
use crate::tests::hex;

/// The vector for P_SHA256 that was published on the TLS working group's list (2009), which many stacks carry.
#[test]
fn rfc_5246_5_prf_with_sha256() {
    let mut out = [0; 100];
    prf(&hex("9bbe436ba940f017b17652849a71db35"), b"test label", &[&hex("a0ba9f936cda311827a6f796ffd5198c")], &mut out);
    assert_eq!(
        *out.as_slice(),
        *hex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14
             baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e
             5a5110fff70187347b66")
    );
}

fn master() -> MasterSecret {
    let premaster: Vec<u8> = (0..100).collect();
    let session_hash = Sha256::digest(b"session");
    MasterSecret::new(&premaster, &session_hash, [0xC1; 32], [0x5E; 32])
}

// The values below were computed from the definitions by another program (Python's hmac and hashlib).

#[test]
fn rfc_7627_4_master_secret_and_rfc_5246_verify_data() {
    let hash = Sha256::digest(b"session");
    let client = master().verify_data(Side::Client, &hash);
    let server = master().verify_data(Side::Server, &hash);
    assert_eq!(*client.as_slice(), *hex("314e00e49ec798a981c34056"));
    assert_eq!(*server.as_slice(), *hex("d0436c491aada2ccdf369aa1"));
}

#[test]
fn rfc_5705_4_the_exporter_tells_no_context_from_an_empty_one() {
    let export = |context| {
        let mut out = [0; 40];
        master().export(b"EXPERIMENTAL", context, &mut out);
        out.to_vec()
    };
    let none = hex("50dea062a13841e72cc7c0651770f506c40036c1bdf07ac8c7ec5a01d94bae9c90e9ab75664b4f33");
    let empty = hex("0bd4bf5ef074ed8eae630a19da3b0badce777418e14049e16aaa223bf32ac7c9e932be87d41a3d92");
    let some = hex("2f04323ab7aa2a2d628ce62ec3b1efc322dff8f45791cacba729b20c41b1a3a270c7fbe17fd60645");
    assert_eq!(export(None), none);
    assert_eq!(export(Some((0, b""))), empty);
    assert_eq!(export(Some((3, b"abc"))), some);
}

#[test]
fn rfc_5705_6_labels_of_tls_itself_are_reserved() {
    for label in ["client finished", "server finished", "master secret", "extended master secret", "key expansion"] {
        assert!(is_reserved_label(label.as_bytes()));
    }
    assert!(!is_reserved_label(b"EXPORTER-Channel-Binding"));
}
