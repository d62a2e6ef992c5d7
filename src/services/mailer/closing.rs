//! What the outcome of a try does to the ledger.

use super::Mailer;
use super::outcome::Outcome;
use super::plan::InHand;
use crate::config::Doubtful;
use crate::domain::Time;
use crate::services::suppression;
use crate::store::{Batch, Became, Counted, Delivery, LedgerKey, LedgerRow, OTHERS, StoreError, Stored, Tally};
use crate::telemetry;
use chrono::Duration;
use std::sync::Arc;

/// A message that has left the wire and is not closed in the ledger yet.
pub(super) struct Closing {
    key: LedgerKey,
    /// As it was put on the wire, for the first try to close it; where somebody has changed it since, the next one reads
    /// it anew.
    row: Option<Stored<LedgerRow>>,
    outcome: Outcome,
    share: Share,
}

/// What it counts for.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) counted: Counted,
    /// The recipient's provider, for the metrics; none if it is no configured one.
    pub(super) provider: Option<Arc<str>>,
}

impl Closing {
    pub(super) fn new(in_hand: InHand, outcome: Outcome, share: Share) -> Self {
        Closing { key: in_hand.key, row: Some(in_hand.row), outcome, share }
    }

    /// Does it change more than the message's own row?
    pub(super) fn changes_subscriber(&self) -> bool {
        self.outcome.verdict().is_some()
    }
}

impl Mailer {
    /// Closes them in a commit of their own.
    pub(super) async fn settle(&self, closings: &mut Vec<Closing>) -> Result<(), StoreError> {
        if closings.is_empty() {
            return Ok(());
        }
        let close = || {
            let mut batch = self.closing_batch(closings)?;
            // What a server said of a destination outlives a restart, also where nothing goes there next.
            let paces = self.write_paces(&mut batch);
            Ok::<_, StoreError>((batch, paces))
        };
        let paces = self.store.decide(close).await?;
        self.paces_are_stored(&paces);
        self.closed(closings);
        Ok(())
    }

    /// What their outcomes do to the ledger, and to subscribers whose mailbox is gone.
    pub(super) fn closing_batch(&self, closings: &mut [Closing]) -> Result<Batch, StoreError> {
        let (mut batch, mut tally) = (Batch::default(), Tally::default());
        for closing in closings {
            self.close(&mut batch, &mut tally, closing)?;
        }
        self.store.write_tally(&mut batch, &tally)?;
        Ok(batch)
    }

    fn close(&self, batch: &mut Batch, tally: &mut Tally, closing: &mut Closing) -> Result<(), StoreError> {
        let row = match closing.row.take() {
            Some(row) => Some(row),
            None => self.store.message(&closing.key)?,
        };
        let Some(row) = row else { return Ok(()) };
        let Delivery::OnWire { attempts, .. } = row.record.state else { return Ok(()) };
        let now = self.clock.now();
        let state = match &closing.outcome {
            Outcome::Accepted { reply } => Delivery::Sent { at: now, reply: reply.clone() },
            Outcome::Rejected { reply, .. } => Delivery::Failed { at: now, reply: reply.clone() },
            Outcome::Deferred { reply, is_blameless: true } => {
                Delivery::Pending { attempts, due_at: now, reply: Some(reply.clone()), booked: true }
            }
            Outcome::Deferred { reply, is_blameless: false } | Outcome::Suspect { reply, .. } => {
                self.deferred(&row.record, &closing.key, attempts, reply, now)
            }
            Outcome::Doubtful => match self.settings.doubtful {
                Doubtful::Hold => return Ok(()),
                Doubtful::Resend => {
                    self.deferred(&row.record, &closing.key, attempts, "no reply to the whole message", now)
                }
            },
        };
        if let Some(became) = became(&state, &closing.outcome) {
            tally.add(&closing.share.counted, became, now);
        }
        let row = self.store.change_message(batch, row, |row| row.state = state).record;
        if let (Some(verdict), Delivery::Failed { reply, .. }) = (closing.outcome.verdict(), &row.state)
            && let Some(subscription) = self.store.subscription(row.subscription)?
            && let Some(subscriber) = self.store.subscriber(subscription.record.subscriber())?
        {
            suppression::heed(&self.store, batch, &subscriber, (verdict, reply), now, now)?;
        }
        Ok(())
    }

    /// Tried once more, later each time; or given up.
    fn deferred(&self, row: &LedgerRow, key: &LedgerKey, attempts: u32, reply: &str, now: Time) -> Delivery {
        let attempts = attempts.saturating_add(1);
        // One that has just had its turn, however late that was, is not given up for the first refusal: it may be no more
        // than a greeting (greylisting).
        let is_old = attempts > 1 && now - row.first_due() > self.settings.age_max;
        if attempts >= self.settings.attempts_max || is_old {
            return Delivery::Failed { at: now, reply: format!("given up after {attempts} tries: {reply}") };
        }
        Delivery::Pending {
            attempts,
            due_at: now + backoff(key, attempts),
            reply: Some(reply.to_owned()),
            booked: false,
        }
    }

    /// They are closed durably: counts them, and takes them out of the connection's hands.
    pub(super) fn closed(&self, closings: &mut Vec<Closing>) {
        let (mut totals, mut results) = (Vec::new(), Vec::new());
        for Closing { key, outcome, share, .. } in closings.drain(..) {
            self.release(&key);
            let (total, result) = match outcome {
                Outcome::Accepted { .. } => (telemetry::MAIL_SENT_TOTAL, Some("accepted")),
                Outcome::Rejected { .. } => (telemetry::MAIL_FAILED_TOTAL, Some("bounced")),
                Outcome::Deferred { is_blameless: true, .. } => (telemetry::MAIL_DEFERRED_TOTAL, None),
                Outcome::Deferred { .. } | Outcome::Suspect { .. } => {
                    (telemetry::MAIL_DEFERRED_TOTAL, Some("deferred"))
                }
                Outcome::Doubtful if self.settings.doubtful == Doubtful::Resend => {
                    (telemetry::MAIL_DEFERRED_TOTAL, None)
                }
                Outcome::Doubtful => {
                    metrics::gauge!(telemetry::MAIL_DOUBTFUL).increment(1.0);
                    tracing::warn!("a message is doubtful: it was sent whole, and the server's reply never came");
                    continue;
                }
            };
            count(&mut totals, total);
            if let Some(result) = result {
                count(&mut results, (result, share.provider));
            }
        }
        // Once for all: a name with labels is looked up at some cost.
        for (name, count) in totals {
            metrics::counter!(name).increment(count);
        }
        for ((result, provider), count) in results {
            let provider = provider.map_or_else(|| OTHERS.into(), |name| name.to_string());
            metrics::counter!(telemetry::MAIL_RESULTS_TOTAL, "result" => result, "provider" => provider)
                .increment(count);
        }
    }
}

/// One more of `what`.
fn count<T: PartialEq>(counts: &mut Vec<(T, u64)>, what: T) {
    match counts.iter_mut().find(|(known, _)| *known == what) {
        Some((_, count)) => *count += 1,
        None => counts.push((what, 1)),
    }
}

/// What is counted of a message that comes to be in `state`; nothing where the connection alone is to blame.
fn became(state: &Delivery, outcome: &Outcome) -> Option<Became> {
    match (state, outcome) {
        (Delivery::Sent { .. }, _) => Some(Became::Accepted),
        (Delivery::Failed { .. }, _) => Some(Became::Bounced),
        (Delivery::Pending { .. }, Outcome::Deferred { is_blameless: true, .. }) => None,
        (Delivery::Pending { .. }, _) => Some(Became::Deferred),
        (Delivery::OnWire { .. } | Delivery::Recalled { .. }, _) => None,
    }
}

/// How long a message waits after its `attempts`th try: a minute, doubled each time up to four hours, and spread by a
/// quarter either way, so that messages deferred together do not come back together.
fn backoff(key: &LedgerKey, attempts: u32) -> Duration {
    const FIRST_MS: i64 = 60_000;
    const LONGEST_MS: i64 = 4 * 3_600_000;
    let whole = FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(LONGEST_MS);
    let spread = i64::from(crc32fast::hash(&[key.as_bytes(), &attempts.to_be_bytes()].concat()) % 1_001);
    Duration::milliseconds(whole * 3 / 4 + whole / 2 * spread / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SubscriptionId;
    use crate::store::Message;
    use uuid::Uuid;

    #[test]
    fn the_wait_doubles_to_four_hours_and_is_spread() {
        let waits = |number: u128, attempts: u32| {
            let subscription = SubscriptionId(Uuid::from_u128(number));
            backoff(&LedgerKey::of(&Message::Confirmation { round: 1 }, subscription), attempts)
        };
        for (attempts, minutes) in [(1, 1), (2, 2), (5, 16), (9, 240), (u32::MAX, 240)] {
            let whole = Duration::minutes(minutes);
            for number in 0..100 {
                let wait = waits(number, attempts);
                assert!(wait >= whole * 3 / 4 && wait <= whole * 5 / 4, "{attempts}: {wait}");
            }
        }
        let different: std::collections::HashSet<_> = (0..100).map(|number| waits(number, 3)).collect();
        assert!(different.len() > 80);
    }
}
