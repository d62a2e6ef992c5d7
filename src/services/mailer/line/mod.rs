//! One SMTP connection: opened, encrypted, logged in, and then message after message.
//!
//! The dialogue is ours, since it decides the speed and the certainty of mail: commands go ahead of the replies where
//! the server offers that, and of each message it is known whether its end can have reached the server. Whatever a
//! server does, each message gets one outcome: accepted, certainly not accepted, or doubtful.

mod exchange;
mod offers;
mod open;
mod outgoing;
mod reply;
mod socket;
mod tls;

pub(super) use offers::Lies;
pub(super) use tls::tls_config;

use super::outcome::Outcome;
use super::plan::Ready;
use super::shaping::Lane;
use crate::config::Smtp;
use offers::Offers;
use open::Wire;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;

/// A connection that is ready for messages.
pub(super) struct Line {
    wire: Wire,
    offers: Offers,
    limits: Limits,
    /// Has a message been talked through, with whatever result?
    is_worn: bool,
    is_broken: bool,
    /// Was the last message broken off between MAIL and its end? Then the server has to be told to forget it.
    is_half_way: bool,
    lies: Lies,
    left: usize,
    /// Messages carried to destinations that count them.
    counted: HashMap<Lane, usize>,
}

/// How long the server may take. RFC 5321 §4.5.3.2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For each step.
    pub(super) step: Duration,
    /// For its reply to a whole message: who gives up too soon does not know what became of it.
    pub(super) end: Duration,
}

impl Line {
    /// Connects to `smtp` as `hello`; the offers in `lies` are not believed. Errors: a sentence for the log.
    pub(super) async fn open(
        smtp: &Smtp,
        tls: Option<&Arc<ClientConfig>>,
        hello: &str,
        lies: Lies,
    ) -> Result<Self, String> {
        let limits = Limits { step: smtp.timeout, end: smtp.timeout_end };
        let (wire, offers) = open::open(smtp, tls, hello, limits).await?;
        let offers = offers.without(lies);
        let (is_worn, is_broken, is_half_way, left) = (false, false, false, smtp.messages_per_connection);
        Ok(Line {
            wire,
            offers,
            limits,
            is_worn,
            is_broken,
            is_half_way,
            lies: Lies::default(),
            left,
            counted: HashMap::new(),
        })
    }

    /// Can it carry another message?
    pub(super) fn is_usable(&self) -> bool {
        !self.is_broken
    }

    /// Has it shown that it works? What goes wrong later may be its age.
    pub(super) fn is_worn(&self) -> bool {
        self.is_worn
    }

    /// May messages follow each other without waiting?
    pub(super) fn is_pipelined(&self) -> bool {
        self.offers.pipelining
    }

    /// Messages that it may still carry before its server would rather see a new connection.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Counts a message to `lane`; returns how many that makes.
    pub(super) fn count(&mut self, lane: &Lane) -> usize {
        let count = self.counted.entry(Lane::clone(lane)).or_default();
        *count += 1;
        *count
    }

    /// The fewest messages that it may still carry to any destination that it has carried some to, where `limit` says how
    /// many it may in all.
    pub(super) fn fewest_left(&self, limit: impl Fn(&Lane) -> usize) -> usize {
        let left = self.counted.iter().map(|(lane, count)| limit(lane).saturating_sub(*count));
        left.min().unwrap_or(usize::MAX)
    }

    /// What the server promised and did not keep, on this connection.
    pub(super) fn lies(&self) -> Lies {
        self.lies
    }

    /// Hands messages over in their order, and says of each what became of it.
    pub(super) async fn send(&mut self, messages: &[Ready]) -> Vec<Outcome> {
        self.left = self.left.saturating_sub(messages.len());
        let mut outcomes = exchange::exchange(self, messages).await;
        // Those behind the one that the connection broke at were not even begun.
        outcomes.resize(messages.len(), Outcome::not_begun());
        outcomes
    }

    /// Takes leave of the server; it may answer or not.
    pub(super) async fn quit(mut self) {
        /// Politeness has its limits: nothing depends on the answer.
        const QUIT_WAIT: Duration = Duration::from_secs(1);
        if !self.is_broken {
            let wait = QUIT_WAIT.min(self.limits.step);
            self.wire.write(b"QUIT\r\n", wait).await;
            let _ = self.wire.reply(wait).await;
        }
    }
}
