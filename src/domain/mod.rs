//! The vocabulary: values that are right once they exist. No I/O, no async, nothing of this crate above it.

mod article;
mod category;
mod change;
mod problem;
mod site;
mod subscription;
mod text;
mod time;

pub use article::{Article, ArticleId, Body, Content, Draft, ExternalId, State, Wish};
pub use category::{Categories, Category, Slug};
pub use change::{Change, ChangeKind, Seq};
pub use problem::{Fault, Kind, Problem};
pub use site::Site;
pub use subscription::{Address, Selection, Subscription, SubscriptionId, SubscriptionState};
pub use text::{clean_block, clean_line};
pub use time::{Clock, Time, parse_time, rfc822};
