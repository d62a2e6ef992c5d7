//! The only one that sends mail: takes what is due from the ledger and hands it to a mail server or an outbox.
//!
//! Every message passes `Pending → OnWire → Sent | Failed`, each move a durable commit before the next thing is
//! done. A connection closes what it has finished and opens its next messages in one commit. What failed before the
//! final dot of the dialogue was certainly not accepted, and is tried again; what was cut off behind it may have been,
//! and is *doubtful*: held for the operator or sent again, as is configured. A crash leaves in doubt what connections
//! had open: one message each, or up to `IN_HAND_MAX` each where the server takes messages without a wait between.

mod carrier;
mod closing;
mod digest;
mod doubtful;
mod forms;
mod line;
mod outcome;
mod plan;
mod queue;
mod ready;
mod rest;
mod shaping;
mod signing;
mod specimen;
mod standing;
mod templates;
mod told;

pub use doubtful::DoubtfulMessage;
pub use specimen::Wish;
pub use templates::load as load_templates;

use super::newsroom::SharedNewsroom;
use super::{Lead, Step};
use crate::config::{Mail, Subscriptions, Tls};
use crate::domain::{Clock, Kind, Problem, Time};
use crate::store::{LedgerKey, Store, StoreError};
use crate::telemetry;
use crate::wire::mail::Templates;
use crate::wire::mail::dkim::SigningKey;
use arc_swap::ArcSwap;
use carrier::{Carrier, Distrust, IN_HAND_MAX, Server};
use closing::{Closing, Share};
use forms::{Forms, Known};
use line::Line;
use outcome::Outcome;
use plan::{InHand, PLANNED_AT_ONCE, Plan, Ready};
use queue::Queue;
use shaping::{Lane, Shaping};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use tokio_util::sync::CancellationToken;

/// A connection without work is closed after this: servers dislike idle ones.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// While some connections are at work and others could be.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// After an error of the store.
const RETRY_WAIT: Duration = Duration::from_secs(5);
/// Rounds of a connection in one step: then the work is spread over all connections anew.
const ROUNDS_MAX: usize = 256;
/// Rounds against others who change what a connection is about to send; then it takes other messages.
const CONFLICTS_MAX: usize = 8;

/// The mailer.
pub struct Mailer {
    store: Arc<Store>,
    clock: Clock,
    newsroom: SharedNewsroom,
    settings: Mail,
    standard: Subscriptions,
    hint: Arc<tokio::sync::Notify>,
    lead: Arc<Lead>,
    tls: Option<Arc<ClientConfig>>,
    queue: Mutex<Queue>,
    idle: Mutex<Vec<(Line, Instant)>>,
    server: Mutex<Server>,
    distrust: Mutex<Distrust>,
    forms: Mutex<Forms>,
    shaping: Mutex<Shaping>,
    keys: Arc<[SigningKey]>,
    digests: Mutex<digest::Digests>,
    templates: ArcSwap<Templates>,
    prints: Mutex<told::Stored>,
    /// One step at a time. Holds whether the messages of the last crash have been looked at.
    turn: tokio::sync::Mutex<bool>,
}

/// What a connection did in a step.
#[derive(Default)]
struct Tally {
    handled: usize,
    accepted: usize,
    /// Why it ended before its time.
    unreachable: Option<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailer {
    /// `hint` wakes it, and it tells `lead` how it gets on.
    ///
    /// Errors: [`Kind::Invalid`] where certificates or signing keys cannot be read.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        newsroom: SharedNewsroom,
        settings: Mail,
        standard: Subscriptions,
        hint: Arc<tokio::sync::Notify>,
        lead: Arc<Lead>,
    ) -> Result<Arc<Self>, Problem> {
        let tls = match &settings.smtp {
            Some(smtp) if smtp.tls != Tls::None => {
                Some(line::tls_config(smtp).map_err(|what| Problem::new(Kind::Invalid, format!("mail: {what}")))?)
            }
            Some(_) | None => None,
        };
        let keys = signing::keys(&settings.dkim)?;
        Ok(Arc::new(Mailer {
            store,
            clock,
            newsroom,
            standard,
            hint,
            lead,
            tls,
            queue: Mutex::default(),
            idle: Mutex::default(),
            server: Mutex::default(),
            distrust: Mutex::default(),
            forms: Mutex::default(),
            shaping: Mutex::new(Shaping::new(&settings.shapes, settings.warm_up)),
            keys,
            settings,
            digests: Mutex::default(),
            templates: ArcSwap::new(Templates::built_in()),
            prints: Mutex::default(),
            turn: tokio::sync::Mutex::new(false),
        }))
    }

    /// Sends all that is due now. [`Step::Idle`] if there was nothing, if the server is left in peace, or if the store is in
    /// quarantine.
    pub async fn step(self: &Arc<Self>) -> Result<Step, StoreError> {
        self.drain(&CancellationToken::new()).await
    }

    /// Steps until `stop`; then what is on the wire is brought to its end, and the connections are closed.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.drain(&stop).await {
                Ok(Step::Worked) => Duration::ZERO,
                Ok(Step::Idle) => self.rest().await,
                Err(error) => {
                    tracing::error!(%error, "mail stands still and tries again: {error}");
                    RETRY_WAIT
                }
            };
            // A hint that came during the step is kept: this returns at once then.
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.hint.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            self.hang_up(IDLE_MAX).await;
        }
        self.hang_up(Duration::ZERO).await;
    }

    async fn drain(self: &Arc<Self>, stop: &CancellationToken) -> Result<Step, StoreError> {
        let mut has_looked_back = self.turn.lock().await;
        // A step that was broken off may have left something here.
        *locked(&self.queue) = Queue::default();
        if self.store.quarantined_since()?.is_some() {
            return Ok(Step::Idle);
        }
        if !*has_looked_back {
            self.look_back().await?;
            *has_looked_back = true;
        }
        let now = self.clock.now();
        if locked(&self.server).not_before.is_some_and(|at| now < at) {
            return Ok(Step::Idle);
        }
        let due = self.count_next()?;
        if due == 0 {
            self.lead.close();
            return Ok(Step::Idle);
        }
        let connections_max = self.settings.smtp.as_ref().map_or(1, |smtp| smtp.connections);
        let connections = connections_max.min(due);
        // So that a few messages are spread over all connections.
        let share = due.div_ceil(connections);
        let mut workers = JoinSet::new();
        for number in 1..=connections {
            // If all began with as many they would be through with them together each time, and the server had a rest.
            let first = if share > IN_HAND_MAX { (IN_HAND_MAX * number).div_ceil(connections) } else { share };
            workers.spawn(Arc::clone(self).work(first, stop.clone()));
        }
        let mut failed = None;
        let mut sum = Tally::default();
        let mut has_one_ended_well = false;
        loop {
            let worker = tokio::select! {
                worker = workers.join_next() => worker,
                // One that waits for a server's word keeps nobody else waiting: what has come to be due gets a connection.
                () = self.look_again(), if workers.len() < connections_max => {
                    if !stop.is_cancelled() && self.is_any_in_hand() && self.count_next()? > 0 {
                        workers.spawn(Arc::clone(self).work(IN_HAND_MAX, stop.clone()));
                    }
                    continue;
                }
            };
            let Some(worker) = worker else { break };
            let broke_off = |panic| Err(StoreError::Engine(format!("a connection's task broke off: {panic}")));
            let tally = match worker.unwrap_or_else(broke_off) {
                Ok(tally) => tally,
                // The others bring to its end what they have on the wire.
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            sum.handled += tally.handled;
            sum.accepted += tally.accepted;
            has_one_ended_well |= tally.unreachable.is_none();
            sum.unreachable = sum.unreachable.or(tally.unreachable);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        match sum.unreachable {
            Some(why) if !has_one_ended_well && sum.accepted == 0 => self.unreachable(&why),
            Some(_) | None => self.reachable(),
        }
        Ok(if sum.handled > 0 { Step::Worked } else { Step::Idle })
    }

    /// Until something may have come to be due.
    async fn look_again(&self) {
        tokio::select! {
            () = self.hint.notified() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }

    /// One connection: as long as there is something due and it holds. It begins with so many at most.
    async fn work(self: Arc<Self>, first: usize, stop: CancellationToken) -> Result<Tally, StoreError> {
        let (mut closings, mut held) = (Vec::new(), Vec::new());
        let tally = self.rounds(first, &stop, &mut closings, &mut held).await;
        self.let_go(&mut held);
        // Whatever broke it off, what the server has said is kept.
        self.settle(&mut closings).await?;
        tally
    }

    /// Round after round: what was sent is closed as the next is claimed, and what is left in `closings` at the end.
    async fn rounds(
        &self,
        first: usize,
        stop: &CancellationToken,
        closings: &mut Vec<Closing>,
        held: &mut Vec<Lane>,
    ) -> Result<Tally, StoreError> {
        let mut tally = Tally::default();
        let mut carrier: Option<Carrier> = None;
        let mut most = first;
        for _ in 0..ROUNDS_MAX {
            if stop.is_cancelled() || self.count_next()? == 0 {
                break;
            }
            // Connected before anything is claimed: a server that cannot be reached leaves no message in doubt.
            let connected = match carrier.take() {
                Some(carrier) => Ok(carrier),
                None => {
                    self.settle(closings).await?;
                    // Nothing is on the wire yet, so nobody has to wait for a server that does not answer.
                    tokio::select! {
                        () = stop.cancelled() => break,
                        connected = self.connect() => connected,
                    }
                }
            };
            let mut own = match connected {
                Ok(connected) => connected,
                Err(why) => {
                    tally.unreachable = Some(why);
                    break;
                }
            };
            let room = own.room(&locked(&self.shaping));
            let due = self.next_due(room.min(std::mem::replace(&mut most, IN_HAND_MAX)))?;
            tally.handled += due.len();
            self.let_go(held);
            let (in_hand, mut messages): (Vec<_>, Vec<_>) = self.claim(due, closings, held).await?.into_iter().unzip();
            if messages.is_empty() {
                carrier = Some(own);
                continue;
            }
            let lanes: Vec<Lane> = messages.iter().map(|message| Arc::clone(&message.lane)).collect();
            let is_spent = {
                let shaping = locked(&self.shaping);
                own.count(&lanes, |lane| shaping.per_connection(lane))
            };
            let counted: Vec<Share> = messages.iter_mut().map(|message| std::mem::take(&mut message.share)).collect();
            let outcomes = own.send(messages).await;
            let outcomes: Vec<_> = lanes.iter().zip(outcomes).map(|(lane, outcome)| self.hear(lane, outcome)).collect();
            tally.accepted += outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted { .. })).count();
            let why = outcomes.iter().find(|outcome| !matches!(outcome, Outcome::Accepted { .. })).map(Outcome::told);
            let closed = in_hand.into_iter().zip(outcomes).zip(counted);
            closings.extend(closed.map(|((in_hand, outcome), share)| Closing::new(in_hand, outcome, share)));
            self.learn(&own);
            if own.is_usable() && (is_spent || own.is_spent()) {
                self.settle(closings).await?;
                own.quit().await;
            } else if own.is_usable() {
                carrier = Some(own);
            } else if !own.is_worn() {
                // One that breaks at its first message would break at the next: the server gets time, and the queue
                // is not spent on it.
                tally.unreachable = Some(why.unwrap_or_default());
                break;
            }
        }
        if let Some(Carrier::Line(line)) = carrier {
            locked(&self.idle).push((*line, Instant::now()));
        }
        Ok(tally)
    }

    /// Puts the messages on the wire, in the commit that closes those before. What is not to be sent is left out.
    async fn claim(
        &self,
        due: Vec<(Time, LedgerKey)>,
        closings: &mut Vec<Closing>,
        held: &mut Vec<Lane>,
    ) -> Result<Vec<(InHand, Ready)>, StoreError> {
        // A next message may go to the very subscriber whose mailbox turned out not to exist.
        if closings.iter().any(Closing::changes_subscriber) {
            self.settle(closings).await?;
        }
        let mut drawn = plan::Drawn::default();
        // Not by `Store::decide`: signing is waited for, and before another round what is closed gets a commit of its own.
        for _ in 0..CONFLICTS_MAX {
            let mut batch = self.closing_batch(closings)?;
            let mut failed = 0;
            let mut ready = Vec::with_capacity(due.len());
            let mut articles: Vec<Arc<Known>> = Vec::new();
            let mut waiting = Vec::new();
            for (number, message) in due.iter().enumerate() {
                // A server that has answered somebody else is not kept waiting for all of them.
                if number % PLANNED_AT_ONCE == 0 {
                    tokio::task::yield_now().await;
                }
                match self.plan(message, held, &mut articles, &mut drawn)? {
                    Plan::Skip(next) => batch.extend(next),
                    Plan::Close(next, closed) => {
                        batch.extend(next);
                        failed += u64::from(closed == plan::Closed::Failed);
                    }
                    Plan::PutOff(next) => {
                        batch.extend(next);
                        metrics::counter!(telemetry::MAIL_PUT_OFF_TOTAL).increment(1);
                    }
                    Plan::Wait => waiting.push(message.clone()),
                    Plan::Send(next, message) => {
                        batch.extend(next);
                        ready.push(*message);
                    }
                }
            }
            articles.iter().for_each(|known| self.store.require_article(&mut batch, &known.article));
            let paces = self.write_paces(&mut batch);
            if let Some(mut ready) = self.signed_and_committed(ready, batch.patiently()).await? {
                self.lead.shrink(due.len() - waiting.len());
                self.paces_are_stored(&paces);
                self.closed(closings);
                let prints = ready.iter().filter_map(|(_, message)| message.prints.as_ref());
                prints.for_each(|prints| self.prints_are_stored(prints));
                metrics::counter!(telemetry::MAIL_FAILED_TOTAL).increment(failed);
                self.release_others(&due, &ready);
                locked(&self.queue).waiting.extend(waiting);
                let late = ready.extract_if(.., |(in_hand, message)| {
                    !self.is_up_to_date(&in_hand.row.record, message.prints.as_deref())
                });
                closings
                    .extend(late.map(|(in_hand, message)| Closing::new(in_hand, Outcome::overtaken(), message.share)));
                return Ok(ready);
            }
            self.settle(closings).await?;
        }
        due.iter().for_each(|(_, key)| self.release(key));
        Ok(Vec::new())
    }
}
