//! Tests over several parts at once, in one binary.

mod store;
