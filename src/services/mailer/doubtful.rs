//! The messages of which nobody here knows whether the server took them: found, listed, and decided on.

use super::queue::PAGE_ROWS_MAX;
use super::{Mailer, locked};
use crate::config::Doubtful;
use crate::domain::{Address, Time};
use crate::store::{Batch, Delivery, LedgerKey, Message, StoreError};
use crate::telemetry;
use std::collections::HashSet;

/// One of them, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtfulMessage {
    /// Whom it goes to; none if the subscription is not there.
    pub address: Option<Address>,
    /// The article's title, or that it is a confirmation.
    pub about: String,
    /// When it was put on the wire.
    pub since: Time,
    /// Its row.
    pub key: LedgerKey,
}

impl Mailer {
    /// Up to `limit` doubtful messages behind `after`, the oldest first.
    pub fn doubtful(
        &self,
        mut after: Option<(Time, LedgerKey)>,
        limit: usize,
    ) -> Result<Vec<DoubtfulMessage>, StoreError> {
        let mut list = Vec::new();
        while list.len() < limit {
            let page = self.doubtful_after(after.as_ref())?;
            let Some(last) = page.last else { break };
            after = Some(last);
            for (since, key) in page.rows.into_iter().take(limit - list.len()) {
                let Some(row) = self.store.message(&key)? else { continue };
                let subscription = self.store.subscription(row.record.subscription)?;
                let about = match &row.record.message {
                    Message::Notice { article } | Message::Correction { article, .. } => {
                        self.store.article(article)?.map(|article| article.record.content.title)
                    }
                    Message::Confirmation { .. } => Some("confirmation".to_owned()),
                    Message::Canary { .. } => Some("canary".to_owned()),
                    Message::Farewell { .. } => Some("farewell".to_owned()),
                    Message::Preferences { .. } => Some("preferences".to_owned()),
                    Message::Digest { edition, .. } => Some(format!("digest of {edition}")),
                    Message::Test { kind, .. } => Some(format!("test of {}", kind.word())),
                };
                let to = match &row.record.message {
                    Message::Test { to, .. } => Some(to.clone()),
                    Message::Notice { .. }
                    | Message::Correction { .. }
                    | Message::Confirmation { .. }
                    | Message::Farewell { .. }
                    | Message::Preferences { .. }
                    | Message::Digest { .. }
                    | Message::Canary { .. } => subscription.map(|stored| stored.record.address),
                };
                list.push(DoubtfulMessage { address: to, about: about.unwrap_or_default(), since, key });
            }
        }
        Ok(list)
    }

    /// Sends them again, all that are doubtful now; returns how many.
    pub async fn resend_doubtful(&self) -> Result<usize, StoreError> {
        let count = self
            .decide(|attempts, now| Delivery::Pending { attempts, due_at: now, reply: None, booked: false })
            .await?;
        self.hint.notify_one();
        Ok(count)
    }

    /// Closes them as failed, all that are doubtful now; returns how many.
    pub async fn drop_doubtful(&self) -> Result<usize, StoreError> {
        self.decide(|_, now| Delivery::Failed { at: now, reply: "dropped by the operator".into() }).await
    }

    /// At the first step: what is on the wire now was left there when the daemon broke off.
    pub(super) async fn look_back(&self) -> Result<(), StoreError> {
        let again = match (&self.settings.smtp, self.settings.doubtful) {
            // Writing a file twice makes one file.
            (None, _) | (Some(_), Doubtful::Resend) => self.resend_doubtful().await?,
            (Some(_), Doubtful::Hold) => 0,
        };
        let mut held = 0;
        let mut after = None;
        loop {
            let page = self.doubtful_after(after.as_ref())?;
            held += page.rows.len();
            match page.last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        metrics::gauge!(telemetry::MAIL_DOUBTFUL).set(held as f64);
        if again > 0 {
            tracing::warn!(messages = again, "{again} messages were on the wire when the daemon broke off; sent again");
        }
        if held > 0 {
            tracing::warn!(
                messages = held,
                "{held} messages are doubtful: they may have been accepted, and wait for the operator's decision"
            );
        }
        Ok(())
    }

    /// Moves every doubtful message to the state that `next` gives.
    async fn decide(&self, next: impl Fn(u32, Time) -> Delivery) -> Result<usize, StoreError> {
        let mut count = 0;
        let mut after = None;
        loop {
            let page = self.doubtful_after(after.as_ref())?;
            let Some(last) = page.last else { break };
            after = Some(last);
            count += self.decide_page(page.rows.into_iter().map(|(_, key)| key).collect(), &next).await?;
        }
        metrics::gauge!(telemetry::MAIL_DOUBTFUL).decrement(count as f64);
        Ok(count)
    }

    async fn decide_page(
        &self,
        keys: HashSet<LedgerKey>,
        next: &impl Fn(u32, Time) -> Delivery,
    ) -> Result<usize, StoreError> {
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            let mut count = 0;
            for key in &keys {
                let Some(row) = self.store.message(key)? else { continue };
                let Delivery::OnWire { attempts, .. } = row.record.state else { continue };
                let state = next(attempts, self.clock.now());
                self.store.change_message(&mut batch, row, |row| row.state = state);
                count += 1;
            }
            Ok((batch, count))
        });
        decided.await
    }

    fn doubtful_after(&self, after: Option<&(Time, LedgerKey)>) -> Result<DoubtfulPage, StoreError> {
        // Locked before reading: a connection lets go of a message only when its row is off the wire.
        let queue = locked(&self.queue);
        let mut rows = self.store.messages_on_wire(after, PAGE_ROWS_MAX)?;
        let last = rows.last().cloned();
        rows.retain(|(_, key)| !queue.held.contains(key));
        Ok(DoubtfulPage { rows, last })
    }
}

struct DoubtfulPage {
    rows: Vec<(Time, LedgerKey)>,
    /// Where the next page goes on; none behind the end.
    last: Option<(Time, LedgerKey)>,
}
