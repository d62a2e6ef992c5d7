//! The vocabulary: values that are right once they exist. No I/O, no async, nothing of this crate above it.

mod article;
mod category;
mod change;
mod extras;
mod folder;
mod label;
mod language;
mod mail_kind;
pub mod millis;
mod problem;
mod selection;
mod site;
mod subscription;
mod text;
mod time;

pub use article::{Article, ArticleId, Body, Content, Draft, ExternalId, State, Wish};
pub use category::{Categories, Category, Slug};
pub use change::{Change, ChangeKind, Seq};
pub use extras::{Comments, Medium, Origin};
pub use folder::Folder;
pub use label::{Folded, Labels, Term};
pub use language::Language;
pub use mail_kind::MailKind;
pub use problem::{Fault, Kind, Problem, Reason};
pub use selection::{Node, QueryFault, Selection};
pub use site::Site;
pub use subscription::{
    Address, Besides, Cadence, Consent, Digests, Edition, Given, Hour, Misses, PastDigest, Span, Subscriber,
    SubscriberId, Subscription, SubscriptionId, SubscriptionState, Weekdays, Window, Zone,
};
pub use text::{clean_block, clean_line, hex, is_language_tag};
pub use time::{Clock, Time, changed, parse_time, rfc822};

/// Did this count stay where it began? Then records leave it out.
pub(crate) fn is_zero(count: &u32) -> bool {
    *count == 0
}
