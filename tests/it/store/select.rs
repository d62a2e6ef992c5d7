//! Articles of a selection are those that a look at every article finds, in the same order, whatever was done before.

use super::Dice;
use chrono::Duration;
use std::collections::BTreeMap;
use tidings::domain::{
    Article, ArticleId, Change, ChangeKind, Content, Folded, Labels, Selection, Slug, State, Term, Time,
};
use tidings::store::{Batch, Place, Store, Window, wait};

const TAGS: [&str; 4] = ["water", "fire", "Old  Stones", "ёлка"];

fn time(minutes: usize) -> Time {
    Time::from_timestamp_millis(1_700_000_000_000).unwrap() + Duration::minutes(i64::try_from(minutes).unwrap())
}

fn random(dice: &mut Dice, id: usize, revision: u32) -> Article {
    let some = |dice: &mut Dice, names: &[&str]| -> Vec<String> {
        names.iter().filter(|_| dice.roll(3) == 0).map(|name| (*name).to_owned()).collect()
    };
    let state = [State::Published, State::Published, State::Published, State::Draft, State::Retracted][dice.roll(5)];
    // Few dates, so that many articles share one.
    let dated = time(dice.roll(400) * 60);
    let content = Content {
        categories: [["science"], ["economy"]][dice.roll(2)].map(|slug| Slug::parse("c", slug).unwrap()).to_vec(),
        title: format!("No. {id}"),
        authors: some(dice, &["A. Ivanov", "B. Lee"]),
        tags: some(dice, &TAGS),
        language: [None, Some("en-GB".to_owned()), Some("ru".to_owned())][dice.roll(3)].clone(),
        ..Content::default()
    };
    let published = Article::published(ArticleId::parse("id", &format!("a{id}")).unwrap(), dated, content);
    Article { revision, state, updated_at: time(usize::try_from(revision).unwrap()), ..published }
}

fn query(dice: &mut Dice, depth: usize) -> String {
    let terms = [
        "category:science",
        "tag:water",
        "tag:fire",
        "tag:\"old stones\"",
        "tag:ёлка",
        "author:\"a. ivanov\"",
        "author:\"b. lee\"",
        "language:en",
        "language:en-gb",
        "language:ru",
        "tag:nobody",
    ];
    match dice.roll(if depth == 0 { 1 } else { 4 }) {
        0 => terms[dice.roll(terms.len())].to_owned(),
        1 => format!("NOT ({})", query(dice, depth - 1)),
        2 => format!("({}) AND ({})", query(dice, depth - 1), query(dice, depth - 1)),
        _ => format!("({}) OR ({})", query(dice, depth - 1), query(dice, depth - 1)),
    }
}

fn found(store: &Store, selection: &Selection, window: &Window, piece: usize) -> Vec<(Time, ArticleId)> {
    let (mut all, mut after): (Vec<_>, Option<Place>) = (Vec::new(), None);
    loop {
        let picks = store.select(selection, window, after.as_ref(), piece).unwrap();
        assert!(picks.picked.len() <= piece);
        all.extend(picks.picked.into_iter().map(|picked| (picked.dated, picked.id)));
        after = picks.next;
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn what_is_selected_is_what_a_look_at_every_article_finds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut dice = Dice(5);
    let mut articles: BTreeMap<usize, Article> = BTreeMap::new();
    let rounds = if crate::harness::is_long() { 400 } else { 40 };
    for round in 0..rounds {
        for _ in 0..20 {
            let id = dice.roll(600);
            let old = articles.get(&id).map(|old| store.article(&old.id).unwrap().unwrap());
            let new = random(&mut dice, id, old.as_ref().map_or(1, |old| old.record.revision + 1));
            let mut one = Batch::default();
            store.write_article(&mut one, old.as_ref(), &new);
            wait(store.commit(one)).unwrap();
            articles.insert(id, new);
        }
        for _ in 0..10 {
            let Ok(selection) = Selection::parse(&query(&mut dice, 3)) else { continue };
            let (from, length) = (dice.roll(400) * 60, dice.roll(100) * 60);
            let window = match dice.roll(3) {
                0 => Window::default(),
                1 => Window { from: Some(time(from)), until: None },
                _ => Window { from: Some(time(from)), until: Some(time(from + length)) },
            };
            let fits = |article: &&Article| {
                article.is_public()
                    && selection.matches(&Labels::of(&article.content))
                    && window.from.is_none_or(|from| article.dated() >= from)
                    && window.until.is_none_or(|until| article.dated() < until)
            };
            let mut expected: Vec<_> =
                articles.values().filter(fits).map(|article| (article.dated(), article.id.clone())).collect();
            expected.sort_by(|(at, id), (other_at, other_id)| other_at.cmp(at).then(id.cmp(other_id)));
            let piece = [1, 7, 50, 300][dice.roll(4)];
            assert_eq!(found(&store, &selection, &window, piece), expected, "{selection} in round {round}");
        }
        let since = time(dice.roll(30));
        let is_told = |article: &&Article| article.state == State::Retracted && article.updated_at >= since;
        let told = store.retracted(since, 1_000).unwrap();
        assert_eq!(told.len(), articles.values().filter(is_told).count(), "retracted in round {round}");
        assert!(told.windows(2).all(|pair| pair[0].updated_at >= pair[1].updated_at));
    }
    let report = tidings::store::check(&store);
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn the_last_touch_of_a_selection_is_found_in_the_log_or_told_too_late_but_never_too_early() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let term = |name: &str| Term::Tag(Folded::parse(name).unwrap());
    let mut number = 0;
    let mut change = |labels: Labels, before: Option<Labels>| {
        number += 1;
        let article = ArticleId::parse("id", &format!("a{number}")).unwrap();
        let change = Change { kind: ChangeKind::Published, article, revision: 1, at: time(number), labels, before };
        let mut batch = Batch::default();
        store.log(&mut batch, &change);
        wait(store.commit(batch)).unwrap();
        time(number)
    };
    let touched = |text: &str| store.touched(&Selection::parse(text).unwrap()).unwrap();
    assert_eq!(touched("tag:a"), None, "nothing was ever published");
    let first = change([term("a")].into_iter().collect(), None);
    let moved = change([term("b")].into_iter().collect(), Some([term("c")].into_iter().collect()));
    assert_eq!((touched("tag:a"), touched("tag:b"), touched("tag:c")), (Some(first), Some(moved), Some(moved)));
    assert_eq!(touched("NOT tag:b"), Some(moved), "before it was one without");
    assert_eq!(touched("tag:nobody"), None);
    for _ in 0..600 {
        change([term("d")].into_iter().collect(), None);
    }
    let late = touched("tag:a").unwrap();
    assert!(late > first && late < time(number), "{late}");
}
