//! What messages are about.

use crate::domain::{Address, ArticleId, Edition, Language, MailKind, Span, Time};
use serde::{Deserialize, Serialize};

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// An article came out.
    Notice {
        /// Which.
        article: ArticleId,
    },
    /// Its owner is asked whether the subscription is wanted.
    Confirmation {
        /// The subscription's round that it asks about.
        round: u32,
    },
    /// Its owner is told that it was left, and how to take that back.
    Farewell {
        /// The subscription's round since it was left.
        round: u32,
    },
    /// The owner of the address has asked for a link to all that is known of it.
    Preferences {
        /// The number of the link.
        round: u32,
    },
    /// All that came out since the last one.
    Digest {
        /// Which of the subscription's.
        #[serde(rename = "window")]
        edition: Edition,
        /// What it tells of.
        span: Span,
        /// Is it what was too much to be mailed one by one?
        is_fold: bool,
    },
    /// What was told of an article was wrong, and this is right.
    Correction {
        /// Which.
        article: ArticleId,
        /// The article's revision when the correction was asked for. What goes out is the latest text.
        revision: u32,
        /// The digest that told of it; none where a notice did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Edition>,
    },
    /// A mail to ourselves that has to come back. No subscription is its own.
    Canary {
        /// Counted from 1.
        number: u32,
    },
    /// The operator looks at what readers get. It belongs to no subscription.
    Test {
        /// Whom it goes to.
        to: Address,
        /// Of which kind it is.
        kind: MailKind,
        /// In which language.
        language: Language,
        /// About which article; the newest where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        article: Option<ArticleId>,
        /// When it was asked for.
        at: Time,
    },
}
