//! API keys: made, listed, revoked, verified. The operator sees a key once, when it is made.

use crate::domain::{Clock, Kind, Problem, hex};
use crate::store::{ApiKey, Batch, Store};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// First part of every key, so that one that leaked into a text is recognised.
const PREFIX: &str = "tidings";
/// A name is for people to recognise.
const NAME_CHARS_MAX: usize = 80;
/// Keys of one newsroom; one a program is plenty.
const KEYS_MAX: usize = 200;

/// The newsroom's API keys.
#[derive(Clone)]
pub struct Keys {
    store: Arc<Store>,
    clock: Clock,
    /// All that are stored, by their ids: every request has one looked up.
    known: Arc<RwLock<HashMap<String, ApiKey>>>,
}

impl Keys {
    /// The keys in `store`, which nobody else changes meanwhile. Errors: the store's.
    pub fn new(store: Arc<Store>, clock: Clock) -> Result<Self, Problem> {
        let known = store.api_keys()?.into_iter().map(|key| (key.id.clone(), key)).collect();
        Ok(Keys { store, clock, known: Arc::new(RwLock::new(known)) })
    }

    /// Makes a key. Returns its record and the key itself, which is stored nowhere.
    ///
    /// Errors: [`Kind::Invalid`] for a name that is empty or too long.
    pub async fn create(&self, name: &str) -> Result<(ApiKey, String), Problem> {
        let name = crate::domain::clean_line(name);
        if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
            let found = format!("{} characters", name.chars().count());
            return Err(Problem::field("name", found, format!("1 to {NAME_CHARS_MAX} characters")));
        }
        if self.store.api_keys()?.len() >= KEYS_MAX {
            return Err(Problem::new(Kind::Conflict, format!("there are {KEYS_MAX} keys already; revoke one first")));
        }
        let mut random = [0_u8; 38];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| Problem::new(Kind::Internal, "no randomness"))?;
        let (id, secret) = random.split_at(6);
        let id = hex(id);
        let key = format!("{PREFIX}_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
        let record = ApiKey {
            id,
            name,
            digest: digest(&SHA256, key.as_bytes()).as_ref().to_vec(),
            created_at: self.clock.now(),
        };
        let mut batch = Batch::default();
        self.store.write_api_key(&mut batch, &record);
        self.store.commit(batch).await?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(record.id.clone(), record.clone());
        Ok((record, key))
    }

    /// All of them, in the order of their ids, which is no order in time.
    pub fn list(&self) -> Result<Vec<ApiKey>, Problem> {
        Ok(self.store.api_keys()?)
    }

    /// Takes a key out of use. Errors: [`Kind::NotFound`].
    pub async fn revoke(&self, id: &str) -> Result<ApiKey, Problem> {
        let unknown = || Problem::new(Kind::NotFound, format!("there is no key with the id {id}"));
        let record = self.store.api_key(id)?.ok_or_else(unknown)?;
        let mut batch = Batch::default();
        self.store.delete_api_key(&mut batch, id);
        self.store.commit(batch).await?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(record)
    }

    /// The id of the key that `key` is; none for one that is unknown.
    pub fn verify(&self, key: &str) -> Option<String> {
        let (id, _) = key.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once('_')?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let record = known.get(id)?;
        let given = digest(&SHA256, key.as_bytes());
        verify_slices_are_equal(given.as_ref(), &record.digest).is_ok().then(|| id.to_owned())
    }
}
