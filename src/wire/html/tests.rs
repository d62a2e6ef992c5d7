//! Hostile and ordinary HTML.

use super::*;
use proptest::prelude::*;

fn base() -> Url {
    Url::parse("https://news.example/2020/12/story.html").expect("valid")
}

#[test]
fn what_runs_is_taken_out_and_what_is_seen_stays() {
    for (html, expected) in [
        ("<p onclick=x style=y class=z>a<script>b</script><style>c</style></p>", "<p>a</p>"),
        ("<a href='javascript:alert(1)' target=_blank>a</a>", "<a>a</a>"),
        ("<a href='java&#10;script:alert(1)'>a</a>", "<a>a</a>"),
        ("<iframe src=x>y</iframe><object data=x>z</object>", "z"),
        (
            "<img src=a.jpg srcset='b 2x' alt=A width=1 height=2 onerror=x>",
            "<img src=\"https://news.example/2020/12/a.jpg\" alt=\"A\" width=\"1\" height=\"2\">",
        ),
        ("<a href='/x?a=1&amp;b=2'>x</a>", "<a href=\"https://news.example/x?a=1&amp;b=2\">x</a>"),
        ("<a href='//cdn.example/x'>x</a>", "<a href=\"https://cdn.example/x\">x</a>"),
        ("<img src='data:image/png;base64,AA'>", "<img>"),
        (
            "<h2>A</h2><figure><img src='https://x.example/i'><figcaption>c</figcaption></figure>",
            "<h2>A</h2><figure><img src=\"https://x.example/i\"><figcaption>c</figcaption></figure>",
        ),
        ("<table><tr><td colspan=2>a</table>", "<table><tbody><tr><td colspan=\"2\">a</td></tr></tbody></table>"),
        ("<p dir=rtl>\u{200f}שלום</p>", "<p dir=\"rtl\">\u{200f}שלום</p>"),
        ("a < b && c > d ]]> <!-- e -->", "a &lt; b &amp;&amp; c &gt; d ]]&gt; "),
        ("<svg><script>alert(1)</script></svg><math><mi>x</mi></math>", "x"),
        ("<form action=x><input name=y><button>z</button></form>", "z"),
    ] {
        assert_eq!(sanitise(html, &base()), expected, "{html}");
    }
}

#[test]
fn no_reference_brings_back_what_xml_forbids() {
    let html = "a&#0;b&#11;c&#xFFFF;d&#x1b;e&#128;f&#x9f;g\u{b}\u{0}<a title='&#11;x' href='htt&#11;ps://a.example/&#1;'>h</a>";
    let clean = sanitise(html, &base());
    assert_eq!(clean, clean_block(&clean));
    assert!(clean.starts_with("a?bcde€fŸg<a title=\"x\""), "{clean}");
}

#[test]
fn markdown_becomes_html_with_tables_footnotes_and_absolute_links() {
    let text = "# T\n\nA ~~b~~ [c](d)[^1] <script>x</script>\n\n|h|\n|-|\n|e|\n\n[^1]: note\n";
    assert_eq!(
        markdown(text, &base()),
        "<h1>T</h1>\n<p>A <del>b</del> <a href=\"https://news.example/2020/12/d\">c</a><sup>[1]</sup> </p>\n\
         <table><thead><tr><th>h</th></tr></thead><tbody>\n<tr><td>e</td></tr>\n</tbody></table>\n\
         <div>[1] \n<p>note</p>\n</div>\n"
    );
}

#[test]
fn text_for_a_mail_is_no_longer_than_its_html_by_much() {
    let quoted = "<blockquote>".repeat(60) + &"<p>abc def ghi</p>".repeat(1_000) + &"</blockquote>".repeat(60);
    let text = text(&sanitise(&quoted, &base()));
    assert!(text.len() <= 2 * quoted.len() && text.contains("abc def ghi\n\nabc def ghi"), "{} bytes", text.len());
}

#[test]
fn text_for_a_mail_numbers_its_links() {
    let html = "<h2>Head</h2><p>See <a href=\"https://a.example/?x=1&amp;y=2\">this</a> &amp; <em>that</em>.</p>\
                <ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b</td></tr></table>";
    insta::assert_snapshot!(text(html), @r"
    ## Head

    See [this][1] & that.
    * one
    * two

    a b

    [1]: https://a.example/?x=1&y=2
    ");
}

#[test]
fn a_summary_ends_where_a_sentence_or_a_word_ends() {
    let two = "<h2>No</h2><figure><figcaption>no</figcaption></figure><p>First one. Second &amp; longer sentence, which goes on.</p><p>More</p>";
    assert_eq!(summary(two, 200).as_deref(), Some("First one. Second & longer sentence, which goes on. More"));
    assert_eq!(summary(two, 100).as_deref(), Some("First one. Second & longer sentence, which goes on."));
    assert_eq!(summary(two, 15).as_deref(), Some("First one."));
    assert_eq!(summary(two, 44).as_deref(), Some("First one. Second & longer sentence, which…"));
    assert_eq!(summary("<p>新闻网站发布了一篇文章</p>", 5).as_deref(), Some("新闻网站…"));
    assert_eq!(summary("<p>他说了一句话。然后走了很远的路</p>", 8).as_deref(), Some("他说了一句话。"));
    assert_eq!(summary("<p>10 m<sup>2</sup><sup>[1]</sup> of<br>land</p>", 50).as_deref(), Some("10 m2 of land"));
    assert_eq!(summary("<p>&nbsp;</p><h1>x</h1>", 10), None);
}

#[test]
fn notes_number_each_target_once() {
    let html = "<p><a href=\"https://a.example/?a=1&amp;b=2\">A</a>, <a href=\"https://b.example/\"><b>B</b></a>, \
                <a href=\"https://a.example/?a=1&amp;b=2\">again</a>, <a>none</a></p>";
    let (out, targets) = notes(html);
    assert_eq!(targets, ["https://a.example/?a=1&b=2", "https://b.example/"]);
    assert_eq!(
        out,
        "<p><a href=\"https://a.example/?a=1&amp;b=2\">A</a><sup>[1]</sup>, <a href=\"https://b.example/\"><b>B</b></a>\
         <sup>[2]</sup>, <a href=\"https://a.example/?a=1&amp;b=2\">again</a><sup>[1]</sup>, <a>none</a></p>"
    );
}

#[test]
fn blank_is_what_shows_nothing() {
    assert!(is_blank("") && is_blank("<p>&nbsp;</p>\n<div><br></div>"));
    assert!(!is_blank("<p>a</p>") && !is_blank("<img src=\"https://a.example/\">"));
}

/// Each shape is known to make one parser or another slow, huge or deep. Work that grew with the square of the length
/// would be minutes here, where it is a second or two.
#[test]
fn what_is_made_to_hurt_comes_to_an_end_on_a_small_stack() {
    const BYTES: usize = 1 << 18;
    let fill = |part: &str| part.repeat(BYTES / part.len());
    let shapes = [
        ("nested", "<div>".repeat(100_000)),
        ("nested and closed", format!("{}x{}", "<div>".repeat(90_000), "</div>".repeat(90_000))),
        ("stray ends", format!("{}{}", "<div>".repeat(90_000), "</b>".repeat(90_000))),
        ("formatting", format!("{}{}", (0..60).map(|n| format!("<b title={n}>")).collect::<String>(), fill("<p>x"))),
        ("misnested", fill("<b><p></b>")),
        ("links", fill("<a href=x>")),
        ("tables", fill("<table><tr><td>")),
        ("table text", format!("<table>{}", fill("<br>"))),
        ("comments", fill("<!--")),
        ("closed comments", fill("<!-- -->")),
        ("attributes", format!("<p {}>", (0..150_000).map(|n| format!("a{n} ")).collect::<String>())),
        ("quotes", fill("<a title=\"")),
        ("brackets", fill("<")),
        ("references", fill("&#11;")),
        ("paragraphs", fill("<p>")),
        ("text", "x".repeat(BYTES)),
        ("quotes of Markdown", fill(">")),
        ("links of Markdown", fill("[")),
        ("emphasis of Markdown", fill("*a _b ")),
        ("lists of Markdown", fill("- ")),
        ("footnotes of Markdown", fill("[^a]")),
        ("ticks of Markdown", (1..1_400).map(|n| "`".repeat(n) + " ").collect::<String>()),
    ];
    let work = move || {
        for (name, html) in shapes {
            let clean = sanitise(&html, &base());
            assert!(clean.len() <= 8 * html.len(), "{name} has grown to {} bytes", clean.len());
            markdown(&html, &base());
            text(&clean);
            summary(&clean, 300);
            notes(&clean);
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).expect("spawned").join().expect("no panic");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_sanitised_stays_as_it_is(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<div>", "</div>", "<b>", "</b>", "<p>", "</p>", "<table>", "</table>", "<tr>", "<td>", "</td>", "<li>",
                "<a href='x\"<'>", "</a>", "<", ">", "<!--", "-->", "text ", "<br>", "<script>", "</script>", "&#11;",
                "<svg>", "<style>", "</style>", "<math>", "<img src=x onerror=y>", "]]>", "\u{1}", "&lt;", "<h1>",
                "<a href='java&#1;script:x'>", "<noscript>", "</noscript>", "<template>", "<select>", "<textarea>",
            ]),
            0..60,
        )
    ) {
        let once = sanitise(&parts.concat(), &base());
        prop_assert!(!once.contains("javascript:") && !once.contains("<script") && !once.contains("onerror"));
        prop_assert_eq!(clean_block(&once), once.clone());
        // A second parse may move a paragraph's edges (HTML is not closed under serialising), but never its text.
        let words = |html: &str| plain(html, &[]).concat().split_whitespace().collect::<String>();
        prop_assert_eq!(words(&sanitise(&once, &base())), words(&once));
    }
}

#[test]
fn prose_is_written_the_short_way() {
    let text = "# Head *one*\n\nA **b** & `c < d`, [e](/f?g=1&h=2), <https://i.example/>\u{a0}j\\\nk\n\n> q\n\n- l\n- m\n\n3. n\n\n***\n~~o~~";
    BASE.set(Some(base()));
    assert!(prose::html(Parser::new_ext(text, MARKDOWN), text.len()).is_some());
    assert_eq!(markdown(text, &base()), any_markdown(text, &base()));
    for other in
        ["a <b>c</b>", "![x](y)", "|a|\n|-|", "a[^1]\n\n[^1]: b", "[a](b \"c\")", "```\nx\n```", "<a@b.example>"]
    {
        assert_eq!(prose::html(Parser::new_ext(other, MARKDOWN), 0), None, "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_is_surely_a_web_address_is_one_to_the_parser(written in "(https?://)?[a-z]{0,3}[a-z0-9.:@%/_-]{0,10}") {
        if prose::is_surely_web(&written) {
            let url = Url::parse(&written);
            prop_assert!(url.as_ref().is_ok_and(|url| url.as_str().trim_end_matches('/') == written.trim_end_matches('/')));
        }
    }

    #[test]
    fn prose_comes_out_the_same_both_ways(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "word ", "word", " ", "\n", "\n\n", "\n\n", "*", "**", "_", "~~", "`", "``", "# ", "## ", "> ", "- ", "1. ",
                "7) ", "    ", "  \n", "\\\n", "[", "](/a)", "](https://x.example/?a=1&b=2)", "](https://x.example/a)", "](javascript:x)", "](mailto:a@b.example)",
                "](//c.example/d)", "](#e)", "](:)", "](https://[)", "<https://y.example/>", "&amp;", "&", "<", ">", "\"", "'", "\u{a0}",
                "&#11;", "\u{1}", "\r\n", "\u{fffd}", "é", "***\n", "---\n", "===\n", "&lt;b&gt;", "\\*", "\t", "\u{c}", "&nbsp;", "&copy;",
            ]),
            0..40,
        )
    ) {
        let text = parts.concat();
        prop_assert_eq!(markdown(&text, &base()), any_markdown(&text, &base()));
    }
}

#[test]
fn a_mail_has_no_pictures_and_ends_where_its_room_does() {
    let picture = "<p><a href=\"https://a.example/\"><img src=\"https://a.example/1\" alt=\"A &lt; B\"></a></p>";
    for (html, cost_max, expected) in [
        ("<p>One &amp; all.</p>", 100, "<p>One &amp; all.</p>"),
        ("<p>One</p><p>and another</p>", 27, "<p>One</p><p>and…</p>"),
        ("<p>The first of two</p><p>and another</p>", 44, "<p>The first of two</p><p>and another</p>"),
        ("<p>The first of two</p><p>and another</p>", 41, "<p>The first of two</p>"),
        ("<p>The <b>first of two</b></p>", 25, "<p>The <b>firs…</b></p>"),
        ("<p>a &amp; b &amp; c</p>", 19, "<p>a &amp; b…</p>"),
        ("<p>a &amp; b</p>", 14, "<p>a…</p>"),
        ("новость без конца", 20, "новость…"),
        ("新新新新", 11, "新新…"),
        ("<ul><li>a<br>b</li><li>c</li></ul>", 100, "<ul><li>a<br>b</li><li>c</li></ul>"),
        (picture, 100, "<p><a href=\"https://a.example/\">A &lt; B</a></p>"),
        (
            "<img src=\"https://a.example/?a&amp;b\" alt=\"A &lt; B\">",
            100,
            "<a href=\"https://a.example/?a&amp;b\">A &lt; B</a>",
        ),
        ("<figure><img src=\"https://a.example/1\" alt=\"\"></figure>", 100, "<figure></figure>"),
        ("<p>x</p>", 0, "…"),
    ] {
        let cut = for_mail(html, cost_max, str::len);
        assert_eq!((cut.html.as_str(), cut.is_cut), (expected, !is_all_there(html, &cut.html)), "{html} {cost_max}");
    }
}

/// Is all the text of `html` in `other`?
fn is_all_there(html: &str, other: &str) -> bool {
    let seen = |html: &str| plain(html, &[]).join(" ");
    html.contains("<img") || seen(html) == seen(other)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_a_mail_has_is_closed_keeps_to_its_room_and_is_the_beginning(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<p>", "</p>", "<b>", "</b>", "<ul>", "<li>", "</ul>", "<br>", "<table><tr><td>", "</table>", "word ", "&amp;",
                "<img src=x alt='a b'>", "<a href=/y>", "</a>", "<blockquote>", "</blockquote>", "ж ", "<pre>", "</pre>", "<hr>",
            ]),
            0..40,
        ),
        cost_max in 0_usize..400,
    ) {
        let html = sanitise(&parts.concat(), &base());
        let cut = for_mail(&html, cost_max, str::len);
        let least = MARK_BYTES;
        prop_assert!(cut.html.len() <= cost_max.max(least), "{} of {cost_max}: {}", cut.html.len(), cut.html);
        let mut open = Vec::new();
        for token in tokens(&cut.html) {
            match token {
                Token::Open { name, .. } if !VOID.contains(&name) => open.push(name),
                Token::Open { name, .. } => prop_assert!(name != "img"),
                Token::Close { name } => prop_assert_eq!(open.pop(), Some(name)),
                Token::Text(_) => {}
            }
        }
        prop_assert!(open.is_empty());
        let whole = for_mail(&html, usize::MAX / 2, str::len);
        prop_assert!(!whole.is_cut);
        prop_assert_eq!(cut.is_cut, cut.html != whole.html);
        let words = |html: &str| plain(html, &[]).concat().split_whitespace().collect::<String>();
        let (begun, all) = (words(&cut.html), words(&whole.html));
        prop_assert!(all.starts_with(begun.trim_end_matches('…')), "{begun} of {all}");
    }
}

/// What is there in any case where not all is: `…`.
const MARK_BYTES: usize = 3;
