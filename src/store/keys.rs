//! API keys. A key is shown once, when it is made; what is stored is its SHA-256. The keys are random (256 bits),
//! so a plain hash is as good as a slow one and costs a request next to nothing.

use super::kv::{Batch, Range};
use super::record::{self, Record};
use super::{Store, StoreError, Table};
use crate::domain::Time;
use serde::{Deserialize, Serialize};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// First part of the key itself; names it in lists and logs.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// SHA-256 of the whole key.
    pub digest: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
}

impl Record for ApiKey {
    const KIND: u8 = b'K';
    const SCHEMA: u8 = 1;
}

fn key_key(id: &str) -> Vec<u8> {
    format!("key/{id}").into_bytes()
}

impl Store {
    /// The key with this id.
    pub fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.stored(Table::Meta, &key_key(id))?.map(|stored| stored.record))
    }

    /// All keys; a newsroom has few.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = self.kv.range(Table::Meta, Range::prefix(*b"key/"))?;
        rows.iter().map(|(key, value)| record::decode(Table::Meta, key, value)).collect()
    }

    /// Puts a new key into `batch`.
    pub fn write_api_key(&self, batch: &mut Batch, api_key: &ApiKey) {
        let key = key_key(&api_key.id);
        batch.require_absent(Table::Meta, key.clone());
        let value = record::encode(&key, api_key);
        batch.put(Table::Meta, key, value);
    }

    /// Takes a key out; it opens nothing from then on.
    pub fn delete_api_key(&self, batch: &mut Batch, id: &str) {
        batch.delete(Table::Meta, key_key(id));
    }
}
