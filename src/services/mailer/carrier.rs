//! The way out: connections that are opened, reused and closed, and a server that is left in peace when it cannot
//! be reached.

use super::line::{Lies, Line};
use super::outcome::Outcome;
use super::plan::Ready;
use super::shaping::{Lane, Shaping};
use super::{Mailer, locked};
use crate::domain::Time;
use crate::services::outbox;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Messages that one connection has open in the ledger at once, where its server takes them without a wait between.
/// Their commits and their journeys are shared; more gain little, and each is one more that may be in doubt.
pub(super) const IN_HAND_MAX: usize = 16;
/// Offers that a server did not keep are not believed for this long; then it may have been repaired.
const DISTRUST: chrono::Duration = chrono::Duration::hours(1);

/// What carries messages.
pub(super) enum Carrier {
    Line(Box<Line>),
    Outbox { folder: PathBuf, is_broken: bool },
}

impl Carrier {
    pub(super) fn is_usable(&self) -> bool {
        match self {
            Carrier::Line(line) => line.is_usable(),
            Carrier::Outbox { is_broken, .. } => !is_broken,
        }
    }

    /// Has it carried as much as one connection should?
    pub(super) fn is_spent(&self) -> bool {
        match self {
            Carrier::Line(line) => line.left() == 0,
            Carrier::Outbox { .. } => false,
        }
    }

    pub(super) async fn quit(self) {
        match self {
            Carrier::Line(line) => line.quit().await,
            Carrier::Outbox { .. } => {}
        }
    }

    pub(super) fn is_worn(&self) -> bool {
        match self {
            Carrier::Line(line) => line.is_worn(),
            Carrier::Outbox { .. } => false,
        }
    }

    /// Counts what it carries to each destination. Is one of them at its limit now?
    pub(super) fn count(&mut self, lanes: &[Lane], limit: impl Fn(&Lane) -> usize) -> bool {
        match self {
            Carrier::Line(line) => {
                let mut is_spent = false;
                for lane in lanes {
                    let limit = limit(lane);
                    if limit < usize::MAX {
                        is_spent |= line.count(lane) >= limit;
                    }
                }
                is_spent
            }
            Carrier::Outbox { .. } => false,
        }
    }

    /// Messages that it may have in hand at once, of which all may be in doubt after a crash: not more than it may carry
    /// to any destination, whichever those turn out to go to.
    pub(super) fn room(&self, shaping: &Shaping) -> usize {
        match self {
            Carrier::Line(line) if line.is_pipelined() => {
                let fewest = shaping.fewest_per_connection().max(1);
                let left = line.fewest_left(|lane| shaping.per_connection(lane)).max(1);
                IN_HAND_MAX.min(line.left()).min(fewest).min(left)
            }
            // A server that makes us wait for each reply gains little from more.
            Carrier::Line(_) => 1,
            // Writing a file twice makes one file: nothing is in doubt.
            Carrier::Outbox { .. } => IN_HAND_MAX,
        }
    }

    /// Hands messages over in their order; an outcome for each.
    pub(super) async fn send(&mut self, messages: Vec<Ready>) -> Vec<Outcome> {
        match self {
            Carrier::Line(line) => line.send(&messages).await,
            Carrier::Outbox { folder, is_broken } => {
                let mut outcomes = Vec::with_capacity(messages.len());
                for ready in messages {
                    let written = outbox::write(folder.clone(), ready.id, ready.data.into_bytes()).await;
                    *is_broken |= written.is_err();
                    outcomes.push(written.map_or_else(Outcome::not_written, |reply| Outcome::Accepted { reply }));
                }
                outcomes
            }
        }
    }
}

/// What is known of the server as a whole.
#[derive(Default)]
pub(super) struct Server {
    /// Steps in a row that reached it in vain.
    pub(super) failures: u32,
    /// It is left in peace until then.
    pub(super) not_before: Option<Time>,
}

/// Offers that the server did not keep, and how long that is remembered.
#[derive(Default)]
pub(super) struct Distrust {
    lies: Lies,
    until: Option<Time>,
}

impl Mailer {
    /// An idle connection, or a new one. Errors: a sentence for the log.
    pub(super) async fn connect(&self) -> Result<Carrier, String> {
        let smtp = match &self.settings.smtp {
            None => return Ok(Carrier::Outbox { folder: self.settings.outbox.clone(), is_broken: false }),
            Some(smtp) => smtp,
        };
        if let Some((line, _)) = locked(&self.idle).pop() {
            return Ok(Carrier::Line(Box::new(line)));
        }
        let hello = self.newsroom.load().site.base_url.host_str().unwrap_or("localhost").to_owned();
        let lies = {
            let now = self.clock.now();
            let mut distrust = locked(&self.distrust);
            if distrust.until.is_some_and(|until| now >= until) {
                *distrust = Distrust::default();
            }
            distrust.lies
        };
        let line = Line::open(smtp, self.tls.as_ref(), &hello, lies).await?;
        Ok(Carrier::Line(Box::new(line)))
    }

    /// Remembers what the server promised on `carrier` and did not keep.
    pub(super) fn learn(&self, carrier: &Carrier) {
        let Carrier::Line(line) = carrier else { return };
        if line.lies() == Lies::default() {
            return;
        }
        let mut distrust = locked(&self.distrust);
        distrust.lies = distrust.lies.with(line.lies());
        distrust.until = Some(self.clock.now() + DISTRUST);
        tracing::warn!(lies = ?distrust.lies, "the mail server does not keep what it offers; mail does without for an hour");
    }

    /// The server answers: tells so if it did not before.
    pub(super) fn reachable(&self) {
        let failures = std::mem::take(&mut *locked(&self.server)).failures;
        if failures > 0 {
            tracing::info!(failures, "the mail server can be reached again");
        }
    }

    /// The server is left in peace for a while, longer each time; told once.
    pub(super) fn unreachable(&self, why: &str) {
        const FIRST_WAIT_S: i64 = 5;
        const WAIT_S_MAX: i64 = 300;
        let mut server = locked(&self.server);
        let wait_s = FIRST_WAIT_S.saturating_mul(1 << server.failures.min(20)).min(WAIT_S_MAX);
        server.not_before = Some(self.clock.now() + chrono::Duration::seconds(wait_s));
        server.failures = server.failures.saturating_add(1);
        if server.failures == 1 {
            tracing::warn!("mail waits, its server cannot be used: {why}");
        }
    }

    /// Closes the connections that had no work for `idle`.
    pub(super) async fn hang_up(&self, idle: Duration) {
        let now = Instant::now();
        let over: Vec<_> = locked(&self.idle).extract_if(.., |(_, since)| now.duration_since(*since) >= idle).collect();
        for (line, _) in over {
            line.quit().await;
        }
    }
}
