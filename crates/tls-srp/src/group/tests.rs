#![allow(clippy::unwrap_used, clippy::as_conversions)]

use crypto_bigint::BoxedUint;
use crypto_bigint::modular::BoxedMontyForm;
use sha2::{Digest, Sha256};

use super::Group;
use super::power::{ENTRIES, MAX_EXPONENT, ROWS, TEETH, TOOTH_BITS};
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

const WITH_TABLES: [Group; 5] =
    [Group::Rfc5054N1024, Group::Rfc5054N2048, Group::Rfc5054N3072, Group::Rfc5054N4096, Group::Rfc5054N8192];

fn generator(group: Group) -> BoxedMontyForm {
    let g = BoxedUint::from_be_slice(&[group.generator()], group.bits()).unwrap();
    BoxedMontyForm::new(g, group.parameters().montgomery())
}

/// Whoever changes a prime, a generator or the shape of the table has to run `comb/make.py`. Here all is multiplied out.
#[test]
fn each_entry_of_a_table_is_the_product_of_its_teeth() {
    for group in WITH_TABLES {
        let size = group.bits() as usize / 8;
        let table = group.parameters().comb.table();
        assert_eq!(table.len(), ROWS * ENTRIES * size);
        let mut tooth = generator(group);
        for row in table.chunks_exact(ENTRIES * size) {
            let mut products = vec![BoxedMontyForm::one(tooth.params())];
            for _ in 0..TEETH {
                for low in 0..products.len() {
                    products.push(&products[low] * &tooth);
                }
                for _ in 0..TOOTH_BITS {
                    tooth = tooth.square();
                }
            }
            for (entry, product) in row.chunks_exact(size).zip(products) {
                assert_eq!(entry, &*product.as_montgomery().to_le_bytes(), "{group:?}");
            }
        }
    }
}

/// The table against the plain power, for the three lengths that occur and the exponents most likely to go wrong.
#[test]
fn with_the_table_and_without_it_powers_are_the_same() {
    for group in WITH_TABLES {
        let g = generator(group);
        for length in [20, 32, 40] {
            let patterned: Vec<u8> = (0..length).map(|i| (i as u8).wrapping_mul(73)).collect();
            let mut one = vec![0; length];
            one[length - 1] = 1;
            let mut top = vec![0; length];
            top[0] = 0x80;
            for exponent in [vec![0; length], vec![0xFF; length], one, top, patterned] {
                same(group, &g, &exponent);
            }
        }
    }
}

#[test]
fn every_bit_of_an_exponent_has_its_place_in_the_table() {
    let g = generator(Group::Rfc5054N1024);
    for bit in 0..8 * MAX_EXPONENT {
        let mut exponent = [0; MAX_EXPONENT];
        exponent[MAX_EXPONENT - 1 - bit / 8] = 1 << (bit % 8);
        same(Group::Rfc5054N1024, &g, &exponent);
        // Whatever a shorter one is filled up with is not a bit of it.
        same(Group::Rfc5054N1024, &g, &exponent[MAX_EXPONENT - 1 - bit / 8..]);
    }
    same(Group::Rfc5054N1024, &g, &[]);
}

fn same(group: Group, g: &BoxedMontyForm, exponent: &[u8]) {
    let expected = match exponent {
        [] => BoxedMontyForm::one(g.params()),
        _ => g.pow(&BoxedUint::from_be_slice_vartime(exponent)),
    };
    assert_eq!(group.parameters().power_of_g(exponent), expected, "{group:?} {exponent:?}");
    assert_eq!(super::power(g, exponent), expected, "{group:?} {exponent:?}");
}
