//! Takes files in: reads what has settled, and pushes or revises the articles that the files are.

use super::claims::{Candidate, Found};
use super::folder::{Looks, Unread, read};
use super::memory::{Folder, Left, Memory, Place, Rows, Survey, Why};
use super::{PUSHES_MAX, Sources};
use crate::domain::{ArticleId, Draft, ExternalId, Fault, Kind, Problem, State, hex};
use crate::services::newsroom::Newsroom;
use crate::store::{Batch, TakenFile};
use crate::wire::source::{Door, NAME_START, faults_in_file, from_file, name_of_file, names_in_file};
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// So many bytes of a digest tell the files apart that had one name after the other.
const MARK_BYTES: usize = 8;

/// What is to be done with the article of a file.
enum Way {
    /// Nothing: the file has another place, its article is the same.
    Keep(ArticleId),
    Revise(ArticleId, Box<Draft>),
    Push(Box<Draft>),
}

/// A file that is being taken, with what will be remembered of it.
struct Taking {
    at: usize,
    way: Way,
}

impl Left {
    /// For a file `name` that was refused. What the file does not say itself may be otherwise at the next look: the store
    /// takes changes again, a flood is accepted.
    pub(super) fn of(name: &str, problem: &Problem, claims: Option<ArticleId>) -> Self {
        let why = match problem.kind {
            Kind::Invalid | Kind::Malformed => Why::Fault,
            Kind::Unauthorized
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::MethodNotAllowed
            | Kind::Gone
            | Kind::Conflict
            | Kind::Stale
            | Kind::TooLarge
            | Kind::UnsupportedMedia
            | Kind::TooMany
            | Kind::Unavailable
            | Kind::Internal => Why::Later,
        };
        Left { why, told: format!("{name}: {problem}"), claims }
    }
}

impl Sources {
    /// Reads the files that have settled. What cannot be read is left out.
    ///
    /// Errors: the store's.
    pub(super) fn candidates(
        &self,
        settled: &BTreeMap<Place, Looks>,
        survey: &Survey<'_>,
        memory: &mut Memory,
    ) -> Result<Vec<Candidate>, Problem> {
        let mut files = Vec::with_capacity(settled.len());
        for (place, looks) in settled {
            let Some(folder) = survey.folder(place) else { continue };
            match read(&folder.path.join(&place.name), *looks) {
                Ok((text, digest)) => match self.candidate(place, &text, digest)? {
                    Ok(file) => files.push(file),
                    Err(left) => memory.left(place.clone(), *looks, left, survey),
                },
                Err(Unread::Changed) => memory.changing(place, *looks),
                Err(Unread::Fault(told)) => {
                    let left = Left { why: Why::Fault, told, claims: None };
                    memory.left(place.clone(), *looks, left, survey);
                }
                Err(Unread::Failed(told)) => {
                    let left = Left { why: Why::Unread, told, claims: None };
                    memory.left(place.clone(), *looks, left, survey);
                }
            }
        }
        Ok(files)
    }

    /// What a file says it is. Errors: the store's; within, that it names two articles.
    fn candidate(&self, place: &Place, text: &str, digest: Vec<u8>) -> Result<Result<Candidate, Left>, Problem> {
        let (id, external_id) = names_in_file(text);
        // What is no name at all is told when the whole file is read.
        let id = id.and_then(|id| ArticleId::parse("id", &id).ok());
        let external_id = external_id.and_then(|name| ExternalId::parse("external_id", &name).ok());
        let named = self.named(external_id.as_ref())?;
        if let (Some(id), Some(named)) = (&id, &named)
            && id != named
        {
            let found = format!("\"{}\"", external_id.as_ref().map_or("", ExternalId::as_str));
            let fault =
                Fault::new("external_id", found, format!("another one: it names the article {named}, not {id}"));
            let left = Left { why: Why::Fault, told: format!("{}: {fault}", place.name), claims: Some(id.clone()) };
            return Ok(Err(left));
        }
        let stored = id.as_ref().map(|id| self.store.article(id)).transpose()?.flatten();
        let known = stored.map(|stored| stored.record.id).or(named);
        let by_place = ExternalId::parse("external_id", &name_of_file(&place.category, &place.name)).ok();
        let by_place = self.named(by_place.as_ref())?;
        Ok(Ok(Candidate { place: place.clone(), digest, id, external_id, known, by_place }))
    }

    fn named(&self, name: Option<&ExternalId>) -> Result<Option<ArticleId>, Problem> {
        Ok(name.map(|name| self.store.article_named(name)).transpose()?.flatten())
    }

    /// Takes in `files`, each of which turned out to be what stands at its place in `found`. Returns how many were taken.
    pub(super) async fn take(
        &self,
        newsroom: &Newsroom,
        survey: &Survey<'_>,
        rows: &Rows,
        files: &[Candidate],
        found: &[Found],
        memory: &mut Memory,
    ) -> usize {
        let mut fresh = Vec::new();
        for (at, (file, found)) in files.iter().zip(found).enumerate() {
            let Some(looks) = survey.looks(&file.place) else { continue };
            match found {
                Found::Unchanged(_) => memory.done(file.place.clone(), looks),
                Found::Waits => memory.waits(&file.place, looks),
                Found::Twin(other) => memory.left(file.place.clone(), looks, twin(file, other), survey),
                Found::Moved { .. } | Found::Article(_) | Found::New { .. } => fresh.push(at),
            }
        }
        let mut taken = 0;
        for some in fresh.chunks(PUSHES_MAX) {
            let mut takings = Vec::new();
            for &at in some {
                let (file, found) = (&files[at], &found[at]);
                let (Some(folder), Some(looks)) = (survey.folder(&file.place), survey.looks(&file.place)) else {
                    continue;
                };
                match self.way(newsroom, folder, looks, file, found) {
                    Ok(Some(way)) => takings.push(Taking { at, way }),
                    // Not what it was a moment ago.
                    Ok(None) => memory.changing(&file.place, looks),
                    Err(left) => memory.left(file.place.clone(), looks, left, survey),
                }
            }
            for (at, outcome) in self.push(rows, files, takings).await {
                let file = &files[at];
                let (Some(folder), Some(looks)) = (survey.folder(&file.place), survey.looks(&file.place)) else {
                    continue;
                };
                match outcome {
                    Ok(()) => {
                        taken += 1;
                        memory.done(file.place.clone(), looks);
                    }
                    Err(problem) => {
                        let left = refused(folder, looks, file, &problem, claimed(file, &found[at]));
                        memory.left(file.place.clone(), looks, left, survey);
                    }
                }
            }
        }
        taken
    }

    /// What is to be done with the article of `file`; none if the file is another by now.
    fn way(
        &self,
        newsroom: &Newsroom,
        folder: &Folder<'_>,
        looks: Looks,
        file: &Candidate,
        found: &Found,
    ) -> Result<Option<Way>, Left> {
        let name = &file.place.name;
        let claims = claimed(file, found);
        let refused = |told: String| Left { why: Why::Fault, told, claims: claims.clone() };
        let failed = |problem: Problem| Left::of(name, &problem, claims.clone());
        if let Found::Moved { from, article } = found
            && (from.category == file.place.category || self.is_withdrawn(article).map_err(failed)?)
        {
            return Ok(Some(Way::Keep(article.clone())));
        }
        let text = match read(&folder.path.join(name), looks) {
            Ok((text, digest)) if digest == file.digest => text,
            Ok(_) | Err(Unread::Changed) => return Ok(None),
            Err(Unread::Fault(told)) => return Err(refused(told)),
            Err(Unread::Failed(told)) => return Err(Left { why: Why::Unread, told, claims }),
        };
        let door = Door { categories: &newsroom.categories, site: &newsroom.site };
        let draft = from_file(&text, name, folder.category, &door).map_err(|fault| refused(fault.report(name)))?;
        let way = match found {
            Found::Article(article) | Found::Moved { article, .. } | Found::Unchanged(article) => {
                self.known(article, draft, file).map(|draft| Way::Revise(article.clone(), Box::new(draft)))
            }
            Found::New { is_placed } => marked(draft, file, *is_placed).map(|draft| Way::Push(Box::new(draft))),
            Found::Twin(_) | Found::Waits => return Ok(None),
        };
        way.map(Some).map_err(failed)
    }

    /// Over the API, since its file has not changed.
    fn is_withdrawn(&self, article: &ArticleId) -> Result<bool, Problem> {
        Ok(self.store.article(article)?.is_some_and(|stored| stored.record.state == State::Retracted))
    }

    /// The draft of a known article. The name of its file is not said: a moved file has another one than it was first
    /// taken in under. Nor is one that the file got later, since an article keeps the name that it came with.
    fn known(&self, article: &ArticleId, draft: Draft, file: &Candidate) -> Result<Draft, Problem> {
        let stored = self.store.article(article)?.and_then(|stored| stored.record.external_id);
        let came_by_place = stored.is_some_and(|name| name.as_str().starts_with(NAME_START));
        let external_id = file.external_id.clone().filter(|_| !came_by_place);
        Ok(Draft { external_id, ..draft })
    }

    /// Pushes side by side. Returns the number of each file with what became of it.
    async fn push(&self, rows: &Rows, files: &[Candidate], takings: Vec<Taking>) -> Vec<(usize, Result<(), Problem>)> {
        let mut pushes = JoinSet::new();
        for Taking { at, way } in takings {
            let Candidate { place, digest, .. } = &files[at];
            let (publisher, store) = (self.publisher.clone(), std::sync::Arc::clone(&self.store));
            let (place, digest, before) = (place.clone(), digest.clone(), rows.get(place).cloned());
            pushes.spawn(async move {
                let taking = async {
                    let article = match way {
                        Way::Keep(article) => article,
                        Way::Revise(id, draft) => publisher.revise(&id, &draft, None).await?.0.id,
                        Way::Push(draft) => publisher.push(*draft, None).await?.0.id,
                    };
                    let mut batch = Batch::default();
                    if let Some(before) = before.filter(|before| before.article != article) {
                        store.remember_file(&mut batch, &place.category, &placeless(&before.article), &before);
                    }
                    store.remember_file(&mut batch, &place.category, &place.name, &TakenFile { article, digest });
                    store.commit(batch).await?;
                    Ok(())
                };
                (at, taking.await)
            });
        }
        // A panic in there is one here.
        pushes.join_all().await
    }
}

/// Where an article is remembered whose file's name is another article's now, until a look finds its file elsewhere or
/// retracts it. No file has such a name.
fn placeless(article: &ArticleId) -> String {
    format!("./{article}")
}

/// The article that a file is, or would be.
pub(super) fn claimed(file: &Candidate, found: &Found) -> Option<ArticleId> {
    match found {
        Found::Unchanged(article) | Found::Moved { article, .. } | Found::Article(article) => Some(article.clone()),
        Found::New { .. } | Found::Twin(_) | Found::Waits => file.declared().cloned(),
    }
}

/// What is left of a file whose article was refused. What it says wrong is told with its lines, unless it is another by now.
fn refused(folder: &Folder<'_>, looks: Looks, file: &Candidate, problem: &Problem, claims: Option<ArticleId>) -> Left {
    let name = &file.place.name;
    let left = Left::of(name, problem, claims);
    match read(&folder.path.join(name), looks) {
        Ok((text, digest)) if digest == file.digest && !problem.faults.is_empty() => {
            let homes = [file.place.category.to_string()];
            Left { told: faults_in_file(&text, &homes, "categories", problem).report(name), ..left }
        }
        Ok(_) | Err(_) => left,
    }
}

/// A file that names itself as `other` does.
fn twin(file: &Candidate, other: &Place) -> Left {
    let (field, name) = match (&file.id, &file.external_id) {
        (Some(id), _) => ("id", id.as_str()),
        (None, name) => ("external_id", name.as_ref().map_or("", ExternalId::as_str)),
    };
    let found = format!("\"{name}\", which {} has as well", other.seen_from(&file.place.category));
    let fault = Fault::new(field, found, "one of its own");
    Left { why: Why::Twin, told: format!("{}: {fault}", file.place.name), claims: file.declared().cloned() }
}

/// The draft of a new file under a name that no other file's article has: after a file was moved, another may come
/// under its old name.
fn marked(draft: Draft, file: &Candidate, is_placed: bool) -> Result<Draft, Problem> {
    if is_placed || file.external_id.is_some() {
        return Ok(draft);
    }
    let (place, mark) = (&file.place, hex(&file.digest[..MARK_BYTES]));
    let name = format!("{}#{mark}", name_of_file(&place.category, &place.name));
    Ok(Draft { external_id: Some(ExternalId::parse("external_id", &name)?), ..draft })
}
