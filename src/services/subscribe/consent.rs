//! What is agreed to, and the wish never to be asked again.

use super::{Subscriptions, internal, unknown};
use crate::domain::{Address, Kind, Language, Problem, Subscriber, Subscription, SubscriptionState, hex};
use crate::store::{Batch, Delivery, LedgerKey, Message, Never, Wording};
use crate::wire::locale::Catalogue;
use crate::wire::mail::{Token, mailbox_hash};
use aws_lc_rs::digest;
use chrono::Duration;

/// Mail gateways open the links of a mail before or soon after they deliver it.
const SCANNED_WITHIN: Duration = Duration::minutes(5);

/// What stands beside the button that confirms.
fn wording(language: Language) -> String {
    Catalogue::of(language).text("consent", &[])
}

impl Subscriptions {
    /// Keeps the wording of now in `batch`, if it is a new one, and returns its version.
    pub(super) fn keep_wording(&self, batch: &mut Batch, language: Language) -> Result<String, Problem> {
        let text = wording(language);
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        let version = hex(&digest.as_ref()[..8]);
        if self.store.wording(&version).map_err(internal)?.is_none() {
            self.store.write_wording(batch, &version, &Wording { text });
        }
        Ok(version)
    }

    /// Does the owner of the address never want to be asked again, and since when? The wish is the mailbox's: who has said so
    /// for one address is asked at none that differs from it behind a `+` or in the case of its letters, since all of them
    /// come to the same person on most servers, and anybody can think up another one.
    ///
    /// Errors: the store's.
    pub fn never(&self, address: &Address) -> Result<Option<Never>, Problem> {
        self.store.never(&self.never_hash(address)).map_err(internal)
    }

    /// Was the mail of the subscription's last round sent long enough ago that software which opens links in mails has
    /// done so? It does within minutes, so a person who comes later confirms by coming.
    pub fn is_past_scanners(&self, subscription: &Subscription) -> Result<bool, Problem> {
        let key = LedgerKey::of(&Message::Confirmation { round: subscription.round }, subscription.id);
        let sent = self.store.message(&key).map_err(internal)?.map(|row| row.record.state);
        Ok(matches!(sent, Some(Delivery::Sent { at, .. }) if self.clock.now() - at >= SCANNED_WITHIN))
    }

    /// From now on nobody can have the owner of this link's address asked; what waits to be confirmed is erased. The link
    /// is good for ever, whatever else is known of the address; a second time changes nothing.
    ///
    /// Errors: [`Kind::NotFound`] for a link that is not ours or for something else.
    pub async fn never_again(&self, token: &str) -> Result<(), Problem> {
        self.change(|| {
            let token = Token::open(token, &self.store.identity().secret).ok_or_else(unknown)?;
            let hash = token.mailbox.ok_or_else(unknown)?;
            let now = self.clock.now();
            let mut batch = Batch::default();
            if self.store.never(&hash).map_err(internal)?.is_none() {
                self.store.write_never(&mut batch, &hash, &Never { at: now });
            }
            let asked = self.store.subscription(token.subscription).map_err(internal)?;
            if let Some(old) = asked.filter(|old| old.record.state == SubscriptionState::Pending) {
                let ended = Subscription { erase_at: Some(now), ..old.record.left(now) };
                self.store.write_subscription(&mut batch, Some(&old), &ended);
            }
            Ok((batch, ()))
        })
        .await
    }

    /// The owner of the address, who never wanted to be asked again or has complained, may be.
    ///
    /// Errors: [`Kind::NotFound`] if that was no wish of theirs.
    pub async fn allow(&self, address: &Address) -> Result<(), Problem> {
        self.change(|| {
            let known = self.store.subscriber_of(address).map_err(internal)?;
            let complained = known.filter(|known| known.record.complained_at.is_some());
            let has_refused = self.never(address)?.is_some();
            if !has_refused && complained.is_none() {
                return Err(Problem::new(Kind::NotFound, "nobody wished that this address is never asked again"));
            }
            let mut batch = Batch::default();
            if has_refused {
                self.store.delete_never(&mut batch, &self.never_hash(address));
            }
            if let Some(old) = &complained {
                let new = Subscriber { complained_at: None, ..old.record.clone() };
                self.store.write_subscriber(&mut batch, Some(old), &new);
            }
            Ok((batch, ()))
        })
        .await
    }

    fn never_hash(&self, address: &Address) -> [u8; 32] {
        mailbox_hash(address, &self.store.identity().secret)
    }
}
