//! Whether a message is still owed: a subscriber may have left, paused or changed what is asked for since.

use super::plan::Stop;
use crate::domain::{Labels, Subscription, SubscriptionState, Time};
use crate::store::LedgerRow;

/// Is the subscription mailed to, as it was when the message came to be owed?
pub(super) fn is_active(subscription: &Subscription, row: &LedgerRow) -> Result<(), Stop> {
    match &subscription.state {
        SubscriptionState::Confirmed { at } if *at > row.created_at => {
            Err(Stop::Recall("the subscriber had left meanwhile"))
        }
        SubscriptionState::Confirmed { .. } if subscription.paused_at.is_some() => {
            Err(Stop::Recall("the subscriber wants a break"))
        }
        SubscriptionState::Confirmed { .. } => Ok(()),
        SubscriptionState::Pending => Err(Stop::Recall("the subscription is not confirmed")),
        SubscriptionState::Unsubscribed { .. } => Err(Stop::Recall("the subscriber has left")),
        SubscriptionState::Refused { .. } => Err(Stop::Recall("the mailbox does not exist")),
    }
}

/// When it was left, if it still is and has not been since.
pub(super) fn left(subscription: &Subscription, round: u32) -> Result<Time, Stop> {
    match &subscription.state {
        SubscriptionState::Unsubscribed { at } if round == subscription.round => Ok(*at),
        SubscriptionState::Unsubscribed { .. }
        | SubscriptionState::Pending
        | SubscriptionState::Confirmed { .. }
        | SubscriptionState::Refused { .. } => Err(Stop::Recall("it was taken back")),
    }
}

/// Is the notice still owed?
pub(super) fn is_owed(subscription: &Subscription, row: &LedgerRow, labels: &Labels) -> Result<(), Stop> {
    is_active(subscription, row)?;
    if subscription.selection.matches(labels) {
        Ok(())
    } else {
        Err(Stop::Recall("the subscription no longer asks for it"))
    }
}

/// Is the confirmation of `round` still to be asked for?
pub(super) fn is_waiting(subscription: &Subscription, round: u32, now: Time) -> Result<(), Stop> {
    if round != subscription.round {
        return Err(Stop::Recall("a newer one was asked for"));
    }
    if subscription.has_lapsed(now) {
        return Err(Stop::Recall("its link would no longer work"));
    }
    match &subscription.state {
        SubscriptionState::Pending => Ok(()),
        SubscriptionState::Confirmed { .. } => Err(Stop::Recall("it has been confirmed")),
        SubscriptionState::Unsubscribed { .. } => Err(Stop::Recall("the subscriber has left")),
        SubscriptionState::Refused { .. } => Err(Stop::Recall("the mailbox does not exist")),
    }
}
