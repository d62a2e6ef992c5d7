//! Markup of any origin made harmless to a parser: known elements only, nested in order and not too deeply.
//!
//! HTML's tree construction takes quadratic time, or builds a tree many times larger than the text, where the
//! text is made for it: 100,000 open elements that each new one is compared with, formatting elements that come
//! back in every paragraph, text between table rows. None of that is left in what this pass writes, so the
//! parsers behind it need no care of their own. What it keeps is not judged here: the sanitiser comes after it.

use super::scan::{Token, attributes, tokens};
use std::collections::HashMap;

/// Elements that an article may be made of.
#[rustfmt::skip]
pub(super) const TAGS: [&str; 73] = [
    "a", "abbr", "acronym", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center",
    "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption",
    "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "main",
    "mark", "nav", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small", "span", "strike",
    "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "u", "ul",
    "var", "wbr",
];

/// Attributes that the sanitiser may keep on one element or another.
#[rustfmt::skip]
const ATTRIBUTES: [&str; 22] = [
    "align", "alt", "char", "charoff", "cite", "colspan", "datetime", "dir", "headers", "height", "href", "hreflang",
    "lang", "rowspan", "scope", "size", "span", "src", "start", "summary", "title",
    "width",
];

/// Elements without content.
pub(super) const VOID: [&str; 5] = ["br", "col", "hr", "img", "wbr"];

/// Elements that the next of their kind closes by itself. They do not nest but in another element, which is counted.
const SELF_CLOSING: [&str; 4] = ["p", "li", "dd", "dt"];

/// Elements that a table is built of; each closes whatever is open within the table.
const OF_TABLES: [&str; 9] = ["caption", "colgroup", "col", "tbody", "td", "tfoot", "th", "thead", "tr"];

/// Elements that a parser opens again in the next paragraph where they were not closed (WHATWG HTML §13.2.4.3).
const FORMATTING: [&str; 11] = ["a", "b", "big", "code", "em", "i", "s", "small", "strike", "strong", "u"];

/// Counted elements within one another. Pages of newsrooms stay below 30.
const DEPTH_MAX: usize = 64;

/// Formatting elements that may come back in later paragraphs of one text, all together.
const REOPENED_MAX: usize = 10_000;

/// `html` with known elements alone, each closed in order, at most [`DEPTH_MAX`] deep; the text all stays.
/// Time and length of the outcome grow with the length of `html` and with nothing else.
pub(super) fn tidy(html: &str) -> String {
    let mut tidy = Tidy { out: String::with_capacity(html.len() + html.len() / 8), ..Tidy::default() };
    for token in tokens(html) {
        match token {
            Token::Text(text) => tidy.text(text),
            Token::Open { name, attributes } => {
                if let Some(name) = known(name) {
                    tidy.open(name, attributes);
                }
            }
            Token::Close { name } => {
                if let Some(name) = known(name) {
                    tidy.close(name);
                }
            }
        }
    }
    tidy.close_down_to(0);
    tidy.out
}

fn known(name: &str) -> Option<&'static str> {
    TAGS.iter().find(|tag| tag.eq_ignore_ascii_case(name)).copied()
}

#[derive(Default)]
struct Tidy {
    out: String,
    /// Open elements that count.
    open: Vec<&'static str>,
    /// Start tags that were left out as too deep, by name: as many end tags are left out.
    left_out: HashMap<&'static str, usize>,
    /// Open tables: place in `open`, and whether a cell of it is open.
    tables: Vec<(usize, bool)>,
    formatting: usize,
    reopened: usize,
}

impl Tidy {
    fn text(&mut self, text: &str) {
        if text.contains(|c: char| !c.is_ascii_whitespace()) {
            self.ensure_cell();
        }
        match text.strip_prefix('<') {
            Some(rest) => {
                self.out.push_str("&lt;");
                self.out.push_str(rest);
            }
            None => self.out.push_str(text),
        }
    }

    fn open(&mut self, name: &'static str, attributes: &str) {
        if OF_TABLES.contains(&name) {
            return self.open_in_table(name, attributes);
        }
        self.ensure_cell();
        if SELF_CLOSING.contains(&name) {
            self.count_reopened();
            self.tag(name, attributes);
        } else if VOID.contains(&name) {
            self.tag(name, attributes);
        } else if self.open.len() == DEPTH_MAX {
            *self.left_out.entry(name).or_default() += 1;
        } else {
            self.tag(name, attributes);
            if name == "table" {
                self.tables.push((self.open.len(), false));
            }
            self.formatting += usize::from(FORMATTING.contains(&name));
            self.open.push(name);
        }
    }

    /// Outside of a table, a part of one is no element at all.
    fn open_in_table(&mut self, name: &'static str, attributes: &str) {
        let Some(&(table, _)) = self.tables.last() else { return };
        self.close_down_to(table + 1);
        if let Some((_, in_cell)) = self.tables.last_mut() {
            *in_cell = matches!(name, "td" | "th" | "caption");
        }
        self.tag(name, attributes);
    }

    fn close(&mut self, name: &'static str) {
        if VOID.contains(&name) {
            return;
        }
        if SELF_CLOSING.contains(&name) {
            self.count_reopened();
            self.end(name);
        } else if OF_TABLES.contains(&name) {
            let Some(&(table, in_cell)) = self.tables.last() else { return };
            self.close_down_to(table + 1);
            if let Some((_, open)) = self.tables.last_mut() {
                *open = in_cell && !matches!(name, "td" | "th" | "caption");
            }
            self.end(name);
        } else if let Some(left @ 1..) = self.left_out.get_mut(name) {
            *left -= 1;
        } else {
            // A cell is closed by its table alone, not by the end of what stands around the table.
            let from = self.tables.last().map_or(0, |&(table, _)| if name == "table" { table } else { table + 1 });
            if let Some(at) = self.open[from..].iter().rposition(|open| *open == name) {
                self.close_down_to(from + at);
            }
        }
    }

    /// What stands between the rows of a table gets a cell of its own; a parser would move it, one by one, before
    /// the table.
    fn ensure_cell(&mut self) {
        if let Some((_, in_cell @ false)) = self.tables.last_mut() {
            *in_cell = true;
            self.out.push_str("<tr><td>");
        }
    }

    /// At the edge of a paragraph every open formatting element is made anew. Beyond the limit all are closed for good.
    fn count_reopened(&mut self) {
        self.reopened += self.formatting;
        if self.reopened > REOPENED_MAX && self.formatting > 0 {
            let from = self.tables.last().map_or(0, |&(table, _)| table + 1);
            let first = self.open[from..].iter().position(|open| FORMATTING.contains(open));
            if let Some(first) = first {
                self.close_down_to(from + first);
            }
        }
    }

    /// Closes open elements, the last one first, until `len` of them are left.
    fn close_down_to(&mut self, len: usize) {
        while self.open.len() > len {
            let Some(name) = self.open.pop() else { return };
            self.end(name);
            self.formatting -= usize::from(FORMATTING.contains(&name));
            if name == "table" {
                self.tables.pop();
            }
        }
    }

    fn tag(&mut self, name: &str, text: &str) {
        self.out.push('<');
        self.out.push_str(name);
        let mut seen: Vec<&str> = Vec::new();
        for (attribute, value) in attributes(text) {
            let known = ATTRIBUTES.iter().copied().find(|known| known.eq_ignore_ascii_case(attribute));
            let Some(attribute) = known else { continue };
            if seen.contains(&attribute) {
                continue;
            }
            seen.push(attribute);
            self.out.push(' ');
            self.out.push_str(attribute);
            self.out.push_str("=\"");
            for c in value.chars() {
                match c {
                    '"' => self.out.push_str("&quot;"),
                    '<' => self.out.push_str("&lt;"),
                    '>' => self.out.push_str("&gt;"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        self.out.push('>');
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_in_order_stays_as_it_is() {
        for html in [
            "<p>One <b>two</b> three<br>four</p>\n<p>five</p>",
            "<ul><li>a<li>b<ul><li>c</ul></ul>",
            "<table><caption>x</caption><thead><tr><th>h</th></tr></thead><tr><td><p>y</p></td></tr></table>",
            "<figure><img src=\"a.jpg\" alt=\"a&amp;b\" width=\"10\"><figcaption>c</figcaption></figure>",
        ] {
            assert_eq!(tidy(html), html);
        }
    }

    #[test]
    fn what_is_not_is_put_in_order_and_no_text_is_lost() {
        for (html, expected) in [
            ("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b>c"),
            ("<div><svg><path d=1>x</div>y", "<div>x</div>y"),
            ("<A HREF=x onclick=y href=z>l", "<a href=\"x\">l</a>"),
            ("<table>a<tr>b<td>c</div>d</table>e", "<table><tr><td>a<tr><tr><td>b<td>cd</table>e"),
            ("<div><table><td>x</div>y</table>z</div>", "<div><table><td>xy</table>z</div>"),
            ("<td>a</td>1 < 2", "a1 &lt; 2"),
        ] {
            assert_eq!(tidy(html), expected, "{html}");
        }
    }

    #[test]
    fn the_limits_hold() {
        let deep = tidy(&"<div>".repeat(1_000));
        assert_eq!(deep.matches("<div>").count(), DEPTH_MAX);
        let inner = format!("{}x{}y", "<div>".repeat(1_000), "</div>".repeat(1_000));
        assert!(tidy(&inner).ends_with("</div>y"), "as many end tags are left out as start tags");
        let reopening = tidy(&format!("{}{}", "<b><i><u>".repeat(3), "<p>x".repeat(10_000)));
        assert!(reopening.find("</u>").expect("closed") < reopening.len() / 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_tidy_stays_as_it_is(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<div>", "</div>", "<b>", "</b>", "<p>", "</p>", "<table>", "</table>", "<tr>", "<td>", "</td>",
                    "<li>", "<a href='x\"<'>", "</a>", "<", ">", "<!--", "-->", "text ", "<br>", "<script>", "&#0;",
                ]),
                0..200,
            )
        ) {
            let once = tidy(&parts.concat());
            prop_assert_eq!(tidy(&once), once.clone());
        }
    }
}
