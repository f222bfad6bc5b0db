//! Two engines, one that recognises blocks in their text and one that is given elements, and what becomes of changed blocks.

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engines_do_the_same_whichever_way_a_stanza_is_read(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        xtls_fuzz_targets::plain::run(&data);
    }
}
