#![allow(clippy::unwrap_used, clippy::as_conversions)]

use std::cell::Cell;

use sha2::Sha256;
use zeroize::Zeroizing;

use super::*;
use crate::group::Group;
use crate::tests::hex;

thread_local! {
    /// How often the arithmetic below the two exchanges was entered in this thread.
    pub(crate) static EXCHANGES: Cell<u32> = const { Cell::new(0) };
    /// How many premaster secrets with leading zeros there were in this thread.
    pub(crate) static SHORT_SECRETS: Cell<u32> = const { Cell::new(0) };
    /// Makes u zero, which no one can bring about otherwise.
    pub(crate) static ZERO_SCRAMBLER: Cell<bool> = const { Cell::new(false) };
}

fn group() -> &'static Parameters {
    Group::Rfc5054N1024.parameters()
}

fn private(text: &str) -> PrivateValue {
    private_value(hex(text).try_into().unwrap())
}

fn private_value(bytes: [u8; PRIVATE_VALUE]) -> PrivateValue {
    Box::new(Zeroizing::new(bytes))
}

const SALT: &str = "BEB25379D1A8581EB5A727673A2441EE";
const A_PRIVATE: &str = "60975527035CF2AD1989806F0407210BC81EDC04E2762A56AFD529DDDA2D4393";
const B_PRIVATE: &str = "E487CB59D31AC550471E81F00F6928E01DDA08E974A004F49E61F5D105284D20";

fn vector_x() -> PrivateKey {
    let credentials = Credentials::new("alice", "password123").unwrap();
    PrivateKey::new(&hex(SALT), &credentials)
}

/// RFC 5054 appendix B, every value.
#[test]
fn rfc_5054_appendix_b_the_test_vectors() {
    let k = hex("7556AA045AEF2CDD07ABAF0F665C3E818913186F");
    assert_eq!(*group().k().retrieve().to_be_bytes_trimmed_vartime(), *k);

    let x = vector_x();
    assert_eq!(x.0[..], *hex("94B7555AABE9127CC58CCF4993DB6CF84D16C124"));

    let v = group().power_of_g(x.0.as_slice()).retrieve().to_be_bytes();
    assert_eq!(
        *v,
        *hex("7E273DE8696FFC4F4E337D05B4B375BEB0DDE1569E8FA00A9886D8129BADA1F1822223CA1A605B530E379BA4
             729FDC59F105B4787E5186F5C671085A1447B52A48CF1970B4FB6F8400BBF4CEBFBB168152E08AB5EA53D15C
             1AFF87B2B9DA6E04E058AD51CC72BFC9033B564E26480D78E955A5E29E7AB245DB2BE315E2099AFB")
    );

    let server = ServerExchange::new(group(), x.clone(), private(B_PRIVATE)).unwrap();
    assert_eq!(
        *server.public().minimal(),
        *hex("BD0C61512C692C0CB6D041FA01BB152D4916A1E77AF46AE105393011BAF38964DC46A0670DD125B95A981652
             236F99D9B681CBF87837EC996C6DA04453728610D0C6DDB58B318885D7D82C7F8DEB75CE7BD4FBAA37089E6F
             9C6059F388838E7A00030B331EB76840910440B1B27AAEAEEB4012B7D7665238A8E3FB004B117B58")
    );

    let client = ClientExchange::new(group(), &x, &private(A_PRIVATE), server.public());
    let client = client.unwrap().unwrap();
    assert_eq!(
        *client.public.minimal(),
        *hex("61D5E490F6F1B79547B0704C436F523DD0E560F0C64115BB72557EC44352E8903211C04692272D8B2D1A5358
             A2CF1B6E0BFCF99F921530EC8E39356179EAE45E42BA92AEACED825171E1E8B9AF6D9C03E1327F44BE087EF0
             6530E69F66615261EEF54073CA11CF5858F0EDFDFE15EFEAB349EF5D76988A3672FAC47B0769447B")
    );

    let u = Scrambler::new(&client.public, server.public()).unwrap();
    assert_eq!(*u.0.as_slice(), *hex("CE38B9593487DA98554ED47D70A7AE5F462EF019"));

    let premaster = hex("B0DC82BABCF30674AE450C0287745E7990A3381F63B387AAF271A10D233861E359B48220F7C4693C9AE12B0A
         6F67809F0876E2D013800D6C41BB59B6D5979B5C00A172B4A2A5903A0BDCAF8A709585EB2AFAFA8F3499B200
         210DCC1F10EB33943CD67FC88A2F39A4BE5BEC4EC0A3212DC346D7E474B29EDE8A469FFECA686E5A");
    assert_eq!(*client.premaster, premaster);
    assert_eq!(*server.premaster(&client.public).unwrap(), premaster);
}

/// Private values that make A, B or S one byte short, and the digest of all three as another program computed them. Two ends
/// that make the same mistake agree with each other; here they do not.
#[test]
fn rfc_5054_2_1_leading_zeros_are_cut_on_the_wire_and_in_the_premaster_secret() {
    for (number, lengths, digest) in [
        (19, [127, 128, 128], "cd56b7381ebfdf79331b59c63d8d9b65d3775d172dead61a3c5c4c5e543c8a52"),
        (292, [128, 127, 128], "0c2cc6d5d32f3d2ef7cb3f4eaa1a18a1c95f166b91c243d5fc1c8af9fb4f1b43"),
        (581, [128, 128, 127], "e6c5e6bad0d617c7929851b10a33c26c7651235393726d6163cb5e247191fdd3"),
    ] {
        let private = |side: &str| -> PrivateValue { private_value(Sha256::digest(format!("{side}{number}")).into()) };
        let server = ServerExchange::new(group(), vector_x(), private("b")).unwrap();
        let client = ClientExchange::new(group(), &vector_x(), &private("a"), server.public());
        let client = client.unwrap().unwrap();
        let (a, b) = (client.public.minimal(), server.public().minimal());
        assert_eq!([a.len(), b.len(), client.premaster.len()], lengths);
        let all = [&a[..], &b, &client.premaster].concat();
        assert_eq!(Sha256::digest(all)[..], hex(digest));
        assert_eq!(client.premaster, server.premaster(&client.public).unwrap());
    }
}

/// `I ":" P` alone would let a colon move between the two; the server knows one name, so it cannot (see `Credentials`).
#[test]
fn moving_the_colon_keeps_x_and_changes_the_name() {
    let left = Credentials::new("a:", "b").unwrap();
    let right = Credentials::new("a", ":b").unwrap();
    assert_eq!(*PrivateKey::new(b"salt", &left).0, *PrivateKey::new(b"salt", &right).0);
    assert_ne!(left.username(), right.username());
}

/// RFC 5054 § 2.6: a + u·x is an integer, up to 321 bits, in both extremes.
#[test]
fn exponent_is_never_reduced() {
    let x = PrivateKey(Box::new(Zeroizing::new([0xFF; HASH])));
    let product = x.times(&Scrambler([0xFF; HASH]));
    assert_eq!(product.bits(), 320);
    let a = fixed(&[0xFF; PRIVATE_VALUE], EXPONENT_PRECISION);
    assert!(a.wrapping_add(&*product).bits() <= 321);
    assert_eq!(EXPONENT, 41);
    // In a 1024-bit group with exponents near the top, both sides still agree.
    let private = private_value([0xFF; PRIVATE_VALUE]);
    let server = ServerExchange::new(group(), x.clone(), private.clone()).unwrap();
    let client = ClientExchange::new(group(), &x, &private, server.public());
    let client = client.unwrap().unwrap();
    assert_eq!(client.premaster, server.premaster(&client.public).unwrap());
}

/// `B - k*v` wraps around when B is the smaller one.
#[test]
fn difference_is_reduced_modulo_n() {
    let x = vector_x();
    let kv = x.k_times_verifier(group()).retrieve();
    let b = PublicValue(fixed(&[2], 1024));
    assert!(b.0 < kv);
    let exchange = ClientExchange::new(group(), &x, &private(A_PRIVATE), &b);
    let n = BoxedUint::from_be_slice(group().n(), 1024).unwrap();
    let base = n.wrapping_sub(&kv).wrapping_add(&b.0);
    let public = &exchange.as_ref().unwrap().as_ref().unwrap().public;
    let u = Scrambler::new(public, &b).unwrap();
    let exponent = fixed(private(A_PRIVATE).as_slice(), EXPONENT_PRECISION).wrapping_add(&*x.times(&u));
    let expected = BoxedMontyForm::new(base, group().montgomery()).pow(&exponent);
    assert_eq!(exchange.unwrap().unwrap().premaster, premaster(&expected));
}

/// Everything between the password and the premaster secret, as the test of row L5 looks for it in memory: the numbers of
/// both sides, in the order of the wire and in Montgomery form. Whoever finds one of them can try passwords on it.
pub(crate) fn intermediate_values(
    group: &'static Parameters,
    x: &PrivateKey,
    (a, b): (&PrivateValue, &PrivateValue),
    (a_public, b_public): (&PublicValue, &PublicValue),
) -> Vec<(&'static str, Vec<u8>)> {
    let number =
        |value: &BoxedMontyForm| [value.retrieve().to_be_bytes(), value.as_montgomery().to_le_bytes()].concat();
    let u = Scrambler::new(a_public, b_public).unwrap();
    let v = group.power_of_g(x.0.as_slice());
    let kv = group.k().mul(&v);
    let ux = x.times(&u);
    let exponent = fixed(a.as_slice(), EXPONENT_PRECISION).wrapping_add(&*ux);
    let client_base = b_public.montgomery(group).sub(&kv);
    let server_base = a_public.montgomery(group).mul(&v.pow(&fixed(&u.0, 160)));
    vec![
        ("x", x.0.to_vec()),
        ("v", number(&v)),
        ("k·v", number(&kv)),
        ("g^b", number(&group.power_of_g(b.as_slice()))),
        ("u·x", ux.to_be_bytes().to_vec()),
        ("a + u·x", exponent.to_be_bytes().to_vec()),
        ("B - k·v", number(&client_base)),
        ("(B - k·v)²", number(&client_base.square())),
        ("A·v^u", number(&server_base)),
        ("(A·v^u)²", number(&server_base.square())),
        ("S of the client", number(&client_base.pow(&exponent))),
        ("S of the server", number(&server_base.pow(&fixed(b.as_slice(), 256)))),
    ]
}

#[test]
fn zero_scrambler_is_refused() {
    assert!(Scrambler::from_digest([0; HASH]).is_err());
    let mut one = [0; HASH];
    one[HASH - 1] = 1;
    assert!(Scrambler::from_digest(one).is_ok());
}

/// A source of zeros makes A = 1, which tells the peer S.
#[test]
fn useless_randomness_is_noticed() {
    let zero = private_value([0; PRIVATE_VALUE]);
    let b = PublicValue(fixed(&[2], 1024));
    let exchange = ClientExchange::new(group(), &vector_x(), &zero, &b);
    assert!(exchange.unwrap().is_none());
}

#[test]
fn public_values_at_the_edges_of_the_range() {
    for group in Group::ALL.map(Group::parameters) {
        let n = BoxedUint::from_be_slice(group.n(), group.bits()).unwrap();
        let n_minus = |less: u8| {
            let less = fixed(&[less], group.bits());
            n.wrapping_sub(&less).to_be_bytes()
        };
        for legal in [vec![2], vec![0xFF], n_minus(2).to_vec()] {
            let value = PublicValue::parse(&legal, group).unwrap();
            assert_eq!(*value.minimal(), *legal);
            assert_eq!(value.padded().len(), group.n().len());
        }
        let n_plus_2 = n.wrapping_add(fixed(&[2], group.bits())).to_be_bytes();
        for illegal in [
            vec![],
            vec![0],
            vec![1],
            vec![0, 2],
            group.n().to_vec(),
            n_minus(1).to_vec(),
            n_plus_2.to_vec(),
            [&[1], group.n()].concat(),
            vec![0xFF; 65535],
        ] {
            let result = PublicValue::parse(&illegal, group);
            assert_eq!(result.err(), Some(IllegalPublicValue));
        }
    }
}
