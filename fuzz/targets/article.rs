//! Articles at the door, as the API and folders take them, and what feeds make of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidings::fuzzing::article(bytes));
