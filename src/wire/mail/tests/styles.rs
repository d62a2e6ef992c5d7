//! Style sheets of a newsroom's own templates.

use super::*;

fn own(text: String) -> Arc<Templates> {
    let file = crate::config::TemplateFile { name: "notice.html".into(), shown: "own/notice.html".into(), text };
    Arc::new(Templates::with(&[file]).unwrap())
}

/// The HTML part of a notice by this template, and as it is encoded.
fn shown(templates: &Arc<Templates>, summary: &str, leave: &str) -> (String, Vec<u8>) {
    let (site, from, article) = (site("The News"), sender("N"), article("T"));
    let to = Address::parse("to", "reader@example.com").unwrap();
    let said = in_short(summary);
    let told = Notice { article: &article, said: &said, list: None, wanted: "all", leave, correction: None };
    let bytes = notice(&Frame { templates, ..frame(&site, &from, &to) }, &told).unwrap();
    let mail = MessageParser::new().parse(&bytes).unwrap();
    (mail.body_html(0).unwrap().into_owned(), bytes)
}

const SHEET: &str = "<style>p { color: #333; margin: 0 } .lead > a { color: red }\n@media (max-width: 30em) { p { color: blue } }</style>";

#[test]
fn a_style_sheet_is_written_into_the_elements_and_what_cannot_be_stays() {
    let body = "<body><p class=\"lead\" style=\"margin: 1em\">{{ summary }} <a href=\"{{ leave }}\">x</a></p></body>";
    let templates = own(format!("<!DOCTYPE html><html><head>{SHEET}</head>{body}</html>"));
    let (html, _) = shown(&templates, "A & <B>", "T0ken_-");
    let (head, body) = html.split_once("<body>").unwrap();
    assert!(body.contains("style=\"color: #333;margin: 1em\">A &amp; &lt;B&gt; <a "), "{body}");
    assert!(body.contains("/subscriptions/T0ken_-\"") && body.contains(" style=\"color: red;\">x</a>"), "{body}");
    assert!(head.contains("@media (max-width: 30em)") && !head.contains("#333"), "{head}");
    // The mail is still one form for all who get it.
    let form = Arc::new(Form::of("T0ken_-", |leave| Ok(shown(&templates, "A", leave).1)).unwrap());
    let to = Address::parse("to", "reader@example.com").unwrap();
    let site = site("The News");
    let id = message_id("c.1", &site);
    let own = Own { date: Time::UNIX_EPOCH, to: &to, id: &id, leave: "0ther-_", thread: "" };
    assert_eq!(form.fill(&own).unwrap().into_bytes(), shown(&templates, "A", "0ther-_").1);
}

#[test]
fn a_sheet_that_would_make_the_mail_too_long_or_is_none_costs_nobody_the_link_to_leave() {
    let link = "<a href=\"{{ leave }}\">x</a>";
    let many = "<p>{{ title }}</p>".repeat(3_000);
    for text in [
        format!("<html><head>{SHEET}</head><body>{many}{link}</body></html>"),
        format!(
            "<html><head><style>p {{ color: ; }} }} @media {{</style></head><body><p>{{{{ title }}}}</p>{link}</body></html>"
        ),
        format!(
            "<html><head><link rel=\"stylesheet\" href=\"https://a.example/s.css\"><style>@import \"https://a.example/t.css\";</style></head><body>{link}</body></html>"
        ),
    ] {
        let (html, bytes) = shown(&own(text), "A", "T0ken_-");
        assert!(html.contains("/subscriptions/T0ken_-\">x</a>"), "{html}");
        let raw = String::from_utf8(bytes).unwrap();
        assert!(raw.split("Content-Type: text/html").nth(1).unwrap().len() < HTML_BYTES_MAX);
    }
}
