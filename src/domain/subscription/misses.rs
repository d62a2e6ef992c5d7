//! How often a mailbox took nothing of late, though there is one: a score that decays.

use crate::domain::Time;
use chrono::Duration;
use serde::{Deserialize, Serialize};

/// After this long half of it is forgotten: a mailbox that was full in a holiday starts anew a season later.
const HALF_LIFE_DAYS: f64 = 30.0;
/// One counts so much; whole numbers are stored.
const MISS: u32 = 1_000;
/// With as many misses on days in a row nobody reads there any more; four, less what decays in a week.
const MISSES_MAX: u32 = 3_500;

/// The score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misses {
    /// In thousandths of a miss, as of `at`.
    points: u32,
    /// The last one.
    at: Time,
}

impl Misses {
    /// `old` and one more at `at`. A day counts once: what is sent to a full mailbox in one day tells no more than the
    /// first, and a report that is read twice changes nothing.
    pub fn and(old: Option<&Misses>, at: Time) -> Self {
        let Some(old) = old else { return Misses { points: MISS, at } };
        let days = (at - old.at).num_seconds() as f64 / 86_400.0;
        if at - old.at < Duration::days(1) {
            return old.clone();
        }
        let left = f64::from(old.points) * 0.5_f64.powf(days / HALF_LIFE_DAYS);
        // Below the limit and one more, so far from where it would not fit.
        Misses { points: left.round() as u32 + MISS, at }
    }

    /// Is it enough to write there no more?
    pub fn are_too_many(&self) -> bool {
        self.points >= MISSES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(days: &[i64]) -> bool {
        let mut misses = None;
        for day in days {
            misses = Some(Misses::and(misses.as_ref(), Time::UNIX_EPOCH + Duration::days(*day)));
        }
        misses.is_some_and(|misses| misses.are_too_many())
    }

    #[test]
    fn four_days_in_a_row_are_too_many_and_what_is_long_ago_is_forgotten() {
        for (days, expected) in [
            (&[][..], false),
            (&[0, 1, 2], false),
            (&[0, 1, 2, 3], true),
            (&[0, 0, 0, 0, 0, 0], false),
            (&[0, 30, 60, 90, 120, 150, 180], false),
            (&[0, 7, 14, 21, 28], true),
            (&[0, 1, 2, 200], false),
        ] {
            assert_eq!(after(days), expected, "{days:?}");
        }
    }
}
