//! The map, in prose, follows.
#![allow(missing_docs)]
pub mod domain;
pub mod wire;
