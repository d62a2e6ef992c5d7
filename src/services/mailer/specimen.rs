//! What readers get, for the operator: shown in a browser, or sent once to an address as a test. Both are made of the
//! templates as their files are now, so that one sees what a reload would bring before it does.
//!
//! A test is a row of the ledger like any mail, so it is signed, shaped, tried again and recorded as all are. It belongs to
//! no subscription: in the place of one it names its address, by a keyed hash, so that who has the address erased has
//! this erased too.

use super::Mailer;
use super::plan::Stop;
use super::ready::{Made, Written, category, wanted};
use crate::domain::{Address, Article, ArticleId, Kind, Language, MailKind, Problem, Selection, Time};
use crate::store::{Batch, Counted, LedgerRow, Message, Order};
use crate::wire::mail::{self, About, Frame, Item, Templates};
use std::sync::Arc;

/// Articles of a digest that is only looked at.
const ITEMS_MAX: usize = 3;

/// Which mail.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Of which kind.
    pub kind: MailKind,
    /// In which language.
    pub language: Language,
    /// About which article; the newest where none is named, and a made-up one where there is none.
    pub article: Option<&'a ArticleId>,
}

impl Mailer {
    /// The bytes of the mail as a reader would get it now by `templates`, but for links that lead nowhere.
    ///
    /// Errors: [`Kind::NotFound`] where there is no such article in public; [`Kind::Invalid`] where a mail cannot be made.
    pub fn specimen(&self, wish: &Wish<'_>, templates: &Arc<Templates>) -> Result<Vec<u8>, Problem> {
        let to = Address::parse("to", "reader@example.org")?;
        let now = self.clock.now();
        self.made(wish, templates, &to, ("specimen", now, false)).map_err(|stop| match stop {
            Stop::Recall(_) => Problem::new(Kind::NotFound, "there is no such article in public"),
            Stop::Fail(what) => Problem::new(Kind::Invalid, what),
            Stop::Later(_) | Stop::Store(_) => Problem::new(Kind::Internal, "the store failed; the log says more"),
        })
    }

    /// Sends the mail once to `to`, which does not have to be subscribed to anything.
    ///
    /// Errors: as for [`Mailer::specimen`]; [`Kind::Invalid`] with each mistake in the templates; the store's.
    pub async fn send_test(self: &Arc<Self>, to: Address, wish: &Wish<'_>) -> Result<(), Problem> {
        // What cannot be made is told now, and not in the log.
        self.specimen(wish, &self.tried_templates().await?)?;
        let now = self.clock.now();
        let id = mail::test_recipient(&to, &self.store.identity().secret);
        let (kind, language, article) = (wish.kind, wish.language, wish.article.cloned());
        let row = LedgerRow::new(Message::Test { to, kind, language, article, at: now }, id, None, now);
        let mut batch = Batch::default();
        self.store.write_message(&mut batch, &row);
        if !self.store.try_commit(batch).await? {
            return Err(Problem::new(Kind::Conflict, "such a test was sent to this address just now"));
        }
        self.hint.notify_one();
        Ok(())
    }

    /// The templates as their files are now. Errors: [`Kind::Invalid`] with each mistake in them.
    pub async fn tried_templates(self: &Arc<Self>) -> Result<Arc<Templates>, Problem> {
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || this.fresh_templates()).await;
        let read =
            read.map_err(|panic| Problem::new(Kind::Internal, format!("the templates were not read: {panic}")))?;
        read.map_err(|mistakes| Problem::new(Kind::Invalid, format!("the mail templates have mistakes:\n{mistakes}")))
    }

    /// The mail of a row that is a test, as it goes out.
    pub(super) fn test(&self, row: &LedgerRow, now: Time) -> Result<Made, Stop> {
        let Message::Test { to, kind, language, article, .. } = &row.message else {
            return Err(Stop::Recall("it is no test"));
        };
        let id = self.id(&row.key());
        let wish = Wish { kind: *kind, language: *language, article: article.as_ref() };
        // They were right when it was asked for.
        let templates = self.fresh_templates().unwrap_or_else(|_| self.templates.load_full());
        let bytes = self.made(&wish, &templates, to, (id.as_str(), now, true))?;
        self.enveloped(id, (row.subscription, to), Written::plain(bytes), Counted::only(to), now)
    }

    fn made(
        &self,
        wish: &Wish<'_>,
        templates: &Arc<Templates>,
        to: &Address,
        (id, now, is_test): (&str, Time, bool),
    ) -> Result<Vec<u8>, Stop> {
        let newsroom = self.newsroom.load();
        let frame = Frame {
            site: &newsroom.site,
            from: &self.settings.from,
            to,
            language: wish.language,
            zone: &self.standard.zone.time_zone(),
            templates,
            returns: self.settings.return_address.as_ref(),
            id,
            date: now,
            is_test,
        };
        let articles = match wish.article {
            Some(id) => {
                let article = self.store.article(id)?.map(|stored| stored.record);
                vec![article.filter(|article| article.is_public()).ok_or(Stop::Recall("there is no such article"))?]
            }
            None => self.store.articles(Order::Public, None, ITEMS_MAX)?.articles,
        };
        let articles = if articles.is_empty() { mail::sample_articles()?.into() } else { articles };
        let said = |article: &Article| mail::Said::of(&article.content, self.settings.text);
        let said: Vec<_> = articles.iter().map(said).collect();
        let items: Vec<_> = articles.iter().zip(&said).map(|(article, said)| Item { article, said }).collect();
        let list = articles.first().and_then(|article| category(&newsroom, article.content.categories.first()?));
        let selection = list.map_or_else(Selection::all, |list| Selection::category(&list.slug));
        let about = About {
            items: &items,
            list,
            wanted: &wanted(&frame, &newsroom, &selection),
            rest: &newsroom.site.selection_page(&selection),
        };
        Ok(mail::specimen(wish.kind, &frame, &about)?)
    }
}
