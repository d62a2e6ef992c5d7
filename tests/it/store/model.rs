//! The model of an engine: an ordered map. What every engine does is compared with it, call by call.

use super::contract::{Open, put};
use super::noise;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use tidings::store::kv::{Range, Row};
use tidings::store::{Batch, Table, wait};

#[derive(Debug, Clone)]
enum Op {
    Put(u8, usize),
    Delete(u8),
    /// Sets the second key if the first holds what it should (or not, if `false`).
    If(u8, bool, u8),
    Range {
        from: Bound<u8>,
        to: Bound<u8>,
        reverse: bool,
        limit: usize,
    },
    Reopen,
}

fn bound() -> impl Strategy<Value = Bound<u8>> {
    prop_oneof![any::<u8>().prop_map(Bound::Included), any::<u8>().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<u8>(), prop_oneof![0..20_usize, 150..3_000_usize, 4_000..13_000_usize]).prop_map(|(key, size)| Op::Put(key, size)),
        3 => any::<u8>().prop_map(Op::Delete),
        3 => (any::<u8>(), any::<bool>(), any::<u8>()).prop_map(|(key, holds, other)| Op::If(key, holds, other)),
        4 => (bound(), bound(), any::<bool>(), 0..300_usize)
            .prop_map(|(from, to, reverse, limit)| Op::Range { from, to, reverse, limit }),
        1 => Just(Op::Reopen),
    ]
}

/// Random calls, each with the answer that a map would have given.
pub(super) fn a_store_does_what_a_map_does(folder: &Path, open: Open) {
    let config = ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ops = proptest::collection::vec(op(), 1..80);
    runner
        .run(&ops, |ops| {
            let case = tempfile::tempdir_in(folder).unwrap();
            let mut store = open(case.path());
            let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for (n, op) in ops.into_iter().enumerate() {
                // Few keys, some of them prefixes of others.
                let key = |k: u8| vec![k % 8; 1 + usize::from(k / 8 % 3)];
                let value = |size: usize| match size % 3 {
                    // Every third is one that can be packed.
                    0 => vec![u8::try_from(n % 251).unwrap(); size],
                    _ => noise(u8::try_from(n % 251).unwrap(), size),
                };
                match op {
                    Op::Put(k, size) => {
                        wait(store.commit(put(&key(k), &value(size)))).unwrap();
                        map.insert(key(k), value(size));
                    }
                    Op::Delete(k) => {
                        let mut batch = Batch::default();
                        batch.delete(Table::Ledger, key(k));
                        wait(store.commit(batch)).unwrap();
                        map.remove(&key(k));
                    }
                    Op::If(k, holds, other) => {
                        let mut batch = put(&key(other), &value(5));
                        match (map.get(&key(k)), holds) {
                            (Some(held), true) => batch.require_is(Table::Ledger, key(k), held.clone()),
                            (Some(_), false) => batch.require_absent(Table::Ledger, key(k)),
                            (None, true) => batch.require_absent(Table::Ledger, key(k)),
                            (None, false) => batch.require_is(Table::Ledger, key(k), *b"something"),
                        }
                        prop_assert_eq!(wait(store.commit(batch)).is_ok(), holds);
                        if holds {
                            map.insert(key(other), value(5));
                        }
                    }
                    Op::Range { from, to, reverse, limit } => {
                        let range = Range { from: from.map(key), to: to.map(key), reverse, limit };
                        let found = store.kv().range(Table::Ledger, range.clone()).unwrap();
                        let inside = |key: &[u8]| {
                            (match &range.from {
                                Bound::Included(from) => key >= &from[..],
                                Bound::Excluded(from) => key > &from[..],
                                Bound::Unbounded => true,
                            }) && (match &range.to {
                                Bound::Included(to) => key <= &to[..],
                                Bound::Excluded(to) => key < &to[..],
                                Bound::Unbounded => true,
                            })
                        };
                        let mut rows: Vec<Row> = map.clone().into_iter().filter(|(key, _)| inside(key)).collect();
                        if reverse {
                            rows.reverse();
                        }
                        rows.truncate(limit);
                        prop_assert_eq!(found, rows);
                    }
                    Op::Reopen => {
                        drop(store);
                        store = open(case.path());
                    }
                }
                for k in 0..24 {
                    prop_assert_eq!(store.kv().get(Table::Ledger, &key(k)).unwrap(), map.get(&key(k)).cloned());
                }
                let behind = store.kv().range(Table::Ledger, Range::prefix([3]).after(key(3))).unwrap();
                let expected = map.iter().filter(|(k, _)| k.starts_with(&[3]) && k.len() > 1);
                prop_assert_eq!(behind, expected.map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>());
            }
            prop_assert_eq!(store.kv().snapshot().unwrap().faults().unwrap(), []);
            Ok(())
        })
        .unwrap();
}
