//! What the operator's commands ask, beyond what a page shows.

use super::super::api::ROWS_MAX;
use super::Newspaper;
use crate::domain::{Address, Language, MailKind, SubscriptionId, Time};
use crate::store::{Batch, Delivery, LedgerRow, Message};
use axum::http::StatusCode;
use chrono::Duration;
use serde_json::Value;

/// Puts a message on the wire, as a daemon that was killed leaves it.
fn leave_on_wire(paper: &Newspaper, batch: &mut Batch, number: u16, since: Time) -> String {
    let to = format!("reader-{number:04}@example.net");
    let (kind, language) = (MailKind::Notice, Language::English);
    let to_it = Address::parse("to", &to).unwrap();
    let message =
        Message::Test { to: to_it, kind, language, article: None, at: since + Duration::milliseconds(number.into()) };
    let row = LedgerRow::new(message, SubscriptionId(uuid::Uuid::nil()), None, since);
    let row = LedgerRow { state: Delivery::OnWire { since, attempts: 0 }, ..row };
    paper.app.store.write_message(batch, &row);
    to
}

#[tokio::test]
async fn every_doubtful_message_is_listed_once_however_many_there_are() {
    let paper = Newspaper::new();
    let now = paper.app.clock.now();
    let mut batch = Batch::default();
    // More than the mailer reads at a time, many of them of one moment, and a last page that is full.
    let count = 8 * ROWS_MAX;
    let mut left: Vec<_> = (0..count)
        .map(|number| leave_on_wire(&paper, &mut batch, number, now + Duration::milliseconds((number / 500).into())))
        .collect();
    paper.app.store.commit(batch).await.unwrap();
    let (mut listed, mut since) = (Vec::new(), Vec::new());
    let mut path = "/control/mail/doubtful".to_owned();
    for page in 0..=8 {
        let answer = paper.operate("GET", &path, "").await;
        let said: Value = serde_json::from_str(&answer.text).unwrap();
        let messages = said["messages"].as_array().unwrap();
        assert!(
            messages.len() == usize::from(ROWS_MAX) || messages.is_empty() && page == 8,
            "{page}: {}",
            messages.len()
        );
        listed.extend(messages.iter().map(|message| message["address"].as_str().unwrap().to_owned()));
        since.extend(messages.iter().map(|message| message["since"].as_str().unwrap().parse::<Time>().unwrap()));
        let Some(next) = said["next"].as_str() else { break };
        path = format!("/control/mail/doubtful?cursor={next}");
    }
    assert!(since.is_sorted(), "the oldest first");
    left.sort();
    listed.sort();
    assert_eq!(listed, left);
    assert_eq!(paper.app.mailer.doubtful(None, 300).unwrap().len(), 300, "from two pages of the mailer's");
    for bad in ["", "0", "xy", "00", &"00".repeat(600)] {
        let answer = paper.operate("GET", &format!("/control/mail/doubtful?cursor={bad}"), "").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}: {}", answer.text);
        answer.says(&["\"cursor\"", "the `next` of the page before"]);
    }
}
