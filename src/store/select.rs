//! Articles of a selection, newest first, found in the ordered index without reading an article: each term is an order
//! that can be entered anywhere; OR merges orders, AND lets each in turn leap to where the furthest stands, and what is
//! negated is looked up.

use super::articles::{Order, Place, id_from_key, id_key, newest_first, time_from_key};
use super::kv::{Kv, Range};
use super::record;
use super::{Store, StoreError, Table};
use crate::domain::{ArticleId, Node, Selection, Term, Time};
use std::collections::VecDeque;
use std::ops::Bound;

/// Rows read and looked up for one answer. Two terms that hardly meet among a hundred thousand articles end here, after
/// some tens of milliseconds, and what was found is given.
const STEPS_MAX: usize = 100_000;
/// Rows read at a time: a little more than a feed has items.
const CHUNK: usize = 64;
/// Rows read where an order was entered far behind the last one.
const LEAP_CHUNK: usize = 4;
/// Bytes of the time in a row; the id follows.
const TIME_BYTES: usize = 8;

/// A stretch of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// Not before this.
    pub from: Option<Time>,
    /// Before this.
    pub until: Option<Time>,
}

/// An article of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Its date in the order, to the millisecond.
    pub dated: Time,
    /// Which one.
    pub id: ArticleId,
}

impl Picked {
    /// The place right behind it.
    pub fn place(&self) -> Place {
        Place::of([&newest_first(self.dated)[..], &id_key(&self.id)].concat())
    }
}

/// A part of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picks {
    /// Newest first.
    pub picked: Vec<Picked>,
    /// Where the next part begins; none if this is the last.
    pub next: Option<Place>,
}

impl Store {
    /// Up to `limit` public articles of `selection` dated in `window`, behind `after`. It ends early, with a place to go
    /// on from, where the work would go beyond a limit.
    pub fn select(
        &self,
        selection: &Selection,
        window: &Window,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Picks, StoreError> {
        let mut scan = Scan { kv: &*self.kv, steps: 0, chunk: CHUNK.min(limit + 1) };
        let mut rows = rows(selection.node());
        let millisecond = chrono::Duration::milliseconds(1);
        let start = window.until.map_or([0; TIME_BYTES], |until| newest_first(until - millisecond)).to_vec();
        let end = window.from.map(newest_first);
        // The first key behind one is that key with a zero at its end.
        let mut at = after.map(|after| [after.bytes(), b"\0"].concat()).filter(|at| *at > start).unwrap_or(start);
        let mut picks = Picks { picked: Vec::new(), next: None };
        let mut last = None;
        while let Some(tail) = rows.seek(&mut scan, &at)? {
            if end.is_some_and(|end| tail[..TIME_BYTES.min(tail.len())] > end[..]) {
                break;
            }
            if scan.steps > STEPS_MAX {
                // Before the row that was come to, which has not been looked at.
                picks.next = Some(Place::of(tail[..tail.len() - 1].to_vec()));
                break;
            }
            if picks.picked.len() == limit {
                picks.next = last;
                break;
            }
            picks.picked.push(picked(&tail)?);
            at = [&tail[..], b"\0"].concat();
            last = Some(Place::of(tail));
        }
        Ok(picks)
    }
}

/// What one answer may cost.
struct Scan<'a> {
    kv: &'a dyn Kv,
    steps: usize,
    chunk: usize,
}

/// The rows of a node, by their tails: time and id.
enum Rows<'a> {
    /// Those of one order.
    Order { prefix: Vec<u8>, ahead: VecDeque<Vec<u8>>, chunk: usize, is_over: bool },
    /// Those that stand in every order and that every filter lets through.
    And { orders: Vec<Rows<'a>>, filters: Vec<&'a Node> },
    /// Those that stand in any.
    Or(Vec<Rows<'a>>),
}

/// How to find the articles of `node`. What is negated cannot be entered, so it is a filter, at worst over all.
fn rows(node: &Node) -> Rows<'_> {
    entered(node).unwrap_or_else(|| Rows::And { orders: vec![order(Order::Public)], filters: vec![node] })
}

fn entered(node: &Node) -> Option<Rows<'_>> {
    match node {
        Node::All => Some(order(Order::Public)),
        Node::Is(term) => Some(order(Order::Term(term))),
        Node::IsNot(_) => None,
        Node::And(parts) => {
            let (mut orders, mut filters) = (Vec::new(), Vec::new());
            for part in parts {
                match entered(part) {
                    Some(rows) => orders.push(rows),
                    None => filters.push(part),
                }
            }
            (!orders.is_empty()).then_some(Rows::And { orders, filters })
        }
        Node::Or(parts) => parts.iter().map(entered).collect::<Option<_>>().map(Rows::Or),
    }
}

fn order(order: Order<'_>) -> Rows<'static> {
    Rows::Order { prefix: order.prefix(), ahead: VecDeque::new(), chunk: CHUNK, is_over: false }
}

impl Rows<'_> {
    /// The first tail that is not before `at`. Asked with an `at` that never goes back.
    fn seek(&mut self, scan: &mut Scan<'_>, at: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Rows::Order { prefix, ahead, chunk, is_over } => {
                let mut passed = 0;
                while ahead.front().is_some_and(|tail| tail.as_slice() < at) {
                    ahead.pop_front();
                    passed += 1;
                }
                if ahead.is_empty() && !*is_over {
                    // Who leaps needs the next row alone; who walks needs them all.
                    *chunk = if passed > 1 { LEAP_CHUNK } else { (*chunk * 2).min(scan.chunk) };
                    let from = Bound::Included([prefix.as_slice(), at].concat());
                    let range = Range { from, ..Range::prefix(prefix.as_slice()).limit(*chunk) };
                    let read = scan.kv.range(Table::Index, range)?;
                    scan.steps += read.len().max(1);
                    *is_over = read.len() < *chunk;
                    ahead.extend(read.into_iter().map(|(key, _)| key[prefix.len()..].to_vec()));
                }
                Ok(ahead.front().cloned())
            }
            Rows::Or(parts) => {
                let mut first: Option<Vec<u8>> = None;
                for part in parts {
                    if let Some(tail) = part.seek(scan, at)? {
                        first = Some(first.map_or(tail.clone(), |first| first.min(tail)));
                    }
                }
                Ok(first)
            }
            Rows::And { orders, filters } => {
                let mut at = at.to_vec();
                loop {
                    let mut furthest = at.clone();
                    let mut meet = true;
                    for order in &mut *orders {
                        let Some(tail) = order.seek(scan, &furthest)? else { return Ok(None) };
                        meet &= tail == furthest;
                        furthest = tail;
                    }
                    // A first round stands where its last order does; the others are asked again from there.
                    if !meet {
                        at = furthest;
                    } else if holds_all(scan, filters, &furthest)? {
                        return Ok(Some(furthest));
                    } else {
                        at = [&furthest[..], b"\0"].concat();
                    }
                    if scan.steps > STEPS_MAX {
                        return Ok(Some(at));
                    }
                }
            }
        }
    }
}

fn holds_all(scan: &mut Scan<'_>, nodes: &[&Node], tail: &[u8]) -> Result<bool, StoreError> {
    for node in nodes {
        if !holds(scan, node, tail)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Does the article of `tail` belong to `node`? Each term costs a look.
fn holds(scan: &mut Scan<'_>, node: &Node, tail: &[u8]) -> Result<bool, StoreError> {
    let mut bears = |term: &Term| {
        scan.steps += 1;
        let key = [&Order::Term(term).prefix()[..], tail].concat();
        Ok::<_, StoreError>(scan.kv.get(Table::Index, &key)?.is_some())
    };
    match node {
        Node::All => Ok(true),
        Node::Is(term) => bears(term),
        Node::IsNot(term) => bears(term).map(|bears| !bears),
        Node::And(parts) => holds_all(scan, &parts.iter().collect::<Vec<_>>(), tail),
        Node::Or(parts) => {
            for part in parts {
                if holds(scan, part, tail)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn picked(tail: &[u8]) -> Result<Picked, StoreError> {
    let time: Option<[u8; TIME_BYTES]> = tail.get(..TIME_BYTES).and_then(|time| time.try_into().ok());
    let dated = time.and_then(|time| time_from_key(&time.map(|byte| !byte)));
    match (dated, tail.get(TIME_BYTES..).and_then(id_from_key)) {
        (Some(dated), Some(id)) => Ok(Picked { dated, id }),
        (_, _) => Err(StoreError::Record {
            table: Table::Index,
            key: record::readable(tail),
            what: "no date and article id at its end".into(),
        }),
    }
}
