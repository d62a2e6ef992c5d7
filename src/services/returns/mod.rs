//! What comes back of mails: bounces, complaints, and wishes to leave that came by mail. A mailbox that does not exist, and
//! a reader who complains, get nothing more from that moment on; one that takes nothing for days is given up. What is
//! neither is left for a person. Whose mail it is, signatures tell alone; see [`crate::wire::mail::incoming`].

mod lmtp;
mod maildir;

pub use maildir::Looked;

use super::subscribe::Subscriptions;
use super::suppression;
use crate::config;
use crate::domain::{Clock, Kind, Subscriber, Subscription, SubscriptionId, SubscriptionState, Time};
use crate::store::{Back, Batch, Became, Counted, LedgerKey, Store, StoreError, Stored, Tally};
use crate::telemetry;
use crate::wire::mail::incoming::{Inbox, Incoming};
use crate::wire::mail::status::Verdict;
use crate::wire::mail::{Mark, Token};
use chrono::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes in what comes back.
pub struct Returns {
    store: Arc<Store>,
    clock: Clock,
    address: config::ReturnAddress,
    subscriptions: Arc<Subscriptions>,
    /// Held by who takes a bounce in: all of them are counted in one row, and a server may hand over many at once.
    bounce: tokio::sync::Mutex<()>,
}

/// What has become of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All that follows from it is done, and durable.
    Done,
    /// Nothing follows from it by itself.
    ForAPerson,
}

impl Returns {
    /// For mail to `address`.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        address: config::ReturnAddress,
        subscriptions: Arc<Subscriptions>,
    ) -> Arc<Self> {
        Arc::new(Returns { store, clock, address, subscriptions, bounce: tokio::sync::Mutex::default() })
    }

    /// Reads the Maildir `folder`, until `stop`.
    pub async fn read_maildir(self: Arc<Self>, folder: PathBuf, stop: CancellationToken) {
        maildir::run(folder, self, stop).await;
    }

    /// Takes mail from `listener` by LMTP, until `stop`.
    pub async fn serve_lmtp(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        lmtp::serve(listener, self, stop).await;
    }

    /// Reads what is new in the Maildir `folder`, at most some hundred mails.
    pub async fn look_into(&self, folder: &std::path::Path) -> Looked {
        maildir::step(folder, self).await
    }

    /// Does what a mail that came for `recipient` asks for. The same mail a second time changes nothing.
    ///
    /// Errors: the store's; the mail is to come again.
    pub async fn take(&self, recipient: &str, mail: &[u8]) -> Result<Taken, StoreError> {
        let incoming = self.inbox().read(mail, recipient);
        let kind = match &incoming {
            Incoming::Bounce { verdict: Verdict::Hard, .. } => "hard",
            Incoming::Bounce { verdict: Verdict::Soft, .. } => "soft",
            Incoming::Complaint { .. } => "complaint",
            Incoming::Leave { .. } => "leave",
            Incoming::Canary(_) => "canary",
            Incoming::Automatic => "automatic",
            Incoming::Other(_) => "other",
        };
        let taken = match incoming {
            Incoming::Bounce { about, tag, verdict, told } => {
                let sent_by = Time::UNIX_EPOCH + Duration::days(i64::from(about.day) + 1);
                let by = self.by(about.subscription, tag).await?;
                self.bounced(about.subscription, by, verdict, &told, sent_by).await?;
                Taken::Done
            }
            Incoming::Complaint { about, tag, is_sure } => {
                let by = self.by(about, tag).await?;
                self.complained(about, by, is_sure).await?;
                Taken::Done
            }
            Incoming::Leave { about, tag } => self.leave(about, tag).await?,
            Incoming::Canary(mark) => {
                self.arrived(mark).await?;
                Taken::Done
            }
            Incoming::Automatic => Taken::Done,
            Incoming::Other(why) => {
                tracing::info!("a mail to the return address is left for a person: {why}");
                Taken::ForAPerson
            }
        };
        metrics::counter!(telemetry::MAIL_RETURNED_TOTAL, "kind" => kind).increment(1);
        Ok(taken)
    }

    fn is_ours(&self, recipient: &str) -> bool {
        self.inbox().is_ours(recipient)
    }

    fn recipient_in(&self, mail: &[u8]) -> Option<String> {
        self.inbox().recipient_in(mail)
    }

    fn inbox(&self) -> Inbox<'_> {
        Inbox { address: &self.address, secret: &self.store.identity().secret }
    }

    /// A mail that was sent before `sent_by` came back. It says nothing of who has confirmed since.
    async fn bounced(
        &self,
        about: SubscriptionId,
        by: Option<LedgerKey>,
        verdict: Verdict,
        told: &str,
        sent_by: Time,
    ) -> Result<(), StoreError> {
        let _one_by_one = self.bounce.lock().await;
        let is_first_doubt = self
            .change(about, by, Back::Bounce, |batch, subscriber, now| {
                suppression::heed_report(&self.store, batch, subscriber, (verdict, told), sent_by, now)
            })
            .await?;
        if is_first_doubt {
            tracing::error!(
                "too many mails came back within a day as if there were no such mailboxes: the next reports count as once \
                 in vain, since a server or a setting seems to be wrong"
            );
        }
        Ok(())
    }

    /// Who has complained wants nothing of us, and no mail that says so either. Where it is not sure that it was the
    /// reader, it does what the link in the mail can do: that one subscription ends, and its owner is told.
    async fn complained(&self, about: SubscriptionId, by: Option<LedgerKey>, is_sure: bool) -> Result<(), StoreError> {
        self.change(about, by, Back::Complaint, |batch, subscriber, now| {
            if is_sure && subscriber.record.complained_at.is_none() {
                let new = Subscriber { complained_at: Some(now), ..subscriber.record.clone() };
                self.store.write_subscriber(batch, Some(subscriber), &new);
            }
            for old in self.store.subscriptions_of(&subscriber.record)? {
                let is_over = matches!(old.record.state, SubscriptionState::Unsubscribed { .. });
                if is_over || !is_sure && old.record.id != about {
                    continue;
                }
                let new = old.record.left(now);
                self.store.write_subscription(batch, Some(&old), &new);
                if !is_sure && matches!(old.record.state, SubscriptionState::Confirmed { .. }) {
                    self.subscriptions.say_farewell(batch, &new, now);
                }
            }
            Ok(())
        })
        .await?;
        self.subscriptions.wake();
        Ok(())
    }

    /// A canary has come back. One that has come before, an older one, or one whose time is over proves nothing: somebody
    /// may have kept it.
    async fn arrived(&self, Mark { number, until }: Mark) -> Result<(), StoreError> {
        if self.clock.now() > until {
            tracing::warn!(number, "a canary has come back after its time; it proves nothing any more");
            return Ok(());
        }
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            if let Some(old) = self.store.canary()?
                && let Some(new) = old.record.proven(number, self.clock.now())
            {
                self.store.write_canary(&mut batch, Some(&old), &new);
            }
            Ok((batch, ()))
        });
        decided.await
    }

    /// As by the link with the same token.
    async fn leave(&self, about: SubscriptionId, tag: u32) -> Result<Taken, StoreError> {
        let token = Token::leave_by(about, tag).seal(&self.store.identity().secret);
        match self.subscriptions.leave(&token).await {
            Ok(_) => Ok(Taken::Done),
            // It has been erased since: there is nothing left to leave.
            Err(problem) if problem.kind == Kind::NotFound => Ok(Taken::Done),
            Err(problem) => Err(StoreError::Engine(problem.detail)),
        }
    }

    /// The message that came back, by its tag, if it is still known.
    async fn by(&self, about: SubscriptionId, tag: u32) -> Result<Option<LedgerKey>, StoreError> {
        let found = self.store.scan(move |store| store.tagged(about, tag)).await?;
        Ok(found.map(|row| row.record.key()))
    }

    /// Puts into `batch` that a mail to `subscription` came back: once for each mail, by its row in the ledger; where it is
    /// not known which mail it was, if anything else follows from it.
    fn count(
        &self,
        batch: &mut Batch,
        subscription: &Subscription,
        by: Option<&LedgerKey>,
        back: Back,
        now: Time,
    ) -> Result<(), StoreError> {
        let row = by.map_or(Ok(None), |key| self.store.message(key))?;
        let counted = match row {
            Some(row) if row.record.back == Some(back) => return Ok(()),
            Some(row) => {
                let changed = self.store.change_message(batch, row, |row| row.back = Some(back));
                Counted::of(&changed.record.message, subscription)
            }
            None if batch.is_empty() => return Ok(()),
            None => Counted::some(subscription),
        };
        let became = match back {
            Back::Bounce => Became::Bounced,
            Back::Complaint => Became::Complained,
        };
        let mut tally = Tally::default();
        tally.add(&counted, became, now);
        self.store.write_tally(batch, &tally)
    }

    /// Commits what `change` makes of the subscriber of a subscription, and counts what came back; nothing where the
    /// subscription has been erased. Returns what `change` did.
    async fn change<T: Default + Sync>(
        &self,
        about: SubscriptionId,
        by: Option<LedgerKey>,
        back: Back,
        change: impl Fn(&mut Batch, &Stored<Subscriber>, Time) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let decided = self.store.decide(|| {
            let (mut batch, mut done) = (Batch::default(), T::default());
            let now = self.clock.now();
            if let Some(subscription) = self.store.subscription(about)?
                && let Some(subscriber) = self.store.subscriber(subscription.record.subscriber())?
            {
                done = change(&mut batch, &subscriber, now)?;
                self.count(&mut batch, &subscription.record, by.as_ref(), back, now)?;
            }
            Ok((batch, done))
        });
        decided.await
    }
}
