//! Digests as mails: one is written once for all who get the same, held as long as it is asked for, and filled in for each.

use super::Mailer;
use super::plan::Stop;
use super::ready::{category, wanted};
use super::told::Prints;
use crate::domain::{
    Article, ArticleId, Fault, Language, Selection, Seq, Slug, Span, Subscription, SubscriptionId, Time,
};
use crate::services::newsroom::Newsroom;
use crate::store::{LedgerRow, Message, StoreError, Stored, Told};
use crate::wire::mail::{
    Composition, Digest, Form, Frame, Item, MailData, Own, Said, Templates, Token, digest, message_id,
};
use chrono::NaiveDate;
use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

/// Different digests that are held, the last ones asked for.
const HELD_MAX: usize = 128;
/// And their bytes: 128 of the longest that are usual.
const HELD_BYTES_MAX: usize = 24 << 20;
/// Articles that there is no room for are counted up to this.
const MORE_MAX: usize = 10_000;
/// Log entries that are looked at to find out whether one that is held still holds.
const CHANGES_MAX: usize = 256;
/// A digest is made anew this often while its articles are being changed.
const COMPOSED_MAX: usize = 4;

/// What decides what a digest says.
#[derive(PartialEq, Eq, Clone)]
struct Key {
    day: NaiveDate,
    selection: Selection,
    span: Span,
    is_fold: bool,
    list: Option<Slug>,
    language: Language,
    /// The templates, which a reload may replace.
    templates: Arc<Templates>,
    /// When the newsroom's own name and titles last changed.
    newsroom_at: Time,
}

/// One that is held.
struct Held {
    key: Key,
    /// The mail but for what is each recipient's own; none where nothing of it is public any more.
    form: Option<Arc<Form>>,
    articles: HashSet<ArticleId>,
    /// What came out before this place it only counts.
    from: Seq,
    prints: Arc<Prints>,
    /// The place in the log up to which it holds.
    seq: Seq,
}

/// The mail, what it tells, and the prints of that.
type Found = (Option<Arc<Form>>, Told, Arc<Prints>);

impl Held {
    fn answer(&self) -> Found {
        let told = Told { selection: self.key.selection.clone(), from: self.from, as_of: self.seq };
        (self.form.clone(), told, Arc::clone(&self.prints))
    }
}

/// Those that are held, the last one asked for at the end.
#[derive(Default)]
pub(super) struct Digests(VecDeque<Held>);

impl Mailer {
    /// The digest of `row`, which was made on its reader's `day`, and what it tells: nothing that is retracted by now is in
    /// it.
    pub(super) fn digest(
        &self,
        frame: &Frame<'_>,
        newsroom: &Newsroom,
        subscription: &Subscription,
        row: &LedgerRow,
        day: NaiveDate,
    ) -> Result<(MailData, Told, Arc<Prints>), Stop> {
        let Message::Digest { span, is_fold, .. } = &row.message else {
            return Err(Stop::Recall("it is no digest"));
        };
        let key = Key {
            day,
            selection: subscription.selection.clone(),
            span: span.clone(),
            is_fold: *is_fold,
            list: row.list.clone(),
            language: frame.language,
            templates: Arc::clone(frame.templates),
            newsroom_at: newsroom.changed_at,
        };
        let (form, told, prints) = self.form(frame, newsroom, key)?;
        let form = form.ok_or(Stop::Recall("nothing that was in it is public any more"))?;
        let tag = row.key().tag(&row.message);
        let leave = Token::leave_by(row.subscription, tag).seal(&self.store.identity().secret);
        let own =
            Own { date: frame.date, to: frame.to, id: &message_id(frame.id, frame.site), leave: &leave, thread: "" };
        Ok((form.fill(&own)?, told, prints))
    }

    fn form(&self, frame: &Frame<'_>, newsroom: &Newsroom, key: Key) -> Result<Found, Stop> {
        // One at a time makes one: the others would make the same.
        let mut held = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.0.iter().position(|held| held.key == key)
            && let Some(mut found) = held.0.remove(at)
            && self.holds(&mut found)?
        {
            let answer = found.answer();
            held.0.push_back(found);
            return Ok(answer);
        }
        let mut made = self.compose(frame, newsroom, key.clone())?;
        for _ in 1..COMPOSED_MAX {
            // What changed while it was made may be in it or not: it has to be known which.
            if self.holds(&mut made)? {
                break;
            }
            made = self.compose(frame, newsroom, key.clone())?;
        }
        let answer = made.answer();
        held.0.push_back(made);
        let bytes = |held: &Held| held.form.as_ref().map_or(0, |form| form.bytes());
        while held.0.len() > 1 && (held.0.len() > HELD_MAX || held.0.iter().map(bytes).sum::<usize>() > HELD_BYTES_MAX)
        {
            held.0.pop_front();
        }
        Ok(answer)
    }

    /// Has nothing happened to the articles in it?
    fn holds(&self, held: &mut Held) -> Result<bool, StoreError> {
        let last = self.untouched(held.seq, |article| held.articles.contains(article))?;
        held.seq = last.unwrap_or(held.seq);
        Ok(last.is_some())
    }

    /// The last place of the log, if nothing has happened behind `seq` to an article that `is_in`.
    fn untouched(&self, seq: Seq, is_in: impl Fn(&ArticleId) -> bool) -> Result<Option<Seq>, StoreError> {
        if seq == self.store.head() {
            return Ok(Some(seq));
        }
        let read = self.store.since(seq, CHANGES_MAX)?;
        let is_known = !read.truncated && read.changes.len() < CHANGES_MAX;
        let is_touched = read.changes.iter().any(|(_, change)| is_in(&change.article));
        Ok((is_known && !is_touched).then(|| read.changes.last().map_or(seq, |(last, _)| *last)))
    }

    /// May this message go out, now that it is on the wire? Not a digest of which an article was changed or retracted
    /// between its being written and that: who was to be corrected was told by then that it waits, and would be right.
    pub(super) fn is_up_to_date(&self, row: &LedgerRow, prints: Option<&Prints>) -> bool {
        let (Some(told), Some(prints)) = (&row.told, prints) else { return true };
        // What is not known to be right is written once more.
        self.untouched(told.as_of, |article| prints.tell_of(article)).is_ok_and(|last| last.is_some())
    }

    fn compose(&self, frame: &Frame<'_>, newsroom: &Newsroom, key: Key) -> Result<Held, Stop> {
        // Taken before the articles are read: a change that comes meanwhile is looked at again.
        let seq = self.store.head();
        let items_max = self.standard.digest_items_max;
        let mut articles: Vec<Stored<_>> = Vec::new();
        let mut places = Vec::new();
        let mut more = 0;
        self.store.news(&key.selection, &key.span, self.settings.article_age_max, |place, article| {
            if articles.len() < items_max {
                articles.push(article);
                places.push(place);
            } else {
                more += 1;
            }
            if more < MORE_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let said = |article: &Stored<Article>| Said::of(&article.record.content, self.settings.text);
        let said: Vec<Said> = articles.iter().map(said).collect();
        let items = articles.iter().zip(&said);
        let items: Vec<_> = items.map(|(article, said)| Item { article: &article.record, said }).collect();
        let mut from = key.span.since.next();
        let mut count = 0;
        let form = match items.as_slice() {
            [] => None,
            items => {
                let bytes_max = self.standard.digest_bytes_max;
                let composition =
                    Composition::new(frame.templates, key.language, &newsroom.site, items, more, bytes_max)?;
                count = composition.count();
                if count < items.len() || more > 0 {
                    from = places.get(count.saturating_sub(1)).copied().unwrap_or(from);
                }
                Some(Arc::new(self.addressed(frame, newsroom, &key, &composition)?))
            }
        };
        let prints = Prints::of(items.iter().take(count).map(|item| (item.article, item.said)));
        let articles = articles.iter().map(|article| article.record.id.clone()).collect();
        Ok(Held { key, form, articles, from, prints: Arc::new(prints), seq })
    }

    fn addressed(
        &self,
        frame: &Frame<'_>,
        newsroom: &Newsroom,
        key: &Key,
        composition: &Composition,
    ) -> Result<Form, Fault> {
        let content = Digest {
            composition,
            day: key.day,
            list: key.list.as_ref().and_then(|slug| category(newsroom, slug)),
            wanted: &wanted(frame, newsroom, &key.selection),
            rest: &newsroom.site.selection_page(&key.selection),
            fold_over: key.is_fold.then_some(self.standard.instant_per_day_max),
            leave: "",
        };
        let any = Token::leave(SubscriptionId(uuid::Uuid::nil())).seal(&self.store.identity().secret);
        Form::of(&any, |leave| digest(frame, &Digest { leave, ..content }))
    }
}
