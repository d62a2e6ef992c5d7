//! A store with many confirmed subscribers of a category, written as the daemon writes them.

use super::store::load;
use super::{Amount, OnStore};
use serde_json::{Value, json};
use std::time::Instant;
use tidings::domain::{Address, Clock, Selection, Slug, Subscription, SubscriptionId, SubscriptionState, Term};
use tidings::store::{Batch, Store};
use uuid::Uuid;

/// Subscriptions of one commit.
const BATCH: usize = 1_000;

/// Adds `amount.count` of them, each at an address of its own.
pub(crate) async fn subscribers(on: OnStore, amount: Amount) -> anyhow::Result<Value> {
    let config = load(&on)?;
    let store = Store::open(&config.store.folder)?;
    let now = Clock::system().now();
    let slug = Slug::parse("category", &on.category).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let started = Instant::now();
    let mut batch = Batch::default();
    for number in 0..amount.count {
        let address = format!("reader{number}.{}@example.net", amount.seed);
        let id = SubscriptionId(Uuid::new_v5(&Uuid::NAMESPACE_DNS, address.as_bytes()));
        let to = Address::parse("address", &address).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let asked = Subscription::asked(id, to, Selection::any([Term::Category(slug.clone())]), now);
        let state = SubscriptionState::Confirmed { at: now };
        store.write_first_subscription(&mut batch, &Subscription { state, erase_at: None, ..asked });
        if (number + 1) % BATCH == 0 || number + 1 == amount.count {
            store.commit(std::mem::take(&mut batch)).await?;
        }
    }
    store.close();
    Ok(json!({ "count": amount.count, "seconds": started.elapsed().as_secs_f64() }))
}
