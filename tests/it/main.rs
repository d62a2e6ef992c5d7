//! Tests that drive the daemon's parts together.
mod mail;
mod smtp;
