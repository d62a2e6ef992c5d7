//! The map, in prose, follows.
#![allow(missing_docs)]
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod telemetry;
