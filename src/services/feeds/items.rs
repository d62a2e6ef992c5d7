//! Items that are written anew: one behind the other, or many of them, as of a feed that nobody has asked for lately,
//! side by side.

use super::Feeds;
use super::beside::beside;
use super::name::Profile;
use crate::domain::{Article, ArticleId, Fault, Problem};
use crate::services::newsroom::Newsroom;
use crate::wire::Item;
use crate::wire::pieces::Frame;

/// A thread is not worth its beginning for fewer.
const ITEMS_A_THREAD: usize = 8;

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
        beside(ids, ITEMS_A_THREAD, frame, Frame::clone, |share, frame| {
            let one = |id: &&ArticleId| {
                let article = self.store.article(id)?.filter(|stored| stored.record.is_public());
                Ok(article.map(|article| make(frame, item(&article.record, profile, newsroom))))
            };
            share.iter().map(one).collect()
        })
    }
}

/// `article` as much as `profile` shows of it.
fn item(article: &Article, profile: Profile, newsroom: &Newsroom) -> Item {
    let item = Item::new(article, &newsroom.site, &newsroom.categories);
    match profile {
        Profile::Full => item,
        Profile::Summary => Item { html: None, ..item },
    }
}
