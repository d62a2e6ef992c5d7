//! What comes back of mails: bounces, complaints, and wishes to leave that came by mail. A mailbox that does not exist, and
//! a reader who complains, get nothing more from that moment on; one that takes nothing for days is given up. What is
//! neither is left for a person. Whose mail it is, signatures tell alone; see [`crate::wire::mail::incoming`].

mod lmtp;
mod maildir;

use super::subscribe::Subscriptions;
use crate::config;
use crate::domain::{Address, Clock, Kind, Misses, Subscriber, SubscriptionId, SubscriptionState, Time};
use crate::store::{Batch, CommitError, Store, StoreError, Stored};
use crate::telemetry;
use crate::wire::mail::Token;
use crate::wire::mail::incoming::{Inbox, Incoming, Verdict};
use chrono::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Rounds against somebody who changes the same subscriptions all the time.
const CONFLICTS_MAX: usize = 8;

/// Takes in what comes back.
pub struct Returns {
    store: Arc<Store>,
    clock: Clock,
    address: config::ReturnAddress,
    subscriptions: Arc<Subscriptions>,
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
        Arc::new(Returns { store, clock, address, subscriptions })
    }

    /// Reads the Maildir `folder`, until `stop`.
    pub async fn read_maildir(self: Arc<Self>, folder: PathBuf, stop: CancellationToken) {
        maildir::run(folder, self, stop).await;
    }

    /// Takes mail from `listener` by LMTP, until `stop`.
    pub async fn serve_lmtp(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        lmtp::serve(listener, self, stop).await;
    }

    /// Reads what is new in the Maildir `folder`, at most some hundred mails; returns how many there were.
    ///
    /// Errors: a sentence that names the file.
    pub async fn look_into(&self, folder: &std::path::Path) -> Result<usize, String> {
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
            Incoming::Automatic => "automatic",
            Incoming::Other(_) => "other",
        };
        let taken = match incoming {
            Incoming::Bounce { about, verdict, told } => {
                let sent_by = Time::UNIX_EPOCH + Duration::days(i64::from(about.day) + 1);
                self.bounced(about.subscription, verdict, &told, sent_by).await?;
                Taken::Done
            }
            Incoming::Complaint { about } => {
                self.complained(about).await?;
                Taken::Done
            }
            Incoming::Leave { about } => self.leave(about).await?,
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
        verdict: Verdict,
        told: &str,
        sent_by: Time,
    ) -> Result<(), StoreError> {
        self.change(about, |batch, subscriber, now| {
            let is_over = match verdict {
                Verdict::Hard => true,
                Verdict::Soft => {
                    let misses = Misses::and(subscriber.record.misses.as_ref(), now);
                    let is_over = misses.are_too_many();
                    let misses = Some(misses).filter(|_| !is_over);
                    let new = Subscriber { misses, ..subscriber.record.clone() };
                    if new != subscriber.record {
                        self.store.write_subscriber(batch, Some(subscriber), &new);
                    }
                    is_over
                }
            };
            for old in self.store.subscriptions_of(&subscriber.record)?.iter().filter(|_| is_over) {
                let is_meant = match old.record.state {
                    SubscriptionState::Confirmed { at } => at < sent_by,
                    SubscriptionState::Pending => true,
                    SubscriptionState::Unsubscribed { .. } | SubscriptionState::Refused { .. } => false,
                };
                if is_meant {
                    self.store.write_subscription(batch, Some(old), &old.record.refused(now, told));
                }
            }
            Ok(())
        })
        .await
    }

    /// Who has complained wants nothing of us, and no mail that says so either.
    async fn complained(&self, about: SubscriptionId) -> Result<(), StoreError> {
        self.change(about, |batch, subscriber, now| {
            for old in self.store.subscriptions_of(&subscriber.record)? {
                match old.record.state {
                    SubscriptionState::Pending
                    | SubscriptionState::Confirmed { .. }
                    | SubscriptionState::Refused { .. } => {
                        self.store.write_subscription(batch, Some(&old), &old.record.left(now));
                    }
                    SubscriptionState::Unsubscribed { .. } => {}
                }
            }
            Ok(())
        })
        .await
    }

    /// As by the link with the same token.
    async fn leave(&self, about: SubscriptionId) -> Result<Taken, StoreError> {
        let token = Token::leave(about).seal(&self.store.identity().secret);
        match self.subscriptions.leave(&token).await {
            Ok(_) => Ok(Taken::Done),
            // It has been erased since: there is nothing left to leave.
            Err(problem) if problem.kind == Kind::NotFound => Ok(Taken::Done),
            Err(problem) => Err(StoreError::Engine(problem.detail)),
        }
    }

    /// Commits what `change` makes of the subscriber of a subscription; nothing where it has been erased.
    async fn change(
        &self,
        about: SubscriptionId,
        change: impl Fn(&mut Batch, &Stored<Subscriber>, Time) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let Some(subscription) = self.store.subscription(about)? else { return Ok(()) };
            let address: &Address = &subscription.record.address;
            let Some(subscriber) = self.store.subscriber_of(address)? else { return Ok(()) };
            let mut batch = Batch::default();
            change(&mut batch, &subscriber, self.clock.now())?;
            if batch.is_empty() {
                return Ok(());
            }
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Engine("the subscriber is being changed elsewhere".into()))
    }
}
