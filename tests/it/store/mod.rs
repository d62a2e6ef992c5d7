//! The store from outside: its contract, its check, damage, and ends without warning.

mod adding;
mod check;
mod contract;
mod crash;
mod damage;
mod model;
mod select;

use std::path::Path;
use tidings::domain::{Article, ArticleId, Body, Change, ChangeKind, Content, ExternalId, Labels, Slug, State, Time};
use tidings::store::{Batch, CommitError, Store, Stored, wait};

/// A number that looks random and is the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// Bytes that cannot be made shorter, the same for the same seed.
pub(crate) fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut dice = Dice(seed.into());
    (0..bytes).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect()
}

/// What stands in `id` at `revision`: a test that finds other text has found damage.
pub(crate) fn article(id: &str, revision: u32) -> Article {
    let mut dice = Dice(id.bytes().fold(u64::from(revision), |sum, byte| sum.wrapping_mul(31) + u64::from(byte)));
    let state = match (revision, dice.roll(8)) {
        (1, 0) => State::Draft,
        (1, 1) => State::Scheduled,
        (2.., 0) => State::Retracted,
        (_, _) => State::Published,
    };
    // One in fifty is large, so that values in pieces come to be overwritten as well.
    let words = if dice.roll(50) == 0 { 12_000 } else { 20 + dice.roll(80) };
    let html = (0..words).map(|_| format!("<b>{}</b> ", dice.roll(1_000_000))).collect();
    let categories = ["economy", "science", "sport"].iter().skip(dice.roll(3));
    let at = |ms: usize| Time::from_timestamp_millis(1_700_000_000_000 + i64::try_from(ms).unwrap()).unwrap();
    let content = Content {
        categories: categories.map(|slug| Slug::parse("c", slug).unwrap()).collect(),
        title: format!("{id} at revision {revision}"),
        body: Some(Body { html, markdown: None }),
        ..Content::default()
    };
    Article {
        external_id: ExternalId::parse("external_id", &format!("file:{id}")).ok(),
        revision,
        state,
        published_at: Some(at(dice.roll(1_000_000))),
        updated_at: at(usize::try_from(revision).unwrap()),
        first_public_at: None,
        ..Article::published(ArticleId::parse("id", id).unwrap(), at(0), content)
    }
}

/// Stores [`article`] with its rows and, where the public sees a difference, a change.
pub(crate) fn put(store: &Store, id: &str, old: Option<&Stored<Article>>) -> Result<Article, CommitError> {
    let new = article(id, old.map_or(1, |old| old.record.revision + 1));
    let mut batch = Batch::default();
    store.write_article(&mut batch, old, &new);
    let was_public = old.is_some_and(|old| old.record.is_public());
    if was_public || new.is_public() {
        let kind = if new.is_public() { ChangeKind::Published } else { ChangeKind::Retracted };
        let (article, labels) = (new.id.clone(), Labels::of(&new.content));
        let before = old.filter(|_| was_public).map(|old| Labels::of(&old.record.content));
        store.log(&mut batch, &Change { kind, article, revision: new.revision, at: new.updated_at, labels, before });
    }
    wait(store.commit(batch)).map(|_| new)
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_new_store_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    drop(tidings::store::Store::open(&folder).unwrap());
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}
