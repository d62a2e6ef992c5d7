//! What is late: found by going through what is due in its order, a piece at a time.
//!
//! What is due later than any repetition of a try is there by its turn, and never looked at: a plan for a new domain may
//! put off a million mails, and they cost nothing here.

use crate::config::{MailClass, Watchdog};
use crate::domain::{Selection, Time};
use crate::services::NOTIFY;
use crate::store::{Delivery, Due, LedgerKey, LedgerRow, Message, Store, StoreError};
use chrono::Duration;
use std::collections::BTreeMap;

/// Due rows that one piece looks at: some milliseconds.
const PIECE_ROWS_MAX: usize = 4_096;
/// Due rows that are read at once.
const PAGE_ROWS_MAX: usize = 256;
/// Changes behind the reader that owes notices that are looked at for one that calls for them.
const UNREAD_MAX: usize = 256;
/// No try is repeated later than this: four hours, and a quarter of that.
const REPEATED_WITHIN: Duration = Duration::hours(5);

/// The class of a message; the canary has a watch of its own, and who sends a test sees whether it comes.
fn class(message: &Message) -> Option<MailClass> {
    match message {
        Message::Confirmation { .. } => Some(MailClass::Confirmation),
        Message::Notice { .. } => Some(MailClass::Notice),
        Message::Digest { .. } => Some(MailClass::Digest),
        Message::Correction { .. } => Some(MailClass::Correction),
        Message::Preferences { .. } | Message::Farewell { .. } => Some(MailClass::Preferences),
        Message::Canary { .. } | Message::Test { .. } => None,
    }
}

/// One round through what is due.
pub(super) struct Round {
    now: Time,
    deadlines: Watchdog,
    /// Deadlines begin here at the earliest.
    calm_until: Option<Time>,
    after: Option<(Time, LedgerKey)>,
    is_over: bool,
    late: BTreeMap<MailClass, (Time, u64)>,
}

impl Round {
    pub(super) fn new(now: Time, deadlines: &Watchdog, calm_until: Option<Time>) -> Self {
        Round { now, deadlines: deadlines.clone(), calm_until, after: None, is_over: false, late: BTreeMap::new() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// By class: when the oldest was first due, and how many there are.
    pub(super) fn late(self) -> BTreeMap<MailClass, (Time, u64)> {
        self.late
    }

    /// The next piece. Reads many rows: use [`Store::scan`].
    pub(super) fn piece(mut self, store: &Store) -> Result<Self, StoreError> {
        if self.after.is_none() {
            self.not_made(store)?;
        }
        let mut looked = 0;
        while looked < PIECE_ROWS_MAX {
            let page = store.messages_in(Due::Message, self.after.as_ref(), PAGE_ROWS_MAX)?;
            looked += page.len();
            for (due_at, key) in &page {
                if *due_at > self.now + REPEATED_WITHIN {
                    self.is_over = true;
                    return Ok(self);
                }
                // A damaged row is told where it is to be sent.
                if let Ok(Some(row)) = store.message(key) {
                    self.look(&row.record);
                }
            }
            match page.into_iter().next_back() {
                Some(last) => self.after = Some(last),
                None => {
                    self.is_over = true;
                    break;
                }
            }
        }
        Ok(self)
    }

    /// Articles, digests and corrections whose time has come, and of which not even the messages are there.
    fn not_made(&mut self, store: &Store) -> Result<(), StoreError> {
        let digest = store.next_due(Due::Digest)?;
        let correction = store.next_correction()?.map(|stored| stored.record.asked_at);
        // Whoever stops reading the log owes nobody anything, so no row would tell of it.
        let unread = store.since(store.read_to(NOTIFY)?, UNREAD_MAX)?.changes.into_iter().map(|(_, change)| change);
        let notice = unread.into_iter().find(|change| change.is_news_for(&Selection::all())).map(|change| change.at);
        for (class, due) in
            [(MailClass::Notice, notice), (MailClass::Digest, digest), (MailClass::Correction, correction)]
        {
            if let Some(due) = due {
                self.count(class, due);
            }
        }
        Ok(())
    }

    fn look(&mut self, row: &LedgerRow) {
        let Some(class) = class(&row.message) else { return };
        match &row.state {
            Delivery::Pending { .. } => self.count(class, row.first_due()),
            // What a connection has is bounded by its own waits; what it left in doubt waits for a person.
            Delivery::OnWire { .. } | Delivery::Sent { .. } | Delivery::Failed { .. } | Delivery::Recalled { .. } => {}
        }
    }

    fn count(&mut self, class: MailClass, due: Time) {
        let due = self.calm_until.map_or(due, |calm| calm.max(due));
        if self.now - due <= self.deadlines.of(class) {
            return;
        }
        let (oldest, messages) = self.late.entry(class).or_insert((due, 0));
        *oldest = due.min(*oldest);
        *messages += 1;
    }
}
