//! Publishing through the API.

use crate::http::{Connection, get, post};
use crate::measure::{Turns, percentile_us, side_by_side};
use crate::text::Texts;
use crate::{Amount, Api};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Different requests that are sent; each article still is one of its own, with an id of its own.
const REQUESTS_MAX: usize = 2_000;

fn requests(api: &Api, amount: &Amount) -> Vec<Vec<u8>> {
    let texts = Texts { seed: amount.seed, bytes_median: amount.bytes };
    let one = |number| post("/api/v1/articles", &api.key, &texts.article(number, &api.category).to_string());
    (0..amount.count.min(REQUESTS_MAX)).map(one).collect()
}

pub(crate) async fn publish(api: Api, amount: Amount) -> anyhow::Result<Value> {
    let requests = Arc::new(requests(&api, &amount));
    side_by_side(amount.clients, amount.limit(), |turns| {
        let requests = Arc::clone(&requests);
        async move {
            let mut connection = Connection::open(api.address).await?;
            let mut took = Vec::new();
            while let Some(turn) = turns.take() {
                let started = Instant::now();
                connection.send(&requests[turn % requests.len()]).await?;
                created(&connection.answer().await?)?;
                took.push(started.elapsed());
            }
            Ok(took)
        }
    })
    .await
}

/// Commit: from the request to its `201`. Visible: from the `201` to the last byte of a feed with the article in it.
/// `gzip`: the feed is asked for compressed, as readers do; unpacking does not count.
pub(crate) async fn visible(api: Api, amount: Amount, gzip: bool) -> anyhow::Result<Value> {
    let requests = requests(&api, &amount);
    let feed = get(&format!("/{}/rss.xml", api.category), if gzip { "gzip" } else { "identity" });
    let (mut writer, mut reader) = (Connection::open(api.address).await?, Connection::open(api.address).await?);
    let turns = Turns::until(amount.limit());
    let (mut commits, mut delays, mut asked, mut again) = (Vec::new(), Vec::new(), 0_usize, Vec::new());
    while let Some(turn) = turns.take() {
        let started = Instant::now();
        writer.send(&requests[turn % requests.len()]).await?;
        let answer = writer.answer().await?;
        let acknowledged = Instant::now();
        reader.send(&feed).await?;
        let id = created(&answer)?;
        let delay = loop {
            asked += 1;
            let shown = reader.answer().await?;
            let delay = acknowledged.elapsed();
            ensure!(shown.status == 200, "the feed was answered with {}", shown.status);
            let is_there = match gzip {
                true => contains(&unpacked(shown.body)?, id.as_bytes()),
                false => contains(shown.body, id.as_bytes()),
            };
            if is_there {
                break delay;
            }
            ensure!(delay < Duration::from_secs(10), "the article {id} did not come into the feed within 10 s");
            reader.send(&feed).await?;
        };
        commits.push(acknowledged - started);
        delays.push(delay);
        let started = Instant::now();
        reader.send(&feed).await?;
        ensure!(reader.answer().await?.status == 200, "the feed went away");
        again.push(started.elapsed());
    }
    Ok(json!({
        "count": delays.len(), "feeds_asked": asked,
        "commit_p50_us": percentile_us(&mut commits, 0.50), "commit_p99_us": percentile_us(&mut commits, 0.99),
        "visible_p50_us": percentile_us(&mut delays, 0.50), "visible_p99_us": percentile_us(&mut delays, 0.99),
        "unchanged_p50_us": percentile_us(&mut again, 0.50), "unchanged_p99_us": percentile_us(&mut again, 0.99),
    }))
}

/// The id of the article that was made.
fn created<'a>(answer: &crate::http::Answer<'a>) -> anyhow::Result<&'a str> {
    ensure!(answer.status == 201, "expected 201, found {}: {}", answer.status, String::from_utf8_lossy(answer.body));
    let name = b"\"id\":\"";
    let at = memchr::memmem::find(answer.body, name).context("an answer without an id")? + name.len();
    let id = answer.body[at..].split(|byte| *byte == b'"').next().unwrap_or_default();
    Ok(std::str::from_utf8(id)?)
}

fn unpacked(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    // A gzip stream ends in the length of what it holds (RFC 1952 §2.3.1).
    let (_, length) = body.split_last_chunk::<4>().context("an empty feed")?;
    let mut text = vec![0; u32::from_le_bytes(*length) as usize];
    libdeflater::Decompressor::new().gzip_decompress(body, &mut text)?;
    Ok(text)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
