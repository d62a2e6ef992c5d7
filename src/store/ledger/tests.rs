//! The ledger and its due rows.

use super::*;
use crate::domain::{Article, ArticleId, Edition, Span};
use crate::store::{CommitError, wait};
use chrono::{Duration, NaiveDate};
use std::collections::HashSet;
use uuid::Uuid;

#[test]
fn a_message_is_owed_once_and_its_due_row_follows_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let at = Time::UNIX_EPOCH + Duration::days(20_000);
    let message = Message::Notice { article: ArticleId::parse("id", "https://old.example/?p=1").unwrap() };
    let row = LedgerRow::new(message, SubscriptionId(Uuid::from_u128(1)), None, at);
    let write = || {
        let mut batch = Batch::default();
        store.write_message(&mut batch, &row);
        wait(store.commit(batch))
    };
    write().unwrap();
    assert!(matches!(write(), Err(CommitError::Conflict { .. })), "it is owed already");
    assert_eq!(store.messages_due(at, None, 9).unwrap(), [(at, row.key())]);
    assert!(store.messages_due(at - Duration::milliseconds(1), None, 9).unwrap().is_empty());
    let mut stored = store.message(&row.key()).unwrap().unwrap();
    assert_eq!(stored.record, row);
    let later = at + Duration::minutes(1);
    for (state, due, on_wire) in [
        (Delivery::OnWire { since: later, attempts: 0 }, 0, 1),
        (Delivery::Pending { attempts: 1, due_at: later, reply: Some("450 later".into()), booked: true }, 1, 0),
        (Delivery::Sent { at: later, reply: "250 OK".into() }, 0, 0),
    ] {
        let mut batch = Batch::default();
        let changed = store.change_message(&mut batch, stored, |row| row.state = state.clone());
        let next = LedgerRow { state, ..row.clone() };
        assert_eq!(changed.record, next);
        wait(store.commit(batch.clone())).unwrap();
        assert!(matches!(wait(store.commit(batch)), Err(CommitError::Conflict { .. })), "its base is gone");
        assert_eq!(store.messages_due(later, None, 9).unwrap().len(), due, "{next:?}");
        assert_eq!(store.messages_on_wire(None, 9).unwrap().len(), on_wire, "{next:?}");
        assert_eq!(store.count_due(Due::OnWire, 9).unwrap(), on_wire, "{next:?}");
        stored = store.message(&row.key()).unwrap().unwrap();
        assert_eq!((&stored.record, &stored.raw), (&next, &changed.raw));
    }
}

#[test]
fn an_article_is_known_again_until_it_is_written_anew_whatever_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for id in [ArticleId::mint(), ArticleId::parse("id", "https://old.example/?p=1").unwrap()] {
        let content = crate::domain::Content { title: "First".into(), ..Default::default() };
        let article = Article::published(id.clone(), Time::UNIX_EPOCH, content);
        let mut batch = Batch::default();
        store.write_article(&mut batch, None, &article);
        wait(store.commit(batch)).unwrap();
        let read = store.article(&id).unwrap().unwrap();
        assert!(store.is_article(&read).unwrap(), "{id:?}");
        let mut batch = Batch::default();
        store.write_article(&mut batch, Some(&read), &Article { revision: 2, ..article });
        wait(store.commit(batch)).unwrap();
        assert!(!store.is_article(&read).unwrap(), "{id:?}");
    }
}

#[test]
fn all_messages_of_a_subscription_are_found_wherever_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let article = ArticleId::parse("id", "https://old.example/?p=1").unwrap();
    let edition = Edition { date: NaiveDate::from_ymd_opt(2026, 12, 31).unwrap(), extra: 1 };
    let span = Span { since: Seq(0), until: Seq(1), besides: vec![], without: vec![] };
    let messages = [
        Message::Notice { article: article.clone() },
        Message::Correction { article, revision: 2, digest: Some(edition) },
        Message::Digest { edition, span, is_fold: false },
        Message::Confirmation { round: 1 },
        Message::Farewell { round: 1 },
        Message::Preferences { round: 1 },
        // Nobody's.
        Message::Canary { number: 1 },
    ];
    let mut batch = Batch::default();
    let ids = [1, 2].map(|number| SubscriptionId(Uuid::from_u128(number << 64)));
    for (id, message) in ids.iter().flat_map(|id| messages.iter().map(move |message| (*id, message.clone()))) {
        if !matches!(message, Message::Canary { .. }) || id == ids[0] {
            store.write_message(&mut batch, &LedgerRow::new(message, id, None, Time::UNIX_EPOCH));
        }
    }
    wait(store.commit(batch)).unwrap();
    let (found, last) = store.messages_of(&HashSet::from([ids[1]]), None).unwrap();
    assert_eq!(last, None);
    let mut found: Vec<Message> = found.into_iter().map(|row| row.record.message).collect();
    let place = |message: &Message| messages.iter().position(|known| known == message);
    found.sort_by_key(place);
    assert_eq!(found, messages[..6]);
}
