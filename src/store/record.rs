//! One value: `{kind u8, schema u8, crc32 u32}` and the record as MessagePack with named fields.
//!
//! The checksum covers key, header and payload, so a value under a wrong key is told as well. Named fields let
//! a record gain and lose fields without a new schema; the schema number rises only when old readers would err.

use super::articles::id_from_key;
use super::kv::Batch;
use super::{StoreError, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of value. KIND tells one from another in a damaged store; SCHEMA is its version.
pub trait Record: Serialize + DeserializeOwned {
    /// A letter of its own.
    const KIND: u8;
    /// The highest version that is read and the one that is written.
    const SCHEMA: u8;
}

impl Record for crate::domain::Article {
    const KIND: u8 = b'A';
    const SCHEMA: u8 = 2;
}

impl Record for crate::domain::Change {
    const KIND: u8 = b'C';
    const SCHEMA: u8 = 2;
}

impl Record for crate::domain::Subscription {
    const KIND: u8 = b'S';
    const SCHEMA: u8 = 2;
}

/// A pointer: the id of an article under another name.
impl Record for crate::domain::ArticleId {
    const KIND: u8 = b'P';
    const SCHEMA: u8 = 1;
}

/// A record as it was read, with its bytes: what a later write requires to be unchanged.
#[derive(Debug, Clone)]
pub struct Stored<R> {
    /// The record.
    pub record: R,
    /// Its bytes in the store.
    pub raw: Vec<u8>,
}

const HEADER_BYTES: usize = 6;

/// Puts `new` under `key` into `batch`, which then requires that what stands there is still `old`, or still nothing.
/// Returns its bytes.
pub(super) fn put_over<R: Record>(
    batch: &mut Batch,
    table: Table,
    key: &[u8],
    old: Option<&Stored<R>>,
    new: &R,
) -> Vec<u8> {
    put_over_raw(batch, table, key.to_vec(), old.map(|old| old.raw.clone()), new)
}

/// The same where only the bytes of what stands there are at hand.
pub(super) fn put_over_raw<R: Record>(
    batch: &mut Batch,
    table: Table,
    key: Vec<u8>,
    old: Option<Vec<u8>>,
    new: &R,
) -> Vec<u8> {
    let raw = encode(&key, new);
    match old {
        Some(old) => batch.require_is(table, key.as_slice(), old),
        None => batch.require_absent(table, key.as_slice()),
    }
    batch.put(table, key, raw.as_slice());
    raw
}

/// The bytes of `record` under `key`.
pub(super) fn encode<R: Record>(key: &[u8], record: &R) -> Vec<u8> {
    /// Most records are shorter.
    const BYTES: usize = 512;
    let mut value = Vec::with_capacity(BYTES);
    value.extend([R::KIND, R::SCHEMA, 0, 0, 0, 0]);
    rmp_serde::encode::write_named(&mut value, record).expect("our records hold only what MessagePack can write");
    let (head, payload) = value.split_at(HEADER_BYTES);
    let sum = checksum(key, &head[..2], payload).to_be_bytes();
    value[2..HEADER_BYTES].copy_from_slice(&sum);
    value
}

fn checksum(key: &[u8], head: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(head);
    crc.update(payload);
    crc.finalize()
}

/// Does `value` hold what was written under `key`? Returns its kind, schema and payload.
fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<(u8, u8, &'a [u8]), String> {
    let Some((head, payload)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(format!("{} bytes, too short for a record", value.len()));
    };
    let [kind, schema, sum @ ..] = head;
    if checksum(key, &[*kind, *schema], payload) != u32::from_be_bytes(*sum) {
        return Err("the checksum does not fit".into());
    }
    Ok((*kind, *schema, payload))
}

/// The kind of a record; the checksum is checked, nothing is decoded.
pub(super) fn kind(key: &[u8], value: &[u8]) -> Result<u8, String> {
    open(key, value).map(|(kind, ..)| kind)
}

/// The record in `value` under `key`. Errors: [`StoreError::Record`] names table and key; [`StoreError::Newer`].
pub(super) fn decode<R: Record>(table: Table, key: &[u8], value: &[u8]) -> Result<R, StoreError> {
    let damaged = |what: String| StoreError::Record { table, key: readable(key), what };
    let (kind, schema, payload) = open(key, value).map_err(damaged)?;
    if kind != R::KIND {
        return Err(damaged(format!("a record of kind {:?}, not {:?}", kind as char, R::KIND as char)));
    }
    if schema > R::SCHEMA {
        let what = format!("the record {} in {}", readable(key), table.name());
        return Err(StoreError::Newer { what, found: schema.into(), known: R::SCHEMA.into() });
    }
    rmp_serde::from_slice(payload).map_err(|error| damaged(error.to_string()))
}

/// A key as a person can read it: an article's as its id; else printable ASCII as it is, the rest as `\xNN`.
pub(super) fn readable(key: &[u8]) -> String {
    match id_from_key(key) {
        Some(id) if id.as_str().is_ascii() => id.to_string(),
        Some(_) | None => key.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ArticleId;

    fn id(text: &str) -> ArticleId {
        ArticleId::parse("id", text).expect("valid")
    }

    #[test]
    fn a_record_comes_back_and_every_flipped_bit_is_told() {
        let value = encode(b"key", &id("7"));
        assert_eq!(decode::<ArticleId>(Table::Index, b"key", &value).expect("whole"), id("7"));
        assert!(kind(b"other", &value).is_err(), "under another key it is not the same record");
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<ArticleId>(Table::Index, b"key", &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_a_newer_schema_is_refused_by_name() {
        let mut value = encode(b"key", &id("x"));
        value[1] = 9;
        let crc = checksum(b"key", &value[..2], &value[HEADER_BYTES..]);
        value[2..HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
        let error = decode::<ArticleId>(Table::Index, b"key", &value).expect_err("newer");
        assert!(matches!(error, StoreError::Newer { found: 9, known: 1, .. }), "{error}");
    }
}
