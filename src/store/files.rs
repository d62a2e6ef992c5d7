//! Which article files have been taken in, and what they said: so that a restart reads nothing twice, a removal is
//! noticed also when it happened while the daemon was down, and what was done over the API since is not undone.

use super::kv::{Batch, Range};
use super::record::{self, Record};
use super::{Store, StoreError, Table};
use crate::domain::{ArticleId, Slug};
use serde::{Deserialize, Serialize};

/// A file that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenFile {
    /// The article it became.
    pub article: ArticleId,
    /// SHA-256 of what it held.
    pub digest: Vec<u8>,
}

impl Record for TakenFile {
    const KIND: u8 = b'F';
    const SCHEMA: u8 = 1;
}

fn prefix(category: &Slug) -> Vec<u8> {
    [b"f", category.as_str().as_bytes(), b"/"].concat()
}

fn file_key(category: &Slug, name: &str) -> Vec<u8> {
    [&prefix(category)[..], name.as_bytes()].concat()
}

impl Store {
    /// The files of a category's folder that were taken in, by name, behind the name `after`.
    pub fn taken_files(&self, category: &Slug, after: Option<&str>) -> Result<Vec<(String, TakenFile)>, StoreError> {
        let prefix = prefix(category);
        let mut range = Range::prefix(prefix.clone());
        if let Some(after) = after {
            range = range.after(file_key(category, after));
        }
        let rows = self.kv.range(Table::Index, range)?;
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            Ok((name, record::decode(Table::Index, &key, &value)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// Remembers that a file was taken in.
    pub fn remember_file(&self, batch: &mut Batch, category: &Slug, name: &str, file: &TakenFile) {
        let key = file_key(category, name);
        let value = record::encode(&key, file);
        batch.put(Table::Index, key, value);
    }

    /// Forgets a file that is gone.
    pub fn forget_file(&self, batch: &mut Batch, category: &Slug, name: &str) {
        batch.delete(Table::Index, file_key(category, name));
    }
}
