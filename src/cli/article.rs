//! `tidings article`: the API's verbs, for a person.

use super::client::{Client, Request};
use super::failure::Failure;
use super::{Article, Outcome};
use crate::domain::{ArticleId, clean_block, hex};
use crate::wire::source::Members;
use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;

const ARTICLES: [&str; 3] = ["api", "v1", "articles"];

/// Does one of them.
pub(super) async fn run(client: &Client, action: Article, out: &mut dyn Write) -> Result<Outcome, Failure> {
    match action {
        Article::Add(file) => {
            let file = file.read()?;
            let article = file.article(None)?;
            let body = text(&article)?;
            let key = repetition(&article, &body);
            let idempotency_key = key.as_deref();
            let request = Request { body: Some(body), idempotency_key, ..Request::new(Method::POST, &ARTICLES) };
            let answer = client.ask(request).await.map_err(|failure| file.told(failure, None))?;
            say(out, &answer.body)?;
        }
        Article::List { category, state, limit, cursor, json } => {
            let limit = limit.map(|limit| limit.to_string());
            let query = [("category", category), ("state", state), ("limit", limit), ("cursor", cursor)];
            let query: Vec<(&str, &str)> =
                query.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let list = client.ask(Request { query: &query, ..Request::new(Method::GET, &ARTICLES) }).await?.body;
            if json { pretty(out, &list)? } else { table(out, &list)? }
        }
        Article::Show { id, json } => {
            let article = client.ask(Request::new(Method::GET, &path(&checked(&id)?))).await?.body;
            if json { pretty(out, &article)? } else { page(out, &article)? }
        }
        Article::Edit { id, file } => {
            let file = file.read()?;
            let id = checked(&id)?;
            let path = path(&id);
            let found = client.ask(Request::new(Method::GET, &path)).await?;
            let article = file.article(Some(&found.body))?;
            // What somebody else changes between these two requests is not overwritten.
            let revision = found.etag.unwrap_or_else(|| format!("\"{}\"", found.body["revision"]));
            let request =
                Request { body: Some(text(&article)?), if_match: Some(&revision), ..Request::new(Method::PUT, &path) };
            let answer = client.ask(request).await.map_err(|failure| file.told(failure, Some(&found.body)))?;
            say(out, &answer.body)?;
        }
        Article::Retract { id } => {
            client.ask(Request::new(Method::DELETE, &path(&checked(&id)?))).await?;
            writeln!(out, "retracted {}", clean_block(&id))?;
        }
        Article::Correct { id, note, revision, dry_run } => {
            let id = checked(&id)?;
            let [api, v1, articles] = ARTICLES;
            let path = [api, v1, articles, id.as_str(), "corrections"];
            let revision = revision.map(|(from, to)| json!({ "from": from, "to": to }));
            let correction = json!({ "note": note, "revision": revision, "dry_run": dry_run });
            // Every subscription is looked at before there is an answer.
            let request =
                Request { body: Some(correction.to_string()), patient: true, ..Request::new(Method::POST, &path) };
            corrected(out, &client.ask(request).await?.body, dry_run)?;
        }
    }
    Ok(Outcome::Done)
}

/// As it is sent.
fn text(article: &Members) -> Result<String, Failure> {
    Ok(serde_json::to_string(article).context("writing an article as JSON")?)
}

/// By what a command that is repeated, since nobody saw its answer, is known to be: the digest of what it sends. None
/// where the article has a name: it is known by that, for longer than a key is.
fn repetition(article: &Members, body: &str) -> Option<String> {
    let is_named = ["id", "external_id"].iter().any(|name| article.get(name).is_some());
    (!is_named).then(|| hex(digest(&SHA256, body.as_bytes()).as_ref()))
}

/// Checked before it becomes a path: an empty id would name the whole list.
fn checked(id: &str) -> Result<ArticleId, Failure> {
    ArticleId::parse("ID", id).map_err(|fault| Failure::Problem(fault.into()))
}

fn path(id: &ArticleId) -> [&str; 4] {
    let [api, v1, articles] = ARTICLES;
    [api, v1, articles, id.as_str()]
}

/// One line on what became of an article: `published 0199… http://…`.
fn say(out: &mut dyn Write, article: &Value) -> std::io::Result<()> {
    let line = [word(&article["state"]), word(&article["id"]), word(&article["links"]["page"])];
    writeln!(out, "{}", line.join(" ").trim_end())
}

/// `2` or `1-3`, for the command line.
pub(super) fn revisions(text: &str) -> Result<(u32, u32), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) => Ok((from, to)),
        (Ok(_) | Err(_), _) => Err(format!("found {text:?}, expected a revision such as 2, or some such as 1-3")),
    }
}

/// One line on whom a correction goes to.
fn corrected(out: &mut dyn Write, answer: &Value, is_dry: bool) -> std::io::Result<()> {
    let (count, revision) = (word(&answer["recipients"]), word(&answer["revision"]));
    let verb = if is_dry { "would get" } else { "get" };
    writeln!(out, "{count} {verb} the correction to revision {revision}")?;
    match answer["correction"]["mails"].as_u64() {
        Some(mails) if mails > 0 => writeln!(out, "{mails} were owed it before"),
        Some(_) | None => Ok(()),
    }
}

fn pretty(out: &mut dyn Write, value: &Value) -> std::io::Result<()> {
    writeln!(out, "{value:#}")
}

/// One line an article; the title last, since it has no width of its own.
fn table(out: &mut dyn Write, list: &Value) -> std::io::Result<()> {
    let articles = list["articles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![["ID", "STATE", "PUBLISHED", "CATEGORIES", "TITLE"].map(str::to_owned)];
    for article in articles {
        let fields = ["id", "state", "published_at", "categories", "title"];
        rows.push(fields.map(|field| word(&article[field])));
    }
    let widths: Vec<usize> =
        (0..4).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{}", row[4])?;
    }
    if list["next"].is_string() {
        writeln!(out, "\nmore with: --cursor {}", word(&list["next"]))?;
    }
    Ok(())
}

/// An article for the eye: title, what is known about it, text.
fn page(out: &mut dyn Write, article: &Value) -> std::io::Result<()> {
    writeln!(out, "{}\n", word(&article["title"]))?;
    for field in [
        "id",
        "external_id",
        "state",
        "revision",
        "published_at",
        "updated_at",
        "created_at",
        "categories",
        "authors",
        "tags",
        "language",
        "url",
    ] {
        line(out, field, &article[field])?;
    }
    line(out, "page", &article["links"]["page"])?;
    line(out, "print", &article["links"]["print"])?;
    for text in [&article["summary"], first_of(&article["body_markdown"], &article["body_html"])] {
        if let Some(text) = text.as_str() {
            writeln!(out, "\n{}", clean_block(text).trim_end())?;
        }
    }
    Ok(())
}

fn line(out: &mut dyn Write, name: &str, value: &Value) -> std::io::Result<()> {
    let shown = word(value);
    if shown.is_empty() { Ok(()) } else { writeln!(out, "  {name:<12}  {shown}") }
}

fn first_of<'a>(one: &'a Value, other: &'a Value) -> &'a Value {
    if one.is_string() { one } else { other }
}

/// A value on one line, without anything that would steer a terminal.
fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => crate::domain::clean_line(text),
        Value::Array(values) => values.iter().map(word).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
