//! Each feed is read back by a parser that is not its writer, and by the check.

mod hostile;
mod modules;

use super::*;
use crate::domain::{ArticleId, Body, Category, Content, Slug};
use chrono::{TimeZone, Utc};
use url::Url;

fn at(hour: u32) -> Time {
    Utc.with_ymd_and_hms(2020, 12, 18, hour, 3, 0).single().expect("valid")
}

fn site(print_line: bool) -> Site {
    Site {
        icon: None,
        logo: None,
        accent_color: None,
        title: "Daily News".to_owned(),
        description: "All of it".to_owned(),
        language: "en".to_owned(),
        base_url: Url::parse("https://news.example/").expect("valid"),
        print_line,
    }
}

fn categories() -> Categories {
    let category = |slug: &str, title: &str, language: &str| Category {
        slug: Slug::parse("slug", slug).expect("valid"),
        title: title.to_owned(),
        description: "About it".to_owned(),
        language: language.to_owned(),
        articles: None,
        zone: jiff::tz::TimeZone::UTC,
        limit: 20,
    };
    Categories::new(vec![category("science", "Science & Space", "en"), category("nauka", "Наука", "ru")])
}

fn article(id: &str, category: &str, title: &str, body: Option<&str>) -> Article {
    let content = Content {
        categories: vec![Slug::parse("slug", category).expect("valid")],
        title: title.to_owned(),
        body: body.map(|html| Body { html: html.to_owned(), markdown: None }),
        ..Content::default()
    };
    let published = Article::published(ArticleId::parse("id", id).expect("valid"), at(12), content);
    Article { created_at: at(10), updated_at: at(13), ..published }
}

fn document(format: Format, items: Vec<Item>) -> Document {
    Document {
        links: Links::default(),
        is_archive: false,
        tombstones: Vec::new(),
        ttl_min: None,
        icon: None,
        logo: None,
        accent_color: None,
        uses: Uses::default(),
        title: "Science & Space".to_owned(),
        description: "What is <new>".to_owned(),
        language: "en".to_owned(),
        id: "https://news.example/science/atom.xml".to_owned(),
        home: "https://news.example/science".to_owned(),
        self_url: format!("https://news.example/science/{}", format.file_name()),
        hub: None,
        updated: at(14),
        items,
    }
}

/// A full article, one in another language whose summary was written and whose id is foreign, and a bare headline.
fn three_items(print_line: bool) -> Vec<Item> {
    let body = "<p>Tea &amp; <b>cake</b> ]]&gt; <a href=\"https://a.example/?a=1&amp;b=2\">here</a>.</p>";
    let mut full =
        article("0190c0de-0000-7000-8000-000000000001", "science", "A <b>\"fine\"</b> & 'odd' title", Some(body));
    full.content.authors = vec!["Ann Lee".to_owned(), "Bo".to_owned()];
    full.content.tags = vec!["space".to_owned(), "Science & Space".to_owned()];
    let mut russian = article("42", "nauka", "Заголовок", Some("<p>Текст.</p>"));
    russian.content.summary = Some("Кратко: 1 < 2".to_owned());
    russian.content.url = Some(Url::parse("https://cms.example/s?a=1&b=2").expect("valid"));
    let headline = article("https://old.example/?p=12", "science", "Headline", None);
    [full, russian, headline].iter().map(|article| Item::new(article, &site(print_line), &categories())).collect()
}

fn written(format: Format, items: Vec<Item>) -> String {
    String::from_utf8(write(format, &document(format, items)).expect("passes")).expect("UTF-8")
}

#[test]
fn an_item_derives_its_summary_and_ends_in_a_print_line_in_its_language() {
    let items = three_items(true);
    assert_eq!(items[0].summary.as_deref(), Some("Tea & cake ]]> here."));
    assert!(items[0].html.as_deref().is_some_and(|html| html.ends_with(
        "<p><a href=\"https://news.example/articles/0190c0de-0000-7000-8000-000000000001/print\">Print</a></p>"
    )));
    assert!(items[1].html.as_deref().is_some_and(|html| html.ends_with("/articles/42/print\">Печать</a></p>")));
    assert_eq!(items[2].summary, None);
    assert_eq!(
        items[2].html.as_deref(),
        Some("<p><a href=\"https://news.example/articles/https%3A%2F%2Fold.example%2F%3Fp%3D12/print\">Print</a></p>")
    );
    assert_eq!(three_items(false)[2].html, None);
}

/// Lines in the snapshots, so that a change can be seen; the feed itself has none.
fn lines(xml: &str) -> String {
    xml.replace("><", ">\n<")
}

#[test]
fn rss_as_it_is_written() {
    insta::assert_snapshot!("rss", lines(&written(Format::Rss, three_items(true))));
}

#[test]
fn atom_as_it_is_written() {
    insta::assert_snapshot!("atom", lines(&written(Format::Atom, three_items(true))));
}

#[test]
fn json_feed_as_it_is_written() {
    insta::assert_snapshot!("json", written(Format::Json, three_items(true)).replace(",\"", ",\n\""));
}

#[test]
fn a_feed_without_the_place_of_its_hub_is_the_feed_that_names_none() {
    for format in Format::ALL {
        for count in 0..=3 {
            let silent = document(format, three_items(true).split_off(3 - count));
            let named = Document { hub: Some("https://hub.example/?a=1&b=2".to_owned()), ..silent.clone() };
            let mut frame = pieces::Frame::new(format, named.clone()).expect("passes");
            let items: Vec<_> = named.items.iter().map(|item| frame.item(item.clone()).expect("passes")).collect();
            let items: Vec<_> = items.iter().collect();
            let (joined, places) = frame.join(&items).unwrap();
            assert_eq!(joined, write(format, &named).expect("passes"), "{format:?} {count}");
            let hub = frame.hub(&items).unwrap().expect("it is named");
            assert!(places.iter().all(|place| place.start >= hub.end), "{format:?} {count}");
            let without = [&joined[..hub.start], &joined[hub.end..]].concat();
            assert_eq!(without, write(format, &silent).expect("passes"), "{format:?} {count}");
        }
    }
}

#[test]
fn pieces_joined_are_the_whole() {
    for format in Format::ALL {
        for count in 0..=3 {
            let items = three_items(true).split_off(3 - count);
            let mut frame = pieces::Frame::new(format, document(format, Vec::new())).expect("passes");
            let written: Vec<_> = items.iter().map(|item| frame.item(item.clone()).expect("passes")).collect();
            let (joined, places) = frame.join(&written.iter().collect::<Vec<_>>()).unwrap();
            assert_eq!(joined, write(format, &document(format, items)).expect("passes"), "{format:?} {count}");
            assert_eq!(frame.hub(&written.iter().collect::<Vec<_>>()).unwrap(), None);
            let cut: Vec<_> = places.into_iter().map(|place| joined[place].to_vec()).collect();
            assert_eq!(cut, written.iter().map(|piece| piece.bytes.to_vec()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_is_wrong_with_the_frame_is_told_with_and_without_items() {
    for format in Format::ALL {
        let nameless = || Document { title: String::new(), ..document(format, Vec::new()) };
        let frame = || pieces::Frame::new(format, nameless()).expect("it can be written");
        assert!(frame().check().is_err(), "{format:?}");
        assert!(frame().join(&[]).is_err(), "{format:?}");
        assert!(frame().item(three_items(true).remove(0)).is_err(), "{format:?}");
        let good = pieces::Frame::new(format, document(format, Vec::new())).expect("it can be written");
        let piece = good.clone().item(three_items(true).remove(0)).expect("passes");
        assert!(frame().join(&[&piece]).is_err(), "{format:?}: an item that was checked elsewhere does not hide it");
        assert!(good.clone().check().is_ok());
    }
}

#[test]
fn another_parser_reads_what_was_meant() {
    for format in Format::ALL {
        for print_line in [true, false] {
            let items = three_items(print_line);
            let feed = feed_rs::parser::parse(written(format, items.clone()).as_bytes()).expect("parses");
            assert_eq!(feed.entries.len(), 3, "{format:?}");
            assert_eq!(feed.title.expect("there").content, "Science & Space");
            for (entry, item) in feed.entries.iter().zip(&items) {
                assert_eq!(entry.title.as_ref().map(|title| title.content.as_str()), Some(item.title.as_str()));
                assert!(entry.links.iter().any(|link| link.href == item.link), "{format:?}: {:?}", entry.links);
                assert_eq!(entry.published, Some(item.published));
                let id = if format == Format::Atom { &item.iri } else { &item.guid };
                assert_eq!(&entry.id, id);
            }
            let names = feed.entries[0].authors.iter().filter_map(|person| person.name.as_deref()).collect::<Vec<_>>();
            assert_eq!(names, ["Ann Lee", "Bo"], "{format:?}");
        }
    }
}

#[test]
fn an_empty_feed_is_a_feed() {
    for format in Format::ALL {
        let feed = feed_rs::parser::parse(written(format, vec![]).as_bytes()).expect("parses");
        assert_eq!(feed.entries.len(), 0);
    }
}

#[test]
fn file_names_and_formats_are_one_to_one() {
    for format in Format::ALL {
        assert_eq!(Format::from_file_name(format.file_name()), Some(format));
    }
    assert_eq!(Format::from_file_name("index.html"), None);
}

#[test]
fn a_feed_that_a_reader_would_refuse_is_not_written() {
    type Breaks = fn(&mut Document);
    let broken: [(&str, Breaks); 7] = [
        ("self", |document| document.self_url = "/rss.xml".to_owned()),
        ("title", |document| document.title = " \u{0} ".to_owned()),
        ("link", |document| document.items[1].link = "/relative".to_owned()),
        ("print", |document| document.items[1].print = "print".to_owned()),
        ("id", |document| {
            document.items[1].guid = document.items[0].guid.clone();
            document.items[1].iri = document.items[0].iri.clone();
        }),
        ("date", |document| document.items[0].published = Utc.timestamp_millis_opt(300_000_000_000_000).unwrap()),
        ("no id", |document| {
            document.items[1].guid.clear();
            document.items[1].iri.clear();
        }),
    ];
    for format in Format::ALL {
        for (name, breaks) in broken {
            let mut document = document(format, three_items(true));
            breaks(&mut document);
            let fault = write(format, &document).expect_err(name);
            assert!(fault.field.starts_with(match format {
                Format::Rss => "rss",
                Format::Atom => "atom",
                Format::Json => "json",
            }));
        }
    }
}

#[test]
fn bytes_that_were_spoilt_do_not_pass() {
    for format in Format::ALL {
        let good = written(format, three_items(true));
        let self_url = document(format, vec![]).self_url;
        let check = |text: &str| check::check(format, text.as_bytes(), &self_url);
        assert_eq!(check(&good), Ok(()));
        let cut = &good[..good.char_indices().nth(good.chars().count() / 2).map_or(0, |(at, _)| at)];
        assert!(check(cut).is_err(), "{format:?} cut off");
        assert!(check(&good.replacen("Headline", "Head\u{1}line", 1)).is_err(), "{format:?} control character");
        assert!(check(&good.replace(&self_url, "https://elsewhere.example/")).is_err(), "{format:?} another self");
        if format != Format::Json {
            assert!(check(&good.replacen("Headline", "Head&#x1;line", 1)).is_err(), "{format:?} forbidden reference");
            assert!(check(&good.replacen("Headline", "Head & line", 1)).is_err(), "{format:?} bare ampersand");
            assert!(check(&good.replacen("</title>", "</titel>", 1)).is_err(), "{format:?} wrong end tag");
        }
    }
    let good = written(Format::Rss, three_items(true));
    let self_url = document(Format::Rss, vec![]).self_url;
    let empty = written(Format::Rss, vec![]).replace(" xmlns:atom=\"http://www.w3.org/2005/Atom\"", "");
    assert!(check::check(Format::Rss, empty.as_bytes(), &self_url).is_err(), "undeclared in the channel");
    for (from, to) in [
        (" xmlns:atom=\"http://www.w3.org/2005/Atom\"", ""),
        (" isPermaLink=\"false\"", ""),
        ("Fri, 18 Dec 2020 12:03", "Sat, 18 Dec 2020 12:03"),
        ("Fri, 18 Dec 2020 12:03", "Fri, 18 Dec 20 12:03"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(check::check(Format::Rss, good.replacen(from, to, 1).as_bytes(), &self_url).is_err(), "{from}");
    }
}
