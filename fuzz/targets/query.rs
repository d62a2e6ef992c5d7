//! The query language of selections.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tidings::fuzzing::query(text));
