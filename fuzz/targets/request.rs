//! Heads of requests for feeds: conditional and delta headers, codings, ranges; both ways in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidings::fuzzing::request(bytes));
