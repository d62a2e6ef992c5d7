//! Items that are written anew: one behind the other, or many of them, as of a feed that nobody has asked for lately, on
//! all cores at once.

use super::Feeds;
use super::name::Profile;
use crate::domain::{Article, ArticleId, Fault, Problem};
use crate::services::newsroom::Newsroom;
use crate::wire::Item;
use crate::wire::pieces::{Frame, Piece};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::{ScopedJoinHandle, available_parallelism, scope};

/// A thread is not worth its beginning for fewer.
const ITEMS_A_THREAD: usize = 8;

/// Asked for once: the answer takes a look at several files.
static CORES: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, NonZero::get));

/// An article's item, or what is wrong with it; none if it is gone since the index was read: then a change is on its way
/// that says so.
pub(super) type Outcome = Option<Result<Piece, Fault>>;

impl Feeds {
    /// The items of these articles, in their order.
    pub(super) fn pieces(
        &self,
        ids: &[&ArticleId],
        profile: Profile,
        newsroom: &Newsroom,
        frame: &mut Frame,
    ) -> Result<Vec<Outcome>, Problem> {
        let threads = CORES.min(ids.len() / ITEMS_A_THREAD).max(1);
        let mut shares = ids.chunks(ids.len().div_ceil(threads).max(1));
        let own = shares.next().unwrap_or_default();
        let of = |share: &[&ArticleId], frame: &mut Frame| {
            share.iter().map(|id| self.piece(id, profile, newsroom, frame)).collect::<Result<Vec<_>, Problem>>()
        };
        scope(|scope| {
            let begin = |share| {
                let mut frame = frame.clone();
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

    /// The item of one article.
    pub(super) fn piece(
        &self,
        id: &ArticleId,
        profile: Profile,
        newsroom: &Newsroom,
        frame: &mut Frame,
    ) -> Result<Outcome, Problem> {
        let article = self.store.article(id)?.filter(|stored| stored.record.is_public());
        Ok(article.map(|article| frame.item(item(&article.record, profile, newsroom))))
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
