#![allow(clippy::unwrap_used, clippy::as_conversions)]

use crypto_bigint::BoxedUint;
use crypto_bigint::modular::BoxedMontyForm;
use sha2::{Digest, Sha256};

use super::Group;
use crate::tests::hex;

/// The first sixteen bytes of SHA-256 of each N, made from the text of the RFC by another program.
#[test]
fn rfc_5054_appendix_a_the_primes_are_those_listed() {
    let expected = [
        (Group::Rfc5054N1024, 2, "494b6a801b379f37c9ee25d5db7cd70f"),
        (Group::Rfc5054N2048, 2, "91b71d6b40d439954568d412e883de51"),
        (Group::Rfc5054N3072, 5, "48cf8b092fbce4359d9871abf74f98e2"),
        (Group::Rfc5054N4096, 5, "4ee95187682bcb230ad26a95205f6920"),
        (Group::Rfc5054N8192, 19, "39ab4feab950a3128fb71accb9fc3965"),
    ];
    for (group, g, digest) in expected {
        let parameters = group.parameters();
        assert_eq!(group.generator(), g);
        assert_eq!(parameters.n().len() * 8, group.bits() as usize);
        assert_eq!(parameters.bits(), group.bits());
        assert_eq!(Sha256::digest(parameters.n())[..16], hex(digest));
    }
}

#[test]
fn recognized_by_value_equality_only() {
    for group in Group::ALL {
        let n = group.parameters().n();
        let g = [group.generator()];
        assert_eq!(Group::recognize(n, &g, &Group::ALL), Some(group));
        assert_eq!(Group::recognize(n, &g, &[]), None);
        assert_eq!(Group::recognize(n, &[0, group.generator()], &Group::ALL), None);
        assert_eq!(Group::recognize(n, &[], &Group::ALL), None);
        assert_eq!(Group::recognize(&n[1..], &g, &Group::ALL), None);
        assert_eq!(Group::recognize(&[&[0], n].concat(), &g, &Group::ALL), None);
    }
}

/// The table against the plain power, for the three lengths that occur and the exponents most likely to go wrong.
#[test]
fn comb_agrees_with_the_plain_power() {
    for group in [Group::Rfc5054N1024, Group::Rfc5054N2048, Group::Rfc5054N3072] {
        let parameters = group.parameters();
        let g = BoxedUint::from_be_slice(&[group.generator()], group.bits()).unwrap();
        let g = BoxedMontyForm::new(g, parameters.montgomery());
        for length in [20, 32, 40] {
            let patterned: Vec<u8> = (0..length).map(|i| (i as u8).wrapping_mul(73)).collect();
            let mut one = vec![0; length];
            one[length - 1] = 1;
            let mut top = vec![0; length];
            top[0] = 0x80;
            for exponent in [vec![0; length], vec![0xFF; length], one, top, patterned] {
                let expected = g.pow(&BoxedUint::from_be_slice_vartime(&exponent));
                assert_eq!(parameters.power_of_g(&exponent), expected);
                assert_eq!(super::power(&g, &exponent), expected);
            }
        }
    }
}
