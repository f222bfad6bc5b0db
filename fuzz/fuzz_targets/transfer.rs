#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xtls_fuzz_targets::transfer::run(data));
