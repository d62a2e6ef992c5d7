//! What many messages have in common, worked out once: the article they are about, and the mail but for what differs
//! from one recipient to the next.

use super::ready::wanted;
use super::told::Prints;
use super::{Mailer, locked};
use crate::domain::{Article, ArticleId, Category, Fault, Labels, Language, Selection, Slug, Time};
use crate::services::newsroom::Newsroom;
use crate::store::{StoreError, Stored};
use crate::wire::locale::When;
use crate::wire::mail;
use std::collections::VecDeque;
use std::sync::Arc;

/// Articles that are remembered: mail is about few at a time, and each is looked at again in the store.
const ARTICLES_MAX: usize = 8;
/// Forms that are remembered: one for each article, list, selection, language and way of telling the time that mail is
/// about now.
const FORMS_MAX: usize = 1_024;
/// And the memory they may take; a form has some 5 to 200 KB.
const FORMS_BYTES_MAX: usize = 8 << 20;

/// An article as its mails need it.
#[derive(Debug)]
pub(super) struct Known {
    /// As it is stored, but without its body.
    pub(super) article: Stored<Article>,
    pub(super) labels: Labels,
    said: mail::Said,
    /// What mails tell of it, in one number.
    pub(super) prints: Arc<Prints>,
}

/// What a form was made of: the same of all gives the same mail.
#[derive(Debug)]
struct Made {
    list: Option<Slug>,
    language: Language,
    selection: Selection,
    /// The offset of the reader's zone when the article came out, and what it is called: all of the zone that the mail
    /// shows.
    clock: (i32, String),
    /// The templates, which a reload may replace.
    templates: Arc<mail::Templates>,
    /// When the newsroom's own name and titles last changed.
    newsroom_at: Time,
    /// Of a correction the editors' note, if there is one.
    correction: Option<Option<String>>,
}

/// What a notice is about beside the article.
pub(super) struct Telling<'a> {
    pub(super) list: Option<&'a Category>,
    pub(super) selection: &'a Selection,
    /// Sealed token of the leaving link.
    pub(super) leave: &'a str,
    pub(super) newsroom: &'a Newsroom,
    pub(super) correction: Option<mail::Correction<'a>>,
}

/// The newest in front.
#[derive(Default)]
pub(super) struct Forms {
    articles: VecDeque<Arc<Known>>,
    forms: VecDeque<(Arc<Known>, Made, Arc<mail::Form>)>,
}

impl Mailer {
    /// The article as it is now; none where it is not there.
    pub(super) fn known(&self, id: &ArticleId) -> Result<Option<Arc<Known>>, StoreError> {
        let known = locked(&self.forms).articles.iter().find(|known| known.article.record.id == *id).cloned();
        if let Some(known) = known
            && self.store.is_article(&known.article)?
        {
            return Ok(Some(known));
        }
        let Some(mut article) = self.store.article(id)? else { return Ok(None) };
        let labels = Labels::of(&article.record.content);
        let said = mail::Said::of(&article.record.content, self.settings.text);
        article.record.content.body = None;
        let prints = Arc::new(Prints::of([(&article.record, &said)]));
        let known = Arc::new(Known { article, labels, said, prints });
        let mut forms = locked(&self.forms);
        forms.articles.retain(|old| old.article.record.id != *id);
        forms.articles.push_front(Arc::clone(&known));
        forms.articles.truncate(ARTICLES_MAX);
        Ok(Some(known))
    }

    /// The notice of `known` to the recipient of `frame`.
    /// Errors: a [`Fault`] where an address cannot stand in a mail.
    pub(super) fn notice(
        &self,
        frame: &mail::Frame<'_>,
        known: &Arc<Known>,
        telling: Telling<'_>,
    ) -> Result<mail::MailData, Fault> {
        let Telling { list, selection, leave, newsroom, correction } = telling;
        let clock = When::clock(known.article.record.dated(), frame.zone);
        let write = |leave: &str| {
            let (article, said) = (&known.article.record, &known.said);
            let wanted = &wanted(frame, newsroom, selection);
            mail::notice(frame, &mail::Notice { article, said, list, wanted, leave, correction })
        };
        let note = correction.map(|correction| correction.note);
        let is_made_so = |made: &Made| {
            // All of it, so that nothing that comes to it later is left out here.
            let Made { list: slug, language, selection: of, clock: at, templates, newsroom_at, correction: noted } =
                made;
            slug.as_ref() == list.map(|list| &list.slug)
                && *language == frame.language
                && of == selection
                && *at == clock
                && templates == frame.templates
                && *newsroom_at == newsroom.changed_at
                && noted.as_ref().map(Option::as_deref) == note
        };
        let is_it = |(article, made, _): &(Arc<Known>, Made, _)| Arc::ptr_eq(article, known) && is_made_so(made);
        let found = locked(&self.forms).forms.iter().find(|form| is_it(form)).map(|(.., form)| Arc::clone(form));
        let form = match found {
            Some(form) => form,
            None => match mail::Form::of(leave, write).map(Arc::new) {
                Ok(form) => {
                    let made = Made {
                        list: list.map(|list| list.slug.clone()),
                        language: frame.language,
                        selection: selection.clone(),
                        clock,
                        templates: Arc::clone(frame.templates),
                        newsroom_at: newsroom.changed_at,
                        correction: note.map(|note| note.map(str::to_owned)),
                    };
                    locked(&self.forms).keep(Arc::clone(known), made, Arc::clone(&form));
                    form
                }
                // One that cannot be filled in is written whole, or that tells what is wrong.
                Err(_) => return write(leave).map(mail::MailData::from),
            },
        };
        let id = mail::message_id(frame.id, frame.site);
        let thread = correction.map_or("", |correction| correction.thread);
        let own = mail::Own { date: frame.date, to: frame.to, id: &id, leave, thread };
        form.fill(&own).or_else(|_| write(leave).map(mail::MailData::from))
    }
}

impl Forms {
    fn keep(&mut self, known: Arc<Known>, made: Made, form: Arc<mail::Form>) {
        self.forms.push_front((known, made, form));
        let mut bytes = 0;
        let fits = |(.., form): &&(_, _, Arc<mail::Form>)| {
            bytes += form.bytes();
            bytes <= FORMS_BYTES_MAX
        };
        let count = self.forms.iter().take_while(fits).count();
        self.forms.truncate(count.clamp(1, FORMS_MAX));
    }
}
