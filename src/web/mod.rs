//! The whole URL space in one table, and what its handlers share.

mod frame;
mod pages;
mod print;
pub mod problem;
mod subscribe;
mod templates;
#[cfg(test)]
mod tests;
mod view;

pub use frame::PageProblem;
pub use templates::Templates;

use crate::services::newsroom::SharedNewsroom;
use crate::services::publish::Publisher;
use crate::services::subscribe::Subscriptions;
use crate::store::Store;
use std::sync::Arc;

/// What handlers work with. Pages read the store; everything that changes goes through a service.
pub struct App {
    /// Read-only here.
    pub store: Arc<Store>,
    /// The way in for articles.
    pub publisher: Publisher,
    /// Mail is asked for, confirmed and left through it.
    pub subscriptions: Subscriptions,
    /// Titles, addresses, categories as configured now.
    pub newsroom: SharedNewsroom,
    /// Pages to be filled in.
    pub templates: Templates,
    /// A request body may be this long.
    pub body_bytes_max: usize,
}
