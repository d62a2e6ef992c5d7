//! A store that was restored or copied owes what the original has sent since: nothing leaves it until a person, who
//! knows what became of the original, has said what is to become of that.

use crate::domain::{Clock, Seq, Time};
use crate::store::{Batch, Copied, Delivery, Due, LedgerKey, LedgerRow, Message, Store, StoreError};
use crate::telemetry;
use std::sync::Arc;
use tokio::sync::Notify;

/// Messages that are settled in one commit.
const PAGE_ROWS_MAX: usize = 200;
/// Counting what waits stops here.
const COUNTED_MAX: usize = 1_000_000;

/// The quarantine of this store.
pub struct Quarantine {
    store: Arc<Store>,
    clock: Clock,
    hint: Arc<Notify>,
}

/// What the original owed, whatever the clocks of two machines say.
struct Theirs<'a> {
    store: &'a Store,
    /// When the last change that both know happened, by the original's clock; none if there is no such change.
    told_at: Option<Time>,
}

impl<'a> Theirs<'a> {
    fn of(store: &'a Store, copied: Copied) -> Result<Self, StoreError> {
        let before = Seq(copied.head.0.saturating_sub(1));
        let last = store.since(before, 1)?.changes.into_iter().find(|(seq, _)| *seq == copied.head);
        Ok(Theirs { store, told_at: last.map(|(_, change)| change.at) })
    }

    /// Is it what the original owed? Also a notice that the copy has made out by itself, of a change that both know: of
    /// later changes the log says that they happened later.
    fn has(&self, row: &LedgerRow) -> bool {
        let is_told = || self.told_at.is_some_and(|told_at| row.created_at <= told_at);
        !self.store.is_own(row) || matches!(row.message, Message::Notice { .. }) && is_told()
    }
}

/// How a store in quarantine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Since when.
    pub since: Time,
    /// Messages that wait to be sent.
    pub waiting: usize,
    /// Messages that were on the wire when the copy was taken.
    pub doubtful: usize,
}

/// What becomes of the messages that the store owed when it was restored or copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// They are sent: the original is lost, and they had not gone out.
    Send,
    /// They are closed: the original has sent them.
    Drop,
}

impl Quarantine {
    /// Of `store`. `hint` wakes the mailer.
    pub fn new(store: Arc<Store>, clock: Clock, hint: Arc<Notify>) -> Self {
        Quarantine { store, clock, hint }
    }

    /// Looks whether the store is where it was; to be called before anything of it is sent.
    ///
    /// Errors: the store's.
    pub async fn look(&self) -> Result<(), StoreError> {
        self.store.take_place(self.clock.now()).await?;
        self.gauge()?;
        if let Some(since) = self.store.quarantined_since()? {
            tracing::warn!(
                %since,
                "this store was restored or copied: no mail leaves it until `tidings quarantine release`"
            );
        }
        Ok(())
    }

    /// How it stands; none if the store is free.
    ///
    /// Errors: the store's.
    pub async fn held(&self) -> Result<Option<Held>, StoreError> {
        let count = |store: &Store| {
            let Some(since) = store.quarantined_since()? else { return Ok(None) };
            let (waiting, doubtful) =
                (store.count_due(Due::Message, COUNTED_MAX)?, store.count_due(Due::OnWire, COUNTED_MAX)?);
            Ok(Some(Held { since, waiting, doubtful }))
        };
        self.store.scan(count).await
    }

    /// Lets mail leave again. Returns how many messages were closed; none if the store was free, or somebody else let it
    /// free at the same time, whose word then holds. What came to be owed since the quarantine began is sent whatever
    /// `owed` says.
    ///
    /// Errors: the store's; it is then in quarantine still, and can be released again.
    pub async fn release(&self, owed: Owed) -> Result<Option<usize>, StoreError> {
        let Some(copied) = self.store.quarantined()? else { return Ok(None) };
        let theirs = Theirs::of(&self.store, copied)?;
        let mut closed = 0;
        if owed == Owed::Drop {
            for kind in [Due::Message, Due::OnWire] {
                closed += self.close(kind, &theirs).await?;
            }
        }
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            self.store.release(&mut batch, owed == Owed::Drop)?;
            let is_released = !batch.is_empty();
            Ok::<_, StoreError>((batch, is_released))
        });
        let is_released = decided.await?;
        self.gauge()?;
        if !is_released {
            tracing::warn!(closed, "somebody else released it from quarantine; {closed} messages were closed before");
            return Ok(None);
        }
        tracing::info!(closed, "released from quarantine; {closed} messages that were owed before it were closed");
        self.hint.notify_one();
        Ok(Some(closed))
    }

    /// Closes what the original owed.
    async fn close(&self, kind: Due, theirs: &Theirs<'_>) -> Result<usize, StoreError> {
        let mut closed = 0;
        let mut after = None;
        loop {
            let page = self.store.messages_in(kind, after.as_ref(), PAGE_ROWS_MAX)?;
            let Some(last) = page.last().cloned() else { return Ok(closed) };
            after = Some(last);
            closed += self.close_page(page, theirs).await?;
        }
    }

    async fn close_page(&self, page: Vec<(Time, LedgerKey)>, theirs: &Theirs<'_>) -> Result<usize, StoreError> {
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            let mut closed = 0;
            for (_, key) in &page {
                let Some(old) = self.store.message(key)?.filter(|old| theirs.has(&old.record)) else { continue };
                match old.record.state {
                    Delivery::Pending { .. } | Delivery::OnWire { .. } => {}
                    // Somebody else has released the store at the same time.
                    Delivery::Sent { .. } | Delivery::Failed { .. } | Delivery::Recalled { .. } => continue,
                }
                let why = "owed by the store that this one was restored or copied from".to_owned();
                let state = Delivery::Recalled { at: self.clock.now(), why };
                self.store.change_message(&mut batch, old, |row| row.state = state);
                closed += 1;
            }
            Ok((batch, closed))
        });
        decided.await
    }

    fn gauge(&self) -> Result<(), StoreError> {
        let is_held = self.store.quarantined_since()?.is_some();
        metrics::gauge!(telemetry::QUARANTINED).set(f64::from(u8::from(is_held)));
        Ok(())
    }
}
