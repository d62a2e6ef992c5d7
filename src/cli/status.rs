//! `tidings mail status`: whether mail is late, and whether it arrives.

use super::Outcome;
use super::client::Request;
use super::failure::Failure;
use super::operate::ask;
use crate::domain::clean_line;
use reqwest::Method;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// Asked of the running daemon: without one, nobody watches. Ends with 1 while there is an alarm.
pub(super) async fn run(config_file: &Path, is_json: bool, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let seen: Option<Value> = ask(config_file, Request::new(Method::GET, &["api", "v1", "mail", "status"])).await?;
    let seen = seen.ok_or_else(|| anyhow::anyhow!("no daemon is running; nobody watches the mail"))?;
    if is_json {
        writeln!(out, "{seen:#}")?;
    } else {
        page(out, &seen)?;
    }
    Ok(if seen["ok"] == true { Outcome::Done } else { Outcome::Bad })
}

fn page(out: &mut dyn Write, seen: &Value) -> std::io::Result<()> {
    let text = |value: &Value| clean_line(value.as_str().unwrap_or("never"));
    if seen["quarantined"] == true {
        writeln!(out, "held: the store is in quarantine, no mail leaves it")?;
    }
    if seen["looked_at"].is_null() {
        writeln!(out, "the daemon has just been started, and has not looked yet")?;
    }
    let late = seen["late"].as_object();
    if late.is_none_or(|late| late.is_empty()) {
        writeln!(out, "no mail is late")?;
    }
    for (class, late) in late.into_iter().flatten() {
        let (messages, oldest) = (&late["messages"], text(&late["oldest"]));
        writeln!(out, "late: {messages} of class {}, the oldest due since {oldest}", clean_line(class))?;
    }
    let canary = &seen["canary"];
    if canary.is_null() {
        return writeln!(out, "no canary (`mail.canary.address`): nobody knows whether mail arrives");
    }
    match canary["missing_since"].as_str() {
        Some(since) => {
            writeln!(out, "canary: not back since {}; last came {}", clean_line(since), text(&canary["proven_at"]))
        }
        None => {
            writeln!(out, "canary: last sent {}, last came {}", text(&canary["sent_at"]), text(&canary["proven_at"]))
        }
    }
}
