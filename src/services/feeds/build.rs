//! One build: which items, which of them are written anew, and what happens if one does not pass.

use super::archive::{Archive, Neighbours};
use super::built::{Kept, Made, State, Topic};
use super::cut::Cut;
use super::name::{Name, Part, Profile, Volume};
use super::states::Seen;
use super::{Built, Feed, Feeds, REFUSED_MAX, Refused, Rhythm, Served};
use crate::domain::{Article, ArticleId, Fault, Kind, Labels, Problem, Selection, Time};
use crate::services::newsroom::Newsroom;
use crate::store::{Picked, Window};
use crate::telemetry;
use crate::wire::pieces::{Frame, Piece};
use crate::wire::{Document, Format, Links, Tombstone, Uses};
use chrono::{Datelike as _, Duration, NaiveDate};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use url::Url;
use uuid::Uuid;

/// Items in a feed that is not a category's own.
const LIMIT: usize = 50;
/// A retraction is told for this long; readers that come less often than monthly have forgotten the article.
const TOLD_OF: Duration = Duration::days(30);

/// What a build came to, and what is wrong with it.
struct Written {
    made: Made,
    faults: Vec<Faulty>,
}

/// What is at fault, the article if it is one; and what is served in its place.
struct Faulty {
    article: Option<ArticleId>,
    fault: Fault,
    served: Served,
}

/// The items of one build, newest first, and where the feed goes on.
struct Contents {
    picked: Vec<Picked>,
    links: Links,
    /// The volume of the archive that is newer than this one.
    newer: Option<Volume>,
    /// Items of a volume that stand in parts before this one.
    skipped: usize,
}

impl Feeds {
    pub(super) fn build(&self, feed: &Feed) -> Result<Arc<Built>, Problem> {
        // Taken before the articles are read: a change or a reload that comes meanwhile makes it stale again.
        let state = State { seq: self.marked.load(Ordering::Acquire), round: self.round.load(Ordering::Acquire) };
        metrics::counter!(telemetry::FEED_BUILDS_TOTAL).increment(1);
        let last = feed.built.load_full();
        let built = match self.written(feed, last.as_deref(), state.round) {
            Ok(written) => {
                self.tell(&feed.name, written.faults);
                let built = Built::new(state, written.made, &self.shelf.account);
                built.follows(last.as_deref(), &mut feed.states())
            }
            Err(problem) => match &last {
                Some(last) if problem.kind == Kind::Internal => {
                    let fault = Fault::new("feed", problem.to_string(), "a feed that passes its checks");
                    self.tell(&feed.name, vec![Faulty { article: None, fault, served: Served::LastGood }]);
                    last.kept(state)
                }
                Some(_) | None => return Err(problem),
            },
        };
        let built = Arc::new(built);
        if !feed.is_down.load(Ordering::Acquire) {
            feed.built.store(Some(Arc::clone(&built)));
        }
        Ok(built)
    }

    /// The feed as it is now, made of the items of the last build where their articles have not changed. An article
    /// whose item does not pass keeps its last good one, and is left out if there is none: it keeps no other from
    /// being read, and none that was retracted in the feed.
    fn written(&self, feed: &Feed, last: Option<&Built>, round: u64) -> Result<Written, Problem> {
        let newsroom = self.newsroom.load_full();
        let name = &feed.name;
        // Read before the articles: a feed may then be newer than its date for a moment, never older.
        let changed_at = feed.selected.changed_at(&self.store)?;
        let modified = changed_at.map_or(newsroom.changed_at, |at| at.max(newsroom.changed_at));
        let last = last.filter(|last| last.written.round == round);
        let changed = last.and_then(|last| feed.selected.changed_since(last.written.seq));
        let known: HashMap<&ArticleId, Piece> =
            last.iter().flat_map(|last| last.items.iter().map(|item| (&item.id, last.piece(item)))).collect();
        let mut contents = self.contents(name, &newsroom)?;
        let rhythm = match name.part {
            Part::Newest | Part::Behind(_) => {
                Rhythm::of(&contents.picked.iter().map(|picked| picked.dated).collect::<Vec<_>>())
            }
            Part::Archive(_) => Rhythm::CLOSED,
        };
        let document = self.document(name, &newsroom, modified, rhythm, &contents)?;
        let mut frame = Frame::new(name.format, document).map_err(internal)?;
        let mut pieces: Vec<(ArticleId, Piece)> = Vec::with_capacity(contents.picked.len());
        let mut faults = Vec::new();
        let mut cut = Cut::new(contents.skipped, name.format, frame.length());
        let mut taken = contents.picked.len();
        let same = |id: &ArticleId| {
            let is_same = changed.as_ref().is_some_and(|changed| !changed.contains(id))
                && last.is_some_and(|last| !last.faulty.contains(id));
            known.get(id).filter(|_| is_same).cloned()
        };
        let kept: Vec<Option<Piece>> = contents.picked.iter().map(|picked| same(&picked.id)).collect();
        let anew = contents.picked.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let anew: Vec<&ArticleId> = anew.map(|(picked, _)| &picked.id).collect();
        let mut written = self.items(&anew, name.profile, &newsroom, &mut frame, Frame::item)?.into_iter();
        for (number, (Picked { id, .. }, kept)) in contents.picked.iter().zip(kept).enumerate() {
            let piece = match kept.map(Ok).or_else(|| written.next().flatten()) {
                Some(Ok(piece)) => Some(piece),
                Some(Err(fault)) => {
                    // What is wrong with the feed around the items is no article's fault.
                    frame.check().map_err(internal)?;
                    let before = known.get(id).cloned();
                    let served = if before.is_some() { Served::LastGood } else { Served::Nothing };
                    faults.push(Faulty { article: Some(id.clone()), fault, served });
                    before
                }
                None => None,
            };
            let bytes = piece.as_ref().map_or(0, |piece| piece.bytes.len());
            if !cut.takes(number, bytes) {
                taken = number;
                break;
            }
            if number >= contents.skipped
                && let Some(piece) = piece
            {
                faults.extend(piece.too_large.map(|bytes| too_large(id, name.format, bytes)));
                pieces.push((id.clone(), piece));
            }
        }
        if self.cut(name, &newsroom, &mut contents, &cut, taken)? {
            let document = self.document(name, &newsroom, modified, rhythm, &contents)?;
            frame = Frame::new(name.format, document).map_err(internal)?;
        }
        let all: Vec<&Piece> = pieces.iter().map(|(_, piece)| piece).collect();
        let (bytes, places) = frame.join(&all).map_err(internal)?;
        let hub = frame.hub(&all).map_err(internal)?;
        let topic = newsroom.hub.as_ref().zip(hub);
        let topic = topic.map(|(hub, place)| Topic::new(hub, &name.url(&newsroom.site), place));
        let kept = |((id, Piece { too_large, uses, digest, .. }), place)| Kept {
            id,
            place,
            too_large,
            uses,
            digest,
            seen: Seen::default(),
        };
        let items = pieces.into_iter().zip(places).map(kept).collect();
        let to_try = faults.iter().filter(|faulty| faulty.served != Served::Summary);
        let faulty = to_try.filter_map(|faulty| faulty.article.clone()).collect();
        let (format, fresh_s) = (name.format, rhythm.fresh_s);
        let made = Made { bytes: bytes.into(), items, faulty, modified, format, fresh_s, topic };
        Ok(Written { made, faults })
    }

    /// Leaves in `contents` what fits, and lets its links lead to the rest. False if nothing had to be changed.
    fn cut(
        &self,
        name: &Name,
        newsroom: &Newsroom,
        contents: &mut Contents,
        cut: &Cut,
        taken: usize,
    ) -> Result<bool, Problem> {
        let is_cut = taken < contents.picked.len();
        let address = |part| Some(name.part(part).url(&newsroom.site));
        let part = |volume: Volume, skipped| {
            let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
            address(Part::Archive(Volume { skipped, ..volume }))
        };
        match &name.part {
            Part::Newest | Part::Behind(_) if is_cut => {
                let last = taken.checked_sub(1).and_then(|last| contents.picked.get(last));
                contents.links.next = last.and_then(|last| address(Part::Behind(last.place())));
                if name.part == Part::Newest && contents.links.prev_archive.is_none() {
                    let volume = self.archive(name, newsroom)?.newest()?;
                    contents.links.prev_archive = volume.and_then(|volume| part(volume, 0));
                }
            }
            Part::Newest | Part::Behind(_) => return Ok(false),
            Part::Archive(volume) => {
                if is_cut {
                    contents.links.prev_archive = part(*volume, taken);
                }
                contents.links.next_archive = match (cut.before, contents.newer) {
                    (Some(before), _) => part(*volume, before),
                    (None, Some(newer)) => part(newer, self.last_part(name, newsroom, newer)?),
                    (None, None) => None,
                };
            }
        }
        contents.picked.truncate(taken);
        contents.picked.drain(..contents.skipped.min(taken));
        contents.skipped = 0;
        Ok(true)
    }

    /// Where the last part of `volume` begins.
    fn last_part(&self, name: &Name, newsroom: &Newsroom, volume: Volume) -> Result<usize, Problem> {
        let Some((picked, _)) = self.archive(name, newsroom)?.open(volume)? else { return Ok(0) };
        let name = name.part(Part::Archive(volume));
        let current = Some(name.part(Part::Newest).url(&newsroom.site));
        let contents = Contents { picked, links: Links { current, ..Links::default() }, newer: None, skipped: 0 };
        let updated = contents.picked.first().map_or(newsroom.changed_at, |newest| newest.dated);
        let document = self.document(&name, newsroom, updated, Rhythm::CLOSED, &contents)?;
        let mut frame = Frame::new(name.format, document).map_err(internal)?;
        let mut cut = Cut::new(usize::MAX, name.format, frame.length());
        let ids: Vec<&ArticleId> = contents.picked.iter().map(|picked| &picked.id).collect();
        let lengths = self.items(&ids, name.profile, newsroom, &mut frame, Frame::item_bytes)?;
        for (number, bytes) in lengths.into_iter().enumerate() {
            cut.takes(number, bytes.and_then(Result::ok).unwrap_or_default());
        }
        Ok(cut.start)
    }

    /// Says in the list of refusals, in the metrics and, where it is news, in the log what is wrong with the feed. What
    /// was wrong before is forgotten.
    fn tell(&self, name: &Name, faults: Vec<Faulty>) {
        let feed = name.path();
        let mut list = self.refused_list();
        let before: Vec<Refused> =
            list.extract_if(.., |_, refused| refused.feed == feed).map(|(_, known)| known).collect();
        for Faulty { article, fault, served } in faults {
            metrics::counter!(telemetry::FEED_REFUSED_TOTAL).increment(1);
            let id = article.as_ref().map_or("", ArticleId::as_str);
            let key = format!("{feed} {id}");
            let refused = Refused { feed: feed.clone(), article: article.clone(), fault, served };
            if !before.contains(&refused) {
                let what = match served {
                    Served::LastGood => "the last good one stays up",
                    Served::Summary => "its summary stands for it",
                    Served::Nothing => "it is left out",
                };
                let fault = &refused.fault;
                tracing::error!(feed, article.id = id, %fault, "a part of a feed did not pass its checks, {what}: {fault}");
            }
            if list.len() < REFUSED_MAX {
                list.insert(key, refused);
            }
        }
    }

    /// Which items, and where the feed goes on.
    fn contents(&self, name: &Name, newsroom: &Newsroom) -> Result<Contents, Problem> {
        let archive = self.archive(name, newsroom)?;
        let address = |part| Some(name.part(part).url(&newsroom.site));
        let volume = |volume: Option<Volume>| volume.and_then(|volume| address(Part::Archive(volume)));
        let after = match &name.part {
            Part::Newest => None,
            Part::Behind(place) => Some(place),
            Part::Archive(wanted) => {
                let Some((picked, Neighbours { older, newer })) = archive.open(*wanted)? else {
                    return Err(Problem::new(Kind::NotFound, format!("there is no archive {}", name.path())));
                };
                // The way to the newer one depends on the sizes of items, and is found once they are known.
                let links = Links { current: address(Part::Newest), prev_archive: volume(older), ..Links::default() };
                let skipped = wanted.skipped as usize;
                if skipped >= picked.len() {
                    return Err(Problem::new(Kind::NotFound, format!("there is no archive {}", name.path())));
                }
                return Ok(Contents { picked, links, newer, skipped });
            }
        };
        let page = self.store.select(&name.selection, &Window::default(), after, archive.limit)?;
        let next = page.next.and_then(|place| address(Part::Behind(place)));
        let links = match name.part {
            // What holds everything has no history.
            Part::Newest if next.is_none() => Links::default(),
            Part::Newest => Links { next, prev_archive: volume(archive.newest()?), ..Links::default() },
            Part::Behind(_) | Part::Archive(_) => Links { first: address(Part::Newest), next, ..Links::default() },
        };
        Ok(Contents { picked: page.picked, links, newer: None, skipped: 0 })
    }

    fn archive<'a>(&'a self, name: &'a Name, newsroom: &Newsroom) -> Result<Archive<'a>, Problem> {
        let limit = limit(&name.selection, newsroom);
        Ok(Archive { store: &self.store, selection: &name.selection, limit, today: self.today()? })
    }

    /// The day that is not over yet. It does not go back with the clock, since readers were sent to the volumes before it:
    /// it is the last one that the log tells of, and that was seen here.
    fn today(&self) -> Result<NaiveDate, Problem> {
        let told = self.store.touched(&Selection::all())?;
        let now = self.clock.now();
        let day = told.map_or(now, |told| told.max(now)).date_naive().num_days_from_ce();
        let last = self.last_day.fetch_max(day, Ordering::AcqRel).max(day);
        Ok(NaiveDate::from_num_days_from_ce_opt(last).unwrap_or(NaiveDate::MAX))
    }

    /// The feed without items.
    fn document(
        &self,
        name: &Name,
        newsroom: &Newsroom,
        updated: Time,
        rhythm: Rhythm,
        contents: &Contents,
    ) -> Result<Document, Problem> {
        let site = &newsroom.site;
        let category = name.selection.as_category().and_then(|slug| newsroom.categories.get(slug.as_str()));
        let titles = name.selection.titles(&newsroom.categories);
        // A part that is closed stays as it is: its date is that of its newest item, whatever else is published.
        let updated = match name.part {
            Part::Newest => updated,
            Part::Behind(_) | Part::Archive(_) => contents.picked.first().map_or(updated, |newest| newest.dated),
        };
        Ok(Document {
            title: match titles.as_slice() {
                [] => site.title.clone(),
                titles => format!("{} – {}", titles.join(", "), site.title),
            },
            description: category.map_or(&site.description, |category| &category.description).clone(),
            language: category.map_or(&site.language, |category| &category.language).clone(),
            id: iri(&self.store.identity().instance, name),
            home: site.selection_page(&name.selection),
            self_url: name.url(site),
            hub: newsroom.hub.as_ref().filter(|_| name.is_topic()).map(Url::to_string),
            updated,
            links: contents.links.clone(),
            is_archive: matches!(name.part, Part::Archive(_)),
            tombstones: self.tombstones(name, contents)?,
            ttl_min: Some(rhythm.ttl_min),
            icon: site.icon.as_ref().map(Url::to_string),
            logo: site.logo.as_ref().map(Url::to_string),
            accent_color: site.accent_color.clone(),
            uses: Uses::default(),
            items: Vec::new(),
        })
    }

    /// What was retracted lately and would stand among the items.
    fn tombstones(&self, name: &Name, contents: &Contents) -> Result<Vec<Tombstone>, Problem> {
        match name.part {
            Part::Newest => {}
            Part::Behind(_) | Part::Archive(_) => return Ok(Vec::new()),
        }
        // A feed that goes on behind its last item says nothing of what is older.
        let oldest = contents.picked.last().filter(|_| contents.links.next.is_some()).map(|picked| picked.dated);
        let retracted = self.store.retracted(self.clock.now() - TOLD_OF, LIMIT)?;
        let is_ours = |article: &&Article| {
            name.selection.matches(&Labels::of(&article.content))
                && oldest.is_none_or(|oldest| article.dated() >= oldest)
        };
        let tombstone =
            |article: &Article| Tombstone { iri: article.id.iri(), guid: article.id.guid(), at: article.updated_at };
        Ok(retracted.iter().filter(is_ours).map(tombstone).collect())
    }
}

fn limit(selection: &Selection, newsroom: &Newsroom) -> usize {
    let category = selection.as_category().and_then(|slug| newsroom.categories.get(slug.as_str()));
    category.map_or(LIMIT, |category| category.limit)
}

/// A feed's IRI for life: it survives a change of address, so it is made of the store's own name. All parts of a feed's
/// history bear that of the feed (RFC 5005 §2).
fn iri(instance: &str, name: &Name) -> String {
    let mut text = format!("{instance}/");
    match name.selection.as_category() {
        Some(slug) => text.push_str(slug.as_str()),
        None if name.selection.is_all() => {}
        None => text.extend(["?", &name.selection.to_string()]),
    }
    match name.profile {
        Profile::Full => {}
        Profile::Summary => text.push_str("#summary"),
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).urn().to_string()
}

fn too_large(id: &ArticleId, format: Format, bytes: usize) -> Faulty {
    let expected = format!("at most {} for an item, as aggregators take", format.item_bytes_max());
    let fault = Fault::new("body", format!("{bytes} bytes in {}", format.file_name()), expected);
    Faulty { article: Some(id.clone()), fault, served: Served::Summary }
}

fn internal(fault: Fault) -> Problem {
    Problem::new(Kind::Internal, fault.to_string())
}
