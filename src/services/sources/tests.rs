//! Which file is which article, look by look, without waiting for files to settle.

use super::*;
use crate::domain::{Article, Categories, Category, Clock, ExternalId, Site, State, Time};
use arc_swap::ArcSwap;
use memory::{Left, Seen};
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

mod unread;

/// A newsroom with the folders `science` and `economy`.
struct World {
    folder: TempDir,
    clock: Clock,
    store: Arc<Store>,
    sources: Sources,
}

impl World {
    fn new() -> World {
        World::with_flood_max(0)
    }

    fn with_flood_max(flood_max: usize) -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Clock::test(Time::UNIX_EPOCH + chrono::Duration::days(20_000));
        let store = Arc::new(Store::open(&folder.path().join("store")).expect("a new store"));
        let categories = ["economy", "science"].map(|slug| category(slug, folder.path().join(slug)));
        let site = Site {
            title: "News".into(),
            description: String::new(),
            language: "en".into(),
            base_url: "https://news.example.org/".parse().expect("an address"),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let categories = Categories::new(categories.into());
        let newsroom = Newsroom { site, categories, hub: None, changed_at: clock.now() };
        let publisher = Publisher::new(Arc::clone(&store), clock.clone(), flood_max);
        let sources = Sources::new(Arc::clone(&store), publisher, Arc::new(ArcSwap::from_pointee(newsroom)));
        World { folder, clock, store, sources }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes an article file with more lines in its front matter.
    fn file(&self, name: &str, title: &str, more: &str) {
        let text = format!("+++\ntitle = \"{title}\"\ndate = \"2020-12-18\"\n{more}\n+++\n\nText of {title}.\n");
        std::fs::write(self.path(name), text).expect("writable");
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("writable");
    }

    /// A look after everything has lain still for long enough.
    async fn look(&self) -> Look {
        self.sources.look().await.expect("the store is open");
        self.settle().await;
        self.sources.look().await.expect("the store is open")
    }

    async fn settle(&self) {
        let long_ago = Instant::now().checked_sub(SETTLE).expect("the machine has run for longer");
        for seen in self.sources.memory.lock().await.files.values_mut() {
            if let Seen::Changing { since, .. } = seen {
                *since = long_ago;
            }
        }
    }

    /// The article that was taken from a file.
    fn article(&self, name: &str) -> Article {
        let (category, name) = name.split_once('/').expect("a file in a folder");
        let slug = Slug::parse("slug", category).expect("a slug");
        let files = self.store.taken_files(&slug, None).expect("readable");
        let (_, file) = files.into_iter().find(|(other, _)| other == name).expect("it was taken");
        self.stored(&file.article)
    }

    fn stored(&self, id: &ArticleId) -> Article {
        self.store.article(id).expect("readable").expect("it is stored").record
    }

    fn named(&self, name: &str) -> Article {
        let name = ExternalId::parse("external_id", name).expect("a name");
        self.stored(&self.store.article_named(&name).expect("readable").expect("it has come in"))
    }

    /// What the newsroom was told of a file that was left out.
    async fn told(&self, name: &str) -> Option<String> {
        let memory = self.sources.memory.lock().await;
        memory.left_out().map(|left| left.told.clone()).find(|told| told.starts_with(name))
    }
}

fn category(slug: &str, folder: PathBuf) -> Category {
    std::fs::create_dir(&folder).expect("writable");
    Category {
        slug: Slug::parse("slug", slug).expect("a slug"),
        title: slug.into(),
        description: String::new(),
        language: "en".into(),
        articles: Some(folder),
        zone: jiff::tz::TimeZone::UTC,
        limit: 50,
    }
}

const DESK_7: &str = "external_id = \"desk-7\"";

#[tokio::test]
async fn of_two_files_with_one_name_in_one_look_the_first_is_the_article() {
    let world = World::new();
    world.file("science/a.md", "First", DESK_7);
    world.file("science/b.md", "Second", DESK_7);
    world.file("science/c.md", "Third", "id = \"x\"");
    world.file("science/d.md", "Fourth", "id = \"x\"");
    let look = world.look().await;
    assert_eq!((look.faults, world.named("desk-7").content.title.as_str()), (2, "First"));
    let told = world.told("b.md").await.expect("told");
    assert_eq!(told, "b.md: `external_id`: found \"desk-7\", which a.md has as well, expected one of its own");
    let told = world.told("d.md").await.expect("told");
    assert_eq!(told, "d.md: `id`: found \"x\", which c.md has as well, expected one of its own");
}

#[tokio::test]
async fn what_the_article_of_a_file_cannot_become_is_told_with_its_line() {
    let world = World::new();
    world.file("science/a.md", "First", "");
    world.look().await;
    world.file("science/a.md", "First", "tags = []\nstatus = \"draft\"");
    assert_eq!(world.look().await.faults, 1);
    let told = world.told("a.md").await.expect("told");
    assert!(told.starts_with("a.md:5 `status`: found draft, expected published: "), "{told}");
}

#[tokio::test]
async fn files_are_taken_in_and_withdrawn_by_a_clock_that_was_set_back() {
    let world = World::new();
    let now = world.clock.now().to_rfc3339();
    let text = |title: &str, date: &str| format!("+++\ntitle = \"{title}\"\n{date}\n+++\n");
    std::fs::write(world.path("science/a.md"), text("Dated", &format!("date = \"{now}\""))).expect("writable");
    std::fs::write(world.path("science/b.md"), text("Undated", "")).expect("writable");
    std::fs::write(world.path("science/c.md"), text("Withdrawn", "")).expect("writable");
    assert_eq!(world.look().await.taken, 3);
    let withdrawn = world.article("science/c.md").id;
    world.clock.advance(chrono::Duration::hours(-5));
    std::fs::write(world.path("science/a.md"), text("Dated, edited", &format!("date = \"{now}\""))).expect("writable");
    std::fs::write(world.path("science/b.md"), text("Undated, edited", "")).expect("writable");
    std::fs::write(world.path("science/d.md"), text("New", "")).expect("writable");
    std::fs::remove_file(world.path("science/c.md")).expect("it is there");
    let look = world.look().await;
    assert_eq!((look.faults, look.retracted), (0, 1), "{:?}", world.told("").await);
    for (name, title) in [("a.md", "Dated, edited"), ("b.md", "Undated, edited"), ("d.md", "New")] {
        let article = world.article(&format!("science/{name}"));
        assert_eq!((article.state, article.content.title.as_str()), (State::Published, title));
    }
    assert_eq!(world.stored(&withdrawn).state, State::Retracted);
}

#[tokio::test]
async fn a_name_is_taken_in_all_folders_and_comes_free_with_its_file() {
    let world = World::new();
    world.file("science/a.md", "First", DESK_7);
    world.look().await;
    world.file("economy/a.md", "Second", DESK_7);
    assert_eq!(world.look().await.faults, 1);
    let told = world.told("a.md").await.expect("told");
    assert!(told.contains("found \"desk-7\", which science/a.md has as well"), "{told}");
    assert_eq!(world.named("desk-7").content.title, "First");

    std::fs::remove_file(world.path("science/a.md")).expect("it is there");
    let look = world.look().await;
    let article = world.named("desk-7");
    assert_eq!((look.faults, look.retracted, article.content.title.as_str()), (0, 0, "Second"));
    assert_eq!(article.state, State::Published);
}

#[tokio::test]
async fn files_that_take_each_others_names_stay_the_articles_they_are() {
    for front in [["id = \"1\"", "id = \"2\""], ["external_id = \"1\"", "external_id = \"2\""], ["", ""]] {
        let world = World::new();
        world.file("science/01.md", "One", front[0]);
        world.file("science/02.md", "Two", front[1]);
        world.look().await;
        let (one, two) = (world.article("science/01.md"), world.article("science/02.md"));
        world.rename("science/02.md", "science/03.md");
        world.rename("science/01.md", "science/02.md");
        let look = world.look().await;
        assert_eq!((look.retracted, look.faults), (0, 0), "{front:?}");
        assert_eq!((world.article("science/02.md"), world.article("science/03.md")), (one, two), "{front:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_edited_under_a_name_of_another_is_the_article_that_it_names() {
    let world = World::new();
    world.file("science/01.md", "One", "external_id = \"1\"");
    world.file("science/02.md", "Two", "external_id = \"2\"");
    world.look().await;
    std::fs::remove_file(world.path("science/01.md")).expect("it is there");
    world.file("science/02.md", "One, edited", "external_id = \"1\"");
    let look = world.look().await;
    assert_eq!((look.retracted, look.faults), (1, 0));
    assert_eq!(world.named("1").content.title, "One, edited");
    let two = world.named("2");
    assert_eq!((two.state, two.content.title.as_str()), (State::Retracted, "Two"), "no file is it any more");
}

#[tokio::test]
async fn an_article_whose_files_name_is_anothers_waits_for_the_end_of_all_changes() {
    let world = World::new();
    world.file("science/01.md", "One", "external_id = \"1\"");
    world.file("science/02.md", "Two", "external_id = \"2\"");
    world.look().await;
    world.rename("science/01.md", "science/02.md");
    world.sources.look().await.expect("the store is open");
    world.settle().await;
    world.file("economy/new.md", "Two, edited", "external_id = \"2\"");
    assert_eq!(world.sources.look().await.expect("the store is open").unsettled, 1);
    assert_eq!(world.named("2").state, State::Published);
    world.look().await;
    let two = world.named("2");
    assert_eq!((two.state, two.content.title.as_str(), two.revision), (State::Published, "Two, edited", 2));
}

#[tokio::test]
async fn a_file_that_is_moved_to_another_folder_keeps_its_article_and_changes_its_category() {
    let world = World::new();
    world.file("science/a.md", "One", "");
    world.file("science/b.md", "Two", DESK_7);
    world.look().await;
    let before = [world.article("science/a.md"), world.article("science/b.md")];
    // Both ways: the folders are looked at one after the other.
    for (from, to) in [("science", "economy"), ("economy", "science")] {
        world.rename(&format!("{from}/a.md"), &format!("{to}/a.md"));
        world.rename(&format!("{from}/b.md"), &format!("{to}/b.md"));
        let look = world.look().await;
        assert_eq!((look.taken, look.retracted, look.faults), (2, 0, 0), "to {to}");
        for (name, before) in ["a.md", "b.md"].into_iter().zip(&before) {
            let now = world.article(&format!("{to}/{name}"));
            assert_eq!((&now.id, now.state, now.content.categories[0].as_str()), (&before.id, State::Published, to));
        }
    }
    assert_eq!(world.article("science/a.md").revision, 3, "nothing was retracted in between");
}

#[tokio::test]
async fn nothing_is_retracted_while_a_file_changes_in_another_folder() {
    let world = World::new();
    world.file("science/a.md", "One", "");
    world.file("science/b.md", "Two", "");
    world.look().await;
    let one = world.article("science/a.md");
    std::fs::remove_file(world.path("science/a.md")).expect("it is there");
    world.file("economy/new.md", "New", "");
    let look = world.sources.look().await.expect("the store is open");
    assert_eq!((look.unsettled, look.retracted), (1, 0));
    assert_eq!(world.stored(&one.id).state, State::Published);
    assert_eq!(world.look().await.retracted, 1);
}

#[tokio::test]
async fn an_article_that_was_withdrawn_over_the_api_stays_so_wherever_its_file_goes() {
    for (front, to) in [("", "economy/a.md"), ("", "science/b.md"), (DESK_7, "economy/a.md"), (DESK_7, "science/b.md")]
    {
        let world = World::new();
        world.file("science/a.md", "One", front);
        world.look().await;
        let one = world.article("science/a.md");
        world.sources.publisher.retract(&one.id, None).await.expect("it is there");
        world.rename("science/a.md", to);
        assert_eq!(world.look().await.faults, 0);
        let now = world.article(to);
        assert_eq!((&now.id, now.state), (&one.id, State::Retracted), "{front} {to}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_stored_now_is_not_forgotten() {
    let world = World::new();
    world.file("science/a.md", "Waits", "");
    world.store.close();
    for _ in 0..2 {
        let look = world.look().await;
        assert_eq!((look.waiting, look.faults, look.taken), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_file_that_was_written_just_before_the_first_look_is_waited_for() {
    let world = World::new();
    world.file("science/a.md", "Young", "");
    let look = world.sources.look().await.expect("the store is open");
    assert_eq!((look.unsettled, look.taken), (1, 0));
    world.file("science/b.md", "Younger", "");
    let look = world.sources.first_look().await.expect("the store is open");
    assert_eq!((look.unsettled, look.taken), (0, 2));
}

#[tokio::test]
async fn what_is_refused_as_a_flood_is_taken_once_it_is_accepted() {
    let world = World::with_flood_max(1);
    for name in ["science/a.md", "science/b.md"] {
        world.file(name, name, "");
    }
    world.look().await;
    for name in ["science/a.md", "science/b.md"] {
        let text = std::fs::read_to_string(world.path(name)).expect("text").replace("2020-12-18", "2020-12-19");
        std::fs::write(world.path(name), text).expect("writable");
    }
    let look = world.look().await;
    assert_eq!((look.taken, look.waiting, look.faults), (1, 1, 0));
    world.sources.publisher.accept_flood();
    let look = world.look().await;
    assert_eq!((look.waiting, look.faults), (0, 0));
    for name in ["science/a.md", "science/b.md"] {
        assert_eq!(world.article(name).published_at.expect("dated").to_rfc3339(), "2020-12-19T00:00:00+00:00");
    }
}

#[test]
fn only_what_the_file_says_is_a_fault_of_the_file() {
    let why = |kind| Left::of("a.md", &Problem::new(kind, "told"), None).why;
    for kind in [Kind::Invalid, Kind::Malformed] {
        assert_eq!(why(kind), Why::Fault);
    }
    for kind in [Kind::Conflict, Kind::Internal, Kind::Unavailable] {
        assert_eq!(why(kind), Why::Later);
    }
}

#[tokio::test]
async fn the_newsroom_is_told_once_of_each_reason() {
    let world = World::new();
    world.file("science/a.md", "First", "");
    let mut memory = Memory::default();
    let newsroom = world.sources.newsroom.load_full();
    let survey = Survey::of(&newsroom);
    let place = Place { category: Slug::parse("slug", "science").expect("a slug"), name: "a.md".into() };
    let looks = survey.looks(&place).expect("it is there");
    let mut is_told = |told: &str| {
        let left = Left { why: Why::Later, told: told.into(), claims: None };
        memory.note(place.clone(), looks, left)
    };
    assert_eq!(["busy", "busy", "full", "full"].map(&mut is_told), [true, false, true, false]);
}

#[tokio::test]
async fn a_folder_that_takes_the_place_of_another_is_watched() {
    /// An event comes within milliseconds; this is only so that a failure ends.
    const EVENT_MAX: Duration = Duration::from_secs(20);
    let world = World::new();
    let mut watched = Watched::default();
    assert!(watched.follow(&world.sources.newsroom, &Arc::default()), "at the start");
    assert!(!watched.follow(&world.sources.newsroom, &Arc::default()), "they are the same");
    world.rename("science", "before");
    assert!(watched.follow(&world.sources.newsroom, &Arc::default()), "one is gone");
    std::fs::create_dir(world.path("science")).expect("writable");
    // A hint of its own, which nothing has rung before.
    let hint = Arc::default();
    assert!(watched.follow(&world.sources.newsroom, &hint), "there is another");
    world.file("science/a.md", "New", "");
    tokio::time::timeout(EVENT_MAX, hint.notified()).await.expect("it is watched");
}
