//! Queries: equal ones are one, wrong ones are told with their place, and the canonical form means the same.

use super::*;
use crate::domain::Folded;
use proptest::prelude::*;

fn parsed(text: &str) -> Selection {
    Selection::parse(text).unwrap_or_else(|fault| panic!("{text}: {}", Fault::from(fault)))
}

#[test]
fn equal_queries_are_one_selection_with_one_text() {
    for (texts, canonical) in [
        (&["tag:Sport", "(tag:sport)", "TAG:\"sport\" and tag:SPORT", "not not tag:sport"][..], "tag:sport"),
        (&["tag:b OR tag:a", "tag:a or (tag:b or tag:a)"], "tag:a OR tag:b"),
        (
            &[
                "category:science AND NOT (tag:sport OR author:\"A. Ivanov\")",
                "NOT author:\"a.  ivanov\" AND NOT tag:sport AND category:science",
            ],
            "category:science AND NOT tag:sport AND NOT author:\"a. ivanov\"",
        ),
        (&["tag:a AND tag:b OR tag:c", "(tag:b and tag:a) or tag:c"], "tag:c OR tag:a AND tag:b"),
        (&["tag:a AND (tag:b OR tag:c)"], "tag:a AND (tag:b OR tag:c)"),
        (&["NOT (tag:a AND tag:b)"], "NOT tag:a OR NOT tag:b"),
        (&["author:\"say \\\"hi\\\" \\\\ \""], "author:\"say \\\"hi\\\" \\\\\""),
        (&["language:en-GB"], "language:en-gb"),
        (&["tag:Ёлка"], "tag:ёлка"),
    ] {
        for text in texts {
            assert_eq!(parsed(text).to_string(), canonical, "{text}");
            assert_eq!(parsed(text), parsed(canonical), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let long = format!("tag:{}", "a".repeat(1_000));
    let deep = format!("{}tag:a{}", "(".repeat(9), ")".repeat(9));
    let many = (0..33).map(|n| format!("tag:t{n}")).collect::<Vec<_>>().join(" OR ");
    let endless = "(".repeat(999);
    for (text, at, found, expected) in [
        ("", 1, "the end", "a term"),
        ("  ", 3, "the end", "a term"),
        ("tag:a tag:b", 7, "tag:b", "AND, OR"),
        ("tag:a AND", 10, "the end", "a term"),
        ("AND tag:a", 1, "AND", "a term"),
        ("tag:a AND OR tag:b", 11, "OR", "a term"),
        ("(tag:a", 7, "the end", ") for the bracket at character 1"),
        ("tag:a)", 6, ")", "AND, OR"),
        ("()", 2, ")", "a term"),
        ("sport", 1, "sport", "category:…"),
        ("topic:sport", 1, "topic", "one of category, tag, author, language"),
        ("tag:", 5, "the end", "a name"),
        ("tag: sport", 5, " ", "a name"),
        ("tag:\"\"", 5, "\"\"", "a name"),
        ("tag:\"a", 5, "a quotation mark", "another one"),
        ("category:Science", 10, "\"Science\"", "a-z"),
        ("ёж:a OR ;", 1, "ёж", "one of"),
        ("tag:ёж OR ;", 11, ";", "a term"),
        (&long, 1_001, "1004 characters", "at most 1000"),
        (&deep, 9, "(", "at most 8"),
        (&many, 343, "tag:t32", "at most 32 terms"),
        (&endless, 9, "(", "at most 8"),
    ] {
        let fault = Selection::parse(text).expect_err(text);
        let is_told = fault.at == at && fault.found.starts_with(found) && fault.expected.contains(expected);
        assert!(is_told, "{text}: {fault:?}");
    }
}

#[test]
fn anchors_are_the_fewest_terms_that_every_member_needs() {
    let anchors =
        |text: &str| parsed(text).anchors().map(|terms| terms.iter().map(Term::to_string).collect::<Vec<_>>());
    assert_eq!(anchors("tag:a AND (tag:b OR tag:c)"), Some(vec!["tag:a".into()]));
    assert_eq!(anchors("tag:b OR tag:c AND NOT tag:d"), Some(vec!["tag:b".into(), "tag:c".into()]));
    assert_eq!(anchors("NOT tag:a"), None);
    assert_eq!(anchors("tag:a OR NOT tag:b"), None);
    assert_eq!(Selection::all().anchors(), None);
}

#[test]
fn a_stored_selection_is_its_text() {
    for (selection, json) in [
        (Selection::all(), "\"all\""),
        (parsed("category:science OR category:economy"), "\"category:economy OR category:science\""),
    ] {
        assert_eq!(serde_json::to_string(&selection).unwrap(), json);
        assert_eq!(serde_json::from_str::<Selection>(json).unwrap(), selection);
    }
    assert!(serde_json::from_str::<Selection>("\"tag:\"").is_err());
}

/// A query as it is written, and what it means, found out the plain way.
#[derive(Debug, Clone)]
enum Plain {
    Term(Term),
    Not(Box<Plain>),
    And(Vec<Plain>),
    Or(Vec<Plain>),
}

impl Plain {
    fn text(&self) -> String {
        let joined = |parts: &[Plain], word: &str| {
            parts.iter().map(|part| format!("({})", part.text())).collect::<Vec<_>>().join(word)
        };
        match self {
            Plain::Term(term) => term.to_string(),
            Plain::Not(part) => format!("not ({})", part.text()),
            Plain::And(parts) => joined(parts, " AND "),
            Plain::Or(parts) => joined(parts, " or "),
        }
    }

    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Plain::Term(term) => labels.has(term),
            Plain::Not(part) => !part.holds(labels),
            Plain::And(parts) => parts.iter().all(|part| part.holds(labels)),
            Plain::Or(parts) => parts.iter().any(|part| part.holds(labels)),
        }
    }
}

fn term() -> impl Strategy<Value = Term> {
    let name = prop::sample::select(vec!["a", "b", "c d", "\"", "\\", "or", "ё:("]);
    (0..3_usize, name).prop_map(|(kind, name)| {
        let name = Folded::parse(name).expect("a name");
        [Term::Tag(name.clone()), Term::Author(name.clone()), Term::Language(name)][kind].clone()
    })
}

fn plain() -> impl Strategy<Value = Plain> {
    term().prop_map(Plain::Term).prop_recursive(3, 20, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Plain::Not(Box::new(part))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Plain::And),
            prop::collection::vec(inner, 1..4).prop_map(Plain::Or),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_means_the_same_and_reads_as_itself(
        plain in plain(),
        labels in prop::collection::vec(prop::collection::vec(term(), 0..8), 1..20),
    ) {
        // Too many terms or too deep is told, and no question of meaning.
        if let Ok(selection) = Selection::parse(&plain.text()) {
            prop_assert_eq!(&parsed(&selection.to_string()), &selection);
            for terms in labels {
                let labels: Labels = terms.into_iter().collect();
                prop_assert_eq!(selection.matches(&labels), plain.holds(&labels));
                let anchored = selection.anchors().is_none_or(|anchors| anchors.iter().any(|term| labels.has(term)));
                prop_assert!(!selection.matches(&labels) || anchored);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in "[ a-c():\"\\\\\u{0}ёANDORNOTtag]{0,60}") {
        if let Err(fault) = Selection::parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&fault.at), "{:?}", fault);
        }
    }
}
