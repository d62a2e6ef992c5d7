//! Budgets of confirmation mails: for each address, for the domains of a kind, and for all; and one for all addresses of a
//! mailbox that differ behind a `+`. A bomb of them comes from many addresses and goes to many; whoever sets it off spends a
//! budget and not a stranger's patience. They survive a restart, and are a fixed number of rows.

use super::{Subscriptions, internal};
use crate::domain::{Address, Kind, Problem, Time};
use crate::store::{Batch, Budget, Spent, Stored};
use crate::wire::mail::keyed_hash;

/// Rows of domains. Two domains that share one share its budget, and nobody can tell which do.
const DOMAINS: u16 = 4_096;
/// Who brings no proof of work has one part in so many of each budget.
const UNPROVEN_PART: usize = 4;
const HOURS_OF_DAY: i64 = 24;

/// Budgets as they stand before a mail is sent.
pub(super) struct Budgets {
    rows: Vec<(Budget, Option<Stored<Spent>>, Spent)>,
    /// Has the mailbox got as many mails today, under its many names, as one address may get? That is told to nobody.
    pub(super) is_mailbox_full: bool,
}

impl Subscriptions {
    /// The budgets that a mail to `address` would be taken from, before anything is looked up about it.
    ///
    /// Errors: [`Kind::TooMany`] where one is spent.
    pub(super) fn budgets(&self, address: &Address, is_proven: bool, now: Time) -> Result<Budgets, Problem> {
        let number = |hash: [u8; 32]| u16::from_be_bytes([hash[0], hash[1]]);
        let domains = number(self.keyed(b"tidings: budget\0", address.domain().as_bytes())) % DOMAINS;
        let limits = [
            (Budget::All, self.confirmations_per_hour_max),
            (Budget::Domains(domains), self.standard.confirmations_per_domain_per_hour_max),
        ];
        let hour = now.timestamp().div_euclid(3_600);
        let mut rows = Vec::with_capacity(limits.len() + 1);
        for (budget, max) in limits {
            let (stored, spent) = self.spent(budget, hour)?;
            let unproven_max = (max / UNPROVEN_PART).max(1);
            if spent.count as usize >= max || !is_proven && spent.unproven as usize >= unproven_max {
                let detail = "too many have asked within the hour; please try again later";
                return Err(Problem::new(Kind::TooMany, detail));
            }
            rows.push((budget, stored, spent));
        }
        let mailbox = address.mailbox();
        let mut is_mailbox_full = false;
        if mailbox != address.folded() {
            let budget = Budget::Mailboxes(number(self.keyed(b"tidings: mailbox\0", mailbox.as_bytes())));
            let (stored, spent) = self.spent(budget, hour - hour.rem_euclid(HOURS_OF_DAY))?;
            is_mailbox_full = spent.count >= self.standard.confirmations_per_address_per_day_max;
            rows.push((budget, stored, spent));
        }
        Ok(Budgets { rows, is_mailbox_full })
    }

    /// What was spent of `budget` since the hour `since`, as it is stored and as it counts.
    fn spent(&self, budget: Budget, since: i64) -> Result<(Option<Stored<Spent>>, Spent), Problem> {
        let stored = self.store.spent(budget).map_err(internal)?;
        let current = stored.as_ref().map(|stored| stored.record.clone()).filter(|spent| spent.hour == since);
        Ok((stored, current.unwrap_or(Spent { hour: since, ..Spent::default() })))
    }

    /// A hash of `text` that nobody can make who does not have the store.
    pub(super) fn keyed(&self, domain: &[u8], text: &[u8]) -> [u8; 32] {
        keyed_hash(&self.store.identity().secret, domain, text)
    }
}

impl Budgets {
    /// Puts what is left of them into `batch`. Whether a mail follows makes no difference, in what is left or in the time
    /// that it takes: neither must tell who is known.
    pub(super) fn write(&self, subscriptions: &Subscriptions, batch: &mut Batch, is_proven: bool) {
        for (budget, old, spent) in &self.rows {
            let unproven = spent.unproven.saturating_add(u32::from(!is_proven));
            let new = Spent { count: spent.count.saturating_add(1), unproven, ..spent.clone() };
            subscriptions.store.write_spent(batch, *budget, old.as_ref(), &new);
        }
    }
}
