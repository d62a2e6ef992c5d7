//! What is counted of requests.

use crate::telemetry::HTTP_REQUESTS_TOTAL;
use axum::http::StatusCode;
use metrics::Counter;

/// Counters that are looked up once, not at each request.
pub struct Counters {
    feed: [Counter; 6],
    other: [Counter; 6],
}

impl Default for Counters {
    fn default() -> Self {
        let counters = |route: &'static str| {
            ["1xx", "2xx", "3xx", "4xx", "5xx", "304"]
                .map(|status| metrics::counter!(HTTP_REQUESTS_TOTAL, "route" => route, "status" => status))
        };
        Counters { feed: counters("feed"), other: counters("other") }
    }
}

impl Counters {
    pub(super) fn feed(&self, status: StatusCode) -> &Counter {
        &self.feed[slot(status)]
    }

    pub(super) fn other(&self, status: StatusCode) -> &Counter {
        &self.other[slot(status)]
    }
}

/// The class of a status; `304` has one of its own, since it tells how well polling works.
fn slot(status: StatusCode) -> usize {
    match status.as_u16() {
        304 => 5,
        100..=199 => 0,
        200..=299 => 1,
        300..=399 => 2,
        400..=499 => 3,
        _ => 4,
    }
}
