//! Tests over several parts at once, in one binary.

mod api;
mod harness;
mod mail;
mod publish;
mod smtp;
mod sources;
mod store;
