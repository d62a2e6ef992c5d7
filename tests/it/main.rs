//! Tests over several parts at once, in one binary.

mod mail;
mod smtp;
mod store;
