//! The whole store as JSON Lines, and back: backup, move to another machine or engine, and a look inside.
//!
//! First line: `{"tidings_export":4,"instance":…,"head":…,"articles":…}`. Then one line for each row of each table,
//! in the order of their keys: `{"table":"articles","key":…,"kind":"article","value":{…}}`; a log entry has `seq` in
//! place of `key`, an index row no value. Last line: `{"end":{"rows":…,"sha256":…}}` over all bytes before it, so
//! that a file that was cut off or edited is refused.
//!
//! An export holds the secret of signed links and the addresses of subscribers: it is to be kept as the store is.

mod kinds;
mod read;
mod write;

pub use read::import;
pub use write::export;

use super::{CommitError, StoreError, Table};
use serde::{Deserialize, Serialize};

/// Version of this format. An export of a higher one is refused.
const VERSION: u32 = 4;

/// What was written or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Last place of the log.
    pub head: u64,
    /// Articles.
    pub articles: u64,
    /// Rows of all tables.
    pub rows: u64,
}

/// Why an export or an import broke off.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("the export could not be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// What stands in the file.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What was found, and what was expected.
        what: String,
    },
    /// The folder to import into.
    #[error("{0}")]
    Occupied(String),
}

impl From<CommitError> for DumpError {
    fn from(error: CommitError) -> Self {
        StoreError::from(error).into()
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    tidings_export: u32,
    instance: String,
    head: u64,
    articles: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    table: Table,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    end: End,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    rows: u64,
    sha256: String,
}

#[cfg(test)]
mod tests;
