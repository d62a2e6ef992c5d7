//! The map, in prose, follows.
pub mod domain;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod wire;
