//! Tests over several parts at once, in one binary.

mod api;
mod config_docs;
mod feeds;
mod harness;
mod lifecycle;
mod mail;
mod publish;
mod smtp;
mod sources;
mod store;
mod tidy;
