//! How much disk a store takes. Figures, not promises: run by name, with `--ignored --nocapture`, in a release build.

use super::Dice;
use std::path::Path;
use std::time::Instant;
use tidings::domain::{Article, ArticleId, Body, Content, ExternalId, Slug, State, Time};
use tidings::store::{Batch, Store, check, export, wait};

/// Words by how common they are in English; those of a subject are drawn for each article anew.
const COMMON: &str = "the of and to in a is that for it as was with be by on not he his but at are this have from or \
    had an they which one you were her all she there would their we him been has when who will no more if out so said \
    what up its about into than them can only other new some could time these two may then do first any my now such \
    like our over man me even most made after also did many before must through years where much your way well down \
    should because each just those people how too little state good very make world still own see men work long get \
    here between both life being under never day same another know while last might us great old year off come since \
    against go came right used take three";
const SUBJECTS: &str = "council budget minister harbour railway hospital teacher election court verdict festival \
    orchestra striker penalty season vaccine laboratory telescope satellite glacier drought harvest refinery pipeline \
    tariff inflation mortgage tenant landlord strike union bridge tunnel airport ferry museum archive excavation \
    parliament committee amendment petition referendum coalition opposition spokesman prosecutor inquiry witness \
    regulator merger shareholder startup algorithm battery turbine reactor emission wildfire flood earthquake storm \
    rescue coastguard firefighter detective burglary smuggling sanction embassy ceasefire refugee border treaty summit";

struct Writer {
    dice: Dice,
    common: Vec<&'static str>,
    subjects: Vec<&'static str>,
}

impl Writer {
    fn sentence(&mut self, own: &[String]) -> String {
        let mut words = Vec::new();
        for _ in 0..8 + self.dice.roll(16) {
            words.push(match self.dice.roll(10) {
                0..5 => {
                    // The commoner of two draws, so that the head of the list prevails.
                    let at = self.dice.roll(self.common.len()).min(self.dice.roll(self.common.len()));
                    self.common[at].to_owned()
                }
                5..7 => self.subjects[self.dice.roll(self.subjects.len())].to_owned(),
                7 => format!("{}ing", self.subjects[self.dice.roll(self.subjects.len())]),
                _ => own[self.dice.roll(own.len())].clone(),
            });
        }
        let mut text = words.join(" ");
        text[..1].make_ascii_uppercase();
        text + "."
    }

    fn article(&mut self, n: usize) -> Article {
        // Names and figures that only this article has.
        let own: Vec<String> = (0..12)
            .map(|_| {
                let syllables = ["ka", "ro", "men", "ti", "sal", "vor", "en", "dra", "lu", "bek", "ost", "ny", "fer"];
                let mut name: String = (0..2 + self.dice.roll(2)).map(|_| syllables[self.dice.roll(13)]).collect();
                name[..1].make_ascii_uppercase();
                if self.dice.roll(4) == 0 { format!("{}", self.dice.roll(90_000)) } else { name }
            })
            .collect();
        let mut markdown = String::new();
        let mut html = String::new();
        let length = 500 + self.dice.roll(900);
        while markdown.len() < length {
            let paragraph = (0..2 + self.dice.roll(3)).map(|_| self.sentence(&own)).collect::<Vec<_>>().join(" ");
            html.push_str(&format!("<p>{paragraph}</p>\n"));
            markdown.push_str(&paragraph);
            markdown.push_str("\n\n");
        }
        let at = Time::from_timestamp_millis(1_600_000_000_000 + i64::try_from(n).unwrap() * 300_000).unwrap();
        let categories = ["economy", "science", "sport", "world"].iter().skip(self.dice.roll(4)).take(2);
        Article {
            id: ArticleId::mint(),
            external_id: ExternalId::parse("external_id", &format!("cms-{n}")).ok(),
            revision: 1,
            state: State::Published,
            created_at: at,
            published_at: Some(at),
            updated_at: at,
            first_public_at: Some(at),
            content: Content {
                categories: categories.map(|slug| Slug::parse("c", slug).unwrap()).collect(),
                title: self.sentence(&own),
                summary: Some(self.sentence(&own)),
                body: Some(Body { html, markdown: Some(markdown) }),
                url: None,
                authors: vec![own[0].clone()],
                tags: own[..3].to_vec(),
                language: None,
            },
        }
    }
}

fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|e| if e.path().is_dir() { disk_bytes(&e.path()) } else { e.metadata().unwrap().blocks() * 512 }).sum()
}

fn write(store: &Store, articles: &[Article], is_new: bool) {
    let mut commits = Vec::new();
    for article in articles {
        let mut batch = Batch::default();
        let old = if is_new { None } else { store.article(&article.id).unwrap() };
        store.write_article(&mut batch, old.as_ref(), article);
        let kind = if is_new { tidings::domain::ChangeKind::Published } else { tidings::domain::ChangeKind::Revised };
        let (id, categories) = (article.id.clone(), article.content.categories.clone());
        let (revision, at) = (article.revision, article.updated_at);
        store.log(&mut batch, &tidings::domain::Change { kind, article: id, revision, at, categories });
        commits.push(batch);
    }
    // Sixty-four callers at once: what a bulk load by the API looks like.
    let queue = std::sync::Mutex::new(commits);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                while let Some(batch) = { queue.lock().unwrap().pop() } {
                    wait(store.commit(batch)).unwrap();
                }
            });
        }
    });
}

#[test]
#[ignore = "measures; takes a minute"]
#[expect(clippy::print_stdout, reason = "its result is the figures")]
fn figures_of_twenty_thousand_articles() {
    let count = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let split = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
    let mut writer = Writer { dice: Dice(5), common: split(COMMON), subjects: split(SUBJECTS) };
    let mut articles: Vec<Article> = (0..count).map(|n| writer.article(n)).collect();
    let raw = |articles: &[Article]| -> usize {
        articles.iter().map(|article| serde_json::to_vec(article).unwrap().len()).sum()
    };
    let raw_bytes = raw(&articles);
    println!("raw: {} bytes an article, {:.1} MB in all", raw_bytes / count, raw_bytes as f64 / 1e6);
    let told = |what: &str, since: Instant| {
        let bytes = disk_bytes(folder.path());
        let ratio = bytes as f64 / raw_bytes as f64;
        println!(
            "{what}: {:.2} s; {:.1} MB on disk, {ratio:.2} of raw",
            since.elapsed().as_secs_f64(),
            bytes as f64 / 1e6
        );
    };
    let at = Instant::now();
    let store = Store::open(folder.path()).unwrap();
    write(&store, &articles, true);
    told("loaded", at);
    drop(store);
    let at = Instant::now();
    let store = Store::open(folder.path()).unwrap();
    told("opened for the first time", at);
    let mut revised: Vec<Article> = Vec::new();
    for article in articles.iter_mut().filter(|_| writer.dice.roll(10) < 3) {
        article.revision = 2;
        article.content.title.push_str(" (updated)");
        if let Some(body) = &mut article.content.body {
            body.html.push_str("<p>This article was updated.</p>");
        }
        revised.push(article.clone());
    }
    let at = Instant::now();
    write(&store, &revised, false);
    told("30 % revised", at);
    let at = Instant::now();
    let report = check(&store);
    assert!(report.is_clean());
    told("checked", at);
    let at = Instant::now();
    let mut out = Vec::new();
    export(&store, &mut out).unwrap();
    told(&format!("exported ({:.1} MB)", out.len() as f64 / 1e6), at);
    drop(store);
    let at = Instant::now();
    let _store = Store::open(folder.path()).unwrap();
    told("opened again", at);
}
