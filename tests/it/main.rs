//! Tests over several parts at once, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by breaking off")]

mod mail;
mod smtp;
mod store;
