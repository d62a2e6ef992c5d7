//! Decide, commit, and decide anew where somebody else was first.

use super::kv::Meanwhile;
use super::{Batch, CommitError, Store, StoreError};
use crate::domain::Seq;

/// Rounds against others who change the same rows all the time. Each of them has got on meanwhile, so this many in a row
/// are no accident.
const ROUNDS_MAX: usize = 8;

impl Store {
    /// Commits what `decide` makes of the store as it finds it, and returns its value. Where somebody else has changed
    /// meanwhile what the batch requires, `decide` looks again. An empty batch is not committed: so it ends a decision by
    /// which nothing is to be written.
    ///
    /// Errors: those of `decide`, at once; [`StoreError::Busy`] where somebody else was first each time; the store's.
    pub async fn decide<T: Sync, E: From<StoreError>>(
        &self,
        decide: impl FnMut() -> Result<(Batch, T), E>,
    ) -> Result<T, E> {
        let (value, _) = self.decided(decide, None::<fn(&T)>).await?;
        Ok(value)
    }

    /// The same, with what `view` makes of the value: as a rule while the disk is at it, so that the answer to somebody is
    /// written by the time that it may be given. `view` does not write to the store.
    ///
    /// Errors: as those of [`Store::decide`].
    pub async fn decide_and_view<T: Sync, V: Send, E: From<StoreError>>(
        &self,
        decide: impl FnMut() -> Result<(Batch, T), E>,
        view: impl Fn(&T) -> V + Sync,
    ) -> Result<(T, V), E> {
        let (value, viewed) = self.decided(decide, Some(&view)).await?;
        let viewed = viewed.unwrap_or_else(|| view(&value));
        Ok((value, viewed))
    }

    /// What was decided in the end, and what `view` made of it where the disk gave it the time.
    async fn decided<T: Sync, V: Send, E: From<StoreError>>(
        &self,
        mut decide: impl FnMut() -> Result<(Batch, T), E>,
        view: Option<impl Fn(&T) -> V + Sync>,
    ) -> Result<(T, Option<V>), E> {
        for _ in 0..ROUNDS_MAX {
            let (batch, value) = decide()?;
            let mut viewed = None;
            let is_done = batch.is_empty() || {
                let meanwhile = view.as_ref().map(|view| Box::new(|| viewed = Some(view(&value))) as Meanwhile<'_>);
                committed(self.kv.commit(batch, meanwhile).await)?
            };
            if is_done {
                return Ok((value, viewed));
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Commits once; false, and nothing is written, if somebody else has changed meanwhile what the batch requires. For
    /// who comes back to it anyway.
    ///
    /// Errors: the store's.
    pub async fn try_commit(&self, batch: Batch) -> Result<bool, StoreError> {
        committed(self.commit(batch).await)
    }
}

fn committed(outcome: Result<Seq, CommitError>) -> Result<bool, StoreError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(CommitError::Store(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Kind, Problem};
    use crate::store::{Table, wait};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
    fn what_is_viewed_is_what_was_written_and_where_nothing_was_what_there_is() {
        let counter = Counter::new();
        let (looks, views) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let decide = || {
            let decided = counter.raised();
            if looks.fetch_add(1, Relaxed) == 0 {
                counter.raise();
            }
            Ok::<_, StoreError>(decided)
        };
        let view = |value: &u8| {
            views.fetch_add(1, Relaxed);
            format!("it is {value}")
        };
        let written = wait(counter.store.decide_and_view(decide, view)).unwrap();
        assert_eq!((written, counter.value()), ((2, "it is 2".into()), 2));
        assert!((1..=looks.load(Relaxed)).contains(&views.load(Relaxed)), "once for each try at most");
        let found = wait(counter.store.decide_and_view(|| Ok::<_, StoreError>((Batch::default(), 7)), view));
        assert_eq!(found.unwrap(), (7, "it is 7".into()));
    }

    #[test]
    fn a_view_that_breaks_off_harms_nothing_else() {
        let counter = Counter::new();
        let breaks_off = |_: &u8| -> u8 { panic!("of the view alone") };
        let written = catch_unwind(AssertUnwindSafe(|| {
            wait(counter.store.decide_and_view(|| Ok::<_, StoreError>(counter.raised()), breaks_off))
        }));
        assert!(written.is_err(), "it is told to who asked for it");
        assert_eq!(counter.value(), 1, "and what was written is written");
        counter.raise();
        assert_eq!(counter.value(), 2, "the store goes on");
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
