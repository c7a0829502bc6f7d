//! `cargo xtask fuzz job_request`

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::job_request(input));
