//! `tidings feed`: the rule book for any feed, whoever wrote it: a file, standard input, or an address. Needs no daemon and
//! no configuration.

use super::Outcome;
use super::failure::Failure;
use crate::domain::Clock;
use crate::wire::check::{self, Context, Report, Severity};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LINK};
use reqwest::redirect;
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Write, stderr, stdin};
use std::time::Duration;
use url::Url;

/// The cap of Miniflux, a reader that many run: a larger feed is read by few.
const BODY_BYTES_MAX: usize = 15 << 20;
/// More is a loop.
const REDIRECTS_MAX: usize = 10;
/// Readers give up after about so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// As readers ask.
const WANTED: &str =
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5";

/// What is asked about feeds.
#[derive(Debug, Subcommand)]
pub(super) enum Feed {
    /// Examine feeds by the standards and the rules of validators and aggregators
    ///
    /// Exit code 0 without errors and warnings, 1 with, 2 if something could not be read.
    Check(Check),
    /// List the rules
    Rules,
}

/// Which, and how to tell.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Files, addresses of http or https, or `-` for standard input
    #[arg(required = true, value_name = "FILE|URL")]
    targets: Vec<String>,
    /// Where the feed is served, for a file: its link to itself has to say the same
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Leave out what single aggregators ask for beyond the standards
    #[arg(long)]
    without_advice: bool,
    /// For machines
    #[arg(long)]
    json: bool,
}

/// A feed as it was found.
struct Fetched {
    bytes: Vec<u8>,
    url: Option<String>,
    content_type: Option<String>,
    links: Option<Vec<String>>,
}

/// One feed with what was found in it.
#[derive(Serialize)]
struct Examined<'a> {
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(flatten)]
    report: Report,
}

/// Does what was asked. Errors: [`Failure::Unreadable`] if a feed could not be read; the others are examined first.
pub(super) async fn run(action: Feed, out: &mut dyn Write) -> Result<Outcome, Failure> {
    match action {
        Feed::Check(check) => examine(&check, out).await,
        Feed::Rules => {
            for (severity, name, expected, source) in check::rules() {
                writeln!(out, "{severity} {name}: {expected} ({source})")?;
            }
            Ok(Outcome::Done)
        }
    }
}

async fn examine(check: &Check, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let now = Clock::system().now();
    let (mut all, mut unread, mut is_good) = (Vec::new(), None, true);
    for target in &check.targets {
        let fetched = match fetch(target).await {
            Ok(fetched) => fetched,
            Err(why) => {
                if let Some(before) = unread.replace(Failure::Unreadable { target: target.clone(), why }) {
                    writeln!(stderr(), "tidings: {before}")?;
                }
                continue;
            }
        };
        let url = check.url.as_ref().map(Url::to_string).or(fetched.url);
        let (content_type, links) = (fetched.content_type.as_deref(), fetched.links.as_deref());
        let context = Context { url: url.as_deref(), content_type, links, now: Some(now) };
        let mut report = check::examine(&fetched.bytes, &context);
        if check.without_advice {
            report.findings.retain(|finding| finding.severity != Severity::Advice);
        }
        is_good &= report.findings.iter().all(|finding| finding.severity == Severity::Advice);
        let examined = Examined { target, url, report };
        if check.json {
            all.push(examined);
        } else {
            tell(&examined, out)?;
        }
    }
    if check.json {
        serde_json::to_writer_pretty(&mut *out, &all).context("writing JSON")?;
        writeln!(out)?;
    }
    match unread {
        Some(failure) => Err(failure),
        None if is_good => Ok(Outcome::Done),
        None => Ok(Outcome::Bad),
    }
}

/// A line for each finding, and one for all of it.
fn tell(examined: &Examined<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let Examined { target, report, .. } = examined;
    for finding in &report.findings {
        writeln!(out, "{target}:{finding}")?;
    }
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    write!(
        out,
        "{target}: {}: {}, {}, {} of advice",
        report.dialect,
        counted(count(Severity::Error), "error"),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Advice), "piece"),
    )?;
    if report.left_out > 0 {
        write!(out, "; {} more of the same left out", report.left_out)?;
    }
    writeln!(out)?;
    Ok(())
}

/// Errors: why there is nothing to examine.
async fn fetch(target: &str) -> Result<Fetched, String> {
    let local = |bytes| Fetched { bytes, url: None, content_type: None, links: None };
    if target == "-" {
        return limited(stdin().lock()).map(local);
    }
    if target.starts_with("http://") || target.starts_with("https://") {
        return over_http(target).await;
    }
    limited(File::open(target).map_err(|error| error.to_string())?).map(local)
}

fn limited(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> String {
    format!("it has more than {} MB", BODY_BYTES_MAX >> 20)
}

async fn over_http(target: &str) -> Result<Fetched, String> {
    let agent = concat!("tidings/", env!("CARGO_PKG_VERSION"));
    let client = reqwest::Client::builder()
        .user_agent(agent)
        .timeout(PATIENCE)
        .redirect(redirect::Policy::limited(REDIRECTS_MAX))
        .build()
        .map_err(|error| super::client::root(&error))?;
    let request = client.get(target).header(ACCEPT, WANTED).header(ACCEPT_ENCODING, "identity");
    let mut response = request.send().await.map_err(|error| super::client::root(&error))?;
    if !response.status().is_success() {
        return Err(format!("the server answered {}", response.status()));
    }
    let header =
        |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if let Some(coding) = header(CONTENT_ENCODING).filter(|coding| coding != "identity") {
        return Err(format!("it came packed ({coding}), though it was asked for as it is"));
    }
    let content_type = header(CONTENT_TYPE);
    let links = response.headers().get_all(LINK).iter();
    let links = Some(links.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect());
    let url = Some(response.url().to_string());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| super::client::root(&error))? {
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Fetched { bytes, url, content_type, links })
}
