//! The only way in. Each verb checks, then commits the article, its rows and its log entry as one batch.
//! Nothing here knows who reads the log.

mod edit;
mod flood;

use crate::domain::{Article, ArticleId, ChangeKind, Clock, Draft, ExternalId, Kind, Problem, State, Time};
use crate::store::{Batch, Due, Replay, Store, Stored, id_from_key};
use crate::telemetry;
use chrono::Duration;
use edit::{Edit, admit, change, moved, revision_of, same_name};
use flood::{Guard, Slot};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// An answer is remembered this long under its idempotency key: a retry that comes later than two days is no retry.
const REPLAY_KEPT: Duration = Duration::hours(48);
/// Due rows that are taken at a time; what is left is due at once again.
const DUE_MAX: usize = 64;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It made an article.
    Created,
    /// It changed one.
    Revised,
    /// It said what is already so.
    Unchanged,
}

/// An idempotency key with what it was sent for.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// SHA-256 over the caller's identity and the key: two callers may use the same one.
    pub digest: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
}

/// What is wanted of an article.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// That it is there, whether it is new or not: one that carries a known `external_id` is the known article, and a
    /// repeated idempotency key gives the first answer again.
    Push {
        /// The article.
        draft: &'a Draft,
        /// By what a repetition is known.
        retry: Option<&'a Idempotency>,
    },
    /// That it says what `draft` says, all of it.
    Revise {
        /// Which one.
        id: &'a ArticleId,
        /// What it is to say.
        draft: &'a Draft,
        /// Revisions of which one has to be the current one, if the caller says so.
        seen: Option<&'a [u32]>,
    },
    /// That it is withdrawn, whatever its state.
    Retract {
        /// Which one.
        id: &'a ArticleId,
        /// As for [`Wanted::Revise`].
        seen: Option<&'a [u32]>,
    },
}

/// Takes articles in.
#[derive(Clone)]
pub struct Publisher {
    store: Arc<Store>,
    clock: Clock,
    guard: Arc<Guard>,
    /// Rung when an article gets an hour to be published at. Carries no data: the due table is the truth.
    scheduled: Arc<Notify>,
}

impl Publisher {
    /// A publisher into `store`. So many changes within an hour may give known articles another id, and as many another
    /// date; any number if `flood_max` is 0.
    pub fn new(store: Arc<Store>, clock: Clock, flood_max: usize) -> Self {
        let guard = Arc::new(Guard::new(Arc::clone(&store), flood_max));
        Publisher { store, clock, guard, scheduled: Arc::default() }
    }

    /// Lets changes pass for an hour that give any number of known articles another id or date. Returns until when.
    pub fn accept_flood(&self) -> Time {
        self.guard.accept(self.clock.now())
    }

    /// Takes in an article that may be new: as [`Wanted::Push`].
    ///
    /// Errors: as those of [`Publisher::write_and_view`].
    pub async fn push(&self, draft: Draft, retry: Option<Idempotency>) -> Result<(Article, Outcome), Problem> {
        self.write(Wanted::Push { draft: &draft, retry: retry.as_ref() }).await
    }

    /// Replaces all that `draft` can say of the article `id`: as [`Wanted::Revise`].
    ///
    /// Errors: as those of [`Publisher::write_and_view`].
    pub async fn revise(
        &self,
        id: &ArticleId,
        draft: &Draft,
        seen: Option<&[u32]>,
    ) -> Result<(Article, Outcome), Problem> {
        self.write(Wanted::Revise { id, draft, seen }).await
    }

    /// Withdraws the article `id`: as [`Wanted::Retract`].
    ///
    /// Errors: as those of [`Publisher::write_and_view`].
    pub async fn retract(&self, id: &ArticleId, seen: Option<&[u32]>) -> Result<(Article, Outcome), Problem> {
        self.write(Wanted::Retract { id, seen }).await
    }

    /// Does what is wanted.
    async fn write(&self, wanted: Wanted<'_>) -> Result<(Article, Outcome), Problem> {
        let written = self.store.decide(|| self.decided(wanted)).await?;
        Ok(self.tell(written))
    }

    /// Does what is wanted, and returns what `view` makes of the article as it is then: as a rule while the disk is at it,
    /// so that the answer is written by the time that it may be given.
    ///
    /// Errors: [`Kind::NotFound`] and [`Kind::Stale`] of one that is named; [`Kind::Conflict`] if the names of one that is
    /// pushed are two articles', or the edit is part of a flood; [`Kind::Invalid`] if the idempotency key was used for
    /// another request or the state does not allow the move.
    pub async fn write_and_view<V: Send>(
        &self,
        wanted: Wanted<'_>,
        view: impl Fn(&Article, Outcome) -> V + Sync,
    ) -> Result<V, Problem> {
        let view = |written: &Written| view(&written.article, written.outcome);
        let (written, viewed) = self.store.decide_and_view(|| self.decided(wanted), view).await?;
        self.tell(written);
        Ok(viewed)
    }

    /// Does what its hour has come for: publishes scheduled articles and forgets old idempotency keys.
    /// Returns how many articles became public.
    ///
    /// Errors: the last article's that could not be published; the others were, and it is tried again next time.
    pub async fn release_due(&self) -> Result<usize, Problem> {
        let now = self.clock.now();
        let mut released = 0;
        let mut failed = None;
        for (at, key) in self.store.due(Due::Article, now, DUE_MAX)? {
            match self.release(at, &key, now).await {
                Ok(is_public) => released += usize::from(is_public),
                // One damaged article must not hold up the others.
                Err(problem) => failed = Some(problem),
            }
        }
        self.forget_replays(now).await?;
        failed.map_or(Ok(released), Err)
    }

    /// Publishes what the due row of `at` and `key` is about. Returns whether it became public.
    async fn release(&self, at: Time, key: &[u8], now: Time) -> Result<bool, Problem> {
        let decided = self.store.decide(|| {
            let mut batch = Batch::default();
            match id_from_key(key).map(|id| self.store.article(&id)).transpose()?.flatten() {
                Some(old) if old.record.state == State::Scheduled && old.record.published_at == Some(at) => {
                    let new = Article { state: State::Published, ..old.record.clone() };
                    let written = self.written(&mut batch, revision_of(old, new, now), now)?;
                    Ok::<_, Problem>((batch, Some(written)))
                }
                // Moved by somebody this very moment, and its row with it: its new hour may be far ahead. If the row is
                // there all the same, it is damage; so is one without an article. Left there it would be due for ever.
                other => {
                    if let Some(moved) = &other {
                        self.store.require_article(&mut batch, moved);
                    }
                    self.store.drop_due(&mut batch, Due::Article, at, key);
                    Ok((batch, None))
                }
            }
        });
        let released = decided.await?;
        Ok(released.map(|written| self.tell(written)).is_some())
    }

    /// Forgets the idempotency keys whose time is over: all of them, or more would come than go.
    async fn forget_replays(&self, now: Time) -> Result<(), Problem> {
        loop {
            let over = self.store.due(Due::Replay, now, DUE_MAX)?;
            if over.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            for (at, digest) in over {
                self.store.forget_replay(&mut batch, at, &digest);
            }
            self.store.commit(batch).await?;
        }
    }

    /// Resolves when an article gets an hour to be published at.
    pub fn scheduled(&self) -> Notified<'_> {
        self.scheduled.notified()
    }

    /// When [`Publisher::release_due`] next has an article to publish.
    pub fn next_due(&self) -> Result<Option<Time>, Problem> {
        Ok(self.store.next_due(Due::Article)?)
    }

    fn replayed(&self, retry: &Idempotency) -> Result<Option<Article>, Problem> {
        let Some(replay) = self.store.replay(&retry.digest)? else { return Ok(None) };
        if replay.request != retry.request {
            return Err(Problem::field(
                "Idempotency-Key",
                "a key that was used for another request",
                "a key of its own for each article",
            ));
        }
        Ok(self.store.article(&replay.article)?.map(|stored| stored.record))
    }

    /// The stored article that `draft` is about, by its names.
    fn known(&self, draft: &Draft) -> Result<Option<Stored<Article>>, Problem> {
        let by_name = match &draft.external_id {
            Some(name) => self.store.article_named(name)?,
            None => None,
        };
        match (by_name, &draft.id) {
            (Some(known), Some(id)) if known != *id => {
                let detail = format!("`external_id` already names the article {known}, not {id}");
                Err(Problem::new(Kind::Conflict, detail))
            }
            (Some(known), _) => Ok(self.store.article(&known)?),
            (None, Some(id)) => Ok(self.store.article(id)?),
            (None, None) => Ok(None),
        }
    }

    fn current(&self, id: &ArticleId, seen: Option<&[u32]>) -> Result<Stored<Article>, Problem> {
        let old = self.store.article(id)?.ok_or_else(|| Problem::no_article(id))?;
        let found = match seen {
            None => return Ok(old),
            Some(seen) if seen.contains(&old.record.revision) => return Ok(old),
            Some([one]) => format!("revision {one}"),
            Some([] | [_, ..]) => "other tags".to_owned(),
        };
        let detail = format!("`If-Match`: found {found}, the article is at revision {}", old.record.revision);
        Err(Problem::new(Kind::Stale, detail))
    }

    fn edit_of(&self, old: Stored<Article>, draft: &Draft, now: Time) -> Result<Edit, Problem> {
        let known = &old.record;
        same_name("id", draft.id.as_ref().map(ArticleId::as_str), Some(known.id.as_str()))?;
        let known_name = known.external_id.as_ref().map(ExternalId::as_str);
        same_name("external_id", draft.external_id.as_ref().map(ExternalId::as_str), known_name)?;
        let mut new = known.clone();
        new.content = draft.content.clone();
        new.published_at = draft.published_at.or(known.published_at);
        new.state = moved(known, draft.wish, new.published_at, now)?;
        Ok(revision_of(old, new, now))
    }

    /// A batch that does what is wanted of what it finds.
    fn decided(&self, wanted: Wanted<'_>) -> Result<(Batch, Written), Problem> {
        let (mut batch, now) = (Batch::default(), self.clock.now());
        let edit = match wanted {
            Wanted::Push { draft, retry } => self.pushed(&mut batch, draft, retry, now)?,
            Wanted::Revise { id, draft, seen } => self.edit_of(self.current(id, seen)?, draft, now)?,
            Wanted::Retract { id, seen } => {
                let old = self.current(id, seen)?;
                let new = Article { state: State::Retracted, ..old.record.clone() };
                revision_of(old, new, now)
            }
        };
        let written = self.written(&mut batch, edit, now)?;
        Ok((batch, written))
    }

    /// The edit of a push, with its idempotency key in `batch`.
    fn pushed(
        &self,
        batch: &mut Batch,
        draft: &Draft,
        retry: Option<&Idempotency>,
        now: Time,
    ) -> Result<Edit, Problem> {
        if let Some(article) = retry.map(|retry| self.replayed(retry)).transpose()?.flatten() {
            return Ok(Edit { old: None, new: article, outcome: Outcome::Unchanged });
        }
        let edit = match self.known(draft)? {
            Some(old) => self.edit_of(old, draft, now)?,
            None => Edit { old: None, new: admit(draft, now), outcome: Outcome::Created },
        };
        if let Some(retry) = retry {
            let replay = Replay { request: retry.request.to_vec(), article: edit.new.id.clone(), at: now };
            self.store.remember_replay(batch, &retry.digest, &replay, now + REPLAY_KEPT);
        }
        Ok(edit)
    }

    /// Puts one edit into `batch`, with its log entry. Errors: [`Kind::Conflict`] if it is part of a flood.
    fn written(&self, batch: &mut Batch, edit: Edit, now: Time) -> Result<Written, Problem> {
        let Edit { old, new, outcome } = edit;
        let mut seen = None;
        match outcome {
            Outcome::Unchanged => {}
            Outcome::Created | Outcome::Revised => {
                let known = old.as_ref().map(|old| &old.record);
                let slot = self.guard.judge(known, &new, now)?;
                self.store.write_article(batch, old.as_ref(), &new);
                if let Some(mut change) = change(known, &new, now) {
                    change.at = self.store.change_time(now)?;
                    self.store.log(batch, &change);
                    seen = Some(Seen { kind: change.kind, slot });
                }
            }
        }
        Ok(Written { article: new, outcome, seen })
    }

    /// It is durable: tells whom it concerns.
    fn tell(&self, written: Written) -> (Article, Outcome) {
        let Written { article, outcome, seen } = written;
        if outcome != Outcome::Unchanged && article.state == State::Scheduled {
            self.scheduled.notify_waiters();
        }
        if let Some(Seen { kind, slot }) = seen {
            tell(kind, &article);
            self.guard.passed(&article, slot);
        }
        (article, outcome)
    }
}

/// An edit that has been put into a batch.
struct Written {
    article: Article,
    outcome: Outcome,
    /// What the public sees of it.
    seen: Option<Seen>,
}

struct Seen {
    kind: ChangeKind,
    /// Its place in the flood guard's count.
    slot: Option<Slot>,
}

/// One line in the log for each thing that the public sees happen.
fn tell(kind: ChangeKind, article: &Article) {
    let (id, revision) = (&article.id, article.revision);
    match kind {
        ChangeKind::Published => {
            metrics::counter!(telemetry::ARTICLES_PUBLISHED_TOTAL).increment(1);
            tracing::info!(article.id = %id, revision, "published {id}");
        }
        ChangeKind::Revised => tracing::info!(article.id = %id, revision, "revised {id}"),
        ChangeKind::Retracted => tracing::info!(article.id = %id, revision, "retracted {id}"),
        ChangeKind::Restored => tracing::info!(article.id = %id, revision, "restored {id}"),
    }
}
