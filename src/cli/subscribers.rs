//! `tidings subscribers`: what is held about an address, for who asks for it, and an end to it.

use super::client::Request;
use super::failure::Failure;
use super::operate::ask;
use super::{Outcome, Subscribers, direct};
use reqwest::Method;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// Asked of the running daemon, else done on the store itself.
pub(super) async fn run(config_file: &Path, action: Subscribers, out: &mut dyn Write) -> Result<Outcome, Failure> {
    match action {
        Subscribers::Show { address } => show(&address, &record(config_file, &address).await?, out)?,
        Subscribers::Export { address } => {
            let record = record(config_file, &address).await?;
            writeln!(out, "{record:#}")?;
        }
        Subscribers::Erase { address } => {
            let path = ["api", "v1", "subscribers", &address];
            let request = Request { patient: true, ..Request::new(Method::DELETE, &path) };
            if ask::<Value>(config_file, request).await?.is_none() {
                direct::erase_subscriber(config_file, &address).await?;
            }
            writeln!(out, "erased, with all that was held about it")?;
        }
        Subscribers::Allow { address } => {
            let path = ["api", "v1", "subscribers", &address, "never"];
            let request = Request { patient: true, ..Request::new(Method::DELETE, &path) };
            if ask::<Value>(config_file, request).await?.is_none() {
                direct::allow_subscriber(config_file, &address).await?;
            }
            writeln!(out, "it can be asked again, by whoever enters it in the form")?;
        }
    }
    Ok(Outcome::Done)
}

/// All that is held about `address`, as the API gives it.
async fn record(config_file: &Path, address: &str) -> Result<Value, Failure> {
    let path = ["api", "v1", "subscribers", address];
    let request = Request { patient: true, ..Request::new(Method::GET, &path) };
    match ask(config_file, request).await? {
        Some(record) => Ok(record),
        None => direct::subscriber(config_file, address).await,
    }
}

fn show(address: &str, record: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let subscriber = &record["subscriber"];
    if subscriber.is_null() {
        writeln!(out, "address   {address}, subscribed to nothing")?;
    } else {
        writeln!(out, "address   {}", text(&subscriber["address"]))?;
        writeln!(out, "zone      {}", text(&subscriber["zone"]))?;
        writeln!(out, "language  {}", text(&subscriber["language"]))?;
        writeln!(out, "since     {}", text(&subscriber["created_at"]))?;
    }
    if let Some(since) = record["never_asked_since"].as_str() {
        writeln!(out, "never to be asked again, since {since}")?;
    }
    for one in record["subscriptions"].as_array().into_iter().flatten() {
        let state = match &one["state"] {
            Value::String(word) => word.clone(),
            other => other.as_object().and_then(|state| state.keys().next()).cloned().unwrap_or_default(),
        };
        let every = one["cadence"]["every"].as_str().unwrap_or("instant");
        let paused = if one["paused_at"].is_null() { "" } else { ", paused" };
        writeln!(out, "{}  {state}{paused}, {every}: {}", text(&one["id"]), text(&one["selection"]))?;
    }
    let messages = record["messages"].as_array().map_or(0, Vec::len);
    writeln!(out, "{messages} mails in the ledger")
}
