//! The part of the configuration that a reload swaps while everything runs.

use crate::domain::{Categories, Clock, Site, Time, changed};
use crate::store::{Appearance, Batch, Store, StoreError};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::Arc;
use url::Url;

/// The newsroom and its categories as they are configured now.
#[derive(Debug)]
pub struct Newsroom {
    /// The whole.
    pub site: Site,
    /// Its parts.
    pub categories: Categories,
    /// The WebSub hub that is told of changes; none if nobody is.
    pub hub: Option<Url>,
    /// Since when it looks so: feeds show titles, so no feed is older than this.
    pub changed_at: Time,
}

impl Newsroom {
    /// The newsroom as it is configured now. Where it looks otherwise than it did last in `store`, before a restart or a
    /// reload, or this is another version of the program, it has changed just now. The dates of files would not tell: a
    /// definition may be taken away, or replaced by an older one.
    ///
    /// Errors: the store's.
    pub async fn now(
        store: &Store,
        clock: &Clock,
        site: Site,
        categories: Categories,
        hub: Option<Url>,
    ) -> Result<Newsroom, StoreError> {
        let looks = format!("{}\n{site:?}\n{categories:?}\n{hub:?}", env!("CARGO_PKG_VERSION"));
        let looks = digest(&SHA256, looks.as_bytes());
        let decided = store.decide(|| {
            let (mut batch, old) = (Batch::default(), store.appearance()?);
            let known = old.as_ref().map(|old| &old.record);
            if let Some(known) = known.filter(|known| known.digest == looks.as_ref()) {
                return Ok((batch, known.since));
            }
            let since = changed(known.map(|known| known.since), clock.now());
            store.write_appearance(&mut batch, old.as_ref(), &Appearance { digest: looks.as_ref().to_vec(), since });
            Ok::<_, StoreError>((batch, since))
        });
        Ok(Newsroom { site, categories, hub, changed_at: decided.await? })
    }
}

/// Shared by everything that shows the newsroom; a reload stores a new one.
pub type SharedNewsroom = Arc<ArcSwap<Newsroom>>;

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[tokio::test]
    async fn it_has_changed_when_it_looks_otherwise_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::test(Time::UNIX_EPOCH + Duration::days(20_000));
        let store = Store::open(folder.path()).unwrap();
        let site = Site {
            title: "News".into(),
            description: String::new(),
            language: "en".into(),
            base_url: "https://news.example/".parse().unwrap(),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let changed_at = async |store: &Store, title: &str| {
            let site = Site { title: title.into(), ..site.clone() };
            Newsroom::now(store, &clock, site, Categories::default(), None).await.unwrap().changed_at
        };
        let first = changed_at(&store, "News").await;
        assert_eq!(first, clock.now());
        clock.advance(Duration::hours(1));
        assert_eq!(changed_at(&store, "News").await, first);
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(changed_at(&store, "News").await, first, "a restart is no change");
        let second = changed_at(&store, "Other News").await;
        assert_eq!(second, clock.now());
        clock.advance(Duration::hours(-5));
        assert_eq!(changed_at(&store, "News").await, second + Duration::seconds(1), "back to what it was");
    }
}
