//! `tidings mail numbers`: what became of mails.

use super::client::Request;
use super::failure::Failure;
use super::operate::ask;
use super::{Outcome, direct};
use crate::domain::{Problem, clean_line};
use crate::services::numbers::{Asked, By, Page, Row, day};
use crate::web::{ROWS, ROWS_MAX};
use clap::Args;
use reqwest::Method;
use std::io::Write;
use std::path::Path;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Numbers {
    /// By what
    #[arg(long, value_parser = By::ALL.map(By::as_str), default_value = "article")]
    by: String,
    /// Since this day (UTC); 30 days where none is named
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = ROWS, value_parser = clap::value_parser!(u16).range(1..=i64::from(ROWS_MAX)))]
    limit: u16,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
    /// As the API gives it
    #[arg(long)]
    json: bool,
}

/// Asked of the running daemon, else read from the store itself.
pub(super) async fn run(config_file: &Path, numbers: Numbers, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let by = By::parse(&numbers.by).map_err(Problem::from)?;
    let since = numbers.since.as_deref().map(day).transpose().map_err(Problem::from)?;
    let limit = numbers.limit.to_string();
    let mut query = vec![("by", by.as_str()), ("limit", limit.as_str())];
    query.extend(numbers.since.as_deref().map(|since| ("since", since)));
    query.extend(numbers.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let path = ["api", "v1", "mail", "numbers"];
    let request = Request { query: &query, patient: true, ..Request::new(Method::GET, &path) };
    let page: Page = match ask(config_file, request).await? {
        Some(page) => page,
        None => {
            let limit = usize::from(numbers.limit);
            direct::numbers(config_file, Asked { by, since, cursor: numbers.cursor.clone(), limit }).await?
        }
    };
    if numbers.json {
        let page = serde_json::to_value(&page).map_err(anyhow::Error::from)?;
        writeln!(out, "{page:#}")?;
    } else {
        table(out, &page)?;
    }
    Ok(Outcome::Done)
}

/// One line a row; the name last, since it has no width of its own.
fn table(out: &mut dyn Write, page: &Page) -> std::io::Result<()> {
    let columns = ["ACCEPTED", "DEFERRED", "BOUNCED", "COMPLAINED", "UNSUBSCRIBED"];
    writeln!(out, "{}  {}", columns.join("  "), page.by.as_str().to_uppercase())?;
    for row in &page.numbers {
        let sums = row.numbers;
        let sums = [sums.accepted, sums.deferred, sums.bounced, sums.complained, sums.unsubscribed];
        for (sum, column) in sums.iter().zip(columns) {
            write!(out, "{sum:>width$}  ", width = column.len())?;
        }
        writeln!(out, "{}", name(row))?;
    }
    writeln!(out, "since {}", page.since)?;
    match &page.next {
        Some(next) => writeln!(out, "more with: --cursor {}", clean_line(next)),
        None => Ok(()),
    }
}

/// What a row is about.
fn name(row: &Row) -> String {
    let window = row.window.map(|window| window.to_string());
    let id = row.article.as_ref().map(|id| id.as_str().to_owned());
    let parts = [id, row.title.clone(), window, row.selection.clone(), row.domain.clone()];
    clean_line(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}
