//! `tidings mail preview` and `mail test`: asked of the running daemon, whose templates are the ones in force.

use super::Outcome;
use super::client::Request;
use super::failure::Failure;
use super::operate::ask;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

#[derive(Deserialize)]
struct Shown {
    address: String,
    until: String,
}

#[derive(Deserialize)]
struct Sent {
    kind: String,
    language: String,
}

/// `tidings mail preview`.
pub(super) async fn preview(
    config_file: &Path,
    article: Option<&str>,
    out: &mut dyn Write,
) -> Result<Outcome, Failure> {
    let body = json!({ "article": article });
    let request =
        Request { body: Some(body.to_string()), ..Request::new(Method::POST, &["control", "mail", "preview"]) };
    let Shown { address, until } = ask(config_file, request).await?.ok_or_else(not_running)?;
    writeln!(out, "{address}\nworks until {until}")?;
    Ok(Outcome::Done)
}

/// `tidings mail test`; `wish` is what the daemon is asked for.
pub(super) async fn test(config_file: &Path, to: &str, wish: &Value, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let request = Request { body: Some(wish.to_string()), ..Request::new(Method::POST, &["control", "mail", "test"]) };
    let Sent { kind, language } = ask(config_file, request).await?.ok_or_else(not_running)?;
    writeln!(out, "a {kind} in {language} is on its way to {to}")?;
    Ok(Outcome::Done)
}

fn not_running() -> anyhow::Error {
    anyhow::anyhow!("no daemon is running; it is the one that makes mails")
}
