//! When a mailbox gets no more mail: its server says that there is none, or it takes nothing time and again. It does not
//! matter how that became known, in the dialogue or by a report later.

use crate::domain::{Misses, Subscriber, SubscriptionState, Time};
use crate::store::{Batch, Store, StoreError, Stored};
use crate::wire::mail::status::Verdict;

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
