//! The part of the configuration that a reload swaps while everything runs.

use crate::domain::{Categories, Site, Time};
use arc_swap::ArcSwap;
use std::sync::Arc;
use url::Url;

/// The newsroom and its categories as they are configured now.
#[derive(Debug)]
pub struct Newsroom {
    /// The whole.
    pub site: Site,
    /// Its parts.
    pub categories: Categories,
    /// The WebSub hub that is told of changes; none if nobody is.
    pub hub: Option<Url>,
    /// When the files that say so last changed: feeds show their titles, so no feed is older than this.
    pub changed_at: Time,
}

/// Shared by everything that shows the newsroom; a reload stores a new one.
pub type SharedNewsroom = Arc<ArcSwap<Newsroom>>;
