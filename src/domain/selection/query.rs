//! The query language: text to canonical form, with the place of what cannot be read.

use super::{Node, QueryFault, Selection, joined};
use crate::domain::Term;
use std::iter::Peekable;
use std::vec::IntoIter;

/// May the character stand in a value without quotes?
pub(super) fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '#' | '\'' | '/' | '&')
}

/// Reads a whole query.
pub(super) fn parse(text: &str) -> Result<Node, QueryFault> {
    let chars = text.chars().count();
    if chars > Selection::CHARS_MAX {
        let expected = format!("at most {} characters", Selection::CHARS_MAX);
        return Err(QueryFault { at: Selection::CHARS_MAX + 1, found: format!("{chars} characters"), expected });
    }
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), end: chars + 1, terms: 0 };
    let node = parser.any(0, false)?;
    match parser.tokens.next() {
        None => Ok(node),
        Some(token) => Err(token.fault("AND, OR or the end")),
    }
}

struct Token {
    /// The character that it begins at, from 1.
    at: usize,
    kind: Kind,
}

enum Kind {
    Open,
    Close,
    And,
    Or,
    Not,
    Term(Term),
}

impl Token {
    fn fault(&self, expected: &str) -> QueryFault {
        let found = match &self.kind {
            Kind::Open => "(".to_owned(),
            Kind::Close => ")".to_owned(),
            Kind::And => "AND".to_owned(),
            Kind::Or => "OR".to_owned(),
            Kind::Not => "NOT".to_owned(),
            Kind::Term(term) => term.to_string(),
        };
        QueryFault { at: self.at, found, expected: expected.to_owned() }
    }
}

type Chars<'a> = Peekable<std::iter::Enumerate<std::str::Chars<'a>>>;

fn tokens(text: &str) -> Result<Vec<Token>, QueryFault> {
    let mut chars: Chars<'_> = text.chars().enumerate().peekable();
    let mut tokens = Vec::new();
    while let Some(&(before, c)) = chars.peek() {
        let at = before + 1;
        let kind = match c {
            c if c.is_whitespace() => {
                chars.next();
                continue;
            }
            '(' | ')' => {
                chars.next();
                if c == '(' { Kind::Open } else { Kind::Close }
            }
            c if is_bare(c) => word(&mut chars, at)?,
            c => {
                let expected = "a term such as tag:sport, NOT or (".to_owned();
                return Err(QueryFault { at, found: c.to_string(), expected });
            }
        };
        tokens.push(Token { at, kind });
    }
    Ok(tokens)
}

/// AND, OR, NOT, or a term.
fn word(chars: &mut Chars<'_>, at: usize) -> Result<Kind, QueryFault> {
    let word = bare(chars);
    if chars.next_if(|(_, c)| *c == ':').is_none() {
        return match word.to_ascii_lowercase().as_str() {
            "and" => Ok(Kind::And),
            "or" => Ok(Kind::Or),
            "not" => Ok(Kind::Not),
            _ => {
                let expected = format!("a term: {}", Term::KEYS.map(|key| format!("{key}:…")).join(", "));
                Err(QueryFault { at, found: word, expected })
            }
        };
    }
    let key_chars = word.chars().count();
    let value_at = at + key_chars + 1;
    let is_quoted = chars.next_if(|(_, c)| *c == '"').is_some();
    let value = if is_quoted { quoted(chars, value_at)? } else { bare(chars) };
    let is_known = Term::KEYS.iter().any(|known| known.eq_ignore_ascii_case(&word));
    Term::parse(&word, &value).map(Kind::Term).map_err(|expected| {
        let found = match chars.peek() {
            Some((_, c)) if is_known && value.is_empty() && !is_quoted => c.to_string(),
            None if is_known && value.is_empty() && !is_quoted => "the end".to_owned(),
            Some(_) | None if is_known => format!("\"{value}\""),
            Some(_) | None => word,
        };
        QueryFault { at: if is_known { value_at } else { at }, found, expected }
    })
}

fn bare(chars: &mut Chars<'_>) -> String {
    std::iter::from_fn(|| chars.next_if(|(_, c)| is_bare(*c))).map(|(_, c)| c).collect()
}

/// The rest of a value in quotes, of which the first has been read; `\"` and `\\` stand for the second characters.
fn quoted(chars: &mut Chars<'_>, at: usize) -> Result<String, QueryFault> {
    let mut value = String::new();
    while let Some((_, c)) = chars.next() {
        match c {
            '"' => return Ok(value),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    Err(QueryFault { at, found: "a quotation mark".to_owned(), expected: "another one that ends the value".to_owned() })
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    /// The place behind the last character.
    end: usize,
    terms: usize,
}

impl Parser {
    /// Parts joined by OR; with `is_negated`, what is not in them.
    fn any(&mut self, depth: usize, is_negated: bool) -> Result<Node, QueryFault> {
        let first = self.every(depth, is_negated)?;
        if self.tokens.peek().is_none() {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.tokens.next_if(|token| matches!(token.kind, Kind::Or)).is_some() {
            parts.push(self.every(depth, is_negated)?);
        }
        Ok(joined(parts, if is_negated { Node::And } else { Node::Or }))
    }

    /// Parts joined by AND.
    fn every(&mut self, depth: usize, is_negated: bool) -> Result<Node, QueryFault> {
        let first = self.one(depth, is_negated)?;
        // Most selections are one term.
        if self.tokens.peek().is_none() {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.tokens.next_if(|token| matches!(token.kind, Kind::And)).is_some() {
            parts.push(self.one(depth, is_negated)?);
        }
        Ok(joined(parts, if is_negated { Node::Or } else { Node::And }))
    }

    fn one(&mut self, depth: usize, is_negated: bool) -> Result<Node, QueryFault> {
        const EXPECTED: &str = "a term such as tag:sport, NOT or (";
        let Some(token) = self.tokens.next() else {
            return Err(QueryFault { at: self.end, found: "the end".to_owned(), expected: EXPECTED.to_owned() });
        };
        if matches!(token.kind, Kind::Not | Kind::Open) && depth == Selection::DEPTH_MAX {
            return Err(token.fault(&format!("at most {} of brackets and NOT within each other", Selection::DEPTH_MAX)));
        }
        match token.kind {
            Kind::Term(_) if self.terms == Selection::TERMS_MAX => {
                Err(token.fault(&format!("at most {} terms", Selection::TERMS_MAX)))
            }
            Kind::Term(term) => {
                self.terms += 1;
                Ok(if is_negated { Node::IsNot(term) } else { Node::Is(term) })
            }
            Kind::Not => self.one(depth + 1, !is_negated),
            Kind::Open => {
                let node = self.any(depth + 1, is_negated)?;
                match self.tokens.next() {
                    Some(Token { kind: Kind::Close, .. }) => Ok(node),
                    Some(token) => Err(token.fault("AND, OR or )")),
                    None => Err(QueryFault {
                        at: self.end,
                        found: "the end".to_owned(),
                        expected: format!(") for the bracket at character {}", token.at),
                    }),
                }
            }
            Kind::Close | Kind::And | Kind::Or => Err(token.fault(EXPECTED)),
        }
    }
}
