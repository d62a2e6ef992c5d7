//! Corrections: who was told something else of an article than what is right now gets it once more, and nobody else.
//!
//! The ledger says in which revision each was told of it, in a mail of its own, in a digest or by an earlier correction;
//! prints say which revisions told the same. A correction is asked for in one small commit. Then it is made out in pieces,
//! each committed with how far that is, so neither a million readers nor a crash amid them matters. Keys of the ledger are
//! made of article, revision and subscription, so nobody is owed the same correction twice.

mod reach;

use super::Step;
use crate::config::MailText;
use crate::domain::{ArticleId, Clock, Fault, Kind, Problem, clean_block};
use crate::store::{Batch, Correction, Delivery, LedgerRow, Message, Print, Revisions, Store, StoreError, Stored};
use chrono::Duration;
use reach::{Owed, Reach};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Subscriptions that get it, of one commit.
const PIECE_ROWS_MAX: usize = 200;
/// Subscriptions that are looked at for one; keeps a reading short where few get it.
const PIECE_LOOKED_MAX: usize = 5_000;
/// Letters of a note: some sentences, far below what mailboxes cut off.
pub const NOTE_CHARS_MAX: usize = 2_000;
/// Nothing is overlooked for longer, whatever becomes of wake-ups.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(30);
/// After an error of the store.
const RETRY_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

/// Makes corrections out.
pub struct Corrections {
    store: Arc<Store>,
    clock: Clock,
    article_age_max: Duration,
    text: MailText,
    mailer: Arc<Notify>,
    asked: Notify,
    /// One is counted at a time: each looks at every subscription.
    turn: tokio::sync::Mutex<()>,
    /// What is known of the correction that is being made out.
    reach: Mutex<Option<Arc<Reach>>>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Only who was told of one of these; else all who were told something else than what is right.
    pub of: Option<Revisions>,
    /// What the editors say about it, cleaned by [`note`].
    pub note: Option<String>,
}

/// What an asking comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The revision that is right.
    pub revision: u32,
    /// Who gets it and is not owed it yet.
    pub recipients: u64,
    /// The correction as it stands; none where it was not asked for, or nobody gets it.
    pub correction: Option<Correction>,
}

/// `text` as a note: plain, without ends; none where nothing is left. Errors: a [`Fault`] on `note`.
pub fn note(text: &str) -> Result<Option<String>, Fault> {
    let text = clean_block(text);
    let text = text.trim();
    let count = text.chars().count();
    if count > NOTE_CHARS_MAX {
        let found = format!("{count} characters");
        return Err(Fault::new("note", found, format!("at most {NOTE_CHARS_MAX} characters")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

impl Corrections {
    /// Of articles that are not fresh by `article_age_max` ([`Article::is_fresh`](crate::domain::Article::is_fresh)) no
    /// digest told; `text` is what notices have of one. `mailer` wakes it.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        article_age_max: Duration,
        text: MailText,
        mailer: Arc<Notify>,
    ) -> Self {
        let (asked, turn, reach) = (Notify::new(), tokio::sync::Mutex::default(), Mutex::default());
        Corrections { store, clock, article_age_max, text, mailer, asked, turn, reach }
    }

    /// Counts who would get it. Looks at every subscription.
    ///
    /// Errors: [`Kind::NotFound`]; [`Kind::Conflict`] for an article that is not public; [`Kind::Invalid`].
    pub async fn count(&self, article: &ArticleId, asked: &Asked) -> Result<Answer, Problem> {
        Ok(self.counted(article, asked).await?.0)
    }

    /// As above, and the print of what is right.
    async fn counted(&self, article: &ArticleId, asked: &Asked) -> Result<(Answer, Print), Problem> {
        let _turn = self.turn.lock().await;
        let reach = Arc::new(self.reach(article, asked.of, None).await?);
        let (revision, _) = reach.right();
        let mut recipients = 0;
        let mut after = None;
        loop {
            let of = Arc::clone(&reach);
            let piece = self.store.scan(move |store| of.piece(store, after, usize::MAX, PIECE_LOOKED_MAX)).await?;
            let Some((owed, last)) = piece else { break };
            recipients += owed.len() as u64;
            after = Some(last);
        }
        Ok((Answer { revision, recipients, correction: None }, reach.right().1))
    }

    /// Asks for it; a second time changes nothing.
    ///
    /// Errors: as for [`Corrections::count`]; [`Kind::Conflict`] also where the same correction was asked for with another
    /// note, or is being made out for other revisions.
    pub async fn ask(&self, article: &ArticleId, asked: &Asked) -> Result<Answer, Problem> {
        let (answer, print) = self.counted(article, asked).await?;
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            let known = self.store.correction(article, answer.revision)?;
            if let Some(known) = &known {
                may_repeat(&known.record, asked)?;
            }
            if answer.recipients == 0 {
                return Ok((batch, known.map(|known| known.record)));
            }
            let new = match &known {
                Some(known) if known.record.ended_at.is_none() => return Ok((batch, Some(known.record.clone()))),
                Some(known) => Correction { of: asked.of, after: None, ended_at: None, ..known.record.clone() },
                None => Correction {
                    article: article.clone(),
                    revision: answer.revision,
                    print,
                    note: asked.note.clone(),
                    of: asked.of,
                    asked_at: self.clock.now(),
                    place: self.store.head(),
                    after: None,
                    owed: 0,
                    ended_at: None,
                },
            };
            self.store.write_correction(&mut batch, known.as_ref(), &new);
            Ok::<_, Problem>((batch, Some(new)))
        });
        let correction = decided.await?;
        self.asked.notify_one();
        Ok(Answer { correction, ..answer })
    }

    /// The corrections of an article, the latest first. Errors: [`Kind::NotFound`].
    pub fn of(&self, article: &ArticleId) -> Result<Vec<Correction>, Problem> {
        self.store.article(article)?.ok_or_else(|| Problem::no_article(article))?;
        Ok(self.store.corrections_of(article)?)
    }

    /// Makes the next piece out. [`Step::Idle`] if there is none, or the store is in quarantine.
    pub async fn step(&self) -> Result<Step, StoreError> {
        if self.store.quarantined_since()?.is_some() {
            return Ok(Step::Idle);
        }
        let Some(stored) = self.store.next_correction()? else { return Ok(Step::Idle) };
        let now = self.clock.now();
        let old = &stored.record;
        // The original of a copied store has sent it.
        let is_theirs = self.store.dropped()?.is_some_and(|dropped| old.asked_at <= dropped.at);
        let reach = if is_theirs { None } else { self.known_reach(&stored).await? };
        let piece = match reach {
            Some(reach) => {
                let after = old.after;
                let piece = move |store: &Store| reach.piece(store, after, PIECE_ROWS_MAX, PIECE_LOOKED_MAX);
                self.store.scan(piece).await?
            }
            None => None,
        };
        let mut batch = Batch::default();
        let new = match piece {
            Some((owed, last)) => {
                let count = owed.len() as u64;
                owed.into_iter().for_each(|owed| self.owe(&mut batch, old, owed));
                Correction { after: Some(last), owed: old.owed + count, ..old.clone() }
            }
            None => Correction { ended_at: Some(now), ..old.clone() },
        };
        self.store.write_correction(&mut batch, Some(&stored), &new);
        // Where a message has moved on meanwhile, the piece is looked at again.
        if self.store.try_commit(batch).await? {
            self.mailer.notify_one();
            if new.ended_at.is_some() {
                let (article, revision, mails) = (&new.article, new.revision, new.owed);
                tracing::info!(article.id = %article, revision, mails, "a correction is made out: {mails} mails");
            }
        }
        Ok(Step::Worked)
    }

    /// Steps until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.step().await {
                Ok(Step::Worked) => continue,
                Ok(Step::Idle) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "a correction could not be made out; trying again: {error}");
                    RETRY_WAIT
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Puts what one reader is owed into `batch`; an older correction that has not gone out gives way to it.
    fn owe(&self, batch: &mut Batch, correction: &Correction, owed: Owed) {
        let now = self.clock.now();
        for old in owed.overtaken {
            let state = Delivery::Recalled { at: now, why: "a newer correction takes its place".into() };
            self.store.change_message(batch, old, |row| row.state = state);
        }
        let Correction { article, revision, .. } = correction;
        let message = Message::Correction { article: article.clone(), revision: *revision, digest: owed.digest };
        let row = LedgerRow::new(message, owed.subscription, owed.list, now);
        self.store.write_message(batch, &row);
    }

    /// As [`Corrections::reach`], of a correction that was asked for; none where the article is not public any more.
    async fn known_reach(&self, stored: &Stored<Correction>) -> Result<Option<Arc<Reach>>, StoreError> {
        let correction = &stored.record;
        let held = self.reach.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_public = self.store.article(&correction.article)?.is_some_and(|stored| stored.record.is_public());
        if let Some(held) = held.filter(|held| is_public && held.is_of(correction)) {
            return Ok(Some(held));
        }
        match self.reach(&correction.article, correction.of, Some(correction)).await {
            Ok(reach) => {
                let reach = Arc::new(reach);
                *self.reach.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&reach));
                Ok(Some(reach))
            }
            Err(problem) if matches!(problem.kind, Kind::Conflict | Kind::NotFound) => Ok(None),
            Err(problem) => Err(StoreError::Engine(problem.detail)),
        }
    }

    async fn reach(
        &self,
        article: &ArticleId,
        of: Option<Revisions>,
        known: Option<&Correction>,
    ) -> Result<Reach, Problem> {
        let stored = self.store.article(article)?.ok_or_else(|| Problem::no_article(article))?;
        if !stored.record.is_public() {
            let state = stored.record.state.as_str();
            let detail =
                format!("the article is {state}: a correction tells what is right, and there is nothing to tell");
            return Err(Problem::new(Kind::Conflict, detail));
        }
        if let Some(Revisions { from, to }) = of
            && (from == 0 || from > to || to >= known.map_or(stored.record.revision, |known| known.revision))
        {
            let expected =
                format!("revisions before the present one, {}, the first of them first", stored.record.revision);
            return Err(Problem::field("revision", format!("{from} to {to}"), expected));
        }
        let (mails, known) = ((self.article_age_max, self.text), known.cloned());
        let reach = move |store: &Store| Reach::new(store, stored.record, of, known.as_ref(), mails);
        Ok(self.store.scan(reach).await?)
    }
}

/// May the correction `known` be asked for once more, as `asked`?
fn may_repeat(known: &Correction, asked: &Asked) -> Result<(), Problem> {
    let conflict = |detail: &str| Err(Problem::new(Kind::Conflict, detail));
    if asked.note.is_some() && asked.note != known.note {
        return conflict(
            "a correction to this revision was asked for with another note; edit the article to correct again",
        );
    }
    if known.ended_at.is_none() && known.of != asked.of {
        return conflict(
            "a correction to this revision is being made out for other revisions; ask again when that is done",
        );
    }
    Ok(())
}
