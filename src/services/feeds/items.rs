//! Items that are written anew: one behind the other, or many of them, as of a feed that nobody has asked for lately,
//! side by side.

use super::Feeds;
use super::name::Profile;
use crate::domain::{Article, ArticleId, Fault, Problem};
use crate::services::newsroom::Newsroom;
use crate::wire::Item;
use crate::wire::pieces::Frame;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::{ScopedJoinHandle, available_parallelism, scope};

/// A thread is not worth its beginning for fewer.
const ITEMS_A_THREAD: usize = 8;
/// What nobody has asked for lately is on the disk, and a disk is faster with some reads at a time.
const THREADS_MIN: usize = 4;

/// Threads for the items of one feed. Asked for once: the answer takes a look at several files.
static THREADS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, NonZero::get).max(THREADS_MIN));

/// What comes of an article's item, or what is wrong with it; none if it is gone since the index was read: then a change
/// is on its way that says so.
pub(super) type Outcome<T> = Option<Result<T, Fault>>;

impl Feeds {
    /// What `make` makes of the items of these articles, in their order.
    pub(super) fn items<T: Send>(
        &self,
        ids: &[&ArticleId],
        profile: Profile,
        newsroom: &Newsroom,
        frame: &mut Frame,
        make: impl Fn(&mut Frame, Item) -> Result<T, Fault> + Sync,
    ) -> Result<Vec<Outcome<T>>, Problem> {
        let threads = THREADS.min(ids.len() / ITEMS_A_THREAD).max(1);
        let mut shares = ids.chunks(ids.len().div_ceil(threads).max(1));
        let own = shares.next().unwrap_or_default();
        let of = |share: &[&ArticleId], frame: &mut Frame| {
            let one = |id: &&ArticleId| {
                let article = self.store.article(id)?.filter(|stored| stored.record.is_public());
                Ok(article.map(|article| make(frame, item(&article.record, profile, newsroom))))
            };
            share.iter().map(one).collect::<Result<Vec<_>, Problem>>()
        };
        scope(|scope| {
            let begin = |share| {
                let mut frame = frame.clone();
                let of = &of;
                scope.spawn(move || of(share, &mut frame))
            };
            let others: Vec<_> = shares.map(begin).collect();
            let mut all = of(own, frame)?;
            for other in others {
                all.extend(joined(other)?);
            }
            Ok(all)
        })
    }
}

/// A panic over there is one here.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// `article` as much as `profile` shows of it.
fn item(article: &Article, profile: Profile, newsroom: &Newsroom) -> Item {
    let item = Item::new(article, &newsroom.site, &newsroom.categories);
    match profile {
        Profile::Full => item,
        Profile::Summary => Item { html: None, ..item },
    }
}
