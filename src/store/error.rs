//! What can be wrong with a store, and how it is told.

use super::{CommitError, Table};
use crate::domain::{Kind, Problem};

/// What can be wrong with a store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store {folder} is in use by {owner}; stop that one first, or give this one a folder of its own")]
    Locked {
        /// The store's folder.
        folder: String,
        /// Who, as the lock file tells.
        owner: String,
    },
    /// It was written by a newer version.
    #[error(
        "{what} has format {found}, this version of tidings knows up to {known}: use the newer version that wrote it"
    )]
    Newer {
        /// The store, or a record of it.
        what: String,
        /// Its version.
        found: u32,
        /// The highest known here.
        known: u32,
    },
    /// It was written before the first release.
    #[error("{what} has format {found}, which no release has written: this version of tidings knows {known}")]
    Older {
        /// The store.
        what: String,
        /// Its version.
        found: u32,
        /// The one known here.
        known: u32,
    },
    /// It is shorter than what was acknowledged, or gone.
    #[error(
        "the store {folder} is damaged: {what}. Keep that folder as it is, and import the last export into a new one"
    )]
    Damaged {
        /// The store's folder.
        folder: String,
        /// What was found.
        what: String,
    },
    /// One value does not hold what was written.
    #[error("damaged record in {table:?} at {key:?}: {what}")]
    Record {
        /// Its table.
        table: Table,
        /// Its key, readable.
        key: String,
        /// What was found.
        what: String,
    },
    /// The engine or the file system failed.
    #[error("the store failed: {0}")]
    Engine(String),
    /// Others have changed, each time, what was to be written.
    #[error("the same is being changed by others at this moment; please try again")]
    Busy,
    /// It is closing, or a sync has failed and nothing more is written.
    #[error("the store takes no more changes: {0}")]
    Stopped(String),
}

impl StoreError {
    /// What who comes too late is told.
    pub(super) fn closing() -> Self {
        StoreError::Stopped("it is closing".into())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Busy | StoreError::Stopped(_) | StoreError::Locked { .. } => {
                Problem::new(Kind::Unavailable, error.to_string())
            }
            StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Damaged { .. }
            | StoreError::Record { .. }
            | StoreError::Engine(_) => Problem::new(Kind::Internal, error.to_string()),
        }
    }
}

impl From<CommitError> for StoreError {
    /// For a commit that has nothing to decide anew; who has goes through [`Store::decide`](super::Store::decide).
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error,
            CommitError::Conflict { .. } => StoreError::Busy,
        }
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        StoreError::from(error).into()
    }
}
