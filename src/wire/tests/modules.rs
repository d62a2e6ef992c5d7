//! What stands beside an article's text: pictures, comments, where it came from.

use super::*;

pub(super) fn address(text: &str) -> Url {
    Url::parse(text).expect("valid")
}

pub(super) fn picture() -> Medium {
    Medium {
        url: address("https://paper.example/a.jpg?x=1&y=2"),
        media_type: "image/jpeg".into(),
        bytes: Some(12_345),
        width: Some(640),
        height: Some(480),
        alt: Some("A <rocket> & its \"crew\"".into()),
        credit: Some("A. Ivanov".into()),
    }
}

/// An item with everything that the modules are for, and one with nothing of it.
fn rich_and_poor() -> [Item; 2] {
    let mut items = three_items(true);
    let mut rich = items.remove(0);
    let audio = Medium {
        url: address("https://paper.example/b.mp3"),
        media_type: "audio/mpeg".into(),
        bytes: None,
        width: None,
        height: None,
        alt: None,
        credit: None,
    };
    rich.media = vec![audio, picture()];
    rich.comments = Some(Comments {
        url: address("https://paper.example/story#comments"),
        feed: Some(address("https://paper.example/story/comments.xml")),
        count: Some(7),
    });
    rich.source = Some(Origin { title: "Other & Sons".into(), feed: address("https://other.example/feed?a=1&b=2") });
    let poor = Item {
        authors: vec![],
        summary: None,
        language: None,
        guid: "poor".into(),
        iri: "urn:poor".into(),
        ..items.remove(0)
    };
    [rich, poor]
}

#[test]
fn pictures_and_comments_stand_in_the_elements_that_readers_know() {
    let [rich, _] = rich_and_poor();
    let text = |format| written(format, vec![rich.clone()]);
    let rss = text(Format::Rss);
    for expected in [
        "<enclosure url=\"https://paper.example/a.jpg?x=1&#x26;y=2\" length=\"12345\" type=\"image/jpeg\"",
        "<media:content fileSize=\"12345\" height=\"480\" medium=\"image\" type=\"image/jpeg\" url=",
        "<media:description type=\"plain\">A &#x3C;rocket&#x3E; &#x26; its ",
        "<media:credit>A. Ivanov</media:credit>",
        "<comments>https://paper.example/story#comments</comments>",
        "<slash:comments>7</slash:comments>",
        "<wfw:commentRss>https://paper.example/story/comments.xml</wfw:commentRss>",
        "<source url=\"https://other.example/feed?a=1&#x26;b=2\">Other &#x26; Sons</source>",
    ] {
        assert!(rss.contains(expected), "no {expected} in {rss}");
    }
    assert_eq!(rss.matches("<enclosure").count(), 1);
    let atom = text(Format::Atom);
    for expected in [
        "rel=\"enclosure\"",
        "length=\"12345\"",
        "rel=\"replies\"",
        "<thr:total>7</thr:total>",
        "<source>",
        "<media:credit>",
    ] {
        assert!(atom.contains(expected), "no {expected} in {atom}");
    }
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json)).expect("JSON");
    let item = &json["items"][0];
    assert_eq!(item["image"], "https://paper.example/a.jpg?x=1&y=2");
    assert_eq!(item["attachments"][1]["size_in_bytes"], 12_345);
    assert_eq!(
        (&item["_tidings"]["comments"]["count"], &item["_tidings"]["source"]["title"]),
        (&7.into(), &"Other & Sons".into())
    );
    for format in [Format::Rss, Format::Atom] {
        let feed = feed_rs::parser::parse(text(format).as_bytes()).expect("parses");
        let media = &feed.entries[0].media;
        let found = media.iter().flat_map(|media| &media.content).find(|content| content.width == Some(640));
        let found = found.unwrap_or_else(|| panic!("{format:?}: {media:?}"));
        assert_eq!((found.height, found.size), (Some(480), Some(12_345)), "{format:?}");
    }
}

#[test]
fn a_module_is_declared_only_where_it_is_used() {
    let [rich, poor] = rich_and_poor();
    let all = ["xmlns:content", "xmlns:dc", "xmlns:media", "xmlns:slash", "xmlns:wfw", "xmlns:thr"];
    for (format, of_rich) in [(Format::Rss, &all[..5]), (Format::Atom, &["xmlns:media", "xmlns:thr"][..])] {
        let declared = |items: Vec<Item>| {
            let text = written(format, items);
            all.into_iter().filter(|name| text.contains(name)).collect::<Vec<_>>()
        };
        assert_eq!(declared(vec![poor.clone()]), [""; 0], "{format:?}");
        assert_eq!(declared(vec![]), [""; 0], "{format:?}");
        assert_eq!(declared(vec![poor.clone(), rich.clone()]), of_rich, "{format:?}");
        let without = |count: Option<u32>, feed: Option<Url>| {
            let comments = Some(Comments { url: address("https://paper.example/story#comments"), feed, count });
            declared(vec![Item { comments, ..poor.clone() }])
        };
        let feed = || Some(address("https://paper.example/story/comments.xml"));
        let (of_count, of_feed) = match format {
            Format::Rss => (&["xmlns:slash"][..], &["xmlns:wfw"][..]),
            Format::Atom | Format::Json => (&["xmlns:thr"][..], &[][..]),
        };
        assert_eq!(without(Some(7), None), of_count, "{format:?}");
        assert_eq!(without(None, feed()), of_feed, "{format:?}");
        // Put together from pieces, each written in another frame, it is the same.
        let mut frame = pieces::Frame::new(format, document(format, vec![])).expect("passes");
        let pieces = [poor.clone(), rich.clone()].map(|item| frame.item(item).expect("passes"));
        let whole = write(format, &document(format, vec![poor.clone(), rich.clone()])).expect("passes");
        assert_eq!(frame.join(&[&pieces[0], &pieces[1]]).expect("passes").0, whole);
    }
}

#[test]
fn a_feed_brings_its_looks_where_it_has_any() {
    let own = |format| Document {
        icon: Some("https://news.example/icon.png".into()),
        logo: Some("https://news.example/logo.png".into()),
        accent_color: Some("#aa0011".into()),
        ..document(format, three_items(true))
    };
    let text =
        |document: &Document, format| String::from_utf8(write(format, document).expect("passes")).expect("UTF-8");
    let rss = text(&own(Format::Rss), Format::Rss);
    for expected in [
        "xmlns:webfeeds=\"http://webfeeds.org/rss/1.0\"",
        "<webfeeds:icon>https://news.example/icon.png</webfeeds:icon>",
        "<webfeeds:logo>https://news.example/logo.png</webfeeds:logo>",
        "<webfeeds:accentColor>aa0011</webfeeds:accentColor>",
        "<image><url>https://news.example/logo.png</url>",
    ] {
        assert!(rss.contains(expected), "no {expected} in {rss}");
    }
    let atom = text(&own(Format::Atom), Format::Atom);
    for expected in ["<icon>https://news.example/icon.png</icon>", "<logo>https://news.example/logo.png</logo>"] {
        assert!(atom.contains(expected), "no {expected} in {atom}");
    }
    let plain = text(&document(Format::Rss, three_items(true)), Format::Rss);
    for module in ["webfeeds", "xmlns:sy", "xmlns:fh"] {
        assert!(!plain.contains(module), "{module} in {plain}");
    }
    let daily = Document { ttl_min: Some(1_440), ..document(Format::Rss, three_items(true)) };
    let daily = text(&daily, Format::Rss);
    assert!(daily.contains("xmlns:sy") && daily.contains("<ttl>1440</ttl>"), "{daily}");
}
