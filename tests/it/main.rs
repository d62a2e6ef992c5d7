//! Tests over several parts at once, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect ends there")]

mod mail;
mod smtp;
mod store;
