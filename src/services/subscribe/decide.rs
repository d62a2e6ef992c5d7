//! What asking and confirming make of what is stored, decided on values alone.

use crate::domain::{Digests, Kind, Problem, Reason, Subscriber, Subscription, SubscriptionState, Time};
use chrono::Duration;

/// What is asked again sooner makes no second mail: a form that is sent in a loop must not fill a mailbox.
const ASK_AGAIN: Duration = Duration::minutes(10);

/// The subscription and its subscriber once `wanted`, a new subscription, was asked for at `now`; none if nothing is to
/// be mailed for that.
///
/// `asks_max` mails a day go to one address. One at a time waits to be confirmed: whoever asks for another instead gets a newer link, and the old one is void.
pub(super) fn asked(
    subscriber: &Subscriber,
    subscriptions: &[&Subscription],
    wanted: Subscription,
    asks_max: u32,
    now: Time,
) -> Option<(Subscription, Subscriber)> {
    let is_wanted = |old: &&&Subscription| old.selection == wanted.selection && old.cadence == wanted.cadence;
    let mut confirmed = subscriptions.iter().filter(|old| is_confirmed(old));
    if confirmed.any(|old| is_wanted(&old)) {
        return None;
    }
    let waiting = subscriptions.iter().find(|old| match old.state {
        SubscriptionState::Pending | SubscriptionState::Refused { .. } => true,
        // Only its owner can have left, so to ask again is no loop. It is also theirs to take back, and anybody can ask, so
        // it stays as it is beside the new one; so does what was confirmed.
        SubscriptionState::Unsubscribed { .. } | SubscriptionState::Confirmed { .. } => false,
    });
    if waiting.is_some() && now - subscriber.asked_at < ASK_AGAIN {
        return None;
    }
    let is_same_day = subscriber.asked_at.date_naive() == now.date_naive();
    let asks = if is_same_day { subscriber.asks.saturating_add(1) } else { 1 };
    if asks > asks_max {
        return None;
    }
    let is_full = subscriptions.len() >= Subscriber::SUBSCRIPTIONS_MAX;
    // Where there is no room, one that is on its way out makes some.
    let left = |old: &&&Subscription| matches!(old.state, SubscriptionState::Unsubscribed { .. });
    let again = waiting.or_else(|| subscriptions.iter().find(left).filter(|_| is_full));
    let mut subscriber = Subscriber { asked_at: now, asks, ..subscriber.clone() };
    match again {
        Some(old) => {
            let round = old.round.saturating_add(1);
            let (id, created_at) = (old.id, old.created_at);
            // A digest of today that it has had bears its name.
            let digests = Digests { last: old.digests.last.clone(), ..wanted.digests.clone() };
            let again = Subscription { id, created_at, round, feed: old.feed, digests, ..wanted }.of(&subscriber);
            Some((again, subscriber))
        }
        None if is_full => None,
        None => {
            subscriber.subscriptions.push(wanted.id);
            Some((wanted.of(&subscriber), subscriber))
        }
    }
}

/// May `round` of it be confirmed, or has it been? Errors: [`Kind::Gone`] says why not.
pub(super) fn may_confirm(old: &Subscription, round: u32, now: Time) -> Result<(), Problem> {
    if let SubscriptionState::Unsubscribed { .. } | SubscriptionState::Refused { .. } = old.state {
        return Err(Problem::new(Kind::Gone, "this subscription has ended since; please ask once more")
            .because(Reason::LinkEnded));
    }
    if round != old.round {
        return Err(Problem::new(Kind::Gone, "a newer mail was sent after this one; please use the link in that")
            .because(Reason::LinkNewer));
    }
    if !is_confirmed(old) && old.has_lapsed(now) {
        return Err(Problem::new(Kind::Gone, "this link was good for 14 days; please ask once more")
            .because(Reason::LinkLapsed));
    }
    Ok(())
}

/// `new` takes the place of `old`: what has gathered for its next digest comes in the next one.
pub(super) fn take_over(new: &mut Subscription, old: &Subscription) {
    if old.digests.next.is_some() && new.digests.next.is_some() {
        new.digests.since = new.digests.since.min(old.digests.since);
    }
}

/// May it be taken back that it was left for the `round`th time, where `others` are of the same address? Errors:
/// [`Kind::Gone`] says why not.
pub(super) fn may_undo<'a>(
    old: &Subscription,
    mut others: impl Iterator<Item = &'a Subscription>,
    round: u32,
) -> Result<(), Problem> {
    let is_anew = others.any(|other| other.id != old.id && other.selection == old.selection && is_confirmed(other));
    let is_left = round == old.round && matches!(old.state, SubscriptionState::Unsubscribed { .. });
    if is_left && !is_anew || is_confirmed(old) {
        return Ok(());
    }
    Err(Problem::new(Kind::Gone, "this subscription was asked for anew since; please use the link in that mail")
        .because(Reason::LinkAnew))
}

/// Has its owner confirmed it, and not left since?
pub(super) fn is_confirmed(subscription: &Subscription) -> bool {
    matches!(subscription.state, SubscriptionState::Confirmed { .. })
}
