//! Two sessions with OpenSSL 3.0.19's library, recorded on loopback: what it sent is played to our side, whose randomness is
//! that of the recording. Here nothing is checked against itself.

use super::*;
use crate::CipherSuite;

macro_rules! exporter {
    ($session:expr) => {{
        let mut out = [0; 32];
        let label = b"EXPORTER-Channel-Binding";
        $session.export_keying_material(&mut out, label, Some(b"")).unwrap();
        out
    }};
}

/// The end of the last handshake record: what follows is data, and then close_notify.
fn handshake_length(bytes: &[u8]) -> usize {
    let all = records(bytes);
    let handshake = all.iter().take_while(|record| record[0] != 23);
    handshake.map(Vec::len).sum()
}

#[test]
fn openssl_server_recorded() {
    let sent = hex(OPENSSL_SERVER);
    let mut client = client(1);
    let _ = client.take(&[]).quiet();
    let (handshake, rest) = sent.split_at(handshake_length(&sent));
    let answer = client.take(handshake).quiet();
    assert_eq!(records(&answer).len(), 3);
    assert!(!client.is_handshaking());
    assert_eq!(client.group(), Some(Group::Rfc5054N2048));
    assert_eq!(client.cipher_suite(), Some(CipherSuite::TlsSrpShaWithAes256CbcSha));
    let expected = hex("604fa0b25735420d33d4c933d449f7964535d81a8c79cfc30b3ab762a8acb1f5");
    assert_eq!(exporter!(client)[..], expected);
    let output = client.take(rest);
    assert_eq!((output.result, &output.plaintext[..]), (Ok(()), &b"hello"[..]));
    assert!(client.peer_closed());
}

#[test]
fn openssl_client_recorded() {
    let sent = hex(OPENSSL_CLIENT);
    let mut config = ServerConfig::new(credentials("wherefore"));
    config.group = Group::Rfc5054N2048;
    let mut server = ServerSession::new(config, Box::new(Seeded::new(2))).unwrap();
    let (handshake, rest) = sent.split_at(handshake_length(&sent));
    let answer = server.take(handshake).quiet();
    assert!(!server.is_handshaking());
    assert_eq!(records(&answer).len(), 3);
    let expected = hex("43fc55385a853584dc0d1304f9d4b07d59fea8d9182a5b2d53c44c718ce87d86");
    assert_eq!(exporter!(server)[..], expected);
    let output = server.take(rest);
    assert_eq!((output.result, &output.plaintext[..]), (Ok(()), &b"hello"[..]));
    assert!(server.peer_closed());
}

const OPENSSL_SERVER: &str = "
    1603030039020000350303cb7312049a3caa183d069a34eb25e2f272ff803b6426463bea5b7824beb9e4e500c02000000dff010001000016
    00000017000016030302200c00021c0100ac6bdb41324a9a9bf166de5e1389582faf72b6651987ee07fc3192943db56050a37329cbb4a099
    ed8193e0757767a13dd52312ab4b03310dcd7f48a9da04fd50e8083969edb767b0cf6095179a163ab3661a05fbd5faaae82918a9962f0b93
    b855f97993ec975eeaa80d740adbf4ff747359d041d5c33ea71d281e446b14773bca97b43a23fb801676bd207a436c6481f1d2b907871746
    1a5b9d32e688f87748544523b524b0d57d5ea77a2775d2ecfa032cfbdbf52fb3786160279004e57ae6af874e7303ce53299ccc041c7bc308
    d82a5698f3a8d0c38271ae35f8e9dbfbb694b5c803d89f7ae435de236d525f54759b65e372fcd68ef20fa7111f9e4aff7300010214229502
    72714e308cc0cce06b8396d4f1d7722e1f01002b6888b6a0fcddeecdcebc34a2bd3739f2a89dd00bc8ebaa8467d62f7e126e72df519320d5
    8796154930bec490f31ee31d97840dac5bf23cfe4c8883fa3b08ce18724b15a6a5ee46571bb3874cac2ede7a10398ff98db80b0335270489
    7c97d1c043e957320b3c494b6281963b0f8de883f4a0de1904a79877f5416f50ba882acf54dbd22c8d762aa3d7ebdefcf756ea06918adeaa
    262c07ddfb641ee7e5a7688f271e02c1b48a4145b9b886b18c5f3c9e9b6fefaa373068a957d3ec9a9059994efd5ef0aebf7229bdd971a94f
    179bf0a7dbbabcec7e264beb780c84fcebbb219552c4535d61d982ef49043a7886c00db8d0b5820d56de5f80da300dbf9ace811603030004
    0e0000001403030001011603030044afabd9588a65a5757dd409b61c974b77211538111e680f6f3e3d0922ded384ce56bbb7fdc102881198
    10f5e2a20c2f7dc452f0a1ee2bd4c65daa440ea45002e6d1fdbe57170303003474b3c2112f763f9af8e80a41b6bcab636069968a8f194a95
    c5924a689f93b717909efa48fb8a075b235b3849f8c17e607242530a1503030034a384b70c1f1565e2b36dfc20d9c873831554b96a3c9879
    5d48535a0189b08cc0101024e9a84b22a00038cdec3b72d5f77e6dfc85
";

const OPENSSL_CLIENT: &str = "
    1603010084010000800303d931f8afc0a270b6595b4d24b739a01d5968aae686350e6845a613af19ab6031000004c02000ff01000053000c
    001312726f6d656f406d6f6e74616775652e6c69740016000000170000000d0030002e040305030603080708080809080a080b0804080508
    06040105010601030302030301020103020202040205020602160303010610000102010076aef2be6099998fa82c502bc069e0cbc6abfa84
    69ea98bedc18dde6f87d42cf6a0bc1a3061348ae97f5dc1ec21d03f0bc46707f1d225bdb0926e2431f757988b6cc7dfbf7c2d1e19bc6a23a
    b67c4ddcecdb9788cad92102d290897a1d2fd108cab9e713f4db9a9f56dda4959a2095d05cf0fa0a5603dce5e8aadb8d2c22163773a82ec0
    91d64c4b1b41552c5c355e9622362a7662711f51c053eb749b25bc7f273c77f82959d9c77872ec0eaa39241634d04c660076755653505182
    f4a7946901b294d86778aa2a2e8d1428a857d846208db7ddb889f31873c939f56927ba75a28f678e2f98c3acdd6e221b76ed502be4e5b145
    384ea35faa25965680e7610a1403030001011603030044b184fa16d916f23fcda2b0fbfc5693d0ec7a69e7e66350c89fadf84dd806cf7573
    7546b45d2ec721f8160863552940c847393f1a50726249718ebd85358fe4f1c550213017030300349c0651040d98281cd803f7ece1a68758
    9c3c89ec126a7ad14c042664363c97750c99754f0f610020eb22d55f5615b238bd9d5b6e15030300344295211c8b52411644438911a1a0c7
    fa81b95f716b11e60a1a088e302d306c22470cfec04cae1c12d5ee46cb9b57b462f7a010d2
";
