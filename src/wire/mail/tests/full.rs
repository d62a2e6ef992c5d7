//! Notices with the whole text.

use super::*;
use crate::config::MailText;
use crate::domain::Body;

/// A notice of an article with this text, or a correction of it, as bytes.
fn with_body(html: &str, correction: Option<Correction<'_>>, templates: Option<&Arc<Templates>>) -> Vec<u8> {
    let (site, from, mut article) = (site("The News"), sender("N"), article("Rail link opens"));
    article.content.summary = Some("In short.".into());
    article.content.body = Some(Body { html: html.into(), markdown: None });
    let to = Address::parse("to", "reader@example.com").unwrap();
    let mut frame = frame(&site, &from, &to);
    frame.templates = templates.unwrap_or(frame.templates);
    let said = Said::of(&article.content, MailText::Full);
    let told = Notice { article: &article, said: &said, list: None, wanted: "all", leave: "T0ken_-", correction };
    notice(&frame, &told).unwrap()
}

fn parts_of(bytes: &[u8]) -> (String, String) {
    let mail = MessageParser::new().parse(bytes).unwrap();
    (mail.body_text(0).unwrap().replace("\r\n", "\n"), mail.body_html(0).unwrap().replace("\r\n", "\n"))
}

#[test]
fn the_whole_text_reads_well_in_both_parts_and_nothing_in_it_is_fetched() {
    let html = "<p>The first train left at <b>noon</b>. <a href=\"https://rail.example/t\">Timetable</a></p>\
                <p><img src=\"https://news.example.org/train.jpg\" alt=\"A train\"></p><ul><li>One</li><li>Two</li></ul>";
    let wrong = Correction { note: Some("It was noon."), thread: "a.b@c" };
    for correction in [None, Some(wrong)] {
        let (text, seen) = parts_of(&with_body(html, correction, None));
        for part in [
            "The first train left at noon. [Timetable][1]",
            "* One\n* Two\n",
            "[1]: https://rail.example/t\n",
            "Read it: https://news.example.org/articles/a%2F1/rail-link-opens\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let picture = "<a href=\"https://news.example.org/train.jpg\">A train</a>";
        for part in ["at <b>noon</b>. <a href=\"https://rail.example/t\">", picture, "<li>One</li>"] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
        for (part, other) in [(&text, "In short."), (&seen, "In short."), (&text, "The rest"), (&seen, "The rest")] {
            assert!(!part.contains(other), "{other} in {part}");
        }
        assert!(!seen.contains("<img") && !seen.contains("src="), "{seen}");
    }
}

#[test]
fn the_longest_text_is_cut_with_a_way_to_the_rest_before_it_is_clipped() {
    let own = crate::config::TemplateFile {
        name: "notice.html".into(),
        shown: "own/notice.html".into(),
        text: format!(
            "<p>{}</p>{{{{ summary }}}}{{{{ html_body }}}}<a href=\"{{{{ leave }}}}\">x</a>",
            "own ".repeat(5_000)
        ),
    };
    let own = Arc::new(Templates::with(&[own]).unwrap());
    for word in ["science ", "наука ", "\"&lt;&amp; = ", "🗞 ", "新"] {
        for html in [format!("<p>{}</p>", word.repeat(100)).repeat(400), format!("<p>{}</p>", word.repeat(40_000))] {
            for (templates, least) in [(None, 80_000), (Some(&own), 60_000)] {
                let bytes = with_body(&html, None, templates);
                let raw = std::str::from_utf8(&bytes).unwrap();
                let (_, sent) = raw.split_once("Content-Type: text/html").unwrap();
                assert!((least..HTML_BYTES_MAX).contains(&sent.len()), "{word}: {} bytes as encoded", sent.len());
                let (text, seen) = parts_of(&bytes);
                assert!(seen.contains("/subscriptions/T0ken_-"), "{word}");
                let rest = "The rest of it: https://news.example.org/articles/a%2F1/rail-link-opens\n";
                assert!(text.contains(rest) && text.len() < 2 * HTML_BYTES_MAX, "{word}");
                let is_own = templates.is_some();
                assert_eq!(seen.contains("rail-link-opens\">The rest of it</a>"), !is_own, "{word}");
            }
        }
    }
}

#[test]
fn what_is_too_long_only_as_it_is_encoded_is_cut_as_well() {
    let html = format!("<p>{}</p>", "наука ".repeat(100)).repeat(50);
    assert!(html.len() < 60_000);
    for (html, is_cut) in [(html, true), ("<p>наука</p>".to_owned(), false)] {
        let (text, seen) = parts_of(&with_body(&html, None, None));
        assert_eq!((text.contains("The rest of it:"), seen.contains(">The rest of it</a>")), (is_cut, is_cut));
    }
}

#[test]
fn where_there_is_no_text_or_no_room_for_it_the_summary_is_told() {
    for blank in ["", "<p> </p>", "<p><br></p>"] {
        let (text, seen) = parts_of(&with_body(blank, None, None));
        assert!(text.contains("In short.") && seen.contains("<p lang=\"ru\">In short.</p>"), "{seen}");
    }
    let own = crate::config::TemplateFile {
        name: "notice.html".into(),
        shown: "own/notice.html".into(),
        text: format!(
            "{}{{% if html_body %}}{{{{ html_body }}}}{{% else %}}{{{{ summary }}}}{{% endif %}}<a href=\"{{{{ leave }}}}\">x</a>",
            "x".repeat(94_500)
        ),
    };
    let own = Arc::new(Templates::with(&[own]).unwrap());
    let (text, seen) = parts_of(&with_body("<p>All of it.</p>", None, Some(&own)));
    assert!(text.contains("In short.") && seen.contains("xIn short.") && !seen.contains("All of it."), "{text}");
}
