//! Text that no feed may break on.

use super::modules::{address, picture};
use super::*;
use proptest::prelude::*;

fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "]]>",
            "<![CDATA[",
            "<!--",
            "-->",
            "&",
            "&amp;",
            "&#0;",
            "&#x26;",
            "<b>",
            "</title>",
            "<?xml",
            "\"",
            "'",
            "\u{202e}",
            "\u{200f}",
            "😀",
            "\u{10ffff}",
            "\u{fffe}",
            "\u{0}",
            "\u{b}",
            "\u{1b}",
            "\u{7f}",
            "\u{85}",
            "\u{feff}",
            "\r\n",
            "\t",
            "é",
            "中",
            "{}",
            "\\u0000",
            "\\",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[a-z ]{1,12}",
        Just("x".repeat(10_000)),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_text_is_the_feed_can_be_read(
        title in hostile(), summary in hostile(), html in hostile(), author in hostile(), tag in hostile(), words in hostile(),
        is_clean in any::<bool>(),
    ) {
        let mut item = three_items(true).remove(0);
        // The door cleans HTML; a writer must cope with what did not come by the door as well.
        let base = Url::parse("https://news.example/").expect("valid");
        item.html = Some(if is_clean { html::sanitise(&html, &base) } else { html });
        item.title = title;
        item.summary = Some(summary);
        item.authors = vec![author];
        item.tags = vec![tag];
        item.media = vec![Medium { alt: Some(words.clone()), credit: Some(format!("© {words}")), ..picture() }];
        item.source = Some(Origin { title: words.clone(), feed: address("https://other.example/feed?a=1&b=2") });
        let expected = clean_line(&item.title);
        let iri = "https://old.example/?p=12&q='x'".to_owned();
        for format in Format::ALL {
            let mut document = document(format, vec![item.clone()]);
            document.description = format!("d{words}");
            document.title = format!("t{words}");
            document.tombstones = vec![Tombstone { guid: words.clone(), iri: iri.clone(), at: at(14) }];
            let bytes = write(format, &document).expect("passes");
            prop_assert_eq!(&bytes, &write(format, &document).expect("passes"), "the same each time");
            let feed = feed_rs::parser::parse(bytes.as_slice()).expect("parses");
            if !expected.is_empty() {
                let found = feed.entries[0].title.as_ref().map(|title| clean_line(&title.content));
                prop_assert_eq!(found.as_deref(), Some(expected.as_str()), "{:?}", format);
            }
        }
    }
}
