//! Sums are added to by the engine: nobody has to read them first, and nothing is lost.

use std::path::Path;
use tidings::domain::{Address, ArticleId, Selection, Subscription, SubscriptionId, Time};
use tidings::store::{Batch, Became, Counted, Message, Numbers, Store, Table, Tally, wait};
use uuid::Uuid;

/// For the contract of engines.
pub(super) fn of_many_who_add_to_one_sum_none_has_to_try_twice(folder: &Path, open: fn(&Path) -> Store) {
    const WRITERS: u64 = 8;
    const COMMITS: u64 = 25;
    let opened = open(folder);
    let store = &opened;
    let article = ArticleId::parse("id", "a").unwrap();
    let message = Message::Notice { article: article.clone() };
    let address = Address::parse("address", "reader@example.net").unwrap();
    let reader = Subscription::asked(SubscriptionId(Uuid::from_u128(1)), address, Selection::all(), Time::UNIX_EPOCH);
    let add = |batch: &mut Batch| {
        let mut tally = Tally::default();
        for became in [Became::Accepted, Became::Accepted, Became::Deferred] {
            tally.add(&Counted::of(&message, &reader), became, Time::UNIX_EPOCH);
        }
        store.write_tally(batch, &tally).unwrap();
    };
    let add = &add;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in 0..COMMITS {
                    let mut batch = Batch::default();
                    batch.put(Table::Ledger, format!("{writer}/{number}"), []);
                    add(&mut batch);
                    wait(store.commit(batch)).expect("it requires nothing");
                }
            });
        }
    });
    // A batch that does not hold adds nothing.
    let mut batch = Batch::default();
    batch.require_absent(Table::Ledger, *b"0/0");
    add(&mut batch);
    wait(store.commit(batch)).unwrap_err();
    // One that adds several times to the same sum adds all of it.
    let mut batch = Batch::default();
    (0..3).for_each(|_| add(&mut batch));
    wait(store.commit(batch)).unwrap();
    let times = WRITERS * COMMITS + 3;
    let expected = Numbers { accepted: 2 * times, deferred: times, ..Numbers::default() };
    assert_eq!(store.numbers_of(&article).unwrap(), expected);
    store.close();
    drop(opened);
    assert_eq!(open(folder).numbers_of(&article).unwrap(), expected);
}
