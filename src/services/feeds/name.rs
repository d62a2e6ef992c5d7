//! Which feed an address names: a selection, how much of each article, which part of its history, in which format.

use crate::domain::{Fault, Kind, Problem, Selection, Site};
use crate::store::Place;
use crate::wire::Format;
use chrono::NaiveDate;
use percent_encoding::percent_decode_str;
use std::fmt::Write as _;
use url::form_urlencoded;

/// A feed's name; every address that means the same feed reads as the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Which articles.
    pub selection: Selection,
    /// How much of each.
    pub profile: Profile,
    /// Which part of them.
    pub part: Part,
    /// Written how.
    pub format: Format,
}

/// How much of an article a feed shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Summary and full text.
    Full,
    /// The summary alone.
    Summary,
}

/// A part of a feed's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The newest items: what readers subscribe to.
    Newest,
    /// A page of older items, behind a place (RFC 5005 §3).
    Behind(Place),
    /// A part that is closed for good (RFC 5005 §4).
    Archive(Volume),
}

/// An archive document: a feedful of one day's items. A day that is over gains and loses nothing by what is published
/// later, so its volumes stay as they are, but for edits and retractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// The day in UTC.
    pub day: NaiveDate,
    /// 1 for the newest items of that day.
    pub number: u32,
    /// Items of it that stand in parts before this: nought, but where a volume is too large for one document.
    pub skipped: u32,
}

impl std::fmt::Display for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.day, self.number)?;
        if self.skipped > 0 { write!(f, "-{}", self.skipped) } else { Ok(()) }
    }
}

const SUMMARY: &str = "summary";
const ARCHIVE: &str = "archive";
/// Parameter of a page of older items; the same as on the pages for people.
const AFTER: &str = "after";

impl Name {
    /// The newest items of a selection in full.
    pub fn newest(selection: Selection, format: Format) -> Self {
        Name { selection, profile: Profile::Full, part: Part::Newest, format }
    }

    /// The same feed, another part of it.
    pub fn part(&self, part: Part) -> Self {
        Name { part, ..self.clone() }
    }

    /// Reads the address of a feed, in any spelling; parameters that are not ours are passed over. None where `path`
    /// is not a feed's.
    ///
    /// Errors: [`Kind::Malformed`] for a query or a place that cannot be read; it names the character.
    pub fn parse(path: &str, query: Option<&str>) -> Option<Result<Self, Problem>> {
        let (folder, file) = path.strip_prefix('/')?.rsplit_once('/').unwrap_or(("", path.strip_prefix('/')?));
        let format = Format::from_file_name(file)?;
        let decoded = folder
            .split('/')
            .filter(|_| !folder.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8().ok())
            .collect::<Option<Vec<_>>>()?;
        let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        let parameters: Vec<(_, _)> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        let parameter = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        let (selection, taken) = match Selection::in_folder(&segments, parameter("q"))? {
            Ok(found) => found,
            Err(fault) => return Some(Err(Problem { kind: Kind::Malformed, ..Fault::from(fault).into() })),
        };
        let (profile, rest) = match &segments[taken..] {
            [SUMMARY, rest @ ..] => (Profile::Summary, rest),
            rest => (Profile::Full, rest),
        };
        let part = match rest {
            [] => match parameter(AFTER).map(place).transpose() {
                Ok(place) => place.map_or(Part::Newest, Part::Behind),
                Err(problem) => return Some(Err(problem)),
            },
            [ARCHIVE, day, number] => Part::Archive(Volume::parse(day, number)?),
            _ => return None,
        };
        Some(Ok(Name { selection, profile, part, format }))
    }

    /// Its one address below the site's, without a leading slash.
    pub fn path(&self) -> String {
        let folder = self.selection.folder();
        let mut path = folder.path;
        match self.profile {
            Profile::Full => {}
            Profile::Summary => path.extend([SUMMARY, "/"]),
        }
        let mut parameters = folder.query;
        match &self.part {
            Part::Newest => {}
            Part::Behind(place) => {
                let parameters = parameters.get_or_insert_default();
                if !parameters.is_empty() {
                    parameters.push('&');
                }
                // Writing to a text cannot fail.
                let _ = write!(parameters, "{AFTER}={place}");
            }
            Part::Archive(volume) => {
                let _ = write!(path, "{ARCHIVE}/{volume}/");
            }
        }
        path.push_str(self.format.file_name());
        if let Some(parameters) = parameters {
            path.push('?');
            path.push_str(&parameters);
        }
        path
    }

    /// The feeds that a hub is told of when what is in `selection` changes: its newest items in every form. Only the whole
    /// newsroom and categories have any. Of each change the log alone says which of those it touches, so none is missed
    /// over a restart; which other selections somebody has subscribed to only the hub knows, and to tell it of every tag
    /// and author of an article would let it fetch dozens of feeds that nobody reads. Those name no hub, since a
    /// reader that relies on one hardly polls any more.
    pub fn topics(selection: &Selection) -> impl Iterator<Item = Name> {
        let is_known = selection.is_all() || selection.as_category().is_some();
        let profiles = [Profile::Full, Profile::Summary].into_iter().filter(move |_| is_known);
        let forms = profiles.flat_map(|profile| Format::ALL.map(|format| (profile, format)));
        forms.map(|(profile, format)| Name { profile, ..Name::newest(selection.clone(), format) })
    }

    /// Is it one of them? Pages of older items and archives are none: what is published does not change them.
    pub fn is_topic(&self) -> bool {
        Name::topics(&self.selection).any(|topic| topic == *self)
    }

    /// Its one address for the world.
    pub fn url(&self, site: &Site) -> String {
        site.address(&self.path())
    }
}

fn place(text: &str) -> Result<Place, Problem> {
    let fault = || Fault::new(AFTER, format!("\"{text}\""), "a place as a feed's link to its next page gives it");
    Place::parse(text).ok_or_else(|| Problem { kind: Kind::Malformed, ..fault().into() })
}

impl Volume {
    /// In the one spelling of each: `2026-11-24` and `1`, or `1-17` for what is behind the first seventeen items of it.
    fn parse(day: &str, number: &str) -> Option<Self> {
        let (first, skipped) = number.split_once('-').unwrap_or((number, "0"));
        let volume = Volume { day: day.parse().ok()?, number: first.parse().ok()?, skipped: skipped.parse().ok()? };
        (volume.number > 0 && volume.to_string() == format!("{day}/{number}")).then_some(volume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Option<Result<Name, Problem>> {
        let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
        Name::parse(path, query)
    }

    #[test]
    fn an_address_is_read_as_the_name_that_gave_it() {
        for address in [
            "/rss.xml",
            "/science/atom.xml",
            "/summary/feed.json",
            "/science/summary/rss.xml",
            "/tags/summary/rss.xml",
            "/tags/a%20b/summary/rss.xml",
            "/tags/%D1%81%D0%BF%D0%BE%D1%80%D1%82/feed.json",
            "/authors/a.%20ivanov/rss.xml",
            "/languages/en-gb/rss.xml",
            "/search/rss.xml?q=category%3Ascience+AND+NOT+tag%3Asport",
            "/search/summary/rss.xml?q=tag%3Aa+OR+tag%3Ab&after=00ff",
            "/science/archive/2026-11-24/1/atom.xml",
            "/archive/2026-11-24/12/rss.xml",
            "/archive/2026-11-24/12-7/rss.xml",
            "/rss.xml?after=00ff",
        ] {
            let name = read(address).expect(address).expect(address);
            assert_eq!(format!("/{}", name.path()), address);
        }
    }

    #[test]
    fn two_spellings_are_one_name() {
        for (one, other) in [
            ("/rss.xml", "/rss.xml?utm_source=x"),
            ("/tags/sport/rss.xml", "/tags/Sport/rss.xml"),
            ("/science/rss.xml", "/search/rss.xml?q=(category:science)"),
            ("/tags/b/rss.xml", "/search/rss.xml?q=TAG:B%20or%20tag:b"),
            ("/search/rss.xml?q=tag:a+and+tag:b", "/search/rss.xml?q=tag:b+AND+tag:a"),
        ] {
            assert_eq!(read(one).expect(one).expect(one), read(other).expect(other).expect(other));
        }
    }

    #[test]
    fn what_is_no_feed_is_left_to_others_and_a_bad_query_names_its_place() {
        for address in [
            "/",
            "/science",
            "/science/rss",
            "/science/x/rss.xml",
            "/archive/2026-11-24/0/rss.xml",
            "/archive/2026-11-24/1-0/rss.xml",
        ] {
            assert!(read(address).is_none(), "{address}");
        }
        for address in
            ["/archive/2026-1-4/1/rss.xml", "/archive/2026-11-24/01/rss.xml", "/tags/rss.xml", "/api/v1/feed.json"]
        {
            assert!(read(address).is_none(), "{address}");
        }
        for (address, field) in
            [("/search/rss.xml", "q"), ("/search/rss.xml?q=category:science+AND", "q"), ("/rss.xml?after=xyz", "after")]
        {
            let problem = read(address).expect(address).expect_err(address);
            assert_eq!((problem.kind, problem.faults[0].field.as_str()), (Kind::Malformed, field));
        }
    }
}
