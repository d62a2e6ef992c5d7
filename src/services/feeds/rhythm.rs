//! How often a feed really changes, told by the dates of its items; and what caches and readers are told of it.

use crate::domain::Time;

/// Gaps between articles that are looked at: the last few days of a busy feed, a season of a quiet one.
const GAPS: usize = 12;
/// A cache may keep a feed for a tenth of its usual gap: one poll in ten then meets a change that it does not show.
const SHARE: i64 = 10;
/// Steps, in minutes, so that a feed does not tell another rhythm after each article.
const TTL_STEPS_MIN: [u32; 7] = [15, 30, 60, 180, 360, 720, 1_440];
/// Between these, in seconds, a cache keeps a feed; aggregators do not poll more often than every 15 minutes, and
/// people who wait for news do not wait longer than a quarter of an hour.
const FRESH_S: std::ops::RangeInclusive<i64> = 30..=900;

/// What a feed's dates tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Seconds for which a cache may serve it without asking (`max-age`, RFC 9111 §5.2.2.1).
    pub fresh_s: u32,
    /// Minutes between two polls that make sense: RSS `ttl`, and `sy:`.
    pub ttl_min: u32,
}

impl Rhythm {
    /// Of a part of a feed's history that is closed: only a retraction or a late edit changes it.
    pub const CLOSED: Rhythm = Rhythm { fresh_s: 86_400, ttl_min: 1_440 };

    /// Of a feed whose items bear these dates, newest first. One of fewer than two articles tells nothing: it is asked
    /// about as one that changes once a day.
    pub fn of(dates: &[Time]) -> Self {
        let mut gaps_s: Vec<i64> =
            dates.windows(2).take(GAPS).map(|pair| (pair[0] - pair[1]).num_seconds().max(0)).collect();
        gaps_s.sort_unstable();
        let usual_s = gaps_s.get(gaps_s.len() / 2).copied().unwrap_or(24 * 3_600);
        let fresh_s = (usual_s / SHARE).clamp(*FRESH_S.start(), *FRESH_S.end());
        let usual_min = usual_s / 60;
        let step = TTL_STEPS_MIN.into_iter().rev().find(|step| i64::from(*step) <= usual_min);
        Rhythm { fresh_s: fresh_s.try_into().unwrap_or(30), ttl_min: step.unwrap_or(TTL_STEPS_MIN[0]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn a_busy_feed_is_asked_about_often_and_a_quiet_one_seldom() {
        let dates = |gap_min: i64| -> Vec<Time> {
            (0..20).map(|n| Time::UNIX_EPOCH + Duration::days(9_000) - Duration::minutes(n * gap_min)).collect()
        };
        let rhythm = |gap_min| Rhythm::of(&dates(gap_min));
        assert_eq!(rhythm(1), Rhythm { fresh_s: 30, ttl_min: 15 });
        assert_eq!(rhythm(40), Rhythm { fresh_s: 240, ttl_min: 30 });
        assert_eq!(rhythm(60 * 24 * 7), Rhythm { fresh_s: 900, ttl_min: 1_440 });
        assert_eq!(Rhythm::of(&[]), Rhythm { fresh_s: 900, ttl_min: 1_440 });
        assert_eq!(Rhythm::of(&[Time::UNIX_EPOCH; 9]), Rhythm { fresh_s: 30, ttl_min: 15 }, "an import in one go");
    }
}
