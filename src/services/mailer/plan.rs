//! What is to be done with a message that is due, decided from what is stored at that moment: an article that was
//! retracted or a subscriber who left since then is not mailed.

use super::Mailer;
use super::closing::Share;
use super::forms::Known;
use super::outcome::shortened;
use super::ready::Made;
use super::shaping::{Lane, Turn};
use super::told::Prints;
use crate::domain::{Fault, Time};
use crate::store::{Batch, Delivery, LedgerKey, LedgerRow, StoreError, Stored};
use crate::wire::mail::MailData;
use std::collections::HashMap;
use std::sync::Arc;

/// Messages that are planned, and so written, before other connections of the thread get a turn.
pub(super) const PLANNED_AT_ONCE: usize = 2;

/// What is to be done.
pub(super) enum Plan {
    /// It is not this message's turn any more; the batch takes its due row out.
    Skip(Batch),
    /// It is closed without being sent.
    Close(Batch, Closed),
    /// Its destination takes it later; the batch says when.
    PutOff(Batch),
    /// Other connections carry as much to its destination as may be: it keeps its place.
    Wait,
    /// The batch puts it on the wire, if all it was built from is still the same.
    Send(Batch, Box<(InHand, Ready)>),
}

/// A message that a connection has in hand.
pub(super) struct InHand {
    pub(super) key: LedgerKey,
    /// Its row as it was put on the wire.
    pub(super) row: Stored<LedgerRow>,
}

/// How a message ended without the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    Recalled,
    Failed,
}

/// A message as it goes out.
pub(super) struct Ready {
    /// First half of its message id.
    pub(super) id: String,
    /// Sender of the envelope: a checked address.
    pub(super) from: String,
    /// Its recipient: a checked address.
    pub(super) to: String,
    pub(super) data: MailData,
    /// Its destination.
    pub(super) lane: Lane,
    /// What it counts for.
    pub(super) share: Share,
    /// What it tells.
    pub(super) prints: Option<Arc<Prints>>,
}

/// Why a message is not sent.
pub(super) enum Stop {
    Recall(&'static str),
    Fail(String),
    /// Not before this time.
    Later(Time),
    Store(StoreError),
}

/// The turns that messages have. Who has drawn one keeps it while a claim is planned anew, since turns are few.
pub(super) type Drawn = HashMap<LedgerKey, Time>;

/// How a message waits.
struct Wait {
    until: Time,
    /// Is that its turn at its destination?
    is_booked: bool,
    /// Is it late only if it waits longer than that? Else as it was.
    is_late_from_then: bool,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            // One damaged record stops one message, not all mail.
            StoreError::Record { table, what, .. } => Stop::Fail(format!("damaged record in {}: {what}", table.name())),
            other @ (StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Damaged { .. }
            | StoreError::Engine(_)
            | StoreError::Busy
            | StoreError::Stopped(_)) => Stop::Store(other),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fail(fault.to_string())
    }
}

impl Mailer {
    /// What is to be done with `key`, which was due at `at`. `held` are the destinations that the asking connection
    /// carries mail to, `articles` those that have been looked at for the same commit, which has to require them. `drawn` are
    /// the turns at destinations that the messages of this claim have.
    pub(super) fn plan(
        &self,
        (at, key): &(Time, LedgerKey),
        held: &mut Vec<Lane>,
        articles: &mut Vec<Arc<Known>>,
        drawn: &mut Drawn,
    ) -> Result<Plan, StoreError> {
        let at = *at;
        let now = self.clock.now();
        let row = match self.store.message(key) {
            Ok(row) => row,
            Err(StoreError::Record { table, what, .. }) => {
                tracing::error!("a message cannot be sent, its row in {} is damaged: {what}", table.name());
                None
            }
            Err(error) => return Err(error),
        };
        let pending = row.as_ref().and_then(|row| match &row.record.state {
            Delivery::Pending { attempts, due_at, booked, .. } if *due_at == at => Some((*attempts, *booked)),
            Delivery::Pending { .. }
            | Delivery::OnWire { .. }
            | Delivery::Sent { .. }
            | Delivery::Failed { .. }
            | Delivery::Recalled { .. } => None,
        });
        let mut batch = Batch::default();
        let (Some(row), Some((attempts, is_booked))) = (row, pending) else {
            self.store.drop_due_message(&mut batch, at, key)?;
            return Ok(Plan::Skip(batch));
        };
        let (state, closed) = match self.ready(key, &row.record, now, &mut batch, articles) {
            Ok(Made { ready, revision, told }) => {
                let mut own = drawn.get(key).copied().or(is_booked.then_some(at));
                let turn = self.turn(&ready.lane, held, (&mut own, attempts > 0), key.is_awaited(), now);
                drawn.extend(own.map(|own| (key.clone(), own)));
                match turn {
                    Turn::Now => {}
                    Turn::Wait => return Ok(Plan::Wait),
                    // Its own turn is when it is due; that a provider takes nothing now makes it late, and gives it no turn.
                    Turn::At(until) => {
                        return Ok(self.put_off(row, &Wait { until, is_booked: true, is_late_from_then: true }));
                    }
                    Turn::Peace(until) => {
                        return Ok(self.put_off(row, &Wait { until, is_booked, is_late_from_then: false }));
                    }
                }
                let row = self.store.change_message(&mut batch, row, |row| {
                    row.state = Delivery::OnWire { since: now, attempts };
                    (row.revision, row.told) = (revision, told);
                });
                if let Some(prints) = &ready.prints {
                    self.write_prints(&mut batch, prints);
                }
                let in_hand = InHand { key: key.clone(), row };
                return Ok(Plan::Send(batch, Box::new((in_hand, ready))));
            }
            Err(Stop::Recall(why)) => (Delivery::Recalled { at: now, why: why.into() }, Closed::Recalled),
            Err(Stop::Fail(why)) => (Delivery::Failed { at: now, reply: shortened(&why) }, Closed::Failed),
            Err(Stop::Later(until)) => {
                return Ok(self.put_off(row, &Wait { until, is_booked, is_late_from_then: true }));
            }
            Err(Stop::Store(error)) => return Err(error),
        };
        let mut batch = Batch::default();
        self.store.change_message(&mut batch, row, |row| row.state = state);
        Ok(Plan::Close(batch, closed))
    }

    /// A message that waits some more.
    fn put_off(&self, row: Stored<LedgerRow>, wait: &Wait) -> Plan {
        let mut batch = Batch::default();
        self.store.change_message(&mut batch, row, |row| {
            if let Delivery::Pending { due_at, booked, .. } = &mut row.state {
                (*due_at, *booked) = (wait.until, wait.is_booked);
            }
            if wait.is_late_from_then {
                row.set_due_from(wait.until);
            }
        });
        Plan::PutOff(batch)
    }
}
