//! The part of the configuration that a reload swaps.

use crate::domain::{Categories, Site};

/// What the newsroom is called and which feeds it has. Services hold it in an `ArcSwap` and load it once for each
/// piece of work, so that one mail or one page never mixes the old with the new.
#[derive(Debug, Clone)]
pub struct Newsroom {
    /// Its name, and the addresses it gives out.
    pub site: Site,
    /// Its feed definitions.
    pub categories: Categories,
}
