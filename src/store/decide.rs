//! Decide, commit, and decide anew where somebody else was first.

use super::{Batch, CommitError, Store, StoreError};

/// Rounds against others who change the same rows all the time. Each of them has got on meanwhile, so this many in a row
/// are no accident.
const ROUNDS_MAX: usize = 8;

impl Store {
    /// Commits what `decide` makes of the store as it finds it, and returns its value. Where somebody else has changed
    /// meanwhile what the batch requires, `decide` looks again. An empty batch is not committed: so it ends a decision by
    /// which nothing is to be written.
    ///
    /// Errors: those of `decide`, at once; [`StoreError::Busy`] where somebody else was first each time; the store's.
    pub async fn decide<T, E: From<StoreError>>(
        &self,
        mut decide: impl FnMut() -> Result<(Batch, T), E>,
    ) -> Result<T, E> {
        for _ in 0..ROUNDS_MAX {
            let (batch, value) = decide()?;
            if batch.is_empty() || self.try_commit(batch).await? {
                return Ok(value);
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Commits once; false, and nothing is written, if somebody else has changed meanwhile what the batch requires. For
    /// who comes back to it anyway.
    ///
    /// Errors: the store's.
    pub async fn try_commit(&self, batch: Batch) -> Result<bool, StoreError> {
        match self.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Kind, Problem};
    use crate::store::{Table, wait};

    const KEY: &[u8] = b"test/decided";

    /// A store that holds one counter, which is raised by who has read it.
    struct Counter {
        store: Store,
        _folder: tempfile::TempDir,
    }

    impl Counter {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let counter = Counter { store: Store::open(folder.path()).unwrap(), _folder: folder };
            let mut batch = Batch::default();
            batch.put(Table::Meta, KEY, [0]);
            wait(counter.store.commit(batch)).unwrap();
            counter
        }

        fn value(&self) -> u8 {
            self.store.kv().get(Table::Meta, KEY).unwrap().unwrap()[0]
        }

        /// A batch that raises it, and what it is then.
        fn raised(&self) -> (Batch, u8) {
            let old = self.value();
            let mut batch = Batch::default();
            batch.require_is(Table::Meta, KEY, [old]);
            batch.put(Table::Meta, KEY, [old + 1]);
            (batch, old + 1)
        }

        /// Somebody else raises it.
        fn raise(&self) {
            assert!(wait(self.store.try_commit(self.raised().0)).unwrap());
        }
    }

    #[test]
    fn who_is_second_looks_again_and_writes_on_top_of_the_first() {
        let counter = Counter::new();
        let mut looks = 0;
        let written = wait(counter.store.decide(|| {
            let decided = counter.raised();
            looks += 1;
            if looks == 1 {
                counter.raise();
            }
            Ok::<_, StoreError>(decided)
        }));
        assert_eq!((written.unwrap(), counter.value(), looks), (2, 2, 2));
    }

    #[test]
    fn who_is_second_all_the_time_is_told_so_and_has_written_nothing() {
        let counter = Counter::new();
        let written = wait(counter.store.decide(|| {
            let decided = counter.raised();
            counter.raise();
            Ok::<_, Problem>(decided)
        }));
        let problem = written.unwrap_err();
        assert_eq!(problem.kind, Kind::Unavailable);
        assert!(problem.detail.contains("being changed by others"), "{}", problem.detail);
        assert_eq!(usize::from(counter.value()), ROUNDS_MAX, "what the others wrote");
    }

    #[test]
    fn a_decision_that_fails_ends_at_once() {
        let counter = Counter::new();
        let mut looks = 0;
        let written = wait(counter.store.decide(|| {
            looks += 1;
            Err::<(Batch, ()), _>(Problem::new(Kind::NotFound, "there is none"))
        }));
        assert_eq!((written.unwrap_err().kind, looks), (Kind::NotFound, 1));
    }

    #[test]
    fn where_nothing_is_to_be_written_the_store_is_not_asked() {
        let counter = Counter::new();
        // It takes nothing more, and what is required does not hold.
        counter.store.close();
        let mut batch = Batch::default();
        batch.require_absent(Table::Meta, KEY);
        let value = wait(counter.store.decide(|| Ok::<_, StoreError>((batch.clone(), "as it was"))));
        assert_eq!(value.unwrap(), "as it was");
        let refused = wait(counter.store.decide(|| Ok::<_, StoreError>(counter.raised())));
        assert!(matches!(refused, Err(StoreError::Stopped(_))), "{refused:?}");
    }
}
