//! Messages get the domain's signatures before they are put on the wire.

use super::Mailer;
use super::plan::{InHand, Ready};
use crate::config::DkimKey;
use crate::domain::{Fault, Problem};
use crate::store::{Batch, StoreError, wait};
use crate::wire::mail::dkim::{self, SigningKey};
use std::sync::Arc;

/// The keys, ready to sign. Errors: names the file of a key that cannot.
pub(super) fn keys(described: &[DkimKey]) -> Result<Arc<[SigningKey]>, Problem> {
    let read = |key: &DkimKey| {
        let pair = SigningKey::from_pem(&key.domain, &key.selector, key.pem.expose(), key.not_before, key.not_after);
        pair.map_err(|found| {
            let field = format!("mail: {} `key_file`", key.file.display());
            Problem::invalid(vec![Fault::new(field, found, "a private key of RSA or Ed25519 in PEM")])
        })
    };
    described.iter().map(read).collect()
}

impl Mailer {
    /// Signs `messages` and commits `batch`, which puts them on the wire; none where somebody else was first. Signatures take
    /// their time where they hold up no other connection, and the commit is made there as well: one more change of thread
    /// would cost as much as the disk.
    ///
    /// Errors: the store's; a key cannot sign, and mail without signatures would count against the newsroom.
    pub(super) async fn signed_and_committed(
        &self,
        messages: Vec<(InHand, Ready)>,
        batch: Batch,
    ) -> Result<Option<Vec<(InHand, Ready)>>, StoreError> {
        let now = self.clock.now();
        if messages.is_empty() || !self.keys.iter().any(|key| key.is_active(now)) {
            return Ok(self.store.try_commit(batch).await?.then_some(messages));
        }
        let (keys, store) = (Arc::clone(&self.keys), Arc::clone(&self.store));
        let all = move || {
            let sign = |(in_hand, ready): (InHand, Ready)| {
                let bytes = dkim::sign(&*keys, ready.data.into_bytes(), now);
                let bytes = bytes.map_err(|_| StoreError::Engine("a signing key cannot sign".into()))?;
                Ok((in_hand, Ready { data: bytes.into(), ..ready }))
            };
            let signed = messages.into_iter().map(sign).collect::<Result<Vec<_>, StoreError>>()?;
            Ok(wait(store.try_commit(batch))?.then_some(signed))
        };
        let done = tokio::task::spawn_blocking(all).await;
        done.unwrap_or_else(|panic| Err(StoreError::Engine(format!("signing broke off: {panic}"))))
    }
}
