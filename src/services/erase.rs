//! Erasing: what was asked for and never confirmed, and what was left, once its time is over; and an address with all
//! that is known of it, at once, for who asks for that.
//!
//! The messages go first and the subscription last, so what breaks off is begun again. Notices are found by going through
//! the ledger, so those who are due are gathered for an hour.

use super::{OnDue, Step, outbox};
use crate::domain::{Address, Clock, Kind, Problem, Subscriber, SubscriptionId, Time};
use crate::store::{Batch, Delivery, Due, LedgerKey, Store, StoreError};
use crate::wire::mail::{mailbox_hash, test_recipient};
use chrono::Duration;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// Subscriptions that are erased in one go through the ledger.
const PAGE_MAX: usize = 256;
/// Said to who would erase that: an erased wish would let the address be asked again.
const ONLY_A_WISH: &str = "nothing is held about this address but a keyed hash, for its owner's wish never to be asked again; \
    `tidings subscribers allow` takes that out";
/// Who is due is gathered for this long.
const GATHER: Duration = Duration::hours(1);

/// Erases.
pub struct Eraser {
    store: Arc<Store>,
    clock: Clock,
    outbox: PathBuf,
}

impl Eraser {
    /// Over `store`, and the folder `outbox` in which mails may lie as files.
    pub fn new(store: Arc<Store>, clock: Clock, outbox: PathBuf) -> Self {
        Eraser { store, clock, outbox }
    }

    /// Erases all that is held about `address`, tests that the operator has sent there included.
    ///
    /// A wish never to be asked again stays, which is kept without the address.
    ///
    /// Errors: [`Kind::NotFound`] if that is nothing.
    pub async fn erase_address(&self, address: &Address) -> Result<(), Problem> {
        let subscriber = self.store.subscriber_of(address)?;
        let ids: HashSet<_> = subscriber.into_iter().flat_map(|known| known.record.subscriptions).collect();
        let tests = test_recipient(address, &self.store.identity().secret);
        if self.forget_messages(&[tests].into()).await? == 0 && ids.is_empty() {
            let has_refused = self.store.never(&mailbox_hash(address, &self.store.identity().secret))?.is_some();
            return Err(Problem::new(
                Kind::NotFound,
                if has_refused { ONLY_A_WISH } else { "nothing is held about this address" },
            ));
        }
        Ok(self.erase(&ids).await?)
    }

    /// Erases these subscriptions whatever their state, and each subscriber that has none left.
    pub async fn erase(&self, ids: &HashSet<SubscriptionId>) -> Result<(), StoreError> {
        let mut of = ids.clone();
        for id in ids {
            if let Some(stored) = self.store.subscription(*id)? {
                of.insert(test_recipient(&stored.record.address, &self.store.identity().secret));
            }
        }
        self.forget_messages(&of).await?;
        for id in ids {
            self.erase_one(*id, |_| true).await?;
        }
        Ok(())
    }

    /// Takes out every message of these subscriptions; returns how many there were.
    async fn forget_messages(&self, ids: &HashSet<SubscriptionId>) -> Result<usize, StoreError> {
        let mut after: Option<LedgerKey> = None;
        let mut count = 0;
        while !ids.is_empty() {
            let (of, from) = (ids.clone(), after.clone());
            let (rows, last) = self.store.scan(move |store| store.messages_of(&of, from.as_ref())).await?;
            let replies = rows.iter().filter_map(|row| match &row.record.state {
                Delivery::Sent { reply, .. } => Some(reply.clone()),
                Delivery::Pending { .. }
                | Delivery::OnWire { .. }
                | Delivery::Failed { .. }
                | Delivery::Recalled { .. } => None,
            });
            outbox::forget(self.outbox.clone(), replies.collect()).await;
            let mut batch = Batch::default();
            rows.iter().for_each(|row| self.store.delete_message(&mut batch, row));
            // Where a message has moved on meanwhile, this piece is looked at again.
            if self.store.try_commit(batch).await? {
                count += rows.len();
                match last {
                    Some(_) => after = last,
                    None => break,
                }
            }
        }
        Ok(count)
    }

    /// Takes the subscription out if it `is_over` as it is now, and its subscriber if it was the last.
    async fn erase_one(&self, id: SubscriptionId, is_over: impl Fn(Option<Time>) -> bool) -> Result<(), StoreError> {
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            let stored = self.store.subscription(id)?.filter(|stored| is_over(stored.record.erase_at));
            let Some(stored) = stored else { return Ok((batch, ())) };
            self.store.delete_subscription(&mut batch, &stored);
            if let Some(subscriber) = self.store.subscriber(stored.record.subscriber())? {
                let mut left = subscriber.record.subscriptions.clone();
                left.retain(|other| *other != id);
                if left.is_empty() {
                    self.store.delete_subscriber(&mut batch, &subscriber);
                } else {
                    let fewer = Subscriber { subscriptions: left, ..subscriber.record.clone() };
                    self.store.write_subscriber(&mut batch, Some(&subscriber), &fewer);
                }
            }
            Ok((batch, ()))
        });
        decided.await
    }
}

impl OnDue for Eraser {
    fn kind(&self) -> Due {
        Due::Erasure
    }

    async fn step(self: &Arc<Self>) -> Result<Step, StoreError> {
        let now = self.clock.now();
        let page = self.store.due(Due::Erasure, now, PAGE_MAX)?;
        let is_late = page.first().is_some_and(|(at, _)| now - *at >= GATHER);
        if !is_late && page.len() < PAGE_MAX {
            return Ok(Step::Idle);
        }
        let mut ids = HashSet::new();
        for (at, key) in &page {
            let id = Uuid::from_slice(key).map(SubscriptionId).ok();
            let stored = id.and_then(|id| self.store.subscription(id).transpose()).transpose()?;
            match stored.filter(|stored| stored.record.erase_at == Some(*at)) {
                Some(stored) => drop(ids.insert(stored.record.id)),
                None => {
                    let mut batch = Batch::default();
                    self.store.drop_due(&mut batch, Due::Erasure, *at, key);
                    self.store.commit(batch).await?;
                }
            }
        }
        // Who takes it back while the ledger is gone through keeps the subscription, and loses what it says of the past.
        self.forget_messages(&ids).await?;
        for id in ids {
            self.erase_one(id, |at| at.is_some_and(|at| at <= now)).await?;
        }
        Ok(Step::Worked)
    }
}
