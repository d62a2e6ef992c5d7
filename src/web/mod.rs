//! The whole URL space in one table, and what its handlers share.

pub mod problem;

use crate::services::newsroom::SharedNewsroom;
use crate::services::publish::Publisher;
use crate::store::Store;
use std::sync::Arc;

/// What handlers work with. Pages read the store; everything that changes goes through a service.
pub struct App {
    /// Read-only here.
    pub store: Arc<Store>,
    /// The way in for articles.
    pub publisher: Publisher,
    /// Titles, addresses, categories as configured now.
    pub newsroom: SharedNewsroom,
    /// A request body may be this long.
    pub body_bytes_max: usize,
}
