//! The map, in prose, follows.
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod wire;
