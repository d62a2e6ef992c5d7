//! How fast mail goes to which provider. Who comes too early gets a turn of its own later, written into its ledger row:
//! so a queue of any length costs no memory, and a restart changes nothing.

use super::outcome::Outcome;
use super::{Mailer, locked};
use crate::config::{OTHERS, Shape, WarmUp};
use crate::domain::{Address, Time};
use crate::services::suppression::BELIEVED_MAX;
use crate::store::{Batch, Pace, StoreError};
use chrono::{Duration, DurationRound as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A destination: the name of a group of domains, or a domain that is in none.
pub(super) type Lane = Arc<str>;

/// Turns within this time are taken at once: a minute's worth is not doled out by the millisecond.
const TOGETHER: Duration = Duration::seconds(5);
/// Peace that a provider gets at first; doubled each time it is tried in vain.
const PEACE_FIRST: Duration = Duration::minutes(5);
/// And at most.
const PEACE_MAX: Duration = Duration::hours(4);
/// While one message tries whether a provider takes mail again, the others wait this long.
const PROBE_WAIT: Duration = Duration::minutes(1);
/// Destinations that are remembered at once; those that fare well are forgotten first.
const LANES_MAX: usize = 10_000;
/// A day with more than this ends the plan for a new domain.
const WARM_MESSAGES_MAX: f64 = 10_000_000.0;
/// The plan's row; no domain begins so.
const WARM_UP: &str = "*warm-up";

/// What is configured, and how it fares.
pub(super) struct Shaping {
    others: Arc<Shape>,
    groups: HashMap<String, Arc<Shape>>,
    warm_up: Option<WarmUp>,
    lanes: HashMap<Lane, Fare>,
    /// Those that fare otherwise than is stored.
    changed: HashSet<Lane>,
    /// Messages refused for good in a row, wherever they went.
    rejections: u32,
}

struct Fare {
    shape: Arc<Shape>,
    pace: Pace,
    /// Connections that carry mail to it.
    in_use: usize,
    /// A message is trying whether it takes mail again, until then.
    probing: Option<Time>,
}

/// Whether a message may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// At this time, and then without another turn.
    At(Time),
    /// At this time, since its destination takes nothing before, or is being tried.
    Peace(Time),
    /// As soon as another connection is done with its destination.
    Wait,
}

/// What follows of what a server said.
#[derive(Default)]
struct Heard {
    /// Its destination gets peace for so long, which has just begun.
    peace: Option<Duration>,
    /// So many were refused for good in a row, too many to be believed.
    doubted: Option<u32>,
}

impl Shaping {
    pub(super) fn new(shapes: &[Shape], warm_up: Option<WarmUp>) -> Self {
        let shapes: Vec<Arc<Shape>> = shapes.iter().cloned().map(Arc::new).collect();
        let free = || Shape {
            name: OTHERS.into(),
            domains: Vec::new(),
            connections: usize::MAX,
            messages_per_connection: usize::MAX,
            messages_per_minute: 0,
            refusals_max: u32::MAX,
        };
        let others = shapes.iter().find(|shape| shape.name == OTHERS).cloned().unwrap_or_else(|| Arc::new(free()));
        let named =
            |shape: &Arc<Shape>| shape.domains.iter().map(|domain| (domain.clone(), Arc::clone(shape))).collect();
        let groups = shapes.iter().flat_map(|shape| -> Vec<_> { named(shape) }).collect();
        Shaping { others, groups, warm_up, lanes: HashMap::new(), changed: HashSet::new(), rejections: 0 }
    }

    /// Messages that a connection may carry to `lane`.
    pub(super) fn per_connection(&self, lane: &Lane) -> usize {
        self.lanes.get(lane).map_or(usize::MAX, |fare| fare.shape.messages_per_connection)
    }

    /// The fewest that a connection may carry to any destination that is configured.
    pub(super) fn fewest_per_connection(&self) -> usize {
        let shapes = self.groups.values().chain([&self.others]);
        shapes.map(|shape| shape.messages_per_connection).min().unwrap_or(usize::MAX)
    }

    /// A connection is done with these.
    pub(super) fn release(&mut self, held: &mut Vec<Lane>) {
        for lane in held.drain(..) {
            if let Some(fare) = self.lanes.get_mut(&lane) {
                fare.in_use = fare.in_use.saturating_sub(1);
            }
        }
    }

    /// What a server said of a message to `lane`.
    fn hear(&mut self, lane: &Lane, outcome: &Outcome, now: Time) -> Heard {
        let mut heard = Heard::default();
        let Some(fare) = self.lanes.get_mut(lane) else { return heard };
        let before = fare.pace;
        match outcome {
            Outcome::Accepted { .. } => {
                (fare.pace.refusals, fare.pace.not_before, fare.probing) = (0, None, None);
                (fare.pace.rejections, self.rejections) = (0, 0);
            }
            // Not what the connection or our own server is to blame for.
            Outcome::Deferred { reply, is_blameless: false } if reply.starts_with('4') => {
                // Those that were under way when its peace began tell nothing new.
                if fare.pace.not_before.is_none_or(|until| now >= until) {
                    fare.probing = None;
                    fare.pace.refusals = fare.pace.refusals.saturating_add(1);
                    let times = fare.pace.refusals.checked_sub(fare.shape.refusals_max);
                    heard.peace = times.map(|times| PEACE_MAX.min(PEACE_FIRST * (1 << times.min(10))));
                    fare.pace.not_before = heard.peace.map_or(fare.pace.not_before, |peace| Some(now + peace));
                }
            }
            Outcome::Rejected { .. } => {
                fare.probing = None;
                fare.pace.rejections = fare.pace.rejections.saturating_add(1);
                self.rejections = self.rejections.saturating_add(1);
                heard.doubted = Some(fare.pace.rejections.max(self.rejections)).filter(|count| *count > BELIEVED_MAX);
            }
            Outcome::Deferred { .. } | Outcome::Suspect { .. } | Outcome::Doubtful => fare.probing = None,
        }
        if fare.pace != before {
            self.changed.insert(Arc::clone(lane));
        }
        heard
    }

    /// Messages that the plan lets out on the day of `at`; none if the plan does not hold then.
    fn warm_limit(&self, at: Time) -> Option<u64> {
        let plan = self.warm_up.filter(|plan| at >= plan.from)?;
        let days = i32::try_from((at - plan.from).num_days()).unwrap_or(i32::MAX);
        let limit = plan.messages as f64 * (1.0 + f64::from(plan.growth_percent) / 100.0).powi(days);
        (limit < WARM_MESSAGES_MAX).then_some(limit as u64)
    }

    /// The next turn at `lane`; none where nobody needs one. A message that `is_retry` was tried before, so it has had its
    /// turn of the plan for a new domain.
    fn draw(&mut self, lane: &Lane, is_retry: bool, now: Time) -> Option<Time> {
        let mut turn = None;
        if let Some(fare) = self.lanes.get_mut(lane).filter(|fare| fare.shape.messages_per_minute > 0) {
            let next = fare.pace.next_turn.unwrap_or(now).max(now);
            let per_minute = i32::try_from(fare.shape.messages_per_minute).unwrap_or(i32::MAX);
            fare.pace.next_turn = Some(next + Duration::minutes(1) / per_minute);
            self.changed.insert(Arc::clone(lane));
            turn = Some(next);
        }
        // None is before all times.
        if is_retry { turn } else { turn.max(self.warm_turn(now)) }
    }

    /// A turn of the plan, if it holds: today while there are any, else the first that is free.
    fn warm_turn(&mut self, now: Time) -> Option<Time> {
        let plan = self.warm_up.filter(|plan| now >= plan.from)?;
        let start = |at: Time| plan.from + Duration::days((at - plan.from).num_days());
        let pace = self.lanes.get(WARM_UP).map(|fare| fare.pace).unwrap_or_default();
        let mut day = start(pace.next_turn.unwrap_or(now).max(now));
        let mut taken = if pace.next_turn == Some(day) { pace.day_turns } else { 0 };
        let turn = loop {
            let Some(limit) = self.warm_limit(day) else { break day.max(now) };
            if taken < limit {
                let share = Duration::milliseconds(Duration::days(1).num_milliseconds() / limit.max(1).cast_signed());
                break if day <= now { now } else { day + share * i32::try_from(taken).unwrap_or(i32::MAX) };
            }
            (day, taken) = (day + Duration::days(1), 0);
        };
        if let Some(fare) = self.lanes.get_mut(WARM_UP) {
            (fare.pace.next_turn, fare.pace.day_turns) = (Some(day), taken + 1);
            self.changed.insert(WARM_UP.into());
        }
        Some(turn)
    }
}

impl Mailer {
    /// The destination of mail to `to`. Errors: the store's, when its state is read for the first time.
    pub(super) fn lane(&self, to: &Address) -> Result<Lane, StoreError> {
        let domain = to.domain();
        let mut shaping = locked(&self.shaping);
        let shape = Arc::clone(shaping.groups.get(domain).unwrap_or(&shaping.others));
        let name = if shape.domains.is_empty() { domain } else { shape.name.as_str() };
        if let Some((lane, _)) = shaping.lanes.get_key_value(name) {
            return Ok(Arc::clone(lane));
        }
        if shaping.lanes.len() >= LANES_MAX {
            shaping.lanes.retain(|_, fare| fare.in_use > 0 || fare.pace != Pace::default());
        }
        let lane: Lane = name.into();
        let pace = self.store.pace(name)?;
        if shaping.warm_up.is_some() && !shaping.lanes.contains_key(WARM_UP) {
            let pace = self.store.pace(WARM_UP)?;
            let plan = Fare { shape: Arc::clone(&shaping.others), pace, in_use: 0, probing: None };
            shaping.lanes.insert(WARM_UP.into(), plan);
        }
        shaping.lanes.insert(Arc::clone(&lane), Fare { shape, pace, in_use: 0, probing: None });
        Ok(lane)
    }

    /// The group of domains that `to` is at, if that is one that is configured.
    pub(super) fn provider(&self, to: &Address) -> Option<Lane> {
        let shaping = locked(&self.shaping);
        let shape = shaping.groups.get(to.domain())?;
        shaping.lanes.get_key_value(shape.name.as_str()).map(|(name, _)| Arc::clone(name))
    }

    /// May a message go to `lane` now? `held` are the destinations that the asking connection carries mail to; this
    /// one is added. `drawn`: its turn, if it has one; else it draws one, as it `is_retry` or not. `is_awaited`: somebody
    /// waits for it, so it is counted and not slowed down.
    pub(super) fn turn(
        &self,
        lane: &Lane,
        held: &mut Vec<Lane>,
        (drawn, is_retry): (&mut Option<Time>, bool),
        is_awaited: bool,
        now: Time,
    ) -> Turn {
        let mut shaping = locked(&self.shaping);
        let shaping = &mut *shaping;
        let Some(fare) = shaping.lanes.get_mut(lane) else { return Turn::Now };
        if let Some(until) = fare.pace.not_before {
            if now < until {
                return Turn::Peace(until);
            }
            if fare.probing.is_some_and(|until| now < until) {
                return Turn::Peace(now + PROBE_WAIT);
            }
        }
        let is_held = held.contains(lane);
        if !is_held && fare.in_use >= fare.shape.connections {
            return Turn::Wait;
        }
        *drawn = drawn.or_else(|| shaping.draw(lane, is_retry, now));
        let turn = drawn.unwrap_or(now);
        if turn - now > TOGETHER && !is_awaited {
            return Turn::At(turn.duration_trunc(TOGETHER).unwrap_or(turn) + TOGETHER);
        }
        if let Some(fare) = shaping.lanes.get_mut(lane) {
            if fare.pace.not_before.is_some() {
                fare.probing = Some(now + PROBE_WAIT);
            }
            if !is_held {
                fare.in_use += 1;
                held.push(Arc::clone(lane));
            }
        }
        Turn::Now
    }

    /// Puts into `batch` how the destinations fare that fare otherwise than is stored. Returns which, for
    /// [`Mailer::paces_are_stored`].
    #[must_use]
    pub(super) fn write_paces(&self, batch: &mut Batch) -> Vec<(Lane, Pace)> {
        let now = self.clock.now();
        let shaping = locked(&self.shaping);
        let fares = shaping.changed.iter().filter_map(|lane| Some((lane, shaping.lanes.get(lane)?)));
        let write = |(lane, fare): (&Lane, &Fare)| {
            // Turns of the next seconds are forgotten by a restart, so that a quiet destination leaves no row.
            let is_ahead = **lane == *WARM_UP || fare.pace.next_turn.is_some_and(|turn| turn - now > TOGETHER);
            let next_turn = fare.pace.next_turn.filter(|_| is_ahead);
            self.store.write_pace(batch, lane, &Pace { next_turn, ..fare.pace });
            (Arc::clone(lane), fare.pace)
        };
        fares.map(write).collect()
    }

    /// They are durable, so they need not be written again unless they have changed since.
    pub(super) fn paces_are_stored(&self, written: &[(Lane, Pace)]) {
        let mut shaping = locked(&self.shaping);
        let shaping = &mut *shaping;
        let is_open = |lane: &Lane| {
            let pace = shaping.lanes.get(lane).map(|fare| fare.pace);
            pace.is_some_and(|pace| !written.iter().any(|(known, then)| known == lane && *then == pace))
        };
        shaping.changed.retain(is_open);
    }

    /// What a server said of a message to `lane`, as far as it is believed.
    pub(super) fn hear(&self, lane: &Lane, outcome: Outcome) -> Outcome {
        let Heard { peace, doubted } = locked(&self.shaping).hear(lane, &outcome, self.clock.now());
        if let Some(minutes) = peace.map(|peace| peace.num_minutes()) {
            tracing::warn!(lane = %lane, minutes, "mail to {lane} waits for {minutes} minutes: it is refused for now");
        }
        match doubted {
            Some(count) => {
                if count == BELIEVED_MAX + 1 {
                    tracing::error!(
                        lane = %lane,
                        "{BELIEVED_MAX} mails in a row were refused for good, the last ones to {lane}: the next are kept \
                         and tried again, since a server or a setting seems to be wrong"
                    );
                }
                outcome.suspected()
            }
            None => outcome,
        }
    }
}
