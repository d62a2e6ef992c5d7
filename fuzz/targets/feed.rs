//! Feeds of whoever, before the rule book.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidings::fuzzing::feed(bytes));
