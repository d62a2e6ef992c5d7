//! tidings: publish once, and every reader has it.
//!
//! Read these five files in this order, and the rest explains itself:
//!
//! 1. [`domain`]`/article.rs`: what an article is, and `change.rs`: what can happen to it.
//! 2. [`store`]`/mod.rs`: the table of all keys; `kv.rs`: what an engine promises; `log.rs`: the one spine.
//! 3. [`services`]`/publish.rs`: the only way in. `services/mod.rs`: how everything else follows from the log.
//! 4. [`services`]`/feeds.rs`: from articles to bytes, once a change; [`wire`] knows the formats.
//! 5. [`web`]`/mod.rs`: the whole URL space; [`daemon`]: everything put together.
//!
//! `ARCHITECTURE.md` has the picture, the invariants and what is promised.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
#[doc(hidden)]
pub mod fuzzing;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod wire;
