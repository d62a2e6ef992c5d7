//! Alarms when mail is late, and when it does not arrive: not by the length of a queue, which says neither.
//!
//! Each class of mail has a deadline, which counts from when a message was first due. What waits on purpose is not late: for
//! its turn at its destination, for the end of a quarantine, for a person's decision on a doubtful message. And every now and
//! then a canary is sent, a mail that comes back to us through the door for what comes back: only that proves delivery.
//!
//! An alarm is logged when it begins and when it ends, also over restarts, for which it is kept in the store; it is told by
//! metrics and by `tidings mail status`, and changes nothing else: pages and feeds are as good as ever while mail is late.

mod lateness;

use super::Step;
use crate::config::{self, MailClass};
use crate::domain::{Clock, SubscriptionId, Time};
use crate::store::{Alarms, Batch, Canary, Late, LedgerKey, LedgerRow, Message, Store, StoreError, Stored};
use crate::telemetry;
use lateness::Round;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks, and between two pieces of a long one.
const LOOK_EVERY: Duration = Duration::from_secs(15);
const PIECE_EVERY: Duration = Duration::from_millis(500);

/// The watchdog.
pub struct Watchdog {
    store: Arc<Store>,
    clock: Clock,
    deadlines: config::Watchdog,
    canary: Option<config::Canary>,
    mailer: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    round: Option<Round>,
    /// None before they are read.
    alarms: Option<Alarms>,
    looked_at: Option<Time>,
}

/// What the watchdog sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Is nothing late, and the canary alive?
    pub ok: bool,
    /// When it had last looked at all that is due; none before the first time.
    pub looked_at: Option<Time>,
    /// Is mail held by a quarantine? Then nothing is late.
    pub quarantined: bool,
    /// What is late.
    pub late: BTreeMap<MailClass, Late>,
    /// How the canary fares, where there is one.
    pub canary: Option<SeenCanary>,
}

/// How the canary fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeenCanary {
    /// When the last one was sent.
    pub sent_at: Option<Time>,
    /// When one last came back.
    pub proven_at: Option<Time>,
    /// Since when one is waited for, if the deadline has passed.
    pub missing_since: Option<Time>,
}

impl Watchdog {
    /// By these deadlines, with a canary if there is to be one. `mailer` wakes it.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        deadlines: config::Watchdog,
        canary: Option<config::Canary>,
        mailer: Arc<Notify>,
    ) -> Self {
        Watchdog { store, clock, deadlines, canary, mailer, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The alarms as they stand, since before the last restart if need be.
    fn alarms(&self) -> Result<Alarms, StoreError> {
        let known = self.state().alarms.clone();
        known.map_or_else(|| Ok(self.store.alarms()?.map(|stored| stored.record).unwrap_or_default()), Ok)
    }

    /// Looks at the next piece of what is due, and at the canary. [`Step::Worked`] if a round is not at its end.
    ///
    /// Errors: the store's.
    pub async fn step(&self) -> Result<Step, StoreError> {
        let now = self.clock.now();
        let is_new = self.state().alarms.is_none();
        let mut alarms = self.alarms()?;
        // When a quarantine has ended that was left while nobody ran is not known: now at the latest.
        let is_just_over = is_new && alarms.is_quarantined;
        alarms.is_quarantined = self.store.quarantined_since()?.is_some();
        if is_just_over || alarms.is_quarantined {
            alarms.calm_until = Some(now);
        }
        if alarms.is_quarantined {
            self.settle(&mut alarms, BTreeMap::new(), now);
            self.settle_canary(&mut alarms, None, now);
            self.looked(None, Some(now));
            self.keep(alarms).await?;
            return Ok(Step::Idle);
        }
        self.look_at_canary(&mut alarms, now).await?;
        let round = self.state().round.take();
        let round = round.unwrap_or_else(|| Round::new(now, &self.deadlines, alarms.calm_until));
        let round = self.store.scan(move |store| round.piece(store)).await?;
        let step = if round.is_over() {
            self.settle(&mut alarms, round.late(), now);
            self.looked(None, Some(now));
            Step::Idle
        } else {
            self.looked(Some(round), None);
            Step::Worked
        };
        self.keep(alarms).await?;
        Ok(step)
    }

    fn looked(&self, round: Option<Round>, looked_at: Option<Time>) {
        let mut state = self.state();
        state.round = round;
        state.looked_at = looked_at.or(state.looked_at);
    }

    /// The alarms from now on. They are stored behind their telling: better told twice than never.
    async fn keep(&self, alarms: Alarms) -> Result<(), StoreError> {
        self.state().alarms = Some(alarms.clone());
        let old = self.store.alarms()?;
        let is_kept = old.as_ref().map_or_else(|| alarms == Alarms::default(), |old| alarms.are_as(&old.record));
        if is_kept {
            return Ok(());
        }
        let mut batch = Batch::default();
        self.store.write_alarms(&mut batch, old.as_ref(), &alarms);
        // Nobody else writes them; the next look would write them once more.
        self.store.try_commit(batch).await.map(|_| ())
    }

    /// Steps until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // The mailer gets its chance first: what was due while nobody ran is late, but not for long.
        let mut wait = LOOK_EVERY;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.step().await {
                Ok(Step::Worked) => PIECE_EVERY,
                Ok(Step::Idle) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "the watchdog cannot look whether mail is late: {error}");
                    LOOK_EVERY
                }
            };
        }
    }

    /// What it saw last. Errors: the store's.
    pub fn seen(&self) -> Result<Seen, StoreError> {
        let known = self.store.canary()?.map(|stored| stored.record).unwrap_or_default();
        // Not as of the last look: a copy is one from its start on, and free once it is released.
        let quarantined = self.store.quarantined_since()?.is_some();
        let Alarms { late, missing, .. } = if quarantined { Alarms::default() } else { self.alarms()? };
        let canary = self.canary.as_ref().map(|_| SeenCanary {
            sent_at: known.sent_at,
            proven_at: known.proven_at,
            missing_since: missing,
        });
        let ok = late.is_empty() && missing.is_none();
        Ok(Seen { ok, looked_at: self.state().looked_at, quarantined, late, canary })
    }

    /// What is late now, by class: alarms begin, go on and end.
    fn settle(&self, alarms: &mut Alarms, found: BTreeMap<MailClass, (Time, u64)>, now: Time) {
        for class in MailClass::ALL {
            let name = class.as_str();
            let gauge = metrics::gauge!(telemetry::MAIL_OVERDUE_SECONDS, "class" => name);
            match (found.get(&class), alarms.late.get(&class)) {
                (Some(&(oldest, messages)), before) => {
                    let age_s = (now - oldest).num_seconds();
                    gauge.set(age_s as f64);
                    if before.is_none() {
                        let minutes = self.deadlines.of(class).num_minutes();
                        tracing::error!(
                            class = name,
                            messages,
                            age_s,
                            "mail is late: {messages} of class {name} not finished after {minutes} minutes"
                        );
                    }
                    let since = before.map_or(now, |late| late.since);
                    alarms.late.insert(class, Late { since, oldest, messages });
                }
                (None, before) => {
                    gauge.set(0.0);
                    if let Some(Late { since, .. }) = before {
                        let lasted_s = (now - *since).num_seconds();
                        tracing::info!(class = name, lasted_s, "mail of class {name} is in time again");
                        alarms.late.remove(&class);
                    }
                }
            }
        }
    }

    /// Sends the next canary when its time has come, and looks how long one has been waited for.
    async fn look_at_canary(&self, alarms: &mut Alarms, now: Time) -> Result<(), StoreError> {
        let Some(canary) = &self.canary else {
            alarms.missing = None;
            return Ok(());
        };
        let calm_until = alarms.calm_until;
        let decided = self.store.decide(|| {
            let old = self.store.canary()?;
            let known = old.as_ref().map(|stored| stored.record).unwrap_or_default();
            // One that a quarantine has held up may never go out.
            let is_held = calm_until.is_some_and(|calm| known.sent_at.is_some_and(|sent| sent <= calm));
            let known = if is_held { Canary { waited_since: None, ..known } } else { known };
            if is_held || known.sent_at.is_none_or(|sent| now - sent >= canary.every) {
                let new = known.next(now);
                Ok::<_, StoreError>((self.next_canary(old.as_ref(), &new)?, (new, true)))
            } else {
                Ok((Batch::default(), (known, false)))
            }
        });
        let (known, is_sent) = decided.await?;
        if is_sent {
            self.mailer.notify_one();
        }
        let missing = known.waited_since.filter(|since| now - *since > canary.deadline);
        self.settle_canary(alarms, missing, now);
        Ok(())
    }

    /// Owes the canary that `new` counts; the message of the one before is taken out.
    fn next_canary(&self, old: Option<&Stored<Canary>>, new: &Canary) -> Result<Batch, StoreError> {
        let (mut batch, nobody) = (Batch::default(), SubscriptionId(Uuid::nil()));
        if let Some(old) = old
            && let Some(row) =
                self.store.message(&LedgerKey::of(&Message::Canary { number: old.record.sent }, nobody))?
        {
            self.store.delete_message(&mut batch, &row);
        }
        let message = Message::Canary { number: new.sent };
        let row = LedgerRow::new(message, nobody, None, new.sent_at.unwrap_or_else(|| self.clock.now()));
        self.store.write_message(&mut batch, &row);
        self.store.write_canary(&mut batch, old, new);
        Ok(batch)
    }

    fn settle_canary(&self, alarms: &mut Alarms, missing: Option<Time>, now: Time) {
        let age_s = missing.map_or(0, |since| (now - since).num_seconds());
        metrics::gauge!(telemetry::MAIL_CANARY_MISSING_SECONDS).set(age_s as f64);
        match (missing, alarms.missing) {
            (Some(_), None) => tracing::error!(
                age_s,
                "the canary has not come back for {} minutes: mail may not be delivered",
                age_s / 60
            ),
            (None, Some(_)) => tracing::info!("the canary has come back: mail is delivered"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        alarms.missing = missing;
    }
}
