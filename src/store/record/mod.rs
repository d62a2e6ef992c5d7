//! One value: `{kind u8, schema u8, coding u16, crc32 u32}` and the record as MessagePack with named fields.
//!
//! The checksum covers key, header and payload, so a value under a wrong key is told as well. Named fields let
//! a record gain and lose fields without a new schema; the schema number rises only when old readers would err.

use super::articles::id_from_key;
use super::kv::Batch;
use super::{StoreError, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// A kind of value. KIND tells one from another in a damaged store; SCHEMA is its version.
pub trait Record: Serialize + DeserializeOwned {
    /// A letter of its own.
    const KIND: u8;
    /// The highest version that is read and the one that is written.
    const SCHEMA: u8;
    /// Is it worth the time to compress it? What is written often and never long is not. Either way is read.
    const IS_PACKED: bool = true;
}

impl Record for crate::domain::Article {
    const KIND: u8 = b'A';
    const SCHEMA: u8 = 1;
}

impl Record for crate::domain::Change {
    const KIND: u8 = b'C';
    const SCHEMA: u8 = 1;
}

impl Record for crate::domain::Subscription {
    const KIND: u8 = b'S';
    const SCHEMA: u8 = 1;
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

const HEADER_BYTES: usize = 8;
/// The payload as it is.
const PLAIN: u16 = 0;
/// The payload behind its length (u32), as one zstd frame made with [`DICTIONARY_1`]. Each further dictionary gets a
/// number of its own, and the old ones stay for as long as anything was written with them.
const ZSTD_1: u16 = 1;
/// A record is short, so most of what it holds is new to the compressor; here it knows our field names, the marks of
/// HTML and the commonest words before it begins. Its most likely parts stand last, as zstd has it.
const DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.txt");
/// Below this zstd's own frame eats what it gains.
const COMPRESS_BYTES_MIN: usize = 192;
/// It stands on the way of every publish. Measured on news text: level 3 gains 2 % for half as much time again, level 6
/// gains 5 % for three times the time.
const ZSTD_LEVEL: i32 = 1;
/// No record is larger when unpacked: four times the largest body that is let in.
const PAYLOAD_BYTES_MAX: usize = super::kv::VALUE_BYTES_MAX;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_dictionary(ZSTD_LEVEL, DICTIONARY_1).ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_dictionary(DICTIONARY_1).ok());
}

/// Puts `new` under `key` into `batch`, which then requires that what stands there is still `old`, or still nothing.
pub(super) fn put_over<R: Record>(batch: &mut Batch, table: Table, key: &[u8], old: Option<&Stored<R>>, new: &R) {
    match old {
        Some(old) => batch.require_is(table, key, old.raw.as_slice()),
        None => batch.require_absent(table, key),
    }
    batch.put(table, key, encode(key, new));
}

/// The bytes of `record` under `key`.
pub(super) fn encode<R: Record>(key: &[u8], record: &R) -> Vec<u8> {
    let payload = rmp_serde::to_vec_named(record).expect("our records hold only what MessagePack can write");
    // One that is too large stays so, and is refused at the commit: what could not be read is not written.
    let is_packed = R::IS_PACKED && (COMPRESS_BYTES_MIN..=PAYLOAD_BYTES_MAX).contains(&payload.len());
    let packed = is_packed.then(|| pack(&payload)).flatten();
    let (coding, payload) = match packed {
        Some(packed) if packed.len() < payload.len() => (ZSTD_1, packed),
        Some(_) | None => (PLAIN, payload),
    };
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.extend([R::KIND, R::SCHEMA]);
    value.extend(coding.to_be_bytes());
    value.extend(checksum(key, &value, &payload).to_be_bytes());
    value.extend(payload);
    value
}

fn pack(payload: &[u8]) -> Option<Vec<u8>> {
    PACKER.with_borrow_mut(|packer| {
        let frame = packer.as_mut()?.compress(payload).ok()?;
        let mut packed = u32::try_from(payload.len()).ok()?.to_be_bytes().to_vec();
        packed.extend(frame);
        Some(packed)
    })
}

fn unpack(frame: &[u8], length: usize) -> Result<Vec<u8>, String> {
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = unpacker.as_mut().ok_or("no memory to unpack it")?;
        unpacker.decompress(frame, length).map_err(|error| error.to_string())
    })
}

fn checksum(key: &[u8], head: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(head);
    crc.update(payload);
    crc.finalize()
}

/// Does `value` hold what was written under `key`? Returns its kind, schema, coding and payload.
fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<(u8, u8, u16, &'a [u8]), String> {
    let Some((head, payload)) = value.split_at_checked(HEADER_BYTES) else {
        return Err(format!("{} bytes, too short for a record", value.len()));
    };
    let [kind, schema, coding @ .., a, b, c, d] = head else { return Err("no header".into()) };
    let coding = coding.try_into().map_or(u16::MAX, u16::from_be_bytes);
    if checksum(key, &head[..4], payload) != u32::from_be_bytes([*a, *b, *c, *d]) {
        return Err("the checksum does not fit".into());
    }
    Ok((*kind, *schema, coding, payload))
}

/// The kind of a record; the checksum is checked, nothing is decoded.
pub(super) fn kind(key: &[u8], value: &[u8]) -> Result<u8, String> {
    open(key, value).map(|(kind, ..)| kind)
}

/// The record in `value` under `key`. Errors: [`StoreError::Record`] names table and key; [`StoreError::Newer`].
pub(super) fn decode<R: Record>(table: Table, key: &[u8], value: &[u8]) -> Result<R, StoreError> {
    let damaged = |what: String| StoreError::Record { table, key: readable(key), what };
    let (kind, schema, coding, payload) = open(key, value).map_err(damaged)?;
    if kind != R::KIND {
        return Err(damaged(format!("a record of kind {:?}, not {:?}", kind as char, R::KIND as char)));
    }
    if schema > R::SCHEMA {
        let what = format!("the record {} in {}", readable(key), table.name());
        return Err(StoreError::Newer { what, found: schema.into(), known: R::SCHEMA.into() });
    }
    let read = |bytes: &[u8]| rmp_serde::from_slice(bytes).map_err(|error| damaged(error.to_string()));
    match coding {
        PLAIN => read(payload),
        ZSTD_1 => {
            let (length, frame) = payload.split_first_chunk::<4>().ok_or_else(|| damaged("no length".into()))?;
            let length = (u32::from_be_bytes(*length) as usize).min(PAYLOAD_BYTES_MAX);
            let bytes = unpack(frame, length).map_err(damaged)?;
            read(&bytes)
        }
        other => {
            let what = format!("the coding of {} in {}", readable(key), table.name());
            Err(StoreError::Newer { what, found: other.into(), known: ZSTD_1.into() })
        }
    }
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
        let long = "tidings ".repeat(60);
        for text in ["short", long.trim()] {
            let value = encode(b"key", &id(text));
            assert_eq!(decode::<ArticleId>(Table::Index, b"key", &value).expect("whole"), id(text));
            assert!(kind(b"other", &value).is_err(), "under another key it is not the same record");
            for bit in 0..value.len() * 8 {
                let mut flipped = value.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(decode::<ArticleId>(Table::Index, b"key", &flipped).is_err(), "bit {bit}");
            }
        }
        assert!(encode(b"key", &id(long.trim())).len() < 100, "text is compressed");
    }

    #[test]
    fn a_record_of_a_newer_schema_is_refused_by_name() {
        let mut value = encode(b"key", &id("x"));
        value[1] = 9;
        let crc = checksum(b"key", &value[..4], &value[HEADER_BYTES..]);
        value[4..8].copy_from_slice(&crc.to_be_bytes());
        let error = decode::<ArticleId>(Table::Index, b"key", &value).expect_err("newer");
        assert!(matches!(error, StoreError::Newer { found: 9, known: 1, .. }), "{error}");
    }
}
