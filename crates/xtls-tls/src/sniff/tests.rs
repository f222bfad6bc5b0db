use std::sync::Arc;

use proptest::prelude::*;
use rustls::SupportedCipherSuite;

use super::ClientHelloMethod::{Mixed, NeedMore, NotClientHello, Srp, X509};
use super::*;
use crate::testing::{romeo_config, srp_config};
use crate::{TlsSession, TlsVersion, default_provider};

fn srp_hello(max_record: usize) -> Vec<u8> {
    let mut config = srp_config("wherefore");
    config.max_record = max_record;
    let mut hello = Vec::new();
    TlsSession::srp_client(&config, &mut hello).unwrap();
    hello
}

fn x509_hello(max_record: usize) -> Vec<u8> {
    let mut config = romeo_config();
    config.max_record = max_record;
    let mut hello = Vec::new();
    TlsSession::client(&config, &mut hello).unwrap();
    hello
}

fn vector16_of(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16_of(data)].concat()
}

/// The body of a ClientHello.
fn body(suites: &[u16], extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let extensions = extensions.map_or_else(Vec::new, |extensions| vector16_of(&extensions.concat()));
    [&[3, 3][..], &[7; 32], &[0], &vector16_of(&suites), &[1, 0], &extensions].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1][..], length.get(1..).unwrap(), body].concat()
}

/// A handshake message in records of at most `size` bytes of content.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|fragment| [&[22, 3, 1][..], &vector16_of(fragment)].concat()).collect()
}

fn sniff(suites: &[u16], extensions: &[Vec<u8>]) -> ClientHelloMethod {
    client_hello_method(&records(&message(&body(suites, Some(extensions))), 1 << 14))
}

/// The handshake messages in unprotected records.
fn joined(mut records: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = records {
        let (fragment, more) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        message.extend_from_slice(fragment);
        records = more;
    }
    message
}

#[test]
fn the_hellos_of_both_engines_are_told_apart_at_their_last_byte() {
    let mut tls12 = romeo_config();
    let mut provider = (*default_provider()).clone();
    provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)));
    tls12.provider = Arc::new(provider);
    let mut tls13 = romeo_config();
    tls13.minimum = TlsVersion::Tls13;
    let mut hellos =
        vec![(srp_hello(4096), Srp), (srp_hello(64), Srp), (x509_hello(4096), X509), (x509_hello(64), X509)];
    for config in [tls12, tls13] {
        let mut hello = Vec::new();
        TlsSession::client(&config, &mut hello).unwrap();
        hellos.push((hello, X509));
    }
    for (hello, expected) in hellos {
        for cut in 0..hello.len() {
            assert_eq!(client_hello_method(hello.get(..cut).unwrap()), NeedMore, "{cut} of {}", hello.len());
        }
        assert_eq!(client_hello_method(&hello), expected);
        for behind in [&b"\0"[..], b"<not tls/>", &hello] {
            assert_eq!(client_hello_method(&[&hello, behind].concat()), expected, "what follows does not matter");
        }
        for size in [1, 2, 3, 4, 5, 38, 100, 1 << 14] {
            let records = records(&joined(&hello), size);
            assert_eq!(client_hello_method(&records), expected, "records of {size}");
            let shared = self::records(&[&joined(&hello)[..], &[14, 0, 0, 0]].concat(), size);
            assert_eq!(client_hello_method(&shared), expected, "another message in the same record");
            assert_eq!(client_hello_method(records.get(..records.len() - 1).unwrap()), NeedMore);
        }
    }
}

#[test]
fn m08_the_method_is_told_by_cipher_suites_and_extension_together() {
    let name = extension(12, b"\x05romeo");
    let other = extension(23, b"");
    for suite in 0xC01A..=0xC022 {
        assert_eq!(sniff(&[suite, 0x00FF, 0x5600], &[other.clone(), name.clone()]), Srp);
        assert_eq!(sniff(&[suite], std::slice::from_ref(&other)), Srp, "the engine refuses it for its missing name");
        assert_eq!(sniff(&[suite, 0xC02B], std::slice::from_ref(&name)), Mixed);
        assert_eq!(sniff(&[0x1301, suite], std::slice::from_ref(&other)), Mixed);
    }
    for suite in [0x1301, 0xC02B, 0xC019, 0xC023, 0x002F, 0x0A1A] {
        assert_eq!(sniff(&[0x5600, suite], std::slice::from_ref(&other)), X509);
        assert_eq!(sniff(&[suite], &[name.clone(), other.clone()]), Mixed);
    }
    // RFC 8701: values that mean nothing.
    for grease in [0x0A0A, 0x5A5A, 0xFAFA] {
        assert_eq!(sniff(&[grease, 0xC020], std::slice::from_ref(&name)), Srp);
        assert_eq!(sniff(&[grease, 0x1302], &[extension(grease, b"")]), X509);
        assert_eq!(sniff(&[grease, 0x00FF], &[]), Mixed, "no method at all");
    }
    let old = |suites| client_hello_method(&records(&message(&body(suites, None)), 100));
    assert_eq!((old(&[0xC020]), old(&[0x002F])), (Srp, X509), "there need not be extensions");
}

#[test]
fn what_is_no_client_hello_is_noticed_at_the_first_wrong_byte() {
    assert_eq!(client_hello_method(b""), NeedMore);
    let bad = [
        &b"<"[..],
        b"G",
        &[21],
        &[23],
        &[22, 2],
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0x40, 1],
        &[22, 3, 1, 0, 1, 2],
        &[22, 3, 1, 0, 4, 1, 1, 0, 1],
        &[22, 3, 1, 0, 1, 1, 20],
    ];
    for bytes in bad {
        assert_eq!(client_hello_method(bytes), NotClientHello, "{bytes:?}");
        let before = bytes.get(..bytes.len() - 1).unwrap();
        assert_eq!(client_hello_method(before), NeedMore, "{before:?}");
    }
}

#[test]
fn malformed_hellos_have_no_method() {
    let good = body(&[0x1301], Some(&[extension(43, &[2, 3, 4])]));
    let judge = |body: &[u8]| client_hello_method(&records(&message(body), 1 << 14));
    assert_eq!(judge(&good), X509);
    for length in 0..good.len() {
        let expected = if length == 41 { X509 } else { NotClientHello };
        assert_eq!(judge(good.get(..length).unwrap()), expected, "cut to {length}; 41 is all but the extensions");
    }
    assert_eq!(judge(&[&good[..], &[0]].concat()), NotClientHello, "something behind the extensions");
    assert_eq!(judge(&body(&[], Some(&[]))), NotClientHello, "no cipher suites");
    let mut odd = good.clone();
    odd[36] = 3;
    assert_eq!(judge(&odd), NotClientHello, "half a cipher suite");
    let mut session_id = body(&[0x1301], None);
    session_id.splice(34..35, [&[33][..], &[0; 33]].concat());
    assert_eq!(judge(&session_id), NotClientHello, "a session id of 33 bytes");
    session_id.splice(34..68, [&[32][..], &[0; 32]].concat());
    assert_eq!(judge(&session_id), X509);
    let mut compression = body(&[0x1301], None);
    compression.truncate(39);
    compression.push(0);
    assert_eq!(judge(&compression), NotClientHello, "no compression method");
}

#[test]
fn p03_no_more_than_64_kib_are_looked_at() {
    let empty = message(&body(&[0x1301], Some(&[extension(21, &[])]))).len();
    let padded = |total: usize| {
        let padding = total - 4 * HEADER - empty;
        let hello = records(&message(&body(&[0x1301], Some(&[extension(21, &vec![0; padding])]))), 1 << 14);
        assert_eq!(hello.len(), total);
        hello
    };
    let longest = padded(MAX_HANDSHAKE);
    assert_eq!(client_hello_method(&longest), X509);
    assert_eq!(client_hello_method(longest.get(..MAX_HANDSHAKE - 1).unwrap()), NeedMore);
    let too_long = padded(MAX_HANDSHAKE + 1);
    assert_eq!(client_hello_method(&too_long), NotClientHello);
    assert_eq!(client_hello_method(too_long.get(..MAX_HANDSHAKE).unwrap()), NotClientHello, "never more is needed");
    assert_eq!(client_hello_method(too_long.get(..MAX_HANDSHAKE - 1).unwrap()), NeedMore);
}

proptest! {
    #[test]
    fn l08_any_bytes_have_an_answer_that_is_final(
        engine in any::<bool>(),
        altered in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        noise in proptest::collection::vec(any::<u8>(), 0..100),
        kept in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = if engine { srp_hello(64) } else { x509_hello(512) };
        for (place, value) in altered {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(kept.index(bytes.len() + 1));
        bytes.extend(noise);
        let mut last = NeedMore;
        for cut in 0..=bytes.len() {
            let answer = client_hello_method(bytes.get(..cut).unwrap());
            prop_assert!(last == NeedMore || last == answer, "{last:?} became {answer:?} at {cut}");
            last = answer;
        }
    }

    #[test]
    fn l08_no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let hello = records(&message(&bytes), 50);
        prop_assert_ne!(client_hello_method(&hello), NeedMore);
        let _ = client_hello_method(&bytes);
    }
}

proptest! {
    /// Whatever comes, and however it is cut: the watch says what looking at all of it says.
    #[test]
    fn p02_a_watch_answers_as_a_look_at_everything_does(
        srp in any::<bool>(),
        size in 1..600_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(1..200_usize, 1..20),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        is_noise in prop::bool::weighted(0.1),
    ) {
        let hello = if srp { srp_hello(1 << 14) } else { x509_hello(1 << 14) };
        let mut stream = if is_noise { Vec::new() } else { records(&joined(&hello), size) };
        stream.extend(noise);
        for (at, byte) in changes {
            if !stream.is_empty() {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
        }
        let mut watch = ClientHelloWatch::default();
        let mut end = 0;
        for cut in cuts.iter().cycle().take(3000) {
            end = stream.len().min(end + cut);
            prop_assert_eq!(watch.look(&stream[..end]), client_hello_method(&stream[..end]), "at {}", end);
            if end == stream.len() {
                break;
            }
        }
    }
}

#[test]
fn p03_a_watch_looks_at_no_more_than_64_kib() {
    // One message that would go on, in records of one byte.
    let mut message = vec![1, 0, 255, 255];
    message.resize(20_000, 0);
    let stream = records(&message, 1);
    for (length, expected) in [(MAX_HANDSHAKE - 1, NeedMore), (MAX_HANDSHAKE, NotClientHello)] {
        let mut watch = ClientHelloWatch::default();
        assert_eq!(watch.look(&stream[..length]), expected);
        assert_eq!(client_hello_method(&stream[..length]), expected);
    }
}
