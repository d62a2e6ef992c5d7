//! From one state of an article to the next, and what the public sees of that.

use super::Outcome;
use crate::domain::{Article, ArticleId, Change, ChangeKind, Draft, Labels, Problem, State, Time, Wish, changed};
use crate::store::Stored;

/// A way to write one article: what is there, what shall be there.
pub(super) struct Edit {
    pub(super) old: Option<Stored<Article>>,
    pub(super) new: Article,
    pub(super) outcome: Outcome,
}

/// A name that is given must be the one that is known: names are for life.
pub(super) fn same_name(field: &str, given: Option<&str>, known: Option<&str>) -> Result<(), Problem> {
    match given {
        Some(given) if known != Some(given) => {
            let expected =
                known.map_or("none: the article has none, and it cannot get one later".to_owned(), str::to_owned);
            Err(Problem::field(field, given, expected))
        }
        Some(_) | None => Ok(()),
    }
}

/// The state after `wish`, for the article `known` with the date `published_at`.
pub(super) fn moved(known: &Article, wish: Wish, published_at: Option<Time>, now: Time) -> Result<State, Problem> {
    let is_ahead = published_at.is_some_and(|at| at > now && !was_past(known, at));
    match (known.state, wish, is_ahead) {
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

/// Has the date `at` been past before, whatever the clock says now? It was, if the public has seen the article with it: a
/// clock that is set back takes nothing back that is out.
fn was_past(known: &Article, at: Time) -> bool {
    let is_kept = known.published_at == Some(at) && known.first_public_at.is_some();
    match known.state {
        State::Published => known.published_at == Some(at),
        // Its date may be one that was yet to come when it was withdrawn.
        State::Retracted | State::Draft => is_kept && at <= known.updated_at,
        State::Scheduled => false,
    }
}

/// A new article made of `draft`.
pub(super) fn admit(draft: &Draft, now: Time) -> Article {
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
pub(super) fn revision_of(old: Stored<Article>, mut new: Article, now: Time) -> Edit {
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
    new.updated_at = changed(Some(known.updated_at), now);
    Edit { new, old: Some(old), outcome: Outcome::Revised }
}

/// What the public sees happen between `old` and `new`, if anything.
pub(super) fn change(old: Option<&Article>, new: &Article, now: Time) -> Option<Change> {
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
