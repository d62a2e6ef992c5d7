//! Every kind of record, by its letter in the store and its name in an export; and keys as text.

use crate::domain::{Article, ArticleId, Change, Subscriber, SubscriberId, Subscription};
use crate::store::articles::Replay;
use crate::store::epoch::Epoch;
use crate::store::files::TakenFile;
use crate::store::keys::ApiKey;
use crate::store::ledger::LedgerRow;
use crate::store::log::{Cursor, Touched};
use crate::store::pace::Pace;
use crate::store::record::{self, Record};
use crate::store::{
    Alarms, Appearance, Canary, Correction, Identity, Never, Numbers, Print, Reports, Spent, StoreError, Table, Wording,
};
use serde_json::Value;

type ToJson = fn(Table, &[u8], &[u8]) -> Result<Value, StoreError>;
type FromJson = fn(&[u8], Value) -> Result<Vec<u8>, serde_json::Error>;

/// How one kind of record is written and read.
pub(super) struct Kind {
    /// Its letter.
    pub(super) letter: u8,
    /// Its name in exports; for ever.
    pub(super) name: &'static str,
    /// From the store.
    pub(super) to_json: ToJson,
    /// Into the store.
    pub(super) from_json: FromJson,
}

/// All kinds. A test holds this against every `impl Record`, so none is forgotten.
pub(super) const KINDS: [Kind; 25] = [
    kind::<Article>("article"),
    kind::<Change>("change"),
    kind::<Subscription>("subscription"),
    kind::<ArticleId>("article_id"),
    kind::<Replay>("replay"),
    kind::<TakenFile>("taken_file"),
    kind::<Subscriber>("subscriber"),
    kind::<SubscriberId>("subscriber_id"),
    kind::<Spent>("spent"),
    kind::<Never>("never"),
    kind::<Wording>("wording"),
    kind::<LedgerRow>("message"),
    kind::<Identity>("identity"),
    kind::<Epoch>("epoch"),
    kind::<ApiKey>("api_key"),
    kind::<Cursor>("cursor"),
    kind::<Touched>("touched"),
    kind::<Pace>("pace"),
    kind::<Correction>("correction"),
    kind::<Print>("print"),
    kind::<Numbers>("numbers"),
    kind::<Canary>("canary"),
    kind::<Alarms>("alarms"),
    kind::<Appearance>("appearance"),
    kind::<Reports>("reports"),
];

const fn kind<R: Record>(name: &'static str) -> Kind {
    Kind {
        letter: R::KIND,
        name,
        to_json: |table, key, value| {
            let record: R = record::decode(table, key, value)?;
            serde_json::to_value(&record).map_err(|error| StoreError::Engine(error.to_string()))
        },
        from_json: |key, value| Ok(record::encode(key, &serde_json::from_value::<R>(value)?)),
    }
}

/// A key as text: what is printable stands as it is, other bytes as `\xNN`, a backslash as `\\`.
pub(super) fn key_to_text(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    let escaped =
        |text: &mut String, bytes: &[u8]| bytes.iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    for chunk in key.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => escaped(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        escaped(&mut text, chunk.invalid());
    }
    text
}

/// Reads what [`key_to_text`] wrote; none if it did not.
pub(super) fn key_from_text(text: &str) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            key.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => key.push(b'\\'),
            b'x' => {
                let digits = [bytes.next()?, bytes.next()?];
                key.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            _ => return None,
        }
    }
    Some(key)
}
