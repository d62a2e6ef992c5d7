//! Bytes and values.
pub mod html;
pub mod mail;
