//! What is written out comes back the same, and nothing half.

use super::kinds::{KINDS, key_from_text, key_to_text};
use super::*;
use crate::domain::{Article, ArticleId, Change, ChangeKind, Content, ExternalId, Labels, Slug, State, Time};
use crate::store::record::Stored;
use crate::store::{ApiKey, Batch, Cursor, Replay, Store, check, wait};
use std::io::Write;
use std::path::Path;

fn article(name: &str, state: State) -> Article {
    let content = Content {
        categories: vec![Slug::parse("c", "science").unwrap()],
        title: format!("{name} “quoted” \u{2028} ").repeat(if name.starts_with("before") { 7 } else { 700 }),
        authors: vec!["Жанна".into()],
        ..Content::default()
    };
    Article {
        external_id: ExternalId::parse("external_id", &format!("файл:{name}\\é")).ok(),
        state,
        published_at: Time::from_timestamp_millis(1_700_000_000_123),
        first_public_at: None,
        ..Article::published(ArticleId::parse("id", name).unwrap(), Time::UNIX_EPOCH, content)
    }
}

fn publish(store: &Store, article: &Article, old: Option<&Stored<Article>>) {
    let mut batch = Batch::default();
    store.write_article(&mut batch, old, article);
    let change = Change {
        kind: ChangeKind::Published,
        article: article.id.clone(),
        revision: article.revision,
        at: article.updated_at,
        labels: Labels::of(&article.content),
        before: None,
    };
    store.log(&mut batch, &change);
    wait(store.commit(batch)).unwrap();
}

/// A store with one row of every kind that a repository of today writes.
fn store(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    publish(&store, &article("one", State::Published), None);
    publish(&store, &article("https://old.example/?p=2", State::Published), None);
    let mut batch = Batch::default();
    store.write_article(&mut batch, None, &article("later", State::Scheduled));
    let key = ApiKey { id: "k1".into(), name: "desk".into(), digest: vec![7; 32], created_at: Time::UNIX_EPOCH };
    store.write_api_key(&mut batch, &key);
    let cursor = Cursor { seq: crate::domain::Seq(1), within: vec![0, 255], overtaken: 3 };
    store.move_cursor(&mut batch, "notify", None, cursor);
    let id = ArticleId::parse("id", "one").unwrap();
    let replay = Replay { request: vec![1; 32], article: id, at: Time::UNIX_EPOCH };
    store.remember_replay(&mut batch, &[9; 32], &replay, Time::UNIX_EPOCH);
    wait(store.commit(batch)).unwrap();
    store
}

fn exported(store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    export(store, &mut out).unwrap();
    out
}

#[test]
fn an_export_of_an_import_is_the_same_to_the_byte() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let original = store(from.path());
    let first = exported(&original);
    let summary = import(to.path(), &mut first.as_slice()).unwrap();
    assert_eq!((summary.head, summary.articles), (2, 3));
    let copy = Store::open(to.path()).unwrap();
    assert_eq!(String::from_utf8(exported(&copy)).unwrap(), String::from_utf8(first).unwrap());
    assert_eq!(copy.head(), original.head());
    assert_eq!(copy.identity().secret, original.identity().secret);
    assert_eq!(check(&copy), check(&original));
    assert!(check(&copy).is_clean(), "{:?}", check(&copy));
    let again = import(to.path(), &mut [].as_slice()).unwrap_err();
    assert!(matches!(&again, DumpError::Store(crate::store::StoreError::Locked { .. })), "{again}");
    drop(copy);
    assert!(matches!(import(to.path(), &mut [].as_slice()), Err(DumpError::Occupied(_))));
}

#[test]
fn a_file_that_was_cut_off_or_changed_is_refused_and_leaves_nothing_behind() {
    let from = tempfile::tempdir().unwrap();
    let original = store(from.path());
    let whole = String::from_utf8(exported(&original)).unwrap();
    let lines = whole.lines().count();
    let without = |gone: usize| {
        let kept: Vec<&str> = whole.lines().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| line).collect();
        kept.join("\n") + "\n"
    };
    let mut wrong: Vec<String> = (0..lines).map(without).collect();
    wrong.push(whole[..whole.len() - 1].to_owned());
    wrong.push(whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned());
    wrong.push(whole.replacen("Жанна", "Жанка", 1));
    wrong.push(whole.replacen("\"seq\":2", "\"seq\":3", 1));
    wrong.push(whole.replacen("\"kind\":\"cursor\"", "\"kind\":\"curse\"", 1));
    wrong.push(whole.replacen("\"tidings_export\":4", "\"tidings_export\":3", 1));
    wrong.push(whole.clone() + "{}\n");
    wrong.push(String::new());
    for (number, text) in wrong.iter().enumerate() {
        let to = tempfile::tempdir().unwrap();
        let error = import(to.path(), &mut text.as_bytes()).expect_err(&number.to_string());
        assert!(matches!(error, DumpError::Line { .. }), "{number}: {error}");
        let left: Vec<_> = std::fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["LOCK"], "{number}");
        if number == 0 {
            // What broke off before is no hindrance.
            import(to.path(), &mut whole.as_bytes()).unwrap();
        }
    }
    let to = tempfile::tempdir().unwrap();
    let cursed = whole.replacen("\"kind\":\"cursor\"", "\"kind\":\"curse\"", 1);
    let line = cursed.lines().position(|line| line.contains("curse\"")).unwrap() + 1;
    let error = import(to.path(), &mut cursed.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, format!("line {line}: `kind`: found \"curse\", which this tidings does not know"));
}

#[test]
fn an_empty_store_gives_way_to_an_import() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = exported(&store(from.path()));
    drop(Store::open(to.path()).unwrap());
    import(to.path(), &mut whole.as_slice()).unwrap();
    assert_eq!(exported(&Store::open(to.path()).unwrap()), whole);
}

/// Writes a line, and each time lets something happen to the store.
struct Busy<'a>(Vec<u8>, usize, &'a mut dyn FnMut(usize));

impl Write for Busy<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend(bytes);
        self.1 += 1;
        (self.2)(self.1);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_export_shows_one_moment_whatever_is_written_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for n in 0..600 {
        publish(&store, &article(&format!("before-{n:04}"), State::Published), None);
    }
    let quiet = exported(&store);
    let mut disturb = |line: usize| {
        if line.is_multiple_of(40) {
            // In front of the reader and behind it: a new article, an edit, one that leaves its orders, a key that goes.
            publish(
                &store,
                &article(&format!("{}-{line}", if line.is_multiple_of(80) { "a" } else { "z" }), State::Published),
                None,
            );
            for n in [line % 600, 599 - line % 600] {
                let id = ArticleId::parse("id", &format!("before-{n:04}")).unwrap();
                let old = store.article(&id).unwrap().unwrap();
                let mut new = old.record.clone();
                new.revision += 1;
                new.state = if n % 2 == 0 { State::Retracted } else { State::Published };
                new.content.title = "short".into();
                publish(&store, &new, Some(&old));
            }
            let mut batch = Batch::default();
            store.delete_api_key(&mut batch, "k1");
            wait(store.commit(batch)).unwrap();
        }
    };
    let mut busy = Busy(Vec::new(), 0, &mut disturb);
    export(&store, &mut busy).unwrap();
    assert!(busy.0 == quiet, "the export of a busy store is that of the moment at which it began");
    assert!(exported(&store) != quiet);
    assert!(check(&store).is_clean(), "{:?}", check(&store));
}

#[test]
fn keys_of_any_bytes_stand_as_text_and_come_back() {
    for key in [&b"cursor/notify"[..], b"", b"a\\x00", b"a\0\xff\x80\\", "ключ\u{85}\u{ff}".as_bytes()] {
        assert_eq!(key_from_text(&key_to_text(key)).as_deref(), Some(key));
    }
    assert_eq!(key_to_text("a\0ключ\\".as_bytes()), "a\\x00ключ\\\\");
    assert_eq!(key_from_text("a\\n"), None);
}

#[test]
fn every_kind_of_record_is_known_to_the_export_and_has_a_letter_of_its_own() {
    let mut letters = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> = vec![folder];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        letters.extend(text.split(&format!("{}KIND: u8 = b'", "const ")).skip(1).map(|rest| rest.as_bytes()[0]));
    }
    letters.sort_unstable();
    let mut known: Vec<u8> = KINDS.iter().map(|kind| kind.letter).collect();
    known.sort_unstable();
    assert_eq!(String::from_utf8(letters).unwrap(), String::from_utf8(known).unwrap(), "add the new kind to KINDS");
    let mut names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KINDS.len());
}
