//! Tests over several parts at once, in one binary.

mod api;
mod harness;
mod publish;
mod sources;
mod store;
