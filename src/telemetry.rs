//! The log's set-up, and the one table of metrics: names, units, meanings.
//! Whoever counts something uses a name from here; whoever reads `/metrics` finds the meaning beside it.

use crate::config::{Log, LogFormat};
use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

/// Requests answered, by `route` (its pattern, never a path) and `status`.
pub const HTTP_REQUESTS_TOTAL: &str = "tidings_http_requests_total";
/// Connections open now.
pub const HTTP_CONNECTIONS: &str = "tidings_http_connections";
/// Articles that became public.
pub const ARTICLES_PUBLISHED_TOTAL: &str = "tidings_articles_published_total";
/// Last place of the change log.
pub const CHANGES_HEAD: &str = "tidings_changes_head";
/// Entries that a `reader` is behind the head.
pub const READER_LAG: &str = "tidings_reader_lag";
/// Mails that a server took.
pub const MAIL_SENT_TOTAL: &str = "tidings_mail_sent_total";
/// Tries that are to be repeated.
pub const MAIL_DEFERRED_TOTAL: &str = "tidings_mail_deferred_total";
/// Mails that were given a later turn, since their destination takes only so many.
pub const MAIL_PUT_OFF_TOTAL: &str = "tidings_mail_put_off_total";
/// Mails given up.
pub const MAIL_FAILED_TOTAL: &str = "tidings_mail_failed_total";
/// What became of mails at mail servers, by `result` and by `provider`: a configured group of domains, or `other`.
pub const MAIL_RESULTS_TOTAL: &str = "tidings_mail_results_total";
/// How long the oldest mail of a `class` has been due that is not finished by its deadline; 0 where none is.
pub const MAIL_OVERDUE_SECONDS: &str = "tidings_mail_overdue_seconds";
/// How long the canary has been waited for beyond its deadline; 0 where it is not.
pub const MAIL_CANARY_MISSING_SECONDS: &str = "tidings_mail_canary_missing_seconds";
/// Mails waiting.
pub const MAIL_PENDING: &str = "tidings_mail_pending";
/// Mails of which nobody knows whether the server took them.
pub const MAIL_DOUBTFUL: &str = "tidings_mail_doubtful";
/// Mails that came to the return address, by what they were.
pub const MAIL_RETURNED_TOTAL: &str = "tidings_mail_returned_total";
/// One while the store is in quarantine.
pub const QUARANTINED: &str = "tidings_quarantined";
/// Feeds built anew.
pub const FEED_BUILDS_TOTAL: &str = "tidings_feed_builds_total";
/// Memory that prepared feeds hold.
pub const FEEDS_BYTES: &str = "tidings_feeds_bytes";
/// Built feeds that failed their check.
pub const FEED_REFUSED_TOTAL: &str = "tidings_feed_refused_total";
/// What a hub said when it was told that a feed has changed.
pub const HUB_PINGS_TOTAL: &str = "tidings_hub_pings_total";
/// Article files that are left out now.
pub const SOURCE_FAULTS: &str = "tidings_source_faults";
/// Time from asking for a commit to its being durable.
pub const STORE_COMMIT_SECONDS: &str = "tidings_store_commit_seconds";
/// Batches that shared one durable write.
pub const STORE_GROUP_SIZE: &str = "tidings_store_group_size";

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// Only grows, until the daemon ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size, with these upper bounds.
    Histogram(&'static [f64]),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As it is scraped.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// What one of it is.
    pub unit: Unit,
    /// Names of its labels; each has few values, by construction.
    pub labels: &'static [&'static str],
    /// In a sentence.
    pub meaning: &'static str,
}

/// From a fast disk's barrier to one that is in trouble.
const COMMIT_BOUNDS_S: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Powers of two up to the largest group.
const GROUP_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// All metrics there are.
pub const METRICS: &[Metric] = &[
    counter(HTTP_REQUESTS_TOTAL, &["route", "status"], "Requests answered."),
    gauge(HTTP_CONNECTIONS, &[], "Connections open now."),
    counter(ARTICLES_PUBLISHED_TOTAL, &[], "Articles that became public for the first time."),
    gauge(CHANGES_HEAD, &[], "Last place of the change log."),
    gauge(READER_LAG, &["reader"], "Entries of the change log that a reader has not applied yet."),
    counter(MAIL_SENT_TOTAL, &[], "Mails that a mail server took, or that were written to the outbox."),
    counter(MAIL_DEFERRED_TOTAL, &[], "Tries at a mail that will be repeated."),
    counter(MAIL_PUT_OFF_TOTAL, &[], "Mails given a later turn, since their destination takes only so many."),
    counter(MAIL_FAILED_TOTAL, &[], "Mails given up."),
    counter(MAIL_RESULTS_TOTAL, &["result", "provider"], "What became of mails at mail servers, by provider."),
    Metric {
        name: MAIL_OVERDUE_SECONDS,
        kind: MetricKind::Gauge,
        unit: Unit::Seconds,
        labels: &["class"],
        meaning: "How long the oldest mail of a class has been due that is not finished by its deadline; else 0.",
    },
    Metric {
        name: MAIL_CANARY_MISSING_SECONDS,
        kind: MetricKind::Gauge,
        unit: Unit::Seconds,
        labels: &[],
        meaning: "How long the mail that proves delivery has not come back, once it is late; else 0.",
    },
    gauge(MAIL_PENDING, &[], "Mails waiting to be sent."),
    gauge(MAIL_DOUBTFUL, &[], "Mails on the wire at a crash, waiting for a decision."),
    counter(MAIL_RETURNED_TOTAL, &["kind"], "Mails that came to the return address."),
    gauge(QUARANTINED, &[], "1 while the store was restored or copied and no mail leaves it."),
    counter(FEED_BUILDS_TOTAL, &[], "Feeds built anew."),
    gauge(FEEDS_BYTES, &[], "Memory that prepared feeds hold, in bytes."),
    counter(FEED_REFUSED_TOTAL, &[], "Parts of feeds that did not pass their checks, at each build."),
    counter(HUB_PINGS_TOTAL, &["result"], "Changes of feeds that a hub was told of: taken, refused for now, given up."),
    gauge(SOURCE_FAULTS, &[], "Article files that are left out now: they hold a mistake, or could not be taken."),
    Metric {
        name: STORE_COMMIT_SECONDS,
        kind: MetricKind::Histogram(COMMIT_BOUNDS_S),
        unit: Unit::Seconds,
        labels: &[],
        meaning: "Time from asking for a commit to its being durable.",
    },
    Metric {
        name: STORE_GROUP_SIZE,
        kind: MetricKind::Histogram(GROUP_BOUNDS),
        unit: Unit::Count,
        labels: &[],
        meaning: "Batches that shared one durable write.",
    },
];

const fn counter(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, unit: Unit::Count, labels, meaning }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, unit: Unit::Count, labels, meaning }
}

/// Starts the log of this process, on standard error; `level` holds for this program, and the crates below it
/// are heard from `warn` up.
///
/// Errors: a log was started before.
pub fn start_log(log: &Log) -> Result<(), TryInitError> {
    let filter = EnvFilter::new(match log.level {
        tracing::Level::ERROR => "error".to_owned(),
        level => format!("warn,tidings={level}"),
    });
    let json = match log.format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    use tracing_subscriber::util::SubscriberInitExt;
    if json {
        lines.json().flatten_event(true).finish().try_init()
    } else {
        lines.with_ansi(stderr().is_terminal()).finish().try_init()
    }
}

/// Reads what this process has counted. One for all: the counters are the process's.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts counting on the first call; later calls hand out the same.
    ///
    /// Errors: somebody else counts in this process already.
    pub fn start() -> Result<Self, MetricsError> {
        static STARTED: OnceLock<Result<Metrics, MetricsError>> = OnceLock::new();
        STARTED
            .get_or_init(|| {
                let recorder = recorder()?;
                let handle = recorder.handle();
                metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Taken)?;
                describe();
                Ok(Metrics(handle))
            })
            .clone()
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Empties the histograms' inboxes into their buckets. Without it they grow while nobody scrapes:
    /// to be called every few seconds.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Why nothing is counted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetricsError {
    /// A recorder of another making is there.
    #[error("another recorder of metrics was set before")]
    Taken,
    /// A histogram without bounds.
    #[error("the table of metrics: {0}")]
    Table(String),
}

fn recorder() -> Result<PrometheusRecorder, MetricsError> {
    let table = |e: BuildError| MetricsError::Table(e.to_string());
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let MetricKind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), bounds).map_err(table)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Tells the recorder what each metric means, and sets those without labels to 0: a metric that only appears
/// with its first event cannot be watched for it.
fn describe() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => {
                metrics::describe_counter!(metric.name, metric.unit, metric.meaning);
                if metric.labels.is_empty() {
                    metrics::counter!(metric.name).increment(0);
                }
            }
            MetricKind::Gauge => {
                metrics::describe_gauge!(metric.name, metric.unit, metric.meaning);
                if metric.labels.is_empty() {
                    metrics::gauge!(metric.name).set(0.0);
                }
            }
            MetricKind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.unit, metric.meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_described_and_watchable_before_its_first_event() {
        let recorder = recorder().expect("the table is right");
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::counter!(HTTP_REQUESTS_TOTAL, "route" => "/{category}/rss.xml", "status" => "200").increment(2);
            metrics::gauge!(READER_LAG, "reader" => "feeds").set(3.0);
            metrics::counter!(MAIL_RETURNED_TOTAL, "kind" => "soft").increment(1);
            metrics::gauge!(MAIL_OVERDUE_SECONDS, "class" => "digest").set(7_201.0);
            metrics::counter!(MAIL_RESULTS_TOTAL, "result" => "accepted", "provider" => "gmail").increment(1);
            metrics::counter!(HUB_PINGS_TOTAL, "result" => "taken").increment(1);
            metrics::histogram!(STORE_COMMIT_SECONDS).record(0.002);
            metrics::histogram!(STORE_GROUP_SIZE).record(64.0);
        });
        let metrics = Metrics(recorder.handle());
        metrics.upkeep();
        let text = metrics.render();
        for metric in METRICS {
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.meaning)), "{}: {text}", metric.name);
        }
        for line in [
            "tidings_http_requests_total{route=\"/{category}/rss.xml\",status=\"200\"} 2",
            "tidings_reader_lag{reader=\"feeds\"} 3",
            "tidings_mail_failed_total 0",
            "tidings_mail_doubtful 0",
            "tidings_store_commit_seconds_bucket{le=\"0.001\"} 0",
            "tidings_store_commit_seconds_bucket{le=\"0.0025\"} 1",
            "tidings_store_group_size_bucket{le=\"64\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
        }
    }

    #[test]
    fn a_metric_is_named_once_and_by_the_rules() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in METRICS {
            assert!(metric.name.starts_with("tidings_") && seen.insert(metric.name), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        }
    }

    #[test]
    fn counting_starts_once_however_often_it_is_asked_for() {
        let (first, second) = (Metrics::start().expect("first"), Metrics::start().expect("second"));
        metrics::counter!(FEED_BUILDS_TOTAL).increment(1);
        for metrics in [first, second] {
            assert!(metrics.render().lines().any(|line| line == "tidings_feed_builds_total 1"));
        }
    }
}
