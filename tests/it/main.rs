//! Tests over several parts at once, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by breaking off")]

mod api;
mod catalogues;
mod commands;
mod config_docs;
mod consented;
mod crash;
mod crash_mail;
mod discovery;
mod feed_check;
mod feeds;
mod full_disk;
mod fuzzed;
mod harness;
mod history;
mod hub;
mod late;
mod lifecycle;
mod mail;
mod mailing;
mod modified;
mod polling;
mod power_cut;
mod publish;
mod quarantined;
mod readers;
mod rebuild;
mod reloaded;
mod retries;
mod returned;
mod sizes;
mod smtp;
mod sources;
mod store;
mod templates;
mod tidy;
