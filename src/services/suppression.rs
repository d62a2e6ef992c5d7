//! When a mailbox gets no more mail: its server says that there is none, or it takes nothing time and again. It does not
//! matter how that became known, in the dialogue or by a report later; nor is either believed of too many at once.

use crate::domain::{Misses, Subscriber, SubscriptionState, Time};
use crate::store::{Batch, Daily, Reports, Store, StoreError, Stored};
use crate::wire::mail::status::Verdict;
use chrono::Days;

/// Mailboxes said not to be there, at one destination or over all, that are believed: in a row in the dialogue, of a day by
/// report. A dead address is one among many; where nobody is taken any more, a server or a setting is wrong, and it must
/// not cost a newsroom its readers.
pub(super) const BELIEVED_MAX: u32 = 20;
/// By report more than those, where servers have taken over many mails: one of so many that they took on this day and the
/// one before. So few are dead on a usual day, and no relay that loses everything costs more.
const BELIEVED_ONE_OF: u64 = 1_000;

/// Puts into `batch` what `verdict`, in the words `told`, means for all that goes to the mailbox of `subscriber`. It is about
/// a mail that was sent by `sent_by`, and says nothing of what was confirmed since.
///
/// Errors: the store's.
pub(super) fn heed(
    store: &Store,
    batch: &mut Batch,
    subscriber: &Stored<Subscriber>,
    (verdict, told): (Verdict, &str),
    sent_by: Time,
    now: Time,
) -> Result<(), StoreError> {
    let is_over = match verdict {
        Verdict::Hard => true,
        Verdict::Soft => {
            let misses = Misses::and(subscriber.record.misses.as_ref(), now);
            let is_over = misses.are_too_many();
            let new = Subscriber { misses: Some(misses).filter(|_| !is_over), ..subscriber.record.clone() };
            if new != subscriber.record {
                store.write_subscriber(batch, Some(subscriber), &new);
            }
            is_over
        }
    };
    for old in store.subscriptions_of(&subscriber.record)?.iter().filter(|_| is_over) {
        let is_meant = match old.record.state {
            SubscriptionState::Confirmed { at } => at <= sent_by,
            SubscriptionState::Pending => true,
            SubscriptionState::Unsubscribed { .. } | SubscriptionState::Refused { .. } => false,
        };
        if is_meant {
            store.write_subscription(batch, Some(old), &old.record.refused(now, told));
        }
    }
    Ok(())
}

/// The same for what a report says, by RFC 3464 or in a server's own words. A relay may take over everything, and send
/// all of it back later: that it takes mail proves nothing of its reports. So those that would end what readers have
/// confirmed are counted by day, and where there are too many, one counts as a mailbox that took nothing this time. Of
/// who has confirmed nothing yet any is believed: nobody is lost, and strangers choose those addresses.
///
/// Returns whether this is the first one of the day that is not believed. Errors: the store's.
pub(super) fn heed_report(
    store: &Store,
    batch: &mut Batch,
    subscriber: &Stored<Subscriber>,
    (verdict, told): (Verdict, &str),
    sent_by: Time,
    now: Time,
) -> Result<bool, StoreError> {
    let all = store.subscriptions_of(&subscriber.record)?;
    let is_reader =
        all.iter().any(|one| matches!(one.record.state, SubscriptionState::Confirmed { at } if at <= sent_by));
    if verdict != Verdict::Hard || !is_reader {
        heed(store, batch, subscriber, (verdict, told), sent_by, now)?;
        return Ok(false);
    }
    let domain = subscriber.record.address.domain();
    let old = store.reports()?;
    let reports = Reports::and(old.as_ref().map(|old| &old.record), domain, now);
    let is_doubted = are_too_many(store, &reports, domain, now)?;
    let new = Reports { is_told: reports.is_told || is_doubted, ..reports };
    store.write_reports(batch, old.as_ref(), &new);
    let verdict = if is_doubted { Verdict::Soft } else { verdict };
    heed(store, batch, subscriber, (verdict, told), sent_by, now)?;
    Ok(new.is_told && !reports.is_told)
}

/// Are there more of them, to `domain` or over all, than could be true?
fn are_too_many(store: &Store, reports: &Reports, domain: &str, now: Time) -> Result<bool, StoreError> {
    let certain = u64::from(BELIEVED_MAX);
    let counts = [reports.at(domain), reports.count];
    if counts.iter().all(|count| *count <= certain) {
        return Ok(false);
    }
    let today = now.date_naive();
    let sums = store.numbers_by(Daily::Domain, today.checked_sub_days(Days::new(1)).unwrap_or(today))?;
    let accepted = [sums.get(domain).map_or(0, |sum| sum.accepted), sums.values().map(|sum| sum.accepted).sum::<u64>()];
    Ok(counts.iter().zip(accepted).any(|(count, accepted)| *count > certain.max(accepted / BELIEVED_ONE_OF)))
}
