//! What is due and which connection has it: shared by the connections of a step.

use super::plan::{InHand, Ready};
use super::shaping::Lane;
use super::{Mailer, locked};
use crate::domain::Time;
use crate::store::{LedgerKey, StoreError};
use std::collections::{HashSet, VecDeque};

/// Due rows that are read at once.
pub(super) const PAGE_ROWS_MAX: usize = 256;
/// Rows at the end of what is due that are looked at for what somebody waits for, each time that a page is read.
const LAST_ROWS_MAX: usize = 64;

/// What is shared by the connections of a step.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) due: VecDeque<(Time, LedgerKey)>,
    /// Due, and waiting for another connection to be done with their destination.
    pub(super) waiting: VecDeque<(Time, LedgerKey)>,
    /// In the hands of a connection: whatever else is on the wire is doubtful.
    pub(super) held: HashSet<LedgerKey>,
    /// Where the next page begins; at the beginning of what is due if none. What was read before it is mostly sent, and
    /// to pass over the places of rows that are gone takes time.
    pub(super) read_to: Option<(Time, LedgerKey)>,
}

impl Mailer {
    /// The connection has no more in hand for these destinations: who waited for that gets a turn.
    pub(super) fn let_go(&self, held: &mut Vec<Lane>) {
        if held.is_empty() {
            return;
        }
        locked(&self.shaping).release(held);
        let mut queue = locked(&self.queue);
        while let Some(waiting) = queue.waiting.pop_back() {
            queue.due.push_front(waiting);
        }
    }

    /// How many of the next messages no connection has; none if nothing is due.
    pub(super) fn count_next(&self) -> Result<usize, StoreError> {
        let mut queue = locked(&self.queue);
        self.fill(&mut queue)?;
        Ok(queue.due.len())
    }

    /// Has a connection found a server, and taken messages in hand?
    pub(super) fn is_any_in_hand(&self) -> bool {
        !locked(&self.queue).held.is_empty()
    }

    /// The next messages that no connection has, `max` at most.
    pub(super) fn next_due(&self, max: usize) -> Result<Vec<(Time, LedgerKey)>, StoreError> {
        let mut queue = locked(&self.queue);
        self.fill(&mut queue)?;
        let count = max.min(queue.due.len());
        let next: Vec<_> = queue.due.drain(..count).collect();
        queue.held.extend(next.iter().map(|(_, key)| key.clone()));
        Ok(next)
    }

    fn fill(&self, queue: &mut Queue) -> Result<(), StoreError> {
        // Who waits takes memory: behind a page of them nobody else is read.
        while queue.due.is_empty() && queue.waiting.len() < PAGE_ROWS_MAX {
            let page = self.store.messages_due(self.clock.now(), queue.read_to.as_ref(), PAGE_ROWS_MAX)?;
            let is_from_start = queue.read_to.is_none();
            queue.read_to = page.last().filter(|_| page.len() == PAGE_ROWS_MAX).cloned();
            let is_waiting = |row: &(Time, LedgerKey)| queue.waiting.contains(row);
            queue.due = page.into_iter().filter(|row| !queue.held.contains(&row.1) && !is_waiting(row)).collect();
            if let Some(read_to) = queue.read_to.clone() {
                for row in self.store.messages_awaited(self.clock.now(), &read_to, LAST_ROWS_MAX)? {
                    if !queue.held.contains(&row.1) && !queue.waiting.contains(&row) && !queue.due.contains(&row) {
                        queue.due.push_front(row);
                    }
                }
            }
            // At the end of what is due; something may have come before it meanwhile.
            if is_from_start && queue.read_to.is_none() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn release(&self, key: &LedgerKey) {
        locked(&self.queue).held.remove(key);
    }

    /// The same of what was due and is not among those that are `sent`; mostly all are.
    pub(super) fn release_others(&self, due: &[(Time, LedgerKey)], sent: &[(InHand, Ready)]) {
        if sent.len() < due.len() {
            let is_sent: HashSet<&LedgerKey> = sent.iter().map(|(in_hand, _)| &in_hand.key).collect();
            due.iter().filter(|(_, key)| !is_sent.contains(key)).for_each(|(_, key)| self.release(key));
        }
    }
}
