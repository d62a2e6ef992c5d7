//! The only way in. Each verb checks, then commits the article, its rows and its log entry as one batch.
//! Nothing here knows who reads the log.

use crate::domain::{
    Article, ArticleId, Change, ChangeKind, Clock, Draft, ExternalId, Kind, Labels, Problem, State, Time, Wish,
};
use crate::store::{Batch, CommitError, Due, Replay, Store, Stored};
use crate::telemetry;
use chrono::Duration;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How often a verb starts anew when somebody else changed the same article between its reading and its writing.
const TRIES_MAX: usize = 8;
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

/// Takes articles in.
#[derive(Clone)]
pub struct Publisher {
    store: Arc<Store>,
    clock: Clock,
    /// Rung when an article gets an hour to be published at. Carries no data: the due table is the truth.
    scheduled: Arc<Notify>,
}

/// A way to write one article: what is there, what shall be there.
struct Edit {
    old: Option<Stored<Article>>,
    new: Article,
    outcome: Outcome,
}

impl Publisher {
    /// A publisher into `store`.
    pub fn new(store: Arc<Store>, clock: Clock) -> Self {
        Publisher { store, clock, scheduled: Arc::default() }
    }

    /// Takes in an article that may be new: one that carries a known `external_id` is the known article, and a
    /// repeated idempotency key gives the first answer again.
    ///
    /// Errors: [`Kind::Conflict`] if its id is taken, [`Kind::Invalid`] if the idempotency key was used for another
    /// request or the state does not allow the move.
    pub async fn push(&self, draft: Draft, retry: Option<Idempotency>) -> Result<(Article, Outcome), Problem> {
        for _ in 0..TRIES_MAX {
            if let Some(article) = retry.as_ref().map(|retry| self.replayed(retry)).transpose()?.flatten() {
                return Ok((article, Outcome::Unchanged));
            }
            let now = self.clock.now();
            let edit = match self.known(&draft)? {
                Some(old) => self.edit_of(old, &draft, now)?,
                None => Edit { old: None, new: admit(&draft, now), outcome: Outcome::Created },
            };
            let mut batch = Batch::default();
            if let Some(retry) = &retry {
                let request = retry.request.to_vec();
                let replay = Replay { request, article: edit.new.id.clone(), at: now };
                self.store.remember_replay(&mut batch, &retry.digest, &replay, now + REPLAY_KEPT);
            }
            if let Some(done) = self.commit(edit, batch, now).await? {
                return Ok(done);
            }
        }
        Err(busy())
    }

    /// Replaces all that `draft` can say of the article `id`. `revision` is what the caller has seen, if it says so.
    ///
    /// Errors: [`Kind::NotFound`], [`Kind::Stale`], [`Kind::Invalid`].
    pub async fn revise(
        &self,
        id: &ArticleId,
        draft: &Draft,
        revision: Option<u32>,
    ) -> Result<(Article, Outcome), Problem> {
        for _ in 0..TRIES_MAX {
            let old = self.current(id, revision)?;
            let now = self.clock.now();
            let edit = self.edit_of(old, draft, now)?;
            if let Some(done) = self.commit(edit, Batch::default(), now).await? {
                return Ok(done);
            }
        }
        Err(busy())
    }

    /// Withdraws the article `id`, whatever its state.
    ///
    /// Errors: [`Kind::NotFound`], [`Kind::Stale`].
    pub async fn retract(&self, id: &ArticleId, revision: Option<u32>) -> Result<(Article, Outcome), Problem> {
        for _ in 0..TRIES_MAX {
            let old = self.current(id, revision)?;
            let now = self.clock.now();
            let mut new = old.record.clone();
            new.state = State::Retracted;
            let edit = revision_of(old, new, now);
            if let Some(done) = self.commit(edit, Batch::default(), now).await? {
                return Ok(done);
            }
        }
        Err(busy())
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
        let id = ArticleId::parse("id", &String::from_utf8_lossy(key)).map_err(Problem::from)?;
        match self.store.article(&id)? {
            Some(old) if old.record.state == State::Scheduled && old.record.published_at == Some(at) => {
                let mut new = old.record.clone();
                new.state = State::Published;
                let edit = revision_of(old, new, now);
                Ok(self.commit(edit, Batch::default(), now).await?.is_some())
            }
            // Moved by somebody this very moment, and its row with it: its new hour may be far ahead. If the row is
            // there all the same, it is damage; so is one without an article. Left there it would be due for ever.
            other => {
                let mut batch = Batch::default();
                if let Some(moved) = &other {
                    self.store.require_article(&mut batch, moved);
                }
                self.store.drop_due(&mut batch, Due::Article, at, key);
                match self.store.commit(batch).await {
                    Ok(_) | Err(CommitError::Conflict { .. }) => Ok(false),
                    Err(CommitError::Store(error)) => Err(error.into()),
                }
            }
        }
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

    fn current(&self, id: &ArticleId, revision: Option<u32>) -> Result<Stored<Article>, Problem> {
        let old = self
            .store
            .article(id)?
            .ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no article with the id {id}")))?;
        match revision {
            Some(seen) if seen != old.record.revision => {
                let detail =
                    format!("`If-Match`: found revision {seen}, the article is at revision {}", old.record.revision);
                Err(Problem::new(Kind::Stale, detail))
            }
            Some(_) | None => Ok(old),
        }
    }

    fn edit_of(&self, old: Stored<Article>, draft: &Draft, now: Time) -> Result<Edit, Problem> {
        let known = &old.record;
        same_name("id", draft.id.as_ref().map(ArticleId::as_str), Some(known.id.as_str()))?;
        let known_name = known.external_id.as_ref().map(ExternalId::as_str);
        same_name("external_id", draft.external_id.as_ref().map(ExternalId::as_str), known_name)?;
        let mut new = known.clone();
        new.content = draft.content.clone();
        new.published_at = draft.published_at.or(known.published_at);
        new.state = moved(known.state, draft.wish, new.published_at, now)?;
        Ok(revision_of(old, new, now))
    }

    /// Commits one edit; none if somebody else was first and the verb has to start anew.
    async fn commit(&self, edit: Edit, mut batch: Batch, now: Time) -> Result<Option<(Article, Outcome)>, Problem> {
        let Edit { old, new, outcome } = edit;
        let change = change(old.as_ref().map(|old| &old.record), &new, now);
        let seen = change.as_ref().map(|change| change.kind);
        match outcome {
            Outcome::Unchanged => {}
            Outcome::Created | Outcome::Revised => {
                self.store.write_article(&mut batch, old.as_ref(), &new);
                if let Some(change) = change {
                    self.store.log(&mut batch, &change);
                }
            }
        }
        if batch.is_empty() {
            return Ok(Some((new, outcome)));
        }
        match self.store.commit(batch).await {
            Ok(_) => {
                if new.state == State::Scheduled {
                    self.scheduled.notify_waiters();
                }
                if let Some(kind) = seen {
                    tell(kind, &new);
                }
                Ok(Some((new, outcome)))
            }
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
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

fn busy() -> Problem {
    Problem::new(Kind::Unavailable, "the article is being changed by others at this moment; try again")
}

/// A name that is given must be the one that is known: names are for life.
fn same_name(field: &str, given: Option<&str>, known: Option<&str>) -> Result<(), Problem> {
    match given {
        Some(given) if known != Some(given) => {
            let expected =
                known.map_or("none: the article has none, and it cannot get one later".to_owned(), str::to_owned);
            Err(Problem::field(field, given, expected))
        }
        Some(_) | None => Ok(()),
    }
}

/// The state after `wish`, for an article in `state`.
fn moved(state: State, wish: Wish, published_at: Option<Time>, now: Time) -> Result<State, Problem> {
    let is_ahead = published_at.is_some_and(|at| at > now);
    match (state, wish, is_ahead) {
        (State::Published, Wish::Draft, _) => Err(Problem::field(
            "status",
            "draft",
            "published: a public article cannot become a draft again; retract it",
        )),
        (State::Published, Wish::Published, true) => Err(Problem::field(
            "published_at",
            published_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
            "a time that is past: the article is public already; retract it first to publish it later",
        )),
        (State::Draft | State::Scheduled | State::Retracted, Wish::Draft, _) => Ok(State::Draft),
        (State::Draft | State::Scheduled | State::Retracted, Wish::Published, true) => Ok(State::Scheduled),
        (State::Draft | State::Scheduled | State::Retracted | State::Published, Wish::Published, false) => {
            Ok(State::Published)
        }
    }
}

/// A new article made of `draft`.
fn admit(draft: &Draft, now: Time) -> Article {
    let is_ahead = draft.published_at.is_some_and(|at| at > now);
    let state = match draft.wish {
        Wish::Draft => State::Draft,
        Wish::Published if is_ahead => State::Scheduled,
        Wish::Published => State::Published,
    };
    let is_public = state == State::Published;
    Article {
        id: draft.id.clone().unwrap_or_else(ArticleId::mint),
        external_id: draft.external_id.clone(),
        revision: 1,
        state,
        created_at: now,
        published_at: draft.published_at.or(is_public.then_some(now)),
        // A date in the past says that the text is as old as that: an imported archive was not edited today.
        updated_at: draft.published_at.filter(|at| *at < now).unwrap_or(now),
        first_public_at: is_public.then_some(now),
        content: draft.content.clone(),
    }
}

/// The revision that makes `old` into `new`.
fn revision_of(old: Stored<Article>, mut new: Article, now: Time) -> Edit {
    let known = &old.record;
    let becomes_public = new.is_public() && !known.is_public();
    if becomes_public {
        new.first_public_at = new.first_public_at.or(Some(now));
        new.published_at = new.published_at.or(Some(now));
    }
    if new == *known {
        return Edit { new, old: Some(old), outcome: Outcome::Unchanged };
    }
    new.revision = known.revision.saturating_add(1);
    new.updated_at = now;
    Edit { new, old: Some(old), outcome: Outcome::Revised }
}

/// What the public sees happen between `old` and `new`, if anything.
fn change(old: Option<&Article>, new: &Article, now: Time) -> Option<Change> {
    let was_public = old.is_some_and(Article::is_public);
    let kind = match (was_public, new.is_public()) {
        (false, false) => return None,
        (true, true) if old == Some(new) => return None,
        (true, true) => ChangeKind::Revised,
        (true, false) => ChangeKind::Retracted,
        (false, true) if old.is_some_and(|old| old.first_public_at.is_some()) => ChangeKind::Restored,
        (false, true) => ChangeKind::Published,
    };
    let labels = Labels::of(&new.content);
    // One that comes back leaves the feeds that told of its retraction.
    let was_shown = old.filter(|old| was_public || old.first_public_at.is_some());
    let before = was_shown.map(|old| Labels::of(&old.content)).filter(|before| *before != labels);
    Some(Change { kind, article: new.id.clone(), revision: new.revision, at: now, labels, before })
}
