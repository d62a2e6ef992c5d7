//! Keys, export, import, check and mail: asked of the running daemon, else done on the store itself.

use super::client::{Client, Request};
use super::failure::Failure;
use super::{Keys, Mail, Outcome, Quarantine, direct, dkim, numbers, specimen, status};
use crate::config;
use anyhow::Context;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A key as a list shows it. The key itself is only ever in [`NewKey`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyRow {
    /// By which it is revoked.
    pub(super) id: String,
    /// Who it is for.
    pub(super) name: String,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub(super) created_at: String,
}

/// A key just made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewKey {
    /// By which it is revoked.
    pub(super) id: String,
    /// Who it is for.
    pub(super) name: String,
    /// The key.
    pub(super) key: String,
}

/// What a check of the store found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// Nothing at all?
    pub(super) ok: bool,
    /// What is wrong.
    #[serde(default)]
    pub(super) findings: Vec<Finding>,
    /// Further findings that are not listed.
    #[serde(default)]
    pub(super) more: u64,
    /// Articles read.
    pub(super) articles: u64,
    /// Entries of the change log read.
    pub(super) changes: u64,
}

/// One thing that is wrong in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finding {
    /// In which table.
    pub(super) table: String,
    /// At which key.
    pub(super) key: String,
    /// In a sentence.
    pub(super) what: String,
}

/// A mail that was on the wire at a crash.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DoubtfulRow {
    /// To whom.
    pub(super) address: String,
    /// About which article; empty for a mail about none.
    #[serde(default)]
    pub(super) article: String,
    /// Since when, RFC 3339.
    #[serde(default)]
    pub(super) since: String,
}

#[derive(Deserialize)]
struct KeyList {
    keys: Vec<KeyRow>,
}

/// Some of them.
#[derive(Deserialize)]
pub(super) struct DoubtfulPage {
    /// The oldest first.
    pub(super) messages: Vec<DoubtfulRow>,
    /// Where the next page goes on; none if this is the last.
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
struct Count {
    messages: u64,
}

/// `tidings keys`.
pub(super) async fn keys(config_file: &Path, action: Keys, out: &mut dyn Write) -> Result<Outcome, Failure> {
    match action {
        Keys::Create { name } => {
            let body = json!({ "name": name });
            let request = Request { body: Some(body.to_string()), ..Request::new(Method::POST, &["control", "keys"]) };
            let key: NewKey = match ask(config_file, request).await? {
                Some(key) => key,
                None => direct::create_key(config_file, &name)?,
            };
            writeln!(
                out,
                "id    {}\nname  {}\nkey   {}\n\nThe key is not stored and not shown again.",
                key.id, key.name, key.key
            )?;
        }
        Keys::List => {
            let keys = match ask(config_file, Request::new(Method::GET, &["control", "keys"])).await? {
                Some(KeyList { keys }) => keys,
                None => direct::list_keys(config_file)?,
            };
            for key in keys {
                writeln!(out, "{}  {:<20}  {}", key.id, key.created_at, key.name)?;
            }
        }
        Keys::Revoke { id } => {
            match ask::<Value>(config_file, Request::new(Method::DELETE, &["control", "keys", &id])).await? {
                Some(_) => {}
                None => direct::revoke_key(config_file, &id)?,
            }
            writeln!(out, "revoked {id}")?;
        }
    }
    Ok(Outcome::Done)
}

/// `tidings check`. A store with findings is [`Outcome::Bad`].
pub(super) async fn check(config_file: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let request = Request { patient: true, ..Request::new(Method::GET, &["control", "check"]) };
    let report: Report = match ask(config_file, request).await? {
        Some(report) => report,
        None => direct::check(config_file)?,
    };
    for Finding { table, key, what } in &report.findings {
        writeln!(out, "{table} {key}: {what}")?;
    }
    let verdict = match (report.ok, report.findings.len(), report.more) {
        (true, ..) => "good".to_owned(),
        (false, listed, 0) => format!("{listed} findings"),
        (false, listed, more) => format!("{listed} findings, and {more} more that are not listed"),
    };
    writeln!(out, "{verdict}; {} articles, {} changes", report.articles, report.changes)?;
    Ok(if report.ok { Outcome::Done } else { Outcome::Bad })
}

/// `tidings flood accept`. The guard counts in the running daemon, so without one there is nothing to accept.
pub(super) async fn accept_flood(config_file: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    #[derive(Deserialize)]
    struct Accepted {
        until: String,
    }
    let request = Request::new(Method::POST, &["control", "flood", "accept"]);
    match ask(config_file, request).await? {
        Some(Accepted { until }) => writeln!(out, "until {until} any number of articles may get another id or date")?,
        None => return Err(anyhow::anyhow!("no daemon is running; there is nothing to accept").into()),
    }
    Ok(Outcome::Done)
}

/// `tidings export`. A file appears under its name only when it is whole and durable.
pub(super) async fn export(config_file: &Path, output: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    if output == Path::new("-") {
        write_export(config_file, out).await?;
        out.flush()?;
        return Ok(Outcome::Done);
    }
    let partial = beside(output, ".partial");
    let shown = || partial.display().to_string();
    // Subscribers' addresses are in it: nobody else is to read it.
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let mut file = opened.with_context(shown)?;
    let written = write_export(config_file, &mut file).await.and_then(|()| Ok(file.sync_all()?));
    if let Err(failure) = written {
        // The failure matters more than a leftover that says by its name that it is one.
        let _ = fs::remove_file(&partial);
        return Err(failure);
    }
    fs::rename(&partial, output).with_context(shown)?;
    writeln!(out, "exported to {}", output.display())?;
    Ok(Outcome::Done)
}

async fn write_export(config_file: &Path, to: &mut dyn Write) -> Result<(), Failure> {
    let request = Request { patient: true, ..Request::new(Method::GET, &["control", "export"]) };
    let mut response = match Client::local(config_file)?.open(request).await {
        Ok(response) => response,
        Err(Failure::NotRunning(_)) => return direct::export(config_file, to),
        Err(failure) => return Err(failure),
    };
    while let Some(piece) = response.chunk().await.context("the export broke off")? {
        to.write_all(&piece)?;
    }
    Ok(())
}

/// `tidings import`: only while no daemon runs, since it would not know of what changes below it.
pub(super) async fn import(config_file: &Path, file: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let socket = config::load_store(config_file)?.control_socket();
    if UnixStream::connect(&socket).is_ok() {
        return Err(anyhow::anyhow!("the daemon is running; stop it first, then import into an empty store").into());
    }
    let mut lines = BufReader::new(File::open(file).with_context(|| file.display().to_string())?);
    let articles = direct::import(config_file, &mut lines)?;
    writeln!(out, "imported {articles} articles")?;
    Ok(Outcome::Done)
}

/// `tidings mail`.
pub(super) async fn mail(config_file: &Path, action: Mail, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let (verb, resend) = match action {
        Mail::Doubtful => return list_doubtful(config_file, out).await,
        Mail::Resend => ("resend", true),
        Mail::Drop => ("drop", false),
        Mail::Status { json } => return status::run(config_file, json, out).await,
        Mail::Numbers(numbers) => return numbers::run(config_file, numbers, out).await,
        Mail::Preview { article } => return specimen::preview(config_file, article.as_deref(), out).await,
        Mail::Test { to, kind, language, article } => {
            let wish = json!({ "to": to, "kind": kind, "language": language, "article": article });
            return specimen::test(config_file, &to, &wish, out).await;
        }
        Mail::Dkim { create, algorithm } => return dkim::run(config_file, create.as_deref(), algorithm, out),
    };
    let path = ["control", "mail", "doubtful", verb];
    let messages = match ask(config_file, Request::new(Method::POST, &path)).await? {
        Some(Count { messages }) => messages,
        None => direct::settle_doubtful(config_file, resend)?,
    };
    writeln!(out, "{messages} {}", if resend { "to be sent again" } else { "closed" })?;
    Ok(Outcome::Done)
}

async fn list_doubtful(config_file: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let mut count = 0;
    let mut cursor: Option<String> = None;
    loop {
        let query = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let path = ["control", "mail", "doubtful"];
        let request = Request { query: query.as_slice(), ..Request::new(Method::GET, &path) };
        let page = match ask(config_file, request).await? {
            Some(page) => page,
            None => direct::doubtful(config_file, cursor.as_deref())?,
        };
        for DoubtfulRow { address, article, since } in &page.messages {
            writeln!(out, "{since:<24}  {article:<36}  {address}")?;
        }
        count += page.messages.len();
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    writeln!(out, "{count} doubtful")?;
    Ok(Outcome::Done)
}

/// A store in quarantine.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeldRow {
    /// Since when, RFC 3339.
    pub(super) since: String,
    /// Messages that wait.
    pub(super) waiting: usize,
    /// Messages that were on the wire.
    pub(super) doubtful: usize,
}

#[derive(Deserialize)]
struct Quarantined {
    held: Option<HeldRow>,
}

#[derive(Deserialize)]
struct Released {
    closed: Option<usize>,
}

/// `tidings quarantine`.
pub(super) async fn quarantine(
    config_file: &Path,
    action: Quarantine,
    out: &mut dyn Write,
) -> Result<Outcome, Failure> {
    match action {
        Quarantine::Show => {
            let held = match ask(config_file, Request::new(Method::GET, &["control", "quarantine"])).await? {
                Some(Quarantined { held }) => held,
                None => direct::quarantine(config_file)?,
            };
            match held {
                None => writeln!(out, "free: mail leaves this store")?,
                Some(HeldRow { since, waiting, doubtful }) => writeln!(
                    out,
                    "in quarantine since {since}: the store was restored or copied\n\
                     {waiting} messages wait, {doubtful} were on the wire\n\
                     `tidings quarantine release --owed send|drop` lets mail leave again"
                )?,
            }
        }
        Quarantine::Release { owed } => {
            let drop = owed == "drop";
            let body = json!({ "drop": drop });
            let path = ["control", "quarantine", "release"];
            let request = Request { body: Some(body.to_string()), patient: true, ..Request::new(Method::POST, &path) };
            let closed = match ask(config_file, request).await? {
                Some(Released { closed }) => closed,
                None => direct::release(config_file, drop)?,
            };
            match closed {
                None => writeln!(out, "it was free already")?,
                Some(closed) => writeln!(out, "released; {closed} messages closed")?,
            }
        }
    }
    Ok(Outcome::Done)
}

/// Asks the running daemon; none if none runs.
pub(super) async fn ask<T: DeserializeOwned>(config_file: &Path, request: Request<'_>) -> Result<Option<T>, Failure> {
    match Client::local(config_file)?.ask(request).await {
        Ok(answer) => {
            let value =
                serde_json::from_value(answer.body).context("the daemon's answer, is it of another version?")?;
            Ok(Some(value))
        }
        Err(Failure::NotRunning(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn beside(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(tail);
    name.into()
}
